"""Linear probes on frozen features: MAEEncoder against plain encodings, with cells missing.

    python -m benchmarks.encode --data-sets pima wine --seeds 1

Encoders learn from the features of the training rows, without labels; the probe learns from 100,
500 or all labelled training rows, complete; test rows lack 0, 20 or 50 % of their cells. The file
of results is also the record of what is done: a run that is in it is not made again.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from benchmarks import records
from benchmarks.coding import is_number
from benchmarks.datasets import load
from benchmarks.encodings import ENCODINGS, OURS
from benchmarks.impute import version_label
from benchmarks.label_peers import PACKAGES
from benchmarks.peers import package_version
from benchmarks.probe import PREDICTORS, Metrics, Predict, judge, linear_probe

DATA_SETS = [
    "pima", "wine", "autompg", "compression", "raisin", "breast_w", "obesity", "abalone",
    "magic", "wdbc", "credit_scoring", "shoppers", "adult", "default", "letter",
]  # fmt: skip
BUDGETS = (100, 500, None)  # labels; None is all
MISSING = (0.0, 0.2, 0.5)  # shares of the cells of test rows
TRAIN_SHARE = 0.6
KEY = ["data_set", "rows", "seed", "method", "version", "labels", "missing"]
Found = Iterator[tuple[int | None, list[Metrics]]]  # metrics per share, for budgets of labels


class Task(NamedTuple):
    """One labelled table, split: `tests` holds the test rows once per share of missing cells."""

    train: pd.DataFrame
    y_train: np.ndarray
    tests: list[pd.DataFrame]
    y_test: np.ndarray
    kind: str


def make_task(name: str, rows: int, seed: int, shares: tuple[float, ...] = MISSING) -> Task:
    """Return at most `rows` labelled rows of a table, shuffled and split by `seed`."""
    frame, target, kind = load(name)
    labelled = np.flatnonzero(target.notna())
    picked = np.random.default_rng(seed).permutation(labelled)[:rows]
    frame, target = frame.iloc[picked].reset_index(drop=True), target.iloc[picked]
    frame = frame.loc[:, frame.nunique() > 1]
    frame = frame.astype({c: "float64" if is_number(frame[c]) else "object" for c in frame})
    y = target.to_numpy(np.float64) if kind == "regression" else pd.factorize(target)[0]
    cut = round(TRAIN_SHARE * len(frame))
    test = frame.iloc[cut:].reset_index(drop=True)
    drawn = np.random.default_rng(1000 + seed).random(test.shape)
    tests = [test.mask(drawn < share) for share in shares]
    return Task(frame.iloc[:cut], y[:cut], tests, y[cut:], kind)


def probed(task: Task, method: str, seed: int) -> Found:
    """Yield, per budget of labels, the metrics of a linear probe on a method's features."""
    encode = ENCODINGS[method](task.train, seed)
    train, tests = encode(task.train), [encode(test) for test in task.tests]
    for labels in budgets(task):
        predict = linear_probe(train[:labels], task.y_train[:labels], task.kind)
        yield labels, [judge(predict(test), task.y_test, task.kind) for test in tests]


def predicted(task: Task, make: Callable[..., Predict], seed: int) -> Found:
    """Yield, per budget of labels, the metrics of a method that predicts from the frame itself."""
    for labels in budgets(task):
        predict = make(task.train, task.y_train[:labels], task.kind, seed)
        yield labels, [judge(predict(test), task.y_test, task.kind) for test in task.tests]


def budgets(task: Task) -> list[int | None]:
    """Return the budgets that are less than all labels, and all."""
    return [labels for labels in BUDGETS if labels is None or labels < len(task.y_train)]


def measure(task: Task, method: str, seed: int) -> Found:
    """Yield what each budget of labels brings to a method of this benchmark."""
    if method in ENCODINGS:
        return probed(task, method, seed)
    return predicted(task, PREDICTORS[method], seed)


