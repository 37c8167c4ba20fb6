#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""bench.py - time GPT-2 and BERT in wte beside llama.cpp and torch, print and write a table

Started by run.sh, which builds what it needs; README.md says what each row means. Python's standard
library only; the others run in processes of their own (llama.mjs, torch_peer.py).
"""
import argparse
import datetime
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(HERE))  # bench means ../bench.py
from bench import Failed, aligned, machine, markdown, run, run_json, say, summary, warm  # noqa: E402

SECTIONS = ["gpt2", "bert", "start", "memory", "growth"]
PRECISIONS = ["f32", "bf16", "int8"]
LLAMA = {"f32": "F32", "f16": "F16", "q8_0": "Q8_0"}
PROMPT, NEW, PREFILL, ENCODE, CONTEXT = 16, 64, 512, 128, 1024
SENTENCE = "The theory of relativity is"
UNITS = {"tokens/s": (1, "tokens/s"), "GB/s": (1e-9, "GB/s"), "ms": (1e3, "ms"), "%": (100, "%"),
         "MB": (1e-6, "MB")}


def show(s, unit):
    if s is None:
        return "-"
    scale, unit = UNITS[unit]
    digits = 0 if s["median"] * scale >= 100 else 1 if s["median"] * scale >= 10 else 2
    return "%.*f %s (%.*f-%.*f)" % (digits, s["median"] * scale, unit, digits, s["min"] * scale,
                                    digits, s["max"] * scale)


class Others:
    """What the processors did for others from now on. Threads that wait for each other by spinning,
    as llama.cpp's and torch's do, lose far more than the time that another process takes."""
    MUCH = 0.05

    def __init__(self):
        self.begin = self.look()

    @staticmethod
    def look():
        """Seconds: the clock, all work, work of this benchmark, taken by the hypervisor."""
        own = sum(sum(resource.getrusage(who)[:2])
                  for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        try:
            with open("/proc/stat", encoding="ascii") as f:
                t = [int(n) / os.sysconf("SC_CLK_TCK") for n in f.readline().split()[1:9]]
        except (OSError, ValueError, IndexError):
            return time.monotonic(), own, own, 0.0
        return time.monotonic(), t[0] + t[1] + t[2] + t[5] + t[6], own, t[7]

    def shares(self):
        """Of all processors' time: what other processes used, what the hypervisor took."""
        wall, work, own, stolen = (b - a for a, b in zip(self.begin, self.look()))
        total = wall * os.cpu_count()
        return max(0.0, work - own) / total, stolen / total


class Table:
    """Rows: what was done, by whom, the figure, how much better wte is than whom, the target."""

    def __init__(self):
        self.rows, self.doubtful = [], False

    def add(self, what, who, unit, samples, target="", met=None):
        self.rows.append({"what": what, "who": who, "unit": unit, "figure": summary(samples),
                          "samples": samples, "ratio": None, "target": target, "met": met})

    def ratio(self, what, who, ratio, least=None):
        """A row that compares; `who` names both sides."""
        self.rows.append({"what": what, "who": who, "unit": None, "figure": None, "ratio": ratio,
                          "target": "" if least is None else "%gx" % least,
                          "met": None if least is None else ratio >= least})

    def cells(self):
        yield ["what", "who", "figure", "ratio", "target", "met"]
        for r in self.rows:
            yield [r["what"], r["who"], show(r["figure"], r["unit"]) if r["figure"] else "",
                   "" if r["ratio"] is None else "%.2fx" % r["ratio"], r["target"],
                   {None: "", True: "yes", False: "NO"}[r["met"]]
                   + ("?" if self.doubtful and r["met"] is not None and r["unit"] != "MB" else "")]


