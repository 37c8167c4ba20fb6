# SPDX-License-Identifier: MIT
"""A stand-in for gensim.models, just enough for the programs of --as-python."""
import numpy as np


class KeyedVectors:
    @classmethod
    def load_word2vec_format(cls, path, binary=False, no_header=False):
        self = cls()
        with open(path, "rb") as f:
            n, dim = (int(x) for x in f.readline().split())
            self.index_to_key, self.vectors = [], np.empty((n, dim), np.float32)
            for i in range(n):
                if binary:
                    word = b""
                    while (c := f.read(1)) != b" ":
                        word += c if c != b"\n" else b""
                    self.vectors[i] = np.frombuffer(f.read(4 * dim), np.float32)
                else:
                    word, *numbers = f.readline().rstrip().split(b" ")
                    self.vectors[i] = [float(x) for x in numbers]
                self.index_to_key.append(word.decode("utf-8", "replace"))
        self.key_to_index = {}
        for i, word in enumerate(self.index_to_key):
            self.key_to_index.setdefault(word, i)
        return self

    def __getitem__(self, word):
        return self.vectors[self.key_to_index[word]]
