#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""bench.py - the table of the generation benchmark; started by run.sh. See README.md."""
import argparse
import json
import os
import statistics
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(HERE))  # bench means ../bench.py
from bench import Failed, machine, run_json, spread, warm_memory  # noqa: E402


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--program", required=True)
    parser.add_argument("--python", default="/usr/bin/python3")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--new", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--json")
    args = parser.parse_args()

    cases = ["greedy", "beam4", "batch8", "sample", "all-on"]
    peer = [args.python, os.path.join(HERE, "torch_peer.py")]
    who = {"wte " + t: [args.program, args.model, t] for t in ("f32", "bf16", "int8")}
    version = None
    if not args.no_peers:
        try:
            version = run_json(peer + ["version"])["torch"]
            who["torch"] = peer + ["run", args.model]
        except (OSError, Failed):
            print("bench: no torch in %s: wte alone" % args.python, file=sys.stderr)

    samples, ids = {}, {}
    for number in range(args.rounds):
        for case in cases:
            for name, command in who.items():
                warm_memory()
                got = run_json(command + [str(args.threads), str(args.new), case])
                samples.setdefault((case, name), []).append(got["tokens"] / got["seconds"])
                ids[case, name] = got["ids"]
                print("round %d  %-7s %-9s %7.1f tokens/s" % (
                    number + 1, case, name, samples[case, name][-1]), file=sys.stderr)

    same = {case: ids[case, "torch"] == ids[case, "wte f32"]
            for case in ("greedy", "beam4", "batch8")} if version else {}
    median = {key: statistics.median(values) for key, values in samples.items()}
    print("%s, %d threads, %d new tokens behind 16; %stokens/s of all sequences together: median "
          "[least, largest] of %d\n" % (machine()["processor"], args.threads, args.new,
                                        "torch %s; " % version if version else "", args.rounds))
    ours = [name for name in who if version and name != "torch"]
    print("| case | " + " | ".join([*who, *(name + " is" for name in ours)]) + " |")
    print("| --- |" + " ---: |" * (len(who) + len(ours)))
    for case in cases:
        row = [spread(samples[case, name], 1) for name in who]
        row += ["%.1f×" % (median[case, name] / median[case, "torch"]) for name in ours]
        print("| %s | %s |" % (case, " | ".join(row)))
    print()
    for name in who:
        step = 1 / median["greedy", name]
        print("%s: beam search of 4 takes %.2f× the time of greedy; a batch of 8 has %.2f× the tokens/s "
              "of one prompt; all processors on: %+.1f %% of a step of %.1f ms" % (
                  name, median["greedy", name] / median["beam4", name],
                  median["batch8", name] / median["greedy", name],
                  100 * (1 / median["all-on", name] - step) / step, 1e3 * step))
    for case, equal in same.items():
        print("%s: ids %s torch's" % (case, "equal" if equal else "DIFFER from"))
    if args.json:
        with open(args.json, "w", encoding="utf-8") as f:
            json.dump({"processor": machine()["processor"], "threads": args.threads, "new": args.new,
                       "torch": version, "ids_equal": same,
                       "tokens_per_second": {case: {name: samples[case, name] for name in who}
                                             for case in cases}}, f, indent=1)
            f.write("\n")
    sys.exit(0 if all(same.values()) else 1)


main()
