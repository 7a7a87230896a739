"""How long one row takes to be filled or scored by a model that was saved and loaded.

    python -m benchmarks.one_row --tables wine heart obesity abalone

A fifth of the cells is missing in fit, or none. Milliseconds of the first call after load, and the
median of twenty further ones. One JSON line per run is appended to the output.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmarks.impute import features_of
from benchmarks.records import RESULTS, append
from maetab import MAEAnomalyDetector, MAEImputer, load, save
from maetab.evaluation import amputate

USES = {MAEImputer: "transform", MAEAnomalyDetector: "score_samples"}


def milliseconds(work: Callable[[], object]) -> float:
    """Return how long one call takes."""
    begun = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - begun)


def measured(kind: type, frame: pd.DataFrame) -> dict[str, float]:
    """Fit on a frame, save, load, and time one row in which a cell is missing."""
    row = frame.iloc[[0]].copy()
    row.iloc[0, 0] = np.nan
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        save(kind(random_state=0).fit(frame), path)
        use = getattr(load(path), USES[kind])
    times = [milliseconds(lambda: use(row)) for _ in range(21)]
    return {"first_ms": round(times[0], 1), "then_ms": round(float(np.median(times[1:])), 1)}


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(prog="benchmarks.one_row", description=__doc__.split("\n")[0])
    parser.add_argument("--tables", nargs="+", default=["wine", "heart", "obesity", "abalone"])
    parser.add_argument("--output", type=Path, default=RESULTS / "one_row.jsonl")
    options = parser.parse_args()
    for name, share, kind in product(options.tables, (0.0, 0.2), USES):
        frame = features_of(name, 5000)
        if share:
            frame = amputate(frame, "mcar", share, random_state=0)[0]
        asked = {"table": name, "rows": len(frame), "missing": share, "estimator": kind.__name__}
        line = asked | measured(kind, frame) | {"torch": torch.__version__}
        append(options.output, line, torch.get_num_threads())
        print(line, flush=True)


if __name__ == "__main__":
    main()
