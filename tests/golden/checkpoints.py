#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write the small checkpoints of tests/golden/checkpoints/ and the inputs of the fuzz targets.

    python3 tests/golden/checkpoints.py

Needs Python's standard library only. Pickles are made by Python's own pickler: stand-ins with the
names of torch's functions and types make it write what torch.save writes. GGUF and safetensors are
written after their descriptions. expected.json has the tensors that every file holds.
"""
import io
import json
import os
import pickle
import struct
import sys
import types
import zipfile
from collections import OrderedDict

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "checkpoints")
FUZZ = os.path.join(HERE, "..", "..", "fuzz", "corpus")

# ---- numbers -------------------------------------------------------------------------------

CODES = {"F64": "d", "F32": "f", "F16": "e", "I64": "q", "I32": "i", "I16": "h", "I8": "b",
         "U64": "Q", "U32": "I", "U16": "H", "U8": "B", "BOOL": "B"}


def raw(dtype, values):
    if dtype == "BF16":  # only numbers that it holds exactly are used here
        return b"".join(struct.pack("<f", v)[2:] for v in values)
    return struct.pack("<%d%s" % (len(values), CODES[dtype]), *values)


WTE = [i * 0.25 - 3 for i in range(24)]
STORAGES = OrderedDict([  # key -> (dtype, values)
    ("0", ("F32", WTE)),
    ("1", ("F32", [0.5 * i for i in range(12)])),
    ("2", ("F16", [1.0, 0.5, -2.0, 65504.0])),
    ("3", ("BF16", [1.0, -0.5, 3.0, 0.25])),
    ("4", ("I64", [0, -1, 2 ** 40])),
    ("5", ("BOOL", [1, 0])),
    ("6", ("F64", [1e-300, 2.5])),
    ("7", ("I32", [-7])),
    ("8", ("I16", [-8, 9])),
    ("9", ("I8", [-10])),
    ("10", ("U8", [255])),
])
VIEWS = [  # name, storage, offset, shape, strides
    ("transformer.wte.weight", "0", 0, (6, 4), (4, 1)),
    ("transformer.wpe.weight", "1", 0, (3, 4), (4, 1)),
    ("transformer.h.0.ln_1.weight", "2", 0, (4,), (1,)),
    ("transformer.h.0.ln_1.bias", "3", 0, (4,), (1,)),
    ("bert.embeddings.LayerNorm.gamma", "1", 4, (4,), (1,)),
    ("bert.embeddings.LayerNorm.beta", "1", 8, (4,), (1,)),
    ("transposed", "0", 0, (4, 6), (1, 4)),
    ("columns", "0", 1, (3, 2), (8, 2)),
    ("part", "0", 8, (2, 4), (4, 1)),
    ("ids", "4", 0, (3,), (1,)),
    ("flags", "5", 0, (1, 2), (2, 1)),
    ("double", "6", 0, (2,), (1,)),
    ("int", "7", 0, (1,), (1,)),
    ("short", "8", 0, (2,), (1,)),
    ("char", "9", 0, (1,), (1,)),
    ("byte", "10", 0, (1,), (1,)),
    ("scalar", "7", 0, (), ()),
    ("empty", "0", 0, (0, 4), (4, 1)),
    ("lm_head.weight", "0", 0, (6, 4), (4, 1)),
]


def elements(storage, offset, shape, strides):
    values = STORAGES[storage][1]
    places = [offset]
    for n, step in zip(shape, strides):
        places = [p + i * step for p in places for i in range(n)]
    return [values[p] for p in places]


EXPECTED = [{"name": name, "dtype": STORAGES[s][0], "shape": list(shape),
             "values": elements(s, offset, shape, strides)}
            for name, s, offset, shape, strides in VIEWS]

# ---- pickles -------------------------------------------------------------------------------

torch = types.ModuleType("torch")
utils = types.ModuleType("torch._utils")
sys.modules["torch"], sys.modules["torch._utils"] = torch, utils
torch._utils = utils
TYPES = {"F32": "Float", "F16": "Half", "BF16": "BFloat16", "F64": "Double", "I64": "Long",
         "I32": "Int", "I16": "Short", "I8": "Char", "U8": "Byte", "BOOL": "Bool"}
for kind in TYPES.values():
    setattr(torch, kind + "Storage", type(kind + "Storage", (), {"__module__": "torch"}))


def _rebuild_tensor_v2():
    pass


def _rebuild_parameter():
    pass


for function in (_rebuild_tensor_v2, _rebuild_parameter):
    function.__module__ = "torch._utils"
    setattr(utils, function.__name__, function)


class Storage:
    def __init__(self, key):
        self.key = key


class Tensor:
    def __init__(self, storage, offset, shape, strides):
        self.args = (storage, offset, shape, strides, False, OrderedDict())

    def __reduce_ex__(self, protocol):
        return _rebuild_tensor_v2, self.args


class Parameter:
    def __init__(self, tensor):
        self.tensor = tensor

    def __reduce_ex__(self, protocol):
        return _rebuild_parameter, (self.tensor, True, OrderedDict())


class Pickler(pickle.Pickler):
    legacy = False

    def persistent_id(self, obj):
        if not isinstance(obj, Storage):
            return None
        dtype, values = STORAGES[obj.key]
        id = ("storage", getattr(torch, TYPES[dtype] + "Storage"), obj.key, "cpu", len(values))
        return id + (None,) if self.legacy else id


def dump(obj, protocol=2, legacy=False):
    out = io.BytesIO()
    pickler = Pickler(out, protocol)
    pickler.legacy = legacy
    pickler.dump(obj)
    return out.getvalue()


class StateDict(OrderedDict):
    """An OrderedDict with attributes that is pickled under OrderedDict's name."""

    def __reduce_ex__(self, protocol):
        return (OrderedDict, (), self.__dict__, None, iter(self.items()))


