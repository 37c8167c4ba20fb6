#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh - build what the benchmark of vocabulary matching needs and run it
#
#     run.sh TOKENIZER_FOLDER [QUESTIONS] [options of bench.py]
#
# TOKENIZER_FOLDER holds GPT-2's vocab.json and merges.txt; QUESTIONS analogy questions whose words are
# among the vectors' (../shared/data has both). BUILD names the build folder, WTE_BENCH_DIR
# (/tmp/wte-bench) that of the vectors: 3,000,000 words of one number.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
. "$root/bench/build.sh"

tokenizer=${1:-$root/../shared/data/gpt2}
questions=${2:-$root/../shared/data/questions-words.txt}
[ $# -lt 1 ] || shift
[ $# -lt 1 ] || shift
build_targets bench_match make_vectors
mkdir -p "$folder"
vectors=$folder/words-3000000x1.bin
if [ ! -f "$vectors" ]; then
    "$build/bench/make_vectors" -f bin -r 3000000 -d 1 -q "$questions" -o "$vectors.part"
    mv "$vectors.part" "$vectors"
fi
exec python3 "$here/bench.py" --program "$build/bench/bench_match" --vectors "$vectors" \
    --tokenizer "$tokenizer" "$@"
