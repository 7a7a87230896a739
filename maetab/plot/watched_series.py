"""A series as a detector of anomalies sees it: surprises, expectation, and flagged stretches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from maetab.data.back import Back
from maetab.data.containers import read_frame
from maetab.data.schema import Column
from maetab.plot import panels, tables, ticks
from maetab.plot.course import Course, check_single, known_course
from maetab.plot.filled_series import draw_band, draw_line, marker, name_panel
from maetab.plot.panels import AMBER, BLACK, BLUE, GREY, ORANGE
from maetab.plot.scores import UNIT, one_in

MAX_PANELS = 4  # columns one above the other
MAX_COLUMNS = 60  # of a heat map: a figure of 16 inches
MAX_PARTS = 800  # of the time axis: each more than a dot wide
# Expected values are predicted with one in four stretches of the series hidden at a time, each an
# eighth of a window: most of what a window holds can be seen, and no cell by itself.
TURNS, STRETCHES = 4, 8


@dataclass(eq=False, repr=False)
class SeriesSurpriseDisplay:
    """How strange the cells of a series are over time: a heat map, a strip for each column.

    Each part of a long axis shows the largest surprise in it. Of more than 60 columns, those with
    the largest surprises are drawn.

    Parameters
    ----------
    surprises : frame (n, F), rows in order of time; missing where the cell is
    course : of these rows

    Attributes
    ----------
    ax_, figure_, image_, colorbar_ : what was drawn
    """

    surprises: pd.DataFrame
    course: Course

    @classmethod
    def from_estimator(
        cls,
        detector: Any,
        X: Any,
        series: Any = None,
        between: tuple[Any, Any] | None = None,
    ) -> Self:
        """Return the display of X as scored by a fitted MAEAnomalyDetector.

        Columns that the model does not see are left out.

        Parameters
        ----------
        X : (n, F) table
        series : value of `groups` of the series to draw; None for all of them together
        between : first and last stamp to draw; scores are those within the whole of X
        """
        frame = read_frame(X)[0]
        course = known_course(frame, detector, series, between)
        seen = ~detector.schema_.is_free_text()
        return cls(course.values_of(detector.score_cells(X).loc[:, seen]), course)

    def plot(self, ax: Any = None, **kwargs: Any) -> Self:
        """Draw on `ax` or a new figure; `kwargs` go to `imshow`."""
        found = self.surprises.to_numpy(float)
        peaks = np.where(np.isnan(found), -1, found).max(0)
        chosen = np.sort(np.argsort(-peaks, kind="stable")[:MAX_COLUMNS])
        names = [self.surprises.columns[place] for place in chosen]
        size = (10.0, max(2.4, 1.4 + 0.25 * len(names)))
        self.ax_, self.figure_ = panels.one_axes(ax, size)
        pyplot = panels.pyplot()
        colours = pyplot.get_cmap("Oranges").with_extremes(bad=GREY)
        options = {"aspect": "auto", "cmap": colours, "vmin": 0, "vmax": 4}
        first, last = self.course.ends()
        options |= {"extent": (first, last, len(names) - 0.5, -0.5), "interpolation": "nearest"}
        cells = largest(found[:, chosen], self.course)
        self.image_ = self.ax_.imshow(cells, **(options | kwargs))
        look = {"extend": "max", "ticks": pyplot.MultipleLocator(1), "format": one_in}
        self.colorbar_ = self.figure_.colorbar(self.image_, ax=self.ax_, **look)
        self.colorbar_.set_label(UNIT, fontsize="small")
        ticks.write_names(self.ax_, names, axis="y")
        self.course.label_axis(self.ax_.xaxis)
        if np.isnan(cells).any():
            panels.write_legend(self.ax_, ax is None, [panels.patch(GREY, "missing")], "top")
        return self


def largest(found: np.ndarray, course: Course) -> np.ndarray:
    """Return (F, parts) the largest of the numbers (n, F) in each part of the axis, or NaN."""
    part, n_rows = course.parts(MAX_PARTS)
    cells = np.full((len(n_rows), found.shape[1]), -np.inf)
    np.maximum.at(cells, part, np.where(np.isnan(found), -np.inf, found))
    return np.where(np.isinf(cells), np.nan, cells).T[:, course.shown(len(n_rows))]


@dataclass(eq=False, repr=False)
class SeriesAnomalyDisplay:
    """A series, what was expected of it, and the stretches that are anomalies; then its scores.

    Expected is what the rest of the series suggests where the cell, its neighbours in time and all
    anomalies are hidden; the band holds the given share of such cells.

    Parameters
    ----------
    values, expected, low, high : (n, k) numbers, rows in order of time
    scores : (n,) higher where a row is more normal
    threshold : rows with a lower score are anomalies
    course : of these rows
    columns : k Columns

    Attributes
    ----------
    axes_, figure_ : a panel for each column, and one for the scores
    lines_, expected_, bands_ : of each column
    stretches_ : (m, 2) first stamp of each stretch of anomalies, and the end of its last step
    """

    values: np.ndarray
    expected: np.ndarray
    low: np.ndarray
    high: np.ndarray
    scores: np.ndarray
    threshold: float
    course: Course
    columns: Sequence[Column]

    @classmethod
    def from_estimators(
        cls,
        detector: Any,
        imputer: Any,
        X: Any,
        columns: Sequence | None = None,
        *,
        coverage: float = 0.9,
        series: Any = None,
        between: tuple[Any, Any] | None = None,
    ) -> Self:
        """Return the display of X as watched by a fitted MAEAnomalyDetector.

        Parameters
        ----------
        imputer : tells what is expected; MAEImputer.from_fitted(detector) has the same model
        X : (n, F) table
        columns : names of numbers or dates; by default the first 4
        coverage : of the band
        series : value of `groups` of the series to draw, where there are several
        between : first and last stamp to draw; scores are those within the whole of X
        """
        frame, back = read_frame(X)
        whole = known_course(frame, detector, series, None)
        check_single(whole)
        scores = np.asarray(detector.score_samples(X))
        alarm = scores < detector.offset_
        original = whole.values_of(frame)
        values, _, schema = tables.read_pair(original, original, "X")
        can = ~np.isnan(values) & schema.is_number()
        chosen = tables.choose(schema, can, columns, "an observed number", MAX_PANELS, first=True)
        names = [schema.columns[place].name for place in chosen]
        found = _expected(imputer, frame, back, whole, names, alarm, coverage)
        shown = known_course(frame, detector, series, between)
        place = np.flatnonzero(np.isin(whole.rows, shown.rows))
        seen, point, low, high = (
            cells[np.ix_(place, np.array(chosen))] for cells in (values, *found)
        )
        facts = scores[shown.rows], float(detector.offset_), shown
        return cls(seen, point, low, high, *facts, [schema.columns[j] for j in chosen])

    def plot(self, ax: Any = None, **kwargs: Any) -> Self:
        """Draw on one axes more than columns, or a new figure; `kwargs` go to `Axes.plot`."""
        n = len(self.columns) + 1
        self.axes_ = panels.many_axes(ax, n, (n, 1), (10.0, 0.8 + 1.9 * n), sharex=True)
        self.figure_ = self.axes_[0].figure
        self.stretches_ = stretches_of(self.scores < self.threshold, self.course)
        self.lines_: list = []
        self.expected_: list = []
        self.bands_: list = []
        for place, (axes, column) in enumerate(zip(self.axes_, self.columns)):
            self._draw(axes, place, kwargs)
            name_panel(axes, column)
        last, look = self.axes_[-1], {"color": BLACK, "lw": 0.8}
        draw_line(last, self.course, self.scores, look)
        limit = last.axhline(self.threshold, color=BLACK, ls="--", lw=0.8, label="threshold")
        last.set_ylabel("score,\nhigher is normal", fontsize="small")
        last.tick_params(labelsize="small")
        panels.open_frame(last)
        marked = [self._mark(axes) for axes in self.axes_]
        self.course.label_axis(last.xaxis)
        marks = [self.lines_[0], self.expected_[0], self.bands_[0], limit, *marked[0][:1]]
        panels.write_legend(self.axes_[0], ax is None, marks, "top")
        return self

    def _draw(self, axes: Any, place: int, kwargs: dict) -> None:
        ends = (self.low[:, place], self.high[:, place])
        self.bands_.append(
            draw_band(axes, self.course, *ends, color=AMBER, alpha=0.35, label="interval")
        )
        look: dict[str, Any] = {"color": ORANGE, "lw": 0.9, "label": "expected"}
        self.expected_.append(draw_line(axes, self.course, self.expected[:, place], look))
        look = {"color": BLUE, "lw": 1.0, "label": "observed"} | marker(len(self.scores)) | kwargs
        self.lines_.append(draw_line(axes, self.course, self.values[:, place], look))

    def _mark(self, axes: Any) -> list:
        """Shade the stretches of anomalies; return what was drawn."""
        first, last = self.course.ends()
        least = (last - first) / 400  # a stretch of one step is still seen
        drawn = []
        for begin, end in self.stretches_:
            half = max(0.0, least - (end - begin)) / 2
            look = {"color": ORANGE, "alpha": 0.25, "lw": 0, "zorder": 0, "label": "anomaly"}
            drawn.append(axes.axvspan(begin - half, end + half, **look))
        return drawn


def stretches_of(flagged: np.ndarray, course: Course) -> np.ndarray:
    """Return (m, 2) first stamp of each run of flagged rows, and the end of its last step."""
    changes = np.diff(np.r_[0, flagged.astype(int), 0])
    firsts, lasts = np.flatnonzero(changes == 1), np.flatnonzero(changes == -1) - 1
    return np.stack([course.stamps[firsts], course.stamps[lasts] + course.step()], 1)


def _expected(
    imputer: Any,
    frame: pd.DataFrame,
    back: Back,
    course: Course,
    names: list,
    alarm: np.ndarray,
    coverage: float,
) -> list[np.ndarray]:
    """Return points, lower and upper ends (n, F) of the rows of a course, each cell hidden.

    Parameters
    ----------
    back : gives a frame as the container that the imputer knows
    names : columns of numbers that are hidden
    alarm : (rows of the frame,) bool, True for those that are hidden all the time
    """
    timeline = getattr(imputer, "timeline_", None)
    length = 1 if timeline is None else max(1, timeline.n_steps // STRETCHES)
    alarm, turn = alarm[course.rows], np.arange(len(course.rows)) // length % TURNS
    original, found = course.values_of(frame), None
    for number in range(TURNS):
        holes = frame.copy()
        hidden = alarm | (turn == number)
        for name in names:
            column = frame[name].copy()
            column.iloc[course.rows[hidden]] = None
            holes[name] = column
        given = back.give(holes)
        results = [imputer.transform(given), *imputer.predict_interval(given, coverage)]
        cells = [
            tables.read_pair(original, course.values_of(read_frame(one)[0]), "X")[1]
            for one in results
        ]
        found = cells if found is None else found
        for kept, new in zip(found, cells):
            kept[turn == number] = new[turn == number]
    return found or []
