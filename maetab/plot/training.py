"""How the loss fell in training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from maetab.plot import names, panels
from maetab.plot.panels import BLACK, COLOURS


@dataclass(eq=False, repr=False)
class HistoryDisplay:
    """Loss in training and at held-out cells, a pair of lines for each network.

    A step is one batch of rows and one update of the weights. The training loss is the mean over
    the steps since the last look at the held-out cells, and is taken at hidden and, with less
    weight, at visible cells. A network keeps the weights of the look with the lowest held-out loss
    (those it began with where no look is better than these); it stopped early where looks did not
    gain, time was up or a caller said so.

    Parameters
    ----------
    history : frame with the columns network, step, train_loss and validation_loss; learning_rate,
        where it is there, tells which training came to its end

    Attributes
    ----------
    ax_, figure_, lines_ : what was drawn; training and held-out line of each network, in turn
    lowest_, stopped_ : points (k, 2) at the lowest held-out loss of each network that held cells
        out, and at the last look of each that stopped early
    """

    history: pd.DataFrame

    @classmethod
    def from_frame(cls, history: Any) -> Self:
        """Return the display of a frame, or list of dict, such as `history_` of an estimator.

        Raises
        ------
        ValueError
            The history is empty: no network was trained, and there is nothing to draw.
        """
        if not len(history):
            raise ValueError(
                "The history is empty: no network was trained, the model is its first guess alone. "
                "Networks are trained if max_iter is not 0 and max_time leaves time for them."
            )
        return cls(pd.DataFrame(history))

    @classmethod
    def from_estimator(cls, estimator: Any) -> Self:
        """Return the display of the training of any fitted estimator of maetab."""
        return cls.from_frame(estimator.history_)

    def plot(self, ax: Any = None, **kwargs: Any) -> Self:
        """Draw on `ax` or a new figure; `kwargs` go to `Axes.plot`."""
        self.ax_ = panels.one_axes(ax, (7.5, 4.0))
        self.figure_, self.lines_, lowest, stopped = self.ax_.figure, [], [], []
        for i, (network, part) in enumerate(self.history.groupby("network", sort=False)):
            steps, train = part["step"].to_numpy(), part["train_loss"].to_numpy()
            held_out, word = part["validation_loss"].to_numpy(float), "held-out"
            if not held_out.any():  # a loss of exactly 0 at every look
                held_out, word = np.full(len(part), np.nan), "no cell held out"
            else:
                lowest.append((steps[held_out.argmin()], held_out.min()))
            if "learning_rate" in part and part["learning_rate"].iloc[-1] > 1e-12:
                stopped.append((steps[-1], train[-1] if np.isnan(held_out[-1]) else held_out[-1]))
            look = {"color": COLOURS[i % len(COLOURS)], "marker": "."}
            for losses, name, style in ((train, "training", ":"), (held_out, word, "-")):
                options = {**look, "ls": style, "label": f"network {network}, {name}"} | kwargs
                self.lines_ += self.ax_.plot(steps, losses, **options)
        self.lowest_, self.stopped_ = np.reshape(lowest, (-1, 2)), np.reshape(stopped, (-1, 2))
        marks = list(self.lines_)
        ring = {"mec": BLACK, "mfc": "none", "ms": 10, "ls": ""}
        if len(lowest):
            marks += self.ax_.plot(
                *self.lowest_.T, marker="o", label="lowest held-out loss: weights kept", **ring
            )
        if len(stopped):
            marks += self.ax_.plot(*self.stopped_.T, marker="x", label="stopped early", **ring)
        self.ax_.set(xlabel="step (one batch of training)", ylabel="mean loss, lower is better")
        self.ax_.set_xlim(left=0)
        names.count_in_whole_steps(self.ax_.xaxis)
        panels.write_legend(self.ax_, ax is None, marks, "right")
        panels.open_frame(self.ax_)
        return self
