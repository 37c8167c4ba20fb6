#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Make compare_small.json: two small spaces and every measure between them.

Made with numpy 1.24.2 and scipy 1.10.1 (Debian 12), from the definitions: gram matrices, all pairs
of pairs, all orders, where the library has shorter ways."""
import itertools
import json
import os

import numpy as np
from scipy import spatial, stats

rng = np.random.default_rng(6)
N, P, Q = 14, 5, 4
shared = rng.standard_normal((N, 3))
A = (np.hstack([shared, rng.standard_normal((N, 2))]) + 0.5).round(2).astype(np.float32)
B = (shared @ rng.standard_normal((3, Q)) + 0.7 * rng.standard_normal((N, Q))).round(2)
B = B.astype(np.float32)
a, b = A.astype(float), B.astype(float)
iu = np.triu_indices(N, 1)
m = len(iu[0])


def rdm(x, metric):
    return spatial.distance.pdist(x, metric)


def tau(x, y):
    s = sum(np.sign(x[i] - x[j]) * np.sign(y[i] - y[j]) for i in range(len(x)) for j in range(i))
    return s / (len(x) * (len(x) - 1) / 2)


def rho_a(x, y):
    n = len(x)
    rx, ry = stats.rankdata(x), stats.rankdata(y)
    return 12 * np.sum((rx - rx.mean()) * (ry - ry.mean())) / (n**3 - n)


def cosine(x, y):
    return x @ y / np.sqrt((x @ x) * (y @ y))


def whitened(x, y):
    h = np.eye(N) - 1 / N
    g = [-h @ spatial.distance.squareform(v) @ h / 2 for v in (x, y)]
    return np.sum(g[0] * g[1]) / np.sqrt(np.sum(g[0]**2) * np.sum(g[1]**2))


def comparators(x, y):
    return {"pearson": stats.pearsonr(x, y)[0], "cosine": cosine(x, y),
            "spearman": stats.spearmanr(x, y)[0], "rho-a": rho_a(x, y),
            "kendall tau-a": tau(x, y), "kendall tau-b": stats.kendalltau(x, y)[0]}


def unbiased(k, l):
    k, l, n = k - np.diag(np.diag(k)), l - np.diag(np.diag(l)), len(k)
    one = np.ones(n)
    return (np.trace(k @ l) + (one @ k @ one) * (one @ l @ one) / ((n - 1) * (n - 2))
            - 2 / (n - 2) * one @ k @ l @ one) / (n * (n - 3))


def biased(k, l):
    h = np.eye(len(k)) - 1 / len(k)
    return np.trace(h @ k @ h @ l)


def cka(k, l, hsic):
    return hsic(k, l) / np.sqrt(hsic(k, k) * hsic(l, l))


def gaussian(x, multiple):
    d = rdm(x, "sqeuclidean")
    return np.exp(-spatial.distance.squareform(d) / (2 * multiple**2 * np.median(d)))


def centre(x):
    return x - x.mean(0)


def cca(x, y):
    qx, qy = np.linalg.qr(x)[0], np.linalg.qr(y)[0]
    u, s, _ = np.linalg.svd(qx.T @ qy)
    return s, qx @ u


def cut(x, share):
    u, s, _ = np.linalg.svd(centre(x), full_matrices=False)
    kept = int(np.searchsorted(np.cumsum(s**2), share * np.sum(s**2)) + 1)
    return u[:, :kept] * s[:kept]


def pwcca(x, y):
    x, y = centre(x), centre(y)
    s, h = cca(x, y)
    weights = np.abs(h.T @ x).sum(1)[:len(s)]
    return np.sum(weights * s) / np.sum(weights)


def residual(x, others):
    z = np.column_stack([np.ones(len(x))] + others)
    return x - z @ np.linalg.lstsq(z, x, rcond=None)[0]


def exact_p(x, y, n):
    x, y = (rdm(v[:n], "cosine") for v in (x, y))
    square, at = spatial.distance.squareform(y), np.triu_indices(n, 1)
    values = [np.corrcoef(x, square[np.ix_(o, o)][at])[0, 1]
              for o in map(list, itertools.permutations(range(n)))]
    return np.sum(np.array(values) >= values[0] - 1e-9) / len(values)


def ceiling(rdms, compare, scale):
    scaled = np.array([scale(r) for r in rdms])
    upper = np.mean([compare(scaled.sum(0), r) for r in rdms])
    lower = np.mean([compare(scaled.sum(0) - scaled[i], r) for i, r in enumerate(rdms)])
    return [lower, upper]


metrics = ("cosine", "correlation", "euclidean", "sqeuclidean")
cos_a, cos_b = rdm(a, "cosine"), rdm(b, "cosine")
ka, kb = a @ a.T, b @ b.T
na, nb = (centre(x) / np.linalg.norm(centre(x)) for x in (a, b))
nuclear = np.linalg.svd(na.T @ nb, compute_uv=False).sum()
x3 = rng.integers(0, 5, 30).astype(float)
y3 = (x3 + rng.integers(0, 6, 30)).astype(float)
nuisance = [np.abs(np.subtract.outer(v, v))[iu].astype(float)
            for v in (rng.integers(2, 9, N), rng.standard_normal(N).round(3))]
ranks = [stats.rankdata(v) for v in [cos_a, cos_b] + nuisance]
replicates = [cos_a, cos_b, rdm(a + rng.standard_normal(a.shape).round(2), "cosine")]
p_values = [0.01, 0.04, 0.03, 0.005, 0.5, 0.04, 1.0]
ordered = np.argsort(p_values)
q = np.empty(len(p_values))
q[ordered] = np.minimum.accumulate(
    (np.array(p_values)[ordered] * len(p_values) / np.arange(1, len(p_values) + 1))[::-1])[::-1]
data = {
    "made_by": "compare_small.py with numpy 1.24.2, scipy 1.10.1",
    "a": A.tolist(), "b": B.tolist(),
    "rdm_a": {k: rdm(a, k) for k in metrics},
    "comparators": comparators(cos_a, cos_b),
    "cosine_of_similarities": cosine(1 - cos_a, 1 - cos_b),
    "whitened": {k: whitened(rdm(a, k), rdm(b, k)) for k in metrics},
    "ties": {"x": x3, "y": y3, "values": comparators(x3, y3)},
    "nuisance": nuisance,
    "partial_pearson": stats.pearsonr(residual(cos_a, nuisance), residual(cos_b, nuisance))[0],
    "partial_spearman": stats.pearsonr(residual(ranks[0], ranks[2:]),
                                       residual(ranks[1], ranks[2:]))[0],
    "exact_p_6": exact_p(a, b, 6), "exact_p_7": exact_p(a, b, 7),
    "cka_linear": cka(ka, kb, biased), "cka_linear_debiased": cka(ka, kb, unbiased),
    "cka_rbf": cka(gaussian(a, 1), gaussian(b, 1), biased),
    "cka_rbf_half": cka(gaussian(a, 0.5), gaussian(b, 0.5), biased),
    "cka_rbf_debiased": cka(gaussian(a, 1), gaussian(b, 1), unbiased),
    "procrustes_distance": np.sqrt(2 - 2 * nuclear), "procrustes_angle": np.arccos(nuclear),
    "procrustes_disparity": spatial.procrustes(a, np.hstack([b, np.zeros((N, P - Q))]))[2],
    "cca": cca(centre(a), centre(b))[0], "pwcca": pwcca(a, b), "pwcca_reversed": pwcca(b, a),
    "svcca_half": cca(cut(a, 0.5), cut(b, 0.5))[0], "kept_half": [cut(a, 0.5).shape[1],
                                                                  cut(b, 0.5).shape[1]],
    "replicates": replicates,
    "ceiling_pearson": ceiling(replicates, lambda x, y: stats.pearsonr(x, y)[0], stats.zscore),
    "ceiling_cosine": ceiling(replicates, cosine, lambda x: x / np.sqrt(np.mean(x**2))),
    "ceiling_spearman": ceiling(replicates, lambda x, y: stats.spearmanr(x, y)[0], stats.rankdata),
    "p_values": p_values, "q_values": q,
}


def plain(x):
    if isinstance(x, dict):
        return {k: plain(v) for k, v in x.items()}
    if isinstance(x, (np.ndarray, list, tuple)):
        return [plain(y) for y in x]
    return x if isinstance(x, (str, int)) else float(x)


with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "compare_small.json"), "w",
          encoding="utf-8") as f:
    f.write("{\n" + ",\n".join("%s: %s" % (json.dumps(k), json.dumps(plain(v)))
                               for k, v in data.items()) + "\n}\n")
