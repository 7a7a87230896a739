"""The result page on draws and intervals."""

from __future__ import annotations

import pandas as pd

from benchmarks import draws, metrics, small_tables
from benchmarks.draw_peers import METHODS, OURS
from benchmarks.markup import figures, origin, page, title
from benchmarks.records import RESULTS

HALVES = {"judging": "Tables that nothing was chosen on", "choosing": "Tables of the choices"}
LEFT_OUT = ["tables", "seconds"]


def newest(lines: pd.DataFrame) -> pd.DataFrame:
    """Return the lines of peers, and those of maetab as it is; points have not changed."""
    as_it_is = (lines["tag"] == "now") | (lines["method"] == "prior points")
    return lines[~lines["method"].isin(OURS) | as_it_is]


def distances(lines: pd.DataFrame, half: str, mechanism: str) -> str:
    """Return methods x mean distances."""
    chosen = lines[(lines["half"] == half) & (lines["mechanism"] == mechanism)].copy()
    wide = draws.summary(chosen, ["mechanism", "method"])
    wide.index = [label.partition(", ")[2] for label in wide.index]
    wide = wide.loc[[method for method in METHODS if method in wide.index]]
    wide = wide.drop(columns=[x for x in wide if x in LEFT_OUT or "ratio" in x])
    return figures(wide.rename(index=METHODS), 3)


def covered(lines: pd.DataFrame, half: str) -> str:
    """Return settings and sizes x shares inside intervals, and CRPS."""
    chosen = lines[(lines["half"] == half) & (lines["tag"] == "now") & (lines["method"] == "prior")]
    names = {"(0, 250]": "up to 250 rows", "(250, 500]": "251 to 500 rows"}
    chosen = chosen.assign(size=chosen["size"].replace(names), half="", method="", tag="")
    wide = small_tables.coverage(chosen)
    wide.index = [label.strip(", ") for label in wide.index]
    return figures(wide.drop(columns="tables"), 3)


def draws_page() -> str:
    """Return the page on draws and intervals."""
    every = draws.lines(RESULTS / "draws.jsonl")
    lines = newest(every)
    small = small_tables.lines(RESULTS / "small_tables.jsonl")
    small = small[small["tag"] == "now"]
    parts = [
        f"{draws.DRAWS} draws of hidden cells of tables of at most {draws.ROWS:,} rows, 30 % of "
        "the cells hidden, beside the true cells; means over six tables. The smaller the better; "
        "AUC is best at .5, and the last two columns at .95.",
        "CRPS and Brier score judge single cells, Wasserstein distance (standard deviations), "
        "total variation and Shape (Kolmogorov-Smirnov or total variation) columns, Trend pairs of "
        "columns (half the difference of correlations, or the total variation of both together), "
        "the energy distance and the AUC of boosted trees that tell filled from true rows whole "
        "rows. The last two are shares of means, and of slopes of a number on the others, that "
        "pooled intervals of 95 % cover (Rubin's rules, for the full table's). Draws of "
        "miceforest are matched values, those of ExtraTrees observed values of a leaf.",
        origin(lines),
    ]
    for half, heading in HALVES.items():
        parts.append(title(heading, "-"))
        for mechanism in ("mcar", "mar"):
            parts += [f"{mechanism.upper()}:", distances(lines, half, mechanism)]
    parts += [
        title("Intervals in small tables", "-"),
        "Share of all hidden numbers inside intervals that are to cover 50, 80, 90 and 95 %, and "
        "CRPS of five draws with its ratio to that of draws of miceforest. *Few* are columns of "
        f"which two cells are equal with a chance of more than {metrics.ALIKE:.0%}: an interval "
        f"holds such a value whole or not at all. First guess alone. {origin(small)}",
    ]
    for half, heading in HALVES.items():
        parts += [f"{heading}:", covered(small, half)]
    return page("Draws and intervals", *parts)
