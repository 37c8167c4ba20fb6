# SPDX-License-Identifier: MIT
"""gguf.py - write GPT-2's vocabulary as a GGUF file without tensors, which llama.cpp can open

The file: "GGUF", version 3 (uint32), the number of tensors and of metadata entries (uint64), then the
entries: a key (uint64 length, bytes), a type (uint32), the value. Strings are a uint64 length and
bytes; an array is the type of its members, their number (uint64), the members. Little-endian.
"""
import json
import os
import struct

UINT32, FLOAT32, STRING, ARRAY, INT32 = 4, 6, 8, 9, 5


def text(s):
    data = s.encode()
    return struct.pack("<Q", len(data)) + data


def entry(key, kind, value):
    return text(key) + struct.pack("<I", kind) + value


def strings(key, values):
    return entry(key, ARRAY, struct.pack("<IQ", STRING, len(values)) + b"".join(map(text, values)))


def vocabulary(folder):
    """The entries that hold the vocabulary."""
    with open(os.path.join(folder, "vocab.json"), encoding="utf-8") as f:
        vocab = json.load(f)
    with open(os.path.join(folder, "merges.txt"), encoding="utf-8") as f:
        merges = [line for line in f.read().split("\n") if line and not line.startswith("#version")]
    tokens = sorted(vocab, key=vocab.get)
    end = vocab["<|endoftext|>"]
    types = [3 if t == "<|endoftext|>" else 1 for t in tokens]  # 3 is a control token
    return [
        entry("tokenizer.ggml.model", STRING, text("gpt2")),
        entry("tokenizer.ggml.pre", STRING, text("gpt-2")),
        strings("tokenizer.ggml.tokens", tokens),
        entry("tokenizer.ggml.token_type", ARRAY, struct.pack("<IQ", INT32, len(types))
              + struct.pack("<%di" % len(types), *types)),
        strings("tokenizer.ggml.merges", merges),
        entry("tokenizer.ggml.bos_token_id", UINT32, struct.pack("<I", end)),
        entry("tokenizer.ggml.eos_token_id", UINT32, struct.pack("<I", end)),
    ]


def shape(context, width, inner, layers, heads, epsilon):
    """The entries that say how large the model is."""
    number = struct.Struct("<I").pack
    return [
        entry("gpt2.context_length", UINT32, number(context)),
        entry("gpt2.embedding_length", UINT32, number(width)),
        entry("gpt2.feed_forward_length", UINT32, number(inner)),
        entry("gpt2.block_count", UINT32, number(layers)),
        entry("gpt2.attention.head_count", UINT32, number(heads)),
        entry("gpt2.attention.layer_norm_epsilon", FLOAT32, struct.pack("<f", epsilon)),
    ]


def header(n_tensors, entries):
    return b"GGUF" + struct.pack("<IQQ", 3, n_tensors, len(entries)) + b"".join(entries)


def write(folder, path):
    entries = [
        entry("general.architecture", STRING, text("gpt2")),
        entry("general.name", STRING, text("gpt2 vocabulary")),
    ] + shape(1024, 768, 3072, 12, 12, 1e-5) + vocabulary(folder)
    with open(path, "wb") as f:
        f.write(header(0, entries))
