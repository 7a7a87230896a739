"""Text of cells <-> values: each format reads a column of a CSV file and writes it the same way."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from maetab.data.schema import Column
from maetab.data.text import ALMOST, FEW_TEXTS, limit_in
from maetab.files.layout import WAYS_OUT, CellFormat, Found, Layout, option
from maetab.files.number_format import DIGITS, Number, find_numbers
from maetab.files.time_format import Date, Duration
from maetab.files.time_search import ambiguity, find_dates, find_durations

MOST_FORMS, MOST_UNITS = 4, 2  # of the dates and of the numbers in one column
CERTAINLY = 0.9  # dates are also whole numbers; from this share of valid dates on, they are dates
FINDERS: dict[str, Callable[[pd.Series, Layout], Found]] = {
    "dates": find_dates,
    "numbers": find_numbers,
    "times": find_durations,
}
KIND_OF = {None: "numbers", "datetime": "dates", "timedelta": "times"}


@dataclass(frozen=True)
class Text:
    """Categories by their text.

    Parameters
    ----------
    levels : what a text stands for, where a model's levels are not texts
    unusual : what the texts may be meant for, in words; else empty
    """

    levels: dict[str, object] = field(default_factory=dict)
    unusual: str = ""

    def parse(self, texts: pd.Series) -> pd.Series:
        return texts.map(lambda text: self.levels.get(text, text)).astype(object)

    def write(self, values: pd.Series) -> list[str]:
        return [str(value) for value in values]


def infer_format(
    texts: pd.Series, layout: Layout, kinds: Collection[str] = tuple(FINDERS)
) -> tuple[CellFormat, str | None]:
    """Return the format of a column, and what looks wrong with it.

    Parameters
    ----------
    texts : observed cells; the index has their places in the file
    layout : marks of numbers and formats of dates
    kinds : what the column may be besides text: "numbers", "dates", "times"

    Returns
    -------
    The format, and a sentence where cells can be read in several ways, or where most cells are of
    a kind and few texts are not; else None.
    """
    if not len(texts):
        return Number(decimal=layout.decimal or "."), None
    plain = texts.astype(object).str.strip()
    counts = plain.value_counts(sort=False)
    found = {kind: FINDERS[kind](counts, layout) for kind in FINDERS if kind in kinds}
    shares = {kind: counts[one.fits].sum() / len(texts) for kind, one in found.items()}
    kind = max(shares, key=lambda kind: shares[kind])
    if shares.get("dates", 0) >= CERTAINLY:
        kind = "dates"
    if shares[kind] == 1:
        if kind == "dates" and shares.get("times") == 1:
            return Text(), found[kind].doubt or ambiguity([])
        return found[kind].chosen or Text(), found[kind].doubt
    fits = found["dates"].fits if "dates" in kinds else np.zeros(len(counts), bool)
    if fits.any() and _all_dates(counts[~fits], layout):
        first, other = counts.index[fits][0], counts.index[~fits][0]
        return Text(), (
            f"its cells are dates in several forms, such as {first!r} and {other!r}; bring them "
            f"to one, or pass the column in {WAYS_OUT}"
        )
    odd = plain[~plain.isin(counts.index[found[kind].fits])]
    n_odd = odd.nunique()
    padded = odd.str.fullmatch(r"[+-]?0\d+").any()  # 007 is a name, not a number
    if shares[kind] < ALMOST or n_odd > max(FEW_TEXTS, len(texts) / 10) or padded:
        return _meant(counts, layout) if "numbers" in kinds else (Text(), None)
    return Text(), _almost(odd, kind, shares[kind])


def _all_dates(counts: pd.Series, layout: Layout) -> bool:
    """Return True where every text is a date, in one of a few forms."""
    for _ in range(MOST_FORMS):
        if len(counts):
            counts = counts[~find_dates(counts, layout).fits]
    return not len(counts)


def _meant(counts: pd.Series, layout: Layout) -> tuple[Text, str | None]:
    """Return text that may be meant for numbers with a unit, and a doubt where it is many texts."""
    parts = counts.index.to_series().str.extract(r"^(.*?\d)\s?([^\W\d_]{1,6}[²³]?\.?)$").dropna()
    if parts.empty:
        return Text(), None
    units = counts[parts.index].groupby(parts[1].to_numpy()).sum().nlargest(MOST_UNITS).index
    numbers, unit = parts.loc[parts[1].isin(units), 0], " or ".join(map(repr, units))
    read = find_numbers(counts[numbers.index].set_axis(numbers), layout).fits
    if counts[numbers.index][read].sum() < CERTAINLY * counts.sum() or len(numbers) < 2:
        return Text(), None
    if len(numbers) <= FEW_TEXTS:
        return Text(
            unusual=f"categories, for {unit} stands behind the numbers "
            "(write them alone if they are meant)"
        ), None
    return Text(), (
        f"most of its cells are numbers with {unit} behind them, such as {numbers.index[0]!r}; "
        f"write the numbers alone, or pass the column in {WAYS_OUT}"
    )


def _almost(odd: pd.Series, kind: str, share: float) -> str:
    """Say which texts of a column are not of the kind that most are."""
    first, others = _short(str(odd.iloc[0])), odd.nunique() - 1
    means = option("--na-values", [str(odd.iloc[0])])
    row, n_cells = odd.index[0] + 1, f"{len(odd)} cell{'s' * (len(odd) > 1)}"
    which = f"{first!r} is not (row {row}; {n_cells})"
    if others:
        more = f"{others} other text{'s' * (others > 1)}"
        which = f"{first!r} (row {row}) and {more} are not ({n_cells})"
    return (
        f"{share:.0%} of the cells are {kind}, but {which}; pass {means} if it means "
        f"missing, or the column in {WAYS_OUT}{limit_in(odd.unique())}"
    )


def known_format(column: Column, texts: pd.Series, layout: Layout) -> CellFormat:
    """Return the format of a column whose type a fitted model has decided.

    Raises
    ------
    ValueError
        When a cell cannot be read as what the model knows.
    """
    if column.kind == "category":
        return Text({str(level): level for level in column.levels if not isinstance(level, str)})
    kind = KIND_OF[column.temporal]
    if not len(texts):
        decimals = 0 if column.integer else DIGITS - 1
        usual: dict[str, CellFormat] = {"dates": Date("%Y-%m-%d %H:%M:%S"), "times": Duration()}
        return usual.get(kind, Number(column.integer, decimals, decimal=layout.decimal or "."))
    chosen, doubt = infer_format(texts, layout, [kind])
    if doubt is not None or isinstance(chosen, Text):
        reason = doubt or f"{_short(texts.iloc[0])!r} in row {texts.index[0] + 1} is none"
        raise ValueError(f"column {column.name!r} holds {kind} in the model, and {reason}")
    return chosen


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."
