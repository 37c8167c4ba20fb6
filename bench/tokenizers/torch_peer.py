#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""torch_peer.py - the notebook's nearest token with torch, as a whole process

    torch_peer.py version
    torch_peer.py nearest FOLDER WORD

"nearest" imports, loads the checkpoint, tokenises the word, and finds the token with the nearest
embedding, Euclidean and cosine, the word itself left out. Where transformers can be imported it is
used: AutoTokenizer and GPT2Model.from_pretrained. Without it the steps are done by hand, and fewer of
them: every tensor of the safetensors file becomes a torch tensor, and the word, which has to be one
token, is looked up in vocab.json. Without transformers the process therefore does less than the
original does. Prints one JSON object.
"""
import json
import os
import sys
import time


def load_by_hand(torch, folder):
    import numpy
    with open(os.path.join(folder, "vocab.json"), encoding="utf-8") as f:
        vocab = json.load(f)
    path = os.path.join(folder, "model.safetensors")
    with open(path, "rb") as f:
        length = int.from_bytes(f.read(8), "little")
        header = json.loads(f.read(length))
        header.pop("__metadata__", None)
        state = {}
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            f.seek(8 + length + begin)
            numbers = numpy.fromfile(f, "<f4", (end - begin) // 4)
            state[name] = torch.from_numpy(numbers.reshape(entry["shape"]))
    return state["wte.weight"], lambda word: [vocab[word.replace(" ", "\u0120")]]


def load(torch, folder):
    try:
        from transformers import AutoTokenizer, GPT2Model
    except ImportError:
        return load_by_hand(torch, folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return GPT2Model.from_pretrained(folder).wte.weight, tokenizer.encode


def main():
    start = time.perf_counter()
    import torch
    try:
        import transformers
        version = transformers.__version__
    except ImportError:
        version = None
    result = {"torch": torch.__version__, "transformers": version,
              "import": time.perf_counter() - start}
    if sys.argv[1] == "nearest":
        with torch.no_grad():
            matrix, encode = load(torch, sys.argv[2])
            (i,) = encode(sys.argv[3])
            distance = torch.norm(matrix - matrix[i], dim=1)
            distance[i] = float("inf")
            similarity = torch.nn.functional.cosine_similarity(matrix, matrix[i:i + 1])
            similarity[i] = -1
            result["euclidean"] = int(torch.argmin(distance))
            result["cosine"] = int(torch.argmax(similarity))
    print(json.dumps(result))


main()
