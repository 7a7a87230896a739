"""Filled cells against the hidden truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from maetab.data.containers import read_frame
from maetab.data.schema import Column
from maetab.plot import panels, tables, ticks
from maetab.plot.panels import BLUE, GREY, ORANGE
from maetab.plot.tables import Pair


@dataclass(eq=False, repr=False)
class ReconstructionDisplay:
    """Cells that were hidden against what the model made of them, a panel for each column.

    Of a number, a point for each cell, the line where both agree, and the correlation r; of a
    category, how many cells of one level were taken for each other, and the share that is right.
    Of more than eight levels the most frequent are drawn, the others as one.

    Parameters
    ----------
    original, reconstruction : one array for each column, values of the same cells; numbers (days
        since 1970 for dates), or places in the column's `levels`
    columns : as many Columns

    Attributes
    ----------
    axes_, figure_ : the axes of the panels and their figure
    points_ : what was drawn on each; for categories the area of a point counts its cells

    Examples
    --------
    >>> import pandas as pd
    >>> frame, guess = pd.DataFrame({"a": [1.0, 2.0]}), pd.DataFrame({"a": [1.5, 2.0]})
    >>> display = ReconstructionDisplay.from_frames(frame, guess, hidden=[[True], [False]])
    >>> display.original[0].tolist(), display.reconstruction[0].tolist()
    ([1.0], [1.5])
    """

    original: Sequence[np.ndarray]
    reconstruction: Sequence[np.ndarray]
    columns: Sequence[Column]

    @classmethod
    def from_frames(
        cls, original: Any, reconstruction: Any, hidden: Any, columns: Sequence | None = None
    ) -> Self:
        """Return the display of two tables at the cells `hidden`.

        Parameters
        ----------
        original, reconstruction : (n, F) tables
        hidden : (n, F) bool table, True for the cells to show
        columns : names; by default those with hidden cells, the 12 with most of them
        """
        before, after, schema = tables.read_pair(original, reconstruction, "reconstruction")
        shown = tables.read_hidden(hidden, before.shape) & ~np.isnan(before) & ~np.isnan(after)
        chosen = tables.choose(schema, shown, columns, "a 'hidden' cell that both tables hold")
        truth, filled = ([table[shown[:, j], j] for j in chosen] for table in (before, after))
        return cls(truth, filled, [schema.columns[j] for j in chosen])

    @classmethod
    def from_estimator(
        cls, imputer: Any, X: Any, hidden: Any, columns: Sequence | None = None
    ) -> Self:
        """Return the display of how a fitted `imputer` fills the cells `hidden` of the table X."""
        frame, back = read_frame(X)
        holes = frame.mask(tables.read_hidden(hidden, frame.shape))
        return cls.from_frames(X, imputer.transform(back.give(holes)), hidden, columns)

    def plot(self, ax: Any = None, **kwargs: Any) -> Self:
        """Draw on as many axes as columns, or a new figure; `kwargs` go to `scatter`."""
        self.axes_ = panels.panel_grid(ax, len(self.columns))
        self.figure_, self.points_ = self.axes_[0].figure, []
        cells = zip(self.axes_, self.columns, self.original, self.reconstruction)
        for axes, column, *values in cells:
            draw = draw_agreement if column.kind == "number" else draw_confusion
            points, agreement = draw(axes, column, values, **kwargs)
            self.points_.append(points)
            n = f"{len(values[0]):,} cell{'s' * (len(values[0]) != 1)}"
            panels.close_panel(axes, column.name, f"{agreement}, {n}")
        marks = _legend_of({column.kind for column in self.columns})
        panels.label_panels(self.axes_, ax is None, marks, x="original", y="reconstruction")
        return self


def _legend_of(kinds: set[str]) -> list:
    """Return the entries of the legend for panels of these kinds of columns."""
    from matplotlib.lines import Line2D

    marks = {
        "number": [
            Line2D([], [], color=GREY, label="number: reconstruction = original"),
            Line2D([], [], color=BLUE, marker="o", ls="", ms=4, label="a cell (darker: several)"),
        ],
        "category": [
            panels.patch((BLUE, 0.3), "category: right (number of cells)"),
            panels.patch((ORANGE, 0.3), "wrong"),
        ],
    }
    return [mark for kind in marks if kind in kinds for mark in marks[kind]]


def draw_agreement(axes: Any, column: Column, values: Pair, **kwargs: Any) -> tuple[Any, str]:
    """Draw numbers against numbers and the line where they agree; return points, correlation."""
    ends = [np.min(values), np.max(values)]
    axes.plot(ends, ends, color=GREY, linewidth=1, zorder=0)
    options = {"s": 14, "alpha": 0.45, "color": BLUE, "linewidths": 0} | kwargs
    points = axes.scatter(*values, **options)
    axes.locator_params(nbins=4)
    axes.tick_params(labelsize="small")
    unit = ticks.write_times(axes.xaxis, column.temporal)
    ticks.write_times(axes.yaxis, column.temporal, offset=False)  # it would stand in the title
    if unit:
        axes.set(xlabel=unit, ylabel=unit)
    moves = len(values[0]) > 1 and np.ptp(values, axis=1).all()
    return points, f"r = {np.corrcoef(values[0], values[1])[0, 1]:.2f}" if moves else "r undefined"


def draw_confusion(axes: Any, column: Column, values: Pair, **kwargs: Any) -> tuple[Any, str]:
    """Draw a point for each pair of levels, its area and number the cells; points, share right."""
    levels, places = tables.place_of_levels(column, *values)
    right, stacked = values[0] == values[1], np.stack(places, 1)
    pairs, where, counts = np.unique(stacked, False, True, True, axis=0)
    wrong = np.bincount(where.ravel(), weights=~right) > 0
    most = min(500.0, (140.0 / len(levels)) ** 2)  # square points: neighbours do not touch
    colours = np.where(wrong, ORANGE, BLUE)
    options = {"s": most * counts / counts.max(), "c": colours, "alpha": 0.3, "linewidths": 0}
    points = axes.scatter(*pairs.T, **(options | kwargs))
    look = {"ha": "center", "va": "center", "fontsize": ticks.SMALL, "fontweight": "bold"}
    for pair, count, colour in zip(pairs, counts, colours):
        axes.text(*pair, f"{count:,}", color=colour, **look)
    for axis in ("x", "y"):
        ticks.write_names(axes, levels, axis, most=16)
    axes.set(xlim=(-0.6, len(levels) - 0.4), ylim=(-0.6, len(levels) - 0.4))
    return points, f"{right.mean():.0%} right"
