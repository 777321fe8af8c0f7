#!/bin/sh
# A clean Debian root, with the packages of this machine's release and without Swift. Sourced; needs root.
#
#   make_root FOLDER   in_root FOLDER COMMAND…

make_root() {
    root=$1
    . /etc/os-release
    cache=${DORA_DEBOOTSTRAP_CACHE:-}
    [ -z "$cache" ] || mkdir -p "$cache"
    debootstrap --variant=minbase ${cache:+--cache-dir="$cache"} "$VERSION_CODENAME" "$root" \
        "${DEBIAN_MIRROR:-http://deb.debian.org/debian}" >"$root.log" 2>&1 || { tail -n 20 "$root.log" >&2; return 1; }
    # This machine's way to its packages.
    cp -L /etc/resolv.conf "$root/etc/resolv.conf"
    grep -lsE '^ *Acquire' /etc/apt/apt.conf.d/* | while read -r file; do cp "$file" "$root/etc/apt/apt.conf.d/"; done
    # Maintainer scripts start no services there.
    printf '#!/bin/sh\nexit 101\n' > "$root/usr/sbin/policy-rc.d"
    chmod +x "$root/usr/sbin/policy-rc.d"
}

in_root() {
    root=$1
    shift
    # shellcheck disable=SC2016 # for the inner shell
    unshare --mount sh -c '
        root=$1
        shift
        mount -t proc proc "$root/proc"
        mount --rbind /dev "$root/dev"
        exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
            DEBIAN_FRONTEND=noninteractive chroot "$root" "$@"' sh "$root" "$@"
}
