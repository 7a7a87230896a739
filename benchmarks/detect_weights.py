"""Weights of the parts of a row's score, chosen for each set of anomalies on all the other sets.

    python -m benchmarks.detect_weights --seeds 1
    python -m benchmarks.detect_weights --neighbours 1 5 10
    python -m benchmarks.detect_weights --report

A detector is fitted once per set and experiment of benchmarks.detect; its standardised parts are
then weighted in every way of a grid. The file of results is also the record of what is done.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd

from benchmarks import detect, records
from benchmarks.datasets import list_anomaly_sets
from benchmarks.detectors import METHODS, TRIM, Task
from benchmarks.impute import version_label
from maetab import MAEAnomalyDetector

SCORING = import_module("maetab.engine.scoring")
ROWS = import_module("maetab.engine.row_scores")
EXPERIMENTS = ("one-class", "contaminated", "missing")
PEERS = ("kNN-5", "DTE-NP", "IsolationForest")
MOST_ROWS = 4000  # of a set
# What the parts weigh, where the cells weigh 1. A single cell rarer than any in fit is taken off
# the score that the others have together.
GRID = {
    "nearest": (2.0, 3.0, 4.0),
    "keys": (0.0, 1.0, 2.0),
    "local": (0.0, 1.0, 2.0),
    "robust": (0.5, 1.0, 2.0),
    "single": (0.0, 1.0, 2.0),
}
SHOWN = 24  # ways that the report lists, best first
ALONE = {"single": 1.0, "rest": 1.0}  # parts that are no share of the others' mean
KEY = ("data_set", "experiment", "seed", "version", "neighbours")
METRICS = ["auroc", "ap"]
NAMES = {"auroc": "AUROC", "ap": "AP"}


def parts_of(task: Task, seed: int, neighbours: int) -> dict[str, np.ndarray]:
    """Return by name the standardised parts, (n,) each, of what a detector says of test rows.

    "rest" is what no weight is chosen for, such as levels that were never seen.
    """
    trim = TRIM if task.train is task.test else 0.0
    found: dict[str, np.ndarray] = {}

    def kept(scorer: Any, parts: np.ndarray) -> np.ndarray:
        known = scorer.calibration
        usual = (np.log(parts + known.part_floor) - known.part_center) / known.part_scale
        usual = np.nan_to_num(np.maximum(usual, scorer.least_part))
        found.update(zip(scorer._parts(), usual.T, strict=True))
        return np.zeros(len(parts))

    beyond = SCORING.Scorer._beyond

    def single(scorer: Any, cells: np.ndarray | None) -> float:
        found["single"] = beyond(scorer, cells)
        return 0.0

    with patch.object(ROWS, "KEY_NEIGHBOURS", neighbours):
        detector = MAEAnomalyDetector(random_state=seed, trim=trim).fit(task.train)
        scorer = SCORING.Scorer
        with patch.object(scorer, "normality", kept), patch.object(scorer, "_beyond", single):
            rest = -detector.score_samples(task.test)
    return {name: np.broadcast_to(part, len(rest)) for name, part in found.items()} | {"rest": rest}


def weighted(parts: dict[str, np.ndarray], weights: tuple[float, ...]) -> np.ndarray:
    """Return (n,) how strange rows are, by the weights of the parts in the order of `GRID`."""
    given = ROWS.WEIGHTS | ALONE | dict(zip(GRID, weights, strict=True))
    total = sum(given[name] for name in parts if name not in ALONE)
    shares = {name: given[name] / (1.0 if name in ALONE else total) for name in parts}
    return sum((shares[name] * part for name, part in parts.items()), np.zeros(1))


def measured(name: str, experiment: str, seed: int, neighbours: int) -> dict[str, Any]:
    """Return AUROC and average precision of every way to weight, and of peers."""
    task = detect.make_task(*rows_of(name), experiment, seed)
    parts, ready = parts_of(task, seed, neighbours), detect.prepared(task)
    ways = {" ".join(map(str, ws)): weighted(parts, ws) for ws in product(*GRID.values())}
    ways |= {peer: METHODS[peer](ready, seed) for peer in PEERS}
    judged = {way: detect.judge(task, strange) for way, strange in ways.items()}
    return {way: [round(100 * one[m], 3) for m in METRICS] for way, one in judged.items()}


def rows_of(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return at most `MOST_ROWS` rows of a set, and their labels."""
    X, y = detect.rows_of(name)
    chosen = np.random.default_rng(0).permutation(len(X))[:MOST_ROWS]
    X, y = X[chosen], y[chosen]
    return X[:, np.ptp(X, axis=0) > 0], y


