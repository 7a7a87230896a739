"""Dates, times of day and durations <-> text, by the formats of `strptime`.

`%-d` and the like stand for numbers without leading zeros, as in C libraries.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd

_FIELDS = {
    **{"Y": r"\d{4}", "y": r"\d{2}", "m": r"\d{1,2}", "d": r"\d{1,2}", "j": r"\d{1,3}"},
    **{"b": "[A-Za-z]{3}", "B": "[A-Za-z]{3,9}", "a": "[A-Za-z]{3}", "A": "[A-Za-z]{6,9}"},
    **{"H": r"\d{1,2}", "I": "0?[1-9]|1[0-2]", "M": r"[0-5]\d", "S": r"[0-5]\d", "f": r"\d{1,9}"},
    "p": "[AaPp][Mm]",
}
DAY = 86400 * 10**9  # nanoseconds
_STEPS = {"S": 10**9, "M": 60 * 10**9, "H": 3600 * 10**9, "I": 3600 * 10**9}


@dataclass(frozen=True)
class Date:
    """Dates, with or without time.

    Parameters
    ----------
    form : format of `strftime`; %f is the fraction of a second
    fraction : digits of a second's fraction
    zone : text after the time that all cells share, such as Z; of UTC where offsets differ
    case : "upper" or "lower" where the letters of all cells are so
    in_utc : whether offsets differ, so that all are read, told and filled in UTC
    """

    form: str = "%Y-%m-%d"
    fraction: int = 0
    zone: str = ""
    case: str = ""
    in_utc: bool = False

    @property
    def unusual(self) -> str:
        if self.in_utc:
            return "dates in UTC, for their offsets differ"
        return "" if self.form.startswith("%Y-%m-%d") else f"dates, {self.form}"

    def parse(self, texts: pd.Series) -> pd.Series:
        texts = texts.str.strip()
        if not self.form.startswith("%Y-%m-%d"):
            return pd.to_datetime(texts, format=padded(self.form))
        if all(text.endswith(self.zone) for text in texts):
            naive = texts.str.slice(stop=-len(self.zone) or None)
            return pd.to_datetime(naive, format="ISO8601")
        return pd.to_datetime(texts, format="ISO8601", utc=True).dt.tz_localize(None)

    def write(self, values: pd.Series) -> list[str]:
        step = f"{_step(self.form, self.fraction)}ns"
        return [self._text(moment) for moment in values.dt.round(step)]

    def _text(self, moment: pd.Timestamp) -> str:
        nanoseconds = f"{moment.microsecond * 1000 + moment.nanosecond:09d}"
        special = {"Y": f"{moment.year:04d}", "f": nanoseconds[: self.fraction]}

        def field(letter: str) -> str:
            return special.get(letter) or moment.strftime(f"%{letter}")

        return _spelled(self.form, field, self.case) + self.zone


@dataclass(frozen=True)
class Duration:
    """Times of day and durations.

    Parameters
    ----------
    form : format of `strftime` without a date; %d counts days
    fraction : digits of a second's fraction
    case : "upper" or "lower" where the letters of all cells are so
    clock : True where all cells are times of one day, and none beyond it is to be written
    """

    form: str = "%H:%M:%S"
    fraction: int = 0
    case: str = ""
    clock: bool = False

    @property
    def unusual(self) -> str:
        return f"times, {self.form}"

    def parse(self, texts: pd.Series) -> pd.Series:
        read = pattern(self.form, lasts=True)
        matches = [read.fullmatch(text.strip()) for text in texts]
        ticks = [_nanoseconds(match.groupdict()) for match in matches if match]
        return pd.Series(np.array(ticks, "int64").view("m8[ns]"), texts.index, name=texts.name)

    def write(self, values: pd.Series) -> list[str]:
        step = _step(self.form, self.fraction)
        ticks = values.to_numpy("m8[ns]").astype(np.int64)
        rounded = (ticks + step // 2) // step * step
        if self.clock:
            rounded = rounded.clip(0, DAY - step)
        return [self._text(int(tick)) for tick in rounded]

    def _text(self, ticks: int) -> str:
        seconds, nanoseconds = divmod(abs(ticks), 10**9)
        hours = seconds // 3600
        fields = {
            "d": f"{hours // 24:02d}",
            "H": f"{hours % 24 if 'd' in letters_of(self.form) else hours:02d}",
            "I": f"{hours % 12 or 12:02d}",
            "M": f"{seconds // 60 % 60:02d}",
            "S": f"{seconds % 60:02d}",
            "f": f"{nanoseconds:09d}"[: self.fraction],
            "p": "AM" if hours % 24 < 12 else "PM",
        }
        return "-" * (ticks < 0) + _spelled(self.form, fields.__getitem__, self.case)


def check_form(form: str) -> None:
    """Raise a ValueError for a format of `strptime` that cannot be read here."""
    unknown = [letter for letter in letters_of(form) if letter not in _FIELDS]
    if unknown or not letters_of(form):
        known = " ".join(f"%{letter}" for letter in _FIELDS)
        raise ValueError(f"{form!r} is no format of dates or times; it is made of {known}")


def letters_of(form: str) -> list[str]:
    """Return the letters of the fields of a format."""
    return re.findall("%-?([A-Za-z])", form)


def padded(form: str) -> str:
    """Return the format with leading zeros, as `strptime` knows it."""
    return form.replace("%-", "%")


@cache
def pattern(form: str, lasts: bool = False) -> re.Pattern[str]:
    """Return what is written in a format, a group for each of its fields.

    Parameters
    ----------
    lasts : True for durations, which may be negative and have more than a day
    """
    form, fields = padded(form), _FIELDS
    if re.search("%[A-Za-z]%", form) or (".%y" in form or "%y." in form):  # not 1.2.03
        fields = fields | dict.fromkeys("dmH", r"\d{2}") | {"Y": r"(?:19|20)\d{2}"}
    if lasts:
        fields = fields | {"H": r"\d{1,5}", "d": r"\d{1,6}"}
    parts = re.split("%([A-Za-z])", form)
    parts[::2] = map(re.escape, parts[::2])
    parts[1::2] = (f"(?P<{letter}>{fields[letter]})" for letter in parts[1::2])
    return re.compile("(?P<minus>-?)" * lasts + "".join(parts))


def _step(form: str, fraction: int) -> int:
    """Return nanoseconds between two moments that are written differently."""
    letters = letters_of(form)
    if "f" in letters and fraction:
        return 10 ** (9 - fraction)
    return next((step for letter, step in _STEPS.items() if letter in letters), DAY)


def _nanoseconds(fields: dict[str, str]) -> int:
    hours = int(fields.get("H") or 0)
    if "I" in fields:
        hours = int(fields["I"]) % 12 + 12 * (fields.get("p", "").lower() == "pm")
    hours += 24 * int(fields.get("d", 0))
    seconds = 3600 * hours + 60 * int(fields.get("M", 0)) + int(fields.get("S", 0))
    ticks = 10**9 * seconds + int(fields.get("f", "0").ljust(9, "0"))
    return -ticks if fields["minus"] else ticks


def _spelled(form: str, field: Callable[[str], str], case: str) -> str:
    """Return the format with its fields filled in."""

    def fill(match: re.Match[str]) -> str:
        text = field(match[2])
        return text.lstrip("0") or "0" if match[1] else text

    text = re.sub("%(-?)([A-Za-z])", fill, form)
    return text.upper() if case == "upper" else text.lower() if case == "lower" else text
