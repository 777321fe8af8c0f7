#!/bin/sh
# Builds what users install into dist/: a Debian package, a wheel, a tarball, and the programs' symbols.
#
#   PROGRAMS=FOLDER   takes programs that are built already, with `swift build -c release --static-swift-stdlib`
#   SCRATCH=FOLDER    where they are built (.build-dist)
set -eu
cd "$(dirname "$0")/.."
root=$PWD
version=$(packaging/version.sh)
arch=$(uname -m)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH

# Programs that share what most of their size is are one, behind each of their names.
names="dora-generate dora-pack dora-serve"
programs=dora
libraries=libsentencepiece-dev
if grep -q 'executable(name: "dora-export"' Package.swift; then
    programs="dora dora-export"
    libraries="$libraries libopenblas-dev"
fi
# shellcheck disable=SC2086 # names of packages
scripts/install-dependencies.sh $libraries pkg-config binutils patchelf debhelper python3 xz-utils

if [ -z "${PROGRAMS:-}" ]; then
    for program in $programs; do
        swift build -c release --static-swift-stdlib --scratch-path "${SCRATCH:-.build-dist}" --product "$program"
    done
    PROGRAMS=${SCRATCH:-.build-dist}/release
fi

work=$root/dist/work
stage=$work/stage
rm -rf dist
mkdir -p "$stage/bin" "$work/symbols"

for program in $programs; do
    install -m 755 "$PROGRAMS/$program" "$stage/bin/$program"
    objcopy --only-keep-debug "$stage/bin/$program" "$work/symbols/$program.debug"
    strip --strip-all "$stage/bin/$program"
    (cd "$work/symbols" && objcopy --add-gnu-debuglink="$program.debug" "$stage/bin/$program")
    patchelf --remove-rpath "$stage/bin/$program"
done
for name in $names; do ln -s dora "$stage/bin/$name"; done
[ "$programs" = dora ] || names="$names dora-export"
tar -C "$work/symbols" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" \
    -cf - . | xz -T0 -3 > "dist/dora-$version-symbols-$arch.tar.xz"

mkdir -p "$stage/share/dora/models" "$stage/share/man/man1" "$stage/share/doc/dora" \
    "$stage/share/bash-completion/completions" "$stage/share/zsh/site-functions" "$stage/share/fish/vendor_completions.d"
cp -R models/base models/adapters models/README.md "$stage/share/dora/models/"
cp README.md docs/*.md "$stage/share/doc/dora/"
cp packaging/dora.1 "$stage/share/man/man1/"
for name in $names; do
    python3 packaging/man.py "$stage/bin/$name" > "$stage/share/man/man1/$name.1"
    # No program of its own, but read by a shell.
    "$stage/bin/$name" --generate-completion-script bash | sed '1{/^#!/d}' > "$stage/share/bash-completion/completions/$name"
    "$stage/bin/$name" --generate-completion-script zsh > "$stage/share/zsh/site-functions/_$name"
    "$stage/bin/$name" --generate-completion-script fish > "$stage/share/fish/vendor_completions.d/$name.fish"
done
chmod -R u=rwX,go=rX "$stage"

packaging/deb.sh "$stage" "$version"
packaging/bundle.sh "$stage" "$work/bundle"
python3 packaging/wheel.py "$work/bundle" "$version" dist
name=dora-$version-linux-$arch
mv "$work/bundle" "$work/$name"
cp LICENSE "$work/$name/"
tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -czf "dist/$name.tar.gz" "$name"
rm -rf "$work"
(cd dist && sha256sum -- * > SHA256SUMS)
ls -l dist
