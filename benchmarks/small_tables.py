"""Tables of few rows: errors beside chained ExtraTrees, and what intervals cover.

    python -m benchmarks.small_tables --half choosing --rows 150 300 600 2000 --tag now
    python -m benchmarks.small_tables --report

MCAR, 30 % of the cells, in sample and out of sample. What was chosen was chosen on the one half of
the tables, and is judged on the other. Runs that are in the file are not made again.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import records
from benchmarks.datasets import CHOOSING, JUDGING
from benchmarks.impute import Task, features_of, score, split
from benchmarks.peers import OURS, make
from maetab.evaluation import amputate

HALVES = {"choosing": CHOOSING, "judging": JUDGING}
COVERAGES = (0.5, 0.8, 0.9, 0.95)
KEY = ["data_set", "rows", "setting", "method", "tag"]


def measure(task: Task, method: str, seed: int) -> dict[str, Any]:
    """Return errors, the processor's seconds and, of maetab, what intervals cover."""
    train = task.missing.iloc[task.train].reset_index(drop=True)
    test = task.missing.iloc[task.test].reset_index(drop=True)
    imputer: Any = make(method, seed)
    start = time.process_time()
    if task.in_sample and method not in OURS:
        filled = imputer.fit_transform(train)
        return score(task, filled) | {"fit": time.process_time() - start}
    imputer.fit(train)
    found: dict[str, Any] = {"fit": time.process_time() - start}
    found |= score(task, imputer.transform(test))
    if method in OURS:
        found |= covered(task, imputer, test) | likelihood(task, imputer, test)
    return found


def covered(task: Task, imputer: Any, test: pd.DataFrame) -> dict[str, Any]:
    """Return the share of hidden numbers in intervals, and their mean width in deviations."""
    number = [x for x in task.truth if task.truth[x].dtype == np.float64]
    if not number:
        return {}
    truth = task.truth[number].iloc[task.test].to_numpy()
    hidden = task.hidden[task.test][:, [task.truth.columns.get_loc(x) for x in number]]
    scale = np.nanstd(task.missing[number].iloc[task.train].to_numpy(), 0)
    found: dict[str, Any] = {}
    for coverage in COVERAGES:
        low, high = (x[number].to_numpy() for x in imputer.predict_interval(test, coverage))
        inside = (low <= truth + 1e-9) & (truth <= high + 1e-9)
        found[f"covers_{100 * coverage:.0f}"] = float(inside[hidden].mean())
        found[f"width_{100 * coverage:.0f}"] = float(((high - low) / scale)[hidden].mean())
    return found


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


def report(options: argparse.Namespace) -> str:
    """Return, by half, tag and rows, ratios to ExtraTrees and what intervals cover."""
    table = pd.DataFrame(records.read(options.output))
    peer = table[table["method"] == "extratrees"].set_index(["data_set", "rows", "setting"])
    ours = table[table["method"] != "extratrees"].copy()
    own = ours.set_index(["data_set", "rows", "setting"]).index
    ours["ratio"] = np.log(ours["rmse"].to_numpy() / peer["rmse"].reindex(own).to_numpy())
    ours["more_right"] = ours["accuracy"].to_numpy() - peer["accuracy"].reindex(own).to_numpy()
    first = ours[ours["tag"] == options.first].set_index([*KEY[:4]])
    own = ours.set_index([*KEY[:4]]).index
    ours["to_first"] = np.log(ours["rmse"].to_numpy() / first["rmse"].reindex(own).to_numpy())
    halves = {name: half for half, names in HALVES.items() for name in names}
    ours["half"] = ours["data_set"].map(halves)
    ours["size"] = pd.cut(ours["rows"], [0, 250, 500, 999, 2000]).astype(str)
    kept = ["ratio", "to_first", "more_right", "log_loss"]
    kept += [*(f"covers_{100 * c:.0f}" for c in COVERAGES), "fit"]
    by = ["half", "setting", "size", "method", "tag"]
    means = records.means(ours.sort_values(by), by, kept, ["ratio", "to_first"])
    return records.figures(means, 3, "half, setting, rows, method, tag")


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
