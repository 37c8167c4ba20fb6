#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""torch_peer.py - generate() on torch tensors, as a whole process

    torch_peer.py version
    torch_peer.py run FOLDER THREADS NEW CASE...

The steps that transformers' GPT2LMHeadModel, greedy_search and beam_search take, by hand, so that
only torch is needed: keys and values of earlier tokens are kept and concatenated, a beam search
takes log-softmax, adds the beams' scores, takes the best 2 * B candidates of B * V with topk and
reorders the cache with index_select. There is no EOS, so that all have the same length. Sampling has
transformers' warpers of the same name. Checks of arguments, stopping criteria and the output
classes are left out: this does less than generate() does.

Cases: greedy, beam4, batch8, sample, all-on (repetition penalty, temperature, top-k, top-p, typical).
The checkpoint is loaded and two tokens are generated before the clock starts. Prints a JSON object
a line, as bench_generate does.
"""
import json
import math
import os
import sys
import time

import numpy
import torch

PROMPT, BATCH = 16, 8


def prompt(i):
    return [(464 + 7919 * i + 104729 * j) % 50256 for j in range(PROMPT)]


class GPT2:
    def __init__(self, folder):
        with open(os.path.join(folder, "config.json"), encoding="utf-8") as f:
            config = json.load(f)
        self.n_layer, self.n_head = config["n_layer"], config["n_head"]
        self.epsilon = config.get("layer_norm_epsilon", 1e-5)
        with open(os.path.join(folder, "model.safetensors"), "rb") as f:
            length = int.from_bytes(f.read(8), "little")
            header = json.loads(f.read(length))
            header.pop("__metadata__", None)
            self.w = {}
            for name, entry in header.items():
                begin, end = entry["data_offsets"]
                f.seek(8 + length + begin)
                numbers = numpy.fromfile(f, "<f4", (end - begin) // 4)
                self.w[name.removeprefix("transformer.")] = torch.from_numpy(
                    numbers.reshape(entry["shape"]))

    def norm(self, x, name):
        w = self.w[name + ".weight"]
        return torch.nn.functional.layer_norm(x, w.shape, w, self.w[name + ".bias"], self.epsilon)

    def linear(self, x, name):  # Conv1D: addmm
        w = self.w[name + ".weight"]
        y = torch.addmm(self.w[name + ".bias"], x.reshape(-1, x.shape[-1]), w)
        return y.view(*x.shape[:-1], w.shape[1])

    def split(self, x):
        return x.view(x.shape[0], x.shape[1], self.n_head, -1).permute(0, 2, 1, 3)

    def forward(self, ids, past):
        """ids [B, T]; logits of the last position [B, V], and the cache."""
        before = past[0][0].shape[2] if past else 0
        x = self.w["wte.weight"][ids] + self.w["wpe.weight"][before:before + ids.shape[1]]
        present = []
        for layer in range(self.n_layer):
            h = "h.%d." % layer
            q, k, v = (self.split(t) for t in
                       self.linear(self.norm(x, h + "ln_1"), h + "attn.c_attn").chunk(3, dim=2))
            if past:
                k = torch.cat((past[layer][0], k), dim=2)
                v = torch.cat((past[layer][1], v), dim=2)
            present.append((k, v))
            a = torch.matmul(q, k.transpose(-1, -2)) / math.sqrt(v.shape[-1])
            if ids.shape[1] > 1:
                n = k.shape[2]
                mask = torch.ones(n, n, dtype=torch.bool).tril()[n - ids.shape[1]:]
                a = torch.where(mask, a, torch.finfo(a.dtype).min)
            a = torch.matmul(torch.softmax(a, dim=-1), v)
            a = a.permute(0, 2, 1, 3).contiguous().view(x.shape)
            x = x + self.linear(a, h + "attn.c_proj")
            m = self.linear(self.norm(x, h + "ln_2"), h + "mlp.c_fc")
            m = 0.5 * m * (1 + torch.tanh(math.sqrt(2 / math.pi) * (m + 0.044715 * torch.pow(m, 3))))
            x = x + self.linear(m, h + "mlp.c_proj")
        x = self.norm(x, "ln_f")
        return torch.matmul(x[:, -1], self.w["wte.weight"].t()), present


def warp(scores, ids):
    """Repetition penalty, temperature, top-k, top-p, typical, as transformers' classes do them."""
    minus = -float("inf")
    seen = torch.gather(scores, 1, ids)
    scores = scores.scatter(1, ids, torch.where(seen < 0, seen * 1.1, seen / 1.1))
    scores = scores / 0.9
    scores = scores.masked_fill(scores < torch.topk(scores, 200)[0][..., -1, None], minus)
    values, places = torch.sort(scores, descending=False)
    remove = values.softmax(dim=-1).cumsum(dim=-1) <= 1 - 0.95
    remove[..., -1:] = 0
    scores = scores.masked_fill(remove.scatter(1, places, remove), minus)
    logs = torch.log_softmax(scores, dim=-1)
    entropy = -(logs * logs.exp()).nansum(-1, keepdim=True)
    values, places = torch.sort(torch.abs(-logs - entropy), descending=False)
    mass = scores.gather(-1, places).softmax(dim=-1).cumsum(dim=-1)
    last = (mass < 0.95).sum(dim=1).clamp(max=scores.shape[-1] - 1)
    remove = values > values.gather(1, last.view(-1, 1))
    return scores.masked_fill(remove.scatter(1, places, remove), minus)


