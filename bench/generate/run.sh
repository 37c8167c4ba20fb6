#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh - build what the generation benchmark needs and run it
#
# BUILD names the build folder, WTE_BENCH_DIR (/tmp/wte-bench) the checkpoint's; WTE_TORCH_PYTHON a
# Python with torch. See README.md.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
. "$root/bench/build.sh"

build_targets bench_generate make_gpt2
model=$folder/gpt2-random
mkdir -p "$model"
if [ ! -f "$model/model.safetensors" ]; then
    "$build/bench/make_gpt2" "$model/model.safetensors.part"
    mv "$model/model.safetensors.part" "$model/model.safetensors"
fi
if [ ! -f "$model/config.json" ]; then
    cat > "$model/config.json" <<'JSON'
{"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "activation_function": "gelu_new",
 "n_ctx": 1024, "n_positions": 1024, "n_embd": 768, "n_head": 12, "n_layer": 12,
 "layer_norm_epsilon": 1e-05, "vocab_size": 50257, "bos_token_id": 50256, "eos_token_id": 50256}
JSON
fi
exec python3 "$here/bench.py" --model "$model" --program "$build/bench/bench_generate" \
    --python "${WTE_TORCH_PYTHON:-/usr/bin/python3}" "$@"
