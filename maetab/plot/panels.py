"""What pictures share: colours, axes, and legends."""

from __future__ import annotations

from typing import Any

import numpy as np

from maetab.plot import ticks

# Colours of Okabe and Ito (2008), which stay apart for the colour-blind.
BLUE, ORANGE, GREEN, PINK, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9"
AMBER, BLACK, GREY, PALE = "#E69F00", "#222222", "#AAAAAA", "#E8E8E8"
COLOURS = (BLUE, ORANGE, GREEN, AMBER, PINK, SKY, BLACK)


def pyplot() -> Any:
    """Return matplotlib.pyplot."""
    try:
        import matplotlib.pyplot
    except ImportError as error:
        raise ImportError("Pictures need matplotlib: pip install 'maetab[plot]'") from error
    return matplotlib.pyplot


def one_axes(ax: Any, size: tuple[float, float]) -> tuple[Any, Any]:
    """Return `ax`, or the axes of a new figure of `size` in inches, and the figure."""
    axes = pyplot().subplots(figsize=size, layout="constrained")[1] if ax is None else ax
    return axes, axes.figure


def many_axes(
    ax: Any, n: int, shape: tuple[int, int], size: tuple[float, float], **look: Any
) -> list:
    """Return the user's axes as a list of `n`, or the first `n` of a new grid of axes."""
    if ax is None:
        options = {"squeeze": False, "figsize": size, "layout": "constrained"} | look
        figure, grid = pyplot().subplots(*shape, **options)
        for spare in grid.flat[n:]:
            figure.delaxes(spare)
        return list(grid.flat[:n])
    found = list(np.ravel(ax))
    if len(found) != n:
        raise ValueError(f"ax must hold {n} axes, one for each panel, got {len(found)}.")
    return found


def panel_grid(ax: Any, n: int) -> list:
    """Return the user's axes, or those of a new figure with `n` panels in rows of up to four."""
    n_rows = -(-n // 4)
    n_columns = -(-n // n_rows)
    return many_axes(ax, n, (n_rows, n_columns), (max(3.3 * n_columns, 4.5), 3.0 * n_rows + 0.3))


def close_panel(axes: Any, name: Any, facts: str) -> None:
    """Write the name of a column and what is known of its cells above its panel."""
    axes.set_title(f"{ticks.short(name, 30)}\n{facts}", fontsize="medium")
    open_frame(axes)


def width_of(n_columns: int, widest: float) -> float:
    """Return the inches for `n_columns` beside each other, each up to `widest`."""
    return n_columns * max(0.17, min(widest, 9.0 / n_columns))


def open_frame(axes: Any) -> None:
    """Take away the lines above and to the right, which carry no ticks."""
    axes.spines[["top", "right"]].set_visible(False)


def patch(colour: Any, label: str) -> Any:
    """Return the entry of a legend for an area of one colour."""
    from matplotlib.patches import Patch

    return Patch(facecolor=colour, label=label)


def write_legend(axes: Any, is_ours: bool, marks: list, side: str, title: str = "") -> None:
    """Write a legend of `marks`: at a `side` ("top", "right") of the figure where it is ours.

    On the user's axes it stands at their right where the figure makes room for it (constrained or
    tight layout), else inside.
    """
    labels = [mark.get_label() for mark in marks]
    options: dict[str, Any] = {"fontsize": "small", "frameon": False}
    if is_ours and side == "top":
        inches = 0.6 + ticks.LETTER * max(map(len, labels))
        ncols = int(max(1, min(len(labels), axes.figure.get_figwidth() / inches)))
        axes.figure.legend(marks, labels, loc="outside upper left", ncols=ncols, **options)
        return
    if is_ours or axes.figure.get_layout_engine() is not None:
        options |= {"loc": "upper left", "bbox_to_anchor": (1.02, 1)}
    else:
        options |= {"frameon": True, "framealpha": 0.8}
    axes.legend(marks, labels, title=title, **options)


def label_panels(axes: list, is_ours: bool, marks: list, *, y: str, x: str = "") -> None:
    """Name axes and colours of all panels: once where the figure is ours, else each and first."""
    if is_ours:
        figure = axes[0].figure
        figure.supylabel(y, fontsize="medium")
        if x:
            figure.supxlabel(x, fontsize="medium")
        figure.legend(handles=marks, loc="outside upper right", ncols=len(marks), frameon=False)
        return
    for panel in axes:
        panel.set(xlabel=", ".join(filter(None, (x, panel.get_xlabel()))), ylabel=y)
    axes[0].legend(handles=marks, fontsize="small", framealpha=0.8)
