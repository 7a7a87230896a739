"""The section on what is missing, and what is missing together."""

from __future__ import annotations

import numpy as np

from maetab.page.filled import Filled
from maetab.page.markup import Markup, element, joined, paragraph, section, shortened, table, users
from maetab.page.pictures import missing_matrix, share_bar

MOST_PATTERNS, MOST_PAIRS, MOST_COLUMNS, MOST_NAMES = 10, 10, 80, 6
MOST_SHARES, MOST_NAMED = 40, 24  # columns in the table of shares; named beside the picture
BINS = 40  # of rows in the picture
LEAST = 0.1  # correlation that is worth a line


def missing_section(done: Filled) -> Markup:
    """Return the section."""
    missing = done.missing
    places = np.flatnonzero(missing.any(0))
    if not len(places):
        return section("missing", "What is missing", paragraph("No cell is missing."))
    complete = int((~missing.any(1)).sum())
    told = paragraph(
        f"{missing.sum():,} of {missing.size:,} cells are missing "
        f"({missing.mean():.1%}), in {len(places):,} of {missing.shape[1]:,} columns. "
        f"{complete:,} of {len(missing):,} rows are complete ({complete / len(missing):.1%})."
    )
    parts = [told, _shares(done, places), _matrix(done, places)]
    return section("missing", "What is missing", *parts, _patterns(done), _pairs(done, places))


def _shares(done: Filled, places: np.ndarray) -> Markup:
    share = done.missing[:, places].mean(0)
    order = np.argsort(-share, kind="stable")[:MOST_SHARES]
    rows = [
        [users(done.columns[places[i]].name), f"{share[i]:.1%}", share_bar(share[i])] for i in order
    ]
    head = ["column", "missing", ""]
    title = "Columns with missing cells, the emptiest first"
    title += f": {MOST_SHARES} of {len(places):,}" * (len(places) > MOST_SHARES)
    return table(title, head, rows, (1,))


def _matrix(done: Filled, places: np.ndarray) -> Markup:
    most = places[np.argsort(-done.missing[:, places].sum(0), kind="stable")[:MOST_COLUMNS]]
    shown = np.sort(most)
    bins = np.array_split(done.in_time(), min(BINS, len(done.frame)))
    shares = np.array([done.missing[np.ix_(rows, shown)].mean(0) for rows in bins])
    order = "their order" if done.layout is None else "order of time, series after series"
    names_of = [str(done.columns[j].name) for j in shown]
    few = "" if len(shown) == len(places) else f" The {len(shown)} emptiest columns."
    if len(shown) <= MOST_NAMED:
        few = f" From left to right: {', '.join(shortened(name, 30) for name in names_of)}."
    names = ", ".join(shortened(name, 20) for name in names_of[:MOST_NAMES])
    more = f" and {len(shown) - MOST_NAMES} more" * (len(shown) > MOST_NAMES)
    label = f"Where cells are missing, in the columns {names}{more}, from the first row to the last"
    caption = (
        f"Where cells are missing: a column of the picture is a column of the table with missing "
        f"cells, in the order of the table; from top to bottom are the rows in {order}. The "
        f"darker, the more is missing: up to a quarter, a half, three quarters, all.{few}"
    )
    return element(
        "figure", element("figcaption", caption), missing_matrix(shares, names_of, label)
    )


def _patterns(done: Filled) -> Markup:
    patterns, counts = np.unique(done.missing, axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:MOST_PATTERNS]
    rows = [
        [f"{counts[i]:,}", f"{counts[i] / len(done.frame):.1%}", _named(done, patterns[i])]
        for i in order
    ]
    title = f"Patterns: which columns rows miss together; {len(counts):,} in all"
    title += f", the {MOST_PATTERNS} most frequent" * (len(counts) > MOST_PATTERNS)
    return table(title, ["rows", "share", "missing in these rows"], rows, (0, 1))


def _named(done: Filled, pattern: np.ndarray) -> Markup | str:
    places = np.flatnonzero(pattern)
    if not len(places):
        return "nothing"
    parts = []
    for i, j in enumerate(places[:MOST_NAMES]):
        parts += [", " if i else "", users(done.columns[j].name)]
    more = f" and {len(places) - MOST_NAMES} more" if len(places) > MOST_NAMES else ""
    return joined(*parts, more)


def _pairs(done: Filled, places: np.ndarray) -> Markup | None:
    """Return the pairs of columns whose gaps go together, or exclude each other."""
    lost = done.missing[:, places]
    lost, places = lost[:, ~lost.all(0)], places[~lost.all(0)]
    if len(places) < 2:
        return None
    found = np.corrcoef(lost, rowvar=False)
    i, j = np.triu_indices(len(places), 1)
    strong = np.flatnonzero(np.abs(found[i, j]) >= LEAST)
    strong = strong[np.argsort(-np.abs(found[i, j][strong]), kind="stable")[:MOST_PAIRS]]
    if not len(strong):
        return paragraph(
            f"No two columns miss their cells together: all correlations of being missing are "
            f"below {LEAST}."
        )
    rows = []
    for pair in strong:
        a, b = i[pair], j[pair]
        names = [users(done.columns[places[k]].name) for k in (a, b)]
        both = int((lost[:, a] & lost[:, b]).sum())
        rows.append([names[0], names[1], f"{found[a, b]:.2f}", f"{both:,}"])
    title = (
        "Columns that miss cells together: correlation of being missing (1: always together, -1: "
        "never), and rows that miss both"
    )
    return table(title, ["column", "and column", "correlation", "rows"], rows, (2, 3))
