"""Rows in the plane of their features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from maetab.data.containers import read_frame
from maetab.plot import names, panels, ticks
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
        self.ax_ = panels.one_axes(ax, (6.5, 4.5))
        self.figure_ = self.ax_.figure
        options = {"s": 18, "alpha": 0.8, "linewidths": 0} | kwargs
        if self.color is None:
            self.points_ = self.ax_.scatter(*self.points.T, **({"color": BLUE} | options))
        else:
            shades = can_be_shaded(self.color)
            draw_color = draw_shades if shades else draw_groups
            self.points_ = draw_color(self.ax_, self.points, self.color, ax is None, **options)
        first, second = (f"component ({share:.0%} of the variance)" for share in self.shares)
        self.ax_.set(xlabel=f"first {first}", ylabel=f"second {second}")
        panels.open_frame(self.ax_)
        return self


def project(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first two principal components (n, 2) and their shares (2,) of the variance."""
    left, singular_values, _ = np.linalg.svd(values - values.mean(0), full_matrices=False)
    points, shares, n = np.zeros((len(values), 2)), np.zeros(2), len(singular_values)
    points[:, :n] = left[:, :2] * singular_values[:2]
    if singular_values.any():
        shares[:n] = np.square(singular_values[:2] / np.linalg.norm(singular_values))
    return points, shares


def can_be_shaded(values: pd.Series) -> bool:
    """Return whether the values are numbers, dates or durations."""
    types = pd.api.types
    numbers = types.is_numeric_dtype(values) and not types.is_bool_dtype(values)
    return numbers or _temporal(values) is not None


def _temporal(values: pd.Series) -> str | None:
    """Return "datetime" or "timedelta" for dates or durations, None for others."""
    if pd.api.types.is_datetime64_any_dtype(values):
        return "datetime"
    return "timedelta" if pd.api.types.is_timedelta64_dtype(values) else None


def _as_numbers(values: pd.Series) -> np.ndarray:
    """Return (n,) numbers, days (since 1970) for times, NaN where missing."""
    temporal = _temporal(values)
    if temporal == "datetime":
        values = pd.to_datetime(values, utc=True) - pd.Timestamp(0, tz="UTC")
    if temporal:
        values = pd.to_timedelta(values) / pd.Timedelta(days=1)
    return values.to_numpy(dtype=float, na_value=np.nan)


def draw_shades(
    axes: Any, points: np.ndarray, values: pd.Series, is_ours: bool, **kwargs: Any
) -> Any:
    """Draw points (n, 2) shaded by numbers or times, grey where missing; the collection."""
    colours = panels.pyplot().get_cmap("viridis").with_extremes(bad=GREY)
    shades = _as_numbers(values)
    options = {"c": shades, "cmap": colours, "plotnonfinite": True} | kwargs
    drawn = axes.scatter(*points.T, **options)
    bar = axes.figure.colorbar(drawn, ax=axes)
    unit = ticks.write_times(bar.ax.yaxis, _temporal(values))
    name = "" if values.name is None else names.short(values.name, 40)
    bar.set_label(", ".join(filter(None, (name, unit))))
    if np.isnan(shades).any():
        panels.write_legend(axes, is_ours, [panels.patch(GREY, "missing")], "top")
    return drawn


def draw_groups(
    axes: Any, points: np.ndarray, values: pd.Series, is_ours: bool, **kwargs: Any
) -> list:
    """Draw the most frequent levels in a colour each, others in greys; return the collections."""
    levels, drawn = _frequent_levels(values), []
    for level, name, colour in zip(levels, names.shortened(levels), COLOURS):
        rows = (values == level).to_numpy(dtype=bool, na_value=False)
        # A label that starts with an underscore would be left out of the legend.
        label = f" {name}" if name.startswith("_") else name
        drawn.append(axes.scatter(*points[rows].T, **({"color": colour, "label": label} | kwargs)))
    missing = values.isna().to_numpy()
    rare = ~values.isin(levels).to_numpy(dtype=bool) & ~missing
    filled, ring = {"color": GREY}, {"facecolors": "none", "edgecolors": GREY}
    for rows, look, label in ((rare, filled, "other"), (missing, ring, "missing")):
        if rows.any():
            options = look | {"label": label, "zorder": 0} | kwargs
            options |= {"linewidths": 0.8} if look is ring else {}
            drawn.append(axes.scatter(*points[rows].T, **options))
    title = "" if values.name is None else names.short(values.name)
    panels.write_legend(axes, is_ours, drawn, "right", title=title)
    return drawn


def _frequent_levels(values: pd.Series) -> list:
    """Return as many levels as there are colours, in their order if they have one."""
    levels = list(values.value_counts().index[: len(COLOURS)])
    if getattr(values.dtype, "ordered", False) or pd.api.types.is_bool_dtype(values):
        levels = [level for level in values.dropna().sort_values().unique() if level in levels]
    return levels
