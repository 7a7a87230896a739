"""MAEClassifier and MAERegressor beside other methods: few labels, and inputs missing.

    python -m benchmarks.labels --half judging --rows 1000 --seeds 1
    python -m benchmarks.labels --report

Rows without a label are given to maetab, and to the encoding behind the linear method; boosted
trees learn from labelled rows alone. "maetab, from_fitted" is the head on an encoder of all rows,
which saw no label. Of test rows 0, 20 and 50 % of the inputs are missing. Nothing
of the two estimators was chosen on these tables. Results are appended and kept, as in
benchmarks.encode.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import encode, records
from benchmarks.datasets import HALVES, half_of
from benchmarks.encodings import ENCODINGS
from benchmarks.label_peers import LABEL_PEERS
from benchmarks.predict import trees_with_holes
from benchmarks.probe import Metrics, Predict, boosted_trees, judge, linear_probe, spread
from maetab import MAEClassifier, MAEEncoder, MAERegressor

MISSING = (0.0, 0.2, 0.5)


def maetab(train: pd.DataFrame, y: np.ndarray, kind: str, seed: int) -> Predict:
    """Return the predictor that learned from all rows, of which the first have a label."""
    target = np.full(len(train), np.nan)
    target[: len(y)] = y
    return _predictor(_estimator(kind)(random_state=seed).fit(train, target), y)


def labelled_later(train: pd.DataFrame, y: np.ndarray, kind: str, seed: int) -> Predict:
    """Return the predictor of a head on an encoder that learned from all rows without labels."""
    encoder = MAEEncoder(random_state=seed).fit(train)
    return _predictor(_estimator(kind).from_fitted(encoder, train[: len(y)], y), y)


def _estimator(kind: str) -> type[MAEClassifier] | type[MAERegressor]:
    return MAERegressor if kind == "regression" else MAEClassifier


def _predictor(model: MAEClassifier | MAERegressor, y: np.ndarray) -> Predict:
    """Return what predicts numbers, or (n, K) probabilities of the codes up to the largest."""
    if isinstance(model, MAERegressor):
        return model.predict
    n_classes = int(y.max()) + 1
    return lambda frame: spread(model, frame, n_classes)


def linear(train: pd.DataFrame, y: np.ndarray, kind: str, seed: int) -> Predict:
    """Return a ridge or logistic regression on a piecewise-linear encoding of all rows."""
    encode_ = ENCODINGS["piecewise linear"](train, seed)
    probe = linear_probe(encode_(train)[: len(y)], y, kind)
    return lambda frame: probe(encode_(frame))


def trees(train: pd.DataFrame, y: np.ndarray, kind: str, seed: int) -> Predict:
    """Return boosted trees that learned from labelled rows, as they are and with holes."""
    return trees_with_holes(train[: len(y)], y, kind, seed)


METHODS: dict[str, Callable[..., Predict]] = {
    "maetab": maetab,
    "maetab, from_fitted": labelled_later,
    "linear, piecewise": linear,
    "boosted trees": boosted_trees,
    "boosted trees, holes in training": trees,
    **LABEL_PEERS,
}


def measure(
    task: encode.Task, method: str, seed: int
) -> Iterator[tuple[int | None, list[Metrics]]]:
    """Yield, per budget of labels, the metrics for each share of `MISSING`."""
    for labels in encode.budgets(task):
        predict = METHODS[method](task.train, task.y_train[:labels], task.kind, seed)
        tests = [_all_classes(predict(test), task) for test in task.tests]
        yield labels, [judge(found, task.y_test, task.kind) for found in tests]


def _all_classes(found: np.ndarray, task: encode.Task) -> np.ndarray:
    """Return predictions with a column for each class, also those without a label."""
    if task.kind == "regression":
        return found
    n_classes = int(max(task.y_train.max(), task.y_test.max())) + 1
    return np.pad(found, ((0, 0), (0, n_classes - found.shape[1])))


def halves(results: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    """Give each half of the tables by name, with its results, over tasks that every method did."""
    table = encode.of_all_methods(results)
    yield from table.groupby(half_of(table["data_set"]))


def counts(part: pd.DataFrame) -> str:
    """Return how many tables have so many labels, as text."""
    found = part.groupby("labels")["data_set"].nunique()
    return ", ".join(f"{labels}: {n}" for labels, n in found.items())


def means(part: pd.DataFrame, value: str) -> pd.DataFrame:
    """Return methods x means of a value, by labels and missing cells."""
    wide = part.pivot_table(index="method", columns=["labels", "missing"], values=value)
    order = [(n, m) for n in ("100", "500", "all") for m in MISSING if (n, m) in wide]
    return wide[order].set_axis([f"{n} labels, {m:.0%} missing" for n, m in order], axis=1)


def report(results: Path) -> str:
    """Return the mean scores and seconds by half as Markdown."""
    lines = []
    for half, part in halves(results):
        told = f"The {half} half: mean accuracy or R². Tables by labels: {counts(part)}."
        tables = [records.figures(means(part, value), 3, value) for value in ("score", "seconds")]
        lines += [told, "", tables[0], "", tables[1], ""]
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    """Run what is left to run, and write the Markdown."""
    half, argv = _half(argv)
    options = encode.parse(argv, "labels", __doc__ or "", list(METHODS))
    if half:
        options.data_sets = HALVES[half]
    if not options.report:
        encode.run(options, options.methods, measure, MISSING)
    options.output.with_suffix(".md").write_text(report(options.output), encoding="utf-8")


def _half(argv: list[str] | None) -> tuple[str, list[str]]:
    """Return the half that the command line names, "" for none, and its other words."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--half", choices=tuple(HALVES), default="")
    found, rest = parser.parse_known_args(argv)
    return found.half, rest


if __name__ == "__main__":
    main()
