"""Gaps of each column over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np

from maetab.data.containers import read_frame
from maetab.plot import panels, ticks
from maetab.plot.course import Course, read_course
from maetab.plot.missingness import DARK, LIGHT
from maetab.plot.panels import GREY, ORANGE, PALE

MAX_COLUMNS = 60  # strips of a figure of 16 inches
MAX_PARTS = 800  # of the axis: each more than a dot wide


class Gaps(NamedTuple):
    """Stretches of missing cells of one column.

    starts, ends : (k,) stamps of the first missing cell and of the first cell after the gap
    """

    starts: np.ndarray
    ends: np.ndarray

    def longest(self) -> float:
        """Return the length of the longest, 0 where there is none."""
        return float((self.ends - self.starts).max(initial=0))


@dataclass(eq=False, repr=False)
class GapDisplay:
    """When the cells of each column are missing: a strip for each, gaps as bars on a time axis.

    To the right of each strip stand the number of its gaps, the longest, and the share of its cells
    that is missing. Stamps without a row count as missing in every column. A long axis is drawn in
    800 parts: one missing cell of a part changes its colour. The strips of several series show
    how many of the rows of each time miss the cell. Of more than 60 columns, those with most
    missing cells are drawn.

    Parameters
    ----------
    missing : (n, F) bool, rows in order of time, True where a cell is missing
    course : of these rows
    columns : F names

    Attributes
    ----------
    ax_, figure_ : what was drawn on
    image_ : of the strips; share missing of each part of the axis, masked where there is no row
    texts_ : at the right of the strips
    gaps_ : Gaps of each strip, from top to bottom

    Examples
    --------
    >>> import pandas as pd
    >>> hours = pd.date_range("2024-01-01", periods=4, freq="h")
    >>> display = GapDisplay.from_frame(pd.DataFrame({"a": [1.0, None, None, 2.0]}, index=hours))
    >>> display.missing[:, 0].tolist()
    [False, True, True, False]
    """

    missing: np.ndarray
    course: Course
    columns: Sequence

    @classmethod
    def from_frame(
        cls,
        X: Any,
        time: Any = None,
        groups: Any = None,
        series: Any = None,
        between: tuple[Any, Any] | None = None,
    ) -> Self:
        """Return the display of a table (n, F) of any container; n is at least 1.

        Parameters
        ----------
        X : (n, F) table, rows in any order
        time : column or index level of the stamps; None for an index of dates or durations, else
            the order of the rows
        groups : column, index level or list of them that tell series apart
        series : value of `groups` of the one to draw; None for all of them together
        between : first and last stamp to draw
        """
        frame = read_frame(X)[0]
        course = read_course(frame, time, groups, series, between)
        cells = course.values_of(frame)
        if not cells.shape[1]:
            raise ValueError("X must have a column that is neither time nor groups, got none.")
        return cls(cells.isna().to_numpy(), course, list(cells.columns))

    def plot(self, ax: Any = None, **kwargs: Any) -> Self:
        """Draw on `ax` or a new figure; `kwargs` go to `imshow`."""
        from matplotlib.colors import LinearSegmentedColormap

        counts = self.missing.sum(0)
        chosen = np.sort(np.argsort(-counts, kind="stable")[:MAX_COLUMNS])
        missing, n_columns = self.missing[:, chosen], len(chosen)
        size = (10.0, max(2.0, 1.2 + 0.25 * n_columns))
        self.ax_, self.figure_ = panels.one_axes(ax, size)
        shares, n_most = shares_over_time(missing, self.course)
        first, last = self.course.ends()
        least = 0.5 / max(2, n_most)
        between = LinearSegmentedColormap.from_list("missing", [LIGHT, DARK])
        colours = between.with_extremes(under=PALE, over=ORANGE, bad=GREY)
        options = {"cmap": colours, "vmin": least, "vmax": 1 - least, "interpolation": "nearest"}
        options |= {"aspect": "auto", "extent": (first, last, n_columns - 0.5, -0.5)}
        self.image_ = self.ax_.imshow(shares, **(options | kwargs))
        for edge in range(1, n_columns):
            self.ax_.axhline(edge - 0.5, color="white", linewidth=2)
        ticks.write_names(self.ax_, [self.columns[place] for place in chosen], axis="y")
        self.course.label_axis(self.ax_.xaxis)
        self.gaps_ = [gaps_of(cells, self.course) for cells in missing.T]
        unit = "d" if self.course.temporal else "steps"
        self.texts_ = [
            self.ax_.text(1.005, place, text, fontsize=ticks.SMALL, va="center", clip_on=False,
                          transform=self.ax_.get_yaxis_transform())
            for place, text in enumerate(
                _facts(gaps, cells, unit) for gaps, cells in zip(self.gaps_, missing.T)
            )
        ]  # fmt: skip
        self._write_legend(shares, ax is None)
        panels.open_frame(self.ax_)
        return self

    def _write_legend(self, shares: np.ma.MaskedArray, is_ours: bool) -> None:
        marks = [panels.patch(PALE, "observed"), panels.patch(ORANGE, "missing")]
        if ((shares > 0) & (shares < 1)).any():
            marks.insert(1, panels.patch(DARK, "some missing"))
        if np.ma.getmaskarray(shares).any():
            marks.append(panels.patch(GREY, "no row"))
        panels.write_legend(self.ax_, is_ours, marks, "top")


def _facts(gaps: Gaps, cells: np.ndarray, unit: str) -> str:
    """Return number of gaps, the longest and the share missing of a column."""
    n = len(gaps.starts)
    if not n:
        return "complete"
    longest = _length(gaps.longest(), unit)
    share = f", {ticks.share_text(int(cells.sum()), len(cells))}" if cells.any() else ""
    return f"{n:,} gap{'s' * (n > 1)}, up to {longest}{share}"


def _length(length: float, unit: str) -> str:
    if unit != "d":
        return f"{length:g}"
    for name, parts in (("d", 1), ("h", 24), ("min", 1440)):
        if length * parts >= (3 if name == "d" else 1):
            return f"{length * parts:.3g} {name}"
    return f"{length * 86400:.3g} s"


def gaps_of(missing: np.ndarray, course: Course) -> Gaps:
    """Return the gaps of a column (n,) within its series; stamps without a row are in them.

    A gap ends at the next observed cell of its series, or one step after its last row.
    """
    # With a row that counts as observed before and after each series, a gap is what lies between
    # two observed rows.
    step, is_first = course.step(), np.r_[True, np.diff(course.series) != 0]
    firsts, lasts = np.flatnonzero(is_first), np.flatnonzero(np.r_[is_first[1:], True])
    # Of two at one place, the end of a series comes before the begin of the next.
    where = np.concatenate([lasts + 1, firsts])
    stamps, clock = (
        np.insert(x, where, np.concatenate([x[lasts] + step, x[firsts] - step]))
        for x in (course.stamps, course.clock())
    )
    series = np.insert(course.series, where, course.series[np.r_[lasts, firsts]])
    seen = np.flatnonzero(~np.insert(missing, where, False))
    before, after = seen[:-1], seen[1:]
    lacks = course.on_grid() & (clock[after] - clock[before] > 1.5 * step)
    is_gap = (series[before] == series[after]) & ((after - before > 1) | lacks)
    before, after = before[is_gap], after[is_gap]
    starts = stamps[before] + step if course.on_grid() else stamps[before + 1]
    return Gaps(starts, stamps[after])


def shares_over_time(missing: np.ndarray, course: Course) -> tuple[np.ma.MaskedArray, int]:
    """Return the shares missing (F, parts) of the parts of the time axis, and the most rows of one.

    On a grid each stamp of one series has a row or counts as missing; parts without any row are
    masked.
    """
    part, n_rows = course.parts(MAX_PARTS)
    n_parts, total = len(n_rows), n_rows
    lost = np.stack([np.bincount(part, cells, n_parts) for cells in missing.T.astype(float)])
    if len(np.unique(course.series)) == 1 and course.on_grid():
        total = np.maximum(n_rows, course.expected(n_parts))
    shares = (lost + (total - n_rows)) / np.maximum(total, 1)
    bare = np.broadcast_to(n_rows == 0, shares.shape)
    return np.ma.masked_array(shares, bare)[:, course.shown(n_parts)], int(total.max())
