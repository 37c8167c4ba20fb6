#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""train_vectors.py - make models/demo/vectors.safetensors from the public-domain corpus

Idea: word2vec (Mikolov et al. 2013, arXiv:1301.3781 and arXiv:1310.4546) learns one vector
per word by predicting words from their neighbours against a few random "negative" words.
The library's first command needs vectors that fit into the repository, so the corpus is
small (18 million words), the words are the most frequent ones, and each setting of the
table SETTINGS is trained and judged in the form that would ship: float16, cut to 6 MB.

Steps
  1. corpus  ../shared/data/corpus/part-0*.txt.zst -> SCRATCH/corpus.txt, one block of
             about 1000 words per line (gensim's line format; the window does not stop at
             a sentence's end, as in the original word2vec). The blocks are shuffled with
             a fixed seed, so that an author's works do not all come at one learning rate.
  2. words   lower case, Unicode NFC. A word is a run of Latin letters, with apostrophes
             inside it kept (don't, o'clock); a closing 's is cut off (king's -> king,
             it's -> it), so a possessive counts for its noun. Hyphens part words, except
             in to-day, to-night, to-morrow and good-bye, which become the modern spelling.
             Digits and punctuation are dropped, no stop list. Words seen fewer than
             MIN_COUNT times are dropped before windows are counted.
  3. train   every setting, each with ONE worker thread and one BLAS thread, `--jobs`
             settings side by side. gensim's threads update the shared matrices without
             locks, so two workers give other numbers each time; one worker does not, and
             two settings at once use two cores as well. gensim 4 draws its start vectors
             from numpy's generator with our seed and never from hash(), so PYTHONHASHSEED
             does not matter. Another BLAS or CPU may still round differently.
  4. choose  the greatest sum of questions-words accuracy and WordSim-353 Spearman over the
             COMMON most frequent words, which every candidate holds: fewer dimensions
             leave room for more words, and rarer words lower the accuracy of the file that
             holds them. Both scores, and those over all words, come from evaluate_vectors.py
             and the written file. Choosing on the test sets flatters the winner a little.

The first finished setting is copied to --out at once and replaced by each better one, so
a usable file exists early. Layout of the file: see evaluate_vectors.py.

Left out: phrases (new_york), because at 18 million words few are frequent enough to learn;
hierarchical softmax; subword vectors, which a table of words cannot hold.

Run from the repository's root:  nice /usr/bin/python3 tools/demo/train_vectors.py
Needs Debian's python3-gensim (4.2) and the zstd command.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy; see step 3

import argparse
import concurrent.futures
import glob
import json
import random
import re
import shutil
import struct
import subprocess
import sys
import time
import unicodedata

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import evaluate_vectors

SEED = 1928
BLOCK = 1000  # words per line of the prepared corpus
MIN_COUNT = 8
MAX_BYTES = 6_000_000
COMMON = 22_000  # words over which settings are compared; 128 columns fit 22113
ALIGN = evaluate_vectors.ALIGN

# name: sg 1 = skip-gram, 0 = CBOW; the fast ones first, so that a file exists soon
SETTINGS = {
    "cbow-96-w5-e5": dict(sg=0, vector_size=96, window=5, epochs=5, negative=5, sample=1e-3, alpha=0.05),
    "sg-96-w5-e3": dict(sg=1, vector_size=96, window=5, epochs=3, negative=5, sample=1e-4, alpha=0.025),
    "sg-96-w5-e10": dict(sg=1, vector_size=96, window=5, epochs=10, negative=5, sample=1e-4, alpha=0.025),
    "cbow-96-w5-e15": dict(sg=0, vector_size=96, window=5, epochs=15, negative=5, sample=1e-3, alpha=0.05),
    "cbow-96-w10-e15": dict(sg=0, vector_size=96, window=10, epochs=15, negative=10, sample=1e-4, alpha=0.05),
    "cbow-128-w5-e15": dict(sg=0, vector_size=128, window=5, epochs=15, negative=10, sample=1e-4, alpha=0.05),
}

WORD = re.compile(r"[a-zà-öø-ÿœ]+(?:'[a-zà-öø-ÿœ]+)*")
# one letter of any other script or a stray accent makes the whole run no word
RUN = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
MODERN = re.compile(r"\b(?:to-(?=day\b|night\b|morrow\b)|good-(?=bye\b))")


def tokens(text):
    """Yield the words of a text, as step 2 says."""
    text = unicodedata.normalize("NFC", text).lower().replace("\u2019", "'").replace("\u017f", "s")
    text = MODERN.sub(lambda m: m.group()[:-1], text)
    for run in RUN.findall(text):
        if run.endswith("'s"):
            run = run[:-2]
        if WORD.fullmatch(run):
            yield run


def prepare(corpus, path):
    """Write the corpus as shuffled lines of BLOCK words; return its number of words."""
    parts = sorted(glob.glob(os.path.join(corpus, "part-0*.txt.zst")))
    if not parts:
        sys.exit(f"train_vectors: no part-0*.txt.zst in {corpus}")
    words = []
    for part in parts:
        raw = subprocess.run(["zstd", "-dcq", part], check=True, stdout=subprocess.PIPE).stdout
        words.extend(tokens(raw.decode("utf-8")))
    lines = [" ".join(words[i:i + BLOCK]) for i in range(0, len(words), BLOCK)]
    random.Random(SEED).shuffle(lines)
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")
    return len(words)


def write_space(path, words, vectors, metadata):
    """Write words and their vectors [rows, dim] as a wte-space file of float16."""
    rows, dim = vectors.shape
    row_bytes = -(-dim * 2 // ALIGN) * ALIGN
    padded = np.zeros((rows, row_bytes // 2), "<f2")
    padded[:, :dim] = vectors
    names = [w.encode("utf-8") for w in words]
    offsets = np.zeros(rows + 1, "<u8")
    np.cumsum([len(n) for n in names], out=offsets[1:])

    # vectors end on a multiple of 64 and word_offsets on one of 8: no hole, all aligned
    header, data, at = {"__metadata__": metadata}, [], 0
    for name, dtype, shape, raw in (("vectors", "F16", list(padded.shape), padded.tobytes()),
                                    ("word_offsets", "U64", [rows + 1], offsets.tobytes()),
                                    ("words", "U8", [int(offsets[-1])], b"".join(names))):
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(raw)]}
        data.append(raw)
        at += len(raw)
    text = json.dumps(header, separators=(",", ":")).encode("utf-8")
    text += b" " * (-(8 + len(text)) % ALIGN)
    with open(path + ".new", "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(data))
    os.replace(path + ".new", path)


def rows_that_fit(words, dim, max_bytes):
    """Return how many of the words, most frequent first, a file of max_bytes can hold."""
    size = 8 + 1024 + 8  # more than the header ever takes
    row_bytes = -(-dim * 2 // ALIGN) * ALIGN
    for n, word in enumerate(words):
        size += row_bytes + 8 + len(word.encode("utf-8"))
        if size > max_bytes:
            return n
    return len(words)


def train(name, lines, scratch, max_bytes, data):
    """Train one setting, write SCRATCH/NAME.safetensors, return (name, scores)."""
    from gensim.models import Word2Vec

    start = time.time()
    model = Word2Vec(corpus_file=lines, min_count=MIN_COUNT, seed=SEED, workers=1,
                     **SETTINGS[name])
    seconds = time.time() - start
    kv = model.wv
    order = sorted(kv.key_to_index, key=lambda w: (-kv.get_vecattr(w, "count"), w))
    n_vocab = len(order)
    order = order[:rows_that_fit(order, kv.vector_size, max_bytes)]
    path = os.path.join(scratch, name + ".safetensors")
    write_space(path, order, np.stack([kv[w] for w in order]), {
        "format": "wte-space", "version": "1", "dim": str(kv.vector_size), "rows": str(len(order)),
        "name": "demo", "license": "MIT",
        "source": "wte tools/demo/train_vectors.py " + name +
                  ", gensim word2vec over 18 million words of public-domain English prose",
    })
    stored = evaluate_vectors.load_space(path)
    scores = evaluate_vectors.evaluate(stored, data)
    scores["common"] = evaluate_vectors.evaluate(evaluate_vectors.first_words(stored, COMMON), data)
    scores.update(name=name, seconds=round(seconds), n_vocab=n_vocab,
                  least_count=int(kv.get_vecattr(order[-1], "count")), setting=SETTINGS[name])
    with open(os.path.join(scratch, name + ".json"), "w", encoding="utf-8") as f:
        json.dump(scores, f, indent=1)
    return scores


def merit(scores):
    return scores["common"]["analogies"] + scores["common"]["wordsim353"]


def table(done):
    """Print the settings and their scores as the Markdown table of the model card."""
    print(f"| setting | model | dim | window | epochs | negative | sample | alpha | seconds | words "
          f"| analogies | WordSim | SimLex | analogies, {COMMON} | WordSim, {COMMON} |")
    print("| --- | --- |" + " ---: |" * 13)
    for name in SETTINGS:
        if name not in done:
            continue
        s, p = done[name], SETTINGS[name]
        print(f"| `{name}` | {'skip-gram' if p['sg'] else 'CBOW'} | {p['vector_size']} | {p['window']} | {p['epochs']} "
              f"| {p['negative']} | {p['sample']:g} | {p['alpha']:g} | {s['seconds']} | {s['rows']} "
              f"| {s['analogies']:.1%} of {s['asked']} | {s['wordsim353']:.3f} | {s['simlex999']:.3f} "
              f"| {s['common']['analogies']:.1%} | {s['common']['wordsim353']:.3f} |")


def main():
    p = argparse.ArgumentParser(description="train the demo word vectors")
    p.add_argument("corpus", nargs="?", default="../shared/data/corpus", help="folder of part-0*.txt.zst (%(default)s)")
    p.add_argument("--data", default=evaluate_vectors.DATA, help="folder of the evaluation sets (%(default)s)")
    p.add_argument("--out", default="models/demo/vectors.safetensors", help="(%(default)s)")
    p.add_argument("--scratch", default="/tmp/demo", help="intermediate files (%(default)s)")
    p.add_argument("--settings", nargs="+", default=list(SETTINGS), choices=list(SETTINGS), metavar="NAME",
                   help="train these only; scores in SCRATCH of others still compete: " + ", ".join(SETTINGS))
    p.add_argument("--jobs", type=int, default=2, help="settings trained side by side (%(default)s)")
    p.add_argument("--max-bytes", type=int, default=MAX_BYTES, help="size of the file at most (%(default)s)")
    args = p.parse_args()

    os.makedirs(args.scratch, exist_ok=True)
    os.makedirs(os.path.dirname(args.out) or ".", exist_ok=True)
    lines = os.path.join(args.scratch, "corpus.txt")
    print(f"{prepare(args.corpus, lines)} words", flush=True)

    done = {}
    for name in SETTINGS:
        path = os.path.join(args.scratch, name + ".json")
        if name not in args.settings and os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                done[name] = json.load(f)
    with concurrent.futures.ProcessPoolExecutor(args.jobs) as pool:
        jobs = [pool.submit(train, name, lines, args.scratch, args.max_bytes, args.data)
                for name in args.settings]
        for job in concurrent.futures.as_completed(jobs):
            s = job.result()
            done[s["name"]] = s
            print(f"{s['name']}: {s['seconds']} s, {s['rows']} of {s['n_vocab']} words (count >= {s['least_count']}), "
                  f"analogies {s['correct']}/{s['asked']} {s['analogies']:.1%}, wordsim {s['wordsim353']:.3f}, "
                  f"simlex {s['simlex999']:.3f}", flush=True)
            best = max(done.values(), key=merit)
            if best is s:
                shutil.copyfile(os.path.join(args.scratch, s["name"] + ".safetensors"), args.out)
    print(f"\nchosen: {best['name']}\n")
    table(done)
    return 0


if __name__ == "__main__":
    sys.exit(main())
