"""What pictures share: cells as numbers, axes and their names, and how one column is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from maetab.data.codec import encode, to_natural
from maetab.data.containers import read_frame
from maetab.data.schema import Column, Schema, infer_schema

# Colours of Okabe and Ito (2008), which stay apart for the colour-blind.
BLUE, ORANGE, GREEN, PINK, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9"
AMBER, BLACK, GREY, PALE = "#E69F00", "#222222", "#AAAAAA", "#E8E8E8"
COLOURS = (BLUE, ORANGE, GREEN, AMBER, PINK, SKY, BLACK)
MAX_PANELS = 12  # columns that are drawn when none are named
MAX_LEVELS = 8  # levels of a category that are drawn
MAX_NAMES = 50  # names along an axis
MAX_BLOCKS = 250  # rows of the matrix of missing cells
SCORE_BINS = 40
SECONDS_PER_DAY = 86400.0


def read_pair(original: Any, other: Any, name: str) -> tuple[np.ndarray, np.ndarray, Schema]:
    """Return two tables as (n, F) numbers on the same scales, and the schema of the first."""
    before, after = read_frame(original)[0], read_frame(other)[0]
    if len(before) != len(after) or before.shape[1] > after.shape[1]:
        raise ValueError(f"'{name}' must have the shape {before.shape}, got {after.shape}.")
    if set(before.columns) <= set(after.columns):
        after = after[list(before.columns)]
    else:
        after = after.iloc[:, : before.shape[1]].set_axis(before.columns, axis=1)
    schema = infer_schema(before)
    return _numbers(before, schema), _numbers(after, schema), schema


def _numbers(frame: pd.DataFrame, schema: Schema) -> np.ndarray:
    """Return (n, F) float64: numbers, days for times, places of levels; NaN where missing."""
    values, observed = encode(frame, schema)
    units = [SECONDS_PER_DAY if column.temporal else 1.0 for column in schema.columns]
    return np.where(observed, to_natural(values, schema) / units, np.nan)


def read_hidden(hidden: Any, shape: tuple[int, ...]) -> np.ndarray:
    found = read_frame(hidden)[0].to_numpy(dtype=bool)
    if found.shape != shape:
        raise ValueError(f"'hidden' must have the shape {shape}, got {found.shape}.")
    return found


def choose(schema: Schema, cells: np.ndarray, columns: Sequence | None, needed: str) -> list[int]:
    """Return places of the columns to draw: the named ones, or those with most `cells`."""
    if isinstance(columns, str):
        raise ValueError(f"columns must be a list of names, got {columns!r}.")
    names, counts = schema.names(), cells.sum(0)
    for name in columns if columns is not None else ():
        if name not in names:
            raise ValueError(f"columns: there is no column {name!r}.")
        if not counts[names.index(name)]:
            raise ValueError(f"column {name!r} lacks {needed}.")
    most = np.argsort(-counts, kind="stable")[:MAX_PANELS]
    chosen = sorted(int(place) for place in most if counts[place])
    if columns is not None:
        if not len(columns):
            raise ValueError("columns must name at least one column, got none.")
        chosen = [names.index(name) for name in columns]
    if not chosen:
        raise ValueError(f"No column has {needed}.")
    return chosen


def pick(schema: Schema, chosen: list[int]) -> list[Column]:
    return [schema.columns[place] for place in chosen]


def project(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first two principal components (n, 2) and their shares (2,) of the variance."""
    left, spread, _ = np.linalg.svd(values - values.mean(0), full_matrices=False)
    points, shares = np.zeros((len(values), 2)), np.zeros(2)
    points[:, : len(spread)] = left[:, :2] * spread[:2]
    if spread.any():
        shares[: len(spread)] = np.square(spread[:2] / np.linalg.norm(spread))
    return points, shares


def pyplot() -> Any:
    """Return matplotlib.pyplot."""
    try:
        import matplotlib.pyplot
    except ImportError as error:
        raise ImportError("Pictures need matplotlib: pip install 'maetab[plot]'") from error
    return matplotlib.pyplot


