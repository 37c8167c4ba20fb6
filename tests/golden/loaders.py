#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Make loaders.json: what gensim's KeyedVectors.load_word2vec_format makes of the files in loaders/.

Made with gensim 4.2.0 and numpy 1.24.2 (Debian 12). Run in tests/golden: python3 loaders.py
"""
import json
import pathlib

import gensim
import numpy as np

rows = []
for path in sorted(pathlib.Path("loaders").iterdir()):
    kwargs = {"binary": path.suffix == ".bin", "unicode_errors": "surrogateescape"}
    if path.name.startswith("glove"):
        kwargs["no_header"] = True
    row = {"file": path.name}
    try:
        kv = gensim.models.KeyedVectors.load_word2vec_format(str(path), **kwargs)
        words = [w for w in kv.index_to_key if w is not None]  # duplicates leave empty places
        flat = kv.vectors[: len(words)].astype(np.float64).ravel()
        row["words"] = [list(w.encode("utf-8", "surrogateescape")) for w in words]
        row["dim"] = kv.vector_size
        row["vectors"] = [float(x) for x in flat]
    except Exception as e:  # whatever it is, the file cannot be read
        row["error"] = type(e).__name__
    rows.append(row)
json.dump({"gensim": gensim.__version__, "files": rows}, open("loaders.json", "w"), separators=(",", ":"))
