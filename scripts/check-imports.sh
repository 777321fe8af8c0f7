#!/bin/sh
# Data flows one way: each target may import only what stands before it (docs/ARCHITECTURE.md).
set -eu
cd "$(dirname "$0")/.."
status=0
check() { # folder, then the project's own modules that it may import
    folder=$1
    shift
    found=$(grep -rhoE '^\s*(@testable |package |public |internal |private )*import [A-Za-z_]+' "Sources/$folder" --include='*.swift' \
        | awk '{print $NF}' | sort -u | grep -E '^(Dora|C[A-Z])' || true)
    for module in $found; do
        case " $* " in
        *" $module "*) ;;
        *)
            echo "Sources/$folder imports $module; it may import: ${*:-nothing of the project}" >&2
            status=1
            ;;
        esac
    done
}
check Tensor CKernels
check Text CSentencePiece
check Loader DoraText DoraTensor
check Export COpenBLAS DoraLoader DoraText DoraTensor
check Runtime DoraLoader DoraText DoraTensor
check Serve DoraRuntime DoraLoader DoraText
check dora-export DoraExport DoraServe DoraLoader DoraText DoraTensor
check dora-generate DoraServe DoraRuntime DoraLoader DoraText
check dora-pack DoraServe DoraLoader DoraTensor
check dora-serve DoraServe DoraRuntime DoraLoader
check Programs DoraServe DoraExportCommand DoraGenerateCommand DoraPackCommand DoraServeCommand
[ "$status" = 0 ] && echo "imports follow the one direction"
exit "$status"
