#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make_bert.py - a checkpoint of BERT's shape with random weights, for the benchmark

    make_bert.py FOLDER

Writes config.json and model.safetensors of BERT-base: 12 layers, 768 wide, 12 heads, 30522 tokens,
no head; 438 MB. Matrices are normal with a standard deviation of 0.02, as BERT's are initialised,
biases 0, gains 1; a fixed seed. Needs numpy.
"""
import json
import os
import sys

import numpy as np

LAYERS, WIDTH, INNER, VOCABULARY, POSITIONS, TYPES = 12, 768, 3072, 30522, 512, 2
CONFIG = {"architectures": ["BertModel"], "model_type": "bert", "hidden_act": "gelu",
          "hidden_size": WIDTH, "intermediate_size": INNER, "layer_norm_eps": 1e-12,
          "max_position_embeddings": POSITIONS, "num_attention_heads": 12,
          "num_hidden_layers": LAYERS, "pad_token_id": 0, "position_embedding_type": "absolute",
          "type_vocab_size": TYPES, "vocab_size": VOCABULARY}


def shapes():
    def norm(name):
        return [(name + ".LayerNorm.weight", (WIDTH,)), (name + ".LayerNorm.bias", (WIDTH,))]

    def linear(name, inputs, outputs):
        return [(name + ".weight", (outputs, inputs)), (name + ".bias", (outputs,))]

    out = [("embeddings.word_embeddings.weight", (VOCABULARY, WIDTH)),
           ("embeddings.position_embeddings.weight", (POSITIONS, WIDTH)),
           ("embeddings.token_type_embeddings.weight", (TYPES, WIDTH))] + norm("embeddings")
    for i in range(LAYERS):
        layer = "encoder.layer.%d." % i
        for part in ("query", "key", "value"):
            out += linear(layer + "attention.self." + part, WIDTH, WIDTH)
        out += linear(layer + "attention.output.dense", WIDTH, WIDTH)
        out += norm(layer + "attention.output")
        out += linear(layer + "intermediate.dense", WIDTH, INNER)
        out += linear(layer + "output.dense", INNER, WIDTH) + norm(layer + "output")
    return out + linear("pooler.dense", WIDTH, WIDTH)


def main():
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    header, place = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in shapes():
        end = place + 4 * int(np.prod(shape))
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [place, end]}
        place = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    random = np.random.default_rng(20240229)
    path = os.path.join(folder, "model.safetensors")
    with open(path + ".part", "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text)
        for name, shape in shapes():
            if len(shape) == 2:
                numbers = random.standard_normal(shape, dtype=np.float32) * np.float32(0.02)
            else:
                numbers = np.full(shape, name.endswith("LayerNorm.weight"), dtype=np.float32)
            f.write(numbers.tobytes())
    os.replace(path + ".part", path)
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as f:
        json.dump(CONFIG, f, indent=1)


main()
