"""What donors cost and bring: errors of points, and how points and draws lie, with and without.

    python -m benchmarks.donors --half choosing          # appends to results/donors.jsonl

At most 1,000 rows, 30 % of the cells hidden at random, in sample, the first guess alone. Numbers
only: root of the mean squared error of points, and the Wasserstein distance of hidden cells to the
truth, of points and of five draws, in standard deviations of observed cells, means over columns.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import wasserstein_distance

from benchmarks import records
from benchmarks.coding import is_number
from benchmarks.draws import DRAWS, HALVES, ROWS
from benchmarks.impute import features_of
from maetab import MAEImputer
from maetab.evaluation import amputate

VARIANTS = (None, 1, 3, 5, 10)


def distances(
    truth: pd.DataFrame, missing: pd.DataFrame, hidden: np.ndarray, filled: list[pd.DataFrame]
) -> tuple[float, float]:
    """Return error and Wasserstein distance of filled copies at hidden numbers."""
    errors, apart = [], []
    for j, name in enumerate(truth):
        if not is_number(truth[name]) or not hidden[:, j].any():
            continue
        scale, true = missing[name].std() or 1.0, truth[name][hidden[:, j]]
        cells = [one[name][hidden[:, j]] for one in filled]
        errors.append(np.mean([((x - true) ** 2).mean() ** 0.5 for x in cells]) / scale)
        apart.append(np.mean([wasserstein_distance(x, true) for x in cells]) / scale)
    return float(np.mean(errors)), float(np.mean(apart))


def measure(name: str, seed: int) -> list[dict[str, Any]]:
    """Return a line for each variant of one table, all of one fit."""
    truth = features_of(name, ROWS)
    missing, hidden = amputate(truth, "mcar", 0.3, random_state=seed)
    cells = np.asarray(hidden, bool) & truth.notna().to_numpy()
    fitted, lines = MAEImputer(max_iter=0, donors=5, random_state=seed).fit(missing), []
    for k in VARIANTS:
        imputer = MAEImputer.from_fitted(fitted, donors=k)
        start = time.process_time()
        points = distances(truth, missing, cells, [imputer.transform(missing)])
        seconds = time.process_time() - start
        draws = imputer.sample(missing, DRAWS, random_state=seed)
        lines.append(
            {
                **{"data_set": name, "seed": seed, "donors": k},
                **{"error": points[0], "points_apart": points[1], "seconds": seconds},
                "draws_apart": distances(truth, missing, cells, draws)[1],
            }
        )
    return lines


def main(argv: list[str] | None = None) -> None:
    """Measure the tables of a half, and print geometric means of ratios to no donors."""
    parser = argparse.ArgumentParser(prog="benchmarks.donors", description=__doc__)
    parser.add_argument("--half", default="choosing", choices=HALVES)
    parser.add_argument("--data-sets", nargs="+", metavar="NAME", help="instead of a half")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=records.RESULTS / "donors.jsonl")
    options = parser.parse_args(argv)
    lines = []
    for name in options.data_sets or HALVES[options.half]:
        for line in measure(name, options.seed):
            records.append(options.output, line, 1)
            lines.append(line)
            print(*line.values(), flush=True)
    table = pd.DataFrame(lines).set_index(["data_set", "donors"]).drop(columns="seed")
    plain = table[table.index.get_level_values(1).isna()].droplevel(1)
    ratios = np.log(table.div(plain, level="data_set")).groupby(level="donors", dropna=False)
    print(np.exp(ratios.mean()).round(3).to_string())


if __name__ == "__main__":
    main()
