"""Text of cells <-> values: each format reads a column of a CSV file and writes it the same way."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol

import pandas as pd

from maetab.data.schema import Column

MOSTLY = 0.9  # from this share of numbers on, the cells that are none look like a mistake
DIGITS = 7  # a float32 knows no more
_DATE = re.compile(
    r"(\d{4}-\d{2}-\d{2})(?:([ T])(\d{2}:\d{2})(:\d{2})?(\.\d{1,9})?(Z|[+-]\d{2}:?\d{2})?)?"
)


class CellFormat(Protocol):
    """How the cells of one column are written."""

    def parse(self, texts: pd.Series) -> pd.Series:
        """Values of observed cells."""

    def write(self, values: pd.Series) -> list[str]:
        """Text of values, as the column's other cells are written."""


@dataclass(frozen=True)
class Number:
    """Numbers with a fixed or a largest count of decimals.

    Parameters
    ----------
    whole : True where the values are whole numbers
    decimals : digits after the decimal mark; for whole numbers these are zeros
    trim : True where trailing zeros are left out
    exponent : True where the column uses notation like 1e-5
    decimal : the decimal mark
    """

    whole: bool = False
    decimals: int = 0
    trim: bool = False
    exponent: bool = False
    decimal: str = "."

    def parse(self, texts: pd.Series) -> pd.Series:
        plain = texts.str.strip().str.replace(self.decimal, ".", regex=False)
        if self.whole:  # digits only: floats would lose those of long numbers
            return plain.str.replace(r"\..*", "", regex=True).map(int).astype("Int64")
        return pd.to_numeric(plain).astype("float64")

    def write(self, values: pd.Series) -> list[str]:
        return [self._text(value).replace(".", self.decimal) for value in values]

    def _text(self, value: float) -> str:
        if self.whole:
            return f"{round(value)}" + ("." + "0" * self.decimals if self.decimals else "")
        if self.exponent:
            return f"{value:.{DIGITS - 1}g}"
        text = f"{value:.{self.decimals}f}"
        if self.trim and "." in text:
            text = text.rstrip("0").rstrip(".")
        return text.removeprefix("-") if not float(text) else text


@dataclass(frozen=True)
class Date:
    """ISO 8601 dates, with or without time.

    Parameters
    ----------
    separator : what stands between date and time; empty where there is no time
    seconds : True where seconds are written
    fraction : digits of a second's fraction
    zone : text after the time that all cells share, such as Z
    """

    separator: str = ""
    seconds: bool = False
    fraction: int = 0
    zone: str = ""

    def parse(self, texts: pd.Series) -> pd.Series:
        texts = texts.str.strip()
        if all(text.endswith(self.zone) for text in texts):
            naive = texts.str.slice(stop=-len(self.zone) or None)
            return pd.to_datetime(naive, format="ISO8601")
        return pd.to_datetime(texts, format="ISO8601", utc=True).dt.tz_localize(None)

    def write(self, values: pd.Series) -> list[str]:
        step = 10 ** (9 - self.fraction) if self.fraction else 10**9
        unit = "D" if not self.separator else f"{step}ns" if self.seconds else "min"
        return [self._text(moment) for moment in values.dt.round(unit)]

    def _text(self, moment: pd.Timestamp) -> str:
        if not self.separator:
            return f"{moment:%Y-%m-%d}"
        text = f"{moment:%Y-%m-%d}{self.separator}{moment:%H:%M}"
        if self.seconds:
            text += f":{moment:%S}"
        if self.fraction:
            nanoseconds = f"{moment.microsecond * 1000 + moment.nanosecond:09d}"
            text += "." + nanoseconds[: self.fraction]
        return text + self.zone


@dataclass(frozen=True)
class Text:
    """Categories by their text.

    Parameters
    ----------
    levels : what a text stands for, where a model's levels are not texts
    """

    levels: dict[str, object] = field(default_factory=dict)

    def parse(self, texts: pd.Series) -> pd.Series:
        return texts.map(lambda text: self.levels.get(text, text)).astype(object)

    def write(self, values: pd.Series) -> list[str]:
        return [str(value) for value in values]


