"""Tables of few rows: errors beside chained ExtraTrees, what intervals cover, and CRPS.

    python -m benchmarks.small_tables --half choosing --rows 150 300 600 2000 --tag now
    python -m benchmarks.small_tables --report

MCAR, 30 % of the cells, in sample and out of sample. What was chosen was chosen on the one half of
the tables, and is judged on the other. Runs that are in the file are not made again.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import records
from benchmarks.datasets import HALVES, half_of
from benchmarks.impute import Task, features_of, score, split
from benchmarks.metrics import crps, many_values
from benchmarks.mice_peer import MiceForestPeer
from benchmarks.peers import OURS, make
from maetab.evaluation import amputate

COVERAGES = (0.5, 0.8, 0.9, 0.95)
DRAWS = 5
KINDS = ("many", "few")
BY = ["half", "setting", "size", "method", "tag"]
COVERED = (
    "Share of all hidden numbers inside intervals that are to cover 50, 80, 90 and 95 %, and CRPS "
    f"of {DRAWS} draws in deviations, with its ratio to that of draws of miceforest on the same "
    "cells (geometric mean). `many`, `few`: columns of which two cells are equal with a chance of "
    "at most 1 %, or of more."
)
KEY = ["data_set", "rows", "setting", "method", "tag"]


def measure(task: Task, method: str, seed: int) -> dict[str, Any]:
    """Return errors, the processor's seconds and, of maetab, what intervals cover."""
    train = task.missing.iloc[task.train].reset_index(drop=True)
    test = task.missing.iloc[task.test].reset_index(drop=True)
    start = time.process_time()
    if method == "miceforest":
        peer = MiceForestPeer(DRAWS, 5, 1, seed, drawn=True)
        drawn = peer.sample(train) if task.in_sample else peer.fit(train).sample_new(test)
        return {"fit": time.process_time() - start} | scored(task, drawn)
    imputer: Any = make(method, seed)
    if task.in_sample and method not in OURS:
        filled = imputer.fit_transform(train)
        return score(task, filled) | {"fit": time.process_time() - start}
    imputer.fit(train)
    found: dict[str, Any] = {"fit": time.process_time() - start}
    found |= score(task, imputer.transform(test))
    if method in OURS:
        found |= covered(task, imputer, test) | likelihood(task, imputer, test)
        found |= scored(task, imputer.sample(test, DRAWS, seed))
    return found


def hidden_numbers(task: Task) -> Iterator[tuple[str, str, np.ndarray, np.ndarray, float]]:
    """Give name, kind, hidden rows of the judged, their truth and the deviation, by column.

    kind : "many" or "few", how many values the column has
    """
    for j, name in enumerate(task.truth):
        hidden, column = task.hidden[task.test, j], task.truth[name]
        if column.dtype == np.float64 and hidden.any():
            scale = np.nanstd(task.missing[name].iloc[task.train].to_numpy()) or 1.0
            kind = "many" if many_values(column) else "few"
            yield name, kind, hidden, column.iloc[task.test].to_numpy()[hidden], float(scale)


def covered(task: Task, imputer: Any, test: pd.DataFrame) -> dict[str, Any]:
    """Return the share of hidden numbers in intervals, and their mean width in deviations.

    Of columns of many and of few values apart: see `many_values`.
    """
    found: dict[str, Any] = {}
    for _, kind, hidden, *_ in hidden_numbers(task):
        found[f"cells_{kind}"] = found.get(f"cells_{kind}", 0) + int(hidden.sum())
    for coverage in COVERAGES:
        low, high = imputer.predict_interval(test, coverage)
        each: dict[str, list[np.ndarray]] = {}
        for name, kind, hidden, truth, scale in hidden_numbers(task):
            bottom, top = (x[name].to_numpy()[hidden] for x in (low, high))
            inside = (bottom <= truth + 1e-9) & (truth <= top + 1e-9)
            each.setdefault(f"covers_{100 * coverage:.0f}_{kind}", []).append(inside)
            each.setdefault(f"width_{100 * coverage:.0f}_{kind}", []).append((top - bottom) / scale)
        found |= {key: float(np.concatenate(parts).mean()) for key, parts in each.items()}
    return found


def scored(task: Task, drawn: list[pd.DataFrame]) -> dict[str, Any]:
    """Return the mean CRPS of draws of hidden numbers, in deviations, by kind of column."""
    each: dict[str, list[np.ndarray]] = {}
    for name, kind, hidden, truth, scale in hidden_numbers(task):
        cells = np.stack([one[name].to_numpy()[hidden] for one in drawn])
        each.setdefault(f"crps_{kind}", []).append(crps(cells, truth) / scale)
    return {key: float(np.concatenate(parts).mean()) for key, parts in each.items()}


def likelihood(task: Task, imputer: Any, test: pd.DataFrame) -> dict[str, Any]:
    """Return the mean negative log-probability of hidden categories, at most that of .001."""
    chances = imputer.predict_proba(test)
    lost: list[float] = []
    for j, name in enumerate(task.truth):
        if task.truth[name].dtype == np.float64:
            continue
        hidden = task.hidden[task.test, j]
        truth = task.truth[name].iloc[task.test][hidden]
        own = chances[name].loc[hidden]
        columns = {str(level): k for k, level in enumerate(own.columns)}
        for chance, level in zip(own.to_numpy(), truth, strict=True):
            place = columns.get(str(level))
            lost.append(-np.log(max(1e-3, 0.0 if place is None else chance[place])))
    return {"log_loss": float(np.mean(lost))} if lost else {}


