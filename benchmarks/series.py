"""Fill gaps of series with each method, append every result to a file.

    python -m benchmarks.series --data-sets etth1 --patterns point10 --methods linear prior

The file of results is also the record of what is done: a run that is in it is not made again.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import records
from benchmarks.series_data import CHOOSING, JUDGING, PATTERNS, SEED, SeriesTask, digest, make_task
from benchmarks.series_peers import (
    LEVELS,
    METHODS,
    OURS,
    WINDOWS_ONLY,
    Filled,
    Job,
    version_of,
)

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = ("windows", "course")
# What makes two results the same run.
KEY = [
    "data_set", "pattern", "seed", "cells", "setting", "method", "version", "threads",
]  # fmt: skip


# ---- scores


def score(task: SeriesTask, filled: Filled) -> dict[str, Any]:
    """Return the errors over the hidden cells, in standard deviations of the training part.

    A method without quantiles is a point mass: its CRPS is its mean absolute error. `coverage` is
    the share of the hidden cells between the quantiles .05 and .95.

    Raises
    ------
    ValueError
        The shape is not that of the judged part, or hidden cells were left empty.
    """
    hidden = task.test.hidden
    if filled.values.shape != hidden.shape:
        raise ValueError(f"the filled part has shape {filled.values.shape}, not {hidden.shape}")
    truth, got = task.test.truth.to_numpy()[hidden], filled.values[hidden]
    if not np.isfinite(got).all():
        raise ValueError(f"{(~np.isfinite(got)).sum()} hidden cells were left empty")
    error = np.abs(got - truth)
    found = {
        "mae": float(error.mean()),
        "rmse": float(np.sqrt(np.mean(error**2))),
        "crps": float(error.mean()),
        "n_hidden": int(hidden.sum()),
    }
    if filled.quantiles is not None:
        quantiles = filled.quantiles[:, hidden]
        found["crps"] = crps(quantiles, truth)
        low, high = quantiles[0], quantiles[-1]
        found["coverage"] = float(np.mean((low <= truth) & (truth <= high)))
        found["width"] = float(np.mean(high - low))
    return found


def crps(quantiles: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean continuous ranked probability score of quantiles at LEVELS.

    Parameters
    ----------
    quantiles : (19, n)
    truth : (n,)

    Notes
    -----
    Twice the pinball loss, averaged over the levels, as CSDI takes it (arXiv:2107.03502), here
    without dividing by the size of the truth. It is the absolute error of a point mass, and up to
    5 % above the integral for a wide distribution.
    """
    levels = np.asarray(LEVELS)[:, None]
    missed = truth - quantiles
    return float(2 * np.mean(np.maximum(levels * missed, (levels - 1) * missed)))


# ---- runs


def measure(
    task: SeriesTask, setting: str, method: str, options: argparse.Namespace
) -> dict[str, Any]:
    """Return scores and costs of one method, run in a process of its own, or its error."""
    chosen = options.options if method in OURS else {}
    job = Job(
        method, task.name, setting, task.window, task.period, task.seed, chosen,
        task.train.missing, task.test.missing, task.val,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "job.pkl").write_bytes(pickle.dumps(job))
        cost = _in_own_process(folder, options.threads, options.timeout)
        if "error" in cost:
            return cost
        try:
            filled = Filled(**pickle.loads((folder / "filled.pkl").read_bytes()))
            return score(task, filled) | cost
        except ValueError as failure:
            return {"error": f"ValueError: {failure}"} | cost


def _in_own_process(folder: Path, threads: int, timeout: float) -> dict[str, Any]:
    """Return the costs that the job in `folder` left behind, or why it left none."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    environment = os.environ | dict.fromkeys(names, str(threads))
    command = [sys.executable, "-m", "benchmarks.series_peers", str(folder)]
    start = time.perf_counter()
    try:
        ended = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=timeout
        )
    except subprocess.TimeoutExpired:
        return {"error": f"stopped after {timeout:.0f} s", "seconds": time.perf_counter() - start}
    cost = folder / "cost.json"
    if cost.exists():
        return json.loads(cost.read_text(encoding="utf-8"))
    return {"error": f"the process ended with {ended.returncode}: {ended.stderr[-300:].strip()}"}


def version_label(method: str, tag: str) -> str:
    """Return the version a result belongs to; maetab's carries the tag."""
    version = version_of(method)
    return f"{version}+{tag}" if tag and method in OURS else version


