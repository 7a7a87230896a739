"""Find the anomalies of labelled tables with each detector, append every result to a file.

    python -m benchmarks.detect --data-sets glass Stamps --experiments one-class --seeds 3
    python -m benchmarks.detect --report

The file of results is also the record of what is done: a run that is in it is not made again.
"""

from __future__ import annotations

import argparse
import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks import records
from benchmarks.datasets import list_anomaly_sets, load_anomaly
from benchmarks.detectors import CELL_SCORES, METHODS, Task
from benchmarks.impute import version_label

EXPERIMENTS = ("one-class", "contaminated", "missing", "planted")
MISSING = 0.2  # share of the test cells that is hidden
ROWS = 10_000  # at most, as in ADBench
LIMIT = 600  # seconds a method may take; one that took longer is not tried on that set again
KEY = ("data_set", "experiment", "seed", "method", "version", "threads")


# ---- tasks


def one_class(X: np.ndarray, y: np.ndarray, seed: int) -> Task:
    """Learn from a random half of the normal rows; judge the others, less copies of learned ones.

    X is (n, F), y (n,) is 1 where a row is an anomaly.
    """
    random = np.random.default_rng(seed)
    normal = random.permutation(np.flatnonzero(y == 0))
    train, rest = np.split(normal, [len(normal) // 2])
    known = {row.tobytes() for row in X[train]}
    test = [i for i in (*rest, *np.flatnonzero(y == 1)) if X[i].tobytes() not in known]
    return Task(X[train], X[test], y[test])


def plant(task: Task, seed: int) -> Task:
    """Give each normal test row a cell of another row: same column, another value."""
    random = np.random.default_rng(seed)
    rows = task.test[task.y == 0].copy()
    original, planted = rows.copy(), np.zeros(rows.shape, bool)
    varied = np.flatnonzero(np.ptp(original, axis=0) > 0)
    for i, row in enumerate(rows):
        j = random.choice(varied)
        others = original[original[:, j] != row[j], j]
        row[j] = random.choice(others)
        planted[i, j] = True
    return Task(task.train, rows, planted)


def make_task(X: np.ndarray, y: np.ndarray, experiment: str, seed: int) -> Task:
    """Return the task of an experiment, in the units of the data."""
    if experiment == "contaminated":
        return Task(X, X, y)
    task = one_class(X, y, seed)
    if experiment == "planted":
        return plant(task, seed)
    if experiment == "missing":
        hidden = np.random.default_rng(seed).random(task.test.shape) < MISSING
        return task._replace(test=np.where(hidden, np.nan, task.test))
    return task


def prepared(task: Task) -> Task:
    """Return the task as peers get it: medians for missing cells, scaled by the training rows."""
    steps = make_pipeline(SimpleImputer(strategy="median"), StandardScaler()).fit(task.train)
    train = steps.transform(task.train)
    test = train if task.train is task.test else steps.transform(task.test)
    return Task(train, test, task.y)


# ---- runs


def judge(task: Task, strange: np.ndarray) -> dict[str, float]:
    """Return AUROC and average precision, or how often the planted cell ranks first."""
    if task.y.ndim == 2:
        strange = np.where(np.isnan(strange), -np.inf, strange)
        first = strange.argmax(1)
        top3 = np.argsort(-strange, axis=1, kind="stable")[:, :3]
        hit = np.take_along_axis(task.y, top3, 1)
        return {"first": float(task.y[np.arange(len(first)), first].mean()),
                "top3": float(hit.any(1).mean())}  # fmt: skip
    strange = np.nan_to_num(strange, posinf=np.finfo(float).max, neginf=np.finfo(float).min)
    return {
        "auroc": float(roc_auc_score(task.y, strange)),
        "ap": float(average_precision_score(task.y, strange)),
    }


def measure(task: Task, method: str, seed: int, options: dict) -> dict[str, Any]:
    """Return metrics and seconds of one method, or its error."""
    scores = CELL_SCORES if task.y.ndim == 2 else METHODS
    ready = task if method in CELL_SCORES else prepared(task)
    given = options if method == "maetab" else {}
    start = time.perf_counter()
    signal.signal(signal.SIGALRM, _too_late)
    signal.alarm(LIMIT)
    try:
        strange = scores[method](ready, seed, **given)
    except Exception as failure:  # whatever a method raises is a result to record
        return {"error": f"{type(failure).__name__}: {failure}"[:300]}
    finally:
        signal.alarm(0)
    seconds = time.perf_counter() - start
    return judge(task, strange) | {"seconds": seconds}


def _too_late(*_: Any) -> None:
    raise TimeoutError(f"not done after {LIMIT} s")


def rows_of(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return at most `ROWS` rows of a set, and their labels; columns that vary only."""
    X, y = load_anomaly(name)
    if len(X) > ROWS:
        picked = np.random.default_rng(0).choice(len(X), ROWS, replace=False)
        X, y = X[picked], y[picked]
    return X[:, np.ptp(X, axis=0) > 0], y


def jobs(options: argparse.Namespace) -> Iterator[tuple[str, str, int, str]]:
    for name in options.data_sets:
        for experiment in options.experiments:
            methods = options.methods
            if experiment == "planted":
                methods = [m for m in CELL_SCORES if m != "maetab" or m in options.methods]
            for seed in range(options.seeds):
                for method in methods:
                    yield name, experiment, seed, method


def run(options: argparse.Namespace) -> None:
    """Make every run that is not made yet; append each result the moment it is there."""
    lines = records.read(options.output)
    done = records.done(options.output, KEY)
    slow = {
        (line["data_set"], line["method"], line["version"]): {"error": line["error"]}
        for line in lines
        if "TimeoutError" in line.get("error", "")
    }
    for name, experiment, seed, method in jobs(options):
        version = version_label(method, options.tag) if method == "maetab" else "peer"
        key = dict(
            zip(KEY, (name, experiment, seed, method, version, options.threads), strict=True)
        )
        if tuple(key.values()) in done:
            continue
        X, y = rows_of(name)
        task = make_task(X, y, experiment, seed)
        shape = {"n_train": len(task.train), "n_test": len(task.test), "n_columns": X.shape[1]}
        found = slow.get((name, method, version)) or measure(task, method, seed, options.options)
        if "TimeoutError" in found.get("error", ""):
            slow[name, method, version] = {"error": found["error"]}
        records.append(options.output, key | shape | found, options.threads)
        shown = {k: round(v, 4) if isinstance(v, float) else v for k, v in found.items()}
        print(name, experiment, seed, method, shown, flush=True)


# ---- report


def table(lines: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return data sets x methods: means over seeds, NaN where a method failed."""
    return lines.pivot_table(index="data_set", columns="method", values=metric).dropna(how="all")


def summary(lines: pd.DataFrame, metrics: tuple[str, ...]) -> pd.DataFrame:
    """Return methods x means and average ranks over the sets that every method has finished."""
    parts = {}
    for metric in metrics:
        complete = table(lines, metric).dropna()
        ranks = (-complete).rank(axis=1).mean()
        parts[metric], parts[f"{metric} rank"] = 100 * complete.mean(), ranks
        parts["sets"] = pd.Series(len(complete), complete.columns)
    parts["seconds"] = table(lines, "seconds").loc[complete.index].mean()
    return pd.DataFrame(parts).sort_values(metrics[0], ascending=False)


def against_others(scores: pd.DataFrame, metric: str) -> list[str]:
    """Return where maetab is a point or more behind the best other, and how often it is ahead."""
    peers = scores.drop(columns="maetab", errors="ignore")
    if "maetab" not in scores or peers.empty:
        return []
    behind = (100 * (peers.max(axis=1) - scores["maetab"])).round(1)
    best = peers.idxmax(axis=1)
    said = [f"{name} ({best[name]}, {behind[name]:.1f})" for name in behind.index[behind >= 1]]
    ahead = [f"{name} {(scores['maetab'] > peers[name]).sum()}" for name in peers]
    return [
        f"At least one point of {metric} behind the best other: {', '.join(said)}. "
        f"Sets on which maetab is ahead of each: {', '.join(ahead)}.",
        "",
    ]


def falls(lines: pd.DataFrame) -> list[str]:
    """Return how many points of AUROC each method loses by missing cells, as Markdown."""
    whole, holed = (table(lines[lines["experiment"] == e], "auroc") for e in EXPERIMENTS[::2])
    if whole.empty or holed.empty:
        return []
    fall = (100 * (whole - holed)).dropna()
    fall.loc["mean"] = fall.mean()
    fall.loc["mean without Wilt"] = fall.drop(index=["mean", "44_Wilt"], errors="ignore").mean()
    return ["## Points of AUROC lost by missing cells", "", records.figures(fall, 2), ""]


def report(path: Path, out: Path) -> None:
    """Write a Markdown file of all results."""
    lines = pd.DataFrame(records.read(path))
    lines["method"] += lines["version"].str.extract(r"(\+.*)")[0].fillna("")  # variants
    lines = records.newest(lines, KEY)
    n_failed = int(lines["error"].notna().sum()) if "error" in lines else 0
    text = ["# Finding anomalies", "", f"{len(lines)} runs, {n_failed} of them failed.", ""]
    for experiment in EXPERIMENTS:
        some = lines[lines["experiment"] == experiment]
        metrics = ("first", "top3") if experiment == "planted" else ("auroc", "ap")
        if metrics[0] not in some or some[metrics[0]].isna().all():
            continue
        text += [f"## {experiment}", "", records.figures(summary(some, metrics), 2), ""]
        for metric in metrics:
            text += [f"Per set, {metric} in percent:", ""]
            text += [records.figures(100 * table(some, metric), 1), ""]
        text += against_others(table(some, metrics[0]), metrics[0])
    text += falls(lines)
    out.write_text("\n".join(text), encoding="utf-8")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data-sets", nargs="+", help="default: all there are")
    parser.add_argument("--experiments", nargs="+", choices=EXPERIMENTS, default=EXPERIMENTS)
    parser.add_argument("--methods", nargs="+", choices=tuple(METHODS), default=tuple(METHODS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="recorded; set OMP_NUM_THREADS")
    parser.add_argument("--options", type=json.loads, default={}, help="of maetab, as JSON")
    parser.add_argument("--tag", default="", help="names a variant of maetab")
    parser.add_argument("--output", type=Path, default=records.RESULTS / "detect.jsonl")
    parser.add_argument("--report", action="store_true", help="write the report and stop")
    options = parser.parse_args(arguments)
    if options.options and not options.tag:
        parser.error("--options makes a variant of maetab; name it with --tag")
    known = list_anomaly_sets()
    wanted = options.data_sets or known
    options.data_sets = [s for s in known if s in wanted or s.split("_", 1)[1] in wanted]
    return options


if __name__ == "__main__":
    chosen = parse()
    if chosen.report:
        report(chosen.output, chosen.output.with_suffix(".md"))
    else:
        run(chosen)
