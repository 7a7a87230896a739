"""What row attention brings to the first guess, and the trials that chose how it is learned.

    python -m benchmarks.row_attention                     # all trials, on the choosing half
    python -m benchmarks.row_attention --half judging --trials former default
    python -m benchmarks.row_attention --report            # writes results/row_attention.md

MCAR, 30 % of the cells of at most 2,000 rows, in sample, without networks. Runs that are in the
file are not made again.
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
KEY = ["data_set", "trial"]
# "former" compares single cells alone, and mixes the heads before they are weighted. The records
# have besides what was before learning ended by held-out cells: 400 steps of 256 windows at a rate
# that fell along a cosine.
TRIALS: dict[str, dict[str, Any]] = {
    "former": {"key_width": 0, "tuning_steps": 150, "tuning_rows": 2048},
    "default": {},
    "gain of 0.02": {"least_gain": 0.02},
    "gain of 0.01": {"least_gain": 0.01},
    "gain of 0.002": {"least_gain": 0.002},
    "all steps": {"least_gain": 0.0},
    "800 steps": {"tuning_steps": 800},
    "128 windows": {"tuning_windows": 128},
    "50 steps, 128 windows": {"tuning_steps": 50, "tuning_windows": 128},
    "100 steps, 128 windows": {"tuning_steps": 100, "tuning_windows": 128},
    "2 metrics": {"n_metrics": 2},
    "4 metrics": {"n_metrics": 4},
    "256 rows": {"tuning_rows": 256},
    "1,024 rows": {"tuning_rows": 1024},
    "no keys": {"key_width": 0},
    "keys of 32": {"key_width": 32},
}


def run(options: argparse.Namespace) -> None:
    """Make every run that is not made yet."""
    done = records.done(options.output, KEY)
    for name in HALVES[options.half]:
        truth = features_of(name, 2000)
        missing, hidden = amputate(truth, "mcar", 0.3, random_state=0)
        task = split(truth, missing, hidden, "in-sample", 0)
        for trial in options.trials:
            if (name, trial) in done:
                continue
            imputer = MAEImputer(
                max_iter=0, guess=GuessOptions(**TRIALS[trial]), keep_grid=False, random_state=0
            )
            start = time.process_time()
            filled = imputer.fit_transform(missing)
            line = {"data_set": name, "trial": trial, "rows": len(truth)}
            line |= {"seconds": time.process_time() - start} | score(task, filled)
            records.append(options.output, line, 1)
            print(name, trial, line.get("rmse"), line.get("accuracy"), line["seconds"], flush=True)


def report(output: Path) -> str:
    """Return, by half and trial, ratios to the former guess on the tables that both have done."""
    table = pd.DataFrame(records.read(output))
    former = table[table["trial"] == "former"].set_index("data_set")
    own = table["data_set"]
    table["ratio"] = np.log(table["rmse"] / own.map(former["rmse"]))
    table["more right"] = table["accuracy"] - own.map(former["accuracy"])
    table["time"] = np.log(table["seconds"] / own.map(former["seconds"]))
    table["half"] = np.where(own.isin(CHOOSING), "choosing", "judging")
    by = ["half", "trial"]
    means = records.means(table, by, ["ratio", "more right", "time"], ["ratio", "time"])
    means["worst"] = np.exp(table.groupby(by, sort=False)["ratio"].max().to_numpy())
    return records.figures(means, 3, ", ".join(by))


def main(argv: list[str] | None = None) -> None:
    """Run what is left to run, or print the report."""
    parser = argparse.ArgumentParser(prog="benchmarks.row_attention", description=__doc__)
    add = parser.add_argument
    add("--half", default="choosing", choices=HALVES)
    add("--trials", nargs="+", default=list(TRIALS), choices=TRIALS)
    add("--output", type=Path, default=records.RESULTS / "row_attention.jsonl")
    add("--report", action="store_true", help="print and write the means of what is done")
    options = parser.parse_args(argv)
    if not options.report:
        run(options)
        return
    told = report(options.output)
    head = "# Row attention\n\nMade by `python -m benchmarks.row_attention --report`.\n\n"
    options.output.with_suffix(".md").write_text(head + told + "\n", encoding="utf-8")
    print(told)


if __name__ == "__main__":
    main()
