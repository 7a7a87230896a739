"""Tables and the numbers a model reads: pandas and NumPy, no torch."""

from __future__ import annotations

from maetab.data.codec import decode, encode, fill, to_natural
from maetab.data.containers import Back, read_frame
from maetab.data.kinds import extra_missing
from maetab.data.schema import Column, Schema, check_columns, infer_schema
from maetab.data.windows import cut, merge, take

__all__ = [
    "Back",
    "Column",
    "Schema",
    "check_columns",
    "cut",
    "decode",
    "encode",
    "extra_missing",
    "fill",
    "infer_schema",
    "merge",
    "read_frame",
    "take",
    "to_natural",
]
