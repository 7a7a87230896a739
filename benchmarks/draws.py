"""Draws of hidden cells beside the truth: columns, dependence, rows, and pooled estimates.

    python -m benchmarks.draws --half choosing
    python -m benchmarks.draws --mechanisms mcar --methods prior --tag "8 rows"   # of TRIALS
    python -m benchmarks.draws --report                  # writes results/draws.md

At most 1,000 rows, 30 % of the cells hidden, in sample, five draws. What was chosen was chosen on
the one half of the tables, and is judged on the other. Runs that are in the file are not made
again.
"""

from __future__ import annotations

import argparse
import time
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import metrics, records
from benchmarks.coding import is_number
from benchmarks.draw_peers import METHODS, OURS, sample
from benchmarks.impute import features_of
from maetab.evaluation import amputate

HALVES = {
    "choosing": ("abalone", "compression", "heart", "magic", "obesity", "wine"),
    "judging": ("beijing", "nyc_weather", "pbc", "penguins", "pima", "shoppers"),
}
DRAWS, ROWS = 5, 1000
KEY = ["data_set", "mechanism", "seed", "method", "tag"]
# Constants that were chosen here: how many of the nearest rows have their values mixed in, and how
# many held-out cells speak for what is predicted without them.
MODEL, CALIBRATION = "maetab.nn.ensemble", "maetab.engine.calibration"
TRIALS = {
    "8 rows": (MODEL, "NEAREST", 8),
    "128 rows": (MODEL, "NEAREST", 128),
    "3 cells": (CALIBRATION, "OF_PREDICTED", 3),
    "100 cells": (CALIBRATION, "OF_PREDICTED", 100),
}
SHOWN = {
    "crps": "CRPS",
    "brier": "Brier",
    "wasserstein": "Wasserstein",
    "variation": "variation",
    "shape": "Shape",
    "trend": "Trend",
    "energy": "energy",
    "auc": "AUC",
    "means_cover": "means",
    "slopes_cover": "slopes",
}
RATIOS = ("crps", "wasserstein", "shape", "trend", "energy")


def measure(
    truth: pd.DataFrame, missing: pd.DataFrame, hidden: np.ndarray, drawn: list[pd.DataFrame]
) -> dict[str, float]:
    """Return every distance of some draws from the truth, means over columns and draws."""
    found: dict[str, list[float]] = {}
    for j, name in enumerate(truth):
        rows = hidden[:, j]
        if not rows.any():
            continue
        for key, value in _of_column(truth[name], missing[name], rows, drawn).items():
            found.setdefault(key, []).append(value)
    out = {key: float(np.mean(values)) for key, values in found.items()}
    matrices = metrics.as_rows(truth, *drawn)
    out["trend"] = float(np.mean([metrics.trend(truth, one, hidden) for one in drawn]))
    out["energy"] = float(np.mean([metrics.energy(matrices[0], x) for x in matrices[1:]]))
    out["auc"] = metrics.told_apart(*matrices[:2], seed=0)
    return out | pooled(truth, drawn)


def _of_column(
    truth: pd.Series, missing: pd.Series, rows: np.ndarray, drawn: list[pd.DataFrame]
) -> dict[str, float]:
    """Return the distances of one column; `rows` (n,) bool are hidden."""
    number, true = is_number(truth), truth[rows]
    scale = (float(np.nanstd(missing.to_numpy(float))) or 1.0) if number else 1.0
    cells = [one[truth.name][rows] for one in drawn]
    kind: Any = float if number else object
    score = metrics.crps(np.stack([x.to_numpy(kind) for x in cells]), true.to_numpy(kind))
    each = pd.DataFrame([metrics.marginal(true, x, scale) for x in cells])
    return each.mean().to_dict() | {"crps" if number else "brier": float(score.mean()) / scale}


def pooled(truth: pd.DataFrame, drawn: list[pd.DataFrame]) -> dict[str, float]:
    """Return shares of means, and of slopes of a number on the others, that pooled draws cover.

    Over the rows and columns that were complete before cells were hidden.
    """
    number = [x for x in truth if is_number(truth[x]) and truth[x].notna().all()]
    if len(drawn) < 2 or not number:
        return {}

    def slopes(frame: pd.DataFrame) -> np.ndarray:
        x = (frame[number] - truth[number].mean()) / truth[number].std()
        design = np.column_stack([np.ones(len(x)), x.to_numpy()[:, 1:]])
        return np.linalg.lstsq(design, x.to_numpy()[:, 0], rcond=None)[0]

    means = metrics.pooled_cover([x[number].mean() for x in drawn], truth[number].mean())
    out = {"means_cover": float(np.mean(means))}
    if len(number) > 2:
        covered = metrics.pooled_cover([slopes(x) for x in drawn], slopes(truth))
        out["slopes_cover"] = float(np.mean(covered))
    return out