def state_dict():
    storages = {key: Storage(key) for key in STORAGES}
    d = StateDict()
    d._metadata = OrderedDict([("", {"version": 1}), ("transformer.h.0", {"version": 2})])
    for name, s, offset, shape, strides in VIEWS:
        tensor = Tensor(storages[s], offset, shape, strides)
        d[name] = Parameter(tensor) if name == "transformer.wpe.weight" else tensor
    return d


def training(d):
    """What a training script saves: the state dict among other things."""
    moments = Tensor(Storage("0"), 0, (2,), (1,))
    return {"epoch": 3, "model": d, "loss": 0.5, "name": "run 7", "best": None, "done": False,
            "optimizer": {"state": {0: {"step": 10, "exp_avg": moments}},
                          "param_groups": [{"lr": 1e-4, "betas": (0.9, 0.999), "params": [0]}]}}


def mixed():
    """A state dict with values that are no tensors."""
    d = state_dict()
    d["step"] = 1000
    d["extra"] = OrderedDict([("lr", 0.5)])
    return d


# ---- files ---------------------------------------------------------------------------------

def write(name, data):
    path = os.path.join(OUT, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)


def seed(target, name, data):
    path = os.path.join(FUZZ, target, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)


def archive(pickled, storages=None, method=zipfile.ZIP_STORED, extra=()):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as z:
        def add(name, data):
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.compress_type = method
            z.writestr(info, data)
        add("archive/data.pkl", pickled)
        for key, data in (storages or {}).items():
            add("archive/data/" + key, data)
        add("archive/version", b"3\n")
        for name, data in extra:
            add(name, data)
    return out.getvalue()


def legacy(pickled, keys, protocol=2):
    out = pickle.dumps(0x1950a86a20f9469cfc6c, 2) + pickle.dumps(1001, 2)
    out += pickle.dumps({"protocol_version": 1001, "little_endian": True,
                         "type_sizes": {"short": 2, "int": 4, "long": 4}}, 2)
    out += pickled + pickle.dumps(keys, 2)
    for key in keys:
        dtype, values = STORAGES[key]
        out += struct.pack("<q", len(values)) + raw(dtype, values)
    return out


