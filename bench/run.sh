#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh - build what the benchmark needs and run it; see README.md. BUILD names the build folder.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
build=${BUILD:-$root/build/release}

command -v python3 >/dev/null || { echo "bench: python3 not found (Debian: python3)" >&2; exit 1; }
cmake -S "$root" -B "$build" -DCMAKE_BUILD_TYPE=Release >/dev/null
cmake --build "$build" -j"$(nproc)" --target wte_command bench_query make_vectors >/dev/null
exec python3 "$root/bench/bench.py" --wte "$build/wte" --bench-query "$build/bench/bench_query" \
    --make-vectors "$build/bench/make_vectors" "$@"
