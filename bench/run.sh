#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh - build what the benchmark needs and run it; see README.md. BUILD names the build folder.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/bench/build.sh"

build_targets wte_command bench_query make_vectors
exec python3 "$root/bench/bench.py" --wte "$build/wte" --bench-query "$build/bench/bench_query" \
    --make-vectors "$build/bench/make_vectors" "$@"
