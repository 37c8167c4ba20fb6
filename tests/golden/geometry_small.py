#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Make geometry_small.json: isotropy, neighbours and row correlations of two small spaces.

Made with numpy 1.24.2 and scipy 1.10.1 (Debian 12), from the definitions: all pairs, sorted rows,
and for IsoScore the paper's way, items rotated onto their principal components first."""
import json
import os

import numpy as np
from scipy import stats

rng = np.random.default_rng(11)
N, D, K, P = 24, 5, 3, 0.8
A = (rng.standard_normal((N, D)) * [1.5, 1, 0.7, 0.4, 0.2] @ rng.standard_normal((D, D)) + 0.4)
A = A.round(2).astype(np.float32)
B = (A + 0.8 * rng.standard_normal((N, D))).round(2).astype(np.float32)
a, b = A.astype(float), B.astype(float)


def cosines(x):
    u = x / np.linalg.norm(x, axis=1, keepdims=True)
    return u @ u.T


def nearest(x):
    c = cosines(x)
    np.fill_diagonal(c, -np.inf)
    return [sorted(range(N), key=lambda j: (-row[j], j))[:K] for row in c]


def iso_score(x):
    x = x - x.mean(0)
    x = x @ np.linalg.svd(x, full_matrices=False)[2].T
    d = np.diag(np.cov(x.T))
    n = len(d)
    scaled = np.sqrt(n) * d / np.linalg.norm(d)
    delta = np.linalg.norm(scaled - 1) / np.sqrt(2 * (n - np.sqrt(n)))
    phi = (n - delta**2 * (n - np.sqrt(n)))**2 / n**2
    return (n * phi - 1) / (n - 1)


def partition(x, directions):
    z = [np.exp(x @ (s * c)).sum() for c in directions for s in (1, -1)]
    return min(z) / max(z)


def agreement(s, t, d):
    return len(set(s[:d]) & set(t[:d])) / d


def rbo(s, t):
    terms = [agreement(s, t, d) * P**d for d in range(1, K + 1)]
    return agreement(s, t, K) * P**K + (1 - P) / P * sum(terms)


pairs = cosines(a)[np.triu_indices(N, 1)]
values = np.linalg.eigvalsh(np.cov(a.T))
share = values / values.sum()
vectors = np.linalg.eigh(a.T @ a)[1]
lists = nearest(a), nearest(b)
counts = np.bincount(np.ravel(lists[0]), minlength=N)
data = {
    "made_by": "geometry_small.py with numpy 1.24.2, scipy 1.10.1",
    "a": A.tolist(), "b": B.tolist(), "k": K, "p": P,
    "mean_cosine": pairs.mean(), "sd_cosine": pairs.std(), "iso_score": iso_score(a),
    "participation_ratio": values.sum()**2 / (values**2).sum(),
    "effective_rank": np.exp(-(share * np.log(share)).sum()),
    "partition": partition(a, vectors.T), "partition_of_rows": partition(a, vectors),
    "hubness": stats.skew(counts), "anti_hubs": np.mean(counts == 0),
    "overlap": np.mean([len(set(s) & set(t)) / K for s, t in zip(*lists)]),
    "rbo": np.mean([rbo(s, t) for s, t in zip(*lists)]),
    "pearson": [stats.pearsonr(x, y)[0] for x, y in zip(a, b)],
}
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "geometry_small.json"), "w",
          encoding="utf-8") as f:
    f.write("{\n" + ",\n".join("%s: %s" % (json.dumps(k), json.dumps(
        v if isinstance(v, (str, int, list)) else float(v))) for k, v in data.items()) + "\n}\n")
