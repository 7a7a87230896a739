"""How a text file is written: what its cells have in common, and the formats of its columns."""

from __future__ import annotations

import csv
import io
import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from maetab.data.text import NA_VALUES

WAYS_OUT = "--categorical or --exclude"  # of a column that cannot be read
DELIMITERS = {"csv": ",", "tsv": "\t"}


def option(name: str, texts: Sequence[str]) -> str:
    """Return an option of the command line as a shell takes it.

    Examples
    --------
    >>> print(option("--na-values", ["<5", "a,b"]))
    --na-values='<5,"a,b"'
    """
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(texts)
    return f"{name}={shlex.quote(out.getvalue())}"


@dataclass(frozen=True)
class Layout:
    """How the cells of a text file are written.

    Parameters
    ----------
    delimiter : what stands between two cells; empty if it is to be found out
    decimal : what stands between the whole part and the fraction of a number; empty if it is to
        be found out
    thousands : what stands between groups of three digits; None for any usual mark
    date_formats : strptime formats that are tried before the usual ones
    encoding : name of a codec
    na_values : cells that count as missing, beside the empty one
    header : True where the first line holds names, False where it does not, None if it should
        hold them and an error is wanted where it looks like data
    skip_rows : lines before the header
    comment : what begins a line that is no row; None where no line does
    known_dates, known_decimal : formats of dates and decimal mark that are taken where the cells
        can be read in several ways
    """

    delimiter: str = ","
    decimal: str = "."
    thousands: str | None = None
    date_formats: Sequence[str] = ()
    encoding: str = "utf-8"
    na_values: Collection[str] = NA_VALUES
    header: bool | None = True
    skip_rows: int = 0
    comment: str | None = None
    known_dates: Collection[str] = ()
    known_decimal: str = ""


class CellFormat(Protocol):
    """How the cells of one column are written."""

    @property
    def unusual(self) -> str:
        """What the cells were taken for, where not every program would; else empty."""

    def parse(self, texts: pd.Series) -> pd.Series:
        """Return values of observed cells."""

    def write(self, values: pd.Series) -> list[str]:
        """Return text of values, as the column's other cells are written."""


@dataclass(frozen=True)
class Found:
    """What a column is if it holds values of one kind.

    Parameters
    ----------
    fits : (n,) bool
        Which of the column's n different texts are values of the kind.
    chosen : format of these; None where they cannot be used
    doubt : a sentence on why they cannot be used
    """

    fits: np.ndarray
    chosen: CellFormat | None = None
    doubt: str | None = None