def safetensors(tensors, metadata=None):
    header, data = OrderedDict(), b""
    if metadata:
        header["__metadata__"] = metadata
    for name, dtype, shape, values in tensors:
        bytes = raw(dtype, values)
        header[name] = {"dtype": dtype, "shape": shape,
                        "data_offsets": [len(data), len(data) + len(bytes)]}
        data += bytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def gguf_string(s):
    s = s if isinstance(s, bytes) else s.encode()
    return struct.pack("<Q", len(s)) + s


def q8_0(values):
    out = b""
    for at in range(0, len(values), 32):
        scale = 0.5  # exact in float16
        out += struct.pack("<e32b", scale, *[int(v / scale) for v in values[at:at + 32]])
    return out


TOKENS = ["<|endoftext|>", "a", "\u0120b", "caf\u00e9", ""]
Q8 = [0.5 * (i % 50 - 25) for i in range(64)]
GGUF_TENSORS = [  # name, type, sizes fastest first, bytes, Hugging Face's name
    ("token_embd.weight", 0, (4, 6), raw("F32", WTE), "wte.weight"),
    ("position_embd.weight", 1, (4, 1), raw("F16", [1.0, 0.5, -2.0, 65504.0]), "wpe.weight"),
    ("blk.0.attn_norm.weight", 30, (4,), raw("BF16", [1.0, -0.5, 3.0, 0.25]), "h.0.ln_1.weight"),
    ("blk.0.ffn_up.weight", 8, (32, 2), q8_0(Q8), "h.0.mlp.c_fc.weight"),
    ("blk.11.attn_output.bias", 0, (1,), raw("F32", [7.0]), "h.11.attn.c_proj.bias"),
    ("output.weight", 0, (4, 6), raw("F32", WTE[::-1]), "lm_head.weight"),
]


def gguf(version=3, tensors=GGUF_TENSORS, alignment=None):
    values = [("general.architecture", 8, gguf_string("gpt2")),
              ("general.name", 8, gguf_string("tiny")),
              ("gpt2.context_length", 4, struct.pack("<I", 1024)),
              ("x.u8", 0, b"\xfe"), ("x.i8", 1, b"\xfe"), ("x.u16", 2, b"\xfe\xff"),
              ("x.i16", 3, b"\xfe\xff"), ("x.i32", 5, struct.pack("<i", -3)),
              ("x.f32", 6, struct.pack("<f", 0.1)), ("x.bool", 7, b"\1"),
              ("x.u64", 10, struct.pack("<Q", 2 ** 64 - 1)),
              ("x.i64", 11, struct.pack("<q", -2 ** 40)),
              ("x.f64", 12, struct.pack("<d", 0.1)),
              ("x.nested", 9, struct.pack("<IQIQ2HIQ", 9, 2, 2, 2, 5, 6, 8, 1) + gguf_string("in")),
              ("tokenizer.ggml.tokens", 9,
               struct.pack("<IQ", 8, len(TOKENS)) + b"".join(map(gguf_string, TOKENS))),
              ("tokenizer.ggml.token_type", 9, struct.pack("<IQ5i", 5, 5, 3, 1, 1, 1, -1))]
    if alignment:
        values.append(("general.alignment", 4, struct.pack("<I", alignment)))
    align = alignment or 32
    out = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(values))
    for key, type, value in values:
        out += gguf_string(key) + struct.pack("<I", type) + value
    data = b""
    for name, type, sizes, bytes, _ in tensors:
        data += b"\0" * (-len(data) % align)
        out += gguf_string(name) + struct.pack("<I%dQIQ" % len(sizes), len(sizes), *sizes, type,
                                               len(data))
        data += bytes
    out += b"\0" * (-len(out) % align)
    return out + data + b"\0" * (-len(data) % align)


