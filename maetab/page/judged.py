"""The section on how well cells are filled, measured at observed cells that are hidden."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from maetab.data.codec import encode
from maetab.data.columns import Column
from maetab.data.schema import Schema
from maetab.evaluation import amputate, cell_scores
from maetab.evaluation.cross_val import baseline, impute_with
from maetab.evaluation.interpolation import LinearInterpolation
from maetab.page.filled import Filled, told_before
from maetab.page.markup import Markup, element, paragraph, section, table, users

# Rows that are judged at most: of tables, where they have so many cells and are not fewer than a
# few, and of series, where each way in which a window has gaps takes time.
MOST_ROWS, MOST_CELLS, LEAST_ROWS, MOST_STEPS = 2000, 100_000, 200, 750
COVERAGE = 0.9
TITLES = {
    "rmse": "Numbers and dates: root mean squared error in standard deviations of the column "
    "(less is better; 1 is no better than the mean), and the share of hidden cells inside the "
    f"interval that is meant to hold {COVERAGE:.0%}",
    "accuracy": "Categories: share of hidden cells whose level was found (more is better; the "
    "median is the most frequent level)",
}
NAMES = {"maetab": "maetab", "median": "median", "knn": "kNN", "linear": "linear"}


@dataclass(frozen=True)
class Judged:
    """How well hidden cells were filled.

    Parameters
    ----------
    scores : frame, a line for each column and metric; columns are methods, and n_cells
    coverage : share of hidden cells in the interval, by column
    n_rows, n_hidden : rows judged, and cells hidden in them
    mechanism, frac : how they were hidden
    """

    scores: pd.DataFrame
    coverage: dict[Any, float]
    n_rows: int
    n_hidden: int
    mechanism: str
    frac: float

    def means(self, metric: str) -> pd.Series:
        """Return the mean of each method over the columns; empty where no column has it."""
        part = self.scores[self.scores["metric"] == metric]
        return part[self.methods()].mean() if len(part) else pd.Series(dtype=float)

    def methods(self) -> list[str]:
        """Return the methods that are compared, maetab first."""
        return [name for name in NAMES if name in self.scores]


def judge(done: Filled, frac: float, seed: int) -> Judged | None:
    """Return how well hidden cells are filled; None where no cell is hidden.

    Cells of some of the rows are hidden, a model of its own is fitted to these rows, and every
    method fills them.
    """
    rows = _rows(done, seed)
    truth = done.frame.iloc[rows]
    static = set() if done.timeline is None else set(done.timeline.static)
    places = [j for j in done.modelled() if j not in static]
    if not places:
        return None
    mechanism, series = "mcar", None
    if done.layout is not None:
        mechanism, series = "block", done.layout.series[rows]
    holes, hidden = amputate(
        truth, mechanism, frac, columns=places, random_state=seed, groups=series
    )
    if not hidden.to_numpy().any():
        return None
    given = {} if series is None else {"max_gap": None, "edges": True}
    with told_before():
        own = clone(done.imputer).set_params(verbose=0, **given).fit(holes)
        filled = {"maetab": own.transform(holes)}
    low, high = own.predict_interval(holes, COVERAGE)
    schema = own.schema_
    filled |= _baselines(done, holes, rows, places, seed)
    parts = [
        cell_scores(truth, table, hidden, schema, ["rmse", "accuracy"]).assign(method=name)
        for name, table in filled.items()
    ]
    scores = pd.concat(parts).pivot_table(
        index=["column", "metric", "n_cells"], columns="method", values="value", sort=False
    )
    cells = [encode(frame, schema)[0] for frame in (truth, low, high)]
    coverage = _coverage(cells, hidden.to_numpy(), schema.columns)
    n_hidden = int(hidden.to_numpy().sum())
    return Judged(scores.reset_index(), coverage, len(rows), n_hidden, mechanism, frac)


def _rows(done: Filled, seed: int) -> np.ndarray:
    """Return the places of the rows that are judged; of series the first ones, in order of time."""
    n = len(done.frame)
    if done.layout is not None:
        return done.in_time()[:MOST_STEPS]
    most = min(MOST_ROWS, max(LEAST_ROWS, MOST_CELLS // len(done.columns)))
    if n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, most, replace=False))


def _baselines(
    done: Filled, holes: pd.DataFrame, rows: np.ndarray, places: list[int], seed: int
) -> dict[str, pd.DataFrame]:
    """Return frames that other methods have filled."""
    cells, schema = holes.iloc[:, places], Schema(tuple(done.columns[j] for j in places))
    names = ("median", "knn") if done.layout is None else ("linear", "median")
    found = {}
    for name in names:
        if name == "linear":
            assert done.layout is not None, "lines are drawn in time"
            keys = [done.layout.series[rows], done.layout.position[rows]]
            in_time = cells.set_axis(pd.MultiIndex.from_arrays(keys, names=["series", "time"]))
            filled = LinearInterpolation(1).fit(in_time).transform(in_time)
        else:
            filled = impute_with(baseline(name, seed), cells, cells, schema)
        whole = holes.copy()
        for place in range(len(places)):
            whole.isetitem(places[place], filled.iloc[:, place].array)
        found[name] = whole
    return found


def _coverage(
    cells: list[np.ndarray], hidden: np.ndarray, columns: tuple[Column, ...]
) -> dict[Any, float]:
    """Return the share of hidden numbers inside their interval; `cells` are truth, low, high."""
    truth, low, high = cells
    inside = (low <= truth) & (truth <= high)
    return {
        column.name: float(inside[hidden[:, j], j].mean())
        for j, column in enumerate(columns)
        if column.kind == "number" and not column.free_text and hidden[:, j].any()
    }


def judged_section(judged: Judged | None, done: Filled) -> Markup:
    """Return the section."""
    title = "How well cells are filled"
    if judged is None:
        return section("filling", title, paragraph("Not measured: there are no cells to hide."))
    parts = [_told(judged, done)]
    for metric, caption in TITLES.items():
        part = judged.scores[judged.scores["metric"] == metric]
        if len(part):
            parts.append(_scores(judged, part, metric, caption))
    return section("filling", title, *parts)


def _told(judged: Judged, done: Filled) -> Markup:
    of_all = "all" if judged.n_rows == len(done.frame) else "some"
    how = "at random" if judged.mechanism == "mcar" else "in gaps of ten rows on average"
    which = "drawn at random" if judged.mechanism == "mcar" else "the first in time"
    among = "" if of_all == "all" else f" of {len(done.frame):,} ({which})"
    more = "" if of_all == "all" else " The model of the whole table has learned from more rows."
    return paragraph(
        f"In {judged.n_rows:,} rows{among} {judged.frac:.0%} of the observed cells, "
        f"{judged.n_hidden:,} in all, were hidden {how}; a model was fitted to what was left, and "
        "what each method filled in was compared with the truth. The best of a row is bold. What "
        "is really missing may be harder to fill than what was hidden, if cells are missing for "
        f"reasons that the table does not show.{more}"
    )


def _scores(judged: Judged, part: pd.DataFrame, metric: str, caption: str) -> Markup:
    methods, of_numbers = judged.methods(), metric == "rmse"
    head = ["column", "hidden cells", *(NAMES[name] for name in methods)]
    head += ["inside the interval"] if of_numbers else []
    rows = []
    for line in part.to_dict("records"):
        cells = [users(line["column"]), f"{line['n_cells']:,}"]
        cells += _marked([line[name] for name in methods], of_numbers)
        if of_numbers:
            cells.append(_share(judged.coverage.get(line["column"])))
        rows.append(cells)
    if len(part) > 1:
        means = [part[name].mean() for name in methods]
        last = ["mean of the columns", "", *_marked(means, of_numbers)]
        if of_numbers:
            last.append(_share(float(np.mean([*judged.coverage.values()]))))
        rows.append(last)
    return table(caption, head, rows, range(1, len(head)))


def _marked(values: list[float], less_is_better: bool) -> list[Any]:
    """Return values as text, the best in bold type."""
    shown = [f"{value:.3f}" for value in values]
    best = min(shown, key=float) if less_is_better else max(shown, key=float)
    return [element("b", text) if text == best else text for text in shown]


def _share(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"
