"""Rows in the plane of their features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from maetab.data.containers import read_frame
from maetab.plot import panels, ticks
from maetab.plot.panels import BLUE, COLOURS, GREY


@dataclass(eq=False, repr=False)
class EmbeddingDisplay:
    """Rows on the first two principal components of their features.

    Colours are named in a legend or a colour bar: the seven most frequent levels of a category,
    "other" for the rest, and "missing".

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
        points, shares = project(values)
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
        self.ax_, self.figure_ = panels.one_axes(ax, (6.5, 4.5))
        kwargs = {"s": 18, "alpha": 0.8, "linewidths": 0} | kwargs
        if self.color is None:
            self.points_ = self.ax_.scatter(*self.points.T, **({"color": BLUE} | kwargs))
        elif numbers := _as_numbers(self.color):
            self.points_ = self._draw_shades(*numbers, _title(self.color, 40), ax is None, **kwargs)
        else:
            self.points_ = self._draw_groups(self.color, ax is None, **kwargs)
        first, second = (f"component ({share:.0%} of the variance)" for share in self.shares)
        self.ax_.set(xlabel=f"first {first}", ylabel=f"second {second}")
        panels.open_frame(self.ax_)
        return self

    def _draw_shades(
        self, shades: np.ndarray, temporal: str | None, name: str, is_ours: bool, **kwargs: Any
    ) -> Any:
        """Draw points shaded by numbers or times, grey where missing; return the collection."""
        colours = panels.pyplot().get_cmap("viridis").with_extremes(bad=GREY)
        options = {"c": shades, "cmap": colours, "plotnonfinite": True} | kwargs
        drawn = self.ax_.scatter(*self.points.T, **options)
        bar = self.figure_.colorbar(drawn, ax=self.ax_)
        unit = ticks.write_times(bar.ax.yaxis, temporal)
        bar.set_label(", ".join(filter(None, (name, unit))))
        if np.isnan(shades).any():
            panels.write_legend(self.ax_, is_ours, [panels.patch(GREY, "missing")], "top")
        return drawn

    def _draw_groups(self, values: pd.Series, is_ours: bool, **kwargs: Any) -> list:
        """Draw the most frequent levels in a colour each, others in greys; the collections."""
        drawn = []
        for rows, look, label in _groups_of(values):
            chosen = self.points[rows.to_numpy(dtype=bool, na_value=False)]
            # A label that starts with an underscore would be left out of the legend.
            options = look | {"label": f" {label}" if label.startswith("_") else label} | kwargs
            options |= {"linewidths": 0.8} if "edgecolors" in look else {}
            if len(chosen):
                drawn.append(self.ax_.scatter(*chosen.T, **options))
        panels.write_legend(self.ax_, is_ours, drawn, "right", title=_title(values))
        return drawn


def _title(values: pd.Series, most: int = 24) -> str:
    return "" if values.name is None else ticks.short(values.name, most)


def project(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first two principal components (n, 2) and their shares (2,) of the variance."""
    left, singular_values, _ = np.linalg.svd(values - values.mean(0), full_matrices=False)
    points, shares, n = np.zeros((len(values), 2)), np.zeros(2), len(singular_values)
    points[:, :n] = left[:, :2] * singular_values[:2]
    if singular_values.any():
        shares[:n] = np.square(singular_values[:2] / np.linalg.norm(singular_values))
    return points, shares


def _as_numbers(values: pd.Series) -> tuple[np.ndarray, str | None] | None:
    """Return (n,) numbers, days (since 1970) for times, NaN where missing, and the kind of times.

    That is "datetime", "timedelta", or None for numbers. The values of categories are no numbers.
    """
    types, temporal = pd.api.types, None
    if types.is_datetime64_any_dtype(values):
        values, temporal = pd.to_datetime(values, utc=True) - pd.Timestamp(0, tz="UTC"), "datetime"
    elif types.is_timedelta64_dtype(values):
        temporal = "timedelta"
    elif types.is_bool_dtype(values) or not types.is_numeric_dtype(values):
        return None
    if temporal:
        values = pd.to_timedelta(values) / pd.Timedelta(days=1)
    return values.to_numpy(dtype=float, na_value=np.nan), temporal


def _groups_of(values: pd.Series) -> list[tuple[pd.Series, dict[str, Any], str]]:
    """Return rows, look and label of the most frequent levels, of the others and of missing cells.

    There are as many levels as colours, in their order if they have one.
    """
    levels, missing = list(values.value_counts().index[: len(COLOURS)]), values.isna()
    if getattr(values.dtype, "ordered", False) or pd.api.types.is_bool_dtype(values):
        levels = [level for level in values.dropna().sort_values().unique() if level in levels]
    named = zip(levels, ticks.shortened(levels), COLOURS)
    filled, ring = {"color": GREY}, {"facecolors": "none", "edgecolors": GREY}
    return [
        *((values == level, {"color": colour}, name) for level, name, colour in named),
        (~values.isin(levels) & ~missing, filled | {"zorder": 0}, "other"),
        (missing, ring | {"zorder": 0}, "missing"),
    ]
