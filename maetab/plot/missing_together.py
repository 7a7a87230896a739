"""Which columns of a table are missing in the same rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from maetab.data.containers import read_frame
from maetab.plot import panels, ticks
from maetab.plot.missingness import MAX_COLUMNS
from maetab.plot.panels import BLACK, BLUE, GREY

BLOCK = 65_536  # rows that are counted at once, as numbers of eight bytes
MOST_WRITTEN = 20  # columns: numbers in the cells of more than these cannot be read


@dataclass(eq=False, repr=False)
class _MissingTogether:
    """How many rows miss both of two columns.

    Parameters
    ----------
    together : (F, F) rows that miss both columns, on the diagonal those that miss the one
    n_rows : of the table
    columns : F names
    """

    together: np.ndarray
    n_rows: int
    columns: list[Any]

    @classmethod
    def from_frame(cls, X: Any) -> Self:
        """Return the display of a table (n, F) of any container; n and F are at least 1."""
        frame = read_frame(X)[0]
        if frame.empty:
            raise ValueError(f"X must have at least one row and one column, got {frame.shape}.")
        missing = frame.isna().to_numpy()
        together = np.zeros((frame.shape[1],) * 2)
        for start in range(0, len(missing), BLOCK):
            block = missing[start : start + BLOCK].astype(float)
            together += block.T @ block
        return cls(together.astype(np.int64), len(frame), list(frame.columns))

    def _most_missing(self) -> np.ndarray:
        """Return places of the columns that are drawn, in the order of the table."""
        order = np.argsort(-np.diagonal(self.together), kind="stable")
        return np.sort(order[:MAX_COLUMNS])

    def _distances(self) -> np.ndarray:
        """Return (F, F) shares of the rows that miss exactly one of two columns."""
        counts = np.diagonal(self.together)
        return (counts[:, None] + counts - 2 * self.together) / self.n_rows

    def _tree(self, places: np.ndarray) -> dict[str, Any]:
        """Return scipy's dendrogram of some columns, not drawn: average linkage of distances."""
        if len(places) == 1:
            return {"leaves": [0], "icoord": [], "dcoord": []}
        from scipy.cluster.hierarchy import dendrogram, linkage
        from scipy.spatial.distance import squareform

        condensed = squareform(self._distances()[np.ix_(places, places)])
        return dendrogram(linkage(condensed, "average"), no_plot=True)

    def _label_of(self, n_drawn: int) -> str:
        n = len(self.columns)
        return f"the {n_drawn} of {n:,} columns with most missing cells" if n_drawn < n else ""


@dataclass(eq=False, repr=False)
class MissingCorrelationDisplay(_MissingTogether):
    """How strongly columns are missing, or observed, in the same rows.

    Drawn is the correlation between being missing in the one and in the other column (the phi
    coefficient, often called nullity correlation): 1 where both miss the same rows, -1 where always
    one of the two is missing, 0 where the one says nothing about the other. Columns that miss
    nothing, or everything, have none, and are grey. Of more than 150 columns, those with most
    missing cells are drawn.

    Parameters
    ----------
    together : (F, F) rows that miss both columns, on the diagonal those that miss the one
    n_rows : of the table
    columns : F names

    Attributes
    ----------
    order_ : places of the columns in the table, from left to right and from top to bottom
    ax_, figure_, image_, colorbar_, texts_ : what was drawn

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"a": [1, None, 3, None], "b": [1, None, 3, 4], "c": [1, 2, 3, 4]})
    >>> display = MissingCorrelationDisplay.from_frame(frame)
    >>> display.correlation().loc["a"].round(2).tolist()
    [1.0, 0.58, nan]
    """

    def correlation(self) -> pd.DataFrame:
        """Return the correlations as a frame, columns by columns; NaN where there is none."""
        counts, n = np.diagonal(self.together).astype(float), self.n_rows
        spread = np.sqrt(counts * (n - counts))
        spread[spread == 0] = np.nan
        found = (n * self.together - np.outer(counts, counts)) / np.outer(spread, spread)
        return pd.DataFrame(np.clip(found, -1, 1), self.columns, self.columns)

    def plot(self, ax: Any = None, *, sort: bool = True, **kwargs: Any) -> Self:
        """Draw on `ax` or a new figure; `kwargs` go to `imshow`.

        Columns that are missing together stand beside each other, in the order of the leaves of
        MissingTreeDisplay; without `sort` in the order of the table.
        """
        places = self._most_missing()
        self.order_ = places[self._tree(places)["leaves"]] if sort else places
        n = len(places)
        side = max(4.0, 1.5 + panels.width_of(n, 0.5))
        self.ax_, self.figure_ = panels.one_axes(ax, (side + 1, side))
        found = self.correlation().to_numpy()[np.ix_(self.order_, self.order_)]
        options = {"cmap": "RdBu", "vmin": -1, "vmax": 1, "interpolation": "nearest"} | kwargs
        self.image_ = self.ax_.imshow(found, **options)
        self.ax_.set_facecolor(GREY)
        label = "correlation of being missing"
        self.colorbar_ = self.figure_.colorbar(self.image_, ax=self.ax_, label=label)
        names = [self.columns[place] for place in self.order_]
        ticks.write_names(self.ax_, names)
        ticks.write_names(self.ax_, names, "y")
        self.texts_ = self._write(found) if n <= MOST_WRITTEN else []
        self.ax_.set(xlabel=self._label_of(n), ylabel="column")
        if np.isnan(found).any():
            words = "misses nothing or everything"
            panels.write_legend(self.ax_, ax is None, [panels.patch(GREY, words)], "top")
        return self

    def _write(self, found: np.ndarray) -> list:
        """Write the correlations into their cells; the texts."""
        look = {"ha": "center", "va": "center", "fontsize": ticks.SMALL}
        return [
            self.ax_.text(
                column, row, f"{value:.2f}", color="white" if abs(value) > 0.6 else BLACK, **look
            )
            for (row, column), value in np.ndenumerate(found)
            if not np.isnan(value)
        ]


