#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""gensim_peer.py - the same work done by gensim, for the benchmark's other column

    gensim_peer.py one FILE WORD              load, answer one query: a whole process
    gensim_peer.py session FILE QUERY_WORDS [--rows A,B] [--k A,B] [--queries N] [--neighbors N]
    gensim_peer.py text FILE                  load a text without a header
    gensim_peer.py eval FILE QUESTIONS [--setup QUESTIONS]
    gensim_peer.py version

Prints one JSON object, times in seconds: clocks run inside the process, round the calls alone, so
Python's start and the imports do not count (except for `one`, which is timed from outside).
Memory is RssAnon + RssShmem of /proc/self/status, as for the other column.
"""
import argparse
import json
import time


def own_bytes():
    total = 0
    with open("/proc/self/status") as f:
        for line in f:
            if line.startswith(("RssAnon:", "RssShmem:")):
                total += int(line.split()[1]) * 1024
    return total


def timed(call, *args, **kwargs):
    start = time.perf_counter()
    result = call(*args, **kwargs)
    return time.perf_counter() - start, result


def numbers(text):
    return [int(n) for n in text.split(",")] if text else []


def one(vectors, args):
    found = vectors.load_word2vec_format(args.file, binary=True).most_similar(args.word)
    return {"neighbors": [word for word, _ in found]}


def session(vectors, args):
    out = {}
    out["load"], kv = timed(vectors.load_word2vec_format, args.file, binary=True)
    out["norms"], _ = timed(kv.fill_norms)
    with open(args.word, encoding="utf-8") as f:
        words = f.read().split()

    def times(n, **kwargs):
        kv.most_similar(words[-1], **kwargs)
        return [timed(kv.most_similar, words[i % len(words)], **kwargs)[0] for i in range(n)]

    out["queries"] = times(args.queries, topn=10)
    out["own_bytes"] = own_bytes()
    out["by_rows"] = {n: times(5, topn=10, restrict_vocab=n) for n in numbers(args.rows)}
    out["by_k"] = {k: times(5, topn=k) for k in numbers(args.k)}
    out["neighbors"] = {w: [word for word, _ in kv.most_similar(w, topn=10)]
                        for w in words[:args.neighbors]}
    return out


def text(vectors, args):
    seconds, kv = timed(vectors.load_word2vec_format, args.file, binary=False, no_header=True)
    return {"load": seconds, "rows": len(kv), "own_bytes": own_bytes()}


def evaluate(vectors, args):
    kv = vectors.load_word2vec_format(args.file, binary=True)
    kv.fill_norms()
    setup = timed(kv.evaluate_word_analogies, args.setup)[0] if args.setup else 0
    seconds, (_, sections) = timed(kv.evaluate_word_analogies, args.word)
    total = sections[-1]
    return {"eval": seconds, "setup": setup, "correct": len(total["correct"]),
            "incorrect": len(total["incorrect"])}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["one", "session", "text", "eval", "version"])
    parser.add_argument("file", nargs="?")
    parser.add_argument("word", nargs="?")
    parser.add_argument("--setup", help="a file of one question: what an evaluation costs before "
                                        "its first question")
    parser.add_argument("--rows")
    parser.add_argument("--k")
    parser.add_argument("--queries", type=int, default=20)
    parser.add_argument("--neighbors", type=int, default=0)
    args = parser.parse_args()
    import gensim
    import numpy
    from gensim.models import KeyedVectors

    if args.what == "version":
        out = {"gensim": gensim.__version__, "numpy": numpy.__version__}
    else:
        out = {"one": one, "session": session, "text": text,
               "eval": evaluate}[args.what](KeyedVectors, args)
    print(json.dumps(out))


if __name__ == "__main__":
    main()