def jobs(options: argparse.Namespace) -> Iterator[tuple[str, str, int, str, int]]:
    """Yield the keys of all runs."""
    version = version_label("maetab", "")
    for seed, name, experiment, k in product(
        range(options.seeds), options.data_sets, EXPERIMENTS, options.neighbours
    ):
        yield name, experiment, seed, version, k


def run(options: argparse.Namespace) -> None:
    """Make every run that is not made yet; append each result the moment it is there."""
    done = records.done(options.output, KEY)
    for job in jobs(options):
        if job not in done:
            name, experiment, seed, _, k = job
            line = dict(zip(KEY, job, strict=True))
            line |= {"found": measured(name, experiment, seed, k)}
            records.append(options.output, line, 1)
            print(*job, flush=True)


# ---- report


def read(path: Path) -> pd.DataFrame:
    """Return a line per run and way: AUROC and average precision in percent."""
    runs = records.read(path)
    lines = [
        {name: run[name] for name in KEY} | {"way": way} | dict(zip(METRICS, both, strict=True))
        for run in runs
        if run["version"] == runs[-1]["version"]
        for way, both in run["found"].items()
    ]
    table = pd.DataFrame(lines)
    whole = table.groupby("data_set")["experiment"].transform("nunique") == len(EXPERIMENTS)
    table = table[whole]
    known = table["way"].isin(PEERS)
    table.loc[~known, "way"] = table["neighbours"].astype(str) + ": " + table["way"]
    return table.drop(columns="neighbours").drop_duplicates([*KEY[:4], "way"])


def per_set(table: pd.DataFrame) -> pd.DataFrame:
    """Return sets x (metric, experiment, way), means over seeds."""
    return table.pivot_table(index="data_set", columns=["experiment", "way"], values=METRICS)


def chosen_elsewhere(wide: pd.DataFrame, ways: list[str]) -> tuple[pd.Series, Counter]:
    """Return what each set gets by the way that is best, in the mean of all, on the other sets.

    The means over sets by metric and experiment, and how often each way was chosen.
    """
    goal = wide.T.groupby("way").mean().T[ways]
    best = {name: str(goal.drop(index=name).mean().idxmax()) for name in wide.index}
    left_out = [wide.loc[name].xs(way, level="way") for name, way in best.items()]
    return pd.concat(left_out, axis=1).mean(axis=1), Counter(best.values())


def summary(table: pd.DataFrame) -> tuple[pd.DataFrame, int, str]:
    """Return the means of peers, of every way and of ways chosen without the set; and how chosen.

    Of the sets that have all experiments, whose number comes second.
    """
    wide = per_set(table).dropna(axis=1)
    ways = [way for way in wide.columns.unique("way") if way not in PEERS]
    place = 2 + list(GRID).index("keys") - 1  # behind the neighbours
    without = [way for way in ways if float(way.split()[place]) == 0]
    rows, told = {}, []
    for name, pool in {"with keys": ways, "without keys": without}.items():
        rows[f"weights of the other sets, {name}"], times = chosen_elsewhere(wide, pool)
        often = ", ".join(f"{way} ({n})" for way, n in times.most_common(3))
        told.append(f"Chosen {name}: {often}.")
    mean = wide.mean().unstack("way")
    order = mean[ways].mean().sort_values(ascending=False).index[:SHOWN]
    rows |= {way: mean[way] for way in [*PEERS, *order]}
    found = pd.DataFrame(rows).T
    found.columns = [f"{experiment}: {NAMES[metric]}" for metric, experiment in found.columns]
    found = found[sorted(found, key=lambda name: EXPERIMENTS.index(name.split(":")[0]))]
    found.insert(0, "mean", found.mean(axis=1))
    return found, len(wide), " ".join(told)


def report(path: Path) -> str:
    """Return the Markdown: means of each way, and of ways chosen without the set."""
    found, n_sets, told = summary(read(path))
    return "\n".join([
        f"Percent, means over {n_sets} sets. A way is: neighbours by keys, then the weights of "
        f"{', '.join(GRID)}, where the cells weigh 1.", "", records.figures(found, 2, "way"), "",
        told, "",
    ])  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    """Run what is left to run, and write the Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data-sets", nargs="+", help="default: all there are")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--neighbours", type=int, nargs="+", default=[ROWS.KEY_NEIGHBOURS])
    parser.add_argument("--output", type=Path, default=records.RESULTS / "detect_weights.jsonl")
    parser.add_argument("--report", action="store_true", help="only write the Markdown")
    options = parser.parse_args(argv)
    options.data_sets = options.data_sets or list_anomaly_sets()
    if not options.report:
        run(options)
    options.output.with_suffix(".md").write_text(report(options.output), encoding="utf-8")


if __name__ == "__main__":
    main()
