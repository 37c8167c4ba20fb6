#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Make gensim_small.json: calls of gensim's KeyedVectors on a small space, and their results.

Made with gensim 4.2.0, numpy 1.24.2, scipy 1.10.1 (Debian 12). Rows have the form
{"fn", "args", "kwargs", "result" or "error"}; evaluation rows bring the text of their file.
The words have case variants and characters whose upper case is longer than they are."""
import json
import os
import tempfile

import numpy as np
from gensim.models import KeyedVectors

rng = np.random.default_rng(11)
WORDS = ("man woman king queen Man WOMAN boy girl straße STRASSE prince princess uncle aunt "
         "paris france rome italy Paris FRANCE berlin germany ǆungla ŉgoma ﬁre ΐος bread water "
         "stone river zero-like walk walked swim swam run ran").split()
DIM = 6
vectors = rng.standard_normal((len(WORDS), DIM)).round(2).astype(np.float32)
# pairs that are about parallel, so that some analogies work
for i, (a, b) in enumerate([(0, 1), (2, 3), (6, 7), (10, 11), (12, 13)]):
    vectors[b] = vectors[a] + np.float32([1.5, 0, -1, 0, 0.5, 0]) + vectors[b] * np.float32(0.1)
vectors = vectors.round(3)
kv = KeyedVectors(DIM)
kv.add_vectors(WORDS, vectors)


def plain(x):
    if isinstance(x, (np.ndarray, list, tuple)):
        return [plain(y) for y in x]
    if isinstance(x, (np.floating, float)):
        x = float(x)
        return x if np.isfinite(x) else str(x)
    return int(x) if isinstance(x, np.integer) else x


rows = []


def call(fn, *args, **kwargs):
    row = {"fn": fn, "args": list(args), "kwargs": kwargs}
    try:
        row["result"] = plain(getattr(kv, fn)(*args, **kwargs))
    except Exception as e:
        row["error"] = type(e).__name__
    rows.append(row)


call("most_similar", positive=["king"])
call("most_similar", positive=["king", "woman"], negative=["man"], topn=4)
call("most_similar", positive=[["paris", 0.5], ["rome", 2.0]], negative=[["italy", -0.25]], topn=3)
call("most_similar", positive=["walk"], topn=5, restrict_vocab=12)
call("most_similar", positive=["walk"], topn=5, clip_start=5, clip_end=20)
call("most_similar", negative=["stone"], topn=3)
call("most_similar", positive=["nowhere"])
call("most_similar", positive=["king"], topn=0)
call("most_similar", positive=[], negative=[])
call("similar_by_word", "queen", topn=50)
call("most_similar_cosmul", positive=["king", "woman"], negative=["man"], topn=5)
call("most_similar_cosmul", positive=["river"], topn=3)
call("similarity", "man", "woman")
call("similarity", "man", "nobody")
call("distance", "bread", "water")
call("rank", "king", "queen")
call("closer_than", "king", "stone")
call("distances", "king", ["queen", "man", "king"])
call("n_similarity", ["man", "king"], ["woman", "queen", "girl"])
call("n_similarity", [], ["woman"])
call("doesnt_match", ["bread", "water", "stone", "king"])
call("doesnt_match", [])
call("get_mean_vector", ["man", "woman", "king"])
call("get_mean_vector", ["man", "woman"], weights=[2.0, -0.5], pre_normalize=False)
call("get_vector", "rome", norm=True)
QUESTIONS = """: family
man woman king queen
MAN Woman boy girl
boy girl prince princess
uncle aunt boy GIRL
man woman man woman
man woman Man girl
man king woman queen
no such line
one two three
man woman nobody queen
: folded
straße king STRASSE queen
ǆungla ŉgoma ﬁre ΐος
paris france rome italy
paris france PARIS france
: verbs
walk walked swim swam
walk walked run ran
swim swam run ran
"""
PAIRS = """# a comment
man\twoman\t8.5
king\tQueen\t9
bread\twater\t3.25
stone\triver\t2.5
header line
walk\tran\t6
STRASSE\tparis\t1e0
nobody\tking\t4
Paris\trome\t6
four\tfields\tin\tall
swim\tswam\t 9.75
"""
evaluation = []


def evaluate(fn, text, **kwargs):
    with tempfile.NamedTemporaryFile("w", suffix=".txt", delete=False, encoding="utf8") as f:
        f.write(text)
    row = {"fn": fn, "kwargs": kwargs, "text": text}
    got = getattr(kv, fn)(f.name, **kwargs)
    os.unlink(f.name)
    if fn == "evaluate_word_analogies":
        row["accuracy"] = got[0]
        row["sections"] = [{"section": s["section"], "correct": len(s["correct"]),
                            "incorrect": len(s["incorrect"])} for s in got[1]]
    else:
        row["pearson"], row["spearman"] = plain(tuple(got[0])), plain(tuple(got[1]))
        row["oov_ratio_percent"] = got[2]
    evaluation.append(row)


for more in ({}, {"dummy4unknown": True}, {"case_insensitive": False}, {"restrict_vocab": 14},
             {"similarity_function": "most_similar_cosmul"}):
    evaluate("evaluate_word_analogies", QUESTIONS, **more)
for more in ({}, {"dummy4unknown": True}, {"case_insensitive": False}, {"restrict_vocab": 30}):
    evaluate("evaluate_word_pairs", PAIRS, **more)

out = {"made_by": "gensim_small.py with gensim 4.2.0", "words": WORDS, "vectors": plain(vectors),
       "rows": rows, "evaluation": evaluation}
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "gensim_small.json"), "w",
          encoding="utf8") as f:
    f.write("{\n" + ",\n".join(f'"{k}": ' + ("[\n" + ",\n".join(
        json.dumps(x, ensure_ascii=False) for x in v) + "\n]" if k in ("rows", "evaluation")
        else json.dumps(v, ensure_ascii=False)) for k, v in out.items()) + "\n}\n")
