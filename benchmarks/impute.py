"""Hide cells of real tables, fill them with each method, append every result to a file.

    python -m benchmarks.impute --data-sets wine heart --mechanisms mcar --seeds 3

The file of results is also the record of what is done: a run that is in it is not made again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import wasserstein_distance
from sklearn.metrics import f1_score

from benchmarks import records
from benchmarks.coding import is_number
from benchmarks.datasets import load
from benchmarks.peers import METHODS, OURS, USUAL, version_of
from maetab.evaluation import amputate

ROOT = Path(__file__).resolve().parents[1]
DATA_SETS = [
    "wine", "raisin", "compression", "yacht", "letter", "obesity",
    "spam", "heart", "adult", "abalone", "wdbc", "magic",
]  # fmt: skip
MECHANISMS = ("mcar", "mar", "mnar")
TRAIN_SHARE = 0.7  # of the rows, out of sample
# What makes two results the same run.
KEY = [
    "data_set", "rows", "mechanism", "frac", "seed", "cells",
    "setting", "method", "version", "threads",
]  # fmt: skip


@dataclass(frozen=True)
class Task:
    """One amputated table: what is known, what is hidden, which rows teach and which are judged.

    Parameters
    ----------
    truth, missing : DataFrame (n, F)
        Before and after cells were hidden.
    hidden : bool array (n, F)
        True where a cell was hidden by us.
    train, test : int arrays of row positions
        The same rows in sample.
    """

    truth: pd.DataFrame
    missing: pd.DataFrame
    hidden: np.ndarray
    train: np.ndarray
    test: np.ndarray

    @property
    def in_sample(self) -> bool:
        return self.train is self.test


def features_of(name: str, rows: int) -> pd.DataFrame:
    """Return at most `rows` rows of a table's features, drawn with a fixed seed.

    Numbers become float64, so that no method's score holds the rounding of whole numbers, and
    booleans the nullable kind, so that they can be missing. Columns without any observed cell
    and constant ones go.
    """
    frame, _, _ = load(name)
    if len(frame) > rows:
        picked = np.random.default_rng(0).choice(len(frame), rows, replace=False)
        frame = frame.iloc[np.sort(picked)]
    frame = frame.reset_index(drop=True)
    frame = frame.loc[:, frame.nunique() > 1]
    kinds = {}
    for label, column in frame.items():
        if is_number(column):
            kinds[label] = "float64"
        elif column.dtype == bool:
            kinds[label] = "boolean"
    return frame.astype(kinds)


def split(truth: pd.DataFrame, missing: pd.DataFrame, hidden: Any, setting: str, seed: int) -> Task:
    """Return the task of one setting; out of sample the rows are split at random."""
    everywhere = np.arange(len(truth))
    train = test = everywhere
    if setting == "out-of-sample":
        shuffled = np.random.default_rng(seed).permutation(everywhere)
        cut = round(TRAIN_SHARE * len(truth))
        train, test = np.sort(shuffled[:cut]), np.sort(shuffled[cut:])
    return Task(truth, missing, np.asarray(hidden, dtype=bool), train, test)


def digest(missing: pd.DataFrame, hidden: Any) -> str:
    """Return a short name for the cells that are left and the cells that were hidden."""
    told = hashlib.sha256(np.ascontiguousarray(np.asarray(hidden, dtype=bool)).tobytes())
    told.update(pd.util.hash_pandas_object(missing, index=False).to_numpy().tobytes())
    return told.hexdigest()[:12]


def score(task: Task, filled: pd.DataFrame) -> dict[str, Any]:
    """Return the metrics over the hidden cells of the judged rows.

    Numbers are measured in standard deviations of the observed training cells and pooled over
    columns (Wasserstein: averaged over columns); accuracy and macro-F1 are taken per column and
    averaged.

    Raises
    ------
    ValueError
        Rows or columns do not match, or hidden cells were left empty.
    """
    if list(filled.columns) != list(task.truth.columns) or len(filled) != len(task.test):
        raise ValueError(f"the filled frame has shape {filled.shape} or other columns")
    errors, distances, accuracy, f1 = [], [], [], []
    for j, label in enumerate(task.truth):
        hidden = task.hidden[task.test, j]
        if not hidden.any():
            continue
        truth = task.truth[label].iloc[task.test][hidden]
        guess = filled[label].reset_index(drop=True)[hidden]
        if guess.isna().any():
            raise ValueError(f"{guess.isna().sum()} hidden cells of {label!r} were left empty")
        if is_number(truth):
            scale = np.nanstd(task.missing[label].iloc[task.train].to_numpy()) or 1.0
            true, got = truth.to_numpy() / scale, guess.to_numpy(np.float64) / scale
            errors.append(got - true)
            distances.append(wasserstein_distance(got, true))
        else:
            true, got = (s.astype(object).to_numpy().astype(str) for s in (truth, guess))
            accuracy.append(np.mean(true == got))
            f1.append(f1_score(true, got, labels=np.unique(true), average="macro", zero_division=0))
    found: dict[str, Any] = {"n_hidden_numbers": int(sum(map(len, errors)))}
    found["n_hidden"] = int(task.hidden[task.test].sum())
    if errors:
        pooled = np.concatenate(errors)
        if not np.isfinite(pooled).all():
            raise ValueError("some hidden cells were filled with infinity")
        found["rmse"] = float(np.sqrt(np.mean(pooled**2)))
        found["mae"] = float(np.mean(np.abs(pooled)))
        found["wasserstein"] = float(np.mean(distances))
    if accuracy:
        found["accuracy"], found["f1_macro"] = float(np.mean(accuracy)), float(np.mean(f1))
    return found


def measure(task: Task, method: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Return metrics and costs of one method, run in a process of its own, or its error."""
    job = {
        "method": method,
        "random_state": seed,
        "threads": options.threads,
        "options": options.options if method == "maetab" else {},
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        task.missing.iloc[task.train].reset_index(drop=True).to_pickle(folder / "fit.pkl")
        if not task.in_sample:
            unseen = task.missing.iloc[task.test].reset_index(drop=True)
            unseen.to_pickle(folder / "transform.pkl")
        cost = _in_own_process(folder, options.threads, options.timeout)
        if "error" in cost:
            return cost
        try:
            return score(task, pd.read_pickle(folder / "filled.pkl")) | cost
        except (ValueError, TypeError) as failure:
            return {"error": f"{type(failure).__name__}: {failure}"} | cost


def _in_own_process(folder: Path, threads: int, timeout: float) -> dict[str, Any]:
    """Return what the job in `folder` left behind, or why it left nothing."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = os.environ | dict.fromkeys(names, str(threads))
    command = [sys.executable, "-m", "benchmarks.peers", str(folder)]
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


def tasks(options: argparse.Namespace) -> Iterator[tuple[dict[str, Any], Task]]:
    """Yield each amputated table with the part of the key that names it."""
    settings = ("in-sample", "out-of-sample")
    wanted = settings if options.setting == "both" else (options.setting,)
    for name in options.data_sets:
        truth = features_of(name, options.rows)
        for seed in range(options.seeds):
            for mechanism in options.mechanisms:
                missing, hidden = amputate(truth, mechanism, options.frac, random_state=seed)
                key = {
                    "data_set": name,
                    "rows": len(truth),
                    "mechanism": mechanism,
                    "frac": options.frac,
                    "seed": seed,
                    "cells": digest(missing, hidden),
                }
                for setting in wanted:
                    yield key | {"setting": setting}, split(truth, missing, hidden, setting, seed)


def run(options: argparse.Namespace) -> None:
    """Make every run that is not made yet; append each result the moment it is there."""
    done = {
        tuple(line[name] for name in KEY)
        for line in records.read(options.output)
        if not (options.retry_errors and "error" in line)
    }
    for named, task in tasks(options):
        for method in options.methods:
            label = {"method": method, "version": version_label(method, options.tag)}
            key = named | label | {"threads": options.threads}
            if tuple(key[k] for k in KEY) in done:
                continue
            seen = {
                "n_columns": task.truth.shape[1],
                "hidden_share": task.hidden.sum() / task.truth.notna().to_numpy().sum(),
                "columns_hit": int(task.hidden.any(axis=0).sum()),
                "options": options.options if method == "maetab" else {},
            }
            found = measure(task, method, named["seed"], options)
            line = key | seen | found
            records.append(options.output, line, options.threads)
            print(summary(line), flush=True)


def summary(line: dict[str, Any]) -> str:
    """Return a result in one line for the terminal."""
    named = "{data_set} {mechanism} {seed} {setting} {method}".format_map(line)
    if "error" in line:
        return f"{named}: FAILED, {line['error']}"
    shown = [f"{k} {line[k]:.4f}" for k in ("rmse", "accuracy", "wasserstein") if k in line]
    return f"{named}: {' '.join(shown)} {line['seconds']:.1f} s {line['peak_mib']:.0f} MiB"


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the checked command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.impute", description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--data-sets", nargs="+", default=DATA_SETS, metavar="NAME")
    add("--rows", type=int, default=4000, help="larger tables are cut to this many rows")
    add("--mechanisms", nargs="+", default=MECHANISMS, choices=MECHANISMS)
    add("--frac", type=float, default=0.3, help="share of the cells to hide")
    add("--seeds", type=int, default=1, help="how many times cells are hidden anew")
    add("--methods", nargs="+", default=USUAL, choices=METHODS)
    add("--setting", default="in-sample", choices=("in-sample", "out-of-sample", "both"))
    add("--output", type=Path, default=records.RESULTS / "impute.jsonl")
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