def search(model, prompts, n_new, sample=False, warped=False):
    """Greedy search, or sampling."""
    ids = torch.tensor(prompts)
    past, fed = None, ids
    for _ in range(n_new):
        logits, past = model.forward(fed, past)
        if sample:
            scores = warp(logits, ids) if warped else logits
            fed = torch.multinomial(torch.softmax(scores, dim=-1), num_samples=1)
        else:
            fed = torch.argmax(logits, dim=-1)[:, None]
        ids = torch.cat([ids, fed], dim=-1)
    return ids[:, len(prompts[0]):].tolist()


def beam_search(model, prompts, n_new, n_beams):
    ids = torch.tensor(prompts).repeat_interleave(n_beams, dim=0)
    sums = torch.full((len(prompts), n_beams), -1e9)
    sums[:, 0] = 0
    sums = sums.view(-1)
    past, fed = None, ids
    for _ in range(n_new):
        logits, past = model.forward(fed, past)
        scores = torch.log_softmax(logits, dim=-1) + sums[:, None]
        size = scores.shape[-1]
        scores = scores.view(len(prompts), n_beams * size)
        best, places = torch.topk(scores, 2 * n_beams, dim=1, largest=True, sorted=True)
        beams = torch.div(places, size, rounding_mode="floor")
        tokens = places % size
        # what the scorer keeps where nothing ends: the first n_beams of each prompt
        sums = best[:, :n_beams].reshape(-1)
        row = (beams[:, :n_beams] + torch.arange(len(prompts))[:, None] * n_beams).reshape(-1)
        fed = tokens[:, :n_beams].reshape(-1, 1)
        ids = torch.cat([ids[row], fed], dim=-1)
        past = [tuple(t.index_select(0, row) for t in layer) for layer in past]
    return ids[::n_beams, len(prompts[0]):].tolist()


def run(model, case, n_new):
    one, all8 = [prompt(0)], [prompt(i) for i in range(BATCH)]
    if case == "beam4":
        return beam_search(model, one, n_new, 4)
    return search(model, all8 if case == "batch8" else one, n_new,
                  case in ("sample", "all-on"), case == "all-on")


def main():
    if sys.argv[1] == "version":
        print(json.dumps({"torch": torch.__version__}))
        return
    model = GPT2(sys.argv[2])
    torch.set_num_threads(int(sys.argv[3]))
    n_new = int(sys.argv[4])
    with torch.no_grad():
        for case in sys.argv[5:]:
            run(model, case, 2)
            start = time.perf_counter()
            ids = run(model, case, n_new)
            seconds = time.perf_counter() - start
            print(json.dumps({"case": case, "seconds": seconds, "tokens": sum(map(len, ids)),
                              "ids": ids}), flush=True)


main()