def main():
    packed = {key: raw(*s) for key, s in STORAGES.items()}
    good = {
        "zip.bin": archive(dump(state_dict()), packed),
        "zip_protocol4.bin": archive(dump(state_dict(), 4), packed,
                                     extra=[("archive/byteorder", b"little")]),
        "deflated.bin": archive(dump(state_dict()), packed, zipfile.ZIP_DEFLATED),
        "legacy.bin": legacy(dump(state_dict(), 2, True), list(STORAGES)),
        "training.bin": archive(dump(training(state_dict())), packed),
        "training_legacy.bin": legacy(dump(training(state_dict()), 2, True), list(STORAGES)),
        "mixed.bin": archive(dump(mixed()), packed),
        "all.safetensors": safetensors([(t["name"], t["dtype"], t["shape"], t["values"])
                                        for t in EXPECTED], {"format": "pt"}),
    }
    for name, data in good.items():
        write(name, data)
        seed("fuzz_checkpoint", name, data)
    limit, zipfile.ZIP64_LIMIT = zipfile.ZIP64_LIMIT, 1  # every size and place in 64 bits
    good["zip64.bin"] = archive(dump(state_dict()), packed)
    zipfile.ZIP64_LIMIT = limit
    write("zip64.bin", good["zip64.bin"])
    seed("fuzz_checkpoint", "zip64.bin", good["zip64.bin"])
    write("tiny.gguf", gguf())
    write("expected.json", json.dumps({
        "tensors": EXPECTED,
        "gguf": [{"name": n, "alias": alias, "shape": list(sizes[::-1]), "bytes": data.hex()}
                 for n, _, sizes, data, alias in GGUF_TENSORS],
        "tokens": TOKENS}, indent=1).encode() + b"\n")
    types = [("u16", "U16", [2], [1, 65535]), ("u32", "U32", [1], [4000000000]),
             ("u64", "U64", [1, 1], [2 ** 63])]
    write("unsigned.safetensors", safetensors(types))

    shards = [EXPECTED[:5], EXPECTED[5:12], EXPECTED[12:]]
    index = OrderedDict()
    for i, part in enumerate(shards):
        name = "model-%05d-of-00003.safetensors" % (i + 1)
        write("sharded/" + name, safetensors([(t["name"], t["dtype"], t["shape"], t["values"])
                                              for t in part]))
        index.update((t["name"], name) for t in part)
    write("sharded/model.safetensors.index.json",
          json.dumps({"metadata": {"total_size": 0}, "weight_map": index}, indent=1).encode())

    # what must be refused: the first is what a real attack looks like
    command = b"X\x04\x00\x00\x00true"
    evil = {
        "calls_system": b"\x80\x02cos\nsystem\nq\0" + command + b"\x85R.",
        "calls_system_protocol4": b"\x80\x04\x8c\x02os\x8c\x06system\x93" + command + b"\x85R.",
        "calls_system_inst": b"\x80\x02(" + command + b"ios\nsystem\n.",
        "calls_eval": b"\x80\x02c__builtin__\neval\n" + command + b"\x85R.",
        "calls_storage": b"\x80\x02ctorch\nFloatStorage\nK\x05\x85R.",
        "newobj": b"\x80\x02ccollections\nOrderedDict\n)\x81.",
        "builds_a_tuple": b"\x80\x02)}b.",
        "pop": b"\x80\x02NN0.",
        "no_opcode": b"\x80\x02\xff.",
        "leftover": b"\x80\x02}}.",
        "underflow": b"\x80\x02R.",
        "pops_below_a_mark": b"\x80\x02})(R.",
        "memo_far_away": b"\x80\x02}r\xff\xff\xff\x7f.",
        "memo_missing": b"\x80\x02h\x05.",
        "contains_itself": b"\x80\x02]q\0h\0ah\0a.",
        "string_too_long": b"\x80\x02X\xff\xff\xff\x7fabc.",
    }

    def tensor(offset="K\0", sizes="K\2\x85", strides="K\1\x85", numel="K\4", name="X\1\0\0\0w"):
        text = ("\x80\2}" + name + "ctorch._utils\n_rebuild_tensor_v2\n((X\7\0\0\0storagectorch\n"
                "FloatStorage\nX\1\0\0\0000X\3\0\0\0cpu" + numel + "tQ" + offset + sizes + strides +
                "\x89ccollections\nOrderedDict\n)RtRs.")
        return text.encode("latin-1")

    # Python 2: byte strings, an OrderedDict of pairs; and a storage that is a view of another
    old = ("\x80\2ccollections\nOrderedDict\n]](U\1wctorch._utils\n_rebuild_tensor_v2\n((U\7storage"
           "ctorch\nFloatStorage\nU\0010U\3cpuK\4(U\0011K\1K\3ttQK\1K\2\x85K\1\x85\x89ccollections\n"
           "OrderedDict\n)RtRea\x85R.")
    big = "\x8a\x08" + "\0" * 7 + "\x40"
    evil.update({
        "good": tensor(),
        "python2": old.encode("latin-1"),
        "offset_outside": tensor(offset="K\5"),
        "reaches_outside": tensor(offset="K\3"),
        "negative_offset": tensor(offset="J\xff\xff\xff\xff"),
        "negative_size": tensor(sizes="J\xff\xff\xff\xff\x85"),
        "size_overflows": tensor(sizes=big + big + "\x86", strides="K\1K\1\x86"),
        "stride_overflows": tensor(sizes="K\2\x85", strides=big + "\x85"),
        "repeats": tensor(sizes="J\xff\xff\xff\x7f\x85", strides="K\0\x85"),
        "copies": b"\x80\2}(" + b"".join(  # the third one is more than twice the storage
            tensor(sizes="K\2K\2\x86", strides="K\1K\2\x86", name="X\1\0\0\0" + name)[3:-2]
            for name in "abc") + b"u.",
        "strides_missing": tensor(strides=")"),
        "storage_huge": tensor(numel="\x8a\x08" + "\xff" * 7 + "\x7f"),
        "name_not_utf8": tensor(name="X\1\0\0\0\xff"),
        "not_a_dict": b"\x80\x02].",
        "float": b"\x80\x02G?\xf0\0\0\0\0\0\0.",
        "two_dicts": b"\x80\2}(X\1\0\0\0a" + tensor()[2:-1] + b"X\1\0\0\0b" + tensor()[2:-1] +
                     b"u.",
        "key_not_a_string": b"\x80\2}K\1K\2s.",
        "value_not_a_tensor": b"\x80\x02}X\x05\0\0\0epochK\x03s.",
    })
    for name, data in evil.items():
        write("pickles/" + name, data)
        seed("fuzz_pickle", name, data)
    seed("fuzz_pickle", "state_dict", dump(state_dict()))
    seed("fuzz_pickle", "state_dict_protocol4", dump(state_dict(), 4))
    seed("fuzz_pickle", "state_dict_legacy", dump(state_dict(), 2, True))

    bomb = archive(dump(state_dict()), {**packed, "0": b"\0" * 96}, zipfile.ZIP_DEFLATED)
    write("system_in_zip.bin", archive(evil["calls_system"]))
    write("system_in_legacy.bin", legacy(evil["calls_system"], []))
    seed("fuzz_checkpoint", "system_in_zip.bin", archive(evil["calls_system"]))
    seed("fuzz_checkpoint", "bomb.bin", bomb)
    seed("fuzz_checkpoint", "index.json", b'{"weight_map": {"a": "../b"}}')
    seed("fuzz_checkpoint", "unsigned.safetensors", safetensors(types))
    # the target puts the magic in front
    seed("fuzz_gguf", "tiny.gguf", gguf()[4:])
    seed("fuzz_gguf", "version2.gguf", gguf(2)[4:])
    seed("fuzz_gguf", "aligned.gguf", gguf(3, GGUF_TENSORS, 64)[4:])
    seed("fuzz_gguf", "no_tensors.gguf", gguf(3, [])[4:])


if __name__ == "__main__":
    main()
