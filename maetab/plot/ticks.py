"""Names, shares, dates and durations along an axis, as many as fit."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import Any

from maetab.plot.names import shortened

SMALL = 7.0  # points
LINE = 0.11  # inches that a line of SMALL letters takes
LETTER = 0.075  # inches that a letter of the font size "small" takes, on average
PER_DAY = {"days": 1.0, "hours": 24.0, "minutes": 1440.0, "seconds": 86400.0}


def inches_each(axes: Any, n: int, axis: str = "x") -> float:
    """Return the inches that each of `n` parts of an axis has."""
    box = axes.get_window_extent()
    return (box.width if axis == "x" else box.height) / axes.figure.dpi / max(1, n)


def write_names(axes: Any, names: Sequence, axis: str = "x", most: int = 24) -> int:
    """Write names at 0, 1, ... along an axis: every one, or where they do not fit every k-th.

    Returns k. Names stand upright where they are too wide to lie, and aslant where that fits. A
    line has `most` letters; where there is room for two lines, long names are wrapped.
    """
    space = inches_each(axes, len(names), axis)
    step = int(-(-LINE // space)) if space < LINE else 1
    places, texts = range(0, len(names), step), shortened(names[::step], most)
    if space > (0.4 if axis == "x" else 0.3):
        wraps = [wrap(text, most, break_long_words=False) for text in shortened(names, 2 * most)]
        for place, lines in enumerate(wraps):
            if 0 < len(lines) <= 2 and max(map(len, lines)) <= most:
                texts[place] = "\n".join(lines)
    look: dict[str, Any] = {"fontsize": "small" if space > 0.17 else SMALL}
    longest = max((len(line) for text in texts for line in text.split("\n")), default=0)
    if axis == "x" and longest * LETTER > space:
        look |= {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
        look |= {} if space > 0.2 else {"rotation": 90, "va": "center"}
    getattr(axes, f"set_{axis}ticks")(places, texts, **look)
    return step


def write_percent(axis: Any) -> None:
    """Write the shares along an axis in percent, none above 100."""
    from matplotlib.ticker import FixedLocator, MaxNLocator, PercentFormatter

    low, high = axis.get_view_interval()
    ticks = MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    axis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= min(high, 1)]))
    axis.set_major_formatter(PercentFormatter(1.0))


def count_in_whole_steps(axis: Any) -> None:
    """Put the ticks of an axis at whole numbers."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 2.5, 5, 10], integer=True))


def write_times(axis: Any, temporal: str | None, offset: bool = True) -> str:
    """Write days along an axis as dates (since 1970) or durations; return their unit, or "".

    Durations are in the longest unit of which the axis shows two.

    Parameters
    ----------
    temporal : "datetime", "timedelta", or None for an axis that stays as it is
    offset : whether the year of dates may stand at the end of the axis
    """
    from matplotlib import dates, ticker

    if temporal == "datetime":
        locator = dates.AutoDateLocator(minticks=3, maxticks=5)
        axis.set_major_locator(locator)
        axis.set_major_formatter(dates.ConciseDateFormatter(locator, show_offset=offset))
    if temporal != "timedelta":
        return ""
    low, high = axis.get_view_interval()
    longest = max(abs(low), abs(high))
    unit = next((unit for unit, n in PER_DAY.items() if longest * n >= 2), "seconds")
    parts = PER_DAY[unit]
    ticks = ticker.MaxNLocator(5).tick_values(low * parts, high * parts)
    ticks = [tick for tick in ticks if low <= tick / parts <= high]
    axis.set_ticks([tick / parts for tick in ticks], [f"{round(tick, 6):g}" for tick in ticks])
    return unit
