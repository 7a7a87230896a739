"""How strange rows and cells are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from maetab.parameters import check_count
from maetab.plot import panels
from maetab.plot.panels import BLACK, GREY, ORANGE, SKY


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
        rows = X if hasattr(X, "__getitem__") else np.asarray(X)
        return cls(detector.score_cells(_safe_indexing(rows, strangest)))

    def plot(self, ax: Any = None, **kwargs: Any) -> Self:
        """Draw on `ax` or a new figure; `kwargs` go to `imshow`."""
        n_rows, n_columns = self.surprises.shape
        size = (min(3.0 + 0.4 * n_columns, 16.0), min(1.8 + 0.24 * n_rows, 16.0))
        self.ax_ = panels.one_axes(ax, size)
        self.figure_ = self.ax_.figure
        colours = panels.pyplot().get_cmap("Oranges").with_extremes(bad=GREY)
        options = {"aspect": "auto", "cmap": colours, "vmin": 0, "vmax": 4} | kwargs
        self.image_ = self.ax_.imshow(self.surprises.to_numpy(float), **options)
        self.colorbar_ = self.figure_.colorbar(self.image_, ax=self.ax_, extend="max")
        self.colorbar_.set_label("s: one in 10$^s$ normal cells\nsurprises as much")
        panels.write_names(self.ax_, list(self.surprises.columns))
        panels.write_names(self.ax_, list(self.surprises.index), axis="y")
        self.ax_.set(title="Surprise of cells (grey: missing)", ylabel="row, strangest first")
        return self


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
        self.ax_ = panels.one_axes(ax, (5.5, 3.5))
        self.figure_ = self.ax_.figure
        strange = self.scores < self.threshold
        parts = [self.scores[~strange], self.scores[strange]]
        labels = [f"{len(part)} {word}" for part, word in zip(parts, ("normal", "anomalies"))]
        bins = panels.bins_around(self.threshold, self.scores)
        options = {"bins": bins, "color": [SKY, ORANGE], "label": labels, "stacked": True} | kwargs
        _, _, self.bars_ = self.ax_.hist(parts, **options)
        self.line_ = self.ax_.axvline(self.threshold, color=BLACK, ls="--", label="threshold")
        self.ax_.set(xlabel="score, higher is more normal", ylabel="rows")
        self.ax_.legend(frameon=False, fontsize="small")
        panels.open_frame(self.ax_)
        return self
