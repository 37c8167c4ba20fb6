#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh - build what the tokenizer benchmark needs, install its peers outside the repository, run it
#
# BUILD names the build folder, WTE_BENCH_DIR (/tmp/wte-bench) the inputs' and peers'. WITH_LLAMA=1
# installs node-llama-cpp, too. See README.md.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
. "$root/bench/build.sh"

build_targets wte_command bench_tokenize make_gpt2
"$here/peers.sh" "$folder" || echo "bench: going on with the peers that are there" >&2
exec python3 "$here/bench.py" --folder "$folder" --wte "$build/wte" \
    --bench-tokenize "$build/bench/bench_tokenize" --make-gpt2 "$build/bench/make_gpt2" "$@"
