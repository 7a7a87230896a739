"""What each part of MAEImputer brings: the same hidden cells, filled with one thing changed.

    python -m benchmarks.ablation --half choosing
    python -m benchmarks.ablation --half judging --rows 20000 --tables beijing default shoppers
    python -m benchmarks.ablation --report            # writes results/ablation.md

MCAR, 30 % of the cells, in sample. Ratios are of RMSE to the default on the same table, so above 1
is worse; "more right" are shares of categories. Runs that are in the file are not made again.
"""

from __future__ import annotations

import argparse
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import records
from benchmarks.datasets import CHOOSING, JUDGING
from benchmarks.impute import features_of, score, split
from maetab import MAEImputer
from maetab.evaluation import amputate

GuessOptions = import_module("maetab.nn.guess.options").GuessOptions
HALVES = {"choosing": CHOOSING, "judging": JUDGING}
KEY = ["data_set", "rows", "change"]
ALONE = {"max_iter": 0}
CHANGES: dict[str, dict[str, Any]] = {
    "default": {},
    "Gaussian alone": ALONE,
    "without keys and network": ALONE | {"guess": GuessOptions(key_width=0)},
    "without network": ALONE,
    "network alone, not blended": {},
    "one member": {"n_estimators": 1},
    "eight members": {"n_estimators": 8},
    "transformer": {"backbone": "transformer"},
    "linear": {"backbone": "linear"},
    "squared error": {"loss": "mse"},
    "absolute error": {"loss": "mae"},
    "cosine": {"loss": "cosine"},
    "fixed number of hidden cells": {"masking": "fixed"},
    "blocks are hidden": {"masking": "block"},
    "gaps of other rows are hidden": {"masking": "copy"},
    "hidden in proportion to what is missing": {"masking": "proportional"},
    "mask ratio .15": {"mask_ratio": 0.15},
    "mask ratio .5": {"mask_ratio": 0.5},
    "visible cells do not count": {"visible_weight": 0.0},
}


def fitted(change: str, missing: pd.DataFrame) -> MAEImputer:
    """Return an imputer with one thing changed."""
    imputer = MAEImputer(random_state=0, **CHANGES[change]).fit(missing)
    if change == "Gaussian alone":
        imputer.model_.guess.stack_weights.zero_()
    if change == "network alone, not blended":
        imputer.model_.network_weight.fill_(1.0)
    return imputer


def run(options: argparse.Namespace) -> None:
    """Make every run that is not made yet."""
    done = records.done(options.output, KEY)
    for name in options.tables or HALVES[options.half]:
        truth = features_of(name, options.rows)
        missing, hidden = amputate(truth, "mcar", 0.3, random_state=0)
        task = split(truth, missing, hidden, "in-sample", 0)
        for change in options.changes:
            if (name, len(truth), change) in done:
                continue
            start = time.process_time()
            filled = fitted(change, missing).transform(missing)
            line = {"data_set": name, "rows": len(truth), "change": change}
            line |= {"seconds": time.process_time() - start} | score(task, filled)
            records.append(options.output, line, 1)
            print(name, change, line.get("rmse"), line.get("accuracy"), line["seconds"], flush=True)


def report(output: Path) -> str:
    """Return, by half, size and change, ratios to the default on the tables that both have done."""
    table = pd.DataFrame(records.read(output))
    for name in ("rmse", "accuracy"):  # of which a table may have but one
        table[name] = table.get(name, np.nan)
    table["half"] = np.where(table["data_set"].isin(CHOOSING), "choosing", "judging")
    table["size"] = np.where(table["rows"] > 4000, "large", "up to 4,000 rows")
    key = ["data_set", "rows"]
    default = table[table["change"] == "default"].set_index(key)
    beside = default.reindex(pd.MultiIndex.from_frame(table[key]))
    table["ratio"] = np.log(table["rmse"] / beside["rmse"].to_numpy())
    table["more right"] = table["accuracy"] - beside["accuracy"].to_numpy()
    table["time"] = np.log(table["seconds"] / beside["seconds"].to_numpy())
    by = ["half", "size", "change"]
    means = records.means(table, by, ["ratio", "more right", "time"], ["ratio", "time"])
    means["worst"] = np.exp(table.groupby(by, sort=False)["ratio"].max().to_numpy())
    return records.figures(means, 3, ", ".join(by))


def main(argv: list[str] | None = None) -> None:
    """Run what is left to run, or print the report."""
    parser = argparse.ArgumentParser(prog="benchmarks.ablation", description=__doc__)
    add = parser.add_argument
    add("--half", default="choosing", choices=HALVES)
    add("--tables", nargs="+", help="these alone")
    add("--rows", type=int, default=2000, help="larger tables are cut to this many rows")
    add("--changes", nargs="+", default=list(CHANGES), choices=CHANGES)
    add("--output", type=Path, default=records.RESULTS / "ablation.jsonl")
    add("--report", action="store_true", help="print and write the means of what is done")
    options = parser.parse_args(argv)
    if not options.report:
        run(options)
        return
    told = report(options.output)
    head = "# What each part brings\n\n" + (__doc__ or "").split("\n\n")[2] + "\n\n"
    options.output.with_suffix(".md").write_text(head + told + "\n", encoding="utf-8")
    print(told)


if __name__ == "__main__":
    main()
