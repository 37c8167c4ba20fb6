#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Make the small models of this folder: a GPT-2, a BERT and the GPT-2 as a GGUF file, a few kilobytes.

Vocabularies and merges are written by hand below, weights are numbers that can be checked in the
head: element i of a tensor is ((7 * i + 3 * len(name)) mod 17 - 8) / 8. Run it in this folder."""
import json
import os
import struct

MERGES = ["Ġ t", "h e", "Ġt he", "o r", "or y", "Ġthe ory", "t he", "i e", "ie s", "or ies", "o f",
          "Ġ of", "Ġthe ories"]
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "theory", "of", "re", "##lat", "##iv",
         "##ity", "##ities", "is", "king", "queen", "a", "##s", ".", "!"]


def letters():
    """GPT-2's alphabet: a printable character for each byte."""
    keep = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(b) for b in keep] + [chr(256 + i) for i in range(256 - len(keep))]


def write(path, tensors):
    header, place, data = {"__metadata__": {"format": "pt"}}, 0, b""
    for name, shape in tensors:
        n = 1
        for d in shape:
            n *= d
        data += struct.pack("<%df" % n, *values(name, n))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [place, place + 4 * n]}
        place += 4 * n
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def dump(path, value):
    with open(path, "w", encoding="utf-8") as f:
        json.dump(value, f, ensure_ascii=False, indent=1)
        f.write("\n")


def values(name, n):
    return [((7 * i + 3 * len(name)) % 17 - 8) / 8 for i in range(n)]


def gguf(path, d=4, n_ctx=8):
    """The model of gpt2(): token embeddings, position embeddings and the last norm, with the tokenizer."""
    tokens = gpt2_tokens()
    text = lambda t: struct.pack("<Q", len(t.encode())) + t.encode()
    number = lambda n: struct.pack("<II", 4, n)
    strings = lambda items: struct.pack("<IIQ", 9, 8, len(items)) + b"".join(map(text, items))
    types = [1] * (len(tokens) - 1) + [3]
    entries = {
        "general.architecture": struct.pack("<I", 8) + text("gpt2"),
        "gpt2.context_length": number(n_ctx), "gpt2.embedding_length": number(d),
        "gpt2.block_count": number(0), "gpt2.attention.head_count": number(2),
        "tokenizer.ggml.model": struct.pack("<I", 8) + text("gpt2"),
        "tokenizer.ggml.pre": struct.pack("<I", 8) + text("gpt-2"),
        "tokenizer.ggml.tokens": strings(tokens), "tokenizer.ggml.merges": strings(MERGES),
        "tokenizer.ggml.token_type": struct.pack("<IIQ%di" % len(types), 9, 5, len(types), *types),
        "tokenizer.ggml.eos_token_id": number(len(tokens) - 1)}
    tensors = [("token_embd.weight", "transformer.wte.weight", [len(tokens), d]),
               ("position_embd.weight", "transformer.wpe.weight", [n_ctx, d]),
               ("output_norm.weight", "transformer.ln_f.weight", [d]),
               ("output_norm.bias", "transformer.ln_f.bias", [d])]
    out = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(entries))
    for key, value in entries.items():
        out += text(key) + value
    data = b""
    for name, original, shape in tensors:
        data += bytes(-len(data) % 32)
        sizes = shape[::-1]
        n = shape[0] * (shape[1] if len(shape) > 1 else 1)
        out += text(name) + struct.pack("<I%dQIQ" % len(sizes), len(sizes), *sizes, 0, len(data))
        data += struct.pack("<%df" % n, *values(original, n))
    out += bytes(-len(out) % 32)
    with open(path, "wb") as f:
        f.write(out + data + bytes(-len(data) % 32))


def gpt2_tokens():
    return letters() + [m.replace(" ", "") for m in MERGES] + ["<|endoftext|>"]


