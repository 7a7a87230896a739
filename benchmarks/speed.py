"""How long filling and scoring take, by rows, columns and device.

    python -m benchmarks.speed --rows 10000 100000 --columns 20 --devices cpu --verbs impute detect

Rows are drawn from a Gaussian with eight factors, bent by a cubic; three cells in ten are missing.
One JSON line per run is appended to the output.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.records import RESULTS, append
from maetab import MAEAnomalyDetector, MAEImputer


def table(n_rows: int, n_columns: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return (holes, truth), each (n_rows, n_columns) float32."""
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(n_rows, 8)) @ rng.normal(size=(8, n_columns)) / np.sqrt(8)
    truth = factors + 0.2 * factors**3 + 0.3 * rng.normal(size=factors.shape)
    holes = np.where(rng.random(truth.shape) < 0.3, np.nan, truth)
    return holes.astype(np.float32), truth.astype(np.float32)


def timed(fit: Callable[[], object], use: Callable[[], Any]) -> tuple[float, float, Any]:
    """Return the seconds of a fit, those of its use, and what that returned."""
    start = time.perf_counter()
    fit()
    fitted = time.perf_counter()
    result = use()
    return round(fitted - start, 2), round(time.perf_counter() - fitted, 2), result


def detect(n_rows: int, n_columns: int, device: str, preset: str) -> dict[str, object]:
    """Time one fit of the detector on 10,000 complete rows and the scores of all rows."""
    _, truth = table(n_rows, n_columns)
    detector = MAEAnomalyDetector(preset=preset, device=device, random_state=0)
    fit, score, _ = timed(
        lambda: detector.fit(truth[:10_000]), lambda: detector.score_samples(truth)
    )
    return {"fit_seconds": fit, "score_seconds": score}


def impute(n_rows: int, n_columns: int, device: str, preset: str) -> dict[str, object]:
    """Time one fit and one transform of the imputer."""
    holes, truth = table(n_rows, n_columns)
    imputer = MAEImputer(preset=preset, device=device, random_state=0)
    fit, transform, filled = timed(lambda: imputer.fit(holes), lambda: imputer.transform(holes))
    missing = np.isnan(holes)
    error = (filled - truth)[missing] / truth.std(0)[np.nonzero(missing)[1]]
    return {
        "fit_seconds": fit,
        "transform_seconds": transform,
        "rows_per_second": round(n_rows / transform),
        "rmse": round(float(np.sqrt(np.mean(error**2))), 4),
        "steps": imputer.history_[-1]["step"] if imputer.history_ else 0,
    }


VERBS = {"impute": impute, "detect": detect}


def main() -> None:
    """Time what the command line asks for."""
    parser = argparse.ArgumentParser(prog="benchmarks.speed", description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--columns", type=int, nargs="+", default=[20])
    parser.add_argument("--devices", nargs="+", default=["cpu"])
    parser.add_argument("--verbs", nargs="+", choices=tuple(VERBS), default=["impute"])
    parser.add_argument("--preset", default="balanced")
    parser.add_argument("--output", type=Path, default=RESULTS / "speed.jsonl")
    options = parser.parse_args()
    for device in options.devices:
        if device != "cpu":  # the first call of a process pays for starting the device
            MAEImputer(device=device, max_iter=1, random_state=0).fit_transform(table(1000, 20)[0])
        for n_rows, n_columns, verb in product(options.rows, options.columns, options.verbs):
            line = {"verb": verb, "rows": n_rows, "columns": n_columns, "device": device}
            line |= {"preset": options.preset}
            line |= VERBS[verb](n_rows, n_columns, device, options.preset)
            line["torch"] = torch.__version__
            if device == "cuda":
                line["accelerator"] = torch.cuda.get_device_name()
            append(options.output, line, torch.get_num_threads())
            print(line, flush=True)


if __name__ == "__main__":
    main()