class Bench:
    def __init__(self, args):
        self.args, self.folder, self.table = args, args.folder, Table()
        self.notes, self.agreement, self.versions, self.growth = [], {}, {}, {}
        self.broken = set()
        self.cache = os.path.join(self.folder, "network-cache")
        os.makedirs(self.folder, exist_ok=True)
        self.torch = self.find_torch()
        self.llama = self.find_llama()

    def note(self, text):
        say(text)
        self.notes.append(text)

    # ---- peers ------------------------------------------------------------------------------

    def python(self, modules):
        """A Python that can import modules, or None."""
        for python in (os.environ.get("WTE_TORCH_PYTHON"), "/usr/bin/python3", "python3"):
            if python and shutil.which(python) and subprocess.run(
                    [python, "-c", "import " + modules], capture_output=True,
                    check=False).returncode == 0:
                return python
        return None

    def find_torch(self):
        if self.args.no_peers:
            return None
        python = self.python("torch, numpy")
        if not python:
            self.note("no torch (Debian: python3-torch, or WTE_TORCH_PYTHON=PYTHON): no comparison")
            return None
        command = [python, os.path.join(HERE, "torch_peer.py")]
        self.versions["torch"] = run_json(command + ["version"])["torch"]
        return command

    def find_llama(self):
        if self.args.no_peers:
            return None
        if not shutil.which("node") or not os.path.isdir(
                os.path.join(self.folder, "node_modules", "node-llama-cpp")):
            self.note("node-llama-cpp is not installed (WITH_LLAMA=1 installs it): no comparison "
                      "with llama.cpp")
            return None
        return ["node", os.path.join(HERE, "llama.mjs"), self.folder]

    def ask(self, who, command):
        """What a peer printed, or None from its first failure on."""
        if who in self.broken:
            return None
        try:
            return json.loads(run(command)[1].strip().splitlines()[-1])
        except (Failed, ValueError, IndexError) as failure:
            self.note("%s failed: %s" % (who, str(failure)[-300:]))
            self.broken.add(who)
            return None

    def ask_llama(self, kind, *cases):
        path = os.path.join(self.folder, "gpt2-random-%s.gguf" % kind)
        found = self.ask("llama.cpp " + LLAMA[kind],
                         self.llama + [path, str(self.args.threads), *cases])
        if found:
            self.versions["node-llama-cpp"] = "%s, %s threads, %s" % (
                found["version"], found["threads"], found["system"])
        return found

    def ask_torch(self, who, *words):
        found = self.ask(who, self.torch + list(words))
        if found and "cases" in found:
            self.versions["torch"] = "%s, %s" % (found["torch"], found["blas"])
        return found

    def ours(self, folder, precision, *cases):
        found = run_json([self.args.bench_network, folder, precision, str(self.args.threads),
                          *cases], WTE_CACHE=self.cache)
        if found["note"] and found["note"] not in self.notes:
            self.note(found["note"])
        return found

    # ---- inputs -----------------------------------------------------------------------------

    def room(self, size):
        free = shutil.disk_usage(self.folder).free
        if free < size:
            raise Failed("%s has %.1f GB free, %.1f GB are needed" % (self.folder, free / 1e9,
                                                                      size / 1e9))

    def gpt2(self, layers=12):
        """The folder of a checkpoint with so many layers, made where missing."""
        folder = os.path.join(self.folder, "gpt2-random" + ("-%d" % layers if layers != 12 else ""))
        path = os.path.join(folder, "model.safetensors")
        os.makedirs(folder, exist_ok=True)
        if os.path.isdir(self.args.gpt2):
            for name in os.listdir(self.args.gpt2):
                shutil.copyfile(os.path.join(self.args.gpt2, name), os.path.join(folder, name))
        config = os.path.join(folder, "config.json")
        if layers != 12 or not os.path.exists(config):
            with open(config, "w", encoding="utf-8") as f:
                json.dump({"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2",
                           "activation_function": "gelu_new", "n_ctx": CONTEXT,
                           "n_positions": CONTEXT, "n_embd": 768, "n_head": 12, "n_layer": layers,
                           "layer_norm_epsilon": 1e-5, "vocab_size": 50257, "bos_token_id": 50256,
                           "eos_token_id": 50256}, f)
        if not os.path.exists(path):
            self.room(1.5e9)
            say("making %s" % path)
            run([self.args.make_gpt2, "-l", str(layers), path + ".part"])
            os.rename(path + ".part", path)
        warm(path)
        return folder

    def bert(self):
        folder = os.path.join(self.folder, "bert-random")
        if not os.path.exists(os.path.join(folder, "config.json")):
            python = self.python("numpy")
            if not python:
                self.note("no numpy (Debian: python3-numpy): BERT is left out")
                return None
            self.room(1.5e9)
            say("making %s" % folder)
            run([python, os.path.join(HERE, "make_bert.py"), folder])
        warm(os.path.join(folder, "model.safetensors"))
        return folder

    def ggufs(self, folder):
        """Write what llama.cpp reads; the kinds that are there."""
        python = self.python("numpy")
        found = []
        for kind in LLAMA if self.llama else ():
            path = os.path.join(self.folder, "gpt2-random-%s.gguf" % kind)
            if not os.path.exists(path):
                if not python or not os.path.exists(os.path.join(folder, "vocab.json")):
                    self.note("%s is missing; writing it needs numpy and GPT-2's vocab.json and "
                              "merges.txt (--gpt2 FOLDER)" % path)
                    continue
                self.room(1.5e9)
                say("making %s" % path)
                run([python, os.path.join(HERE, "gguf.py"), folder, path, kind])
            warm(path)
            found.append(kind)
        return found

    def convert(self, folder, what):
        """Let bf16 and int8 weights be made and kept before anything is timed."""
        for precision in PRECISIONS:
            found = self.ours(folder, precision, "encode:4:1")
            if found["converted_bytes"] and not found["converted_found"]:
                self.note("%s: weights converted to %s at the first open: %.2f s, %.0f MB" % (
                    what, precision, found["open"], found["converted_bytes"] / 1e6))

    def same(self, what, mine, other, tolerance=None):
        """Tell whether two results agree; DIFFERENT ends the run with exit status 1."""
        if tolerance is None:
            good, text = mine == other, "%s" % mine
        else:
            error = max(abs(a - b) for a, b in zip(mine, other)) / max(map(abs, other))
            good, text = error < tolerance, "relative error %.1e" % error
        self.agreement[what] = text + (": the same" if good else ": DIFFERENT, the other has %s"
                                       % (other,))

    # ---- GPT-2: decode and prefill ----------------------------------------------------------

    def section_gpt2(self):
        folder = self.gpt2()
        kinds = self.ggufs(folder)
        self.convert(folder, "GPT-2 124M")
        speeds = {}  # (what, who): samples
        shares, reads, bytes_of = {p: [] for p in PRECISIONS}, [], {}
        prefill = "prefill:%d:2" % PREFILL

        def keep(who, found):
            for case, (what, n) in zip(found["cases"], (("decode", NEW), ("prefill", PREFILL))):
                speeds.setdefault((what, who), []).extend(n / s for s in case["seconds"])

        def one_of_ours(p):
            found = self.ours(folder, p, "share:%d:%d:3" % (PROMPT, NEW), prefill)
            keep("wte " + p, found)
            bytes_of[p] = found["bytes_per_token"]
            decode = found["cases"][0]
            for seconds, read in zip(decode["seconds"], decode["read"]):
                bandwidth = decode["read_bytes"] / read
                reads.append(bandwidth)
                shares[p].append(NEW * bytes_of[p] / seconds / bandwidth)
            return found["cases"]

        for turn in range(self.args.rounds):
            say("decode and prefill, round %d of %d" % (turn + 1, self.args.rounds))
            mine = {}
            for p, kind in zip(PRECISIONS, LLAMA):
                mine[p] = one_of_ours(p)
                if kind in kinds:
                    found = self.ask_llama(kind, "decode:%d:%d:2" % (PROMPT, NEW), prefill)
                    if found:
                        keep("llama.cpp " + LLAMA[kind], found)
                        what = "next token after %d, wte %s and llama.cpp %s" % (PREFILL, p,
                                                                                 LLAMA[kind])
                        theirs = found["cases"][1]["next"]
                        if p == "f32":
                            self.same(what, mine[p][1]["next"], theirs)
                        else:
                            self.agreement[what] = "%d and %d" % (mine[p][1]["next"], theirs)
            if self.torch:
                found = self.ask_torch("torch f32", "gpt2", folder, str(self.args.threads),
                                       "decode:%d:%d:1" % (PROMPT, NEW), prefill)
                if found:
                    keep("torch f32", found)
                    for i, what in enumerate(("%d tokens, one by one" % NEW,
                                              "a prompt of %d" % PREFILL)):
                        self.same("next token after %s, wte f32 and torch" % what,
                                  mine["f32"][i]["next"], found["cases"][i]["next"])

        label = {"decode": "decode, %d tokens behind %d" % (NEW, PROMPT),
                 "prefill": "prefill, %d tokens" % PREFILL}
        for what in ("decode", "prefill"):
            for (kind, who), samples in sorted(
                    speeds.items(), key=lambda item: not item[0][1].startswith("wte")):
                if kind == what:
                    self.table.add(label[what], who, "tokens/s", samples)
        median = {key: statistics.median(samples) for key, samples in speeds.items()}

        def against(what, mine, others, least):
            others = [o for o in others if (what, o) in median]
            if others:
                best = max(others, key=lambda o: median[what, o])
                self.table.ratio(label[what], "wte %s / %s" % (mine, best),
                                 median[what, "wte " + mine] / median[what, best], least)

        against("decode", "f32", ["llama.cpp F32"], 1.2)
        against("decode", "bf16", ["llama.cpp F16"], 1.9)
        against("decode", "int8", ["llama.cpp Q8_0"], 1.7)
        against("decode", "f32", ["torch f32"], None)
        against("prefill", "bf16", ["llama.cpp F16", "llama.cpp Q8_0"], 3.5)
        against("prefill", "int8", ["llama.cpp F16", "llama.cpp Q8_0"], None)
        against("prefill", "f32", ["torch f32"], 1.5)
        against("prefill", "f32", ["llama.cpp F32"], 1.3)
        self.table.add("plain read of the mapped file, %d threads" % self.args.threads, "memory", "GB/s", reads)
        for p in PRECISIONS:
            self.table.add("decode as a share of read bandwidth / %.0f MB a token" % (
                bytes_of[p] / 1e6), "wte " + p, "%", shares[p], ">= 90 %",
                statistics.median(shares[p]) >= 0.9)

    # ---- BERT -------------------------------------------------------------------------------

    def section_bert(self):
        folder = self.bert()
        if not folder:
            return
        self.convert(folder, "BERT-base")
        case, samples = "encode:%d:3" % ENCODE, {}
        for turn in range(self.args.rounds):
            say("BERT, round %d of %d" % (turn + 1, self.args.rounds))
            mine = None
            for p in PRECISIONS:
                found = self.ours(folder, p, case)["cases"][0]
                samples.setdefault("wte " + p, []).extend(found["seconds"])
                mine = mine or found["hidden"]
            for p in ("f32", "bf16") if self.torch else ():
                if p == "bf16" and turn >= self.args.slow_rounds:
                    continue  # seconds a pass where the processor has no bfloat16
                found = self.ask_torch("torch " + p, "bert", folder, str(self.args.threads), p,
                                       "encode:%d:%d" % (ENCODE, 3 if p == "f32" else 1))
                if found:
                    samples.setdefault("torch " + p, []).extend(found["cases"][0]["seconds"])
                    if p == "f32":
                        self.same("BERT: last hidden state, wte f32 and torch", mine,
                                  found["cases"][0]["hidden"], 1e-4)
        what = "BERT-base shape, %d tokens" % ENCODE
        for who, seconds in samples.items():
            self.table.add(what, who, "ms", seconds)
        median = {who: statistics.median(seconds) for who, seconds in samples.items()}
        for mine, other, least in (("wte f32", "torch f32", 1.2), ("wte bf16", "torch bf16", None),
                                   ("wte bf16", min((w for w in median if w.startswith("torch")),
                                                    key=median.get, default=None), 5)):
            if other in median:
                name = other + (", torch's faster" if least == 5 else "")
                self.table.ratio(what, "%s / %s" % (mine, name), median[other] / median[mine],
                                 least)

    # ---- start ------------------------------------------------------------------------------

    def section_start(self):
        folder = self.gpt2()
        if not os.path.exists(os.path.join(folder, "vocab.json")):
            self.note("no vocab.json: the start is not measured; --gpt2 FOLDER names GPT-2's files")
            return
        ours, theirs = {p: [] for p in PRECISIONS}, []
        command = [self.args.wte, "next", "-m", folder, "-k", "1", "--json"]
        for p in PRECISIONS:  # the tokenizer's tables and converted weights are kept now
            run(command + ["--dtype", p, SENTENCE], WTE_CACHE=self.cache)
        for turn in range(self.args.rounds):
            say("start, round %d of %d" % (turn + 1, self.args.rounds))
            first = None
            for p in PRECISIONS:
                for _ in range(3):
                    seconds, out = run(command + ["--dtype", p, SENTENCE], WTE_CACHE=self.cache)
                    ours[p].append(seconds)
                first = first or json.loads(out)["next"][0]["id"]
            if self.torch and "torch" not in self.broken:
                seconds, out = run(self.torch + ["start", folder, SENTENCE])
                theirs.append(seconds)
                self.same('next token after "%s", wte next and torch' % SENTENCE, first,
                          json.loads(out)["next"])
        what = "start: process begin to end, one next token"
        for p in PRECISIONS:
            self.table.add(what, "wte next --dtype " + p, "ms", ours[p])
        if theirs:
            self.table.add(what, "torch, steps by hand without transformers", "ms", theirs)
            for p in PRECISIONS:
                self.table.ratio(what, "wte %s / torch" % p, statistics.median(theirs)
                                 / statistics.median(ours[p]), 10 if p == "f32" else None)

    # ---- memory -----------------------------------------------------------------------------

    def section_memory(self):
        folder = self.gpt2()
        self.convert(folder, "GPT-2 124M")
        for p in PRECISIONS:
            own, mapped = [], []
            for _ in range(self.args.rounds):
                found = self.ours(folder, p, "memory:%d" % CONTEXT)["cases"][0]
                own.append(found["RssAnon"] + found["RssShmem"])
                mapped.append(found["RssFile"])
            self.table.add("own memory at %d tokens" % CONTEXT, "wte " + p, "MB", own, "<= 60 MB",
                           statistics.median(own) <= 60e6)
            self.table.add("mapped files in memory, the program's included", "wte " + p, "MB",
                           mapped)

    # ---- growth -----------------------------------------------------------------------------

    def grow(self, title, folder_of, cases, per):
        """Times for a list of sizes: cases is [(size, case, divide the seconds by)]."""
        rows = self.growth.setdefault(title, {"per": per, "sizes": {}})["sizes"]
        for _ in range(self.args.rounds):
            for size, case, divide in cases:
                for p in PRECISIONS:
                    found = self.ours(folder_of(size), p, case)["cases"][0]
                    rows.setdefault(size, {}).setdefault(p, []).extend(
                        s / divide for s in found["seconds"])

    def section_growth(self):
        folder = self.gpt2()
        self.convert(folder, "GPT-2 124M")
        say("growth with context length")
        self.grow("one step, tokens before it", lambda _: folder, [
            (n, "decode:%d:8:1:3" % n, 8) for n in (1, 128, 256, 512, 1016)], "a step")
        self.grow("prefill, tokens of the prompt", lambda _: folder, [
            (n, "prefill:%d:2" % n, 1) for n in (32, 128, 256, 512, 1024)], "a prompt")
        say("growth with batch")
        self.grow("one step behind 64 tokens, sequences at once", lambda _: folder, [
            (n, "decode:64:8:%d:2" % n, 8 * n) for n in (1, 2, 4, 8, 16, 32)],
            "a token of one sequence")
        say("growth with layers")
        layers = (3, 6, 12) if self.args.quick else (3, 6, 12, 24)
        folders = {n: self.gpt2(n) for n in layers}
        for n in layers:
            self.convert(folders[n], "%d layers" % n)
        self.grow("one step behind 16 tokens, layers", folders.get, [
            (n, "decode:16:16:1:3", 16) for n in layers], "a step")
        self.grow("prefill of 256, layers", folders.get, [
            (n, "prefill:256:2", 1) for n in layers], "a prompt")


