#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""bench.py - words of word vectors that are tokens: wte against Python; started by run.sh.

The notebooks' way is `[w for w in words if w in tokens]` with a list of decoded tokens, which looks at
all tokens for every word that is none. It is timed on --part words, evenly spread, and multiplied; a
set of the same tokens is timed on all words. Both have the vocabularies in memory, as wte has."""
import argparse
import json
import os
import statistics
import subprocess
import time


def read_words(path):
    """The words of a word2vec .bin without newlines behind its rows."""
    with open(path, "rb") as f:
        rows, dim = map(int, f.readline().split())
        data = f.read()
    words, at = [], 0
    for _ in range(rows):
        end = data.index(b" ", at)
        words.append(data[at:end].decode("utf-8", "replace"))
        at = end + 1 + 4 * dim
    return words


def read_tokens(folder):
    """GPT-2's tokens, decoded from its byte alphabet."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    other = [b for b in range(256) if b not in plain]
    table = {chr(b): b for b in plain} | {chr(256 + i): b for i, b in enumerate(other)}
    with open(os.path.join(folder, "vocab.json"), encoding="utf-8") as f:
        vocab = json.load(f)
    return [bytes(table[c] for c in t).decode("utf-8", "replace") if all(c in table for c in t) else t
            for t in sorted(vocab, key=vocab.get)]


def timed(search):
    begin = time.perf_counter()
    found = search()
    return time.perf_counter() - begin, found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--vectors", required=True)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--part", type=int, default=2000)
    args = parser.parse_args()
    words, tokens = read_words(args.vectors), read_tokens(args.tokenizer)
    part = words[::max(1, len(words) // args.part)]
    token_set = set(tokens)
    samples = {"wte": [], "wte, any case": [], "Python, set": [], "Python, list": []}
    for _ in range(args.rounds):
        for name, extra in (("wte", []), ("wte, any case", ["any"])):
            done = subprocess.run([args.program, args.vectors, args.tokenizer, str(args.threads), "3",
                                   *extra], stdout=subprocess.PIPE, check=True, text=True)
            answer = json.loads(done.stdout)
            samples[name] += answer["seconds"]
            if not extra:
                matches = answer["matches"]
        seconds, found = timed(lambda: [w for w in words if w in token_set])
        samples["Python, set"].append(seconds)
        assert len(found) == matches, (len(found), matches)
        seconds, found = timed(lambda: [w for w in part if w in tokens])
        samples["Python, list"].append(seconds * len(words) / len(part))
        assert found == [w for w in part if w in token_set]
    print(f"{len(words):,} words, {len(tokens):,} tokens, {matches:,} matches, {args.threads} threads;"
          f" the list on {len(part):,} words and extrapolated")
    ours = statistics.median(samples["wte"])
    for name, values in samples.items():
        print(f"{name:15} {statistics.median(values):10.3f} s [{min(values):.3f}, {max(values):.3f}]"
              f"  {statistics.median(values) / ours:8.1f} x")


if __name__ == "__main__":
    main()
