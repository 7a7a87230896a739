"""What features of windows are made of: the trials by which it was chosen, on parts of their own.

    python -m benchmarks.series_reading

Of the forecast of `benchmarks.series_features`: the validation part, and the last four months of
the first year from the first eight. Of its classes: labels from the first six tenths of the windows
that teach, judged on the others that teach. The parts that are judged there are not looked at.
Networks are not trained, unless `--options` says so: that makes no difference worth its time.
The file of results is also the record of what is done.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.linalg import hadamard
from sklearn.decomposition import PCA

from benchmarks import records
from benchmarks.peers import package_version
from benchmarks.series_features import few_labels, fitted, raw, ridge_probe
from benchmarks.series_windows import CLASSES, MONTH, STRIDE, TEACHING, Windows, forecast_windows

HORIZON = 48
KEY = ["task", "method", "version"]


class Trial(NamedTuple):
    """Shares of the variance that tokens, cells, what is expected, and cells as they are have.

    n_components : None for all
    even : whether components are turned so that each varies as much
    with_raw : whether the cells stand behind them
    ahead : share of the expected steps that is read, from the first on
    """

    shares: tuple[float, float, float, float]
    n_components: int = 128
    even: bool = True
    with_raw: bool = False
    ahead: float = 1.0


TRIALS = {
    "cells as they are": Trial((0, 0, 0, 1)),
    "the same, not turned": Trial((0, 0, 0, 1), even=False),
    "cells less the last": Trial((0, 1, 0, 0)),
    "tokens": Trial((1, 0, 0, 0)),
    "tokens, not turned": Trial((1, 0, 0, 0), even=False),
    "cells, expected": Trial((0, 0.5, 0.5, 0)),
    "tokens, cells": Trial((0.5, 0.5, 0, 0)),
    "tokens, expected": Trial((0.5, 0, 0.5, 0)),
    "a fifth tokens": Trial((0.2, 0.4, 0.4, 0)),
    "a third tokens": Trial((1 / 3, 1 / 3, 1 / 3, 0)),
    "half tokens": Trial((0.5, 0.25, 0.25, 0)),
    "half tokens, not turned": Trial((0.5, 0.25, 0.25, 0), even=False),
    "half tokens, 32": Trial((0.5, 0.25, 0.25, 0), 32),
    "half tokens, 64": Trial((0.5, 0.25, 0.25, 0), 64),
    "half tokens, 256": Trial((0.5, 0.25, 0.25, 0), 256),
    "half tokens and raw": Trial((0.5, 0.25, 0.25, 0), with_raw=True),
    "half tokens, half as far ahead": Trial((0.5, 0.25, 0.25, 0), ahead=0.5),
    "two thirds tokens": Trial((2 / 3, 1 / 6, 1 / 6, 0)),
}


class Read(NamedTuple):
    """What is read of windows, block by block: tokens, cells, what is expected, cells as they are.

    known : (W,) windows that components are learned from
    """

    blocks: list[np.ndarray]
    known: np.ndarray


def read(windows: Windows, options: dict[str, Any]) -> Read:
    """Return the blocks of an encoder's readout, and the cells as they are."""
    encoder = fitted(windows, {"n_components": None} | options)
    found = encoder.transform(windows.whole)
    found = found.loc[pd.MultiIndex.from_tuples(windows.starts)].to_numpy()
    _, n_steps, n_columns = windows.values.shape
    n_cells = n_steps * n_columns
    n_tokens = n_steps * (1 + n_columns) * encoder.width
    blocks = np.split(found, [n_tokens, n_tokens + n_cells], 1)
    known = windows.teaches.copy()
    if windows.labels is None:  # encoders remember windows that begin at one hour
        known &= np.arange(len(known)) % (24 // windows.stride) == 0
    return Read([*blocks, raw(windows, {}).astype(np.float32)], known)


def features_of(found: Read, trial: Trial) -> np.ndarray:
    """Return (W, D) features as a trial makes them."""
    tokens, cells, expected, scaled = found.blocks
    expected = expected[:, : int(expected.shape[1] * trial.ahead)]
    weighed = [
        block * np.sqrt(share / block[found.known].var(0).sum())
        for block, share in zip((tokens, cells, expected, scaled), trial.shares, strict=True)
        if share
    ]
    whole = np.concatenate(weighed, 1)
    most = min(trial.n_components, int(found.known.sum()) - 1, whole.shape[1])
    features = PCA(most, random_state=0).fit(whole[found.known]).transform(whole)
    if trial.even:
        features = turned(features)
    return np.hstack([features, scaled]) if trial.with_raw else features


def turned(components: np.ndarray) -> np.ndarray:
    """Return (W, 2 ** n) numbers that have one variance where the components are uncorrelated."""
    size = 2 ** int(np.ceil(np.log2(components.shape[1])))
    missing = size - components.shape[1]
    return np.pad(components, ((0, 0), (0, missing))) @ hadamard(size) / np.sqrt(size)


# ---- judges that look at no judged part


def forecast_judge(windows: Windows, future: np.ndarray, parts: np.ndarray) -> Any:
    """Return what takes features and gives two errors, of the validation part and the first year.

    Each is that of the penalty that is best there.
    """
    last = windows.values[:, -1]
    first = np.arange(len(parts)) * STRIDE  # of part 0, which comes first
    months = np.where(first + windows.values.shape[1] + HORIZON <= 8 * MONTH, 0, 1)
    late = (parts == 0) & (first + windows.values.shape[1] >= 8 * MONTH)
    early = (parts == 0) & (months == 0)

    def judge(features: np.ndarray) -> dict[str, float]:
        found = {}
        for name, teaches, chooses in (
            ("mse of the validation part", parts == 0, parts == 1),
            ("mse within the first year", early, late),
        ):
            kept = np.flatnonzero(teaches | chooses)
            own = np.where(chooses[kept], 1, 0)
            rows = np.concatenate([kept, kept[own == 1]])  # what is judged is what chooses
            part = np.concatenate([own, np.full(int(own.sum()), 2)])
            found[name] = ridge_probe(features[rows], last[rows], future[rows], part)["mse"]
        return found

    return judge


def classes_judge(windows: Windows) -> Any:
    """Return what takes features and gives the accuracy on windows that teach."""
    kept = np.flatnonzero(windows.teaches)
    series = np.array([group for group, _ in windows.starts])[kept]
    first = np.zeros(len(kept), dtype=bool)
    several = len(set(series)) == 2  # two machines; else days in order
    for one in set(series) if several else [None]:
        own = np.flatnonzero(series == one) if several else np.arange(len(kept))
        first[own[: int(TEACHING * len(own))]] = True
    return lambda x: {"accuracy": few_labels(x[kept], windows.labels[kept], first)["accuracy"]}


# ---- runs


def tasks() -> Iterator[tuple[str, Windows, Any]]:
    """Yield each task's name, windows and judge."""
    for name, make in CLASSES.items():
        windows = make()
        yield name, windows, classes_judge(windows)
    windows, future, parts = forecast_windows(HORIZON)
    yield f"forecast {HORIZON}", windows, forecast_judge(windows, future, parts)


def run(options: argparse.Namespace) -> None:
    """Make every trial that is not made yet; then print the table."""
    done, version = records.done(options.output, KEY), package_version("maetab") + options.tag

    def judged(task: str, judge: Any, name: str, features: np.ndarray) -> None:
        line = {"task": task, "method": name, "version": version}
        line |= judge(features) | {"n_features": features.shape[1]}
        records.append(options.output, line, 1)

    for task, windows, judge in tasks():
        if (task, [*TRIALS][-1], version) in done:
            continue
        judged(task, judge, "raw", raw(windows, {}))
        found = read(windows, options.options)
        for name, trial in TRIALS.items():
            judged(task, judge, name, features_of(found, trial))
    print(table(options.output))


def table(path: Path) -> str:
    """Return the trials as a Markdown table: errors of the forecast, accuracies of the classes."""
    lines = pd.DataFrame(records.read(path)).drop_duplicates(["task", "method"], keep="last")
    ahead = lines[lines["task"].str.startswith("forecast")].set_index("method")
    errors = ahead[["mse of the validation part", "mse within the first year"]]
    right = lines.pivot_table("accuracy", "method", "task")
    return records.figures(errors.join(right), 3)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="benchmarks.series_reading")
    add = parser.add_argument
    add("--output", type=Path, default=records.RESULTS / "series_reading.jsonl")
    add("--options", type=json.loads, default={"max_iter": 0}, help="JSON, of MAEEncoder")
    add("--tag", default="", help="added to maetab's version where options are others")
    run(parser.parse_args())
