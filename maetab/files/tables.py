"""Tables in files: what the model reads, and everything else as it is in the file.

A CSV or TSV file is kept as the text of its cells (see text_table.py), and so are JSON lines and
Excel sheets (value_table.py), a Parquet file as its Arrow columns; typed columns are read from a
copy.
"""

from __future__ import annotations

import codecs
import gzip
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import pandas as pd

from maetab.files.json_lines import JsonTable, lines_of
from maetab.files.layout import DELIMITERS, Layout
from maetab.files.parquet import ParquetTable, arrow_of, parquet_bytes
from maetab.files.text_table import TextTable
from maetab.files.workbook import WorkbookTable, workbook_bytes
from maetab.files.writing import replace_file

MARKS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
SUFFIXES = {
    **{".csv": "csv", ".txt": "csv", ".tsv": "tsv", ".tab": "tsv"},
    **{".parquet": "parquet", ".pq": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl"},
    ".xlsx": "xlsx",
}
FORMATS = "csv, tsv, parquet, jsonl or xlsx"


TableFile = TextTable | ParquetTable


def format_of(path: str, chosen: str | None = None) -> str:
    """Return the format of a file: from the suffix of its name, or `chosen` where there is none.

    Parameters
    ----------
    path : name of a file, or `-` for the standard streams
    chosen : format for `-` and for names without a known suffix
    """
    suffix = Path(path.removesuffix(".gz")).suffix.lower()
    if path == "-":
        return chosen or "csv"
    if suffix in SUFFIXES:
        return SUFFIXES[suffix]
    if chosen is None:
        raise ValueError(f"{path}: unknown suffix {suffix!r}; pass --format {FORMATS}")
    return chosen


def read_table(path: str, form: str, layout: Layout) -> TableFile:
    """Return the table in a file, or in standard input for `-`; call its `read_types` next."""
    content = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    if path.endswith(".gz"):
        content = _decompressed(content, path)
    if form == "parquet":
        return ParquetTable(content)
    if form == "xlsx":
        return WorkbookTable(content, layout)
    if layout.encoding == "utf-8" and content[:2] in MARKS:  # the mark stays where it is
        layout = replace(layout, encoding=MARKS[content[:2]])
    try:
        text = content.decode(layout.encoding)
    except UnicodeDecodeError as error:
        other = "cp1252, which Windows writes in the west"
        other = "latin-1" if layout.encoding == "cp1252" else other
        raise ValueError(
            f"{path} is not written in {layout.encoding}; pass --encoding, for example {other}"
        ) from error
    return JsonTable(text, layout) if form == "jsonl" else TextTable(text, layout, DELIMITERS[form])


def _decompressed(content: bytes, path: str) -> bytes:
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is damaged or no gzip file: {error}") from error


def write_table(table: TableFile, path: str, form: str, layout: Layout) -> None:
    """Write to a file, whole or not at all, or to standard output for `-`."""
    if form == "parquet":
        kept = table.arrow if isinstance(table, ParquetTable) else arrow_of(table.whole)
        _write(parquet_bytes(kept), path)
    elif form == "jsonl" and isinstance(table, JsonTable):
        _write(table.to_lines().encode(layout.encoding), path)
    elif form == "xlsx" and isinstance(table, WorkbookTable):
        _write(table.content(), path)
    elif form in ("jsonl", "xlsx"):
        frame = table.values() if isinstance(table, ParquetTable) else table.whole
        write_frame(frame, path, form, layout)
    else:
        _write(table.to_text(layout).encode(layout.encoding), path)


def write_frame(frame: pd.DataFrame, path: str, form: str, layout: Layout) -> None:
    """Write a frame without its index, as `write_table` does."""
    if form == "parquet":
        _write(parquet_bytes(arrow_of(frame)), path)
        return
    if form == "xlsx":
        _write(workbook_bytes(frame), path)
        return
    if form == "jsonl":
        _write(lines_of(frame).encode(layout.encoding), path)
        return
    text = frame.to_csv(
        index=False, sep=layout.delimiter, decimal=layout.decimal or ".", lineterminator="\n"
    )
    mark = "\ufeff" if layout.encoding in MARKS.values() else ""
    _write((mark + text).encode(layout.encoding), path)


def _write(content: bytes, path: str) -> None:
    if path.endswith(".gz"):
        content = gzip.compress(content, mtime=0)
    if path == "-":
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    replace_file(Path(path), content)
