#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Random Unicode through wte's WordPiece and through the steps of BertTokenizer written down anew.

    bert.py libwte.so vocab.txt [texts [seed]]

The steps use Python's own unicodedata, so they share nothing with the library. Characters whose
category differs between Python's Unicode and libutf8proc's are left out. Ends with status 1 and
prints the first texts on which the two differ, with each of do_lower_case, strip_accents and
tokenize_chinese_chars on and off, encoded with and without spans."""
import ctypes
import ctypes.util
import json
import os
import random
import sys
import tempfile
import unicodedata as ud

CJK = ((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F),
       (0x2B740, 0x2B81F), (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F))


def is_punct(c):
    o = ord(c)
    return 33 <= o <= 47 or 58 <= o <= 64 or 91 <= o <= 96 or 123 <= o <= 126 \
        or ud.category(c)[0] == "P"


def strip_marks(s):
    return "".join(c for c in ud.normalize("NFD", s) if ud.category(c) != "Mn")


def words_of(text, lower, strip, chinese):
    if lower:
        text = "".join(c.lower() for c in text)
    kept = []
    for c in text:
        if c in "\t\n\r" or ud.category(c) == "Zs":
            kept.append(" ")
        elif c not in "\0\uFFFD" and ud.category(c)[0] != "C":
            is_cjk = chinese and any(a <= ord(c) <= b for a, b in CJK)
            kept.append(f" {c} " if is_cjk else c)
    for word in ud.normalize("NFC", "".join(kept)).split():
        if strip:
            word = strip_marks(word)
        at = 0
        for i, c in enumerate(word):
            if is_punct(c):
                yield from filter(None, (word[at:i], c))
                at = i + 1
        yield word[at:]


def ids_of(word, vocab):
    ids, at = [], 0
    while at < len(word) <= 100:
        prefix = "##" if at else ""
        end = next((e for e in range(len(word), at, -1) if prefix + word[at:e] in vocab), None)
        if end is None:
            return [vocab["[UNK]"]]
        ids.append(vocab[prefix + word[at:end]])
        at = end
    return ids if len(word) <= 100 else [vocab["[UNK]"]]


class Encoding(ctypes.Structure):
    _fields_ = [("ids", ctypes.POINTER(ctypes.c_uint32)), ("spans", ctypes.c_void_p),
                ("n", ctypes.c_size_t)]


class Wte:
    def __init__(self, lib, lines, options):
        self.lib, self.encoder, tokenizer = lib, ctypes.c_void_p(), ctypes.c_void_p()
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "vocab.txt"), "w", encoding="utf-8", newline="") as f:
                f.writelines(line + "\n" for line in lines)
            with open(os.path.join(folder, "tokenizer_config.json"), "w", encoding="utf-8") as f:
                json.dump(options, f)
            assert lib.wte_tokenizer_open(folder.encode(), ctypes.byref(tokenizer), None) == 0
        assert lib.wte_encoder_new(tokenizer, ctypes.byref(self.encoder), None) == 0

    def encode(self, text, flags):
        data, out = text.encode(), Encoding()
        status = self.lib.wte_encode(self.encoder, data, ctypes.c_size_t(len(data)), flags,
                                     ctypes.byref(out), None)
        assert status == 0
        return out.ids[:out.n] if out.n else []


def random_text(rng, pools):
    parts = []
    for _ in range(rng.randrange(1, 30)):
        parts.append(rng.choice(rng.choice(pools)))
        if rng.random() < 0.2:
            parts.append(" ")
    return "".join(parts)


def main():
    lib = ctypes.CDLL(os.path.abspath(sys.argv[1]))
    with open(sys.argv[2], encoding="utf-8") as f:
        lines = f.read().split("\n")[:-1]
    n_texts = int(sys.argv[3]) if len(sys.argv) > 3 else 20000
    rng = random.Random(int(sys.argv[4]) if len(sys.argv) > 4 else 1)
    vocab = {line: i for i, line in enumerate(lines)}
    proc = ctypes.CDLL(ctypes.util.find_library("utf8proc"))
    proc.utf8proc_category_string.restype = ctypes.c_char_p
    known = [c for c in map(chr, range(0x110000)) if not 0xD800 <= ord(c) < 0xE000
             and proc.utf8proc_category_string(ord(c)) == ud.category(c).encode()]
    pools = [[line.removeprefix("##") for line in lines if not line.startswith("[")],
             list(" \t\n .,'=-!") + ["=\u0338", "<\u0338", "e\u0301", "\u201C", "\u2014", "\u2028"],
             [c for c in known if ud.combining(c)],
             [c for c in known if ud.decomposition(c) and "<" not in ud.decomposition(c)],
             [c for c in known if 0x1100 <= ord(c) < 0x1200 or 0xAC00 <= ord(c) < 0xAD00],
             [c for c in known if c.lower() != c], known[:0x300], known[:0xD800], known]
    settings = [(lower, strip, cjk) for lower in (True, False) for strip in (None, True, False)
                for cjk in (True, False)]
    ours = {s: Wte(lib, lines, dict(zip(("do_lower_case", "strip_accents",
                                         "tokenize_chinese_chars"), s))) for s in settings}
    n_bad = 0
    for _ in range(n_texts):
        text, setting = random_text(rng, pools), rng.choice(settings)
        lower, strip, cjk = setting
        strip = lower if strip is None else strip
        want = [i for w in words_of(text, lower, strip, cjk) for i in ids_of(w, vocab)]
        for flags in (0, 2):
            got = ours[setting].encode(text, flags)
            if got != want:
                n_bad += 1
                if n_bad <= 5:
                    print(setting, flags, ascii(text), "expected", want, "got", got)
    print(f"{n_texts} texts, {n_bad} differences")
    return n_bad > 0


if __name__ == "__main__":
    sys.exit(main())
