"""Print the trials by which constants of maetab's guess at series, and of its scores, were chosen.

    python -m benchmarks.series_trials filling     # gaps: N_NEAREST, FALL, LITTLE, MUCH, ...
    python -m benchmarks.series_trials wide        # windows of many columns: GROUP
    python -m benchmarks.series_trials planted     # cells: a table of NEAR and LEAST_SPREAD
    python -m benchmarks.series_trials moving      # levels that move: DOUBT, LATE
    python -m benchmarks.series_trials stretches   # rows: of NOISE, RARE, OF_CELL, MIDDLE, HINT

Each line sets constants, the rest as they are, and looks at the choosing sets of
`benchmarks.series`, or at the choosing half of the series of `benchmarks.series_detect`, alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from itertools import product
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd

from benchmarks import series_detect, series_detectors, series_wide
from benchmarks.series_data import CHOOSING, PATTERNS, Part, make_task
from benchmarks.series_peers import FILLERS, Job
from benchmarks.vus import window_length
from maetab import MAEAnomalyDetector, MAEImputer

# Constants that no parameter sets.
SCORES = import_module("maetab.engine.series_scores")
SIMILAR = import_module("maetab.nn.guess.similar")
FIT = import_module("maetab.nn.guess.series_fit")
COVARIANCE = import_module("maetab.nn.guess.covariance")
GROUPING = import_module("maetab.nn.guess.grouping")
MIXTURE = import_module("maetab.nn.guess.mixture")
CALIBRATION = import_module("maetab.engine.series_calibration")

FILLING = [
    (SIMILAR, {"N_NEAREST": SIMILAR.N_NEAREST}),
    *((SIMILAR, {"N_NEAREST": n}) for n in (4, 30, 100)),
    *((SIMILAR, {"FALL": fall}) for fall in (1.0, 6.0)),
    *((FIT, {"LITTLE": share}) for share in (0.005, 0.05)),
    *((FIT, {"MUCH": noise}) for noise in (0.01, 0.1)),
    *((FIT, {"LEVEL": level}) for level in (1.0, 100.0)),
    *((COVARIANCE, {"ALONG_TIME": share}) for share in (0.3, 0.9)),
    *((COVARIANCE, {"OF_ALL": share}) for share in (0.25, 0.75)),
]

GROUPS = [{"GROUP": size} for size in (GROUPING.GROUP, 60, 120, 500, 1000)]

DAY = 48  # steps of a simulated day
MOVING = [
    (MIXTURE, {"DOUBT": MIXTURE.DOUBT}),
    *((MIXTURE, {"DOUBT": share}) for share in (0.0, 0.1, 1.0)),
    *((CALIBRATION, {"LATE": share}) for share in (0.2, 0.5, 1.0)),
]
PLANTED = [
    {"NEAR": SCORES.NEAR},
    *({"NEAR": near} for near in (8, 12, 20, 25, 50)),
    *({"LEAST_SPREAD": spread} for spread in (1e-5, 1e-4, 1e-2, 1e-1)),
]
STRETCHES = [
    {"NOISE": SCORES.NOISE},
    *({"NOISE": noise} for noise in (0.1, 0.5, 1.0, 4.0)),
    *({"OF_CELL": size} for size in (0.0, 1.0, 2.0, 8.0)),
    *({"RARE": rare} for rare in (2.0, 3.5, 4.0)),
    *({"MIDDLE": power} for power in (0.0, 0.1, 1.0)),
    *({"HINT": size} for size in (0.0, 1e-3, 1e-2)),
]


def series(half: str) -> Iterator[tuple[str, pd.DataFrame, np.ndarray, int]]:
    """Yield name, frame, labels and length of windows of one half of the series."""
    for name in series_detect.names():
        if series_detect.half(name) == half:
            frame, labels = series_detect.load(name)
            length = min(window_length(frame.iloc[:, 0].to_numpy()), len(frame) // 4)
            yield name, frame, labels, length


def filling(half: str, seeds: int) -> Iterator[dict[str, Any]]:
    """Yield the error of each choice at the hidden cells of each choosing set, of linear's."""
    choices = [(str(x), partial(mock.patch.multiple, module, **x)) for module, x in FILLING]
    yield from _filled(half, choices, PATTERNS)


def _filled(
    half: str, choices: list[tuple[str, Any]], patterns: tuple[str, ...]
) -> Iterator[dict[str, Any]]:
    assert half == "choosing"
    for name, pattern in product(CHOOSING, patterns):
        task = make_task(name, pattern)
        jobs = [
            Job(method, name, "windows", task.window, task.period, 0, {"max_iter": 0},
                task.train.missing, task.test.missing, task.val)
            for method in ("linear", "maetab")
        ]  # fmt: skip
        linear = _error(FILLERS["linear"](jobs[0]).values, task.test)
        for choice, patch in choices:
            with patch():
                mine = _error(FILLERS["maetab"](jobs[1]).values, task.test)
            yield {"choice": choice, "series": name, "size": pattern, "mae": mine / linear}


