# SPDX-License-Identifier: MIT
"""gguf.py - write a GPT-2 checkpoint as GGUF, so that llama.cpp can be measured on the same weights

    gguf.py FOLDER OUT.gguf f32|f16|q8_0

FOLDER holds model.safetensors (F32, F16 or BF16), config.json, vocab.json and merges.txt.

Linear layers are transposed: GGUF has them [out, in]. Vectors and the position embedding stay
float32, as llama.cpp's own converter leaves them; the other matrices get the type that was asked
for. There is no output.weight: GPT-2's is the token embedding.

Q8_0: blocks of 32 numbers of a row: d = largest magnitude / 127 as float16, then round(x / d) as
int8, halves away from zero. As ggml does it, the division is by d before it was rounded to float16.

The file: see ../tokenizers/gguf.py for the entries; then for each tensor its name, the number of
dimensions (uint32), their sizes (uint64, the fastest first), type (uint32) and place (uint64) in
the data, which begins at the next multiple of 32, as each tensor does.
"""
import importlib.util
import json
import os
import struct
import sys

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
spec = importlib.util.spec_from_file_location(
    "vocabulary_gguf", os.path.join(HERE, "..", "tokenizers", "gguf.py"))
gguf = importlib.util.module_from_spec(spec)
spec.loader.exec_module(gguf)

ALIGNMENT = 32
TYPES = {"f32": 0, "f16": 1, "q8_0": 8}
FILE_TYPES = {"f32": 0, "f16": 1, "q8_0": 7}
TOP = {"wte": "token_embd", "wpe": "position_embd", "ln_f": "output_norm"}
BLOCK = {"ln_1": "attn_norm", "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output",
         "ln_2": "ffn_norm", "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down"}


def read_safetensors(path):
    """Names and arrays, mapped; float32 is not copied."""
    data = np.memmap(path, dtype=np.uint8, mode="r")
    length = int.from_bytes(bytes(data[:8]), "little")
    header = json.loads(bytes(data[8:8 + length]))
    for name, t in header.items():
        if name == "__metadata__":
            continue
        begin, end = (8 + length + x for x in t["data_offsets"])
        raw = data[begin:end]
        if t["dtype"] == "BF16":
            array = (raw.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
        else:
            array = raw.view({"F32": np.float32, "F16": np.float16}[t["dtype"]])
        yield name.removeprefix("transformer."), array.reshape(t["shape"])


def gguf_name(name):
    """llama.cpp's name, or None for what is no weight of its own."""
    stem, _, kind = name.rpartition(".")
    if stem in TOP:
        return "%s.%s" % (TOP[stem], kind)
    if stem.startswith("h."):
        _, layer, part = stem.split(".", 2)
        if part in BLOCK:
            return "blk.%s.%s.%s" % (layer, BLOCK[part], kind)
    return None


def q8_0(x):
    """[rows, columns] as blocks."""
    blocks = x.reshape(-1, 32)
    d = np.abs(blocks).max(axis=1, keepdims=True) / np.float32(127)
    inverse = np.divide(np.float32(1), d, out=np.zeros_like(d), where=d != 0)
    scaled = blocks * inverse
    codes = np.trunc(scaled + np.copysign(np.float32(0.5), scaled)).astype(np.int8)
    return np.concatenate([d.astype(np.float16).view(np.int8), codes], axis=1).tobytes()


def encode(name, array, kind):
    """Type and bytes of a tensor."""
    array = np.ascontiguousarray(array, dtype=np.float32)
    if array.ndim == 1 or name.startswith("position_embd"):
        kind = "f32"
    if kind == "q8_0":
        return TYPES[kind], q8_0(array)
    return TYPES[kind], array.astype({"f32": np.float32, "f16": np.float16}[kind]).tobytes()


def write(folder, path, kind):
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as f:
        config = json.load(f)
    infos, n, place, inner, width = [], 0, 0, 0, config["n_embd"]
    with open(path + ".data", "w+b") as data:
        for name, array in read_safetensors(os.path.join(folder, "model.safetensors")):
            name = gguf_name(name)
            if name is None:
                continue
            if array.ndim == 2 and name.startswith("blk."):
                array = array.T
            if name == "blk.0.ffn_up.weight":
                inner = array.shape[0]
            number, encoded = encode(name, array, kind)
            infos.append(gguf.text(name) + struct.pack("<I", array.ndim)
                         + struct.pack("<%dQ" % array.ndim, *reversed(array.shape))
                         + struct.pack("<IQ", number, place))
            data.write(encoded + bytes(-len(encoded) % ALIGNMENT))
            place = data.tell()
            n += 1
        entries = [
            gguf.entry("general.architecture", gguf.STRING, gguf.text("gpt2")),
            gguf.entry("general.name", gguf.STRING, gguf.text(os.path.basename(folder))),
            gguf.entry("general.file_type", gguf.UINT32, struct.pack("<I", FILE_TYPES[kind])),
            gguf.entry("general.quantization_version", gguf.UINT32, struct.pack("<I", 2)),
        ] + gguf.shape(config.get("n_positions", 1024), width, inner, config["n_layer"],
                       config["n_head"], config.get("layer_norm_epsilon", 1e-5)) \
          + gguf.vocabulary(folder)
        head = gguf.header(n, entries) + b"".join(infos)
        with open(path + ".tmp", "wb") as out:
            out.write(head + bytes(-len(head) % ALIGNMENT))
            data.seek(0)
            while chunk := data.read(1 << 24):
                out.write(chunk)
    os.remove(path + ".data")
    os.replace(path + ".tmp", path)


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[3] not in TYPES:
        sys.exit("usage: gguf.py FOLDER OUT.gguf f32|f16|q8_0")
    write(os.path.normpath(sys.argv[1]), sys.argv[2], sys.argv[3])