def gpt2(folder, n_embd=4, n_ctx=8):
    os.makedirs(folder, exist_ok=True)
    tokens = gpt2_tokens()
    with open(folder + "/vocab.json", "w", encoding="utf-8") as f:
        json.dump({t: i for i, t in enumerate(tokens)}, f, ensure_ascii=False)
    with open(folder + "/merges.txt", "w", encoding="utf-8") as f:
        f.write("#version: 0.2\n" + "\n".join(MERGES) + "\n")
    dump(folder + "/config.json", {
        "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_embd": n_embd, "n_layer": 1,
        "n_head": 2, "n_positions": n_ctx, "n_ctx": n_ctx, "vocab_size": len(tokens),
        "layer_norm_epsilon": 1e-05, "activation_function": "gelu_new", "embd_pdrop": 0.1,
        "attn_pdrop": 0.1, "resid_pdrop": 0.1})
    d = n_embd
    write(folder + "/model.safetensors", [
        ("transformer.wte.weight", [len(tokens), d]), ("transformer.wpe.weight", [n_ctx, d]),
        ("transformer.h.0.ln_1.weight", [d]), ("transformer.h.0.ln_1.bias", [d]),
        ("transformer.h.0.attn.c_attn.weight", [d, 3 * d]), ("transformer.h.0.attn.c_attn.bias", [3 * d]),
        ("transformer.h.0.attn.c_proj.weight", [d, d]), ("transformer.h.0.attn.c_proj.bias", [d]),
        ("transformer.h.0.ln_2.weight", [d]), ("transformer.h.0.ln_2.bias", [d]),
        ("transformer.h.0.mlp.c_fc.weight", [d, 4 * d]), ("transformer.h.0.mlp.c_fc.bias", [4 * d]),
        ("transformer.h.0.mlp.c_proj.weight", [4 * d, d]), ("transformer.h.0.mlp.c_proj.bias", [d]),
        ("transformer.ln_f.weight", [d]), ("transformer.ln_f.bias", [d])])


def bert(folder, d=4, inner=8, n_ctx=8):
    os.makedirs(folder, exist_ok=True)
    with open(folder + "/vocab.txt", "w", encoding="utf-8") as f:
        f.write("\n".join(WORDS) + "\n")
    dump(folder + "/config.json", {
        "architectures": ["BertForPreTraining"], "model_type": "bert", "hidden_size": d,
        "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": inner,
        "max_position_embeddings": n_ctx, "type_vocab_size": 2, "vocab_size": len(WORDS),
        "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1,
        "layer_norm_eps": 1e-12, "pad_token_id": 0})
    tensors = [("embeddings.word_embeddings.weight", [len(WORDS), d]),
               ("embeddings.position_embeddings.weight", [n_ctx, d]),
               ("embeddings.token_type_embeddings.weight", [2, d]),
               ("embeddings.LayerNorm.gamma", [d]), ("embeddings.LayerNorm.beta", [d])]
    layer = "encoder.layer.0."
    for name, shape in [("attention.self.query", [d, d]), ("attention.self.key", [d, d]),
                        ("attention.self.value", [d, d]), ("attention.output.dense", [d, d]),
                        ("intermediate.dense", [inner, d]), ("output.dense", [d, inner])]:
        tensors += [(layer + name + ".weight", shape), (layer + name + ".bias", shape[:1])]
    for name in ("attention.output", "output"):
        tensors += [(layer + name + ".LayerNorm.gamma", [d]), (layer + name + ".LayerNorm.beta", [d])]
    tensors += [("pooler.dense.weight", [d, d]), ("pooler.dense.bias", [d])]
    heads = [("cls.predictions.bias", [len(WORDS)]), ("cls.predictions.transform.dense.weight", [d, d]),
             ("cls.predictions.transform.dense.bias", [d]),
             ("cls.predictions.transform.LayerNorm.gamma", [d]),
             ("cls.predictions.transform.LayerNorm.beta", [d]),
             ("cls.predictions.decoder.weight", [len(WORDS), d]),
             ("cls.seq_relationship.weight", [2, d]), ("cls.seq_relationship.bias", [2])]
    write(folder + "/model.safetensors", [("bert." + n, s) for n, s in tensors] + heads)


gpt2("gpt2")
gguf("gpt2.gguf")
bert("bert")
