"""Dates, times of day and durations in text files, by the formats of `strptime`.

`%-d` and the like stand for numbers without leading zeros, as in C libraries.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
import pandas as pd

from maetab.layout import WAYS_OUT, Found, Layout

_ISO = re.compile(
    r"(\d{4}-\d{2}-\d{2})(?:([ T])(\d{2}:\d{2})(:\d{2})?(\.\d{1,9})?(Z|[+-]\d{2}:?\d{2})?)?"
)
_FIELDS = {
    **{"Y": r"\d{4}", "y": r"\d{2}", "m": r"\d{1,2}", "d": r"\d{1,2}", "j": r"\d{1,3}"},
    **{"b": "[A-Za-z]{3}", "B": "[A-Za-z]{3,9}", "a": "[A-Za-z]{3}", "A": "[A-Za-z]{6,9}"},
    **{"H": r"\d{1,2}", "I": "0?[1-9]|1[0-2]", "M": r"[0-5]\d", "S": r"[0-5]\d", "f": r"\d{1,9}"},
    "p": "[AaPp][Mm]",
}
_ORDERS = (("%d", "%m", "%Y"), ("%m", "%d", "%Y"), ("%Y", "%m", "%d"))
_SHORT = [tuple(field.replace("Y", "y") for field in order) for order in _ORDERS]
_DAYS = [
    *(mark.join(order) for mark, order in product("/.-", (*_ORDERS, *_SHORT))),
    *("%d %b %Y", "%d-%b-%Y", "%d/%b/%Y", "%d. %b %Y", "%b %d, %Y", "%b %d %Y", "%Y-%b-%d"),
    *("%d-%b-%y", "%d %b %y", "%b %d, %y", "%d %B %Y", "%d-%B-%Y", "%d. %B %Y", "%B %d, %Y"),
    *("%B %d %Y", "%b %Y", "%B %Y", "%Y%m%d"),
]
_CLOCKS = ["%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p", "%H.%M.%S"]
_DURATIONS = [*_CLOCKS, "%-d days %H:%M:%S", "%-d days %H:%M:%S.%f"]
_DAY = 86400 * 10**9  # nanoseconds
_STEPS = {"S": 10**9, "M": 60 * 10**9, "H": 3600 * 10**9, "I": 3600 * 10**9}


@dataclass(frozen=True)
class Date:
    """Dates, with or without time.

    Parameters
    ----------
    form : format of `strftime`; %f is the fraction of a second
    fraction : digits of a second's fraction
    zone : text after the time that all cells share, such as Z
    case : "upper" or "lower" where the letters of all cells are so
    """

    form: str = "%Y-%m-%d"
    fraction: int = 0
    zone: str = ""
    case: str = ""

    @property
    def unusual(self) -> str:
        return "" if self.form.startswith("%Y-%m-%d") else f"dates, {self.form}"

    def parse(self, texts: pd.Series) -> pd.Series:
        texts = texts.str.strip()
        if not self.form.startswith("%Y-%m-%d"):
            return pd.to_datetime(texts, format=_padded(self.form))
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
        read = _pattern(self.form, lasts=True)
        matches = [read.fullmatch(text.strip()) for text in texts]
        ticks = [_nanoseconds(match.groupdict()) for match in matches if match]
        return pd.Series(np.array(ticks, "int64").view("m8[ns]"), texts.index, name=texts.name)

    def write(self, values: pd.Series) -> list[str]:
        step = _step(self.form, self.fraction)
        ticks = values.to_numpy("m8[ns]").astype(np.int64)
        rounded = (ticks + step // 2) // step * step
        if self.clock:
            rounded = rounded.clip(0, _DAY - step)
        return [self._text(int(tick)) for tick in rounded]

    def _text(self, ticks: int) -> str:
        seconds, nanoseconds = divmod(abs(ticks), 10**9)
        hours = seconds // 3600
        fields = {
            "d": f"{hours // 24:02d}",
            "H": f"{hours % 24 if 'd' in _letters(self.form) else hours:02d}",
            "I": f"{hours % 12 or 12:02d}",
            "M": f"{seconds // 60 % 60:02d}",
            "S": f"{seconds % 60:02d}",
            "f": f"{nanoseconds:09d}"[: self.fraction],
            "p": "AM" if hours % 24 < 12 else "PM",
        }
        return "-" * (ticks < 0) + _spelled(self.form, fields.__getitem__, self.case)


def check_form(form: str) -> None:
    """Raise a ValueError for a format of `strptime` that cannot be read here."""
    unknown = [letter for letter in _letters(form) if letter not in _FIELDS]
    if unknown or not _letters(form):
        known = " ".join(f"%{letter}" for letter in _FIELDS)
        raise ValueError(f"{form!r} is no format of dates or times; it is made of {known}")


def find_dates(counts: pd.Series, layout: Layout) -> Found:
    """Which texts are dates, and how they are written.

    Parameters
    ----------
    counts : how often each different text of a column occurs, by text
    layout : names formats that are tried first
    """
    texts = counts.index.to_series()
    probe = _usual(counts)
    forced, others = _asked(layout, probe)
    if others and not forced:
        return Found(np.zeros(len(texts), dtype=bool))
    iso = texts.map(lambda text: _ISO.fullmatch(text) is not None).to_numpy(bool)
    if _ISO.fullmatch(probe) and not forced:
        parsed = pd.to_datetime(texts.where(iso), format="ISO8601", utc=True, errors="coerce")
        fits = parsed.notna().to_numpy()
        return Found(fits, _iso_format(texts[fits]) if fits.any() else None)
    fits_of = {form: _dates_of(form, texts) for form in (*forced, *_forms_like(probe))}
    form, doubt = _best(fits_of, counts, forced)
    if not form:
        return Found(np.zeros(len(texts), dtype=bool))
    fits = fits_of[form]
    return Found(fits, None if doubt else Date(*_details(form, texts[fits])), doubt)


def find_durations(counts: pd.Series, layout: Layout) -> Found:
    """Which texts are times of day or durations; see `find_dates`."""
    texts = counts.index.to_series()
    probe = _usual(counts)
    others, forced = _asked(layout, probe)
    if others and not forced:
        return Found(np.zeros(len(texts), dtype=bool))
    likely = [form for form in _DURATIONS if _pattern(form, True).fullmatch(probe)]
    fits_of = {}
    for form in (*forced, *likely):
        read = _pattern(form, True)
        fits_of[form] = np.array([read.fullmatch(text) is not None for text in texts], bool)
    form, doubt = _best(fits_of, counts, forced)
    if not form:
        return Found(np.zeros(len(texts), dtype=bool))
    fits = fits_of[form]
    shown, fraction, _, case = _details(form, texts[fits], lasts=True)
    values = Duration(shown, fraction, case).parse(texts[fits])
    clock = bool(values.between(pd.Timedelta(0), pd.Timedelta(_DAY - 1)).all())
    return Found(fits, None if doubt else Duration(shown, fraction, case, clock), doubt)


def _usual(counts: pd.Series) -> str:
    """A text of the shape that most of the texts have."""
    texts = counts.index.to_series()
    shapes = texts.str.replace(r"\d+", "9", regex=True).str.replace("[A-Za-z]+", "a", regex=True)
    shape = Counter(dict(counts.groupby(shapes.to_numpy()).sum())).most_common(1)[0][0]
    return str(texts[(shapes == shape).to_numpy()].iloc[0])


def _asked(layout: Layout, text: str) -> tuple[list[str], list[str]]:
    """The formats of dates and those of durations that the user has named and that fit a text."""
    dates = [form for form in layout.date_formats if set("Yy") & set(_letters(form))]
    others = [form for form in layout.date_formats if form not in dates]
    return (
        [form for form in dates if _pattern(form).fullmatch(text)],
        [form for form in others if _pattern(form, True).fullmatch(text)],
    )


def _forms_like(text: str) -> list[str]:
    """Usual formats of dates in which a text can be read."""
    found = []
    for day in _DAYS:
        match = _pattern(day).match(text)
        rest = text[match.end() :] if match else ""
        if match and not rest:
            found.append(day)
        gap = ", " if rest.startswith(", ") else rest[:1]
        if gap in (" ", "T", ", "):
            clocks = (clock for clock in _CLOCKS if _pattern(clock).fullmatch(rest[len(gap) :]))
            found += [day + gap + clock for clock in clocks]
    return found


def _dates_of(form: str, texts: pd.Series) -> np.ndarray:
    """(n,) bool: True where a text is a date that exists, in this format."""
    read = _pattern(form)
    written = texts.map(lambda text: read.fullmatch(text) is not None).astype(bool)
    parsed = pd.to_datetime(texts.where(written), format=_padded(form), errors="coerce")
    return parsed.notna().to_numpy()


def _best(
    fits_of: dict[str, np.ndarray], counts: pd.Series, forced: Sequence[str]
) -> tuple[str, str | None]:
    """The format in which most cells can be read, and a doubt where several are as good.

    The format is empty where no cell can be read.
    """
    shares = {form: counts[fits].sum() / counts.sum() for form, fits in fits_of.items()}
    for form in forced:
        if shares[form] >= 0.5:
            return form, None
    best = max(shares.values(), default=0)
    tied = [form for form, share in shares.items() if share == best > 0]
    names = {form.replace("%B", "%b"): form for form in reversed(tied)}  # May is short and long
    if not names:
        return "", None
    return tied[0], ambiguity(list(names)) if len(names) > 1 else None


def ambiguity(forms: Sequence[str]) -> str:
    """Say that cells can be read in several formats."""
    if not forms:
        return "its cells can be read as dates and as times; pass a --date-format"
    options = [f"--date-format={shlex.quote(form)}" for form in forms]
    return (
        f"its cells can be read as {' or as '.join(forms)}; pass {' or '.join(options)}, "
        f"or the column in {WAYS_OUT}"
    )


def _details(form: str, texts: pd.Series, lasts: bool = False) -> tuple[str, int, str, str]:
    """The format with its missing zeros marked, digits of the fraction, no zone, and the case."""
    read = _pattern(form, lasts)
    groups = [match.groupdict() for match in map(read.fullmatch, texts) if match]
    for letters in ("dm", "HI"):
        written = [group[letter] for group in groups for letter in letters if letter in group]
        single = sum(len(text) == 1 for text in written)
        if single > sum(len(text) == 2 and text.startswith("0") for text in written):
            form = re.sub(f"%([{letters}])", r"%-\1", form)
    fraction = max((len(group.get("f") or "") for group in groups), default=0)
    joined = "".join(texts) if set("bBpaA") & set(_letters(form)) else ""
    case = "upper" if joined.isupper() else "lower" if joined.islower() else ""
    return form, fraction, "", case


def _iso_format(texts: pd.Series) -> Date:
    found = [match.groups() for match in map(_ISO.fullmatch, texts) if match]
    shapes = Counter(
        (gap, bool(sec), len(frac or "."), zone) for _, gap, _, sec, frac, zone in found
    )
    gap, seconds, fraction, zone = shapes.most_common(1)[0][0]
    zones = {group[-1] for group in found}
    clock = ("%H:%M" + ":%S" * seconds + ".%f" * (fraction > 1)) if gap else ""
    shared = zone or "" if len(zones) == 1 else "+00:00"
    return Date(f"%Y-%m-%d{gap or ''}{clock}", fraction - 1, shared)


def _letters(form: str) -> list[str]:
    return re.findall("%-?([A-Za-z])", form)


def _padded(form: str) -> str:
    return form.replace("%-", "%")


@cache
def _pattern(form: str, lasts: bool = False) -> re.Pattern[str]:
    """What is written in a format, a group for each of its fields.

    Parameters
    ----------
    lasts : True for durations, which may be negative and have more than a day
    """
    form, fields = _padded(form), _FIELDS
    if re.search("%[A-Za-z]%", form) or (".%y" in form or "%y." in form):  # not 1.2.03
        fields = fields | dict.fromkeys("dmH", r"\d{2}") | {"Y": r"(?:19|20)\d{2}"}
    if lasts:
        fields = fields | {"H": r"\d{1,5}", "d": r"\d{1,6}"}
    parts = re.split("%([A-Za-z])", form)
    parts[::2] = map(re.escape, parts[::2])
    parts[1::2] = (f"(?P<{letter}>{fields[letter]})" for letter in parts[1::2])
    return re.compile("(?P<minus>-?)" * lasts + "".join(parts))


def _step(form: str, fraction: int) -> int:
    """Nanoseconds between two moments that are written differently."""
    letters = _letters(form)
    if "f" in letters and fraction:
        return 10 ** (9 - fraction)
    return next((step for letter, step in _STEPS.items() if letter in letters), _DAY)


def _nanoseconds(fields: dict[str, str]) -> int:
    hours = int(fields.get("H") or 0)
    if "I" in fields:
        hours = int(fields["I"]) % 12 + 12 * (fields.get("p", "").lower() == "pm")
    hours += 24 * int(fields.get("d", 0))
    seconds = 3600 * hours + 60 * int(fields.get("M", 0)) + int(fields.get("S", 0))
    ticks = 10**9 * seconds + int(fields.get("f", "0").ljust(9, "0"))
    return -ticks if fields["minus"] else ticks


def _spelled(form: str, field: Callable[[str], str], case: str) -> str:
    """The format with its fields filled in."""

    def fill(match: re.Match[str]) -> str:
        text = field(match[2])
        return text.lstrip("0") or "0" if match[1] else text

    text = re.sub("%(-?)([A-Za-z])", fill, form)
    return text.upper() if case == "upper" else text.lower() if case == "lower" else text
