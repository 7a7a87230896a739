"""How many later rows of a series are called outliers, by how many windows a detector has seen.

    python -m benchmarks.later_rows

Made series of three columns by the minute, in windows of an hour: noise, autoregressive ones
(.9), and such with a season of an hour. A detector is fitted to the first rows, with a threshold
of 5 %, and asked about later rows of the same process: once as it is, once with its threshold set
by further rows that it was not fitted to. Prints the shares that are called outliers.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd

from maetab import MAEAnomalyDetector

KINDS = ("noise", "autoregressive", "season")
STEPS, LATER = 60, 100  # rows of a window, windows that are asked about
SHARE = 0.05


def made(kind: str, n_rows: int, seed: int) -> pd.DataFrame:
    """Return rows of a process by the minute."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n_rows, 3))
    if kind != "noise":
        for i in range(1, n_rows):
            rows[i] = 0.9 * rows[i - 1] + (1 - 0.9**2) ** 0.5 * rows[i]
    if kind == "season":
        rows += 2 * np.sin(2 * np.pi * np.arange(n_rows)[:, None] / STEPS + np.arange(3))
    index = pd.date_range("2025-01-01", periods=n_rows, freq="min")
    return pd.DataFrame(rows, index=index, columns=list("abc"))


def shares(kind: str, n_windows: int, seed: int) -> tuple[float, float]:
    """Return the shares of later rows that are outliers, by either threshold."""
    ends = np.cumsum([n_windows, LATER, LATER]) * STEPS
    known, left_out, later, _ = np.split(made(kind, ends[-1], seed), ends)
    detector = MAEAnomalyDetector(window=STEPS, contamination=SHARE, random_state=seed).fit(known)
    scores = detector.score_samples(later)
    threshold = np.quantile(detector.score_samples(left_out), SHARE)
    return float((scores < detector.offset_).mean()), float((scores < threshold).mean())


def main(argv: list[str] | None = None) -> None:
    """Print the shares of each process and number of windows."""
    parser = argparse.ArgumentParser(prog="benchmarks.later_rows", description=__doc__)
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS)
    parser.add_argument("--windows", nargs="+", type=int, default=[50, 200, 800])
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args(argv)
    for kind in options.kinds:
        for n_windows in options.windows:
            found = [shares(kind, n_windows, seed) for seed in range(options.seeds)]
            fitted, left_out = np.mean(found, 0)
            print(f"{kind}, {n_windows} windows: {fitted:.1%}, by rows left out {left_out:.1%}")


if __name__ == "__main__":
    main()
