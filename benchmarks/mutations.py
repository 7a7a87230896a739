"""Files that are changed as damage or a stranger would change them: models, text, Parquet."""

from __future__ import annotations

import codecs
import copy
import hashlib
import json
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

Random = np.random.Generator
Header = dict[str, Any]
Body = dict[str, np.ndarray]

DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "I64": "int64", "I32": "int32"}
DTYPES |= {"I16": "int16", "I8": "int8", "BOOL": "bool"}
DTYPES |= {f"U{bits}": f"uint{bits}" for bits in (8, 16, 32, 64)}
CODES = {name: code for code, name in DTYPES.items()}
LENGTHS = (0, 1, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
BLOCK = 64  # bytes that are moved, inserted or left out at most


def damaged(content: bytes, random: Random) -> bytes:
    """Return bytes some of which are flipped, cut off, inserted, repeated or overwritten."""
    changed = bytearray(content)
    for _ in range(int(random.choice([1, 1, 1, 2, 5, 20]))):
        DAMAGES[int(random.integers(len(DAMAGES)))](changed, random)
    return bytes(changed)


def _place(content: bytearray, random: Random) -> int:
    """Return a place in a file; the first and last bytes, which tell its layout, are frequent."""
    n = max(1, len(content))
    near = int(random.integers(min(n, 256)))
    return int(random.choice([int(random.integers(n)), near, n - 1 - near]))


def _flip(content: bytearray, random: Random) -> None:
    if content:
        content[_place(content, random)] ^= 1 << int(random.integers(8))


def _cut(content: bytearray, random: Random) -> None:
    del content[_place(content, random) :]


def _insert(content: bytearray, random: Random) -> None:
    at = _place(content, random)
    content[at:at] = random.bytes(int(random.integers(1, BLOCK)))


def _repeat(content: bytearray, random: Random) -> None:
    at = _place(content, random)
    times = int(random.choice([1, 1, 2, 500]))
    content[at:at] = content[at : at + int(random.integers(1, BLOCK))] * times


def _swap(content: bytearray, random: Random) -> None:
    n, (a, b) = int(random.integers(1, BLOCK)), sorted(_place(content, random) for _ in "ab")
    if a + n <= b:
        content[a : a + n], content[b : b + n] = content[b : b + n], content[a : a + n]


def _leave_out(content: bytearray, random: Random) -> None:
    at = _place(content, random)
    del content[at : at + int(random.integers(1, BLOCK))]


def _overwrite(content: bytearray, random: Random) -> None:
    """Write a number such as lengths have, huge ones too."""
    at, width = _place(content, random), int(random.choice([4, 8]))
    value = LENGTHS[int(random.integers(len(LENGTHS)))]
    content[at : at + width] = (value % 2 ** (8 * width)).to_bytes(width, "little")


DAMAGES = (_flip, _cut, _insert, _repeat, _swap, _leave_out, _overwrite)


def taken_apart(content: bytes) -> tuple[Header, bytes]:
    """Return the header of a safetensors file, and the bytes of its tensors."""
    (n,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + n]), content[8 + n :]


def put_together(header: Header | str, body: bytes) -> bytes:
    """Return the file that `taken_apart` took apart."""
    text = header if isinstance(header, str) else json.dumps(header)
    return struct.pack("<Q", len(text.encode())) + text.encode() + body


def with_other_header(content: bytes, random: Random) -> bytes:
    """Return a model file with a change in its header, which tells names, types and shapes."""
    header, body = taken_apart(content)
    changed = edited(header, random) if random.random() < 0.8 else header
    text = json.dumps(changed)
    if random.random() < 0.2:
        text = damaged(text.encode(), random).decode("utf-8", "replace")
    return put_together(text, body)


def forged(content: bytes, random: Random) -> bytes:
    """Return a model file with other values or tensors, and the digest of what it holds."""
    header, body = taken_apart(content)
    model = json.loads(header.pop("__metadata__")["maetab"])
    tensors = {}
    for name, told in header.items():
        a, b = told["data_offsets"]
        dtype = DTYPES[told["dtype"]]
        tensors[name] = np.frombuffer(body[a:b], dtype).reshape(told["shape"]).copy()
    for _ in range(int(random.choice([1, 1, 1, 2, 4]))):
        if random.random() < 0.3:
            _edit_tensors(tensors, random)
        else:
            part = random.choice(["config", "schema", "attributes", "parameters", "timeline", ""])
            if isinstance(model, dict) and part in model:
                model[part] = edited(model[part], random)
            else:
                model = edited(model, random)
    if isinstance(model, dict) and "sha256" in model:
        model["sha256"] = digest(model, tensors)
    return _file(model, tensors)


def digest(model: dict[str, Any], tensors: Body) -> str:
    """Return the SHA-256 of what a model file holds, as maetab computes it."""
    kept = {key: value for key, value in model.items() if key != "sha256"}
    found = hashlib.sha256(json.dumps(kept, separators=(",", ":")).encode())
    for name in sorted(tensors):
        array = tensors[name]
        found.update(f"{name} {array.dtype.name} {array.shape}".encode())
        found.update(array.tobytes())
    return found.hexdigest()


def _file(model: Any, tensors: Body) -> bytes:
    header: Header = {"__metadata__": {"maetab": json.dumps(model, separators=(",", ":"))}}
    body = b""
    for name, array in tensors.items():
        end = len(body) + array.nbytes
        told = {"dtype": CODES[array.dtype.name], "shape": list(array.shape)}
        header[name] = told | {"data_offsets": [len(body), end]}
        body += array.tobytes()
    return put_together(header, body)


