"""Losses in training."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle
from typing import Any, Self

import numpy as np
import pandas as pd

from maetab.plot import panels, ticks
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
                "So it is with preset='fast' unless max_iter is given, with max_iter=0, which is "
                "the default of detectors, and where max_time left no time; max_iter=20 trains one."
            )
        return cls(pd.DataFrame(history))

    @classmethod
    def from_estimator(cls, estimator: Any) -> Self:
        """Return the display of the training of any fitted estimator of maetab."""
        return cls.from_frame(estimator.history_)

    def plot(self, ax: Any = None, **kwargs: Any) -> Self:
        """Draw on `ax` or a new figure; `kwargs` go to `Axes.plot`."""
        self.ax_, self.figure_ = panels.one_axes(ax, (7.5, 4.0))
        self.lines_: list = []
        losses = self.history.reset_index(drop=True)
        networks = losses.groupby("network", sort=False)
        # 0 stands at every look of a network where no cell was held out.
        is_known = networks["validation_loss"].transform("any")
        losses["validation_loss"] = losses["validation_loss"].where(is_known)
        for (network, part), colour in zip(networks, cycle(COLOURS)):
            held_out = "held-out" if part["validation_loss"].notna().any() else "no cell held out"
            look = {"color": colour, "marker": "."}
            for loss, name, style in (("train", "training", ":"), ("validation", held_out, "-")):
                options = {**look, "ls": style, "label": f"network {network}, {name}"} | kwargs
                self.lines_ += self.ax_.plot(part["step"], part[f"{loss}_loss"], **options)
        self.lowest_, self.stopped_ = _kept_and_stopped(losses)
        marks = list(self.lines_)
        ring: dict[str, Any] = {"mec": BLACK, "mfc": "none", "ms": 10, "ls": ""}
        for points, marker, label in (
            (self.lowest_, "o", "lowest held-out loss: weights kept"),
            (self.stopped_, "x", "stopped early"),
        ):
            if len(points):
                marks += self.ax_.plot(*points.T, marker=marker, label=label, **ring)
        self.ax_.set(xlabel="step (one batch of training)", ylabel="mean loss, lower is better")
        self.ax_.set_xlim(left=0)
        ticks.count_in_whole_steps(self.ax_.xaxis)
        panels.write_legend(self.ax_, ax is None, marks, "right")
        panels.open_frame(self.ax_)
        return self


def _kept_and_stopped(losses: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return points (k, 2), step and loss: the lowest held-out one, and the last if stopped early.

    A network stopped early whose learning rate did not come to 0.
    """
    networks, place = losses.groupby("network", sort=False), ["step", "validation_loss"]
    known = losses.dropna(subset="validation_loss").groupby("network", sort=False)
    lowest = losses.loc[known["validation_loss"].idxmin(), place]
    last = networks.tail(1).fillna({"validation_loss": losses["train_loss"]})
    rates = last.get("learning_rate", pd.Series(0.0, last.index))
    return lowest.to_numpy(float), last.loc[rates > 1e-12, place].to_numpy(float)
