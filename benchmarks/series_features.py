"""Features of windows of a series: a forecast by ridge, and two classes from ten labels each.

    python -m benchmarks.series_features --experiments forecast classes

Forecast: ETT_h1 with the split of Informer (12, 4 and 4 months of 30 days), a ridge from a window's
features to the next 24 or 48 hours of all seven columns, penalty chosen on the validation part: the
linear probe of PatchTST (arXiv:2211.14730), whose table has .322 and .354. Classes: days of the
working week or not, and series of machines told apart by shape, with 10 labels of each class. What
maetab's features are read from was chosen on other parts: see `benchmarks.series_reading`.
The file of results is also the record of what is done.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import balanced_accuracy_score
from sklearn.preprocessing import StandardScaler

from benchmarks import records
from benchmarks.peers import package_version
from benchmarks.series_peers import GROUP
from benchmarks.series_windows import CLASSES, Windows, forecast_windows

HORIZONS = (24, 48)
ALPHAS = (1.0, 10.0, 100.0, 1e3, 1e4, 1e5)
N_LABELS, N_DRAWS = 10, 20  # of each class, and how often they are drawn anew
KEY = ["experiment", "task", "method", "version"]
ELSEWHERE = {
    "classes": ("raw by column", "maetab by column"),
    "forecast": ("catch22",),
}  # where a method says nothing
OF_MAETAB = ("maetab", "maetab by column", "maetab, untrained")
PACKAGES = dict.fromkeys(OF_MAETAB, "maetab") | {"catch22": "pycatch22"}


# ---- features of windows


def raw(windows: Windows, options: dict[str, Any]) -> np.ndarray:
    """Return the cells of each window, missing ones interpolated."""
    return filled(windows).reshape(len(windows.values), -1)


def catch22(windows: Windows, options: dict[str, Any]) -> np.ndarray:
    """Return 24 features of each column: catch22, mean and spread."""
    import pycatch22

    columns = filled(windows).transpose(0, 2, 1)
    rows = [
        np.concatenate([pycatch22.catch22_all(list(line), catch24=True)["values"] for line in one])
        for one in columns
    ]
    return np.nan_to_num(np.asarray(rows))


def maetab(windows: Windows, options: dict[str, Any]) -> pd.DataFrame:
    """Return `MAEEncoder`'s features of each window, learned from the course that teaches."""
    features = encoded(windows, options)
    own = features.loc[pd.MultiIndex.from_tuples(windows.starts)]
    own.attrs = features.attrs
    return own


ENCODED: dict[str, pd.DataFrame] = {}  # in this run: horizons differ in what follows alone


def encoded(windows: Windows, options: dict[str, Any]) -> pd.DataFrame:
    """Return features of all windows, with the CPU seconds that they took as attributes."""
    key = f"{json.dumps(options)}, {len(windows.whole)} rows, {windows.starts[0]}"
    if key not in ENCODED:
        start = time.process_time()
        encoder = fitted(windows, options)
        middle = time.process_time()
        features = encoder.transform(windows.whole)
        end = time.process_time()
        features.attrs = {"fit_seconds": middle - start, "transform_seconds": end - middle}
        features.attrs["cpu_seconds"] = end - start
        ENCODED[key] = features
    return ENCODED[key]


def fitted(windows: Windows, options: dict[str, Any]) -> Any:
    """Return an encoder of windows that knows the course that teaches."""
    from maetab import MAEEncoder

    shape = {"window": windows.values.shape[1], "groups": GROUP, "level": "window"}
    own = shape | {"stride": windows.stride, "random_state": 0} | options
    return MAEEncoder(**own).fit(windows.course)


def alone(windows: Windows, options: dict[str, Any]) -> pd.DataFrame:
    """Return features of each column's windows, (W * F, D): each column is a series of its own."""
    names = [name for name in windows.whole.columns if name != GROUP]
    frames = windows.course, windows.whole
    course, whole = (
        pd.concat(
            [
                frame[[name]].set_axis(["value"], axis=1).assign(**{GROUP: k})
                for k, name in enumerate(names)
            ]
        )
        for frame in frames
    )
    starts = [(k, stamp) for _, stamp in windows.starts for k in range(len(names))]
    return maetab(windows._replace(course=course, whole=whole, starts=starts), options)


def untrained(windows: Windows, options: dict[str, Any]) -> pd.DataFrame:
    """Return the same of networks that were not trained."""
    return maetab(windows, {"max_iter": 0} | options)


def by_column(windows: Windows, options: dict[str, Any]) -> np.ndarray:
    """Return (W, F, T): the cells of each column alone, for one probe that all columns share."""
    return filled(windows).transpose(0, 2, 1)


METHODS: dict[str, Callable[[Windows, dict[str, Any]], np.ndarray | pd.DataFrame]] = {
    "maetab": maetab,
    "maetab by column": alone,
    "maetab, untrained": untrained,
    "raw": raw,
    "raw by column": by_column,
    "catch22": catch22,
}


def filled(windows: Windows) -> np.ndarray:
    """Return (W, T, F) with missing cells interpolated in their window, else the mean."""
    usual = np.nanmean(windows.values[windows.teaches], axis=(0, 1))
    whole = [
        pd.DataFrame(one).interpolate(limit_direction="both").fillna(pd.Series(usual)).to_numpy()
        for one in windows.values
    ]
    return np.asarray(whole)


# ---- probes


