#!/bin/sh
# SPDX-License-Identifier: MIT
# check-arm.sh - run checkkernel for 64-bit Arm on another machine
#
# Compiles the kernels with a cross compiler and runs every check under user-mode qemu. Kernels need
# nothing but a C library, so no Arm packages are wanted beyond the compiler's own. Arguments go to
# checkkernel. On Debian: apt install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static
set -eu

cc=${CC_ARM:-aarch64-linux-gnu-gcc}
qemu=${QEMU_ARM:-qemu-aarch64-static}
for tool in "$cc" "$qemu"; do
    if ! command -v "$tool" >/dev/null; then
        echo "check-arm: skipped: no $tool (Debian: gcc-aarch64-linux-gnu, qemu-user-static)"
        exit 0
    fi
done

if ! echo '#include <stdio.h>' | "$cc" -x c -fsyntax-only - 2>/dev/null; then
    echo "check-arm: skipped: $cc has no C library (Debian: libc6-dev-arm64-cross)"
    exit 0
fi

root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags="-std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror
       -ffp-contract=off -fno-math-errno -I$root/include -I$root/src"

for source in "$root"/src/kernel/*.c "$root"/src/kernel/*/*.c "$root"/tests/kernel/checkkernel.c; do
    extra=
    case $source in *dotprod.c) extra=-march=armv8.2-a+dotprod ;; esac
    # shellcheck disable=SC2086
    "$cc" $flags $extra -c "$source" -o "$work/$(basename "$source" .c).o"
done
"$cc" -static "$work"/*.o -o "$work/checkkernel" -lm -lpthread

# The second processor lacks the dot product extension: the choice must fall back to neon.
"$qemu" -cpu max "$work/checkkernel" "$@"
"$qemu" -cpu cortex-a57 "$work/checkkernel" "$@"
WTE_CPU=neon "$qemu" -cpu max "$work/checkkernel" --cpu neon
