#!/bin/sh
# deb.sh STAGE VERSION: the Debian package, into dist/.
set -eu
cd "$(dirname "$0")/.."
stage=$1
version=$2
build=dist/work/deb/dora-$version
mkdir -p "$build"
cp -R packaging/debian "$build/debian"
cp LICENSE "$build/"
cp -R "$stage" "$build/stage"
# Debian's place for completions that come with packages.
mv "$build/stage/share/zsh/site-functions" "$build/stage/share/zsh/vendor-completions"
cat > "$build/debian/changelog" <<CHANGES
dora ($version) unstable; urgency=medium

  * Release $version.

 -- $(sed -n 's/^Maintainer: //p' packaging/debian/control)  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
CHANGES
(cd "$build" && dpkg-buildpackage -b -us -uc -d >../build.log 2>&1) || { cat dist/work/deb/build.log >&2; exit 1; }
mv dist/work/deb/dora_*.deb dist/
