"""The section on what the columns are: kinds, missing cells, ranges and levels, distributions."""

from __future__ import annotations

import numpy as np

from maetab.data.columns import Column
from maetab.data.extent import range_of
from maetab.page.filled import Filled, spelled, zone_of
from maetab.page.markup import Markup, joined, paragraph, section, shortened, table, users
from maetab.page.pictures import spark

BINS, MOST_LEVELS = 24, 12  # of a histogram; levels that have a bar of their own
TAIL = 0.005  # of the numbers, on both sides, that are counted in the outermost bins


def columns_section(done: Filled) -> Markup:
    """Return the section."""
    rows = []
    for j, column in enumerate(done.columns):
        n_missing = int(done.missing[:, j].sum())
        share = n_missing / len(done.frame)
        shown = [users(column.name), kind_of(column), f"{n_missing:,}", f"{share:.1%}"]
        rows.append([*shown, _range(column), _picture(done.before[:, j], column)])
    head = ["column", "kind", "missing", "share", "range, or levels and their counts", "observed"]
    told = paragraph(
        "Numbers, dates and durations show their smallest and largest observed value, categories "
        "their most frequent levels. Free text, identifiers, times of rows and their groups are "
        "no input of the model and are left as they are."
    )
    return section("columns", "Columns", told, table("All columns", head, rows, (2, 3)))


def kind_of(column: Column) -> str:
    """Return what a column holds, in words."""
    if column.key:
        return "time or group"
    if not column.n_observed and not column.free_text:
        return "empty"
    if column.free_text:
        return "free text"
    names = {"datetime": "date or time", "timedelta": "duration"}
    if column.temporal:
        return names[column.temporal]
    if column.kind == "category":
        yes_no = all(isinstance(level, bool | np.bool_) for level in column.levels)
        return "boolean" if yes_no else "category"
    return "whole number" if column.integer or column.step == 1 else "number"


def _range(column: Column) -> Markup | str:
    if column.key:
        return ""
    if column.free_text:
        return f"{column.free_text:,} different values"
    return joined(shortened(range_of(column), 90), zone_of(column))


def _picture(cells: np.ndarray, column: Column) -> Markup | str:
    seen = cells[np.isfinite(cells)]
    if not len(seen) or column.free_text:
        return ""
    edges, words = bins_of(seen, column)
    label = f"Distribution of the observed cells: {summary_of(seen, column)}"
    return spark(counted_in(seen, edges), f"{label} ({words})")


def bins_of(cells: np.ndarray, column: Column) -> tuple[np.ndarray, str]:
    """Return (bins + 1,) edges that suit cells of a column, and what a bin is, in words."""
    if column.kind == "category":
        n_levels = min(len(column.levels), MOST_LEVELS)
        more = "; the last bar is all others" * (len(column.levels) > n_levels)
        edges = np.arange(n_levels + 1) - 0.5
        return np.append(edges, np.inf) if more else edges, f"one bar per level{more}"
    low, high = np.quantile(cells, [TAIL, 1 - TAIL])
    if step := step_of(column):
        # As many points of the grid in each: more in some than in others would look like a comb.
        first, last = np.floor(low / step), np.ceil(high / step)
        n_points = np.ceil((last - first + 1) / BINS)
        n_bins = int(np.ceil((last - first + 1) / n_points))
        edges = (first - 0.5 + n_points * np.arange(n_bins + 1)) * step
        return edges, "one bar per number" if n_points == 1 else f"{n_bins} bins"
    if low == high:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, BINS + 1), f"{BINS} bins"


def step_of(column: Column) -> float:
    """Return the step of the grid that numbers of a column lie on, 0 where there is none."""
    return 1.0 if column.integer else column.step or 0.0


def counted_in(cells: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return (bins,) counts of cells; those beyond the edges are in the outermost bins."""
    place = np.searchsorted(edges, cells, side="right") - 1
    return np.bincount(place.clip(0, len(edges) - 2), minlength=len(edges) - 1)


def summary_of(cells: np.ndarray, column: Column) -> str:
    """Return the middle half of some cells, or their most frequent level, as text."""
    if not len(cells):
        return "none"
    if column.kind == "category":
        codes, counts = np.unique(cells, return_counts=True)
        top = counts.argmax()
        level = shortened(spelled(codes[top], column), 30)
        return f"{level} in {counts[top] / len(cells):.0%}"
    low, middle, high = (spelled(x, column) for x in np.quantile(cells, [0.25, 0.5, 0.75]))
    return f"median {middle}, half of them from {low} to {high}"
