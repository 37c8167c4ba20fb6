# SPDX-License-Identifier: MIT
# build.sh - read by the run.sh of each benchmark: where things are, and how programs are built
#
# Wants root; sets build and folder, which BUILD and WTE_BENCH_DIR name.
build=${BUILD:-$root/build/release}
folder=${WTE_BENCH_DIR:-/tmp/wte-bench}
export WTE_CACHE="$folder/cache" # what is kept is not the user's

command -v python3 >/dev/null || { echo "bench: python3 not found (Debian: python3)" >&2; exit 1; }

# build_targets TARGET... - build them for speed
build_targets()
{
    cmake -S "$root" -B "$build" -DCMAKE_BUILD_TYPE=Release >/dev/null
    cmake --build "$build" -j"$(nproc)" --target "$@" >/dev/null
}
