"""Rows in the plane of their features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from maetab.data.containers import read_frame
from maetab.plot import panels
from maetab.plot.panels import BLUE


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