def runs(options: argparse.Namespace) -> Iterator[tuple[dict[str, Any], SeriesTask]]:
    """Yield each run that is asked for and possible: its key, and its task."""
    for name in options.data_sets:
        patterns = [*options.patterns, *(["own"] if name == "nh4" and options.own else [])]
        for pattern in patterns:
            task = make_task(name, pattern, options.seed)
            named = {
                "data_set": name, "pattern": pattern, "seed": options.seed, "cells": digest(task),
            }  # fmt: skip
            for setting in options.settings:
                for method in options.methods:
                    if _possible(task, setting, method):
                        version = version_label(method, options.tag)
                        yield named | {
                            "setting": setting, "method": method, "version": version,
                            "threads": options.threads,
                        }, task  # fmt: skip


def _possible(task: SeriesTask, setting: str, method: str) -> bool:
    """Return whether a method can be run: networks know windows only, rows need other columns."""
    one_column = task.test.truth.shape[1] == 1
    if setting == "course":
        return method not in WINDOWS_ONLY and not (method == "knn" and one_column)
    return task.pattern != "own" or method in WINDOWS_ONLY


def run(options: argparse.Namespace) -> None:
    """Make every run that is not made yet; append each result the moment it is there."""
    done = {
        tuple(line[name] for name in KEY)
        for line in records.read(options.output)
        if not (options.retry_errors and "error" in line)
    }
    for key, task in runs(options):
        if tuple(key[name] for name in KEY) in done:
            continue
        found = measure(task, key["setting"], key["method"], options)
        about = {"options": options.options if key["method"] in OURS else {}}
        records.append(options.output, key | about | found, options.threads)
        print(summary(key | found), flush=True)


def summary(line: dict[str, Any]) -> str:
    """Return a result in one line for the terminal."""
    named = "{data_set} {pattern} {setting} {method}".format_map(line)
    if "error" in line:
        return f"{named}: FAILED, {line['error']}"
    shown = [f"{k} {line[k]:.4f}" for k in ("mae", "rmse", "crps", "coverage") if k in line]
    return f"{named}: {' '.join(shown)} {line['fit_seconds']:.1f} + {line['fill_seconds']:.1f} s"


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the checked command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.series", description=__doc__.split("\n")[0])
    add = parser.add_argument
    names = (*CHOOSING, *JUDGING)
    add("--data-sets", nargs="+", default=names, choices=names)
    add("--patterns", nargs="*", default=PATTERNS, choices=PATTERNS)
    add("--own", action=argparse.BooleanOptionalAction, default=True, help="nh4's own gaps")
    add("--settings", nargs="+", default=SETTINGS, choices=SETTINGS)
    add("--methods", nargs="+", default=METHODS, choices=METHODS)
    add("--seed", type=int, default=SEED)
    add("--output", type=Path, default=records.RESULTS / "series.jsonl")
    add("--threads", type=int, default=1)
    add("--timeout", type=float, default=3600.0, help="seconds a run may take")
    add("--tag", default="", help="added to maetab's version: a variant gets results of its own")
    add("--options", type=json.loads, default={}, help="JSON, parameters of MAEImputer")
    add("--retry-errors", action="store_true", help="make failed runs again")
    options = parser.parse_args(argv)
    if options.options and not options.tag:
        parser.error("--options makes a variant of maetab; name it with --tag")
    absent = [m for m in options.methods if version_of(m) == "absent"]
    if absent:
        parser.error(
            f"{', '.join(absent)}: not installed; install benchmarks/requirements.txt, or name "
            "the methods to run with --methods"
        )
    return options


if __name__ == "__main__":
    run(parse())
