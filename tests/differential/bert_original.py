#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""bert_original.py VOCAB - the original BERT tokenizer's steps with Python's own Unicode data

Written from the description of the algorithm, lower-casing, with Python's own notion of characters:
what str.lower, str.split and unicodedata say. Reads one JSON string a line and writes one object a
line: the ids, and the code points that Python's Unicode version does not know. A line with the
version comes first. Standard library only.
"""
import json
import sys
import unicodedata

IDEOGRAPHS = ((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F),
              (0x2B740, 0x2B81F), (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F))


def clean(text):
    out = []
    for c in text:
        category = unicodedata.category(c)
        if c in "\t\n\r " or category == "Zs":
            out.append(" ")
        elif category[0] == "C" or c == "\ufffd":
            continue
        elif any(low <= ord(c) <= high for low, high in IDEOGRAPHS):
            out.append(" " + c + " ")
        else:
            out.append(c)
    return "".join(out)


def is_punctuation(c):
    return (c.isascii() and c.isprintable() and not c.isalnum() and c != " "
            or unicodedata.category(c)[0] == "P")


def words(text):
    text = "".join(c.lower() for c in text)
    for word in unicodedata.normalize("NFC", clean(text)).split():
        bare = "".join(c for c in unicodedata.normalize("NFD", word.lower())
                       if unicodedata.category(c) != "Mn")
        yield from "".join(" " + c + " " if is_punctuation(c) else c for c in bare).split()


def pieces(word, vocab):
    if len(word) > 100:
        return [vocab["[UNK]"]]
    found, begin = [], 0
    while begin < len(word):
        prefix = "##" if begin else ""
        for end in range(len(word), begin, -1):
            if prefix + word[begin:end] in vocab:
                found.append(vocab[prefix + word[begin:end]])
                begin = end
                break
        else:
            return [vocab["[UNK]"]]
    return found


def main():
    with open(sys.argv[1], encoding="utf-8", newline="\n") as f:
        vocab = {line.rstrip("\r\n"): i for i, line in enumerate(f)}
    print(json.dumps({"unicode": unicodedata.unidata_version}))
    for line in sys.stdin.buffer:
        text = json.loads(line)
        print(json.dumps({"ids": [i for w in words(text) for i in pieces(w, vocab)],
                          "unknown": [c for c in text if unicodedata.category(c) == "Cn"]}))


main()
