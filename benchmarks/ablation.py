"""What each part of MAEImputer brings: the same hidden cells, filled with one thing changed.

    python -m benchmarks.ablation --half choosing
    python -m benchmarks.ablation --half judging --rows 20000 --data-sets beijing default shoppers
    python -m benchmarks.ablation --report            # writes results/ablation.md

MCAR, 30 % of the cells, in sample. Ratios are of RMSE to the default on the same table, so above 1
is worse; "more right" are shares of categories. Runs that are in the file are not made again.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import records, trials
from maetab import MAEImputer

GuessOptions = import_module("maetab.nn.guess.options").GuessOptions
ABOUT = (__doc__ or "").split("\n\n")[2]
ALONE = {"max_iter": 0}
CHANGES: dict[str, dict[str, Any]] = {
    "default": {},
    "Gaussian alone": ALONE,
    "without keys and network": ALONE | {"guess": GuessOptions(key_width=0)},
    "without network": ALONE,
    "network alone, not blended": {},
    "as many rows remembered as said": {"guess": GuessOptions()},
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
    imputer = MAEImputer(keep_grid=False, random_state=0, **CHANGES[change]).fit(missing)
    if change == "Gaussian alone":
        imputer.model_.guess.stack_weights.zero_()
    if change == "network alone, not blended":
        imputer.model_.network_weight.fill_(1.0)
    return imputer


def fill(change: str, missing: pd.DataFrame) -> pd.DataFrame:
    """Return a table filled by an imputer with one thing changed."""
    return fitted(change, missing).transform(missing)


def report(output: Path) -> str:
    """Return, by half, size and change, ratios to the default on the tables that both have done."""
    table = pd.DataFrame(records.read(output))
    table["size"] = np.where(table["rows"] > 4000, "large", "up to 4,000 rows")
    found = trials.means(table, "change", "default", ["size"])
    return f"{ABOUT}\n\n{records.figures(found, 3, 'half, size, change')}"


def main(argv: list[str] | None = None) -> None:
    """Run what is left to run, or print the report."""
    options = trials.parser("ablation", __doc__, "changes", CHANGES).parse_args(argv)
    if options.report:
        records.write(options.output, "What each part brings", report(options.output))
    else:
        trials.run(options, "change", fill)


if __name__ == "__main__":
    main()
