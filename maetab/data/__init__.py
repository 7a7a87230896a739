"""Tables and the numbers a model reads: pandas and NumPy, no torch."""

from __future__ import annotations

from maetab.data.codec import Encoded, decode, encode, encode_checked, fill, to_natural
from maetab.data.containers import Back, read_frame
from maetab.data.kinds import extra_missing
from maetab.data.schema import Column, Schema, infer_schema
from maetab.data.source import FrameSource, Source
from maetab.data.windows import cut, first_window, merge, pick, take

__all__ = [
    "Back",
    "Column",
    "Encoded",
    "FrameSource",
    "Schema",
    "Source",
    "cut",
    "decode",
    "encode",
    "encode_checked",
    "extra_missing",
    "fill",
    "first_window",
    "infer_schema",
    "merge",
    "pick",
    "read_frame",
    "take",
    "to_natural",
]