def wide(half: str, seeds: int) -> Iterator[dict[str, Any]]:
    """Yield the error of each size of groups at windows of 12 steps and 90 columns, of linear's."""
    for source, pattern in product(series_wide.SOURCES[half], ("point10", "subseq")):
        for choice in GROUPS:
            with mock.patch.multiple(GROUPING, **choice):
                found = series_wide.judged(source, 12, 90, pattern)
            told = {"mae": found["ratio"], "seconds": found["fit_seconds"]}
            yield {"choice": str(choice), "series": source, "size": pattern} | told


def moving(half: str, seeds: int) -> Iterator[dict[str, Any]]:
    """Yield the error of each choice on simulated days, of linear's, and what intervals hold."""
    for seed in range(seeds):
        frame = _days(31, seed)
        for name, share in (("gaps", 0.75), ("blocks", 0.25)):
            parts = [frame.iloc[: 17 * DAY], frame.iloc[22 * DAY :]]
            known, later = (Part(x, x.mask(h), h) for x in parts for h in [_gaps(x, share, seed)])
            line = later.missing.interpolate(limit_direction="both").to_numpy()
            for module, choice in MOVING:
                imputer = MAEImputer(window=DAY, max_iter=0, random_state=seed)
                with mock.patch.multiple(module, **choice):
                    imputer.fit(known.missing)
                    filled = imputer.transform(later.missing).to_numpy()
                    low, high = imputer.predict_interval(later.missing)
                inside = ((low <= later.truth) & (later.truth <= high)).to_numpy()[later.hidden]
                mae = _error(filled, later) / _error(line, later)
                told = {"choice": str(choice), "series": seed, "size": name}
                yield told | {"mae": mae, "inside": inside.mean()}


def _days(n: int, seed: int) -> pd.DataFrame:
    """Return days of one course at levels, and of heights, that change from day to day."""
    random, step = np.random.default_rng(seed), np.arange(n * DAY)
    day = 6 * np.sin(2 * np.pi * step / DAY) + 3 * np.cos(4 * np.pi * step / DAY)
    height = 1 + 0.25 * random.normal(size=n).repeat(DAY)
    level = pd.Series(2 * random.normal(size=n).cumsum().repeat(DAY))
    level = level.rolling(DAY, min_periods=1).mean() + 0.1 * random.normal(size=n * DAY).cumsum()
    course = day * height + level.to_numpy() + 0.5 * random.normal(size=n * DAY)
    index = pd.date_range("2010-11-30", periods=n * DAY, freq="30min")
    return pd.DataFrame({"x": course}, index=index)


def _gaps(frame: pd.DataFrame, share: float, seed: int) -> np.ndarray:
    """Return (n, 1) bool: in two days of three a gap of a share of the day, somewhere in it."""
    n, length = len(frame), round(share * DAY)
    random = np.random.default_rng(seed + n)
    first = random.integers(0, DAY - length + 1, size=n // DAY)
    step = np.arange(DAY)
    inside = (step >= first[:, None]) & (step < first[:, None] + length)
    return (inside & (random.random(n // DAY) < 2 / 3)[:, None]).reshape(-1, 1)


def _error(filled: np.ndarray, part: Part) -> float:
    return float(np.abs(filled - part.truth.to_numpy())[part.hidden].mean())


def planted(half: str, seeds: int) -> Iterator[dict[str, Any]]:
    """Yield the rank of each planted value with each choice.

    Each series is fitted once: whatever is usual of its one column, cells keep their order.
    """
    for name, frame, labels, length in series(half):
        for seed in range(seeds):
            for size in series_detect.SIZES:
                case = series_detect.plant(frame, labels, size, seed)
                if case is None:
                    continue
                detector = MAEAnomalyDetector(window=length, random_state=seed).fit(case[0])
                for choice in PLANTED:
                    with mock.patch.multiple(SCORES, **choice):
                        cells = detector.score_cells(case[0]).iloc[:, 0].to_numpy()
                    found = series_detect.judge_planted(labels, cells, case[1])
                    yield {"choice": str(choice), "series": name, "size": size} | found


def stretches(half: str, seeds: int) -> Iterator[dict[str, Any]]:
    """Yield VUS-PR of each series with each choice."""
    for name, frame, labels, length in series(half):
        for choice in STRETCHES if labels.any() else ():
            with mock.patch.multiple(SCORES, **choice):
                scores = series_detectors.stretches(frame, length, 0)
            found = series_detect.judge_stretches(labels, scores, length)
            yield {"choice": str(choice), "series": name, "size": 0.0} | found


TRIALS = {
    "filling": filling,
    "wide": wide,
    "moving": moving,
    "planted": planted,
    "stretches": stretches,
}


def main() -> None:
    """Print choices x means over the choosing half."""
    parser = argparse.ArgumentParser(prog="benchmarks.series_trials")
    parser.add_argument("experiment", choices=tuple(TRIALS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--by-series", action="store_true", help="do not average over series")
    options = parser.parse_args()
    found = TRIALS[options.experiment]("choosing", options.seeds)
    lines = pd.DataFrame(found)
    by = ["series"] if options.by_series else []
    lines = lines.drop(columns=[] if by else "series")
    print(lines.groupby([*by, "size", "choice"], sort=False).mean().round(3).to_string())


if __name__ == "__main__":
    main()
