"""The result page on filled cells, and its picture of error against seconds."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmarks import report
from benchmarks.datasets import LARGE_CHOOSING, half_of
from benchmarks.markup import figures, origin, page, said, table, title
from benchmarks.records import RESULTS

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "images" / "filling.svg"
MECHANISMS = ("mcar", "mar", "mnar")
HALVES = {
    "judging": "Tables that nothing was chosen on",
    "choosing": "Tables that constants of maetab were chosen on",
}
IMPUTERS = {
    "prior": "maetab, first guess alone",
    "extratrees": "chained ExtraTrees (100 trees, 5 rounds)",
    "hyperimpute": "HyperImpute",
    "miceforest": "miceforest (5 rounds, 5 sets averaged)",
    "bayesridge": "chained BayesianRidge",
    "knn": "KNNImputer (10 neighbours)",
    "mean": "mean",
}
HEAD = ["maetab divided by", *(m.upper() for m in MECHANISMS), "worst table"]


def ratio_rows(runs: pd.DataFrame, metric: str) -> list[list[str]]:
    """Return for each other method the ratios by mechanism, and the worst table."""
    rows = []
    for other, shown in IMPUTERS.items():
        cells, worst = [], []
        for mechanism in MECHANISMS:
            chosen = runs[runs["mechanism"] == mechanism]
            found = report.ratios(chosen, "maetab", other, metric)
            cells.append(report.mean_and_wins(found))
            worst += [(value, f"{name}, {mechanism.upper()}") for name, value in found.items()]
        if worst:
            value, where = max(worst)
            rows.append([shown, *cells, f"{value:.3f} ({where})"])
    return rows


def by_half(runs: pd.DataFrame, metric: str) -> list[str]:
    """Return the ratios of a metric, half by half."""
    parts = []
    for half, told in HALVES.items():
        own = runs[half_of(runs["data_set"]) == half]
        if len(own):
            n = own.loc[own[metric].notna(), "table"].nunique()
            parts += [f"{told} ({n} with numbers):", table(HEAD, ratio_rows(own, metric))]
    return parts


def ranks(runs: pd.DataFrame) -> pd.DataFrame:
    """Return, by method, the average rank of its RMSE and the mean accuracy in each mechanism.

    Over the tables on which every method has a result.
    """
    own, columns = runs[runs["method"] != "prior"], {}
    for mechanism in MECHANISMS:
        chosen = own[own["mechanism"] == mechanism]
        error, right = (
            chosen.pivot_table(index="table", columns="method", values=metric).dropna()
            for metric in ("rmse", "accuracy")
        )
        name = mechanism.upper()
        columns[f"{name}, rank ({len(error)})"] = error.rank(axis=1).mean()
        columns[f"{name}, right ({len(right)})"] = right.mean()
    found = pd.DataFrame(columns)
    return found.loc[report.in_order(found.index)].rename(index=IMPUTERS)


def per_table(runs: pd.DataFrame, metric: str) -> str:
    """Return tables x methods, medians over seeds."""
    wide = runs.pivot_table(index="table", columns="method", values=metric, sort=False)
    wide = wide[[m for m in report.ORDER if m in wide]].rename(columns={"prior": "first guess"})
    return figures(wide, 3, "table (rows)")


def _said_of(runs: pd.DataFrame) -> str:
    """Return the geometric means of RMSE of maetab divided by that of others, in words."""
    return said(
        f"{report.geometric_mean(report.ratios(runs, 'maetab', other, 'rmse')):.3f} ({shown})"
        for other, shown in IMPUTERS.items()
        if (runs["method"] == other).any()
    )


def filling() -> str:
    """Return the page on filled cells."""
    runs, _ = report.read(RESULTS / "impute.jsonl")
    inside = runs[runs["setting"] == "in-sample"]
    outside = runs[runs["setting"] == "out-of-sample"]
    draw(inside[inside["mechanism"] == "mcar"], PICTURE)
    parts = [
        f"{inside['table'].nunique()} tables of {inside['rows'].min()} to {inside['rows'].max()} "
        f"rows, {inside['frac'].iloc[0]:.0%} of the cells hidden in all columns (MAR: in all but "
        "the columns that drive it), one mask seed, every method on the same cells. Whole numbers "
        "are floats there and ``keep_grid=False``, so that no error holds their rounding. "
        f"{_failed(inside)}{origin(inside)}",
        title("RMSE", "-"),
        "Error of maetab divided by that of the other method: geometric mean over the tables; in "
        "brackets the number of tables on which maetab is better, ties not counted. Below 1 is for "
        "maetab.",
        *by_half(inside, "rmse"),
        f"On rows that were not in the fit ({outside['table'].nunique()} tables, MCAR): "
        f"{_said_of(outside)}.",
        "Average rank by RMSE, and mean share of categories that are right, over the tables (their "
        "number in brackets) on which every method has a result:",
        figures(ranks(inside), 3),
        title("Error and seconds", "-"),
        "RMSE and seconds of fit and transform on one thread, divided by those of the chained "
        "ExtraTrees: geometric means over the same tables, MCAR.",
        ".. image:: ../images/filling.svg\n   :alt: Error and seconds of each method, divided by "
        "those of chained ExtraTrees",
        title("Wasserstein distance", "-"),
        "The same for the distance between the distributions of filled and of true cells. A filled "
        "cell is an expectation, so a filled column is narrower than the true one, and methods "
        "that pick real values are closer here. ``MAEImputer.sample`` draws from the predicted "
        "distribution instead.",
        *by_half(inside, "wasserstein"),
    ]  # fmt: skip
    for mechanism in MECHANISMS:
        chosen = inside[inside["mechanism"] == mechanism]
        parts += [
            title(f"Single tables, {mechanism.upper()}", "-"),
            "RMSE in standard deviations of the observed cells:",
            per_table(chosen, "rmse"),
            "Accuracy of categories, mean over columns:",
            per_table(chosen[chosen["accuracy"].notna()], "accuracy"),
        ]
    return page("Filled cells", *parts, *large())


def _failed(runs: pd.DataFrame) -> str:
    """Return what is told of runs that failed."""
    failed = runs[runs["error"].notna()]
    named = [f"{r.method} on {r.table}, {r.mechanism.upper()}" for r in failed.itertuples()]
    return f"Without a result: {said(named)}. " if named else ""


def draw(runs: pd.DataFrame, path: Path) -> None:
    """Draw error against seconds, both divided by those of chained ExtraTrees; a mark a half."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for half, mark in zip(HALVES, "os", strict=True):
        own = runs[half_of(runs["data_set"]) == half]
        points = {m: _beside_trees(own, m) for m in report.in_order(own["method"])}
        if points:
            x, y = zip(*points.values(), strict=True)
            axes.plot(x, y, mark, label=HALVES[half])
        for method, point in points.items():
            label, below = ("first guess", True) if method == "prior" else (method, False)
            place = {"xytext": (-4, -12) if below else (4, 4), "textcoords": "offset points"}
            axes.annotate(label, point, **place, fontsize="small")
    axes.margins(0.12)
    axes.set(xscale="log", xlabel="seconds, of those of chained ExtraTrees")
    axes.set_ylabel("RMSE, of that of chained ExtraTrees")
    axes.legend()
    with mpl.rc_context({"svg.hashsalt": "filling"}):
        figure.savefig(path, metadata={"Date": None})


def _beside_trees(runs: pd.DataFrame, method: str) -> tuple[float, float]:
    """Return seconds and RMSE of a method, divided by those of chained ExtraTrees."""
    if method == "extratrees":
        return 1.0, 1.0
    seconds, error = (
        report.geometric_mean(report.ratios(runs, method, "extratrees", metric))
        for metric in ("seconds", "rmse")
    )
    return seconds, error


def large() -> list[str]:
    """Return what is told of large tables."""
    runs, _ = report.read(RESULTS / "impute_large.jsonl")
    choosing = ", ".join(sorted(set(runs["data_set"]) & set(LARGE_CHOOSING)))
    return [
        title("Large tables", "-"),
        f"{runs['rows'].min():,} to {runs['rows'].max():,} rows, MCAR, one mask seed. RMSE of "
        f"maetab divided by others: {_said_of(runs)}. How long networks learn was chosen on "
        f"{choosing}. {origin(runs)}",
        per_table(runs, "rmse"),
        "Accuracy of categories, mean over columns:",
        per_table(runs[runs["accuracy"].notna()], "accuracy"),
    ]
