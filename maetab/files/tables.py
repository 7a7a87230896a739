"""Tables in files: what the model reads, and everything else as it is in the file.

A CSV or TSV file is kept as the text of its cells (see text_table.py), a Parquet file as its
Arrow columns; typed columns are read from a copy.
"""

from __future__ import annotations

import codecs
import gzip
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import pandas as pd

from maetab.files.layout import DELIMITERS, Layout
from maetab.files.parquet import ParquetTable, arrow_of, parquet_bytes
from maetab.files.text_table import TextTable
from maetab.files.writing import replace_file

MARKS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
SUFFIXES = {".csv": "csv", ".tsv": "tsv", ".parquet": "parquet", ".pq": "parquet"}


TableFile = TextTable | ParquetTable


def format_of(path: str, chosen: str | None = None) -> str:
    """Return csv, tsv or parquet: from the name's suffix, or `chosen` where the name has none.

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
        raise ValueError(f"{path}: unknown suffix {suffix!r}; pass --format csv, tsv or parquet")
    return chosen


def read_table(path: str, form: str, layout: Layout) -> TableFile:
    """Return the table in a file, or in standard input for `-`; call its `read_types` next."""
    content = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    if path.endswith(".gz"):
        content = _decompressed(content, path)
    if form == "parquet":
        return ParquetTable(content)
    if layout.encoding == "utf-8" and content[:2] in MARKS:  # the mark stays where it is
        layout = replace(layout, encoding=MARKS[content[:2]])
    try:
        return TextTable(content.decode(layout.encoding), layout, DELIMITERS[form])
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not written in {layout.encoding}; pass --encoding, for example latin-1"
        ) from error


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
    else:
        _write(table.to_text(layout).encode(layout.encoding), path)


def write_frame(frame: pd.DataFrame, path: str, form: str, layout: Layout) -> None:
    """Write a frame without its index, as `write_table` does."""
    if form == "parquet":
        _write(parquet_bytes(arrow_of(frame)), path)
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
