"""Scores of rows and surprises of cells, as a detector of anomalies gives them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from maetab.parameters import check_count
from maetab.plot import panels, ticks
from maetab.plot.panels import BLACK, GREY, ORANGE, SKY

UNIT = "surprise: -log10 of the share\nof normal rows with as\nsurprising a cell in that column"
SCORE_BINS = 40  # of about a tenth of an inch, with room for a number on each


@dataclass(eq=False, repr=False)
class SurpriseDisplay:
    """How strange the cells of the strangest rows are: a heat map.

    Parameters
    ----------
    surprises : frame, the strangest row first; -log10 of the share of normal cells that surprise
        as much, missing where the cell is

    Attributes
    ----------
    ax_, figure_, image_, colorbar_ : what was drawn
    """

    surprises: pd.DataFrame

    @classmethod
    def from_estimator(cls, detector: Any, X: Any, top: int = 20) -> Self:
        """Return the display of the `top` strangest rows of X to a fitted MAEAnomalyDetector."""
        from sklearn.utils import _safe_indexing

        check_count("top", top)
        strangest = np.argsort(detector.score_samples(X), kind="stable")[:top]
        if getattr(detector, "window", None) is not None:  # cells are judged by rows around them
            return cls(detector.score_cells(X).iloc[strangest])
        rows = X if hasattr(X, "__getitem__") else np.asarray(X)
        return cls(detector.score_cells(_safe_indexing(rows, strangest)))

    def plot(self, ax: Any = None, **kwargs: Any) -> Self:
        """Draw on `ax` or a new figure; `kwargs` go to `imshow`."""
        n_rows, n_columns = self.surprises.shape
        width = max(1.5, panels.width_of(n_columns, 0.4))  # beside long names of rows, too
        size = (3.0 + width, min(max(4.0, 1.8 + 0.24 * n_rows), 16.0))
        self.ax_, self.figure_ = panels.one_axes(ax, size)
        pyplot = panels.pyplot()
        colours = pyplot.get_cmap("Oranges").with_extremes(bad=GREY)
        options = {"aspect": "auto", "cmap": colours, "vmin": 0, "vmax": 4} | kwargs
        self.image_ = self.ax_.imshow(self.surprises.to_numpy(float), **options)
        look = {"extend": "max", "ticks": pyplot.MultipleLocator(1), "format": one_in}
        self.colorbar_ = self.figure_.colorbar(self.image_, ax=self.ax_, **look)
        self.colorbar_.set_label(UNIT, fontsize="small")
        ticks.write_names(self.ax_, list(self.surprises.columns))
        ticks.write_names(self.ax_, list(self.surprises.index), axis="y")
        self.ax_.set(ylabel="row, strangest first")
        if self.surprises.isna().any(axis=None):
            panels.write_legend(self.ax_, ax is None, [panels.patch(GREY, "missing")], "top")
        return self


def one_in(surprise: float, _: Any) -> str:
    """Return a surprise, and one in how many rows has one as large."""
    return f"{surprise:g} (1 in {10**surprise:,.0f})"


@dataclass(eq=False, repr=False)
class ScoreDisplay:
    """How normal rows are, and the threshold below which they count as anomalies.

    Parameters
    ----------
    scores : (n,) higher where a row is more normal
    threshold : rows with a lower score are anomalies

    Attributes
    ----------
    ax_, figure_, bars_, line_ : what was drawn; bars of normal rows, then of anomalies

    Examples
    --------
    >>> display = ScoreDisplay([-3.0, 0.0, 1.0], threshold=-1.0)
    >>> int((display.scores < display.threshold).sum())
    1
    """

    scores: np.ndarray
    threshold: float

    def __post_init__(self) -> None:
        self.scores = np.asarray(self.scores, dtype=float)
        if not np.isfinite(self.scores).all():
            raise ValueError("scores must be finite; drop or replace NaN and infinities.")

    @classmethod
    def from_predictions(cls, scores: Any, threshold: float) -> Self:
        """Return the display of scores (n,) that were computed before."""
        return cls(scores, threshold)

    @classmethod
    def from_estimator(cls, detector: Any, X: Any) -> Self:
        """Return the display of the rows of X as scored by a fitted detector of anomalies."""
        return cls(detector.score_samples(X), float(detector.offset_))

    def plot(self, ax: Any = None, **kwargs: Any) -> Self:
        """Draw on `ax` or a new figure; `kwargs` go to `hist`."""
        self.ax_, self.figure_ = panels.one_axes(ax, (6.5, 3.8))
        is_anomaly = self.scores < self.threshold
        parts = [self.scores[~is_anomaly], self.scores[is_anomaly]]
        labels = [f"{len(part):,} {word}" for part, word in zip(parts, ("normal", "anomalies"))]
        bins = bins_around(self.threshold, self.scores)
        options = {"bins": bins, "color": [SKY, ORANGE], "label": labels, "stacked": True} | kwargs
        _, _, self.bars_ = self.ax_.hist(parts, **options)
        label = f"threshold {self.threshold:.3g}"
        self.line_ = self.ax_.axvline(self.threshold, color=BLACK, ls="--", label=label)
        bars = [group for group in self.bars_ if hasattr(group, "patches")]  # no mere outlines
        for group in bars:
            texts = [f"{bar.get_height():,.0f}" if bar.get_height() else "" for bar in group]
            self.ax_.bar_label(group, texts, padding=2, fontsize=6, rotation=90)
        if bars:  # room for the counts
            self.ax_.set_ylim(top=1.15 * self.ax_.get_ylim()[1])
        self.ax_.set(xlabel="score of a row, higher is more normal", ylabel="number of rows")
        marks, _ = self.ax_.get_legend_handles_labels()
        panels.write_legend(self.ax_, ax is None, marks, "top")
        panels.open_frame(self.ax_)
        return self


def bins_around(threshold: float, values: np.ndarray) -> np.ndarray:
    """Return edges of bins that hold all values, one edge at the threshold."""
    low, high = min(values.min(), threshold), max(values.max(), threshold)
    width = (high - low or 1.0) / SCORE_BINS
    first = np.floor((low - threshold) / width - 1e-6)
    last = np.ceil((high - threshold) / width + 1e-6)
    return threshold + width * np.arange(first, last + 1)
