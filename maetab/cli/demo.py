"""`maetab demo`: several methods on a small table with hidden cells."""

from __future__ import annotations

import argparse
import time

from maetab.cli import estimators
from maetab.cli.report.output import say, show_lines, show_table
from maetab.cli.verb_files import check_outputs


def demo(args: argparse.Namespace) -> None:
    """Show how well several methods fill hidden cells of a table of scikit-learn."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

    from maetab.data.schema import infer_schema
    from maetab.evaluation import amputate, cell_scores

    check_outputs(args, args.output)
    complete = load_breast_cancer(as_frame=True).data
    holes, hidden = amputate(complete, "mcar", 0.3, random_state=args.seed)
    say(
        f"Breast cancer data of scikit-learn: {len(complete)} rows, {complete.shape[1]} columns. "
        f"{int(hidden.sum(axis=None))} cells (30 %) are hidden at random, then filled by"
    )
    methods = {
        "mean": SimpleImputer(),
        "k nearest neighbours": KNNImputer(),
        "chained regression": IterativeImputer(random_state=args.seed),
        "maetab": estimators.new_estimator(args, "MAEImputer"),
    }
    mean, std, rows = holes.mean(), holes.std(), []
    for name, method in methods.items():
        began = time.perf_counter()
        scaled = (holes - mean) / std  # neighbours and chains need columns of equal weight
        filled = method.set_output(transform="pandas").fit_transform(scaled)
        filled = holes.fillna(filled * std + mean)
        seconds = time.perf_counter() - began
        errors = cell_scores(complete, filled, hidden, infer_schema(complete), ["rmse"])["value"]
        rows.append([name, f"{errors.mean():.3f}", f"{seconds:.1f}"])
    show_table("Error on the hidden cells (less is better)", ["method", "RMSE", "seconds"], rows)
    filled.to_csv(args.output, index=False)
    show_lines(
        [
            "RMSE in standard deviations of a column, mean of the columns; one seed, one table.",
            f"The table that maetab filled: {args.output}",
            "Your own: maetab impute your.csv -o filled.csv",
        ]
    )
