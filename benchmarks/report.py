"""Write the results of `benchmarks.impute` as Markdown tables.

    python -m benchmarks.report --results benchmarks/results/impute.jsonl

Figures are medians over mask seeds. Ratios are taken where both methods have a result, per
table and seed, on the same hidden cells.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import records
from benchmarks.records import RESULTS, markdown

ORDER = ["maetab", "prior", "extratrees", "hyperimpute", "miceforest"]
ORDER += ["bayesridge", "knn", "mean"]
METRICS = {
    "rmse": ("RMSE (standard deviations, lower is better)", 4, min),
    "mae": ("MAE (standard deviations, lower is better)", 4, min),
    "wasserstein": ("Wasserstein distance (mean over columns, lower is better)", 4, min),
    "accuracy": ("Accuracy of categories (mean over columns, higher is better)", 4, max),
    "f1_macro": ("Macro-F1 of categories (mean over columns, higher is better)", 4, max),
    "seconds": ("Seconds (fit and transform)", 1, None),
    "peak_mib": ("Peak memory of the process, MiB", 0, None),
}
RUN = ["table", "mechanism", "seed", "setting", "frac", "threads", "method"]


def read(path: Path) -> tuple[pd.DataFrame, int]:
    """Return the results that count, one row per run, and how many older lines do not.

    Of each method the newest version counts, of each table the newest hidden cells, of each
    run the last line.
    """
    lines = pd.DataFrame(records.read(path))
    if lines.empty:
        raise ValueError(f"{path} holds no results; run benchmarks.impute first.")
    for name in [*METRICS, "error"]:
        if name not in lines:
            lines[name] = None if name == "error" else np.nan
    lines["table"] = [f"{n} ({r})" for n, r in zip(lines["data_set"], lines["rows"], strict=True)]
    kept = records.newest(lines, [*RUN, "cells"])
    cells = kept.groupby(["table", "mechanism", "seed", "frac"])["cells"].transform("last")
    kept = kept[kept["cells"] == cells]
    return kept.reset_index(drop=True), len(lines) - len(kept)


def in_order(methods: Iterable[str]) -> list[str]:
    """Return the methods present, ours first."""
    present = set(methods)
    return [m for m in ORDER if m in present] + sorted(present - set(ORDER))


def ratios(runs: pd.DataFrame, ours: str, other: str, metric: str) -> pd.Series:
    """Return per table the median over seeds of ours / other, where both have a result."""
    wide = runs.pivot(index=["table", "seed"], columns="method", values=metric)
    if ours not in wide or other not in wide:
        return pd.Series(dtype=float)
    both = wide[[ours, other]].astype(float).dropna()
    both = both[both[other] > 0]
    return (both[ours] / both[other]).groupby(level="table").median()


def geometric_mean(values: pd.Series) -> float:
    """Return the geometric mean of positive values."""
    return float(np.exp(np.log(values.to_numpy()).mean()))


def ratio_table(runs: pd.DataFrame, metric: str, ours: str = "maetab") -> str:
    """Return, per peer and mechanism, the geometric mean ratio of ours to the peer."""
    mechanisms = list(dict.fromkeys(runs["mechanism"]))
    rows = []
    for other in in_order(runs["method"]):
        if other == ours:
            continue
        cells, worst = [other], []
        for mechanism in mechanisms:
            found = ratios(runs[runs["mechanism"] == mechanism], ours, other, metric)
            cells.append(mean_and_wins(found))
            worst += [(r, f"{r:.3f} ({t}, {mechanism})") for t, r in found.items()]
        rows.append([*cells, max(worst)[1] if worst else "–"])
    return markdown([f"{ours} /", *mechanisms, "worst"], rows)


def mean_and_wins(found: pd.Series) -> str:
    """Return the geometric mean of ratios, and how many of them are below 1."""
    if found.empty:
        return "–"
    return f"{geometric_mean(found):.3f} (better on {(found < 1).sum()} of {len(found)})"


def metric_table(runs: pd.DataFrame, metric: str) -> str:
    """Return table by method, medians over seeds, the best in bold, failures named."""
    _, digits, best_of = METRICS[metric]
    methods = in_order(runs["method"])
    grouped = dict(list(runs.groupby(["table", "method"])))
    against = metric == "seconds" and {"maetab", "extratrees"} <= set(methods)
    faster = ratios(runs, "maetab", "extratrees", "seconds") if against else None
    rows = []
    for table in dict.fromkeys(runs["table"]):
        medians = {m: _median(grouped.get((table, m)), metric) for m in methods}
        told = [v for v in medians.values() if v is not None]
        applies = told or runs.loc[runs["table"] == table, "error"].notna().all()
        if not applies:
            continue
        best = best_of(told) if told and best_of else None
        cells = [_cell(grouped.get((table, m)), medians[m], digits, best) for m in methods]
        if faster is not None:
            cells.append(f"{faster[table]:.2f}" if table in faster else "–")
        rows.append([table, *cells])
    extra = ["maetab / extratrees"] if against else []
    return markdown(["table", *methods, *extra], rows) if rows else ""


def _median(runs: pd.DataFrame | None, metric: str) -> float | None:
    """Return the median over the seeds that succeeded, None where there is none."""
    if runs is None:
        return None
    values = runs.loc[runs["error"].isna(), metric].astype(float).dropna()
    return float(values.median()) if len(values) else None


def _cell(runs: pd.DataFrame | None, value: float | None, digits: int, best: float | None) -> str:
    """Return one figure as text, with the number of its failed seeds."""
    failed = 0 if runs is None else int(runs["error"].notna().sum())
    if value is None:
        return "failed" if failed else "–"
    shown = f"{value:.{digits}f}"
    shown = f"**{shown}**" if best is not None and shown == f"{best:.{digits}f}" else shown
    return f"{shown} ({failed} of {len(runs)} failed)" if failed else shown


def failures(runs: pd.DataFrame) -> str:
    """Return every failed run with its error."""
    failed = runs[runs["error"].notna()]
    if failed.empty:
        return "No run failed."
    lines = [f"{len(failed)} of {len(runs)} runs failed:", ""]
    for _, r in failed.iterrows():
        what = str(r["error"]).replace("\n", " ")
        named = f"{r['method']}, {r['table']}, {r['mechanism']}, seed {r['seed']}, {r['setting']}"
        lines.append(f"- {named}: {what}")
    return "\n".join(lines)


def about(runs: pd.DataFrame, older: int) -> str:
    """Return what was run, where, and what was left out."""
    versions = runs.groupby("method")["version"].last()
    named = ", ".join(f"{m} {versions[m]}" for m in in_order(versions.index))
    machines = runs[["machine", "cpus", "python"]].drop_duplicates().astype(str)
    where = "; ".join(f"{m}, {c} CPUs, Python {p}" for m, c, p in machines.to_numpy())
    first, last = runs["date"].min()[:10], runs["date"].max()[:10]
    count = f"{len(runs)} runs, {runs['error'].notna().sum()} failed"
    aside = f" {older} lines of older versions or repeated runs are not shown." if older else ""
    return f"{count}; {first} to {last}; {where}.{aside}\n\nVersions: {named}."


def section(runs: pd.DataFrame, title: str) -> str:
    """Return all tables of one setting."""
    parts = [f"## {title}"]
    for metric, word in (("rmse", "RMSE"), ("wasserstein", "Wasserstein"), ("seconds", "seconds")):
        if runs.loc[runs["method"] == "maetab", metric].notna().any():
            parts += [f"### maetab against each method: {word}", ratio_table(runs, metric)]
            parts.append("Geometric mean over tables; below 1 is for maetab.")
    for mechanism in dict.fromkeys(runs["mechanism"]):
        chosen = runs[runs["mechanism"] == mechanism]
        share, seeds = chosen["hidden_share"].median(), chosen["seed"].nunique()
        parts.append(f"### {mechanism.upper()}: {share:.1%} of all cells hidden, {seeds} seed(s)")
        for metric, (caption, _, _) in METRICS.items():
            shown = metric_table(chosen, metric)
            parts += [f"**{caption}**", shown] if shown else []
    return "\n\n".join(parts)


def report(runs: pd.DataFrame, older: int, note: str = "") -> str:
    """Return the whole report as Markdown, with a note on how the runs were made."""
    parts = ["# Imputation benchmark", about(runs, older), failures(runs)]
    parts += [note] if note else []
    for (setting, frac, threads), chosen in runs.groupby(["setting", "frac", "threads"]):
        title = f"{setting.capitalize()}, {frac:.0%} asked to be hidden, {threads} thread(s)"
        parts.append(section(chosen, title))
    return "\n\n".join(parts) + "\n"


def main(argv: list[str] | None = None) -> None:
    """Read the results and write the report."""
    parser = argparse.ArgumentParser(prog="benchmarks.report", description=__doc__.split("\n")[0])
    parser.add_argument("--results", type=Path, default=RESULTS / "impute.jsonl")
    parser.add_argument("--output", type=Path, default=RESULTS / "impute.md")
    parser.add_argument("--note", default="", help="a paragraph that is put in front")
    options = parser.parse_args(argv)
    text = report(*read(options.results), options.note)
    options.output.write_text(text, encoding="utf-8")
    print(options.output)


if __name__ == "__main__":
    main()
