"""How the loss fell in training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import pandas as pd

from maetab.plot import panels
from maetab.plot.panels import COLOURS


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