def growth_cells(rows, title):
    yield [title.rsplit(", ", 1)[1]] + ["wte " + p for p in PRECISIONS]
    for size, times in rows.items():
        yield [str(size)] + [show(summary(times[p]), "ms") for p in PRECISIONS]


def report(bench, started, table_of):
    m = machine()
    yield "%s, %d processors, %.1f GB; %s" % (m["processor"], m["processors"], m["memory GB"],
                                              started)
    yield "%d threads; median (min-max) of the samples of %d rounds" % (bench.args.threads,
                                                                       bench.args.rounds)
    yield table_of(list(bench.table.cells()))
    for title, found in bench.growth.items():
        yield "How the time grows: %s (ms for %s)" % (title, found["per"])
        yield table_of(list(growth_cells(found["sizes"], title)))
    if bench.agreement:
        yield table_of([["compared", "result"]] + [list(row) for row in bench.agreement.items()])
    yield table_of([["note"]] + [[n] for n in bench.notes] + [
        ["%s: %s" % row] for row in bench.versions.items()])


def main():
    env = os.environ.get
    parser = argparse.ArgumentParser(prog="bench/network/run.sh")
    parser.add_argument("--only", default=",".join(SECTIONS), help="some of: %(default)s")
    parser.add_argument("--rounds", type=int, default=int(env("ROUNDS", "5")))
    parser.add_argument("--slow-rounds", type=int, default=1,
                        help="rounds in which torch's bfloat16 takes part")
    parser.add_argument("--quick", action="store_true", help="one round, no 24 layers")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--no-peers", action="store_true", help="wte alone")
    parser.add_argument("--results", metavar="FILE", help="write the tables as Markdown, too")
    parser.add_argument("--json", metavar="FILE", help="where every sample is written; "
                        "bench/results/network-DATE.json if not given")
    parser.add_argument("--folder", default=env("WTE_BENCH_DIR", "/tmp/wte-bench"))
    parser.add_argument("--shared", default=env("WTE_SHARED", os.path.join(ROOT, "..", "shared")))
    parser.add_argument("--gpt2", metavar="FOLDER", help="GPT-2's tokenizer files")
    parser.add_argument("--wte", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--bench-network", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--make-gpt2", required=True, help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.gpt2 = os.path.abspath(args.gpt2 or os.path.join(args.shared, "data", "gpt2"))
    if args.quick:
        args.rounds = args.slow_rounds = 1
    sections = [s for s in args.only.split(",") if s]
    for s in sections:
        if s not in SECTIONS:
            parser.error("unknown section '%s', expected some of %s" % (s, ", ".join(SECTIONS)))

    started = datetime.datetime.now().strftime("%Y-%m-%d %H:%M")
    bench = Bench(args)
    bench.note("load average before the run: %.1f%s" % (
        os.getloadavg()[0], ", THE MACHINE IS BUSY" if os.getloadavg()[0] > 0.5 else ""))
    shutil.rmtree(bench.cache, ignore_errors=True)
    watch = Others()
    try:
        for s in sections:
            getattr(bench, "section_" + s)()
    finally:
        shutil.rmtree(bench.cache, ignore_errors=True)
    others, stolen = watch.shares()
    bench.table.doubtful = max(others, stolen) > Others.MUCH
    bench.note("while it ran, other processes used %.1f %% of the processors and the hypervisor took "
               "%.1f %%%s" % (100 * others, 100 * stolen, ": THE FIGURES ARE NOT FIT TO BE QUOTED"
                              if bench.table.doubtful else ""))
    print("\n\n".join(report(bench, started, aligned)))
    if args.results:
        with open(args.results, "w", encoding="utf-8") as f:
            f.write("# Results\n\nMade by `bench/network/run.sh --results`; `README.md` says what "
                    "each row means.\n\n" + "\n\n".join(report(bench, started, markdown)) + "\n")
    path = args.json or os.path.join(os.path.dirname(HERE), "results", "network-%s.json"
                                     % started.replace(" ", "-").replace(":", ""))
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        json.dump({"started": started, "machine": machine(), "versions": bench.versions,
                   "parameters": {"rounds": args.rounds, "threads": args.threads},
                   "others": others, "stolen": stolen,
                   "rows": bench.table.rows, "growth": bench.growth,
                   "agreement": bench.agreement, "notes": bench.notes}, f, indent=1)
    say("written: %s" % path)
    if any("DIFFERENT" in v for v in bench.agreement.values()):
        raise Failed("THE RESULTS DIFFER, see the table")


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit("bench: %s" % failure)
