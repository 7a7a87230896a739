"""Pictures of tables, fits and results, as display objects in scikit-learn's form.

A display holds the numbers of one picture. It is made from frames, arrays or a fitted estimator,
and drawn by `plot`, which imports matplotlib: pip install 'maetab[plot]'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from maetab import panels
from maetab.data.containers import read_frame
from maetab.data.schema import Column
from maetab.panels import BLACK, BLUE, COLOURS, GREY, ORANGE, SKY
from maetab.parameters import check_count


@dataclass(eq=False, repr=False)
class MissingnessDisplay:
    """Which cells are missing, and what share of each column.

    Parameters
    ----------
    missing : (n, F) bool, True where a cell is missing
    columns : F names

    Attributes
    ----------
    axes_, figure_ : the two axes, shares above and cells below, and their figure
    bars_, image_ : what they hold

    Examples
    --------
    >>> display = MissingnessDisplay.from_frame(pd.DataFrame({"a": [1.0, None], "b": ["x", "y"]}))
    >>> display.missing.mean(0).tolist()
    [0.5, 0.0]
    """

    missing: np.ndarray
    columns: Sequence

    @classmethod
    def from_frame(cls, X: Any) -> Self:
        """Return the display of a table (n, F) of any container."""
        frame = read_frame(X)[0]
        return cls(frame.isna().to_numpy(), list(frame.columns))

    def plot(self, ax: Sequence | None = None, **kwargs: Any) -> Self:
        """Draw on two axes, or a new figure; `kwargs` go to `imshow`."""
        n_rows, n_columns = self.missing.shape
        size = (min(max(4.0, 1.5 + 0.4 * n_columns), 16.0), 5.0)
        above, below = self.axes_ = panels.stacked_axes(ax, size)
        self.figure_ = below.figure
        shares = self.missing.mean(0)
        self.bars_ = above.bar(range(n_columns), shares, 0.8, color=ORANGE)
        above.set(ylabel="missing", ylim=(0, min(1, max(0.1, 1.2 * shares.max()))))
        above.yaxis.set_major_formatter("{x:.0%}")
        above.tick_params(axis="x", bottom=False, labelbottom=False)
        panels.open_frame(above)
        self.image_ = panels.draw_blocks(below, self.missing, **kwargs)
        below.set(ylabel=f"row ({n_rows} in all)")
        panels.write_names(below, self.columns)
        return self


@dataclass(eq=False, repr=False)
class ImputationDisplay:
    """What was filled in against what was observed, a panel for each column.

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
        before, after, schema = panels.read_pair(original, filled, "filled")
        imputed = np.isnan(before) & ~np.isnan(after)
        chosen = panels.choose(schema, imputed, columns, "a missing cell that is filled")
        seen = [before[~np.isnan(before[:, j]), j] for j in chosen]
        return cls(seen, [after[imputed[:, j], j] for j in chosen], panels.pick(schema, chosen))

    def plot(self, ax: Any = None, **kwargs: Any) -> Self:
        """Draw on as many axes as columns, or a new figure; `kwargs` go to `hist` and `bar`."""
        self.axes_ = panels.panel_grid(ax, len(self.columns))
        self.figure_, self.observed_, self.imputed_ = self.axes_[0].figure, [], []
        for axes, column, *values in zip(self.axes_, self.columns, self.observed, self.imputed):
            draw = panels.draw_numbers if column.kind == "number" else panels.draw_levels
            observed, imputed = draw(axes, column, *values, **kwargs)
            self.observed_.append(observed)
            self.imputed_.append(imputed)
            axes.set_title(panels.short(column.name), fontsize="medium")
            panels.open_frame(axes)
        panels.write_legend(self.axes_, ax is None)
        return self


