"""Every backbone, loss and masking of MAEImputer on the same hidden cells of four tables.

    python -m benchmarks.variants            # writes benchmarks/results/variants.md

Errors are RMSE of numbers in standard units of the observed cells, and accuracy of categories.
"blended" is what the imputer gives; "networks" is what its networks say without the first guess
in the blend, which is where the variants differ. Every variant trains one network for 40 epochs.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import records
from benchmarks.datasets import load
from maetab import MAEImputer
from maetab.evaluation import amputate, cell_scores

BUDGET = {"max_iter": 40}
VARIANTS: dict[str, dict[str, object]] = {
    "default": {},
    **{f"backbone={name}": {"backbone": name} for name in ("mlp", "linear")},
    **{f"loss={name}": {"loss": name} for name in ("mse", "mae", "cosine")},
    **{f"masking={name}": {"masking": name} for name in ("fixed", "block", "copy", "proportional")},
    **{f"mask_ratio={ratio}": {"mask_ratio": ratio} for ratio in (0.5,)},
}


def errors(imputer: MAEImputer, holes: pd.DataFrame, truth: pd.DataFrame, hidden) -> list[float]:
    """Return pooled RMSE and mean accuracy at the hidden cells."""
    scores = cell_scores(
        truth, imputer.transform(holes), hidden, imputer.schema_, metrics=("rmse", "accuracy")
    )
    numbers = scores[scores.metric == "rmse"]
    square = np.average(numbers.value**2, weights=numbers.n_cells) if len(numbers) else np.nan
    return [float(np.sqrt(square)), float(scores[scores.metric == "accuracy"].value.mean())]


def run(name: str, frame: pd.DataFrame) -> list[dict[str, object]]:
    """Return one row per variant on this table."""
    holes, hidden = amputate(frame, "mcar", 0.3, random_state=0)
    rows = []
    for variant, parameters in VARIANTS.items():
        start = time.perf_counter()
        imputer = MAEImputer(random_state=0, **(BUDGET | parameters)).fit(holes)
        seconds = time.perf_counter() - start
        blended = errors(imputer, holes, frame, hidden)
        imputer.model_.network_weight.fill_(1.0)
        alone = errors(imputer, holes, frame, hidden)
        rows.append(
            {
                "table": name,
                "variant": variant,
                "blended": blended[0],
                "networks": alone[0],
                "accuracy": blended[1],
                "networks' accuracy": alone[1],
                "seconds": seconds,
            }
        )
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.variants", description=__doc__)
    parser.add_argument("--tables", nargs="+", default=["wine", "compression", "heart", "airfoil"])
    parser.add_argument("--rows", type=int, default=600)
    parser.add_argument("--output", type=Path, default=records.RESULTS / "variants.md")
    options = parser.parse_args()
    rows: list[dict[str, object]] = []
    for name in options.tables:
        frame = load(name)[0]
        frame = frame.sample(min(len(frame), options.rows), random_state=0).reset_index(drop=True)
        numbers = frame.select_dtypes("number").columns
        rows += run(name, frame.astype({column: "float64" for column in numbers}))
    table = pd.DataFrame(rows)
    lines = ["# Backbones, losses and maskings", "", (__doc__ or "").split("\n\n")[2], ""]
    for name, part in table.groupby("table", sort=False):
        part = part.drop(columns="table").dropna(axis=1, how="all").set_index("variant")
        lines += [f"## {name}", "", records.figures(part, 4, "variant"), ""]
    options.output.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
