#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""evaluate_vectors.py - score a wte-space file with gensim's own evaluations

The scores in models/demo/README.md come from here: the file is read back as it is
stored (float16, the shipped words only), put into a gensim KeyedVectors, and judged by

  evaluate_word_analogies  questions-words.txt, Mikolov et al. 2013, arXiv:1301.3781:
                           19544 questions a : b :: c : d, right if d is the nearest
                           cosine to b - a + c (unit vectors) with a, b, c left out.
                           gensim skips a question with an unknown word, so a line says
                           how many were asked; an accuracy without it means little.
  evaluate_word_pairs      Spearman's rank correlation with human judgement over
                           WordSim-353 (relatedness) and SimLex-999 (similarity),
                           over the pairs whose two words are known.

The reader checks the layout as strictly as a hostile file would need, because it is also
the check that train_vectors.py wrote what it meant to. Layout, little-endian:

  0        u64   n, length of the JSON header
  8        n B   {"__metadata__": {...}, "vectors": ..., "word_offsets": ..., "words": ...}
                 padded with spaces so that 8 + n is a multiple of 64
  8 + n          vectors       F16 [rows, columns]  columns >= dim, zeros after dim;
                                                    a row is a multiple of 64 bytes
                 word_offsets  U64 [rows + 1]       byte range of word i in words
                 words         U8  [bytes]          UTF-8, no separator

