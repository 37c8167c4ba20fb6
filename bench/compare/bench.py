#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""bench.py - the table of the comparison benchmark; started by run.sh. See README.md."""
import argparse
import json
import os
import statistics
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(HERE))  # bench means ../bench.py
from bench import machine, run, run_json, spread  # noqa: E402

PEER = os.path.join(HERE, "numpy_peer.py")

# what wte does, with which arrays; its peers: name, draws that are timed, how far values may be off
CASES = [
    ("values", "RSA, 1,000 words: all comparators", "rsa",
     [("values", "scipy: three of them", 0, 1e-6)]),
    ("rsa", "RSA, 10,000 permutations, related", "rsa",
     [("rsa", "numpy", 100, 1e-6), ("rsa-tuned", "numpy, tuned", 1000, 1e-6)]),
    ("rsa", "RSA, 10,000 permutations, unrelated", "null",
     [("rsa", "numpy", 100, 1e-6), ("rsa-tuned", "numpy, tuned", 1000, 1e-6)]),
    ("bootstrap", "RSA, 1,000 bootstraps, BCa", "rsa",
     [("bootstrap", "numpy, percentile", 20, 1e-6)]),
    ("cka", "debiased CKA, 5,000 x 768 and 768", "cka",
     [("cka-gram", "numpy, gram matrices", 0, 1e-3), ("cka", "numpy, feature space", 0, 1e-5),
      ("cka-float64", "numpy, feature space, float64", 0, 1e-6)]),
]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", required=True)
    parser.add_argument("--program", required=True)
    parser.add_argument("--python", default="/usr/bin/python3")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json")
    args = parser.parse_args()
    dims = {"rsa": ("300", "768"), "null": ("300", "768"), "cka": ("768", "768")}
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ[name] = str(args.threads)

    samples, wrong = {}, False
    for _ in range(args.rounds):
        for case, _, data, peers in CASES:
            files = [part for side, dim in zip("ab", dims[data])
                     for part in (os.path.join(args.folder, "%s-%s.f32" % (data, side)), dim)]
            ours = run_json([args.program, case] + files + [str(args.threads)])
            samples.setdefault((case, data, "wte"), []).append(ours["seconds"])
            for peer, _, draws, tolerance in peers:
                got = run_json([args.python, PEER, peer] + files + ([str(draws)] if draws else []))
                samples.setdefault((case, data, peer), []).append(got["seconds"])
                if abs(got["value"] - ours["value"]) > tolerance:
                    print("bench: %s: wte %.9g, %s %.9g" % (case, ours["value"], peer, got["value"]),
                          file=sys.stderr)
                    wrong = True
    version = run([args.python, PEER, "version"])[1].strip()
    print("%s, %d threads; %s; median [least, largest] of %d, seconds\n" % (
        machine()["processor"], args.threads, version, args.rounds))
    print("| case | wte | peer | its time | ratio |\n| --- | --- | --- | --- | --- |")
    for case, label, data, peers in CASES:
        ours = samples[case, data, "wte"]
        for peer, name, draws, _ in peers:
            theirs = samples[case, data, peer]
            print("| %s | %s | %s%s | %s | %.1f |" % (
                label, spread(ours, 3), name, " (%d draws timed)" % draws if draws else "",
                spread(theirs, 3), statistics.median(theirs) / statistics.median(ours)))
    if args.json:
        with open(args.json, "w", encoding="utf-8") as f:
            json.dump({"/".join(key): value for key, value in samples.items()}, f, indent=1)
    sys.exit(wrong)


if __name__ == "__main__":
    main()
