#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""texts.py - the files that tokenizers are timed on; standard library only

english  the first bytes of the novels in ../shared/data/corpus (public domain), or the user's text
cjk      made up: see cjk()
code     this repository's sources, then the C headers of this machine, each once; if that is not
         enough, all of it again
"""
import bisect
import glob
import itertools
import os
import random
import shutil
import subprocess

SEED = 20240229


def whole_lines(data, size):
    """The first `size` bytes, less the last line that is not whole."""
    if len(data) <= size:
        return data
    return data[:data.rfind(b"\n", 0, size) + 1]


def english(shared, size):
    parts = sorted(glob.glob(os.path.join(shared, "data", "corpus", "part-*.txt.zst")))
    if not parts or not shutil.which("zstd"):
        return None
    process = subprocess.Popen(["zstd", "-dcq"] + parts, stdout=subprocess.PIPE)
    data = process.stdout.read(size)
    process.stdout.close()
    process.wait()
    return whole_lines(data, len(data) - 1)


def decoded(codec, rows):
    """The characters of some rows of a double-byte character set, commonest levels."""
    found = []
    for row in rows:
        for cell in range(0xA1, 0xFF):
            try:
                found.append(bytes([row, cell]).decode(codec))
            except UnicodeDecodeError:
                pass
    return found


class Words:
    """Words made of characters; the n-th is drawn with a frequency of about 1 / n (Zipf)."""

    def __init__(self, rng, characters, lengths, n):
        ranks = list(itertools.accumulate(1 / (i + 20) for i in range(len(characters))))
        characters = rng.sample(characters, len(characters))
        self.words = ["".join(rng.choices(characters, cum_weights=ranks,
                                          k=rng.choices((1, 2, 3, 4), lengths)[0]))
                      for _ in range(n)]
        self.ranks = list(itertools.accumulate(1 / (i + 3) for i in range(n)))

    def draw(self, rng):
        return self.words[bisect.bisect(self.ranks, rng.random() * self.ranks[-1])]


def cjk(size):
    """Synthetic Chinese, Japanese and Korean, half, a third and a sixth of the sentences.

    Characters are the common ones: level 1 of GB 2312, level 1 of JIS X 0208 with kana, the
    syllables of KS X 1001. Words of one to four of them, 30000 in a language, occur with Zipf's
    frequencies; phrases of a few words end in the language's punctuation. Almost every phrase,
    which is what a tokenizer sees as a word, is new: remembering words helps little."""
    rng = random.Random(SEED)
    kana = decoded("euc_jp", (0xA4,)) * 12 + decoded("euc_jp", (0xA5,)) * 3
    kanji = decoded("euc_jp", range(0xB0, 0xD0))
    languages = [
        (Words(rng, decoded("gb2312", range(0xB0, 0xD8)), (3, 6, 1, 1), 30000), "", "，、，：", "。！？"),
        (Words(rng, kana + kanji, (2, 4, 3, 1), 30000), "", "、、「」", "。。？"),
        (Words(rng, decoded("euc_kr", range(0xB0, 0xC9)), (1, 4, 4, 2), 30000), " ", ",,;", ".?!"),
    ]
    out, length = [], 0
    while length < size:
        words, space, inner, final = rng.choices(languages, (3, 2, 1))[0]
        sentence = ""
        for i in range(rng.randint(1, 5)):
            phrase = [words.draw(rng) for _ in range(rng.randint(2, 6))]
            if rng.random() < 0.04:
                phrase.append(str(rng.randint(1, 2030)))
            sentence += (rng.choice(inner) + space if i else "") + space.join(phrase)
        sentence += rng.choice(final) + ("\n" if rng.random() < 0.2 else space)
        out.append(sentence)
        length += len(sentence.encode())
    return "".join(out).encode()


def code(root, size):
    """Return the text and what it is made of."""
    suffixes = (".c", ".h", ".py", ".sh", ".mjs", ".bats", ".cmake", ".yml", "CMakeLists.txt")
    own, headers = [], []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(f for f in folders if f not in ("build", "node_modules", "corpus")
                            and not f.startswith("."))
        own += [os.path.join(folder, f) for f in sorted(files) if f.endswith(suffixes)]
    for folder, folders, files in os.walk("/usr/include"):
        folders.sort()
        headers += [os.path.join(folder, f) for f in sorted(files) if f.endswith(".h")]
    out, length, counts = [], 0, []
    for paths in (own, headers):
        before = length
        for path in paths:
            if length >= size:
                break
            with open(path, "rb") as f:
                data = f.read()
            try:
                data.decode()
            except UnicodeDecodeError:
                continue
            out.append(data)
            length += len(data)
        counts.append(length - before)
    # Hugging Face's tokenizers always read a special token in the text, tiktoken here does not.
    text = b"".join(out).replace(b"<|endoftext|>", b"<|end of text|>")
    note = "%.1f MB of this repository, %.1f MB of /usr/include" % (counts[0] / 1e6,
                                                                   counts[1] / 1e6)
    if length < size:
        note += ", repeated to %.1f MB" % (size / 1e6)
        text *= -(-size // length)
    return whole_lines(text, size), note