@dataclass(eq=False, repr=False)
class MissingTreeDisplay(_MissingTogether):
    """Columns joined by how alike the rows are that miss them: a dendrogram.

    Two columns, or groups of columns, are joined at the share of the rows that miss exactly one of
    the two, of groups on average over their pairs: at 0 where the one is missing just when the
    other is. Columns that miss nothing are joined at 0, and so are those that miss everything. Of
    more than 150 columns, those with most missing cells are drawn.

    Parameters
    ----------
    together : (F, F) rows that miss both columns, on the diagonal those that miss the one
    n_rows : of the table
    columns : F names

    Attributes
    ----------
    order_ : places of the columns in the table, from top to bottom
    ax_, figure_ : what was drawn on
    lines_ : F - 1 lines, one for each join, with the lowest first

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"a": [1, None, 3, None], "b": [1, None, 3, 4], "c": [1, 2, 3, 4]})
    >>> display = MissingTreeDisplay.from_frame(frame)
    >>> display.distances().loc["a"].tolist()
    [0.0, 0.25, 0.5]
    """

    def distances(self) -> pd.DataFrame:
        """Return the shares of the rows that miss exactly one of two columns, as a frame."""
        return pd.DataFrame(self._distances(), self.columns, self.columns)

    def plot(self, ax: Any = None, **kwargs: Any) -> Self:
        """Draw on `ax` or a new figure; `kwargs` go to `plot`."""
        places = self._most_missing()
        tree, n = self._tree(places), len(places)
        self.order_ = places[tree["leaves"]]
        size = (6.0, max(2.5, 1.0 + panels.width_of(n, 0.3)))
        self.ax_, self.figure_ = panels.one_axes(ax, size)
        joins = sorted(zip(tree["dcoord"], tree["icoord"]), key=lambda join: max(join[0]))
        options = {"color": BLUE, "linewidth": 1.5, "clip_on": False} | kwargs
        # scipy puts the leaves at 5, 15, 25, ...
        self.lines_ = [
            self.ax_.plot(heights, (np.array(at) - 5) / 10, **options)[0] for heights, at in joins
        ]
        highest = max([max(heights) for heights, _ in joins], default=0.0)
        self.ax_.set(xlim=(0, 1.05 * highest or 1.0), ylim=(n - 0.5, -0.5))
        ticks.write_names(self.ax_, [self.columns[place] for place in self.order_], "y")
        ticks.write_percent(self.ax_.xaxis)
        self.ax_.set(xlabel="rows that miss only one of the two", ylabel="column")
        panels.open_frame(self.ax_)
        if label := self._label_of(n):
            self.ax_.set_title(label, fontsize="medium")
        return self
