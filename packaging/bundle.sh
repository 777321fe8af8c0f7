#!/bin/sh
# bundle.sh STAGE FOLDER: the same programs with the libraries that not every system has, found from where the programs
# lie, so that the folder runs from anywhere.
set -eu
stage=$1
bundle=$2
rm -rf "$bundle"
cp -R "$stage" "$bundle"
mkdir -p "$bundle/lib/dora"
for program in "$bundle"/bin/*; do
    [ -h "$program" ] && continue
    # Of every Linux: the C library, and those of the compiler.
    ldd "$program" | awk '$2 == "=>" { print $1, $3 }' |
        grep -vE '^(libc|libm|libdl|librt|libpthread|libgcc_s|libstdc\+\+)\.so' |
        while read -r name path; do
            [ -e "$bundle/lib/dora/$name" ] && continue
            install -m 644 "$path" "$bundle/lib/dora/$name"
            # shellcheck disable=SC2016 # the loader's own word
            patchelf --set-rpath '$ORIGIN' "$bundle/lib/dora/$name"
            # Their licences come along.
            package=$(dpkg -S "$(realpath "$path")" 2>/dev/null | cut -d: -f1 | head -n 1 || true)
            if [ -n "$package" ] && [ -r "/usr/share/doc/$package/copyright" ]; then
                cp "/usr/share/doc/$package/copyright" "$bundle/lib/dora/$package.copyright"
            fi
        done
    # shellcheck disable=SC2016
    patchelf --set-rpath '$ORIGIN/../lib/dora' "$program"
done
