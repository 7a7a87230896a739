"""Filled cells against observed cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from maetab.data.schema import Column
from maetab.plot import panels, tables, ticks
from maetab.plot.panels import ORANGE, SKY


@dataclass(eq=False, repr=False)
class ImputationDisplay:
    """What was filled in against what was observed, a panel for each column.

    Of a number, the distribution of both; of a category, the share of each level, with the number
    of its cells. Of more than eight levels the most frequent are drawn, the others as one.

    Parameters
    ----------
    observed, imputed : one array for each column: numbers (days since 1970 for dates), or places
        in the column's `levels`
    columns : as many Columns

    Attributes
    ----------
    axes_, figure_ : the axes of the panels and their figure
    observed_, imputed_ : what was drawn on each, patches or bars

    Examples
    --------
    >>> import pandas as pd
    >>> holes = pd.DataFrame({"a": [1.0, None, 3.0], "b": [1, 2, 3]})
    >>> display = ImputationDisplay.from_frames(holes, holes.fillna(2.0))
    >>> display.columns[0].name, display.imputed[0].tolist()
    ('a', [2.0])
    """

    observed: Sequence[np.ndarray]
    imputed: Sequence[np.ndarray]
    columns: Sequence[Column]

    @classmethod
    def from_frames(cls, original: Any, filled: Any, columns: Sequence | None = None) -> Self:
        """Return the display of a table with missing cells and of the same table filled.

        Parameters
        ----------
        original, filled : (n, F) tables
        columns : names; by default those with filled cells, the 12 with most of them
        """
        before, after, schema = tables.read_pair(original, filled, "filled")
        imputed = np.isnan(before) & ~np.isnan(after)
        chosen = tables.choose(schema, imputed, columns, "a missing cell that is filled")
        observed = [before[~np.isnan(before[:, j]), j] for j in chosen]
        filled_in = [after[imputed[:, j], j] for j in chosen]
        return cls(observed, filled_in, [schema.columns[j] for j in chosen])

    def plot(self, ax: Any = None, **kwargs: Any) -> Self:
        """Draw on as many axes as columns, or a new figure; `kwargs` go to `hist` and `bar`."""
        self.axes_ = panels.panel_grid(ax, len(self.columns))
        self.figure_, drawn = self.axes_[0].figure, []
        for axes, column, *values in zip(self.axes_, self.columns, self.observed, self.imputed):
            draw = draw_numbers if column.kind == "number" else draw_levels
            drawn.append(draw(axes, column, values, **kwargs))
            counts = f"{len(values[0]):,} observed, {len(values[1]):,} filled"
            axes.tick_params(labelsize="small")
            ticks.write_percent(axes.yaxis)
            panels.close_panel(axes, column.name, counts)
        self.observed_, self.imputed_ = map(list, zip(*drawn))
        marks = self.axes_[0].get_legend_handles_labels()[0]
        panels.label_panels(self.axes_, ax is None, marks, y="share of observed or of filled cells")
        return self


def draw_numbers(axes: Any, column: Column, values: tables.Pair, **kwargs: Any) -> list:
    """Draw histograms of observed and filled on the same bins, each of sum 1; their patches."""
    options, drawn = {"bins": _edges(*values)} | kwargs, []
    filling: dict[str, Any] = {"color": SKY, "alpha": 0.6, "label": "observed"}
    outline: dict[str, Any] = {"histtype": "step", "color": ORANGE, "linewidth": 1.8}
    outline["label"] = "filled"
    for cells, look in zip(values, (filling, outline)):
        look |= {"weights": np.full(len(cells), 1 / max(1, len(cells)))} | options
        drawn.append(axes.hist(cells, **look)[2])
    axes.locator_params(axis="x", nbins=5)
    if unit := ticks.write_times(axes.xaxis, column.temporal):
        axes.set_xlabel(unit)
    return drawn


def _edges(observed: np.ndarray, imputed: np.ndarray) -> np.ndarray:
    """Return edges of bins: around each whole number where few are observed, else of one width."""
    values = np.concatenate([observed, imputed])
    low, high = values.min(), values.max()
    if high - low < 24 and np.abs(observed - observed.round()).max(initial=0) < 1e-4:
        return np.arange(np.floor(low) - 0.5, high + 1.0)
    n_bins = int(np.clip(2 * np.sqrt(len(imputed)), 8, 30))
    center, width = (low + high) / 2, high - low or 1.0
    return np.linspace(center - width / 2, center + width / 2, n_bins + 1)


def draw_levels(axes: Any, column: Column, values: tables.Pair, **kwargs: Any) -> list:
    """Draw the share of each level, its number on top, observed beside filled; return the bars."""
    levels, places = tables.place_of_levels(column, *values)
    looks, bars = ((-0.2, SKY, "observed"), (0.2, ORANGE, "filled")), []
    turn = {"rotation": 90} if ticks.inches_each(axes, 2 * len(levels)) < 0.35 else {}
    for cells, (shift, colour, label) in zip(places, looks):
        counts = np.bincount(cells, minlength=len(levels))
        x, shares = np.arange(len(levels)) + shift, counts / max(1, len(cells))
        bars.append(axes.bar(x, shares, 0.4, **({"color": colour, "label": label} | kwargs)))
        texts = [f"{count:,}" for count in counts]
        axes.bar_label(bars[-1], texts, padding=1.5, fontsize=ticks.SMALL, **turn)
    axes.set_ylim(0, 1.25 * axes.dataLim.y1 or 1)
    ticks.write_names(axes, levels, most=16)
    return bars