Needs Debian's python3-gensim (4.2). The same file is a plain safetensors file.
"""

import argparse
import json
import logging
import struct
import sys

import numpy as np

DATA = "../shared/data"
ALIGN = 64
DTYPES = {"F16": np.dtype("<f2"), "U64": np.dtype("<u8"), "U8": np.dtype("u1")}


def read_space(path):
    """Return (metadata, words, vectors float32 [rows, dim]); ValueError if malformed."""
    with open(path, "rb") as f:
        blob = f.read()
    (n,) = struct.unpack_from("<Q", blob)
    start = 8 + n
    if start > len(blob) or start % ALIGN:
        raise ValueError(f"{path}: header ends at {start}, not on a multiple of {ALIGN}")
    header = json.loads(blob[8:start].decode("utf-8"))
    meta = header.pop("__metadata__")
    if (meta["format"], meta["version"]) != ("wte-space", "1"):
        raise ValueError(f"{path}: {meta['format']} {meta['version']}, expected wte-space 1")

    # safetensors allows neither a hole nor an overlap, so the ends must meet in order.
    at, tensors = 0, {}
    for name, t in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, end = t["data_offsets"]
        dtype, count = DTYPES[t["dtype"]], int(np.prod(t["shape"]))
        if begin != at or end - begin != count * dtype.itemsize or begin % dtype.itemsize:
            raise ValueError(f"{path}: {name} at {begin}..{end}, expected to begin at {at}")
        raw = np.frombuffer(blob, dtype, count, start + begin)
        tensors[name], at = raw.reshape(t["shape"]), end
    if start + at != len(blob):
        raise ValueError(f"{path}: {len(blob)} bytes, the tensors end at {start + at}")

    vectors, offsets = tensors["vectors"], tensors["word_offsets"]
    rows, dim = int(meta["rows"]), int(meta["dim"])
    if vectors.shape[0] != rows or vectors.shape[1] < dim or offsets.shape != (rows + 1,):
        raise ValueError(f"{path}: vectors {vectors.shape}, expected [{rows}, >= {dim}]")
    if vectors.strides[0] % ALIGN or vectors[:, dim:].any():
        raise ValueError(f"{path}: rows are not zero-padded to {ALIGN} bytes")
    if not np.isfinite(vectors).all():
        raise ValueError(f"{path}: a vector is not finite")
    if offsets[0] != 0 or offsets[-1] != tensors["words"].size or (np.diff(offsets.astype(np.int64)) <= 0).any():
        raise ValueError(f"{path}: word_offsets do not rise from 0 to {tensors['words'].size}")
    text = tensors["words"].tobytes()
    words = [text[a:b].decode("utf-8") for a, b in zip(offsets[:-1], offsets[1:])]
    if len(set(words)) != rows:
        raise ValueError(f"{path}: {rows - len(set(words))} words stand twice")
    return meta, words, vectors[:, :dim].astype(np.float32)


def load_space(path):
    """Return the file as a gensim KeyedVectors, rows in file order."""
    from gensim.models import KeyedVectors

    meta, words, vectors = read_space(path)
    kv = KeyedVectors(vectors.shape[1], count=0, dtype=np.float32)
    kv.add_vectors(words, vectors)
    kv.metadata = meta
    return kv


def first_words(kv, n):
    """Return the first n words of a KeyedVectors as one of their own."""
    part = type(kv)(kv.vector_size, count=0, dtype=np.float32)
    part.add_vectors(kv.index_to_key[:n], kv.vectors[:n])
    return part


def evaluate(kv, data=DATA):
    """Return the scores of a KeyedVectors as a dict; `sections` holds [correct, asked]."""
    _, sections = kv.evaluate_word_analogies(f"{data}/questions-words.txt", restrict_vocab=len(kv))
    counts = {s["section"]: [len(s["correct"]), len(s["correct"]) + len(s["incorrect"])] for s in sections}
    correct, asked = counts.pop("Total accuracy")
    scores = {"rows": len(kv), "dim": kv.vector_size, "correct": correct, "asked": asked,
              "analogies": correct / asked, "sections": counts}
    grammar = [v for k, v in counts.items() if k.startswith("gram")]
    meaning = [v for k, v in counts.items() if not k.startswith("gram")]
    for name, group in (("semantic", meaning), ("syntactic", grammar)):
        scores[name] = [sum(c for c, _ in group), sum(n for _, n in group)]
    for name, pairs in (("wordsim353", "wordsim353.tsv"), ("simlex999", "simlex999.txt")):
        n = sum(1 for line in open(f"{data}/{pairs}", encoding="utf-8") if line.strip() and line[0] != "#")
        _, spearman, oov = kv.evaluate_word_pairs(f"{data}/{pairs}", restrict_vocab=len(kv))
        # gensim gives the share of unknown pairs in percent; the count says more
        scores[name] = float(spearman[0])
        scores[name + "_pairs"] = [n - round(n * oov / 100), n]
    return scores


def report(scores):
    """Print scores as the Markdown tables of the model card."""
    s = scores
    print(f"{s['rows']} words, {s['dim']} dimensions\n")
    print("| evaluation | score | known to the file |\n| --- | ---: | ---: |")
    print(f"| questions-words, all | {s['analogies']:.1%} | {s['asked']} of 19544 |")
    for name in ("semantic", "syntactic"):
        correct, asked = s[name]
        print(f"| questions-words, {name} | {correct / max(asked, 1):.1%} | {asked} |")
    for name, title in (("wordsim353", "WordSim-353, Spearman"), ("simlex999", "SimLex-999, Spearman")):
        known, n = s[name + "_pairs"]
        print(f"| {title} | {s[name]:.3f} | {known} of {n} pairs |")
    print("\n| section of questions-words | right | asked | accuracy |\n| --- | ---: | ---: | ---: |")
    for name, (correct, asked) in s["sections"].items():
        print(f"| {name} | {correct} | {asked} | {correct / max(asked, 1):.1%} |")


def main():
    p = argparse.ArgumentParser(description="score a wte-space file with gensim")
    p.add_argument("file", nargs="?", default="models/demo/vectors.safetensors")
    p.add_argument("--data", default=DATA, help="folder of questions-words.txt and the pairs (%(default)s)")
    p.add_argument("--json", action="store_true", help="print the scores as JSON")
    p.add_argument("--nearest", metavar="WORD", nargs="+", help="print the ten nearest words of each instead")
    p.add_argument("--analogy", metavar="A:B:C", nargs="+", help="print the five best answers of each instead")
    p.add_argument("--similarity", metavar="A:B", nargs="+", help="print the cosine of each instead")
    args = p.parse_args()
    logging.getLogger("gensim").setLevel(logging.ERROR)
    kv = load_space(args.file)

    if args.nearest or args.analogy or args.similarity:
        for word in args.nearest or []:
            print(word + ":", ", ".join(f"{w} {s:.3f}" for w, s in kv.most_similar(word, topn=10)))
        for quiz in args.analogy or []:
            a, b, c = quiz.split(":")
            best = kv.most_similar(positive=[b, c], negative=[a], topn=5)
            print(f"{a} : {b} :: {c} :", ", ".join(f"{w} {s:.3f}" for w, s in best))
        for pair in args.similarity or []:
            a, b = pair.split(":")
            print(f"{a} ~ {b} {kv.similarity(a, b):.3f}")
        return 0
    scores = evaluate(kv, args.data)
    print(json.dumps(scores, indent=1)) if args.json else report(scores)
    return 0


if __name__ == "__main__":
    sys.exit(main())