def run(options: argparse.Namespace) -> None:
    """Make every run that is not made yet."""
    done = records.done(options.output, KEY)
    if options.tag in TRIALS:
        module, constant, value = TRIALS[options.tag]
        setattr(import_module(module), constant, value)
    for name in options.data_sets or HALVES[options.half]:
        truth = features_of(name, ROWS)
        for mechanism in options.mechanisms:
            missing, hidden = amputate(truth, mechanism, 0.3, random_state=options.seed)
            for method in options.methods:
                tag = options.tag if method in OURS else ""
                line: dict[str, Any] = dict(
                    zip(KEY, (name, mechanism, options.seed, method, tag), strict=True)
                )
                if tuple(line.values()) in done:
                    continue
                start = time.process_time()
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # chains that have not converged
                    drawn = sample(method, missing, DRAWS, options.seed)
                line |= {"rows": len(truth), "seconds": time.process_time() - start}
                line |= measure(truth, missing, np.asarray(hidden, bool), drawn)
                records.append(options.output, line, 1)
                shown = [f"{k} {v:.3f}" for k, v in line.items() if isinstance(v, float)]
                print(*list(line.values())[:5], *shown, flush=True)


def lines(output: Path) -> pd.DataFrame:
    """Return the runs that are done, with their half."""
    table = pd.DataFrame(records.read(output))
    halves = {name: half for half, names in HALVES.items() for name in names}
    return table.assign(half=table["data_set"].map(halves).fillna("neither"))


def summary(table: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Return, by group, means, and geometric means of ratios to miceforest on the same cells."""
    task = ["data_set", "mechanism", "seed"]
    peers = records.beside(table, table[table["method"] == "miceforest"], task)
    ratios = [f"{SHOWN[name]} ratio" for name in RATIOS]
    table[ratios] = np.log(table[list(RATIOS)] / peers[list(RATIOS)]).to_numpy()
    kept = [x for x in SHOWN if x in table]
    means = records.means(table.sort_values(by), by, [*kept, *ratios, "seconds"], ratios)
    return means.rename(columns=SHOWN)


def trials(table: pd.DataFrame) -> pd.DataFrame:
    """Return, by trial, geometric means of distances to those of maetab as it is, same tables."""
    task = ["data_set", "mechanism", "seed", "method"]
    tried = table[table["tag"].isin(TRIALS)].copy()
    first = records.beside(tried, table[table["tag"] == "now"], task)
    tried[list(RATIOS)] = np.log(tried[list(RATIOS)] / first[list(RATIOS)])
    return records.means(tried, ["tag", "method"], RATIOS, RATIOS).rename(columns=SHOWN)


def main(argv: list[str] | None = None) -> None:
    """Run what is left to run, or print the report."""
    parser = argparse.ArgumentParser(prog="benchmarks.draws", description=__doc__)
    add = parser.add_argument
    add("--half", default="choosing", choices=HALVES)
    add("--data-sets", nargs="+", metavar="NAME", help="these tables instead of a half")
    add("--mechanisms", nargs="+", default=["mcar", "mar"])
    add("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    add("--seed", type=int, default=0)
    add("--tag", default="now", help="a variant of maetab, of TRIALS or changed by hand")
    add("--output", type=Path, default=records.RESULTS / "draws.jsonl")
    add("--report", action="store_true", help="print and write the means of what is done")
    options = parser.parse_args(argv)
    if not options.report:
        run(options)
        return
    by = ["half", "mechanism", "method", "tag"]
    every = lines(options.output)
    whole = every[~every["tag"].isin(TRIALS)].copy()
    told = records.figures(summary(whole, by), 3, ", ".join(by))
    if every["tag"].isin(TRIALS).any():
        tried = records.figures(trials(every), 3, "trial, method")
        told += f"\n\nTrials, divided by what is the default now:\n\n{tried}"
    records.write(options.output, "Draws", told)


if __name__ == "__main__":
    main()
