"""Find labelled stretches, and single planted values, in series of the Numenta benchmark.

    python -m benchmarks.series_detect --experiments stretches planted

Stretches: each labelled series is scored as a whole, without labels; VUS-PR and AUC-PR have no
threshold. Planted: one value of a series is moved by some times the local noise; counted is at
which rank its stamp comes. The file of results is also the record of what is done.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score

from benchmarks import records, series_detectors
from benchmarks.series_data import data_folder
from benchmarks.vus import vus_pr, window_length

SIZES = (4.0, 8.0)  # of a planted value, in standard deviations of the local noise
NEAR = 50  # steps on each side that local noise is taken from; as many at the ends stay whole
KEY = ["experiment", "series", "seed", "size", "method", "version"]


def names() -> list[str]:
    """Return the series, in order of their names."""
    return sorted(json.loads((data_folder() / "nab" / "windows.json").read_text()))


def load(name: str) -> tuple[pd.DataFrame, np.ndarray]:
    """Return a series by time and which of its stamps lie in a labelled stretch.

    Where stamps repeat or go back (clocks set back) the rows in order are the time.
    """
    frame = pd.read_csv(data_folder() / "nab" / name, index_col="timestamp", parse_dates=True)
    stretches = json.loads((data_folder() / "nab" / "windows.json").read_text())[name]
    labels = np.zeros(len(frame), dtype=bool)
    for first, last in stretches:
        labels |= (frame.index >= pd.Timestamp(first)) & (frame.index <= pd.Timestamp(last))
    frame = frame.astype("float64")
    if not (frame.index.is_unique and frame.index.is_monotonic_increasing):
        frame = frame.reset_index(drop=True)
    return frame, labels


def half(name: str) -> str:
    """Return whether settings are chosen on a series or it is judged: every other by name."""
    return ("choosing", "judging")[names().index(name) % 2]


def plant(
    frame: pd.DataFrame, labels: np.ndarray, size: float, seed: int
) -> tuple[pd.DataFrame, int] | None:
    """Return a series with one wrong value, and where it stands; none if nothing varies.

    The value moves up or down by `size` standard deviations of the local noise: the median step
    between neighbours, for normal noise, among the stamps at most NEAR away.
    """
    values = frame.iloc[:, 0].to_numpy()
    noise = local_noise(values)
    free = np.flatnonzero((noise > 0) & ~labels)
    free = free[(free >= NEAR) & (free < len(values) - NEAR)]
    if not len(free):
        return None
    random = np.random.default_rng(seed)
    place = int(random.choice(free))
    changed = values.copy()
    changed[place] += random.choice([-1, 1]) * size * noise[place]
    return pd.DataFrame({frame.columns[0]: changed}, index=frame.index), place


def local_noise(values: np.ndarray) -> np.ndarray:
    """Return (n,) the local standard deviation of normal noise between neighbours."""
    steps = pd.Series(np.abs(np.diff(values, prepend=values[0])))
    middle = steps.rolling(2 * NEAR + 1, center=True, min_periods=1).median()
    return (middle / (0.6745 * np.sqrt(2))).to_numpy()


def judge_stretches(labels: np.ndarray, scores: np.ndarray, length: int) -> dict[str, float]:
    """Return VUS-PR and AUC-PR; the buffer is as long as the window, as in TSB-AD."""
    return {
        "vus_pr": vus_pr(labels, scores, length),
        "auc_pr": float(average_precision_score(labels, scores)),
    }


def judge_planted(labels: np.ndarray, scores: np.ndarray, place: int) -> dict[str, float]:
    """Return the rank of the planted stamp among those outside labelled stretches (1: first)."""
    rank = int((scores[~labels] >= scores[place]).sum())  # itself among them; ties count against
    return {"rank": rank, "first": float(rank == 1), "top5": float(rank <= 5)}


def tasks(options: argparse.Namespace) -> Iterator[tuple[dict[str, Any], Any]]:
    """Yield each task with the part of the key that names it."""
    for name in options.series or names():
        frame, labels = load(name)
        length = min(window_length(frame.iloc[:, 0].to_numpy()), len(frame) // 4)
        named = {"series": name, "half": half(name), "rows": len(frame), "window": length}
        if "stretches" in options.experiments and labels.any():
            key = {"experiment": "stretches", "seed": 0, "size": 0.0}
            yield named | key, (frame, labels, None)
        for size in SIZES if "planted" in options.experiments else ():
            for seed in range(options.seeds):
                planted = plant(frame, labels, size, seed)
                key = {"experiment": "planted", "seed": seed, "size": size}
                if planted is not None:
                    yield named | key, (planted[0], labels, planted[1])


def measure(task: Any, length: int, method: str, seed: int, options: dict) -> dict[str, Any]:
    """Return the figures of one method and its CPU seconds, or its error."""
    frame, labels, place = task
    kind = series_detectors.STRETCHES if place is None else series_detectors.POINTS
    more = {"options": options} if method == "maetab" else {}
    start = time.process_time()
    try:
        scores = np.asarray(kind[method](frame, length, seed, **more), dtype=float)
    except Exception as failure:  # whatever a method raises is a result to record
        return {"error": f"{type(failure).__name__}: {failure}"[:300]}
    cost = {"cpu_seconds": time.process_time() - start}
    if place is None:
        return judge_stretches(labels, scores, length) | cost
    return judge_planted(labels, scores, place) | cost


def run(options: argparse.Namespace) -> None:
    """Make every run that is not made yet; append each result the moment it is there."""
    done = records.done(options.output, KEY)
    for named, task in tasks(options):
        kind = "STRETCHES" if named["experiment"] == "stretches" else "POINTS"
        for method in getattr(series_detectors, kind):
            if options.methods and method not in options.methods:
                continue
            version = series_detectors.version_of(method)
            if options.tag and method == "maetab":
                version += f"+{options.tag}"
            key = named | {"method": method, "version": version}
            if tuple(key[name] for name in KEY) in done:
                continue
            found = measure(task, named["window"], method, named["seed"], options.options)
            records.append(options.output, key | found, options.threads)
            print(method, named["series"], found, flush=True)


# ---- tables


def table(lines: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return series x methods."""
    return lines.pivot_table(index="series", columns="method", values=metric)


def summary(lines: pd.DataFrame, metrics: tuple[str, ...]) -> pd.DataFrame:
    """Return methods x means and average ranks over the series that every method finished."""
    found = {}
    for metric in metrics:
        scores = table(lines, metric).dropna()
        found[metric] = scores.mean()
        found[f"{metric} rank"] = scores.rank(axis=1, ascending=False).mean()
    return pd.DataFrame(found).sort_values(metrics[0], ascending=False)


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the checked command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.series_detect")
    add = parser.add_argument
    both = ("stretches", "planted")
    add("--experiments", nargs="+", default=both, choices=both)
    add("--series", nargs="+", metavar="NAME", help="folder/file.csv; all by default")
    add("--methods", nargs="+", metavar="NAME")
    add("--seeds", type=int, default=5, help="how many values are planted in each series")
    add("--output", type=Path, default=records.RESULTS / "series_detect.jsonl")
    add("--threads", type=int, default=1)
    add("--tag", default="", help="added to maetab's version: a variant gets results of its own")
    add("--options", type=json.loads, default={}, help="JSON, parameters of MAEAnomalyDetector")
    options = parser.parse_args(argv)
    if options.options and not options.tag:
        parser.error("--options makes a variant of maetab; name it with --tag")
    return options


if __name__ == "__main__":
    run(parse())
