"""What row attention brings to the first guess, and the trials that chose how it is learned.

    python -m benchmarks.row_attention                     # all trials, on the choosing half
    python -m benchmarks.row_attention --half judging --trials former default
    python -m benchmarks.row_attention --report            # writes results/row_attention.md

MCAR, 30 % of the cells of at most 2,000 rows, in sample, without networks. Runs that are in the
file are not made again.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks import records, trials
from maetab import MAEImputer

GuessOptions = import_module("maetab.nn.guess.options").GuessOptions
# Of one metric, where a trial does not say otherwise; "2 metrics" is what was taken. "former"
# compares single cells alone, and mixes the heads before they are weighted. The records have
# besides what was before learning ended by held-out cells: 400 steps of 256 windows at a rate that
# fell along a cosine.
TRIALS: dict[str, dict[str, Any]] = {
    "former": {"key_width": 0, "tuning_steps": 150, "tuning_rows": 2048},
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


def fill(trial: str, missing: pd.DataFrame) -> pd.DataFrame:
    """Return a table filled by the first guess of a trial."""
    guess = GuessOptions(**({"n_metrics": 1} | TRIALS[trial]))
    return MAEImputer(max_iter=0, guess=guess, keep_grid=False, random_state=0).fit_transform(
        missing
    )


def report(output: Path) -> str:
    """Return, by half and trial, ratios to the former guess on the tables that both have done."""
    found = trials.means(pd.DataFrame(records.read(output)), "trial", "former")
    return records.figures(found, 3, "half, trial")


def main(argv: list[str] | None = None) -> None:
    """Run what is left to run, or print the report."""
    options = trials.parser("row_attention", __doc__, "trials", TRIALS).parse_args(argv)
    if options.report:
        records.write(options.output, "Row attention", report(options.output))
    else:
        trials.run(options, "trial", fill)


if __name__ == "__main__":
    main()
