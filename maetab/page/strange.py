"""The section on the strangest rows, and what makes them strange."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from maetab.detector import MAEAnomalyDetector
from maetab.page.filled import Filled
from maetab.page.markup import Markup, paragraph, section, shortened, table, users

TRIM = 0.2  # the table may hold anomalies
N_MASKS = 6  # half of the usual sets of hidden columns, which take most of the time
MOST_ROWS, MOST_STEPS = 2000, 4000  # rows that are looked at, of tables and of series


@dataclass(frozen=True)
class Strange:
    """The strangest rows.

    Parameters
    ----------
    reasons : as from `MAEAnomalyDetector.explain`
    n_rows : rows that were looked at
    """

    reasons: pd.DataFrame
    n_rows: int


def find_strange(done: Filled, top: int, n_columns: int, seed: int) -> Strange | None:
    """Return the strangest rows by the model that fills; None if none are asked for or can be."""
    if not top or not done.modelled():
        return None
    detector = MAEAnomalyDetector.from_fitted(done.imputer, trim=TRIM, n_masks=N_MASKS, verbose=0)
    n, rows = len(done.frame), done.in_time()
    if done.layout is not None:
        rows = np.sort(rows[:MOST_STEPS])
    elif n > MOST_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(n, MOST_ROWS, replace=False))
    found = detector.explain(done.frame.iloc[rows], top=top, n_columns=n_columns)
    return Strange(found, len(rows))


def strange_section(strange: Strange | None, done: Filled) -> Markup:
    """Return the section."""
    title = "The strangest rows"
    if strange is None:
        return section("strange", title, paragraph("Not looked for."))
    if not len(strange.reasons):
        return section("strange", title, paragraph("No row has a cell that can be judged."))
    n, n_rows = len(done.frame), strange.n_rows
    which = "drawn at random" if done.layout is None else "the first in time"
    stretch = " Of a stretch of outliers one row is told, with its length; 0 is no outlier."
    stretch = "" if done.layout is None else stretch
    among = f"all {n:,} rows" if n == n_rows else f"{n_rows:,} of {n:,} rows ({which})"
    told = paragraph(
        f"Rows whose cells are not what their other cells suggest, or that no row is like, among "
        f"{among}. Scores are about 0 for usual rows, and lower for stranger ones; the surprise is "
        "1 for a cell that is as odd as one in ten of its column, 3 for one in a thousand. Strange "
        f"rows are not wrong for that: look at them.{stretch}"
    )
    return section("strange", title, told, _reasons(strange.reasons))


def _cell(value: Any) -> Markup:
    """Return a cell of the user; numbers with seven digits, and whole ones of 64 bits whole."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.floating):
        return users(value)
    whole = float(value).is_integer() and abs(float(value)) < 2**64
    return users(int(value) if whole else f"{value:.7g}")


def _reasons(reasons: pd.DataFrame) -> Markup:
    when = [name for name in ("series", "time", "length") if name in reasons]
    head = ["row", "score", *when, "column", "value", "expected", "surprise", "reason"]
    rows = []
    last: Any = None
    for line in reasons.to_dict("records"):
        again = line["position"] == last
        last = line["position"]
        shown: list[Any] = [users(line["row"]), f"{line['score']:.2f}"]
        shown += [users(line[name]) for name in when]
        if again:
            shown = [shown[0], *[""] * (len(shown) - 1)]
        cells = [users(line["column"]), _cell(line["value"]), _cell(line["expected"])]
        rows.append([*shown, *cells, f"{line['surprise']:.1f}", shortened(line["reason"], 120)])
    title = "The strangest rows first, and in each the strangest cells first"
    return table(title, head, rows, (0, 1, len(head) - 2))