def run(options: argparse.Namespace) -> None:
    """Make every run that is not made yet."""
    done = records.done(options.output, KEY)
    for name in options.data_sets or HALVES[options.half]:
        sizes = {len(features_of(name, n)): n for n in sorted(options.rows, reverse=True)}
        for rows, asked in sizes.items():
            truth = features_of(name, asked)
            missing, hidden = amputate(truth, "mcar", 0.3, random_state=options.seed)
            for setting in options.settings:
                task = split(truth, missing, hidden, setting, options.seed)
                for method in options.methods:
                    tag = options.tag if method in OURS else ""
                    line = dict(zip(KEY, (name, rows, setting, method, tag), strict=True))
                    if tuple(line.values()) in done:
                        continue
                    line |= {"columns": truth.shape[1]} | measure(task, method, options.seed)
                    records.append(options.output, line, 1)
                    shown = [f"{k} {v:.3f}" for k, v in line.items() if isinstance(v, float)]
                    print(*list(line.values())[:5], *shown, flush=True)


def lines(output: Path) -> pd.DataFrame:
    """Return the runs of maetab, with half and size, and what they are to peers on the same cells.

    Ratios as logarithms.
    """
    table = pd.DataFrame(records.read(output))
    task = ["data_set", "rows", "setting"]
    ours = table[table["method"].isin(OURS)].copy()
    trees, drawn = (
        records.beside(ours, table[table["method"] == method].drop_duplicates(task), task)
        for method in ("extratrees", "miceforest")
    )
    ours["ratio"] = np.log(ours["rmse"] / trees["rmse"])
    ours["more_right"] = ours["accuracy"] - trees["accuracy"]
    for name in (f"crps_{kind}" for kind in KINDS):
        ours[f"{name} ratio"] = np.log(ours[name] / drawn[name])
    ours["half"] = half_of(ours["data_set"])
    ours["size"] = pd.cut(ours["rows"], [0, 250, 500, 999, 2000]).astype(str)
    return ours.sort_values(BY)


def errors(ours: pd.DataFrame, first: str) -> pd.DataFrame:
    """Return, by group, ratios to ExtraTrees and to the version `first`, and accuracy."""
    one = records.beside(ours, ours[ours["tag"] == first], KEY[:4])
    ours["to_first"] = np.log(ours["rmse"] / one["rmse"])
    kept = ["ratio", "to_first", "more_right", "log_loss", "fit"]
    return records.means(ours, BY, kept, ["ratio", "to_first"])


def coverage(ours: pd.DataFrame) -> pd.DataFrame:
    """Return, by group, what intervals cover, and CRPS, of columns of many and of few values.

    Shares are of all hidden cells of a group: a table may have a column of a kind only.
    """
    ours = ours[ours["covers_50_many"].notna() | ours["covers_50_few"].notna()].copy()
    shares = [f"covers_{100 * c:.0f}_{kind}" for kind in KINDS for c in COVERAGES]
    for name in shares:
        kind = f"cells_{name.rpartition('_')[2]}"
        mean = ours.groupby(BY)[kind].transform("mean")
        ours[name] = ours[name] * ours[kind] / mean  # whose mean is that of all cells
    kept = shares + [f"crps_{kind}{of}" for kind in KINDS for of in ("", " ratio")]
    means = records.means(ours, BY, kept, [f"crps_{kind} ratio" for kind in KINDS])
    return means.rename(columns=lambda name: name.removeprefix("covers_").replace("_", " "))


def report(options: argparse.Namespace) -> str:
    """Return the tables of errors, and of what intervals cover."""
    ours, corner = lines(options.output), "half, setting, rows, method, tag"
    told = [records.figures(errors(ours, options.first), 3, corner)]
    if "covers_50_many" in ours:
        told += [COVERED, records.figures(coverage(ours), 3, corner)]
    return "\n\n".join(told)


def main(argv: list[str] | None = None) -> None:
    """Run what is left to run, or print the report."""
    parser = argparse.ArgumentParser(prog="benchmarks.small_tables", description=__doc__)
    add = parser.add_argument
    add("--half", default="choosing", choices=HALVES)
    add("--data-sets", nargs="+", metavar="NAME", help="these tables instead of a half")
    add("--rows", type=int, nargs="+", default=[150, 300, 600, 2000])
    add("--methods", nargs="+", default=["prior", "maetab"])
    add("--settings", nargs="+", default=["in-sample", "out-of-sample"])
    add("--seed", type=int, default=0)
    add("--tag", default="now", help="a variant gets results of its own")
    add("--output", type=Path, default=records.RESULTS / "small_tables.jsonl")
    add("--first", default="before", help="tag that others are compared with in the report")
    add("--report", action="store_true", help="print and write the means of what is done")
    options = parser.parse_args(argv)
    if options.report:
        said = (
            "Means over the tables that are done, which are not the same in all lines. `ratio`: "
            "RMSE to that of chained ExtraTrees; `to_first`: to that of the first version, on the "
            "same tables; both geometric."
        )
        options.output.with_suffix(".md").write_text(f"{said}\n\n{report(options)}\n")
        print(report(options))
    else:
        run(options)


if __name__ == "__main__":
    main()
