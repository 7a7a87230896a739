"""Write the result pages of the documentation from the records in benchmarks/results.

    python -m benchmarks.pages            # docs/results/*.rst; `make report`

Every figure on those pages is computed here. Sentences that name no figure are written by hand.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import (
    pages_draws,
    pages_filling,
    pages_rows,
    pages_series,
    presets,
    records,
    report,
)
from benchmarks.markup import figures, origin, page, table
from benchmarks.records import RESULTS

PAGES = Path(__file__).resolve().parent.parent / "docs" / "results"
SOURCES = {"files": "files", "memory": "memory", "processes": "files, two processes"}


def speed() -> str:
    """Return the page on time and memory."""
    runs, _ = report.read(RESULTS / "time.jsonl")
    seconds = runs.pivot_table(index="table", columns="method", values="seconds", sort=False)
    beside = seconds[["maetab", "extratrees"]]
    beside = beside.assign(ratio=beside["maetab"] / beside["extratrees"])
    lines = pd.DataFrame(records.read(RESULTS / "speed.jsonl"))
    lines["preset"] = lines.get("preset", pd.Series(index=lines.index)).fillna("balanced")
    lines = lines.drop_duplicates(["verb", "rows", "columns", "device", "preset"], keep="last")
    timed = [
        [f"{r.verb}, {r.rows:,} x {r.columns}{', fast' * (r.preset == 'fast')}",
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
        *of_processes(),
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
    lines = lines.drop_duplicates(["rows", "source", "preset", "threads"], keep="last")
    clock = (lines["fit_clock_seconds"] + lines["transform_clock_seconds"]) / 60
    rows = [
        [f"{r.rows:,} x {r.columns}, {SOURCES[r.source]}{', two threads' * (r.threads == 2)}",
         f"{r.fit_seconds:.0f}",
         f"{r.transform_seconds:.0f}", "–" if np.isnan(minutes) else f"{minutes:.0f}",
         f"{r.rows_per_second:,}", f"{r.peak_mib:,}"]
        for r, minutes in zip(lines.itertuples(), clock, strict=True)
    ]  # fmt: skip
    return (
        "Parquet data sets that are read and written in parts, and the same rows in memory: CPU "
        "seconds of fit and transform (of one process, where two share them), minutes of the clock "
        "for both, rows filled in a second, and the highest peak of memory in MiB (of both "
        f"processes). Numbers and four categories, 15 % missing. {origin(lines)}",
        table(["", "fit", "fill", "minutes", "rows per second", "MiB"], rows),
    )


def of_processes() -> tuple[str, ...]:
    """Return what is told of training that two processes share."""
    lines = pd.DataFrame(records.read(RESULTS / "processes.jsonl"))
    rows = [
        [f"{r.backbone}, {r.steps} steps", f"{r.alone_seconds:.1f}", f"{r.shared_seconds:.1f}",
         f"{r.ratio:.2f}", f"{r.least_ratio:.2f}"]
        for r in lines.itertuples()
    ]  # fmt: skip
    return (
        f"Training of {lines['rows'].iloc[0]:,} rows, alone and shared by two processes, in turn: "
        "seconds, and their ratio. The last column is half the seconds of two processes that share "
        "nothing and run at the same time, divided by those of one alone: the least that the "
        f"machine allows. {origin(lines)}",
        table(["backbone", "alone", "shared", "ratio", "least"], rows),
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
    "filling": pages_filling.filling,
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