@dataclass(eq=False, repr=False)
class ReconstructionDisplay:
    """Cells that were hidden against what the model made of them, a panel for each column.

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
        before, after, schema = panels.read_pair(original, reconstruction, "reconstruction")
        shown = panels.read_hidden(hidden, before.shape) & ~np.isnan(before) & ~np.isnan(after)
        chosen = panels.choose(schema, shown, columns, "a 'hidden' cell that both tables hold")
        hits, guesses = ([table[shown[:, j], j] for j in chosen] for table in (before, after))
        return cls(hits, guesses, panels.pick(schema, chosen))

    @classmethod
    def from_estimator(
        cls, imputer: Any, X: Any, hidden: Any, columns: Sequence | None = None
    ) -> Self:
        """Return the display of how a fitted `imputer` fills the cells `hidden` of the table X."""
        frame, back = read_frame(X)
        holes = frame.mask(panels.read_hidden(hidden, frame.shape))
        return cls.from_frames(X, imputer.transform(back.give(holes)), hidden, columns)

    def plot(self, ax: Any = None, **kwargs: Any) -> Self:
        """Draw on as many axes as columns, or a new figure; `kwargs` go to `scatter`."""
        self.axes_ = panels.panel_grid(ax, len(self.columns))
        self.figure_, self.points_ = self.axes_[0].figure, []
        cells = zip(self.columns, self.original, self.reconstruction)
        for axes, (column, *values) in zip(self.axes_, cells):
            draw = panels.draw_agreement if column.kind == "number" else panels.draw_confusion
            points, found = draw(axes, column, *values, **kwargs)
            self.points_.append(points)
            axes.set_title(f"{panels.short(column.name)}: {found}", fontsize="medium")
            panels.open_frame(axes)
        panels.label_all(self.axes_, ax is None, "original", "reconstruction")
        return self


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


@dataclass(eq=False, repr=False)
class EmbeddingDisplay:
    """Rows on the first two principal components of their features.

    Parameters
    ----------
    points : (n, 2)
    shares : (2,) of the variance that each component explains
    color : (n,) numbers, dates, durations or categories; None for one colour

    Attributes
    ----------
    ax_, figure_, points_ : what was drawn; one collection, or one for each category
    """

    points: np.ndarray
    shares: np.ndarray
    color: pd.Series | None = None

    @classmethod
    def from_frame(cls, features: Any, color: Any = None) -> Self:
        """Return the display of a table (n, D) of numbers without missing cells."""
        values = read_frame(features)[0].to_numpy(dtype=float)
        points, shares = panels.project(values)
        if color is not None:
            color = color if isinstance(color, pd.Series) else pd.Series(np.asarray(color))
            if len(color) != len(points):
                raise ValueError(f"color must have {len(points)} values, got {len(color)}.")
        return cls(points, shares, color)

    @classmethod
    def from_estimator(cls, encoder: Any, X: Any, color: Any = None) -> Self:
        """Return the display of what a fitted encoder makes of the rows of X.

        Parameters
        ----------
        encoder : with a `transform` that returns numbers
        X : (n, F) table
        color : (n,) numbers, dates, durations or categories; or the name of a column of X
        """
        frame = read_frame(X)[0]
        if isinstance(color, str) and color not in frame:
            raise ValueError(f"color={color!r} is no column of X.")
        color = frame[color] if isinstance(color, str) else color
        return cls.from_frame(encoder.transform(X), color)

    def plot(self, ax: Any = None, **kwargs: Any) -> Self:
        """Draw on `ax` or a new figure; `kwargs` go to `scatter`."""
        self.ax_ = panels.one_axes(ax, (5.5, 4.5))
        self.figure_ = self.ax_.figure
        options = {"s": 18, "alpha": 0.8, "linewidths": 0} | kwargs
        if self.color is None:
            self.points_ = self.ax_.scatter(*self.points.T, **({"color": BLUE} | options))
        else:
            shades = panels.can_be_shaded(self.color)
            draw_color = panels.draw_shades if shades else panels.draw_groups
            self.points_ = draw_color(self.ax_, self.points, self.color, **options)
        words = [f"component ({share:.0%} of the variance)" for share in self.shares]
        self.ax_.set(xlabel=f"first {words[0]}", ylabel=f"second {words[1]}")
        panels.open_frame(self.ax_)
        return self


@dataclass(eq=False, repr=False)
class HistoryDisplay:
    """Loss in training and at held-out cells, a pair of lines for each network.

    Parameters
    ----------
    history : frame with the columns network, step, train_loss and validation_loss

    Attributes
    ----------
    ax_, figure_, lines_ : what was drawn; training and held-out line of each network, in turn
    """

    history: pd.DataFrame

    @classmethod
    def from_frame(cls, history: Any) -> Self:
        """Return the display of a frame, or list of dict, such as `history_` of an estimator."""
        if not len(history):
            raise ValueError("The history is empty: no network was trained (see max_iter).")
        return cls(pd.DataFrame(history))

    @classmethod
    def from_estimator(cls, estimator: Any) -> Self:
        """Return the display of the training of any fitted estimator of maetab."""
        return cls.from_frame(estimator.history_)

    def plot(self, ax: Any = None, **kwargs: Any) -> Self:
        """Draw on `ax` or a new figure; `kwargs` go to `Axes.plot`."""
        self.ax_ = panels.one_axes(ax, (5.5, 3.5))
        self.figure_, self.lines_ = self.ax_.figure, []
        losses = {"training": ("train_loss", ":"), "held-out": ("validation_loss", "-")}
        for i, network in enumerate(self.history["network"].unique()):
            part = self.history[self.history["network"] == network]
            for word, (key, style) in losses.items():
                options = {"color": COLOURS[i % len(COLOURS)], "ls": style, "marker": "."}
                options |= {"label": f"network {network}, {word}"} | kwargs
                self.lines_ += self.ax_.plot(part["step"], part[key], **options)
        self.ax_.set(xlabel="step", ylabel="loss")
        self.ax_.xaxis.get_major_locator().set_params(integer=True)
        self.ax_.legend(frameon=False, fontsize="small")
        panels.open_frame(self.ax_)
        return self
