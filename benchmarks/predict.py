"""A target as one more hidden cell: MAEImputer against boosted trees, with inputs missing.

    python -m benchmarks.predict --data-sets pima wine --seeds 1

The imputer learns from the training rows with the target as a column; of a test row the target is
missing, and 0 to 50 % of the other cells. Results are appended and kept, as in benchmarks.encode.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.encode import DATA_SETS, KEY, RESULTS, Task, append, done_runs, make_task
from benchmarks.peers import version_of
from benchmarks.probe import Metrics, Predict, boosted_trees, judge
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
        asked[TARGET] = asked[TARGET].astype(object)
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


def measure(task: Task, method: str, seed: int) -> list[Metrics]:
    """Return the metrics for each share of `MISSING`."""
    predict = METHODS[method](task.train, task.y_train, task.kind, seed)
    return [judge(predict(test), task.y_test, task.kind) for test in task.tests]


def run(options: argparse.Namespace) -> None:
    """Make every run that is not made yet; append each result the moment it is there."""
    done = done_runs(options.output)
    for seed in range(options.seeds):
        for name in options.data_sets:
            task = make_task(name, options.rows, seed, MISSING)
            n_rows = len(task.y_train) + len(task.y_test)
            for method in METHODS:
                version = version_of("maetab" if method == "hidden cell" else "mean")
                named = dict(zip(KEY, (name, n_rows, seed, method, version), strict=False))
                if (*named.values(), None, MISSING[-1]) in done:
                    continue
                start = time.perf_counter()
                found = measure(task, method, seed)
                seconds = time.perf_counter() - start
                for missing, metrics in zip(MISSING, found, strict=True):
                    line = named | {"labels": None, "missing": missing, "kind": task.kind}
                    append(options.output, line | metrics._asdict() | {"seconds": seconds})
                print(f"{name} {seed} {method}: " + " ".join(f"{m.score:.3f}" for m in found))


def report(results: Path) -> str:
    """Return the mean scores as Markdown, over the tasks that every method has done."""
    table = pd.read_json(results, lines=True).drop_duplicates(KEY, keep="last")
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
        lines.append(f"| {value} | " + " | ".join(f"{share:.0%}" for share in wide) + " |")
        lines.append("|---" * (wide.shape[1] + 1) + "|")
        for method, row in wide.iterrows():
            lines.append(f"| {method} | " + " | ".join(f"{v:.4f}" for v in row) + " |")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    """Run what is left to run, and write the Markdown."""
    parser = argparse.ArgumentParser(prog="benchmarks.predict", description=__doc__.split("\n")[0])
    parser.add_argument("--data-sets", nargs="+", default=DATA_SETS, metavar="NAME")
    parser.add_argument("--rows", type=int, default=4000, help="larger tables are cut")
    parser.add_argument("--seeds", type=int, default=3, help="how many splits")
    parser.add_argument("--output", type=Path, default=RESULTS / "predict.jsonl")
    options = parser.parse_args()
    run(options)
    options.output.with_suffix(".md").write_text(report(options.output), encoding="utf-8")


if __name__ == "__main__":
    main()