def ridge_probe(
    features: np.ndarray, last: np.ndarray, future: np.ndarray, parts: np.ndarray
) -> dict[str, float]:
    """Return errors on the last part of the ridge that is best on the middle one.

    Parameters
    ----------
    features : (W, D), or (W, F, D) of each column for one probe that all columns share
    last : (W, F), the last step of each window: targets are taken with and without it
    future : (W, H, F)
    parts : (W,) of 0 teaches, 1 chooses, 2 judges
    """
    if features.ndim == 3:
        n_columns = features.shape[1]
        features, last = features.reshape(-1, features.shape[2]), last.reshape(-1, 1)
        future = future.transpose(0, 2, 1).reshape(len(features), -1, 1)
        parts = np.repeat(parts, n_columns)
    scaled = StandardScaler().fit(features[parts == 0]).transform(features)
    found = []
    for change in (False, True):
        offset = last[:, None] if change else np.zeros_like(last)[:, None]
        target = (future - offset).reshape(len(future), -1)
        for alpha in ALPHAS:
            ridge = Ridge(alpha).fit(scaled[parts == 0], target[parts == 0])
            expected = target[parts > 0]
            error = ridge.predict(scaled[parts > 0]).reshape(expected.shape) - expected
            chooses = parts[parts > 0] == 1
            judged = error[~chooses]
            errors = (float(np.mean(judged**2)), float(np.mean(np.abs(judged))))
            found.append((float(np.mean(error[chooses] ** 2)), alpha, change, *errors))
    _, alpha, change, mse, mae = min(found)
    return {"mse": mse, "mae": mae, "alpha": alpha, "change": float(change)}


def few_labels(features: np.ndarray, labels: np.ndarray, teaches: np.ndarray) -> dict[str, float]:
    """Return the balanced accuracy of a logistic probe from N_LABELS of each class, and its spread.

    The mean over N_DRAWS draws of labels from the windows that teach; the others are judged.
    """
    scaled = StandardScaler().fit(features[teaches]).transform(features)
    random = np.random.default_rng(0)
    found = []
    for _ in range(N_DRAWS):
        told = np.concatenate(
            [
                random.choice(np.flatnonzero(teaches & (labels == k)), N_LABELS, replace=False)
                for k in (0, 1)
            ]
        )
        probe = LogisticRegression(C=0.1, max_iter=2000).fit(scaled[told], labels[told])
        found.append(balanced_accuracy_score(labels[~teaches], probe.predict(scaled[~teaches])))
    return {"accuracy": float(np.mean(found)), "accuracy_std": float(np.std(found))}


# ---- runs


def tasks(options: argparse.Namespace) -> Iterator[tuple[str, str, Windows, Callable]]:
    """Yield each experiment's name, task, windows and judge of features."""
    if "forecast" in options.experiments:
        for horizon in HORIZONS:
            windows, future, parts = forecast_windows(horizon)
            last = windows.values[:, -1]

            def judge(features: np.ndarray, last=last, future=future, parts=parts) -> dict:
                return ridge_probe(features, last, future, parts)

            yield "forecast", str(horizon), windows, judge
    for name, make in CLASSES.items() if "classes" in options.experiments else ():
        windows = make()

        def judge_classes(features: np.ndarray, windows: Windows = windows) -> dict:
            return few_labels(features, windows.labels, windows.teaches)

        yield "classes", name, windows, judge_classes


def run(options: argparse.Namespace) -> None:
    """Make every run that is not made yet; append each result the moment it is there."""
    done = records.done(options.output, KEY)
    for experiment, task, windows, judge in tasks(options):
        for method in options.methods:
            if method in ELSEWHERE.get(experiment, ()):
                continue
            version = package_version(PACKAGES.get(method, "scikit-learn"))
            if options.tag and method.startswith("maetab"):
                version += f"+{options.tag}"
            key = {"experiment": experiment, "task": task, "method": method, "version": version}
            if tuple(key[name] for name in KEY) in done:
                continue
            chosen = options.options if method.startswith("maetab") else {}
            line = (
                key | {"n_windows": len(windows.values)} | measure(windows, judge, method, chosen)
            )
            records.append(options.output, line, options.threads)
            print(line, flush=True)


def measure(
    windows: Windows, judge: Callable, method: str, options: dict[str, Any]
) -> dict[str, Any]:
    """Return the figures of one method's features and the CPU seconds of making them."""
    start = time.process_time()
    try:
        features = METHODS[method](windows, options)
        seconds = {"cpu_seconds": time.process_time() - start}
        if isinstance(features, pd.DataFrame):
            seconds, features = dict(features.attrs), features.to_numpy(float)
            if len(features) > len(windows.values):
                features = features.reshape(len(windows.values), -1, features.shape[1])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return judge(features) | {"n_features": features.shape[-1]} | seconds
    except Exception as failure:  # whatever a method raises is a result to record
        return {"error": f"{type(failure).__name__}: {failure}"[:300]}


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Return the checked command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.series_features")
    add = parser.add_argument
    add("--experiments", nargs="+", default=("forecast", "classes"))
    add("--methods", nargs="+", default=tuple(METHODS), choices=tuple(METHODS))
    add("--output", type=Path, default=records.RESULTS / "series_features.jsonl")
    add("--threads", type=int, default=1)
    add("--tag", default="", help="added to maetab's version: a variant gets results of its own")
    add("--options", type=json.loads, default={}, help="JSON, parameters of MAEEncoder")
    options = parser.parse_args(argv)
    if options.options and not options.tag:
        parser.error("--options makes a variant of maetab; name it with --tag")
    return options


if __name__ == "__main__":
    run(parse())
