"""A series with its gaps filled: values, draws and intervals over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import pandas as pd

from maetab.data.containers import read_frame
from maetab.data.schema import Column
from maetab.plot import panels, tables, ticks
from maetab.plot.course import Course, check_single, known_course, read_course, thin
from maetab.plot.panels import AMBER, BLUE, ORANGE

MAX_PANELS = 6  # one above the other
FEW = 300  # rows up to which each observed cell is a point, too


@dataclass(eq=False, repr=False)
class FilledSeriesDisplay:
    """A series over time as observed and as filled, with draws and intervals, a panel a column.

    Lines of more than 3,000 points are drawn by the lowest and the highest of each of 1,500 parts.

    Parameters
    ----------
    observed, filled : (n, k) numbers, rows in order of time; days since 1970 in columns of dates
    course : of these rows
    columns : k Columns
    draws : more arrays like `filled`
    band : two arrays like `filled`, the ends of intervals; None for none

    Attributes
    ----------
    axes_, figure_ : a panel for each column
    observed_, filled_ : the lines of each panel
    draws_ : lists of lines of each
    bands_ : of each, None without intervals

    Examples
    --------
    >>> import pandas as pd
    >>> days = pd.date_range("2024-01-01", periods=3)
    >>> holes = pd.DataFrame({"a": [1.0, None, 3.0]}, index=days)
    >>> display = FilledSeriesDisplay.from_frames(holes, holes.fillna(2.0))
    >>> display.filled[:, 0].tolist()
    [1.0, 2.0, 3.0]
    """

    observed: np.ndarray
    filled: np.ndarray
    course: Course
    columns: Sequence[Column]
    draws: Sequence[np.ndarray] = field(default_factory=list)
    band: tuple[np.ndarray, np.ndarray] | None = None

    @classmethod
    def from_frames(
        cls,
        original: Any,
        filled: Any,
        columns: Sequence | None = None,
        *,
        draws: Sequence = (),
        interval: tuple[Any, Any] | None = None,
        time: Any = None,
        groups: Any = None,
        series: Any = None,
        between: tuple[Any, Any] | None = None,
    ) -> Self:
        """Return the display of a table with missing cells and of the same table filled.

        Parameters
        ----------
        original, filled : (n, F) tables, rows in any order
        columns : names of numbers or dates; by default those with filled cells, the 6 with most
        draws : more filled tables, such as `MAEImputer.sample` returns
        interval : two tables, such as `MAEImputer.predict_interval` returns
        time, groups, series, between : as in `GapDisplay.from_frame`; of several series, one
        """
        frame = read_frame(original)[0]
        course = read_course(frame, time, groups, series, between)
        return cls._made(frame, filled, columns, draws, interval, course)

    @classmethod
    def from_estimator(
        cls,
        imputer: Any,
        X: Any,
        columns: Sequence | None = None,
        *,
        n_draws: int = 3,
        coverage: float | None = 0.9,
        series: Any = None,
        between: tuple[Any, Any] | None = None,
    ) -> Self:
        """Return the display of X as a fitted MAEImputer fills it.

        Parameters
        ----------
        n_draws : number of draws, which may be 0
        coverage : of the intervals; None for none
        columns, series, between : as in `from_frames`
        """
        draws = imputer.sample(X, n_draws) if n_draws else []
        interval = None if coverage is None else imputer.predict_interval(X, coverage)
        frame = read_frame(X)[0]
        course = known_course(frame, imputer, series, between)
        return cls._made(frame, imputer.transform(X), columns, draws, interval, course)

    @classmethod
    def _made(
        cls,
        frame: pd.DataFrame,
        filled: Any,
        columns: Sequence | None,
        draws: Sequence,
        interval: tuple[Any, Any] | None,
        course: Course,
    ) -> Self:
        check_single(course)
        original = course.values_of(frame)
        before, after, schema = tables.read_pair(original, _rows(filled, course), "filled")
        new = np.isnan(before) & ~np.isnan(after) & schema.is_number()
        chosen = tables.choose(schema, new, columns, "a missing number that is filled", MAX_PANELS)

        def numbers(table: Any) -> np.ndarray:
            return tables.read_pair(original, _rows(table, course), "draws")[1][:, chosen]

        band = None if interval is None else (numbers(interval[0]), numbers(interval[1]))
        found = [schema.columns[place] for place in chosen]
        return cls(before[:, chosen], after[:, chosen], course, found, [*map(numbers, draws)], band)

    def plot(self, ax: Any = None, **kwargs: Any) -> Self:
        """Draw on as many axes as columns, or a new figure; `kwargs` go to `Axes.plot`."""
        n = len(self.columns)
        look = {"sharex": True}
        self.axes_ = panels.many_axes(ax, n, (n, 1), (10.0, 0.8 + 1.9 * n), **look)
        self.figure_ = self.axes_[0].figure
        drawn = [self._draw(axes, place, kwargs) for place, axes in enumerate(self.axes_)]
        self.observed_, self.filled_, self.draws_, self.bands_ = map(list, zip(*drawn))
        for axes, column in zip(self.axes_, self.columns):
            name_panel(axes, column)
            self.course.label_axis(axes.xaxis)
            if ax is None and axes is not self.axes_[-1]:
                axes.set_xlabel("")
        marks = [self.observed_[0], self.filled_[0], *self.draws_[0][:1]]
        marks += [self.bands_[0]] if self.band else []
        panels.write_legend(self.axes_[0], ax is None, marks, "top")
        return self

    def _draw(self, axes: Any, place: int, kwargs: dict) -> tuple[Any, Any, list, Any]:
        """Draw one column: line as observed, line as filled, lines of draws, band."""
        seen, filled = self.observed[:, place], self.filled[:, place]
        gap = with_neighbours(np.isnan(seen) & ~np.isnan(filled))
        band, draws = None, []
        if self.band:
            ends = [np.where(gap, np.where(np.isnan(end[:, place]), seen, end[:, place]), np.nan)
                    for end in self.band]  # fmt: skip
            band = draw_band(axes, self.course, *ends, color=AMBER, alpha=0.3, label="interval")
        for number, draw in enumerate(self.draws):
            look = {"color": AMBER, "lw": 0.8, "label": "draws" if number == 0 else "_"}
            draws.append(
                draw_line(axes, self.course, np.where(gap, draw[:, place], np.nan), look | kwargs)
            )
        look = {"color": ORANGE, "lw": 1.4, "label": "filled"} | marker(len(seen))
        line = draw_line(axes, self.course, np.where(gap, filled, np.nan), look | kwargs)
        look = {"color": BLUE, "lw": 1.2, "label": "observed"} | marker(len(seen))
        return draw_line(axes, self.course, seen, look | kwargs), line, draws, band


def _rows(table: Any, course: Course) -> pd.DataFrame:
    """Return the rows of a course and the columns of a table that are no keys."""
    return course.values_of(read_frame(table)[0])


def with_neighbours(chosen: np.ndarray) -> np.ndarray:
    """Return (n,) bool: True at chosen rows, and at those beside them, so that lines meet."""
    wide = chosen.copy()
    wide[1:] |= chosen[:-1]
    wide[:-1] |= chosen[1:]
    return wide


def marker(n_rows: int) -> dict[str, Any]:
    """Return how points are drawn: where there are few, so that single ones are seen."""
    return {"marker": "o", "ms": 2.5} if n_rows <= FEW else {"marker": ".", "ms": 1.5}


def draw_line(axes: Any, course: Course, values: np.ndarray, look: dict[str, Any]) -> Any:
    """Draw a line (n,), thinned, and broken where stamps lack; return it."""
    x, values = course.broken(values)
    chosen = thin(values)
    return axes.plot(x[chosen], values[chosen], **look)[0]


def draw_band(axes: Any, course: Course, low: np.ndarray, high: np.ndarray, **look: Any) -> Any:
    """Draw the area between two lines (n,), thinned and broken as they are; return it."""
    x, low, high = course.broken(low, high)
    chosen = np.union1d(thin(low), thin(high))
    return axes.fill_between(x[chosen], low[chosen], high[chosen], **({"linewidth": 0} | look))


def name_panel(axes: Any, column: Column) -> None:
    """Write the name of a column, and times along it if it holds them."""
    unit = ticks.write_times(axes.yaxis, column.temporal)
    name = ticks.short(column.name, 20)
    axes.set_ylabel(f"{name}\n{unit}" if unit else name, fontsize="small")
    axes.tick_params(labelsize="small")
    panels.open_frame(axes)
