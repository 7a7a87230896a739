"""Which cells of a table are missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from maetab.data.containers import read_frame
from maetab.plot import panels, ticks
from maetab.plot.panels import BLACK, ORANGE, PALE

MAX_COLUMNS = 150  # drawn: a figure of 25 inches
MAX_BLOCKS = 250  # of rows: each more than a dot high
MAX_MARKED = 3  # missing or observed cells of a column: more of them can be seen without marks
MIN_ROWS = 25  # for marks: in fewer rows a cell is as high as a mark
LIGHT, DARK = "#F3C6A5", "#E58B4E"  # blocks of rows with few and with nearly all cells missing


@dataclass(eq=False, repr=False)
class MissingnessDisplay:
    """Which cells are missing, and what share of each column.

    Above, the share and the number of missing cells of each column; below, the rows of the table
    from top to bottom. In tables of more than 250 rows, a line of the picture stands for several.
    Where a column has up to three missing or up to three observed cells of more than 25, each of
    them is marked. Of more than 150 columns, those with most missing cells are drawn.

    Parameters
    ----------
    missing : (n, F) bool, True where a cell is missing
    columns : F names

    Attributes
    ----------
    order_ : places of the columns in the table, from left to right
    row_order_ : places of the rows in the table, from top to bottom
    axes_, figure_ : the two axes, shares above and cells below, and their figure
    bars_, texts_ : of the shares
    image_ : of the cells (n, F), or of the shares missing of blocks of rows
    marks_ : two collections, the marked missing and the marked observed cells

    Examples
    --------
    >>> import pandas as pd
    >>> display = MissingnessDisplay.from_frame(pd.DataFrame({"a": [1.0, None], "b": ["x", "y"]}))
    >>> display.missing.mean(0).tolist()
    [0.5, 0.0]
    """

    missing: np.ndarray
    columns: Sequence

    @classmethod
    def from_frame(cls, X: Any) -> Self:
        """Return the display of a table (n, F) of any container; n and F are at least 1."""
        frame = read_frame(X)[0]
        if frame.empty:
            raise ValueError(f"X must have at least one row and one column, got {frame.shape}.")
        return cls(frame.isna().to_numpy(), list(frame.columns))

    def plot(
        self,
        ax: Sequence | None = None,
        *,
        sort: bool = True,
        sort_rows: bool = False,
        **kwargs: Any,
    ) -> Self:
        """Draw on two axes, or a new figure; `kwargs` go to `imshow`.

        The columns with most missing cells come first; without `sort` in the order of the table.
        With `sort_rows`, rows that miss the same columns stand together: those that miss the first
        column at the top, among them those that miss the second, and so on.
        """
        counts = np.asarray(self.missing).sum(0)
        order = np.argsort(-counts, kind="stable")[:MAX_COLUMNS]
        self.order_ = order if sort else np.sort(order)
        drawn, (n_rows, n_columns) = self.missing[:, self.order_], self.missing.shape
        self.row_order_ = np.lexsort(~drawn.T[::-1]) if sort_rows else np.arange(n_rows)
        drawn = drawn[self.row_order_]
        size = (max(4.5, 1.5 + panels.width_of(len(order), 0.6)), 6.5)
        look = {"sharex": True, "height_ratios": [2, 3]}
        above, below = self.axes_ = panels.many_axes(ax, 2, (2, 1), size, **look)
        self.figure_ = below.figure
        self.image_ = draw_cells(below, drawn, **kwargs)
        self.marks_ = [_mark(below, drawn, "missing"), _mark(below, ~drawn, "observed")]
        ticks.count_in_whole_steps(below.yaxis)
        below.set(ylabel=f"{'sorted rows' if sort_rows else 'row'} ({n_rows:,} in all)")
        if len(order) < n_columns:
            below.set_xlabel(f"the {len(order)} of {n_columns:,} columns with most missing cells")
        step = ticks.write_names(below, [self.columns[place] for place in self.order_])
        self.bars_ = above.bar(range(len(order)), drawn.mean(0), 0.8, color=ORANGE)
        self.texts_ = _write_shares(above, self.bars_, counts[self.order_], n_rows, step)
        above.set(ylabel="share of rows missing\n(number of rows)")
        above.tick_params(axis="x", bottom=False, labelbottom=False)
        panels.open_frame(above)
        marks = _legend_of(self.image_, n_rows)
        marks += [mark for mark in self.marks_ if len(mark.get_offsets())]
        panels.write_legend(above, ax is None, marks, "top")
        return self


def draw_cells(axes: Any, missing: np.ndarray, **kwargs: Any) -> Any:
    """Draw the cells (n, F), or shares of blocks of rows where there are too many; the image.

    One missing cell of a block changes its colour, and so does one observed cell.
    """
    from matplotlib.colors import LinearSegmentedColormap

    n_rows, n_columns = missing.shape
    starts = np.linspace(0, n_rows, min(n_rows, MAX_BLOCKS), endpoint=False).astype(int)
    sizes = np.diff(np.append(starts, n_rows))[:, None]
    shares = np.add.reduceat(missing.astype(float), starts, axis=0) / sizes
    between, least = LinearSegmentedColormap.from_list("missing", [LIGHT, DARK]), 0.5 / n_rows
    colours = between.with_extremes(under=PALE, over=ORANGE)
    options = {"cmap": colours, "vmin": least, "vmax": 1 - least, "interpolation": "nearest"}
    options |= {"aspect": "auto", "extent": (-0.5, n_columns - 0.5, n_rows - 0.5, -0.5)}
    image = axes.imshow(shares, **(options | kwargs))
    for edge in range(1, n_columns):
        axes.axvline(edge - 0.5, color="white", linewidth=1)
    return image


def _legend_of(image: Any, n_rows: int) -> list:
    """Return the entries of the legend for the colours of the cells, or of blocks of rows."""
    labels, n_each = {0.0: "observed", 1.0: "missing"}, -(-n_rows // MAX_BLOCKS)
    for n in {1, n_each - 1} if n_each > 1 else ():
        labels[n / n_each] = f"{n:,} of {n_each:,} rows missing"
    return [panels.patch(image.to_rgba(share), labels[share]) for share in sorted(labels)]


def _mark(axes: Any, cells: np.ndarray, kind: str) -> Any:
    """Draw a point at each of the `cells` (n, F) of columns that have few; the collection."""
    few = cells & (cells.sum(0) <= MAX_MARKED) & (len(cells) > MIN_ROWS)
    rows, places = np.nonzero(few)
    look = {"s": 22, "edgecolors": BLACK, "linewidths": 0.8, "zorder": 3}
    look["color"] = ORANGE if kind == "missing" else PALE
    label = f"{kind} (its column has at most {MAX_MARKED})"
    return axes.scatter(places, rows, label=label, **look)


def _write_shares(axes: Any, bars: Any, counts: np.ndarray, n_rows: int, step: int) -> list:
    """Write share and number above every `step`-th bar, and make room for it; the texts."""
    upright = ticks.inches_each(axes, len(counts)) < 0.5
    texts, between = [""] * len(counts), " " if upright else "\n"
    for place, n in list(enumerate(counts))[::step]:
        share = ticks.share_text(n, n_rows) if n else "0"
        texts[place] = f"{share}{between}({n:,})" if n else share
    turn = {"rotation": 90} if upright else {}
    written = axes.bar_label(bars, texts, padding=2, fontsize=ticks.SMALL, **turn)
    inches = 0.1 + max(map(len, texts)) * 0.05 if upright else 0.35
    height = 0.85 * ticks.inches_each(axes, 1, "y")
    axes.set_ylim(0, max(counts.max() / n_rows, 1e-9) / (1 - min(0.7, inches / height)))
    ticks.write_percent(axes.yaxis)
    return written
