"""The format in which a column's dates, times of day or durations are written, if it has one."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Collection, Sequence
from itertools import product

import numpy as np
import pandas as pd

from maetab.files.layout import WAYS_OUT, Found, Layout
from maetab.files.time_format import DAY, Date, Duration, letters_of, padded, pattern

_ISO = re.compile(
    r"(\d{4}-\d{2}-\d{2})(?:([ T])(\d{2}:\d{2})(:\d{2})?(\.\d{1,9})?(Z|[+-]\d{2}:?\d{2})?)?"
)
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


def find_dates(counts: pd.Series, layout: Layout) -> Found:
    """Return which texts are dates, and how they are written; as `number_format.find_numbers`.

    The formats that the layout names are tried first.
    """
    texts, probe = counts.index.to_series(), _usual(counts)
    forced, others = _requested(layout, probe)
    if others and not forced:
        return _found({}, counts)
    iso = texts.map(lambda text: _ISO.fullmatch(text) is not None).to_numpy(bool)
    if _ISO.fullmatch(probe) and not forced:
        parsed = pd.to_datetime(texts.where(iso), format="ISO8601", utc=True, errors="coerce")
        fits = parsed.notna().to_numpy()
        return Found(fits, _iso_format(texts[fits]) if fits.any() else None)
    fits_of = {form: _dates_of(form, texts) for form in (*forced, *_forms_like(probe))}
    return _found(fits_of, counts, forced, layout.known_dates)


def find_durations(counts: pd.Series, layout: Layout) -> Found:
    """Return which texts are times of day or durations; see `find_dates`."""
    texts, probe = counts.index.to_series(), _usual(counts)
    others, forced = _requested(layout, probe)
    if others and not forced:
        return _found({}, counts)
    likely = [form for form in _DURATIONS if pattern(form, True).fullmatch(probe)]
    fits_of = {}
    for form in (*forced, *likely):
        read = pattern(form, True)
        fits_of[form] = np.array([read.fullmatch(text) is not None for text in texts], bool)
    return _found(fits_of, counts, forced, lasts=True)


def _found(
    fits_of: dict[str, np.ndarray],
    counts: pd.Series,
    forced: Sequence[str] = (),
    known: Collection[str] = (),
    lasts: bool = False,
) -> Found:
    """Return the best of several formats, of durations if `lasts` and else of dates."""
    form, doubt = _best(fits_of, counts, forced, known)
    fits = fits_of[form] if form else np.zeros(len(counts), dtype=bool)
    if doubt or not form:
        return Found(fits, None, doubt)
    texts = counts.index.to_series()[fits]
    form, fraction, case = _details(form, texts, lasts)
    if not lasts:
        return Found(fits, Date(form, fraction, case=case))
    values = Duration(form, fraction, case).parse(texts)
    clock = bool(values.between(pd.Timedelta(0), pd.Timedelta(DAY - 1)).all())
    return Found(fits, Duration(form, fraction, case, clock))


def _usual(counts: pd.Series) -> str:
    """Return a text of the shape that most of the texts have."""
    texts = counts.index.to_series()
    shapes = texts.str.replace(r"\d+", "9", regex=True).str.replace("[A-Za-z]+", "a", regex=True)
    shape = Counter(dict(counts.groupby(shapes.to_numpy()).sum())).most_common(1)[0][0]
    return str(texts[(shapes == shape).to_numpy()].iloc[0])


def _requested(layout: Layout, text: str) -> tuple[list[str], list[str]]:
    """Return the user's formats of dates, and those of durations, that fit a text."""
    dates = [form for form in layout.date_formats if set("Yy") & set(letters_of(form))]
    others = [form for form in layout.date_formats if form not in dates]
    return (
        [form for form in dates if pattern(form).fullmatch(text)],
        [form for form in others if pattern(form, True).fullmatch(text)],
    )


def _forms_like(text: str) -> list[str]:
    """Return usual formats of dates in which a text can be read."""
    found = []
    for day in _DAYS:
        match = pattern(day).match(text)
        rest = text[match.end() :] if match else ""
        if match and not rest:
            found.append(day)
        gap = ", " if rest.startswith(", ") else rest[:1]
        if gap in (" ", "T", ", "):
            clocks = (clock for clock in _CLOCKS if pattern(clock).fullmatch(rest[len(gap) :]))
            found += [day + gap + clock for clock in clocks]
    return found


def _dates_of(form: str, texts: pd.Series) -> np.ndarray:
    """Return (n,) bool: True where a text is a date that exists, in this format."""
    read = pattern(form)
    written = texts.map(lambda text: read.fullmatch(text) is not None).astype(bool)
    parsed = pd.to_datetime(texts.where(written), format=padded(form), errors="coerce")
    return parsed.notna().to_numpy()


def _best(
    fits_of: dict[str, np.ndarray], counts: pd.Series, forced: Sequence[str], known: Collection[str]
) -> tuple[str, str | None]:
    """Return the format in which most cells can be read, and a doubt where several are as good.

    Of these the one that is known is taken. The format is empty where no cell can be read.
    """
    shares = {form: counts[fits].sum() / counts.sum() for form, fits in fits_of.items()}
    for form in forced:
        if shares[form] >= 0.5:
            return form, None
    best = max(shares.values(), default=0)
    tied = [form for form, share in shares.items() if share == best > 0]
    tied = [form for form in tied if form in known] or tied
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


def _details(form: str, texts: pd.Series, lasts: bool) -> tuple[str, int, str]:
    """Return the format with missing zeros marked, digits of the fraction, and case."""
    read = pattern(form, lasts)
    groups = [match.groupdict() for match in map(read.fullmatch, texts) if match]
    for letters in ("dm", "HI"):
        written = [group[letter] for group in groups for letter in letters if letter in group]
        single = sum(len(text) == 1 for text in written)
        if single > sum(len(text) == 2 and text.startswith("0") for text in written):
            form = re.sub(f"%([{letters}])", r"%-\1", form)
    fraction = max((len(group.get("f") or "") for group in groups), default=0)
    joined = "".join(texts) if set("bBpaA") & set(letters_of(form)) else ""
    case = "upper" if joined.isupper() else "lower" if joined.islower() else ""
    return form, fraction, case


def _iso_format(texts: pd.Series) -> Date:
    found = [match.groups() for match in map(_ISO.fullmatch, texts) if match]
    shapes = Counter(
        (gap, bool(sec), len(frac or "."), zone) for _, gap, _, sec, frac, zone in found
    )
    gap, seconds, fraction, zone = shapes.most_common(1)[0][0]
    zones = {group[-1] for group in found}
    clock = ("%H:%M" + ":%S" * seconds + ".%f" * (fraction > 1)) if gap else ""
    differ = len(zones) > 1
    shared = "+00:00" if differ else zone or ""
    return Date(f"%Y-%m-%d{gap or ''}{clock}", fraction - 1, shared, in_utc=differ)
