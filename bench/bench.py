#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""bench.py - run the benchmark: make the inputs, run both programs in turn, print and write a table

Started by run.sh, which builds what it needs; README.md says what each row means. Python's
standard library only; gensim runs in processes of its own (gensim_peer.py).
"""
import argparse
import datetime
import json
import mmap
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SECTIONS = ["nearest", "width", "text", "eval"]
PYTHON = "/usr/bin/python3"  # Debian's, which has Debian's gensim

# A small list for a checkout without the real questions: every two pairs of a section make one.
PAIRS = {
    "capital": "Athens Greece Berlin Germany Paris France Rome Italy Madrid Spain Oslo Norway "
               "Cairo Egypt Tokyo Japan Lima Peru Vienna Austria Havana Cuba Ottawa Canada",
    "family": "man woman king queen boy girl father mother brother sister uncle aunt son daughter",
    "comparative": "big bigger cold colder fast faster high higher long longer old older warm warmer",
    "plural": "bird birds car cars cat cats dog dogs hand hands horse horses road roads",
}


class Failed(Exception):
    pass


# ---- processes ------------------------------------------------------------------------------

def run(command, **environment):
    """Run a command and return (seconds from spawn to exit, what it printed)."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        env = dict(os.environ, **environment)
        start = time.perf_counter()
        pid = os.posix_spawnp(command[0], command, env, file_actions=[
            (os.POSIX_SPAWN_DUP2, out.fileno(), 1), (os.POSIX_SPAWN_DUP2, err.fileno(), 2)])
        status = os.waitpid(pid, 0)[1]
        seconds = time.perf_counter() - start
        out.seek(0)
        err.seek(0)
        text = out.read().decode("utf-8", "replace")
        if os.waitstatus_to_exitcode(status) != 0:
            raise Failed("%s: exit %d: %s" % (" ".join(command), os.waitstatus_to_exitcode(status),
                                             err.read().decode("utf-8", "replace").strip()))
        return seconds, text


def run_json(command, **environment):
    return json.loads(run(command, **environment)[1])


def say(text):
    print("bench: " + text, file=sys.stderr, flush=True)


def warm(path):
    """Read a file once, so that every run finds it in the page cache."""
    with open(path, "rb", buffering=0) as f:
        while f.read(1 << 24):
            pass


def warm_memory(size=256 << 20):
    """Touch free memory and give it back, so that the next process gets memory that is really
    there. A virtual machine's host takes back what nobody uses, and gives it again page by page
    when it is touched: 60 ms for 16 MB were seen, more than what is measured."""
    m = mmap.mmap(-1, size)
    m.madvise(mmap.MADV_HUGEPAGE)
    for at in range(0, size, mmap.PAGESIZE):
        m[at] = 1
    m.close()


def available_memory():
    with open("/proc/meminfo") as f:
        for line in f:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 0


# ---- inputs ---------------------------------------------------------------------------------

class Inputs:
    """The files of one run; made where missing."""

    def __init__(self, args):
        self.folder = args.folder
        os.makedirs(self.folder, exist_ok=True)
        real = os.path.join(args.shared, "data", "questions-words.txt")
        self.real_questions = os.path.exists(real)
        self.questions = real if self.real_questions else self.own_questions()
        self.make_vectors = args.make_vectors
        self.rows, self.dim = args.rows, args.dim
        self.small = min(args.rows, 300000)
        self.text_rows = min(args.rows, 400000)
        self.widths = [100, args.dim, 768]
        self.files = {"large": ("bin", self.rows, self.dim), "small": ("bin", self.small, self.dim),
                      "text": ("glove", self.text_rows, self.dim)}
        for width in self.widths:
            self.files["width %d" % width] = ("bin", self.small, width)

    def own_questions(self):
        path = os.path.join(self.folder, "questions.txt")
        with open(path, "w") as f:
            for section, words in PAIRS.items():
                words = words.split()
                pairs = list(zip(words[::2], words[1::2]))
                print(":", section, file=f)
                for a in pairs:
                    for b in pairs:
                        if a != b:
                            print(*a, *b, file=f)
        return path

    def path(self, name):
        form, rows, dim = self.files[name]
        return os.path.join(self.folder, "%dx%d%s.%s" % (
            rows, dim, "" if self.real_questions else "-own", "bin" if form == "bin" else "txt"))

    def words(self):
        return self.path("large") + ".queries"

    def fraction(self, nth):
        """Every nth question, with all section lines."""
        path = os.path.join(self.folder, "questions-%d.txt" % nth)
        kept = n = 0
        with open(self.questions) as f, open(path, "w") as out:
            for line in f:
                if line.startswith(":"):
                    out.write(line)
                    continue
                if n % nth == 0:
                    out.write(line)
                    kept += 1
                n += 1
        return path, n / max(kept, 1)

    def make(self, wanted):
        missing = {self.path(n): n for n in wanted if not os.path.exists(self.path(n))}
        size = 0
        for name in missing.values():
            form, rows, dim = self.files[name]
            size += rows * (12 + dim * (4 if form == "bin" else 9))
        size += self.rows * self.dim * 2 // 5  # the index of the largest, and room to breathe
        free = shutil.disk_usage(self.folder).free
        if free < size:
            raise Failed("%s has %.1f GB free, the inputs and indexes need %.1f GB; set "
                         "WTE_BENCH_DIR or a smaller ROWS" % (self.folder, free / 1e9, size / 1e9))
        for path, name in missing.items():
            form, rows, dim = self.files[name]
            say("making %s" % path)
            run([self.make_vectors, "-f", form, "-r", str(rows), "-d", str(dim), "-q",
                 self.questions, "-o", path + ".part", "-w", path + ".queries"])
            os.rename(path + ".part", path)