def infer_format(
    texts: pd.Series, decimal: str = ".", as_text: bool = False
) -> tuple[CellFormat, str | None]:
    """The format of a column, and what looks wrong with it.

    Parameters
    ----------
    texts : observed cells
    decimal : the decimal mark
    as_text : True to keep categories that look like numbers or dates

    Returns
    -------
    The format, and a sentence where nearly all cells are numbers and some are not, else None.
    """
    texts = texts.astype(object)
    if as_text:
        return Text(), None
    if not len(texts):
        return Number(decimal=decimal), None
    plain = texts.str.strip()
    numbers = plain.map(lambda text: _number(decimal).fullmatch(text) is not None).astype(bool)
    if numbers.all():
        return _number_format(plain, decimal)
    if plain.map(lambda text: _DATE.fullmatch(text) is not None).all():
        return _date_format(plain)
    odd = plain[~numbers]
    padded = odd.str.fullmatch(r"[+-]?0\d+").any()  # 007 is a name, not a number
    if numbers.mean() >= MOSTLY and not padded:
        row = odd.index[0] + 1
        return Text(), (
            f"{odd.iloc[0]!r} in row {row} is not a number, but {numbers.mean():.0%} of the "
            "cells are; pass it in --na-values if it means missing, or the column in --categorical"
        )
    return Text(), None


def known_format(column: Column, texts: pd.Series, decimal: str = ".") -> CellFormat:
    """The format of a column whose type a fitted model has decided.

    Raises
    ------
    ValueError
        When a cell cannot be read as what the model knows.
    """
    if column.kind == "category":
        return Text({str(level): level for level in column.levels if not isinstance(level, str)})
    if column.temporal == "timedelta":
        raise ValueError(f"column {column.name!r} holds durations in the model; use Parquet for it")
    chosen, doubt = infer_format(texts, decimal)
    wanted = Date if column.temporal == "datetime" else Number
    if not len(texts):
        whole = Number(whole=column.integer, decimals=DIGITS - 1, trim=True, decimal=decimal)
        return Date(" ", True) if wanted is Date else whole
    if doubt is not None or not isinstance(chosen, wanted):
        what = "dates" if wanted is Date else "numbers"
        reason = doubt or f"{texts.iloc[0]!r} in row {texts.index[0] + 1} is none"
        raise ValueError(f"column {column.name!r} holds {what} in the model, and {reason}")
    return chosen


def _number(decimal: str) -> re.Pattern[str]:
    """Plain numbers; 007 and the like are left out, for they are names."""
    mark = re.escape(decimal)
    return re.compile(rf"[+-]?(?:(?:0|[1-9]\d*)(?:{mark}\d*)?|{mark}\d+)(?:[eE][+-]?\d+)?")


def _number_format(plain: pd.Series, decimal: str) -> tuple[CellFormat, str | None]:
    mark = re.escape(decimal)
    parts = plain.str.partition(decimal)
    longest = parts[0].str.lstrip("+-").str.len().max()
    if plain.str.fullmatch(r"[+-]?\d+").all():
        return (Number(whole=True), None) if longest <= 18 else (Text(), None)
    if plain.str.fullmatch(rf"[+-]?\d+{mark}0+").all() and longest <= 15:
        return Number(True, int(parts[2].str.len().max()), decimal=decimal), None
    exponent = bool(plain.str.contains("[eE]").any())
    lengths = parts[2].str.len()
    largest = pd.to_numeric(plain.str.replace(decimal, ".", regex=False)).abs().max()
    room = DIGITS - 1 - math.floor(math.log10(largest)) if 0 < largest < math.inf else DIGITS
    decimals = int(min(lengths.max(), max(room, 0)))
    trim = lengths.nunique() > 1
    return Number(False, decimals, trim, exponent, decimal), None


def _date_format(plain: pd.Series) -> tuple[CellFormat, str | None]:
    found = [match.groups() for match in map(_DATE.fullmatch, plain) if match]
    shapes = Counter(
        (sep, bool(sec), len(frac or "."), zone) for _, sep, _, sec, frac, zone in found
    )
    separator, seconds, fraction, zone = shapes.most_common(1)[0][0]
    zones = {group[-1] for group in found}
    shared = zone or "" if len(zones) == 1 else "+00:00"
    chosen = Date(separator or "", seconds, fraction - 1, shared)
    try:
        chosen.parse(plain)
    except ValueError as error:
        return Text(), f"a date cannot be read: {error}"
    return chosen, None