def one_axes(ax: Any, size: tuple[float, float]) -> Any:
    """Return `ax`, or the axes of a new figure of `size` in inches."""
    return pyplot().subplots(figsize=size, layout="constrained")[1] if ax is None else ax


def stacked_axes(ax: Any, size: tuple[float, float]) -> list:
    """Return the user's two axes, or new ones, a low one above a high one that shares its x."""
    if ax is not None:
        return given_axes(ax, 2)
    figure = pyplot().figure(figsize=size, layout="constrained")
    return list(figure.subplots(2, sharex=True, gridspec_kw={"height_ratios": [1, 3]}))


def given_axes(ax: Any, n: int) -> list:
    """Return the user's axes as a list of `n`."""
    found = list(np.ravel(np.array(ax, dtype=object)))
    if len(found) != n:
        raise ValueError(f"ax must hold {n} axes, one for each panel, got {len(found)}.")
    return found


def panel_grid(ax: Any, n: int) -> list:
    """Return the user's axes, or those of a new figure with `n` panels in rows of up to four."""
    if ax is not None:
        return given_axes(ax, n)
    n_rows = -(-n // 4)
    n_columns = -(-n // n_rows)
    size = (3.1 * n_columns, 2.7 * n_rows)
    figure, grid = pyplot().subplots(
        n_rows, n_columns, squeeze=False, figsize=size, layout="constrained"
    )
    for spare in grid.flat[n:]:
        figure.delaxes(spare)
    return list(grid.flat[:n])


def open_frame(axes: Any) -> None:
    """Take away the lines above and to the right, which say nothing."""
    axes.spines[["top", "right"]].set_visible(False)


def short(name: Any, most: int = 24) -> str:
    """Return the name as text, cut where it is long."""
    text = str(name)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def write_names(axes: Any, names: Sequence, axis: str = "x", most: int = 24) -> None:
    """Write names at 0, 1, ... along an axis; every second one or fewer where there are many."""
    step = -(-len(names) // MAX_NAMES) or 1
    places, texts = range(0, len(names), step), [short(name, most) for name in names[::step]]
    if axis == "y":
        axes.set_yticks(places, texts, fontsize="small")
        return
    turned = len(texts) * max(map(len, texts), default=0) > 40 or len(texts) > 12
    turn: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(places, texts, fontsize="small", **(turn if turned else {}))


def write_legend(axes: list, whole: bool) -> None:
    """Write one legend for all panels: above them where the figure is ours, else in the first."""
    if whole:
        marks = axes[0].get_legend_handles_labels()
        axes[0].figure.legend(*marks, loc="outside upper right", ncols=len(marks[0]), frameon=False)
    else:
        axes[0].legend(frameon=False, fontsize="small")


def label_all(axes: list, whole: bool, x: str, y: str) -> None:
    """Name the axes of all panels: once where the figure is ours, else each."""
    if whole:
        axes[0].figure.supxlabel(x, fontsize="medium")
        axes[0].figure.supylabel(y, fontsize="medium")
    for panel in axes if not whole else ():
        panel.set(xlabel=x, ylabel=y)


def bins_around(threshold: float, values: np.ndarray) -> np.ndarray:
    """Return edges of bins that hold all values, one edge at the threshold."""
    low, high = min(values.min(), threshold), max(values.max(), threshold)
    width = (high - low or 1.0) / SCORE_BINS
    first = np.floor((low - threshold) / width - 1e-6)
    last = np.ceil((high - threshold) / width + 1e-6)
    return threshold + width * np.arange(first, last + 1)


def draw_blocks(axes: Any, missing: np.ndarray, **kwargs: Any) -> Any:
    """Draw the cells (n, F), or shares of blocks of rows where there are too many; the image."""
    from matplotlib.colors import LinearSegmentedColormap

    n_rows, n_columns = missing.shape
    starts = np.linspace(0, n_rows, min(n_rows, MAX_BLOCKS), endpoint=False).astype(int)
    sizes = np.diff(np.append(starts, n_rows))[:, None]
    shares = np.add.reduceat(missing.astype(float), starts, axis=0) / sizes
    colours = LinearSegmentedColormap.from_list("missing", [PALE, ORANGE])
    options = {"cmap": colours, "vmin": 0, "vmax": 1, "interpolation": "nearest"} | kwargs
    ends = (-0.5, n_columns - 0.5, n_rows - 0.5, -0.5)
    image = axes.imshow(shares, **({"aspect": "auto", "extent": ends} | options))
    for edge in range(1, n_columns):
        axes.axvline(edge - 0.5, color="white", linewidth=1)
    return image


def draw_numbers(
    axes: Any, column: Column, observed: np.ndarray, imputed: np.ndarray, **kwargs: Any
) -> tuple[Any, Any]:
    """Draw two histograms of the same bins, each of area 1; return their patches."""
    values = np.concatenate([observed, imputed])
    low, high = values.min(), values.max()
    if column.integer and high - low < 24:
        edges = np.arange(np.floor(low) - 0.5, high + 1.0)
    else:
        n_bins = int(np.clip(2 * np.sqrt(len(imputed)), 8, 30))
        edges = np.linspace(low, high if high > low else low + 1.0, n_bins + 1)
    options = {"bins": edges, "density": True} | kwargs
    filling = {"color": SKY, "alpha": 0.6, "label": "observed"}
    outline = {"histtype": "step", "color": ORANGE, "linewidth": 1.8, "label": "imputed"}
    *_, seen = axes.hist(observed, **(filling | options))
    *_, filled = axes.hist(imputed, **(outline | options))
    axes.set_yticks([])
    _write_dates(axes.xaxis, column.temporal)
    return seen, filled


def draw_levels(
    axes: Any, column: Column, observed: np.ndarray, imputed: np.ndarray, **kwargs: Any
) -> tuple[Any, Any]:
    """Draw the share of each level among observed and imputed cells; return the bars."""
    drawn, bars = drawn_levels(column), []
    places = np.arange(len(drawn))
    for values, shift, colour, label in (
        (observed, -0.2, SKY, "observed"),
        (imputed, 0.2, ORANGE, "imputed"),
    ):
        shares = [(values == level).mean() if len(values) else 0.0 for level in drawn]
        options = {"color": colour, "label": label} | kwargs
        bars.append(axes.bar(places + shift, shares, 0.4, **options))
    write_names(axes, [column.levels[level] for level in drawn], most=12)
    axes.set_ylabel("share")
    return bars[0], bars[1]


def draw_agreement(
    axes: Any, column: Column, original: np.ndarray, guess: np.ndarray, **kwargs: Any
) -> tuple[Any, str]:
    """Draw numbers against numbers and the line where they agree; return points, correlation."""
    ends = [min(original.min(), guess.min()), max(original.max(), guess.max())]
    axes.plot(ends, ends, color=GREY, linewidth=1, zorder=0)
    options = {"s": 14, "alpha": 0.6, "color": BLUE, "linewidths": 0} | kwargs
    points = axes.scatter(original, guess, **options)
    _write_dates(axes.xaxis, column.temporal)
    _write_dates(axes.yaxis, column.temporal, offset=False)  # it would stand in the title
    moves = len(original) > 1 and np.ptp(original) > 0 and np.ptp(guess) > 0
    return points, f"r = {np.corrcoef(original, guess)[0, 1]:.2f}" if moves else "r undefined"


def draw_confusion(
    axes: Any, column: Column, original: np.ndarray, guess: np.ndarray, **kwargs: Any
) -> tuple[Any, str]:
    """Draw a point for each pair of levels, its area the count; return points, share right."""
    pairs, counts = np.unique(np.stack([original, guess], 1), axis=0, return_counts=True)
    right = float((original == guess).mean())
    drawn = drawn_levels(column)
    known = np.isin(pairs, drawn).all(1)
    pairs, counts = np.argsort(drawn)[pairs[known].astype(int)], counts[known]
    areas = 500.0 * counts / counts.max(initial=1)
    colours = np.where(pairs[:, 0] == pairs[:, 1], BLUE, ORANGE)
    points = axes.scatter(pairs[:, 0], pairs[:, 1], **({"s": areas, "c": colours} | kwargs))
    names = [column.levels[level] for level in drawn]
    write_names(axes, names, most=12)
    write_names(axes, names, axis="y", most=12)
    axes.set(xlim=(-0.6, len(names) - 0.4), ylim=(-0.6, len(names) - 0.4))
    return points, f"{right:.0%} right"


def drawn_levels(column: Column) -> list[int]:
    """Return places of the most frequent levels, in their order if they have one."""
    n_levels = min(len(column.levels), MAX_LEVELS)
    return [level for level in column.order or range(n_levels) if level < n_levels]


def can_be_shaded(values: pd.Series) -> bool:
    """Return whether the values are numbers, dates or durations."""
    types = pd.api.types
    numbers = types.is_numeric_dtype(values) and not types.is_bool_dtype(values)
    return numbers or _temporal(values) is not None


def _temporal(values: pd.Series) -> str | None:
    if pd.api.types.is_datetime64_any_dtype(values):
        return "datetime"
    return "timedelta" if pd.api.types.is_timedelta64_dtype(values) else None


def draw_shades(axes: Any, points: np.ndarray, values: pd.Series, **kwargs: Any) -> Any:
    """Draw points (n, 2) shaded by numbers or times, grey where missing; the collection."""
    colours = pyplot().get_cmap("viridis").with_extremes(bad=GREY)
    temporal = _temporal(values)
    name = "" if values.name is None else str(values.name)
    if temporal == "datetime":
        values = pd.to_datetime(values, utc=True) - pd.Timestamp(0, tz="UTC")
    if temporal:
        values = pd.to_timedelta(values).dt.total_seconds() / SECONDS_PER_DAY
    shades = values.to_numpy(dtype=float, na_value=np.nan)
    options = {"c": shades, "cmap": colours, "plotnonfinite": True} | kwargs
    drawn = axes.scatter(*points.T, **options)
    bar = axes.figure.colorbar(drawn, ax=axes)
    _write_dates(bar.ax.yaxis, temporal)
    bar.set_label(f"{name}, days" if temporal == "timedelta" else name)
    return drawn


def draw_groups(axes: Any, points: np.ndarray, values: pd.Series, **kwargs: Any) -> list:
    """Draw the most frequent levels in a colour each, others in greys; return the collections."""
    levels = list(values.value_counts().index[: len(COLOURS)])
    if getattr(values.dtype, "ordered", False) or pd.api.types.is_bool_dtype(values):
        levels = [level for level in values.dropna().sort_values().unique() if level in levels]
    unknown, drawn = values.isna().to_numpy(), []
    rare = ~values.isin(levels).to_numpy(dtype=bool) & ~unknown
    for level, colour in zip(levels, COLOURS):
        here = points[(values == level).to_numpy(dtype=bool, na_value=False)]
        drawn.append(axes.scatter(*here.T, **({"color": colour, "label": short(level)} | kwargs)))
    ring = {"facecolors": "none", "edgecolors": GREY}
    for rows, look, word in ((rare, {"color": GREY}, "other"), (unknown, ring, "missing")):
        if rows.any():
            options = look | {"label": word, "zorder": 0} | kwargs
            options |= {"linewidths": 0.8} if look is ring else {}
            drawn.append(axes.scatter(*points[rows].T, **options))
    axes.legend(title=values.name, frameon=False, fontsize="small")
    return drawn


def _write_dates(axis: Any, temporal: str | None, offset: bool = True) -> None:
    """Write the days since 1970 along an axis as dates where they stand for dates."""
    if temporal == "datetime":
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        locator = AutoDateLocator(minticks=3, maxticks=5)
        axis.set_major_locator(locator)
        axis.set_major_formatter(ConciseDateFormatter(locator, show_offset=offset))
    elif temporal == "timedelta":
        axis.set_label_text("days")