# ---- the table ------------------------------------------------------------------------------

def summary(samples):
    if not samples:
        return None
    return {"median": statistics.median(samples), "min": min(samples), "max": max(samples),
            "n": len(samples), "samples": samples}


def spread(samples, digits):
    return "%.*f [%.*f, %.*f]" % (digits, statistics.median(samples), digits, min(samples), digits,
                                  max(samples))


def show_seconds(s):
    if s is None:
        return "-"
    scale, unit = (1, "s") if s["median"] >= 1 else (1000, "ms")
    digits = 2 if s["median"] * scale < 100 else 0
    return "%.*f %s (%.*f-%.*f)" % (digits, s["median"] * scale, unit, digits, s["min"] * scale,
                                    digits, s["max"] * scale)


def show_bytes(s):
    return "-" if s is None else "%.1f MB" % (s["median"] / 1e6)


class Table:
    def __init__(self, scaled_down):
        self.rows = []
        self.scaled_down = scaled_down

    def time(self, what, wte, gensim, target=None, note=""):
        wte, gensim = summary(wte), summary(gensim)
        ratio = gensim["median"] / wte["median"] if wte and gensim else None
        self.rows.append({"what": what, "unit": "s", "wte": wte, "gensim": gensim, "ratio": ratio,
                          "target": target and "%dx" % target, "note": note,
                          "met": None if not target or ratio is None or self.scaled_down
                          else ratio >= target})

    def memory(self, what, wte, gensim, target=None, note=""):
        wte, gensim = summary(wte), summary(gensim)
        ratio = gensim["median"] / wte["median"] if wte and gensim else None
        self.rows.append({"what": what, "unit": "bytes", "wte": wte, "gensim": gensim,
                          "ratio": ratio, "target": target and "< %d MB" % (target / 1e6),
                          "note": note, "met": None if not target or not wte or self.scaled_down
                          else wte["max"] < target})

    def share(self, what, scan, read, target):
        # Where a read and a scan stood side by side, the machine was in the same mood for both.
        shares = [r / s for r, s in zip(read, scan)]
        self.rows.append({"what": what, "unit": "share", "wte": summary(shares), "gensim": None,
                          "ratio": None, "target": ">= %d %%" % (100 * target), "note": "",
                          "met": None if self.scaled_down
                          else statistics.median(shares) >= target})

    def cells(self):
        yield ["what", "wte", "gensim", "ratio", "target", "met"]
        for r in self.rows:
            if r["unit"] == "share":
                s = r["wte"]
                wte, gensim = "%.1f %% (%.1f-%.1f)" % (100 * s["median"], 100 * s["min"],
                                                       100 * s["max"]), "-"
            else:
                show = show_seconds if r["unit"] == "s" else show_bytes
                wte, gensim = show(r["wte"]), show(r["gensim"])
            yield [r["what"] + (" [%s]" % r["note"] if r["note"] else ""), wte, gensim,
                   "-" if r["ratio"] is None else "%.*fx" % (r["ratio"] < 10, r["ratio"]),
                   r["target"] or "", {None: "", True: "yes", False: "NO"}[r["met"]]]


def aligned(rows):
    rows = [list(r) for r in rows]
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(r, widths)).rstrip() for r in rows)


