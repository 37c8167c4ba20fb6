#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""numpy_peer.py - the same comparisons in numpy, scipy and scikit-learn; see README.md

    numpy_peer.py make FOLDER
    numpy_peer.py rsa|rsa-tuned|bootstrap|values|cka|cka-gram|cka-float64 A.f32 DIM_A B.f32 DIM_B [DRAWS]

Prints one JSON object: seconds from the arrays in memory to the result, of all draws, and the
result. With fewer DRAWS than PERMUTATIONS or BOOTSTRAPS the time of the draws is multiplied."""
import json
import os
import sys
import time

import numpy as np

PERMUTATIONS, BOOTSTRAPS = 10000, 1000


def make(folder):
    """Two spaces with something in common, twice, and two that have nothing."""
    rng = np.random.default_rng(1)
    for name, n, p, q, common in (("rsa", 1000, 300, 768, 20), ("null", 1000, 300, 768, 0),
                                  ("cka", 5000, 768, 768, 20)):
        shared = rng.standard_normal((n, common))
        for side, dim, noise in (("a", p, 3), ("b", q, 4)):
            x = shared @ rng.standard_normal((common, dim)) + noise * rng.standard_normal((n, dim))
            x.astype(np.float32).tofile(os.path.join(folder, "%s-%s.f32" % (name, side)))


def cosines(x):
    from sklearn.metrics.pairwise import cosine_similarity
    return cosine_similarity(x)


def timed(draws, all_draws, draw):
    """Results of some draws, and the seconds of all."""
    start = time.perf_counter()
    values = [draw() for _ in range(draws)]
    return np.array(values), (time.perf_counter() - start) * all_draws / draws


def rsa(x, y, draws):
    """As it is written in papers' notebooks: reorder, take the triangle, correlate."""
    from scipy import stats
    rng, start = np.random.default_rng(0), time.perf_counter()
    a, b = cosines(x), cosines(y)
    iu = np.triu_indices(len(a), 1)
    upper = a[iu]
    observed = stats.pearsonr(upper, b[iu])[0]

    def draw():
        order = rng.permutation(len(b))
        return np.corrcoef(upper, b[np.ix_(order, order)][iu])[0, 1]

    before = time.perf_counter() - start
    values, seconds = timed(draws, PERMUTATIONS, draw)
    return before + seconds, observed, (1 + np.sum(values >= observed)) / (1 + draws)


def rsa_tuned(x, y, draws):
    """The fastest that was found in numpy: float32 matrices, centred and scaled once, one product."""
    rng, start = np.random.default_rng(0), time.perf_counter()
    iu = np.triu_indices(len(x), 1)
    scaled = []
    for items in (x, y):
        s = cosines(items)
        upper = s[iu]
        s = (s - upper.mean()) / (upper.std() * np.sqrt(2 * len(upper)))
        np.fill_diagonal(s, 0)
        scaled.append(np.ascontiguousarray(s, dtype=np.float32))
    a, b = scaled
    observed = np.vdot(a, b)

    def draw():
        order = rng.permutation(len(b))
        return np.vdot(a, b.take(order, 0).take(order, 1))

    before = time.perf_counter() - start
    values, seconds = timed(draws, PERMUTATIONS, draw)
    return before + seconds, float(observed), (1 + np.sum(values >= observed)) / (1 + draws)


def bootstrap(x, y, draws):
    rng, start = np.random.default_rng(0), time.perf_counter()
    a, b = cosines(x), cosines(y)
    iu = np.triu_indices(len(a), 1)

    def draw():
        items = rng.integers(0, len(a), len(a))
        pairs = (items[:, None] != items)[iu]
        at = np.ix_(items, items)
        return np.corrcoef(a[at][iu][pairs], b[at][iu][pairs])[0, 1]

    before = time.perf_counter() - start
    values, seconds = timed(draws, BOOTSTRAPS, draw)
    return before + seconds, np.corrcoef(a[iu], b[iu])[0, 1], list(np.percentile(values, [2.5, 97.5]))


def values(x, y, _):
    """Pearson, Spearman and Kendall of the triangles, without inference."""
    from scipy import stats
    start = time.perf_counter()
    iu = np.triu_indices(len(x), 1)
    a, b = cosines(x)[iu], cosines(y)[iu]
    value = stats.pearsonr(a, b)[0]
    more = [stats.spearmanr(a, b)[0], stats.kendalltau(a, b)[0]]
    return time.perf_counter() - start, value, more


def cka(x, y, _):
    """Feature space, as in the notebook of Kornblith et al."""
    start = time.perf_counter()
    x, y = x - x.mean(0, keepdims=True), y - y.mean(0, keepdims=True)
    n = len(x)
    s, t = np.einsum("ij,ij->i", x, x), np.einsum("ij,ij->i", y, y)

    def debiased(squares, u, v):
        return (squares - n / (n - 2.) * u.dot(v) +
                np.sum(u, dtype=float) * np.sum(v, dtype=float) / ((n - 1) * (n - 2)))

    xy = debiased(np.linalg.norm(x.T.dot(y))**2, s, t)
    xx = debiased(np.linalg.norm(x.T.dot(x))**2, s, s)
    yy = debiased(np.linalg.norm(y.T.dot(y))**2, t, t)
    return time.perf_counter() - start, float(xy / np.sqrt(xx * yy)), None


def cka_float64(x, y, _):
    start = time.perf_counter()
    seconds, value, _ = cka(x.astype(np.float64), y.astype(np.float64), None)
    return time.perf_counter() - start, value, seconds


def cka_gram(x, y, _):
    """Item space, as in the same notebook and most that copied it: gram matrices, centred."""
    start = time.perf_counter()

    def centred(gram):
        n = len(gram)
        np.fill_diagonal(gram, 0)
        means = np.sum(gram, 0, dtype=np.float64) / (n - 2)
        means -= np.sum(means) / (2 * (n - 1))
        gram -= means[:, None].astype(gram.dtype)
        gram -= means[None, :].astype(gram.dtype)
        np.fill_diagonal(gram, 0)
        return gram

    k, l = centred(x.dot(x.T)), centred(y.dot(y.T))
    value = k.ravel().dot(l.ravel()) / (np.linalg.norm(k) * np.linalg.norm(l))
    return time.perf_counter() - start, float(value), None


def main():
    what = sys.argv[1]
    if what == "make":
        make(sys.argv[2])
        return
    if what == "version":
        import scipy
        import sklearn
        print("numpy %s, scipy %s, scikit-learn %s" % (np.__version__, scipy.__version__,
                                                       sklearn.__version__))
        return
    x, y = (np.fromfile(path, np.float32).reshape(-1, int(dim))
            for path, dim in (sys.argv[2:4], sys.argv[4:6]))
    work = {"rsa": rsa, "rsa-tuned": rsa_tuned, "bootstrap": bootstrap,
            "values": values, "cka": cka,
            "cka-gram": cka_gram, "cka-float64": cka_float64}[what]
    x[:100].dot(y[:100, :x.shape[1]].T)  # BLAS is awake
    if not what.startswith("cka"):
        cosines(x[:10])
    seconds, value, more = work(x, y, int(sys.argv[6]) if len(sys.argv) > 6 else None)
    print(json.dumps({"seconds": seconds, "value": float(value), "more": more}))


if __name__ == "__main__":
    main()
