"""How long filling and scoring take, by rows, columns and device.

    python -m benchmarks.speed --rows 10000 100000 --columns 20 --devices cpu --verbs impute detect

Rows are drawn from a Gaussian with eight factors, bent by a cubic; three cells in ten are missing.
One JSON line per run goes to the output, and the same to standard output.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from itertools import product
from pathlib import Path

import numpy as np
import torch

from maetab import MAEAnomalyDetector, MAEImputer


def table(n_rows: int, n_columns: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return (holes, truth), each (n_rows, n_columns) float32."""
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(n_rows, 8)) @ rng.normal(size=(8, n_columns)) / np.sqrt(8)
    truth = factors + 0.2 * factors**3 + 0.3 * rng.normal(size=factors.shape)
    holes = np.where(rng.random(truth.shape) < 0.3, np.nan, truth)
    return holes.astype(np.float32), truth.astype(np.float32)


def detect(n_rows: int, n_columns: int, device: str) -> dict[str, object]:
    """Time one fit of the detector on 10,000 complete rows and the scores of all rows."""
    _, truth = table(n_rows, n_columns)
    detector = MAEAnomalyDetector(device=device, random_state=0)
    start = time.perf_counter()
    detector.fit(truth[:10_000])
    fitted = time.perf_counter()
    detector.score_samples(truth)
    done = time.perf_counter()
    return {
        "verb": "detect",
        "rows": n_rows,
        "columns": n_columns,
        "device": device,
        "fit_seconds": round(fitted - start, 2),
        "score_seconds": round(done - fitted, 2),
    } | about(device)


def about(device: str) -> dict[str, object]:
    """Return where a line was measured."""
    return {
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "machine": torch.cuda.get_device_name() if device == "cuda" else platform.machine(),
    }


def impute(n_rows: int, n_columns: int, device: str) -> dict[str, object]:
    """Time one fit and one transform; return a line of the report."""
    holes, truth = table(n_rows, n_columns)
    imputer = MAEImputer(device=device, random_state=0)
    if device != "cpu":  # the first call of a process pays for starting the device
        MAEImputer(device=device, max_iter=1, random_state=0).fit_transform(holes[:1000])
    start = time.perf_counter()
    imputer.fit(holes)
    fitted = time.perf_counter()
    filled = imputer.transform(holes)
    done = time.perf_counter()
    missing = np.isnan(holes)
    error = (filled - truth)[missing] / truth.std(0)[np.nonzero(missing)[1]]
    return {
        "verb": "impute",
        "rows": n_rows,
        "columns": n_columns,
        "device": device,
        "fit_seconds": round(fitted - start, 2),
        "transform_seconds": round(done - fitted, 2),
        "rows_per_second": round(n_rows / (done - fitted)),
        "rmse": round(float(np.sqrt(np.mean(error**2))), 4),
        "steps": imputer.history_[-1]["step"],
    } | about(device)


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.speed", description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--columns", type=int, nargs="+", default=[20])
    parser.add_argument("--devices", nargs="+", default=["cpu"])
    parser.add_argument("--verbs", nargs="+", choices=("impute", "detect"), default=["impute"])
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/speed.jsonl"))
    options = parser.parse_args()
    for n_rows in options.rows:
        for n_columns in options.columns:
            for device, verb in product(options.devices, options.verbs):
                measure = impute if verb == "impute" else detect
                line = json.dumps(measure(n_rows, n_columns, device))
                print(line, flush=True)
                with options.output.open("a") as file:
                    file.write(line + "\n")


if __name__ == "__main__":
    main()
