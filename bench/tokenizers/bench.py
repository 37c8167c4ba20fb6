#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""bench.py - time wte's tokenizers beside others on the same files, print and write a table

Started by run.sh, which builds what it needs; README.md says what each row means. Python's standard
library only; the others run in processes of their own (peer.mjs, torch_peer.py).
"""
import argparse
import datetime
import hashlib
import json
import os
import shutil
import statistics
import struct
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(HERE))  # bench means ../bench.py
import gguf  # noqa: E402
import texts  # noqa: E402
from bench import Failed, aligned, machine, markdown, run, run_json, summary, warm, warm_memory  # noqa: E402

SECTIONS = ["gpt2", "bert", "process", "nearest"]
NAMES = {"tiktoken": "tiktoken (WebAssembly)", "tokenizers": "Hugging Face tokenizers (Rust)",
         "tokenizers-batch": "Hugging Face tokenizers, pieces of 4 KB in a batch",
         "llama": "llama.cpp (node-llama-cpp)"}
SENTENCE = "The theory of relativity is"


def say(text):
    print("bench: " + text, file=sys.stderr, flush=True)


def speed(size, seconds):
    """Megabytes a second of each time."""
    return [size / s / 1e6 for s in seconds]


def show(s, unit):
    if s is None:
        return "-"
    scale, unit = {"MB/s": (1, "MB/s"), "s": (1e3, "ms"), "x": (1, "x")}[unit]
    digits = 0 if s["median"] * scale >= 100 else 1 if s["median"] * scale >= 10 else 2
    return "%.*f %s (%.*f-%.*f)" % (digits, s["median"] * scale, unit, digits, s["min"] * scale,
                                    digits, s["max"] * scale)


class Table:
    """Rows: what was done, by whom, the figure, how much better wte is, the target."""

    def __init__(self):
        self.rows = []

    def add(self, what, who, unit, samples, ratio=None, target="", met=None):
        self.rows.append({"what": what, "who": who, "unit": unit, "figure": summary(samples),
                          "ratio": ratio, "target": target or "", "met": met})

    def cells(self):
        yield ["what", "who", "figure", "wte is", "target", "met"]
        for r in self.rows:
            yield [r["what"], r["who"], show(r["figure"], r["unit"]),
                   "" if r["ratio"] is None else "%.*fx" % (r["ratio"] < 10, r["ratio"]),
                   r["target"], {None: "", True: "yes", False: "NO"}[r["met"]]]


class Bench:
    def __init__(self, args):
        self.args, self.folder, self.table = args, args.folder, Table()
        self.notes, self.agreement, self.peers, self.versions = [], {}, {}, {}
        self.broken = set()
        os.makedirs(self.folder, exist_ok=True)

    def note(self, text):
        say(text)
        self.notes.append(text)

    # ---- inputs -----------------------------------------------------------------------------

    def text(self, kind):
        """The path of a text, made where missing."""
        given = getattr(self.args, kind)
        if given:
            self.note("%s: %s" % (kind, os.path.basename(given)))
            return given
        size = int(getattr(self.args, kind + "_mb") * 1e6)
        data, what = None, ""
        if kind == "english":
            data, what = texts.english(self.args.shared, size), "novels of ../shared/data/corpus"
            if data is None:
                raise Failed("no English text: %s or zstd is missing; give one with --english FILE"
                             % os.path.join(self.args.shared, "data", "corpus"))
        elif kind == "cjk":
            data, what = texts.cjk(size), "synthetic Chinese, Japanese, Korean (texts.py)"
        else:
            data, what = texts.code(ROOT, size)
        path = os.path.join(self.folder, "tokenizers-%s.txt" % kind)
        with open(path, "wb") as f:
            f.write(data)
        self.note("%s: %.1f MB, sha-256 %s, %s" % (
            kind, len(data) / 1e6, hashlib.sha256(data).hexdigest()[:16], what))
        return path

    def find_peers(self, names):
        """Those of the other tokenizers that run here."""
        if self.args.no_peers:
            return []
        if not shutil.which("node") or not os.path.isdir(os.path.join(self.folder,
                                                                      "node_modules")):
            self.note("node or its packages are missing: no comparison")
            return []
        found = []
        for name in names:
            package = {"llama": "node-llama-cpp", "tiktoken": "tiktoken"}.get(
                name, "@anush008/tokenizers")
            if os.path.isdir(os.path.join(self.folder, "node_modules", package)):
                found.append(name)
            else:
                self.note("%s is not installed: no comparison with it" % package)
        return found

    # ---- encoding ---------------------------------------------------------------------------

    def ids_path(self, kind, who):
        return os.path.join(self.folder, "ids-%s-%s.u32" % (kind, who))

    def ours(self, model, path, kind, *options):
        warm_memory()
        return run_json([self.args.bench_tokenize, *options, "--ids", self.ids_path(kind, "wte"),
                         model, path])

    def peer(self, who, model, path, kind):
        if who in self.broken:
            return None
        if who == "llama":
            model = os.path.join(self.folder, "gpt2-vocab.gguf")
        command = ["node", "--max-old-space-size=12000", os.path.join(HERE, "peer.mjs"), who,
                   self.folder, model, path, self.ids_path(kind, who)]
        warm_memory()
        try:
            found = json.loads(run(command, RAYON_NUM_THREADS="1", TOKENIZERS_PARALLELISM="true",
                                   UV_THREADPOOL_SIZE="1")[1].strip().splitlines()[-1])
        except (Failed, ValueError, IndexError) as failure:
            self.note("%s failed: %s" % (who, str(failure)[-300:]))
            self.broken.add(who)
            return None
        self.versions[NAMES[who]] = found["version"]
        return found

    def compare(self, kind, who):
        """Compare the ids of the last run with wte's; a difference is told loudly."""
        with open(self.ids_path(kind, "wte"), "rb") as a, open(self.ids_path(kind, who), "rb") as b:
            mine, other = a.read(), b.read()
        what = "%s: %s" % (kind, NAMES[who])
        digest = hashlib.sha256(mine).hexdigest()[:16]
        if mine == other:
            self.agreement[what] = "%d ids, sha-256 %s: the same" % (len(mine) // 4, digest)
            return
        at = next((i for i in range(0, min(len(mine), len(other)), 4)
                   if mine[i:i + 4] != other[i:i + 4]), min(len(mine), len(other)))
        values = [struct.unpack("<%dI" % (len(x[at:at + 32]) // 4), x[at:at + 32])
                  for x in (mine, other)]
        self.agreement[what] = "DIFFERENT: %d and %d ids; from number %d wte %s, the other %s" % (
            len(mine) // 4, len(other) // 4, at // 4, values[0], values[1])
        say("IDS DIFFER: %s: %s" % (what, self.agreement[what]))

    def encode(self, kind, label, model, path, names, target_mb, target_ratio):
        """Rounds of whole-file encodings: wte, peer, wte, peer ..."""
        warm(path)
        size = os.path.getsize(path)
        names = self.find_peers(names)
        ours = {k: [] for k in ("cold", "warm", "decode", "one_thread", "two_threads", "open")}
        theirs = {who: {"cold": [], "warm": [], "decode": []} for who in names}
        for turn in range(self.args.rounds):
            say("%s, round %d of %d" % (label, turn + 1, self.args.rounds))
            for i, who in enumerate([None] + names):
                # The slow ones take part in the first rounds only, and a run of wte precedes each.
                if who and turn >= self.args.slow_rounds and who != "tiktoken":
                    continue
                extra = ["--warm", "3", "--decode", "5", "--threads", "5"] if who is None else []
                mine = self.ours(model, path, kind, *extra)
                for key in ours:
                    value = mine.get(key, [])
                    ours[key] += value if isinstance(value, list) else [value]
                if mine.get("decoded_same") is False and label.startswith("GPT-2"):
                    self.agreement[kind + ": wte decodes its ids to the text"] = "NO"
                if who:
                    found = self.peer(who, model, path, kind)
                    if found:
                        for key in theirs[who]:
                            value = found.get(key, [])
                            theirs[who][key] += value if isinstance(value, list) else [value]
                        if turn == 0:
                            self.compare(kind, who)
        t = self.table
        speeds = speed(size, ours["cold"])
        median = statistics.median(speeds)
        t.add(label, "wte", "MB/s", speeds, None, target_mb and "%d MB/s" % target_mb,
              median >= target_mb if target_mb else None)
        t.add(label + ", tables warm", "wte", "MB/s", speed(size, ours["warm"]))
        for who in names:
            if theirs[who]["cold"]:
                other = speed(size, theirs[who]["cold"])
                ratio = median / statistics.median(other)
                wanted = target_ratio if who == "tiktoken" else None
                t.add(label, NAMES[who], "MB/s", other, ratio, wanted and "%dx" % wanted,
                      ratio >= wanted if wanted else None)
                if theirs[who]["warm"]:
                    t.add(label + ", second time", NAMES[who], "MB/s",
                          speed(size, theirs[who]["warm"]))
        decoding = speed(size, ours["decode"])
        t.add(label + ": decoding", "wte", "MB/s", decoding, None,
              "1000 MB/s" if kind.endswith("english") else "",
              statistics.median(decoding) >= 1000 if kind.endswith("english") else None)
        for who in names:
            if theirs[who]["decode"]:
                other = speed(size, theirs[who]["decode"])
                t.add(label + ": decoding", NAMES[who], "MB/s", other,
                      statistics.median(decoding) / statistics.median(other))
        t.add(label + ", one thread of wte_encode_parallel", "wte", "MB/s",
              speed(size, ours["one_thread"]))
        ratio = statistics.median(ours["one_thread"]) / statistics.median(ours["two_threads"])
        t.add(label + ", two threads", "wte", "MB/s", speed(size, ours["two_threads"]), ratio,
              "1.8x one" if kind.endswith("english") else "",
              ratio >= 1.8 if kind.endswith("english") else None)
        t.add(label + ": opening the vocabulary", "wte", "s", ours["open"])

    def section_gpt2(self):
        names = ["tiktoken", "tokenizers", "tokenizers-batch"]
        if os.path.isdir(os.path.join(self.folder, "node_modules", "node-llama-cpp")):
            names.append("llama")
            gguf.write(self.args.gpt2, os.path.join(self.folder, "gpt2-vocab.gguf"))
        for kind, label, mb, ratio in (("english", "GPT-2, English", 200, 25),
                                       ("cjk", "GPT-2, CJK", None, 10),
                                       ("code", "GPT-2, source code", None, 10)):
            self.encode(kind, label, self.args.gpt2, self.text(kind), names, mb, ratio)

    def section_bert(self):
        path = os.path.join(self.folder, "tokenizers-english.txt")
        if self.args.english or not os.path.exists(path):
            path = self.text("english")
        self.encode("bert-english", "WordPiece, English", self.args.bert, path,
                    ["tokenizers", "tokenizers-batch"], 100, None)

    # ---- whole processes --------------------------------------------------------------------

    def section_process(self):
        command = [self.args.wte, "tokenize", "-m", self.args.gpt2, SENTENCE]
        run(command)
        times = [run(command)[0] for _ in range(20)]
        self.table.add("wte tokenize, whole process", "wte", "s", times, None, "< 15 ms",
                       statistics.median(times) < 0.015)
        found = run_json(command + ["--json"])
        self.agreement['"%s"' % SENTENCE] = "%s: %s" % (
            found["ids"], "the same" if found["ids"] == [464, 4583, 286, 44449, 318]
            else "DIFFERENT, expected 464 4583 286 44449 318")

    def checkpoint(self):
        folder = os.path.join(self.folder, "gpt2-random")
        path = os.path.join(folder, "model.safetensors")
        os.makedirs(folder, exist_ok=True)
        for name in os.listdir(self.args.gpt2):
            shutil.copyfile(os.path.join(self.args.gpt2, name), os.path.join(folder, name))
        if not os.path.exists(path):
            free = shutil.disk_usage(folder).free
            if free < 1e9:
                raise Failed("%s has %.1f GB free, the checkpoint and its index need 1 GB"
                             % (folder, free / 1e9))
            say("making %s" % path)
            run([self.args.make_gpt2, path + ".part"])
            os.rename(path + ".part", path)
        warm(path)
        return folder

    def torch(self):
        for python in (os.environ.get("WTE_TORCH_PYTHON"), "/usr/bin/python3", "python3"):
            if python and subprocess.run([python, "-c", "import torch"], capture_output=True,
                                         check=False).returncode == 0:
                return [python, os.path.join(HERE, "torch_peer.py"), "nearest"]
        self.note("no torch (Debian: python3-torch, or WTE_TORCH_PYTHON=PYTHON): no comparison")
        return None

    def nearest(self, folder, metric, cache, *options):
        seconds, out = run([self.args.wte, "nearest", "-m", folder, "--metric", metric, "-k", "1",
                            "--json", *options, " theory"], WTE_CACHE=cache)
        return seconds, json.loads(out)["neighbors"][0]["id"]

    def section_nearest(self):
        """One Euclidean and one cosine nearest token: two processes of wte, one of torch."""
        folder, torch = self.checkpoint(), self.torch()
        cache = os.path.join(self.folder, "tokenizers-cache")
        samples = {"never": [], "fresh": [], "second": []}
        theirs, answers, found = [], set(), {}
        for turn in range(self.args.rounds):
            say("nearest, round %d of %d" % (turn + 1, self.args.rounds))
            if torch:
                seconds, out = run(torch + [folder, " theory"])
                found = json.loads(out)
                theirs.append(seconds)
                answers.add(("torch", found["euclidean"], found["cosine"]))
            for key, options in (("never", ["--no-cache"]), ("fresh", []), ("second", []),
                                 ("second", []), ("second", [])):
                if key == "fresh":
                    shutil.rmtree(cache, ignore_errors=True)
                pair = [self.nearest(folder, m, cache, *options) for m in ("euclidean", "cosine")]
                samples[key].append(sum(seconds for seconds, _ in pair))
                answers.add(("wte", pair[0][1], pair[1][1]))
        shutil.rmtree(cache, ignore_errors=True)
        other = statistics.median(theirs) if theirs else None
        labels = {"never": "--no-cache", "fresh": "the index made by the first",
                  "second": "the index there"}
        for key, label in labels.items():
            ratio = other / statistics.median(samples[key]) if other else None
            self.table.add("nearest, Euclidean and cosine, two processes, " + label, "wte", "s",
                           samples[key], ratio, "50x torch", ratio >= 50 if other else None)
        if torch:
            who = "torch %s, %s" % (found["torch"], "transformers " + found["transformers"]
                                    if found["transformers"]
                                    else "steps by hand without transformers")
            self.table.add("the same, one process", who, "s", theirs)
            self.agreement["nearest to ' theory'"] = (
                "the same" if len({a[1:] for a in answers}) == 1
                else "DIFFERENT: %s" % sorted(answers))


def report(bench, started, table_of):
    m = machine()
    yield "%s, %d processors, %.1f GB; %s" % (m["processor"], m["processors"], m["memory GB"],
                                              started)
    yield table_of(bench.table.cells())
    yield "Ids compared with wte's on the same file:"
    yield table_of([["what", "ids"]] + [list(row) for row in bench.agreement.items()])
    if bench.notes or bench.versions:
        yield table_of([["note"]] + [[n] for n in bench.notes] + [
            ["%s: version %s" % row] for row in bench.versions.items()])


def main():
    env = os.environ.get
    parser = argparse.ArgumentParser(prog="bench/tokenizers/run.sh")
    parser.add_argument("--only", default=",".join(SECTIONS), help="some of: %(default)s")
    parser.add_argument("--rounds", type=int, default=int(env("ROUNDS", "5")))
    parser.add_argument("--slow-rounds", type=int, default=2,
                        help="rounds in which the slow ones take part")
    parser.add_argument("--no-peers", action="store_true", help="wte alone")
    parser.add_argument("--english", metavar="FILE", help="an English text of at least 10 MB")
    parser.add_argument("--cjk", metavar="FILE", help="a Chinese, Japanese or Korean text")
    parser.add_argument("--code", metavar="FILE", help="source code")
    parser.add_argument("--english-mb", type=float, default=12)
    parser.add_argument("--cjk-mb", type=float, default=8)
    parser.add_argument("--code-mb", type=float, default=8)
    parser.add_argument("--results", metavar="FILE", help="write the tables as Markdown, too")
    parser.add_argument("--json", metavar="FILE", help="write every sample as JSON, too")
    parser.add_argument("--folder", default=env("WTE_BENCH_DIR", "/tmp/wte-bench"))
    parser.add_argument("--shared", default=env("WTE_SHARED", os.path.join(ROOT, "..", "shared")))
    parser.add_argument("--gpt2", metavar="FOLDER", help="GPT-2's tokenizer files")
    parser.add_argument("--bert", metavar="FOLDER", help="BERT's tokenizer files")
    parser.add_argument("--wte", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--bench-tokenize", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--make-gpt2", required=True, help=argparse.SUPPRESS)
    args = parser.parse_args()
    sections = [s for s in args.only.split(",") if s]
    for s in sections:
        if s not in SECTIONS:
            parser.error("unknown section '%s', expected some of %s" % (s, ", ".join(SECTIONS)))
    for family in ("gpt2", "bert"):
        path = os.path.abspath(getattr(args, family) or os.path.join(args.shared, "data", family))
        setattr(args, family, path)
        if not os.path.isdir(path):
            raise Failed("%s: not found; --%s FOLDER names the tokenizer's files" % (path, family))

    started = datetime.datetime.now().strftime("%Y-%m-%d %H:%M")
    bench = Bench(args)
    bench.note("load average before the run: %.1f%s" % (
        os.getloadavg()[0], ", THE MACHINE IS BUSY" if os.getloadavg()[0] > 0.5 else ""))
    for s in sections:
        getattr(bench, "section_" + s)()
    print("\n\n".join(report(bench, started, aligned)))
    if args.results:
        with open(args.results, "w") as f:
            f.write("# Results\n\nMade by `bench/tokenizers/run.sh --results`; `README.md` says "
                    "what each row means.\n\n" + "\n\n".join(report(bench, started, markdown))
                    + "\n")
    if args.json:
        with open(args.json, "w") as f:
            json.dump({"started": started, "machine": machine(), "versions": bench.versions,
                       "rows": bench.table.rows, "agreement": bench.agreement,
                       "notes": bench.notes}, f, indent=1)
    if any("DIFFERENT" in v or v == "NO" for v in bench.agreement.values()):
        raise Failed("THE RESULTS DIFFER, see the table")


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit("bench: %s" % failure)
