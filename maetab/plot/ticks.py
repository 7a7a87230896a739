"""Names, shares, dates and durations as texts, and as many of them along an axis as fit."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import Any

SMALL = 7.0  # points
LINE = 0.11  # inches that a line of SMALL letters takes
LETTER = 0.075  # inches that a letter of the font size "small" takes, on average
PER_DAY = {"days": 1.0, "hours": 24.0, "minutes": 1440.0, "seconds": 86400.0}


def shortened(names: Sequence, most: int = 24) -> list[str]:
    """Return names as texts of at most `most` letters that matplotlib draws as they are.

    Long ones are cut in their centre. Different names that are then the same lose what they begin
    with in common; if they are still the same, the second ends in "#2" and so on. Letters
    that the font lacks are spelled as in Python (\\u65e5), and no dollar starts a formula.
    """
    wholes = [_spelled(name) for name in names]
    cuts = [_cut(whole, most) for whole in wholes]
    texts: list[str] = []
    for whole, text in zip(wholes, cuts):
        alike = {other for other, cut in zip(wholes, cuts) if cut == text}
        if len(alike) > 1:
            differ = [place for place, letters in enumerate(zip(*alike)) if len(set(letters)) > 1]
            text = _cut("…" + whole[differ[0] :], most) if differ else text
        first, number = text, 1
        while text in texts:
            number += 1
            text = _cut(first, most - len(f" #{number}")) + f" #{number}"
        texts.append(text)
    return [text.replace("$", r"\$") for text in texts]


def short(name: Any, most: int = 24) -> str:
    """Return one name as `shortened` does."""
    return shortened([name], most)[0]


def _cut(text: str, most: int) -> str:
    """Return the text, of a long one `most` letters with an ellipsis in their centre."""
    if len(text) <= most:
        return text
    return f"{text[: most // 2]}…{text[len(text) - (most - most // 2 - 1) :]}"


def _spelled(name: Any) -> str:
    """Return a name on one line, letters that the font lacks spelled as in Python."""
    text = " ".join(str(name).split())
    if text.isascii() and text.isprintable():
        return text
    from matplotlib import rcParams
    from matplotlib.font_manager import FontProperties, findfont, get_font

    fonts = [get_font(findfont(FontProperties(family=[name]))) for name in rcParams["font.family"]]
    known = [any(font.get_char_index(ord(letter)) for font in fonts) for letter in text]
    spelled = (letter.encode("unicode_escape").decode() for letter in text)
    return "".join(a if has else b for a, b, has in zip(text, spelled, known))


def share_text(count: int, total: int) -> str:
    """Return a share in percent, with as many decimals as tell it from none and from all."""
    percent, decimals = 100 * count / total, 0 if count in (0, total) else 1
    while decimals and round(percent, decimals) in (0, 100):
        decimals += 1
    return f"{percent:.{decimals}f} %"


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


def write_times(axis: Any, temporal: str | None, offset: bool = True, zone: Any = None) -> str:
    """Write days along an axis as dates (since 1970) or durations; return their unit, or "".

    `temporal` is "datetime", "timedelta", or None for an axis that stays as it is; the year of
    dates, which are told in a time `zone`, may stand at the end of the axis if `offset`. Durations
    are in the longest unit of which the axis shows two.
    """
    from matplotlib import dates, ticker

    if temporal == "datetime":
        locator = dates.AutoDateLocator(zone, minticks=3, maxticks=5)
        axis.set_major_locator(locator)
        axis.set_major_formatter(dates.ConciseDateFormatter(locator, zone, show_offset=offset))
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
