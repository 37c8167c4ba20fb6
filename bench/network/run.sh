#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh - build what the network benchmark needs and run it
#
# BUILD names the build folder, WTE_BENCH_DIR (/tmp/wte-bench) the checkpoints' and peers'.
# WITH_LLAMA=1 installs node-llama-cpp outside the repository; WTE_TORCH_PYTHON names a Python with
# torch and numpy. See README.md.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
. "$root/bench/build.sh"

build_targets wte_command bench_network make_gpt2
if [ "${WITH_LLAMA:-0}" = 1 ]; then
    "$root/bench/tokenizers/peers.sh" "$folder" ||
        echo "bench: going on with the peers that are there" >&2
fi
exec python3 "$here/bench.py" --folder "$folder" --wte "$build/wte" \
    --bench-network "$build/bench/bench_network" --make-gpt2 "$build/bench/make_gpt2" "$@"