def markdown(rows):
    rows = [list(r) for r in rows]
    lines = ["| " + " | ".join(r) + " |" for r in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0])] + lines[1:])


# ---- the measurements -----------------------------------------------------------------------

class Bench:
    def __init__(self, args, inputs):
        self.args, self.inputs = args, inputs
        self.table = Table(args.rows < 3000000 or args.dim != 300)
        self.gensim = self.find_gensim()
        self.cache = os.path.join(inputs.folder, "cache")
        self.growth = {}
        self.agreement = {}
        self.details = {}

    def find_gensim(self):
        if self.args.no_gensim:
            return None
        try:
            return run_json(self.peer("version"))
        except (Failed, OSError):
            say("no gensim for %s (Debian: python3-gensim): no comparison" % PYTHON)
            return None

    def peer(self, *words):
        return [PYTHON, os.path.join(HERE, "gensim_peer.py"), *words]

    def nearest(self, path, word, *options, cache=None):
        command = [self.args.wte, "nearest", "-m", path, word, "--json", *options]
        if cache is None:
            cache = tempfile.mkdtemp(prefix="cache-", dir=self.inputs.folder)
            try:
                return run(command, WTE_CACHE=cache)[0]
            finally:
                shutil.rmtree(cache)
        return run(command, WTE_CACHE=cache)[0]

    def query(self, path, *options, words=None):
        return run_json([self.args.bench_query, *options, path, words or self.inputs.words()])

    def section_nearest(self):
        """The large file: whole processes, searches in a process, memory, bandwidth, growth."""
        path = self.inputs.path("large")
        with open(self.inputs.words()) as f:
            words = f.read().split()
        large_gensim = self.gensim
        need = self.args.rows * self.args.dim * 4 * 3.6
        if large_gensim and available_memory() < need:
            say("%.1f GB of memory available, gensim and the file need %.1f GB: no comparison on "
                "the large file" % (available_memory() / 1e9, need / 1e9))
            large_gensim = None
        sizes = ",".join(str(n) for n in (100000, 300000, 1000000, 3000000) if n <= self.args.rows)
        warm(path)
        shutil.rmtree(self.cache, ignore_errors=True)
        samples = {k: [] for k in ("one", "fresh", "never", "second", "gensim query", "codes",
                                   "full", "read", "scan", "own second", "own built", "own never",
                                   "own gensim", "candidates", "gensim load")}
        growth = {"rows": {}, "k": {}}
        for turn in range(self.args.rounds):
            say("large file, round %d of %d" % (turn + 1, self.args.rounds))
            if large_gensim:
                samples["one"].append(run(self.peer("one", path, words[turn]))[0])
            for i in range(3):
                samples["fresh"].append(self.nearest(path, words[3 * turn + i]))
                samples["never"].append(self.nearest(path, words[3 * turn + i], "--no-cache"))
            self.nearest(path, words[0], cache=self.cache)
            for i in range(10):
                samples["second"].append(self.nearest(path, words[10 * turn + i],
                                                      cache=self.cache))
            if large_gensim:
                peer = run_json(self.peer("session", path, self.inputs.words(), "--rows", sizes,
                                          "--k", "1,10,100,1000", "--neighbors", "5"))
                samples["gensim query"] += peer["queries"]
                samples["gensim load"].append(peer["load"] + peer["norms"])
                samples["own gensim"].append(peer["own_bytes"])
                self.add_growth(growth, peer, 1)
            ours = self.query(path, "--cache", self.cache, "--queries", "100", "--full", "10",
                              "--bandwidth", "10", "--rows", sizes, "--k", "1,10,100,1000",
                              "--neighbors", "5")
            for key in ("codes", "full", "read", "scan", "candidates"):
                samples[key] += ours[key]
            samples["own second"].append(max(ours["own_bytes"], ours["own_peak_bytes"]))
            self.add_growth(growth, ours, 0)
            with tempfile.TemporaryDirectory(dir=self.inputs.folder) as fresh:
                built = self.query(path, "--cache", fresh)
                samples["own built"].append(max(built["own_bytes"], built["own_peak_bytes"]))
            never = self.query(path, "--no-cache")
            samples["own never"].append(max(never["own_bytes"], never["own_peak_bytes"]))
            if large_gensim:
                self.agreement["nearest, 5 words"] = peer["neighbors"] == {
                    w: found for w, found in ours["neighbors"].items() if w}
        t = self.table
        t.time("whole process: original .bin, no index, one nearest query", samples["fresh"],
               samples["one"], 30, "the index is built and kept")
        t.time("the same with --no-cache", samples["never"], samples["one"])
        t.time("whole process: second open, one nearest query", samples["second"], samples["one"],
               150)
        t.time("one exact nearest query in a running process", samples["codes"],
               samples["gensim query"], 3)
        t.time("the same without the codes (float32 scan)", samples["full"],
               samples["gensim query"])
        t.memory("own memory, one query, second open", samples["own second"],
                 samples["own gensim"], 150e6, "peak")
        t.memory("own memory, one query, index built", samples["own built"],
                 samples["own gensim"], 150e6, "peak")
        t.memory("own memory, one query, --no-cache", samples["own never"],
                 samples["own gensim"], None, "peak")
        t.share("float32 scan, share of the read bandwidth", samples["scan"], samples["read"], 0.9)
        size = ours["read_bytes"]
        self.details.update({
            "read GB/s": size / statistics.median(samples["read"]) / 1e9,
            "scan GB/s": size / statistics.median(samples["scan"]) / 1e9,
            "candidates, median": statistics.median(samples["candidates"]),
            "candidates, largest": max(samples["candidates"]),
            "index bytes": ours["index_bytes"]})
        if large_gensim:
            self.details["gensim load and norms, s"] = statistics.median(samples["gensim load"])
        self.growth.update(growth)

    @staticmethod
    def add_growth(growth, result, column):
        for kind in growth:
            for size, times in result["by_" + kind].items():
                if size:
                    growth[kind].setdefault(size, ([], []))[column].extend(times)

    def section_width(self):
        """A query at several widths, rows the same."""
        growth = {}
        for turn in range(self.args.rounds):
            for width in self.inputs.widths:
                path = self.inputs.path("width %d" % width)
                warm(path)
                if turn == 0:
                    say("width %d" % width)
                ours, theirs = growth.setdefault(str(width), ([], []))
                ours += self.query(path, "--cache", self.cache, "--queries", "50",
                                   words=self.inputs.words())["codes"]
                if self.gensim:
                    theirs += run_json(self.peer("session", path, self.inputs.words(),
                                                 "--queries", "10"))["queries"]
        self.growth["width"] = growth

    def section_text(self):
        """A text without a header, opened for the first time."""
        path = self.inputs.path("text")
        warm(path)
        ours, theirs = [], []
        with open(self.inputs.words()) as f:
            word = f.readline().strip()
        for turn in range(self.args.rounds):
            say("text, round %d of %d" % (turn + 1, self.args.rounds))
            if self.gensim:
                theirs.append(run_json(self.peer("text", path))["load"])
            for _ in range(2):
                ours.append(self.nearest(path, word))
        self.table.time("loading GloVe text %d x %d" % self.inputs.files["text"][1:], ours, theirs,
                        20, "wte: whole process, index built, one query; gensim: the load alone")

    def section_eval(self):
        """Analogy questions on the small file."""
        path = self.inputs.path("small")
        warm(path)
        nth = 1 if self.args.full else 20
        part, scale = self.inputs.fraction(nth)
        single, _ = self.inputs.fraction(1 << 30)
        command = [self.args.wte, "eval", "analogies", "-m", path, "--json"]
        run(command + [part], WTE_CACHE=self.cache)
        ours, theirs, note = [], [], ""
        for turn in range(1 if self.args.full else self.args.rounds):
            say("questions, round %d" % (turn + 1))
            for _ in range(5):
                ours.append(run(command + [self.inputs.questions], WTE_CACHE=self.cache)[0])
            if self.gensim:
                peer = run_json(self.peer("eval", path, part, "--setup", single))
                theirs.append(peer["setup"] + (peer["eval"] - peer["setup"]) * scale)
                mine = run_json(command + [part], WTE_CACHE=self.cache)
                self.agreement["questions (%d right, %d wrong)" % (
                    peer["correct"], peer["incorrect"])] = (
                    (mine["correct"], mine["incorrect"]) ==
                    (peer["correct"], peer["incorrect"]))
        if nth > 1 and theirs:
            note = "gensim EXTRAPOLATED from every %dth question" % nth
        self.table.time("eval analogies, all questions, %d x %d" % self.inputs.files["small"][1:],
                        ours, theirs, 200, note)

    def growth_cells(self, kind):
        yield [{"rows": "rows", "k": "k", "width": "width"}[kind], "wte", "gensim", "ratio"]
        for size, (ours, theirs) in self.growth[kind].items():
            a, b = summary(ours), summary(theirs)
            yield [size, show_seconds(a), show_seconds(b),
                   "%.1fx" % (b["median"] / a["median"]) if b else "-"]


