"""Tables in files of JSON lines: one object for each row."""

from __future__ import annotations

import datetime
import json
import re
from typing import Any

import numpy as np
import pandas as pd

from maetab.files.layout import Layout
from maetab.files.value_table import ValueTable

DECODER = json.JSONDecoder()
SPACE = re.compile(r"[ \t\r\n]*")


class JsonTable(ValueTable[str]):
    """A file of JSON lines; a column is a key of any of the objects.

    Missing are null, absent keys, and what is missing in a text file. Values that are objects or
    lists themselves are read as their text. Lines that hold nothing stay.

    Parameters
    ----------
    text : content of the file, decoded
    layout : what the user says of marks, dates and numbers

    Raises
    ------
    ValueError
        A line is no JSON object, names a key twice, or there is none.
    """

    def __init__(self, text: str, layout: Layout) -> None:
        # Texts in JSON may hold what str.splitlines takes for ends of lines, such as U+2028.
        self.lines = re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", text.removeprefix("\ufeff"))
        self.bom = text[: len(text) - len(text.removeprefix("\ufeff"))]
        self.at = [number for number, line in enumerate(self.lines) if line.strip()]
        self.members = [members(self.lines[number], number + 1) for number in self.at]
        self.keys = list(dict.fromkeys(key for row in self.members for key in row))
        if not any(key.strip() for key in self.keys):
            raise ValueError(
                "the file holds no JSON object with a key; a line for each row is needed"
            )
        texts = [[_text_of(self._raw(k, key)) for key in self.keys] for k in range(len(self.at))]
        super().__init__(self.keys, texts, layout)

    def _raw(self, row: int, key: str) -> str:
        start, end = self.members[row].get(key, (0, 0))
        return self.lines[self.at[row]][start:end]

    def to_lines(self) -> str:
        """Return the whole file, as it was read wherever nothing was put."""
        lines, shared = list(self.lines), dict[int, tuple[dict[str, str], bool]]()
        new: dict[int, dict[str, str]] = {}
        for (row, column), text in self.cells_put().items():
            if column not in shared:
                shared[column] = self._values(column)
            known, is_text = shared[column]
            value = known.get(text) or _value_of(text, is_text)
            new.setdefault(row, {})[self.keys[column]] = value
        for row, cells in new.items():
            lines[self.at[row]] = _with(lines[self.at[row]], self.members[row], cells)
        return self.bom + "".join(lines)

    def _values(self, column: int) -> tuple[dict[str, str], bool]:
        """Return the raw texts of a column by their texts, and whether all of them are strings."""
        raws = [self._raw(row, self.keys[column]) for row in range(len(self.at))]
        raws = [raw for raw in raws if _text_of(raw)]
        return {_text_of(raw): raw for raw in raws}, all(raw.startswith('"') for raw in raws)


def members(line: str, number: int) -> dict[str, tuple[int, int]]:
    """Return the keys of the object in a line, and from where to where the value of each stands."""
    try:
        whole = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"line {number} is no JSON: {error}") from error
    if not isinstance(whole, dict):
        raise ValueError(f'line {number} is no JSON object, such as {{"age": 31}}: {line[:60]!r}')
    found: dict[str, tuple[int, int]] = {}
    at = line.index("{")
    while line[at] != "}":
        at = _after_space(line, at + 1)  # behind a brace or a comma
        if line[at] == "}":
            break
        key, at = DECODER.raw_decode(line, at)
        start = _after_space(line, _after_space(line, at) + 1)  # behind the colon
        _, end = DECODER.raw_decode(line, start)
        if key in found:
            raise ValueError(f"line {number} has the key {key!r} twice")
        found[key], at = (start, end), _after_space(line, end)
    return found


def _after_space(line: str, at: int) -> int:
    match = SPACE.match(line, at)
    assert match is not None
    return match.end()


def _text_of(raw: str) -> str:
    """Return the text of a value, of which the raw text is given; empty for null."""
    if raw.startswith('"'):
        return json.loads(raw)
    return "" if raw == "null" else raw


def _value_of(text: str, is_text: bool) -> str:
    """Return the raw text of a value: a string, or what JSON reads the text as."""
    try:
        value = None if is_text else json.loads(text)
    except ValueError:
        value = None
    return text if value is not None else json.dumps(text, ensure_ascii=False)


def _with(line: str, found: dict[str, tuple[int, int]], cells: dict[str, str]) -> str:
    """Return the line of an object with other values at some keys."""
    for key in sorted(set(found) & set(cells), key=lambda key: -found[key][0]):  # the last first
        start, end = found[key]
        line = line[:start] + cells[key] + line[end:]
    new = [
        f"{json.dumps(key, ensure_ascii=False)}: {cells[key]}" for key in cells if key not in found
    ]
    if not new:
        return line
    end = line.rindex("}")
    return line[:end] + ", " * bool(found) + ", ".join(new) + line[end:]


def lines_of(frame: pd.DataFrame) -> str:
    """Return a frame without its index as JSON lines; missing cells are null, times ISO 8601."""
    columns = [[_plain(cell) for cell in frame.iloc[:, j]] for j in range(frame.shape[1])]
    names = [str(name) for name in frame.columns]
    rows = (json.dumps(dict(zip(names, row)), ensure_ascii=False) for row in zip(*columns))
    return "".join(f"{row}\n" for row in rows)


def _plain(cell: Any) -> Any:
    """Return a cell as a value that JSON has."""
    if not isinstance(cell, dict | list | np.ndarray) and pd.isna(cell):
        return None
    if isinstance(cell, pd.Timestamp | datetime.date):
        return cell.isoformat()
    if isinstance(cell, np.generic):
        return cell.item()
    return cell if isinstance(cell, str | int | float | bool | dict | list) else str(cell)
