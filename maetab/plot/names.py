"""Names, shares, dates and durations as texts that can be read in a picture."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import Any

SMALL = 7.0  # points
LINE = 0.11  # inches that a line of SMALL letters takes
LETTER = 0.075  # inches that a letter of the font size "small" takes, on average
DAY = {"days": 1.0, "hours": 24.0, "minutes": 1440.0, "seconds": 86400.0}


def shortened(names: Sequence, most: int = 24) -> list[str]:
    """Return names as texts of at most `most` letters that matplotlib draws as they are.

    Long ones are cut in the middle. Different names that are the same then lose what they begin
    with in common; if that does not tell them apart, the second ends in "#2" and so on. Letters
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


def room(axes: Any, n: int, axis: str = "x") -> float:
    """Return the inches that each of `n` things along an axis has."""
    box = axes.get_window_extent()
    return (box.width if axis == "x" else box.height) / axes.figure.dpi / max(1, n)


def write_names(axes: Any, names: Sequence, axis: str = "x", most: int = 24) -> int:
    """Write names at 0, 1, ... along an axis: every one, or where they do not fit every k-th.

    Returns k. Names stand upright where they are too wide to lie, and aslant where that fits. A
    line has `most` letters; where there is room for two lines, long names are wrapped.
    """
    space = room(axes, len(names), axis)
    step = int(-(-LINE // space)) if space < LINE else 1
    places, texts = range(0, len(names), step), shortened(names[::step], most)
    if space > (0.4 if axis == "x" else 0.3):
        texts = [_wrapped(*pair, most) for pair in zip(shortened(names, 2 * most), texts)]
    size: Any = "small" if space > 0.17 else SMALL
    if axis == "y":
        axes.set_yticks(places, texts, fontsize=size)
        return step
    turn: dict[str, Any] = {}
    longest = max(len(line) for text in texts for line in text.split("\n"))
    if longest * LETTER > space:
        angle = 45 if space > 0.2 else 90
        turn = {"rotation": angle, "ha": "right", "rotation_mode": "anchor"}
        turn |= {"va": "center"} if angle == 90 else {}
    axes.set_xticks(places, texts, fontsize=size, **turn)
    return step


def _wrapped(text: str, cut: str, most: int) -> str:
    """Return the text in one or two lines of at most `most` letters, or else as it is cut."""
    lines = wrap(text, most, break_long_words=False)
    fits = len(lines) <= 2 and max(map(len, lines), default=0) <= most
    return "\n".join(lines) if fits else cut


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
    """Write days along an axis as dates (since 1970) or durations; return the unit, or "".

    Parameters
    ----------
    temporal : "datetime", "timedelta", or None for an axis that stays as it is
    offset : whether the year of dates may stand at the end of the axis
    """
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.ticker import MaxNLocator

    if temporal == "datetime":
        locator = AutoDateLocator(minticks=3, maxticks=5)
        axis.set_major_locator(locator)
        axis.set_major_formatter(ConciseDateFormatter(locator, show_offset=offset))
    if temporal != "timedelta":
        return ""
    low, high = axis.get_view_interval()
    longest = max(abs(low), abs(high))
    unit = next((unit for unit, parts in DAY.items() if longest * parts >= 2), "seconds")
    parts = DAY[unit]
    ticks = MaxNLocator(5).tick_values(low * parts, high * parts)
    ticks = [tick for tick in ticks if low <= tick / parts <= high]
    axis.set_ticks([tick / parts for tick in ticks], [f"{round(tick, 6):g}" for tick in ticks])
    return unit