# ---- reports --------------------------------------------------------------------------------

def machine():
    name = platform.processor() or platform.machine()
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                name = line.split(":", 1)[1].strip()
                break
    with open("/proc/meminfo") as f:
        memory = int(f.readline().split()[1]) / 1e6
    return {"processor": name, "processors": os.cpu_count(), "memory GB": round(memory, 1),
            "kernel": platform.release()}


def report(bench, args, started, table_of):
    m = machine()
    growth = {"rows": "one query, %d wide, k = 10" % args.dim,
              "k": "one query, %d x %d" % (args.rows, args.dim),
              "width": "one query, %d rows, k = 10" % bench.inputs.small}
    yield "%s, %d processors, %.1f GB; %s; %s" % (
        m["processor"], m["processors"], m["memory GB"],
        "gensim %s, numpy %s" % (bench.gensim["gensim"], bench.gensim["numpy"])
        if bench.gensim else "no gensim", started)
    yield "large file: %d x %d; median (min-max); ratio: gensim's median / wte's" % (
        args.rows, args.dim)
    if bench.table.scaled_down:
        yield "SCALED DOWN: the targets are for 3000000 x 300"
    if bench.table.rows:
        yield table_of(bench.table.cells())
    for kind, title in growth.items():
        if kind in bench.growth:
            yield "How the time grows with %s (%s)" % (kind, title)
            yield table_of(bench.growth_cells(kind))
    if bench.details:
        yield table_of([["detail", "value"]] + [
            [k, "%.6g" % v if isinstance(v, float) else str(v)] for k, v in bench.details.items()])
    for what, same in bench.agreement.items():
        yield "Same answers as gensim: %s: %s" % (what, "yes" if same else "NO")


