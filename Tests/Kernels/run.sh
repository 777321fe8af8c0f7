#!/bin/sh
# Proves the C kernels: every instruction set against the portable one, bit by bit, and the sanitizers.
# Natively where this CPU can; AVX-512 and AVX-VNNI with SIMDe's intrinsics in plain C; Arm under qemu.
# Ends with 1 if anything differs. What cannot run is skipped aloud, or fails if DORA_KERNELS_STRICT=1.
set -u
here=$(cd "$(dirname "$0")" && pwd)
kernels=$here/../../Sources/CKernels
build=${TMPDIR:-/tmp}/dora-kernels-$$
mkdir -p "$build"
trap 'rm -rf "$build"' EXIT
trap 'exit 1' INT TERM
clang=${CLANG:-clang}
machine=$(uname -m)
failed=0

# As in Package.swift.
flags="-std=gnu17 -ffp-contract=off -fno-math-errno -Wall -Wextra -Werror"
flags="$flags -I$kernels/include -I$kernels -I$here -Wno-unused-command-line-argument -fuse-ld=lld"
harness=$(echo "$here"/*.c)

fail() { echo "  FAILED: $1"; failed=1; }
skip() {
    echo "  skipped: $1"
    if [ "${DORA_KERNELS_STRICT:-0}" = 1 ]; then failed=1; fi
}

# build PROGRAM OPTIONS FILE.c...: every file on a processor of its own. The options are one word, for all steps.
build() {
    program=$1 options=$2
    shift 2
    rm -rf "$program.d" && mkdir "$program.d"
    # shellcheck disable=SC2086 # the options are words
    for source in "$@"; do echo "$source"; done |
        OPTIONS=$options xargs -P "$(nproc)" -I{} \
            sh -c "$clang \$OPTIONS -c {} -o $program.d/\$(basename {} .c).o" &&
        $clang $options "$program.d"/*.o -lm -lpthread $dispatch -o "$program"
}
dispatch=

# need FILE-OR-COMMAND PACKAGE...: true if it is there, or Debian could give it.
updated=
need() {
    wanted=$1
    shift
    if [ -e "$wanted" ] || command -v "$wanted" >/dev/null 2>&1; then return 0; fi
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then return 1; fi
    if [ -z "$updated" ]; then apt-get update -qq >/dev/null 2>&1; fi
    updated=1
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null 2>&1
    [ -e "$wanted" ] || command -v "$wanted" >/dev/null 2>&1
}

if ! command -v "$clang" >/dev/null 2>&1; then
    echo "no clang: put the Swift toolchain's on PATH, or name it in CLANG" >&2
    exit 1
fi

echo "== native ($machine)"
# shellcheck disable=SC2086 # $harness is words
if build "$build/native" "-O3 $flags" $harness "$kernels"/*.c; then
    "$build/native" write "$build/reference" && "$build/native" check "$build/reference" || fail "native"
    native=" $("$build/native" tables) "
else
    fail "the kernels do not compile"
    exit 1
fi

echo "== AVX-512 and AVX-VNNI, emulated"
if [ "$machine" != x86_64 ]; then
    skip "only on x86_64"
elif ! need /usr/include/simde/x86/avx512.h libsimde-dev; then
    skip "no libsimde-dev, and it cannot be installed here"
elif build "$build/emulated" \
    "-O2 $flags -isystem $here/emulated -DSIMDE_ENABLE_NATIVE_ALIASES -DSIMDE_NO_NATIVE -DEMULATED" \
    $harness "$kernels/avx512.c" "$kernels/avxvnni.c" "$kernels/avxvnni_evex.c" "$kernels/portable.c"; then
    "$build/emulated" check "$build/reference" || fail "emulated"
else
    fail "the emulated kernels do not compile"
fi

echo "== Arm, emulated"
root=/usr/aarch64-linux-gnu
runtime=/usr/lib/gcc-cross/aarch64-linux-gnu/12
if [ "$machine" = aarch64 ]; then
    echo "  ran natively"
elif ! need qemu-aarch64-static qemu-user-static || ! need $root/lib/libc.a libc6-dev-arm64-cross ||
    ! need $runtime/libgcc.a libgcc-12-dev-arm64-cross; then
    skip "no qemu-user-static, libc6-dev-arm64-cross or libgcc-12-dev-arm64-cross; not installable here"
elif build "$build/arm" "-O3 --target=aarch64-linux-gnu -static --sysroot=$root -isystem $root/include \
    -B$runtime -L$runtime -B$root/lib -L$root/lib $flags" $harness "$kernels"/*.c; then
    qemu-aarch64-static -cpu max "$build/arm" check "$build/reference" || fail "Arm"
    found=$(qemu-aarch64-static -cpu max "$build/arm" tables)
    [ "$found" = "neon-i8mm neon-dotprod portable" ] || fail "a CPU with matrix products offers: $found"
    found=$(qemu-aarch64-static -cpu neoverse-n1 "$build/arm" tables)
    [ "$found" = "neon-dotprod portable" ] || fail "a CPU with the dot product alone offers: $found"
    found=$(qemu-aarch64-static -cpu cortex-a53 "$build/arm" tables)
    [ "$found" = "portable" ] || fail "a CPU without the dot product offers: $found"
else
    fail "the kernels do not cross-compile"
fi

echo "== address and undefined-behaviour sanitizers"
sanitize="-O1 -g -fno-sanitize-recover=all"
# The other x86 files are the same code again, and slow to build.
case "$native" in
*" avx2 "*) own="$kernels/avx2.c $kernels/portable.c" sanitize="$sanitize -DSANITIZED" ;;
*) own=$(echo "$kernels"/*.c) ;;
esac
if ! echo 'int main(void) { return 0; }' |
    $clang $sanitize -fuse-ld=lld -fsanitize=address,undefined -x c - -o "$build/probe" 2>/dev/null; then
    skip "this clang has no runtime for them"
elif build "$build/address" "$sanitize $flags -fsanitize=address,undefined" $harness $own; then
    "$build/address" check "$build/reference" || fail "address or undefined-behaviour sanitizer"
    build "$build/pool" "$sanitize $flags -fsanitize=address,undefined" "$here/pool/stress.c" "$kernels/pool.c" &&
        "$build/pool" 1000 || fail "pool, address or undefined-behaviour sanitizer"
else
    fail "the kernels do not compile with the sanitizers"
fi

echo "== thread sanitizer"
# The Swift toolchain's runtime also wants libdispatch.
swift=$(dirname "$(command -v "$clang")")/../lib/swift/linux
if [ -e "$swift/libdispatch.so" ]; then dispatch="-L$swift -Wl,-rpath,$swift -ldispatch -lBlocksRuntime"; fi
if ! echo 'int main(void) { return 0; }' |
    $clang -fuse-ld=lld -fsanitize=thread -x c - -o "$build/probe" $dispatch 2>/dev/null; then
    skip "this clang has no runtime for it"
elif build "$build/threads" "-O1 -g $flags -fsanitize=thread" "$here/pool/stress.c" "$kernels/pool.c"; then
    TSAN_OPTIONS=halt_on_error=1 "$build/threads" 100 || fail "thread sanitizer"
else
    fail "the pool does not compile with the thread sanitizer"
fi

echo "== summary"
for set in avx512-vnni avxvnni avx512vl-vnni avx2 neon-i8mm neon-dotprod portable; do
    case "$native" in
    *" $set "*) echo "  $set: machine code run on this CPU" ;;
    *)
        how="not run"
        case $set in
        avx512-vnni | avxvnni | avx512vl-vnni)
            [ -x "$build/emulated" ] && how="intrinsics emulated in C; its machine code was not run" ;;
        neon-*) [ -x "$build/arm" ] && how="machine code run under qemu" ;;
        esac
        echo "  $set: $how" ;;
    esac
done
[ $failed = 0 ] && echo "kernels: all equal" || echo "kernels: FAILED"
exit $failed
