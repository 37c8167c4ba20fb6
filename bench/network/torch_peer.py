#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""torch_peer.py - GPT-2 and BERT on torch tensors, inside this one process

    torch_peer.py version
    torch_peer.py gpt2 FOLDER THREADS CASE...
    torch_peer.py bert FOLDER THREADS f32|bf16 CASE...
    torch_peer.py start FOLDER TEXT

CASE is decode:CONTEXT:NEW:N, prefill:TOKENS:N or encode:TOKENS:N, as in bench_network.c, which
prints the same JSON object. The layers are those of transformers' GPT2LMHeadModel and BertModel,
written by hand, so that only torch is needed; the output matrix is multiplied with the last row only.
Nothing that chooses a token is timed.

"start" is what a process has to do for a first token: import, every tensor of the safetensors file
becomes a torch tensor, the words of TEXT are looked up in vocab.json (each has to be one token), one
pass. That is less than transformers does, which imports more, builds a model of random weights and
makes a tokenizer.
"""
import json
import math
import os
import sys
import time


def read_safetensors(torch, folder):
    import numpy
    tensors = {}
    with open(os.path.join(folder, "model.safetensors"), "rb") as f:
        length = int.from_bytes(f.read(8), "little")
        header = json.loads(f.read(length))
        header.pop("__metadata__", None)
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            f.seek(8 + length + begin)
            numbers = numpy.fromfile(f, "<f4", (end - begin) // 4)
            tensors[name.removeprefix("transformer.")] = torch.from_numpy(
                numbers.reshape(entry["shape"]))
    return tensors


def read_config(folder):
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as f:
        return json.load(f)


class GPT2:
    def __init__(self, torch, folder):
        config = read_config(folder)
        self.torch = torch
        self.n_layer, self.n_head = config["n_layer"], config["n_head"]
        self.epsilon = config.get("layer_norm_epsilon", 1e-5)
        self.w = read_safetensors(torch, folder)

    def norm(self, x, name):
        w = self.w[name + ".weight"]
        return self.torch.nn.functional.layer_norm(x, w.shape, w, self.w[name + ".bias"],
                                                   self.epsilon)

    def linear(self, x, name):  # Conv1D
        return self.torch.addmm(self.w[name + ".bias"], x, self.w[name + ".weight"])

    def heads(self, x):
        return x.view(x.shape[0], self.n_head, -1).transpose(0, 1)

    def forward(self, ids, past):
        """ids [T]: the logits of the last, and keys and values of each layer [heads, n, d]."""
        torch = self.torch
        before = past[0][0].shape[1] if past else 0
        n = before + len(ids)
        x = self.w["wte.weight"][ids] + self.w["wpe.weight"][before:n]
        mask = torch.ones(n, n, dtype=torch.bool).tril()[before:] if len(ids) > 1 else None
        present = []
        for layer in range(self.n_layer):
            h = "h.%d." % layer
            q, k, v = map(self.heads, self.linear(
                self.norm(x, h + "ln_1"), h + "attn.c_attn").chunk(3, dim=1))
            if past:
                k = torch.cat((past[layer][0], k), dim=1)
                v = torch.cat((past[layer][1], v), dim=1)
            present.append((k, v))
            a = torch.matmul(q, k.transpose(1, 2)) / math.sqrt(v.shape[-1])
            if mask is not None:
                a = torch.where(mask, a, torch.finfo(a.dtype).min)
            a = torch.matmul(torch.softmax(a, dim=-1), v)
            x = x + self.linear(a.transpose(0, 1).reshape(x.shape), h + "attn.c_proj")
            m = self.linear(self.norm(x, h + "ln_2"), h + "mlp.c_fc")
            m = 0.5 * m * (1 + torch.tanh(math.sqrt(2 / math.pi) * (m + 0.044715 * torch.pow(m, 3))))
            x = x + self.linear(m, h + "mlp.c_proj")
        x = self.norm(x[-1:], "ln_f")
        return torch.matmul(x, self.w["wte.weight"].t())[0], present


class BERT:
    def __init__(self, torch, folder, dtype):
        config = read_config(folder)
        self.torch = torch
        self.n_layer, self.n_head = config["num_hidden_layers"], config["num_attention_heads"]
        self.epsilon = config["layer_norm_eps"]
        self.w = {name: tensor.to(dtype)
                  for name, tensor in read_safetensors(torch, folder).items()}

    def norm(self, x, name):
        w = self.w[name + ".LayerNorm.weight"]
        return self.torch.nn.functional.layer_norm(x, w.shape, w, self.w[name + ".LayerNorm.bias"],
                                                   self.epsilon)

    def linear(self, x, name):
        return self.torch.nn.functional.linear(x, self.w[name + ".weight"], self.w[name + ".bias"])

    def heads(self, x):
        return x.view(x.shape[0], self.n_head, -1).transpose(0, 1)

    def forward(self, ids):
        """ids [T]: hidden states [T, width]."""
        torch, e = self.torch, "embeddings."
        x = self.norm(self.w[e + "word_embeddings.weight"][ids]
                      + self.w[e + "position_embeddings.weight"][:len(ids)]
                      + self.w[e + "token_type_embeddings.weight"][0], "embeddings")
        for layer in range(self.n_layer):
            h = "encoder.layer.%d." % layer
            q, k, v = (self.heads(self.linear(x, h + "attention.self." + name))
                       for name in ("query", "key", "value"))
            a = torch.matmul(q, k.transpose(1, 2)) / math.sqrt(v.shape[-1])
            a = torch.matmul(torch.softmax(a, dim=-1), v).transpose(0, 1).reshape(x.shape)
            x = self.norm(self.linear(a, h + "attention.output.dense") + x, h + "attention.output")
            m = torch.nn.functional.gelu(self.linear(x, h + "intermediate.dense"))
            x = self.norm(self.linear(m, h + "output.dense") + x, h + "output")
        return x


def tokens(torch, begin, n, vocabulary):
    return torch.tensor([(464 + 104729 * i) % (vocabulary - 1) for i in range(begin, begin + n)])


def timed(function):
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def gpt2_case(torch, model, text):
    kind, *numbers = text.split(":")
    numbers = [int(n) for n in numbers]
    vocabulary = model.w["wte.weight"].shape[0]
    prompt = tokens(torch, 0, numbers[0], vocabulary)
    seconds = []
    if kind == "prefill":
        model.forward(prompt, None)
        for _ in range(numbers[1]):
            s, (logits, _) = timed(lambda: model.forward(prompt, None))
            seconds.append(s)
    else:
        _, first = model.forward(prompt, None)

        def decode(n_new):
            past = first
            for i in range(n_new):
                logits, past = model.forward(tokens(torch, numbers[0] + i, 1, vocabulary), past)
            return logits

        decode(2)
        for _ in range(numbers[2]):
            s, logits = timed(lambda: decode(numbers[1]))
            seconds.append(s)
    return {"case": text, "seconds": seconds, "next": int(torch.argmax(logits))}


def bert_case(torch, model, text):
    _, n_tokens, n = text.split(":")
    ids = tokens(torch, 0, int(n_tokens), model.w["embeddings.word_embeddings.weight"].shape[0])
    model.forward(ids)
    seconds = []
    for _ in range(int(n)):
        s, hidden = timed(lambda: model.forward(ids))
        seconds.append(s)
    return {"case": text, "seconds": seconds, "hidden": hidden[-1, :8].float().tolist()}


def blas():
    """The library that multiplies float32 matrices, as the process has it mapped."""
    try:
        with open("/proc/self/maps", encoding="utf-8") as f:
            found = {os.path.basename(line.split()[-1]) for line in f
                     if "blas" in line or "libmkl" in line}
        return ", ".join(sorted(found))
    except OSError:
        return ""


def main():
    kind, *words = sys.argv[1:]
    start = time.perf_counter()
    import torch
    torch.set_grad_enabled(False)
    result = {"torch": torch.__version__, "blas": blas(), "import": time.perf_counter() - start}
    if kind == "start":
        with open(os.path.join(words[0], "vocab.json"), encoding="utf-8") as f:
            vocab = json.load(f)
        parts = words[1].split(" ")
        ids = [vocab[("\u0120" if i else "") + part] for i, part in enumerate(parts)]
        logits, _ = GPT2(torch, words[0]).forward(torch.tensor(ids), None)
        result["next"] = int(torch.argmax(logits))
    elif kind == "gpt2":
        torch.set_num_threads(int(words[1]))
        model = GPT2(torch, words[0])
        result["cases"] = [gpt2_case(torch, model, text) for text in words[2:]]
    elif kind == "bert":
        torch.set_num_threads(int(words[1]))
        model = BERT(torch, words[0], {"f32": torch.float32, "bf16": torch.bfloat16}[words[2]])
        result["cases"] = [bert_case(torch, model, text) for text in words[3:]]
    print(json.dumps(result))


main()
