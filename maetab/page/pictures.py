"""Small pictures as SVG that takes its colours from the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from maetab.page.markup import Markup, element, joined, shortened

WIDE, HIGH = 240, 84  # of the pictures that stand in a grid
LONG, LOW = 760, 150  # and of those of a course
SPARK_WIDE, SPARK_HIGH = 96, 22
BAR = 90
NAMED = 68.0  # width of a column with its name below


def picture(label: str, width: float, height: float, *parts: Any) -> Markup:
    """Return an SVG element that is one picture for those who hear it: `label` says what it shows.

    Parameters
    ----------
    width, height : in pixels, as wide as there is room
    """
    box = f"0 0 {_short(width)} {_short(height)}"
    return element(
        "svg", *parts, viewBox=box, width=width, height=height, role="img", aria_label=label
    )


def bars(heights: Sequence[float], width: float, height: float, gap: float = 0.0) -> str:
    """Return the path of bars side by side, of heights from 0 to 1, that stand on a line."""
    step = width / max(1, len(heights))
    return "".join(
        f"M{_short(i * step + gap / 2)} {_short(height)}v{_short(-high * height)}"
        f"h{_short(step - gap)}v{_short(high * height)}z"
        for i, high in enumerate(heights)
        if high > 0
    )


def steps(heights: Sequence[float], width: float, height: float) -> str:
    """Return the path of the outline of bars."""
    step, parts = width / max(1, len(heights)), [f"M0 {_short(height)}"]
    for high in heights:
        parts.append(f"V{_short(height - high * height)}h{_short(step)}")
    return "".join(parts) + f"V{_short(height)}"


def spark(counts: np.ndarray, label: str) -> Markup:
    """Return bars as wide as a word."""
    most = max(float(counts.max(initial=0)), 1.0)
    # What is there is seen: the lowest bar is a pixel and a half high.
    high = np.where(counts > 0, np.maximum(counts / most, 1.5 / SPARK_HIGH), 0.0)
    path = element("path", d=bars(high.tolist(), SPARK_WIDE, SPARK_HIGH, 0.6), class_="seen")
    return picture(label, SPARK_WIDE, SPARK_HIGH, path)


def two_histograms(
    seen: np.ndarray, filled: np.ndarray, ends: tuple[str, str], label: str
) -> Markup:
    """Return shares of observed cells as bars and of filled ones as an outline over them.

    Parameters
    ----------
    seen, filled : (bins,) shares
    ends : what is written below the first and the last bin
    """
    most = max(float(seen.max(initial=0)), float(filled.max(initial=0)), 1e-9)
    high = HIGH - 18
    below = [
        element("path", d=f"M0 {high}h{WIDE}", class_="rule"),
        element("text", ends[0], x=0, y=HIGH - 4),
        element("text", ends[1], x=WIDE, y=HIGH - 4, text_anchor="end"),
    ]
    return picture(
        label,
        WIDE,
        HIGH,
        element("path", d=bars((seen / most).tolist(), WIDE, high, 1.0), class_="bars"),
        element("path", d=steps((filled / most).tolist(), WIDE, high), class_="outline"),
        *below,
    )


def share_bar(share: float) -> Markup:
    """Return a bar as long as a share of its track; it stands beside the number that it shows."""
    track = element("rect", width=BAR, height=8, rx=2, class_="track")
    bar = element("rect", width=_short(BAR * share), height=8, rx=2, class_="filled")
    return element(
        "svg", track, bar, viewBox=f"0 0 {BAR} 8", width=BAR, height=8, aria_hidden="true"
    )


def missing_matrix(shares: np.ndarray, names: Sequence[str], label: str) -> Markup:
    """Return a picture of shares of missing cells (row bins, columns), darker where more is.

    Each column is as wide as the others, and each bin as high. A few columns have room for their
    names.
    """
    n_bins, n_columns = shares.shape
    few = n_columns <= LONG / NAMED
    wide, high = NAMED if few else LONG / n_columns, min(8.0, 240 / n_bins)
    parts = [
        element("rect", width=_short(wide * n_columns), height=_short(high * n_bins), class_="back")
    ]
    for j, name in enumerate(names if few else ()):
        parts.append(element("text", shortened(name, 10), x=_short(j * wide), y=high * n_bins + 12))
    levels = np.ceil(shares * 4).astype(int)  # 0 none, 4 more than three quarters
    for level in range(1, 5):
        path = "".join(
            f"M{_short(j * wide)} {_short(i * high)}h{_short(wide - 0.6)}v{_short(high)}"
            f"h{_short(0.6 - wide)}z"
            for i, j in zip(*np.nonzero(levels == level))
        )
        if path:
            parts.append(element("path", d=path, class_="filled", opacity=level / 4))
    return picture(label, wide * n_columns, high * n_bins + 16 * few, *parts)


def course(
    lines: Sequence[tuple[str, np.ndarray, np.ndarray]],
    band: tuple[np.ndarray, np.ndarray, np.ndarray] | None,
    ends: tuple[str, str, str, str],
    label: str,
) -> Markup:
    """Return lines over time.

    Parameters
    ----------
    lines : class of the style, (m,) times and (m,) values, NaN where a line is interrupted
    band : (m,) times, lower and upper ends of a band, or None
    ends : what is written at the first and last time, and at the lowest and highest value
    """
    ups = [y for _, _, y in lines] + ([] if band is None else [*band[1:]])
    overs = [x for _, x, _ in lines if len(x)]
    values = np.concatenate([y[np.isfinite(y)] for y in ups])
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    first, last = min(x.min() for x in overs), max(x.max() for x in overs)
    left, top, base = 64.0, 8.0, LOW - 20.0

    def at(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        across = left + (x - first) / ((last - first) or 1.0) * (LONG - left)
        return across, base - (y - low) / ((high - low) or 1.0) * (base - top)

    parts = [element("path", d=f"M{left} {top}V{base}H{LONG}", class_="rule")]
    if band is not None:
        x, bottom = at(band[0], band[1])
        _, upper = at(band[0], band[2])
        edge = [*zip(x, bottom), *zip(x[::-1], upper[::-1])]
        around = "L".join(f"{_short(a)} {_short(b)}" for a, b in edge)
        parts.append(element("path", d=f"M{around}z", class_="band"))
    parts += [element("path", d=polyline(*at(x, y)), class_=class_) for class_, x, y in lines]
    words = [
        element("text", ends[0], x=left, y=LOW - 5),
        element("text", ends[1], x=LONG, y=LOW - 5, text_anchor="end"),
        element("text", ends[2], x=left - 6, y=base, text_anchor="end"),
        element("text", ends[3], x=left - 6, y=top + 8, text_anchor="end"),
    ]
    return picture(label, LONG, LOW, *parts, *words)


def polyline(x: np.ndarray, y: np.ndarray) -> str:
    """Return the path of a line, interrupted where `y` is NaN; a point alone is a short dash."""
    parts, pen_down = [], False
    known = np.isfinite(y)
    for i in range(len(y)):
        if not known[i]:
            pen_down = False
            continue
        parts.append(f"{'L' if pen_down else 'M'}{_short(x[i])} {_short(y[i])}")
        if not pen_down and not (i + 1 < len(y) and known[i + 1]):
            parts.append("h1")
        pen_down = True
    return "".join(parts)


def legend(*pairs: tuple[str, str]) -> Markup:
    """Return a line that tells what stands for what: classes of a key and words."""
    keys = [
        [element("span", class_=f"key {name}", aria_hidden="true"), words, " \u2002 "]
        for name, words in pairs
    ]
    return element("p", joined(*keys), class_="soft")


def _short(number: float) -> str:
    return f"{float(number):.1f}".removesuffix(".0")
