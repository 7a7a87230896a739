"""Whether fitting keeps to `max_time`, and what it takes in memory.

    python -m benchmarks.limits --max-time 5
    python -m benchmarks.limits --max-time 30 --tables wide-200x3000 --estimators MAEImputer

Every run has a process of its own, so that its peak of memory is its own. Rows have three cells in
ten missing. "closed" is the fit of the first guess alone without a limit. "wide-200x3000" and the
like are drawn as in benchmarks.speed; the others are the tables of benchmarks.datasets. One JSON
line per run is appended to the output.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
import warnings
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import maetab
from benchmarks.datasets import list_tables, load
from benchmarks.records import RESULTS, append
from benchmarks.speed import table

ESTIMATORS = ("MAEImputer", "MAEEncoder", "MAEAnomalyDetector")


def read(name: str) -> pd.DataFrame:
    """Return a table with cells missing."""
    if name.startswith("wide-"):
        n_rows, n_columns = map(int, name.removeprefix("wide-").split("x"))
        return pd.DataFrame(table(n_rows, n_columns)[0]).rename(columns=str)
    complete = load(name)[0]
    return complete.mask(np.random.default_rng(0).random(complete.shape) < 0.3)


def measured(name: str, estimator: str, max_time: float | None, max_iter: str) -> dict[str, object]:
    """Return the seconds of one fit and one use of what is fitted, and the peak of memory."""
    frame = read(name)
    given = {} if max_iter == "default" else {"max_iter": int(max_iter)}
    if estimator == "MAEAnomalyDetector" and max_iter == "default":
        given = {"max_iter": None}
    model = getattr(maetab, estimator)(max_time=max_time, random_state=0, **given)
    # What the process needs before anything is fitted: the first use of torch takes a second.
    maetab.MAEImputer(max_iter=1, random_state=0).fit_transform(np.eye(20))
    before = resource.getrusage(resource.RUSAGE_SELF)
    begun = time.perf_counter()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model.fit(frame)
    fitted, after = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    model.score_samples(frame) if estimator == "MAEAnomalyDetector" else model.transform(frame)
    unit = 2**20 if sys.platform == "darwin" else 2**10  # of ru_maxrss, to a MiB
    return {
        "rows": len(frame),
        "columns": frame.shape[1],
        "fit_seconds": round(fitted - begun, 2),
        "fit_cpu_seconds": round(after.ru_utime - before.ru_utime, 2),
        "use_seconds": round(time.perf_counter() - fitted, 2),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit),
        "networks": len({record["network"] for record in model.history_}),
        "warned": any("max_time" in str(one.message) for one in said),
    }


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(prog="benchmarks.limits", description=__doc__.split("\n")[0])
    parser.add_argument("--tables", nargs="+", help="by default all that there are")
    parser.add_argument("--estimators", nargs="+", choices=ESTIMATORS, default=["MAEImputer"])
    parser.add_argument("--max-time", type=float, default=5.0)
    parser.add_argument("--closed", action="store_true", help="measure the closed form as well")
    parser.add_argument("--output", type=Path, default=RESULTS / "limits.jsonl")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        name, estimator, seconds, max_iter = options.one
        limit = None if seconds == "none" else float(seconds)
        print(json.dumps(measured(name, estimator, limit, max_iter)))
        return
    runs = [(str(options.max_time), "default")] + [("none", "0")] * options.closed
    for name, estimator, (limit, max_iter) in product(
        options.tables or list_tables(), options.estimators, runs
    ):
        words = ["-m", "benchmarks.limits", "--one", name, estimator, limit, max_iter]
        done = subprocess.run([sys.executable, *words], check=True, capture_output=True, text=True)
        asked = {"table": name, "estimator": estimator, "max_time": limit, "max_iter": max_iter}
        line = asked | json.loads(done.stdout) | {"torch": torch.__version__}
        append(options.output, line, torch.get_num_threads())
        print(line, flush=True)


if __name__ == "__main__":
    main()