def main():
    env = os.environ.get
    parser = argparse.ArgumentParser(prog="bench/run.sh")
    parser.add_argument("--full", action="store_true",
                        help="time all of gensim's evaluation, not every 20th question of it")
    parser.add_argument("--no-gensim", action="store_true")
    parser.add_argument("--only", default=",".join(SECTIONS),
                        help="some of: %(default)s")
    parser.add_argument("--rounds", type=int, default=int(env("ROUNDS", "3")))
    parser.add_argument("--rows", type=int, default=int(env("ROWS", "3000000")))
    parser.add_argument("--dim", type=int, default=int(env("DIM", "300")))
    parser.add_argument("--results", metavar="FILE", help="write the tables as Markdown, too")
    parser.add_argument("--folder", default=env("WTE_BENCH_DIR", "/tmp/wte-bench"))
    parser.add_argument("--shared", default=env("WTE_SHARED", os.path.join(HERE, "..", "..",
                                                                           "shared")))
    parser.add_argument("--wte", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--bench-query", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--make-vectors", required=True, help=argparse.SUPPRESS)
    args = parser.parse_args()
    sections = [s for s in args.only.split(",") if s]
    for s in sections:
        if s not in SECTIONS:
            parser.error("unknown section '%s', expected some of %s" % (s, ", ".join(SECTIONS)))

    started = datetime.datetime.now().strftime("%Y-%m-%d %H:%M")
    inputs = Inputs(args)
    wanted = ["large"] + (["width %d" % w for w in inputs.widths] if "width" in sections else [])
    wanted += ["text"] if "text" in sections else []
    wanted += ["small"] if "eval" in sections else []
    inputs.make(wanted)
    bench = Bench(args, inputs)
    for s in sections:
        getattr(bench, "section_" + s)()
    print("\n\n".join(report(bench, args, started, aligned)))
    out = {"started": started, "machine": machine(), "gensim": bench.gensim,
           "parameters": {"rows": args.rows, "dim": args.dim, "rounds": args.rounds,
                          "full": args.full, "questions": inputs.real_questions},
           "rows": bench.table.rows, "details": bench.details, "agreement": bench.agreement,
           "growth": {kind: {size: {"wte": summary(a), "gensim": summary(b)}
                             for size, (a, b) in sizes.items()}
                      for kind, sizes in bench.growth.items()}}
    path = os.path.join(HERE, "results", started.replace(" ", "-").replace(":", "") + ".json")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        json.dump(out, f, indent=1)
    say("written: %s" % path)
    if args.results:
        with open(args.results, "w") as f:
            f.write("# Results\n\nMade by `bench/run.sh --results`; `README.md` says what each row "
                    "means.\n\n" + "\n\n".join(report(bench, args, started, markdown)) + "\n")


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit("bench: %s" % failure)
