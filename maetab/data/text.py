"""What text may mean besides its levels: marks of missing, numbers, dates."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from maetab.data.columns import Column
from maetab.data.kinds import word_of

# What pandas.read_csv takes for missing, and single marks that are no value of anything.
NA_VALUES = (
    *("#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"),
    *("<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null", "?", "-", "--", "."),
)
# A column is almost of a kind if at least half of its cells are, and if the others are few
# different texts: ten, or one for ten cells.
ALMOST, FEW_TEXTS = 0.5, 10
MOST_TEXTS = 10_000  # texts of a column that are looked at
_MARKS = frozenset({"", *NA_VALUES})
# 007 and what has more digits than an int64 are names.
_NUMBER = re.compile(r"[+-]?(?=\.?\d)(?:0|[1-9]\d{0,17})?(?:\.\d*)?(?:[eE][+-]?\d+)?")
_LIMIT = re.compile(r"\s*[<>≤≥]=?\s*[+-]?[.,]?\d")
_PADDED = re.compile(r"[+-]?0\d+")
_DATE = re.compile(
    r"\d{4}-\d{2}-\d{2}(?:[ T]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-][\d:]+)?)?"
)


class Almost(NamedTuple):
    """What most cells of a column of text are.

    kind : "numbers" or "dates"
    share : of the cells, in [0.5, 1]
    others : the texts that are not, most frequent first
    written : True where all that are of the kind are text; False for objects that are numbers
    """

    kind: str
    share: float
    others: list
    written: bool


def limit_in(texts: Iterable) -> str:
    """Return what becomes of the first limit, such as "<0.5", as a missing cell; "" without one."""
    found = next((x for x in texts if isinstance(x, str) and _LIMIT.match(x)), None)
    if found is None:
        return ""
    return (
        f"; {found!r} tells a limit, and as a missing cell is filled with usual values: put a "
        "number in its place first"
    )


def marks_in(levels: Sequence) -> list[str]:
    """Return the levels that usually mark a missing cell, such as "?" and "", as they are."""
    return [x for x in levels if isinstance(x, str) and x.strip() in _MARKS]


def almost_of(
    series: pd.Series, column: Column, observed: np.ndarray | slice = slice(None)
) -> Almost | None:
    """Return what most cells of a column of text are, None where they are neither of the kinds.

    Looks at the `MOST_TEXTS` most frequent levels, or at as many cells of free text.

    Parameters
    ----------
    series : the column in fit
    column : what is known of it
    observed : (n,) bool, True for the cells the user gave, which of free text are looked at
    """
    values, counts = list(column.levels[:MOST_TEXTS]), np.array(column.counts[:MOST_TEXTS])
    if column.free_text:
        found = series[observed].iloc[:MOST_TEXTS].value_counts()
        values, counts = found.index.tolist(), found.to_numpy()
    n = counts.sum()
    texts = [value.strip() if isinstance(value, str) else "" for value in values]
    is_number = np.array([word_of(type(value)) == "number" for value in values], bool)
    is_written = np.array([_NUMBER.fullmatch(text) is not None for text in texts], bool)
    for kind, fits in (("numbers", is_number | is_written), ("dates", _are_dates(texts))):
        others = [value for value, fit in zip(values, fits, strict=True) if not fit]
        share = counts[fits].sum() / max(n, 1)
        are_few = len(others) <= max(FEW_TEXTS, n / 10) and all(isinstance(x, str) for x in others)
        if share >= ALMOST and are_few and not any(map(_PADDED.fullmatch, texts)):
            return Almost(kind, float(share), others, bool((fits & ~is_number).any()))
    return None


def _are_dates(texts: list[str]) -> np.ndarray:
    """(n,) bool: True for dates, with or without a time, of ISO 8601."""
    shaped: list[Any] = [text if _DATE.fullmatch(text) else None for text in texts]
    if not any(shaped):
        return np.zeros(len(texts), bool)
    dates = pd.to_datetime(shaped, format="ISO8601", errors="coerce", utc=True)
    return np.asarray(dates.notna())