def run(
    options: argparse.Namespace,
    methods: Sequence[str],
    measure: Callable[[Task, str, int], Found],
    shares: tuple[float, ...] = MISSING,
) -> None:
    """Make every run that is not made yet; append each result the moment it is there.

    Seconds are counted from the start of a method, so they grow with the budgets of labels.
    """
    done = records.done(options.output, KEY)
    for seed, name in product(range(options.seeds), options.data_sets):
        task = make_task(name, options.rows, seed, shares)
        n_rows = len(task.y_train) + len(task.y_test)
        for method in methods:
            named = dict(zip(KEY, (name, n_rows, seed, method), strict=False))
            named["version"] = _version(method, options.tag)
            if (*named.values(), None, shares[-1]) in done:
                continue
            start = time.perf_counter()
            for labels, found in measure(task, method, seed):
                seconds = time.perf_counter() - start
                for missing, metrics in zip(shares, found, strict=True):
                    line = named | {"labels": labels, "missing": missing, "kind": task.kind}
                    line |= metrics._asdict() | {"seconds": seconds}
                    records.append(options.output, line, torch.get_num_threads())
                shown = " ".join(f"{metrics.score:.3f}" for metrics in found)
                print(f"{name} {seed} {method} {labels or 'all'} labels: {shown}", flush=True)


def _version(method: str, tag: str) -> str:
    """Return the version of the package behind a method; all but a few are scikit-learn's."""
    if method in PACKAGES:
        return package_version(PACKAGES[method])
    return version_label("maetab" if method in OURS else "mean", tag)


def of_all_methods(results: Path) -> pd.DataFrame:
    """Return the results that count, of tasks that every method has done; labels as text."""
    table = records.newest(pd.DataFrame(records.read(results)), KEY)
    table["labels"] = table["labels"].map(lambda n: "all" if pd.isna(n) else f"{n:.0f}")
    task = ["data_set", "seed", "labels", "missing"]
    n_methods = table.groupby(task)["method"].transform("nunique")
    return table[n_methods == table["method"].nunique()]


def report(results: Path) -> str:
    """Return the mean scores as Markdown: tasks that every method has done, methods down."""
    table = of_all_methods(results)
    sets, seeds = table["data_set"].nunique(), table["seed"].nunique()
    of = table.groupby("labels")["data_set"].nunique()
    lines = [
        f"Mean score (accuracy or R²) over {sets} tables and {seeds} seeds: a linear probe on",
        "frozen features, and methods that predict from the table itself. Tables by labels:",
        ", ".join(f"{labels}: {n}" for labels, n in of.items()) + ".",
        "",
    ]
    for value in ("score", "auroc"):
        held = table[table[value].notna()]
        wide = held.pivot_table(index="method", columns=["labels", "missing"], values=value)
        order = [(n, m) for n in ("100", "500", "all") for m in MISSING if (n, m) in wide]
        wide = wide[order].set_axis([f"{n} labels, {m:.0%} missing" for n, m in order], axis=1)
        lines += [f"### {value}", "", records.figures(wide, 4, "method"), ""]
    if "maetab" in set(table["method"]):
        lines += ["### Share of the splits in which maetab scores higher", "", wins(table), ""]
    return "\n".join(lines)


def wins(table: pd.DataFrame) -> str:
    """Return, per budget of labels on complete rows, how often maetab scores higher than each."""
    whole = table[table["missing"] == 0]
    scores = whole.pivot_table(
        index=["labels", "data_set", "seed"], columns="method", values="score"
    )
    higher = scores.drop(columns="maetab").lt(scores["maetab"], axis=0)
    return records.figures(higher.groupby("labels").mean().T, 2, "than")


def parse(
    argv: list[str] | None, prog: str, about: str, methods: Sequence[str]
) -> argparse.Namespace:
    """Return the checked command line of this benchmark or of benchmarks.predict."""
    parser = argparse.ArgumentParser(prog=f"benchmarks.{prog}", description=about.split("\n")[0])
    add = parser.add_argument
    add("--data-sets", nargs="+", default=DATA_SETS, metavar="NAME")
    add("--rows", type=int, default=2000, help="larger tables are cut to this many rows")
    add("--seeds", type=int, default=3, help="how many splits")
    add("--methods", nargs="+", default=methods, choices=methods)
    add("--output", type=Path, default=records.RESULTS / f"{prog}.jsonl")
    add("--tag", default="", help="added to maetab's version: a variant gets results of its own")
    add("--report", action="store_true", help="only write the Markdown beside the results")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Run what is left to run, and write the Markdown."""
    options = parse(argv, "encode", __doc__ or "", [*ENCODINGS, *PREDICTORS])
    if not options.report:
        run(options, options.methods, measure)
    options.output.with_suffix(".md").write_text(report(options.output), encoding="utf-8")


if __name__ == "__main__":
    main()
