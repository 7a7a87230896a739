"""The section that lays the filled cells of each column beside the observed ones."""

from __future__ import annotations

import numpy as np

from maetab.page.columns import bins_of, counted_in, step_of, summary_of
from maetab.page.filled import Filled, spelled
from maetab.page.markup import Markup, element, joined, paragraph, section, shortened, users
from maetab.page.pictures import legend, two_histograms

MOST_COLUMNS = 60


def shapes_section(done: Filled) -> Markup:
    """Return the section."""
    title, was_filled = "Observed and filled cells", done.missing & ~done.left
    places = np.flatnonzero(was_filled.any(0))
    if not len(places):
        return section("shapes", title, paragraph("No cell was filled."))
    order = places[np.argsort(-was_filled[:, places].sum(0), kind="stable")]
    few = ""
    if len(order) > MOST_COLUMNS:
        few = f" Shown are the {MOST_COLUMNS} columns, of {len(order)}, with most filled cells."
    told = paragraph(
        "Shares of the observed cells and of the filled ones. A filled cell is what is expected "
        "there, so that filled cells lie closer together than observed ones: for standard errors "
        "use draws (multiple imputation), not one filled table. Another shape, or another place, "
        f"means that the rows that miss the cell differ from the others.{few}"
    )
    keys = legend(("bars", "observed"), ("outline", "filled"))
    figures = [_figure(done, j, was_filled[:, j]) for j in order[:MOST_COLUMNS]]
    return section("shapes", title, told, keys, element("div", *figures, class_="grid"))


def _figure(done: Filled, place: int, was_filled: np.ndarray) -> Markup:
    column = done.columns[place]
    seen = done.before[:, place][np.isfinite(done.before[:, place])]
    filled = done.after[was_filled, place]
    edges, _ = bins_of(seen, column)
    shares = tuple(counted_in(cells, edges) / len(cells) for cells in (seen, filled))
    caption = element(
        "figcaption",
        element("strong", users(column.name)),
        f": {len(seen):,} observed, {len(filled):,} filled",
    )
    label = (
        f"{shortened(column.name)}. Observed: {summary_of(seen, column)}. "
        f"Filled: {summary_of(filled, column)}."
    )
    ends = _ends(edges, done, place)
    return element("figure", caption, joined(two_histograms(shares[0], shares[1], ends, label)))


def _ends(edges: np.ndarray, done: Filled, place: int) -> tuple[str, str]:
    """Return what is written below the first and the last bin."""
    column = done.columns[place]
    if column.kind == "category":
        n_bins = len(edges) - 1
        last = "others" if np.isinf(edges[-1]) else spelled(n_bins - 1, column)
        first = shortened(spelled(0, column), 16)
        return first, shortened(last, 16) if n_bins > 1 else ""
    half = step_of(column) / 2  # from an edge to the number beside it
    first, last = spelled(column.lower, column), spelled(column.upper, column)
    if column.lower < edges[0]:
        first = f"< {spelled(edges[1] + half, column)}"
    if column.upper >= edges[-1]:
        last = f"≥ {spelled(edges[-2] + half, column)}"
    return first, last if len(edges) > 2 else ""