def _edit_tensors(tensors: Body, random: Random) -> None:
    """Change one tensor: its values, type, shape or name, or that it is there."""
    name = str(random.choice(list(tensors)))
    array = tensors.pop(name)
    how = int(random.integers(8))
    if how == 0:
        return
    if how == 1:
        array = array.astype(str(random.choice([x for x in CODES if x != array.dtype.name])))
    elif how == 2:
        array = array[..., None] if random.random() < 0.5 else array.reshape(-1)
    elif how == 3:
        array = np.concatenate([np.atleast_1d(array)] * 2)
    elif how == 4:
        array = np.atleast_1d(array)[: len(np.atleast_1d(array)) // 2]
    elif how == 5:
        name += str(random.choice(["x", "/", ".0", "\x00", "é"]))
    elif array.dtype.kind == "f":
        array = np.full_like(array, random.choice([np.nan, np.inf, -np.inf, 1e30, -1.0, 0.0]))
    elif array.dtype.kind == "i":
        most = np.iinfo(array.dtype)
        array = np.full_like(array, random.choice([-1, most.max, most.min, 99]))
    tensors[name] = array


def _deep(n: int) -> list:
    found: list = []
    for _ in range(n):
        found = [found]
    return found


ODD: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 2, 7, 1000, 10**6, 10**9, 10**12, 2**63, 0.5, -0.5, 1e308),
    *("", "x", "os.system", "__class__", "é\x00", "[]", "NaT", "x" * 100_000, _deep(300)),
    *([], {}, [[]], {"float": "nan"}, {"float": "inf"}, {"NA": None}, list(range(10_000))),
    *({"dict": [[1]]}, {"array": "array/0"}, {"set": [[1]]}, {"a": 1, "b": 2}, ["timestamp", "x"]),
    *({"label": ["period", [10**12, "D"]]}, {"texts": ["O", ["x"]]}, {"float": "1e999"}),
    {"masking": ["GuessOptions", {"dict": []}]},
)


def _odd(random: Random) -> Any:
    return copy.deepcopy(ODD[int(random.integers(len(ODD)))])


def edited(tree: Any, random: Random) -> Any:
    """Return JSON with one change: a value replaced, left out, doubled, moved or renamed."""
    tree = copy.deepcopy(tree)
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        pairs = list(node.items()) if isinstance(node, dict) else list(enumerate(node))
        for key, value in pairs:
            places.append((node, key))
            if isinstance(value, dict | list):
                walk(value)

    if isinstance(tree, dict | list):
        walk(tree)
    if not places or random.random() < 0.02:
        return _odd(random)
    node, key = places[int(random.integers(len(places)))]
    how = int(random.integers(9))
    if how == 0:
        del node[key]
    elif how == 1 and isinstance(node, dict):
        node[f"{key}{random.choice(['x', '_', ''])}"] = node.pop(key)
    elif how == 2 and isinstance(node, list):
        node.insert(key, node[key])
    elif how == 3:
        other, place = places[int(random.integers(len(places)))]
        node[key] = copy.deepcopy(other[place])
    elif how == 4 and isinstance(node[key], int | float):
        node[key] = node[key] + float(random.choice([-1, 1, 0.5])) * random.choice([1, 1000])
    elif how == 5 and isinstance(node[key], int) and not isinstance(node[key], bool):
        node[key] = node[key] + int(random.choice([-1, 1, 2, 100]))
    else:
        node[key] = _odd(random)
    return tree


CELL_TEXTS = """
" "" 1e999 -1e-999 nan 2024-02-30 1,5 P1D 0x1F - + 24:00:00 2024-13-01T00:00Z 1_000 é =1+1 (5)
0000-00-00 99999999-01-01 1.000.000,5 TRUE 5% £ ; ٣ 1e5 -0 12:61 31.12.2024 0.1.2
"""
CELLS = [*CELL_TEXTS.split(), "9" * 400, "1 000,5", "\t", "\ufeff", "\u2028", "\x00", ""]


def odd_text(content: bytes, random: Random) -> bytes:
    """Return text in which cells, delimiters or lines are other than they were."""
    written = "utf-16" if content.startswith(codecs.BOM_UTF16) else "utf-8"
    lines, most = content.decode(written, "replace").split("\n"), int(random.choice([3, 3, 8]))
    mark = max(",;\t", key=lines[0].count)
    for _ in range(int(random.choice([1, 2, 10]))):
        at, how = int(random.integers(len(lines))), int(random.integers(most))
        cells = lines[at].split(mark)
        if how < 3:
            cell = CELLS[int(random.integers(len(CELLS)))]
            if random.random() < 0.7 and any(mark in cell for mark in ',;\t"'):
                cell = '"' + cell.replace('"', '""') + '"'
            cells[int(random.integers(len(cells)))] = cell
        elif how == 3:
            cells = cells[: int(random.integers(len(cells) + 1))]
        elif how == 4:
            cells *= int(random.choice([2, 3, 200]))
        elif how == 5:
            lines.insert(at, str(random.choice(["", "#", ",,,", '"', " ", "x" * 1000])))
            continue
        elif how == 6:
            lines[at:at] = lines[at : at + 5] * int(random.choice([1, 50]))
            continue
        lines[at] = str(random.choice([mark] * 20 + [";", "\t", "|"])).join(cells)
    text = str(random.choice(["\n", "\n", "\r\n", "\r"])).join(lines)
    encoding = str(random.choice([written] * 20 + ["utf-16", "latin-1", "utf-8-sig", "utf-32"]))
    return text.encode(encoding, "replace")


CHANGES: dict[str, tuple[Callable[[bytes, Random], bytes], ...]] = {
    "model": (damaged, with_other_header, forged, forged),
    "csv": (damaged, odd_text),
    "gz": (damaged,),
    "parquet": (damaged,),
}
