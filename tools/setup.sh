#!/bin/sh
# SPDX-License-Identifier: MIT
# setup.sh - install what building (setup.sh build) or testing (setup.sh check) needs
#
# On Debian and its relatives the missing packages are installed, with sudo where we are not root.
# Elsewhere they are named, as they are called there. When nothing is missing nothing is run.
set -eu

what=${1:-build}
build="gcc libc6-dev make cmake pkg-config libjansson-dev zlib1g-dev libutf8proc-dev libcairo2-dev libmd-dev liblapacke libopenblas0-pthread"
optional="libdnnl-dev" # oneDNN: used where it is there
check="$build g++ libcmocka-dev bats jq mandoc"
case $what in
build) wanted=$build ;;
check) wanted=$check ;;
*)
    echo "usage: setup.sh build|check" >&2
    exit 2
    ;;
esac

if command -v dpkg-query >/dev/null 2>&1 && command -v apt-get >/dev/null 2>&1; then
    missing=
    for package in $wanted; do
        state=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
        [ "$state" = installed ] || missing="$missing $package"
    done
    extra=
    for package in $optional; do
        state=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
        [ "$state" = installed ] || ! apt-cache show "$package" >/dev/null 2>&1 ||
            extra="$extra $package"
    done
    [ -n "$missing$extra" ] || exit 0
    if [ -z "$missing" ] && [ "$(id -u)" -ne 0 ] && ! sudo -n true 2>/dev/null; then
        exit 0 # nobody is asked for a password for it
    fi
    sudo=
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null 2>&1 || {
            echo "setup: these packages are missing, and there is no sudo to install them:$missing" >&2
            exit 1
        }
        sudo=sudo
    fi
    echo "setup: installing$missing$extra"
    log=build/setup.log
    mkdir -p build
    # shellcheck disable=SC2086
    if [ -n "$missing" ] && ! { $sudo apt-get update && $sudo env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        echo "setup: could not install$missing (the whole story is in $log)" >&2
        exit 1
    fi
    for package in $extra; do
        $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
            "$package" >>"$log" 2>&1 || echo "setup: doing without $package"
    done
    exit 0
fi

# Not Debian: look for the things themselves and name them.
lacking=
for tool in cc make cmake pkg-config; do
    command -v "$tool" >/dev/null 2>&1 || lacking="$lacking $tool"
done
for module in jansson zlib libutf8proc libmd cairo-ft; do
    pkg-config --exists "$module" 2>/dev/null || lacking="$lacking $module"
done
if [ "$what" = check ]; then
    for tool in bats jq mandoc; do
        command -v "$tool" >/dev/null 2>&1 || lacking="$lacking $tool"
    done
    pkg-config --exists cmocka 2>/dev/null || lacking="$lacking cmocka"
fi
[ -n "$lacking" ] || exit 0
cat >&2 <<TEXT
setup: missing:$lacking
They are called:
  Fedora    gcc make cmake pkgconf-pkg-config jansson-devel zlib-devel utf8proc-devel cairo-devel libmd-devel lapack openblas onednn-devel
            tests: libcmocka-devel bats jq mandoc
  Arch      gcc make cmake pkgconf jansson zlib libutf8proc libmd cairo ttf-dejavu lapacke openblas onednn
            tests: cmocka bats jq mandoc
  Alpine    build-base cmake pkgconf jansson-dev zlib-dev utf8proc-dev libmd-dev cairo-dev font-dejavu openblas lapack
            tests: cmocka-dev bats jq mandoc
  Homebrew  cmake pkgconf jansson utf8proc cairo libmd openblas
            tests: cmocka bats-core jq mandoc
TEXT
exit 1
