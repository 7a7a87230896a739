"""CPU seconds and memory of filling series at size: many rows, wide windows, many series.

    python -m benchmarks.series_speed                  # all cases, each in a process of its own
    python -m benchmarks.series_speed points wide
    python -m benchmarks.series_speed wide --rows 4000 --max-iter 0 --output try.jsonl

Courses are sums of daily waves and autocorrelated noise that columns share in part. One JSON line
per run is appended to the output.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from benchmarks.records import RESULTS, append
from maetab import MAEImputer

KEY = ("case", "rows", "max_iter")
DAY = 24
KEPT = 0.95  # of its last value that noise has in the next step
LONGEST = 96  # steps of a long gap


class Case(NamedTuple):
    """One size.

    Parameters
    ----------
    rows, columns, window : of all series together, of each, and steps of a window
    series : how many, of one length each
    gaps : "points" or "runs", of which a fifth of the cells is missing
    max_iter : of networks; None as by default, 0 for the first guess alone
    """

    rows: int
    columns: int
    window: int
    series: int
    gaps: str
    max_iter: int | None


CASES = {
    "points": Case(200_000, 8, 48, 1, "points", None),
    "gaps": Case(200_000, 8, 48, 1, "runs", None),
    "wide": Case(20_000, 500, 100, 1, "points", 0),
    "many": Case(300_000, 2, 24, 10_000, "points", None),
    "long": Case(1_000_000, 3, 48, 1, "points", None),
}


def course(case: Case) -> tuple[pd.DataFrame, np.ndarray]:
    """Return a frame with missing cells, and (n, F) their truth; "group" is the last column."""
    rng = np.random.default_rng(0)
    n_steps, n_common = case.rows // case.series, 4
    hour = np.arange(n_steps) % DAY / DAY * 2 * np.pi
    n, f = n_steps * case.series, case.columns
    truth = np.empty((n, f), np.float64)
    shares = rng.normal(size=(n_common, f)) / 2
    for i in range(case.series):
        noise = np.empty((n_steps, n_common + f))
        drawn = rng.normal(size=noise.shape) * np.sqrt(1 - KEPT**2)
        noise[0] = rng.normal(size=n_common + f)
        for t in range(1, n_steps):
            noise[t] = KEPT * noise[t - 1] + drawn[t]
        daily = np.sin(hour[:, None] + np.arange(f))
        truth[i * n_steps : (i + 1) * n_steps] = (
            daily + noise[:, :n_common] @ shares + 0.5 * noise[:, n_common:]
        )
    hidden = rng.random((n, f)) < 0.2
    if case.gaps == "runs":
        hidden = np.zeros((n, f), bool)
        for j in range(f):
            for first in rng.integers(0, n - LONGEST, n // (5 * LONGEST // 2)):
                hidden[first : first + rng.integers(1, LONGEST), j] = True
    stamps = pd.date_range("2000-01-01", periods=n_steps, freq="h")
    index = pd.DatetimeIndex(np.tile(stamps.to_numpy(), case.series))
    frame = pd.DataFrame(np.where(hidden, np.nan, truth), index=index).add_prefix("x")
    if case.series > 1:
        frame["group"] = np.arange(case.series).repeat(n_steps)
    return frame, np.where(hidden, truth, np.nan)


def measured(name: str, case: Case) -> dict[str, object]:
    """Return CPU seconds of fit and of transform, peak memory, and the error at missing cells."""
    frame, truth = course(case)
    groups = "group" if case.series > 1 else None
    imputer = MAEImputer(
        window=case.window, groups=groups, max_iter=case.max_iter, random_state=0
    )  # fmt: skip
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    start = time.process_time()
    imputer.fit(frame)
    fitted = time.process_time()
    filled = imputer.transform(frame)
    spent = time.process_time() - fitted
    missed = filled.iloc[:, : case.columns].to_numpy() - truth
    return {
        "case": name, "rows": case.rows, "columns": case.columns, "window": case.window,
        "series": case.series, "gaps": case.gaps,
        "max_iter": -1 if case.max_iter is None else case.max_iter,
        "fit_seconds": round(fitted - start, 1), "transform_seconds": round(spent, 1),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "mib_before": before, "mae": round(float(np.nanmean(np.abs(missed))), 4),
    }  # fmt: skip


def main() -> None:
    """Measure the cases that the command line asks for."""
    parser = argparse.ArgumentParser(prog="benchmarks.series_speed")
    parser.add_argument("cases", nargs="*", choices=[[], *CASES])
    parser.add_argument("--rows", type=int)
    parser.add_argument("--max-iter", type=int)
    parser.add_argument("--output", type=Path, default=RESULTS / "series_speed.jsonl")
    options = parser.parse_args()
    if len(options.cases) != 1:  # what a process held at most is what its one case took
        for name in options.cases or CASES:
            command = [sys.executable, "-m", "benchmarks.series_speed", name]
            command += sys.argv[1 + len(options.cases) :]
            subprocess.run(command, check=True)
        return
    case = CASES[options.cases[0]]
    case = case._replace(rows=options.rows or case.rows)
    if options.max_iter is not None:
        case = case._replace(max_iter=options.max_iter)
    line = measured(options.cases[0], case)
    append(options.output, line, torch.get_num_threads())
    print(line, flush=True)


if __name__ == "__main__":
    main()
