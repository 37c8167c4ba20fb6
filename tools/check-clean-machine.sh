#!/bin/sh
# SPDX-License-Identifier: MIT
# check-clean-machine.sh - prove that a new Debian 12 machine needs nothing but the README's commands
#
# Debootstraps a Debian 12 into a folder that has only git, make, gcc and ca-certificates, clones this
# repository into it, and runs `make demo` and `make check` there. Needs root, debootstrap and a
# Debian mirror (as this machine's apt uses it, or $MIRROR). The folder is $1, or a new one below
# $TMPDIR, which is deleted at the end.
#
#   tools/check-clean-machine.sh [--keep] [FOLDER]
set -eu

keep=
[ "${1:-}" = --keep ] && { keep=yes && shift; }
repository=$(cd "$(dirname "$0")/.." && pwd)
root=${1:-$(mktemp -d "${TMPDIR:-/tmp}/wte-clean.XXXXXX")}

[ "$(id -u)" -eq 0 ] || { echo "check-clean-machine: must be root, for chroot" >&2 && exit 1; }
command -v debootstrap >/dev/null || { echo "check-clean-machine: install debootstrap" >&2 && exit 1; }

# The mirror that this machine uses, unless one is named.
mirror=${MIRROR:-$(sed -n -E 's/^deb (\[[^]]*\] )?([^ ]+) bookworm .*/\2/p; s/^URIs: ([^ ]+).*/\1/p' \
    /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | head -n 1)}
[ -n "$mirror" ] || { echo "check-clean-machine: name a mirror in MIRROR" >&2 && exit 1; }

finish() {
    for mount in proc sys dev/pts dev; do
        umount "$root/$mount" 2>/dev/null || true
    done
    [ -n "$keep" ] || rm -rf --one-file-system "$root"
}
trap finish EXIT

echo "== debootstrap into $root"
debootstrap --variant=minbase --include=git,make,gcc,ca-certificates bookworm "$root" "$mirror" \
    >"$root.log" 2>&1 || { tail -n 20 "$root.log" && exit 1; }
rm -f "$root.log"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --bind /dev "$root/dev"
mount --bind /dev/pts "$root/dev/pts"
# How this machine reaches the mirror (proxies, certificates) is the machine's affair, not ours.
cp /etc/resolv.conf "$root/etc/resolv.conf" 2>/dev/null || true
cp -r /etc/apt/apt.conf.d/. "$root/etc/apt/apt.conf.d/"
cp -r /etc/apt/sources.list /etc/apt/sources.list.d "$root/etc/apt/" 2>/dev/null || true
cp -r /etc/ssl/certs/. "$root/etc/ssl/certs/" 2>/dev/null || true
[ -d /usr/local/share/ca-certificates ] && cp -r /usr/local/share/ca-certificates "$root/usr/local/share/"

echo "== packages at the start"
chroot "$root" dpkg-query -W -f='${Package}\n' | grep -E '^(gcc|make|git|cmake|ca-certificates|libjansson-dev)$' | tr '\n' ' '
echo
git clone -q "$repository" "$root/root/wte"
for command in "make demo" "make check"; do
    echo "== $command"
    chroot "$root" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 TERM=dumb \
        ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} \
        sh -c "cd /root/wte && $command"
done
echo "== a new Debian 12 machine runs both commands"
