"""Write the result pages of the documentation from the records in benchmarks/results.

    python -m benchmarks.pages            # docs/results/*.rst; `make report`

Every figure on those pages is computed here. Sentences that name no figure are written by hand.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from benchmarks import pages_draws, pages_rows, pages_series, presets, records, report
from benchmarks.datasets import LARGE_CHOOSING
from benchmarks.markup import figures, origin, page, said, table, title
from benchmarks.records import RESULTS

PAGES = Path(__file__).resolve().parent.parent / "docs" / "results"
MECHANISMS = ("mcar", "mar", "mnar")
IMPUTERS = {
    "prior": "maetab, first guess alone",
    "extratrees": "chained ExtraTrees (100 trees, 5 rounds)",
    "miceforest": "miceforest (5 rounds, 5 sets averaged)",
    "bayesridge": "chained BayesianRidge",
    "knn": "KNNImputer (10 neighbours)",
    "mean": "mean",
}


# ---- filling


def ratio_rows(runs: pd.DataFrame, metric: str) -> list[list[str]]:
    """Return for each other method the ratios by mechanism, and the worst table."""
    rows = []
    for other, shown in IMPUTERS.items():
        cells, worst = [], []
        for mechanism in MECHANISMS:
            chosen = runs[runs["mechanism"] == mechanism]
            found = report.ratios(chosen, "maetab", other, metric)
            better = int((found < 1).sum())
            cells.append(f"{report.geometric_mean(found):.3f} ({better} of {len(found)})")
            worst += [(value, f"{name}, {mechanism.upper()}") for name, value in found.items()]
        value, where = max(worst)
        rows.append([shown, *cells, f"{value:.3f} ({where})"])
    return rows


def per_table(runs: pd.DataFrame, metric: str) -> str:
    """Return tables x methods, medians over seeds."""
    wide = runs.pivot_table(index="table", columns="method", values=metric, sort=False)
    wide = wide[[m for m in report.ORDER if m in wide]].rename(columns={"prior": "first guess"})
    return figures(wide, 3, "table (rows)")


def filling() -> str:
    """Return the page on filled cells."""
    runs, _ = report.read(RESULTS / "impute.jsonl")
    inside = runs[runs["setting"] == "in-sample"]
    outside = runs[runs["setting"] == "out-of-sample"]
    new = [
        f"{report.geometric_mean(report.ratios(outside, 'maetab', other, 'rmse')):.3f} ({shown})"
        for other, shown in IMPUTERS.items()
        if (outside["method"] == other).any()
    ]
    made = origin(inside)
    head = ["maetab divided by", *(m.upper() for m in MECHANISMS), "worst table"]
    parts = [
        f"{inside['table'].nunique()} tables of {inside['rows'].min()} to {inside['rows'].max()} "
        f"rows, {inside['frac'].iloc[0]:.0%} of the cells hidden in all columns (MAR: in all but "
        "the columns that drive it), one mask seed, every method on the same cells. Whole numbers "
        f"are floats there and ``keep_grid=False``, so that no error holds their rounding. {made}",
        title("RMSE", "-"),
        "Error of maetab divided by that of the other method: geometric mean over the tables; in "
        "brackets the number of tables on which maetab is better, ties not counted. Below 1 is for "
        "maetab.",
        table(head, ratio_rows(inside, "rmse")),
        f"On rows that were not in the fit (MCAR): {said(new)}.",
        title("Wasserstein distance", "-"),
        "The same for the distance between the distributions of filled and of true cells. A filled "
        "cell is an expectation, so a filled column is narrower than the true one, and methods "
        "that pick real values are closer here. ``MAEImputer.sample`` draws from the predicted "
        "distribution instead.",
        table(head, ratio_rows(inside, "wasserstein")),
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


def large() -> list[str]:
    """Return what is told of large tables."""
    runs, _ = report.read(RESULTS / "impute_large.jsonl")
    ratio = [
        f"{report.geometric_mean(report.ratios(runs, 'maetab', other, 'rmse')):.3f} ({shown})"
        for other, shown in IMPUTERS.items()
        if (runs["method"] == other).any()
    ]
    choosing = ", ".join(sorted(set(runs["data_set"]) & set(LARGE_CHOOSING)))
    return [
        title("Large tables", "-"),
        f"{runs['rows'].min():,} to {runs['rows'].max():,} rows, MCAR, one mask seed. RMSE of "
        f"maetab divided by others: {said(ratio)}. How long networks learn was chosen on "
        f"{choosing}. {origin(runs)}",
        per_table(runs, "rmse"),
        "Accuracy of categories, mean over columns:",
        per_table(runs[runs["accuracy"].notna()], "accuracy"),
    ]


# ---- time


def speed() -> str:
    """Return the page on time and memory."""
    runs, _ = report.read(RESULTS / "time.jsonl")
    seconds = runs.pivot_table(index="table", columns="method", values="seconds", sort=False)
    beside = seconds[["maetab", "extratrees"]]
    beside = beside.assign(ratio=beside["maetab"] / beside["extratrees"])
    lines = pd.DataFrame(records.read(RESULTS / "speed.jsonl"))
    lines = lines.drop_duplicates(["verb", "rows", "columns", "device"], keep="last")
    timed = [
        [f"{r.verb}, {r.rows:,} x {r.columns}",
         f"{r.cpus} CPUs, {r.threads} threads" if r.device == "cpu" else r.accelerator,
         f"{r.fit_seconds:.1f}",
         f"{r.transform_seconds if r.verb == 'impute' else r.score_seconds:.1f}"]
        for r in lines.itertuples()
    ]  # fmt: skip
    limits = pd.DataFrame(records.read(RESULTS / "limits.jsonl"))
    limits["limit"] = limits["max_time"].astype(float)
    kept = [
        [f"{estimator}, max_time={limit:.0f}", len(part), f"{part['rows'].max():,}",
         f"{part['columns'].max():,}", f"{part['fit_seconds'].max():.1f}",
         f"{part['use_seconds'].max():.1f}", f"{part['peak_mib'].max():,.0f}"]
        for (estimator, limit), part in limits.groupby(["estimator", "limit"])
    ]  # fmt: skip
    alone = pd.DataFrame(records.read(RESULTS / "one_row.jsonl"))
    alone = alone.drop_duplicates(["table", "missing", "estimator"], keep="last")
    single = [
        [f"{r.estimator}, {r.table} ({r.rows}), {r.missing:.0%} missing",
         f"{r.first_ms:.1f}", f"{r.then_ms:.1f}"]
        for r in alone.itertuples()
    ]  # fmt: skip
    return page(
        "Time and memory",
        f"Seconds of fit and transform beside the chained ExtraTrees. {origin(runs)}",
        figures(beside, 2, "table (rows)"),
        *of_presets(),
        "Larger tables, seconds. The detector is fitted on 10,000 rows and scores all; the imputer "
        f"is fitted on all rows and fills them. {origin(lines)}",
        table(["", "on", "fit", "fill or score"], timed),
        *of_scale(),
        "With a limit: the largest table, the longest fit, the longest use of what was fitted "
        f"(seconds), and the highest peak of memory. {origin(limits)}",
        table(["", "tables", "rows", "columns", "fit", "use", "MiB"], kept),
        "One row, by a model that was saved and loaded: milliseconds of the first call, and the "
        f"median of twenty further ones. {origin(alone)}",
        table(["", "first", "then"], single),
    )


def of_scale() -> tuple[str, ...]:
    """Return what is told of tables that are read in parts."""
    lines = pd.DataFrame(records.read(RESULTS / "scale.jsonl"))
    lines = lines.drop_duplicates(["rows", "source", "preset"], keep="last")
    rows = [
        [f"{r.rows:,} x {r.columns}, {r.source}", f"{r.fit_seconds:.0f}",
         f"{r.transform_seconds:.0f}", f"{r.rows_per_second:,}", f"{r.peak_mib:,}"]
        for r in lines.itertuples()
    ]  # fmt: skip
    return (
        "Parquet data sets that are read and written in parts, and the same rows in memory: CPU "
        "seconds of fit and transform, rows filled in a second, and the highest peak of memory in "
        f"MiB. Numbers and four categories, 15 % missing. {origin(lines)}",
        table(["", "fit", "fill", "rows per second", "MiB"], rows),
    )


def of_presets() -> tuple[str, ...]:
    """Return what is told of the presets."""
    file = RESULTS / "presets.jsonl"
    found = presets.ratios(file).rename(
        columns={"ratio": "error", "time": "seconds", "worst": "error, worst table"}
    )
    n_tables, lines = found.pop("tables"), pd.DataFrame(records.read(file))
    found.index = [f"{name} ({n:.0f})" for name, n in zip(found.index, n_tables, strict=True)]
    return (
        "Presets of the imputer, divided by chained ExtraTrees on the same tables of 1,000 to "
        f"{lines['rows'].max():,} rows: geometric means of RMSE and of CPU seconds, by how much "
        "the share of categories that are right is larger, and RMSE on the worst table. What a "
        f'preset is, was chosen on the tables called "choosing". One mask seed. {origin(lines)}',
        figures(found, 3, "half, method (tables)"),
        ".. image:: ../images/presets.svg\n   :alt: Error and seconds of each preset, divided by "
        "those of chained ExtraTrees",
    )


WRITERS: dict[str, Callable[[], str]] = {
    "filling": filling,
    "draws": pages_draws.draws_page,
    "anomalies": pages_rows.anomalies,
    "features": pages_rows.features,
    "target": pages_rows.target,
    "series": pages_series.series_page,
    "speed": speed,
}


def main(argv: Sequence[str] | None = None) -> None:
    """Write every page."""
    parser = argparse.ArgumentParser(prog="benchmarks.pages", description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, default=PAGES)
    folder = parser.parse_args(argv).output
    folder.mkdir(parents=True, exist_ok=True)
    for name, write in WRITERS.items():
        (folder / f"{name}.rst").write_text(write(), encoding="utf-8")
        print(folder / f"{name}.rst")


if __name__ == "__main__":
    main()
