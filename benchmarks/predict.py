"""A target as one more hidden cell: MAEImputer against boosted trees, with inputs missing.

    python -m benchmarks.predict --data-sets pima wine --seeds 1

The imputer learns from the training rows with the target as a column; of a test row the target is
missing, and 0 to 50 % of the other cells. Results are appended and kept, as in benchmarks.encode.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import encode, records
from benchmarks.probe import Predict, boosted_trees, judge
from maetab import MAEImputer

MISSING = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
TARGET = "the target"


def hidden_cell(train: pd.DataFrame, y: np.ndarray, kind: str, seed: int) -> Predict:
    """Return the predictor that imputes the target: expected numbers, or probabilities."""
    numeric = kind == "regression"
    target = y if numeric else np.array([f"class {code}" for code in y], dtype=object)
    imputer = MAEImputer(random_state=seed).fit(train.assign(**{TARGET: target}))

    def predict(frame: pd.DataFrame) -> np.ndarray:
        asked = frame.assign(**{TARGET: np.nan if numeric else None})
        if numeric:
            return imputer.transform(asked)[TARGET].to_numpy(np.float64)
        chance = imputer.predict_proba(asked)[TARGET]
        names = [f"class {code}" for code in range(int(y.max()) + 1)]
        return chance.reindex(columns=names, fill_value=0.0).to_numpy()

    return predict


def trees_with_holes(train: pd.DataFrame, y: np.ndarray, kind: str, seed: int) -> Predict:
    """Return boosted trees that learned from rows with a quarter of the cells hidden as well."""
    drawn = np.random.default_rng(seed).random(train.shape)
    holed = pd.concat([train, train.mask(drawn < 0.25)], ignore_index=True)
    return boosted_trees(holed, np.concatenate([y, y]), kind, seed)


METHODS: dict[str, Callable[..., Predict]] = {
    "hidden cell": hidden_cell,
    "boosted trees": boosted_trees,
    "boosted trees, holes in training": trees_with_holes,
}


def measure(task: encode.Task, method: str, seed: int) -> encode.Found:
    """Yield the metrics that all labels bring, for each share of `MISSING`."""
    predict = METHODS[method](task.train, task.y_train, task.kind, seed)
    yield None, [judge(predict(test), task.y_test, task.kind) for test in task.tests]


def report(results: Path) -> str:
    """Return the mean scores as Markdown, over the tasks that every method has done."""
    table = records.newest(pd.DataFrame(records.read(results)), encode.KEY)
    methods = table.groupby(["data_set", "seed"])["method"].transform("nunique")
    table = table[methods == len(METHODS)]
    n_tables, n_seeds = table["data_set"].nunique(), table["seed"].nunique()
    lines = [
        f"A target predicted as one more hidden cell: mean over {n_tables} tables and {n_seeds} "
        "seeds; columns are the share of inputs missing.",
        "",
    ]
    for value in ("score", "auroc"):
        wide = table.pivot_table(index="method", columns="missing", values=value)
        wide = wide.set_axis([f"{share:.0%}" for share in wide], axis=1)
        lines += [records.figures(wide, 4, value), ""]
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    """Run what is left to run, and write the Markdown."""
    options = encode.parse(argv, "predict", __doc__ or "", list(METHODS))
    if not options.report:
        encode.run(options, options.methods, measure, MISSING)
    options.output.with_suffix(".md").write_text(report(options.output), encoding="utf-8")


if __name__ == "__main__":
    main()
