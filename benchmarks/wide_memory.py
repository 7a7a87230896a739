"""The memory that a fit to a table takes beside what Python and the libraries take, and seconds.

Each size is fitted in a process of its own; the two last figures are what a coordinate and a cell
would take alone.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

FIT = """
import resource, sys, time
import numpy as np
from maetab import MAEImputer
n_rows, n_columns, max_iter = map(int, sys.argv[1:4])
rng = np.random.default_rng(0)
X = rng.normal(size=(n_rows, 5)) @ rng.normal(size=(5, n_columns))
X += rng.normal(size=X.shape)
X[rng.random(X.shape) < 0.1] = np.nan
imputer = MAEImputer(preset=sys.argv[4], max_iter=max_iter or None, random_state=0)
imputer.fit(X[:30, :3])
before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
imputer.fit(X)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, time.perf_counter() - began)
"""
SIZES = ("500x500", "500x1000", "2000x500", "8000x60", "500x2000")


def main() -> None:
    """Print a line per size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", default=SIZES, help="rows x columns")
    parser.add_argument("--max-iter", type=int, default=1, help="passes of the network; 0: usual")
    parser.add_argument("--preset", default="balanced")
    parser.add_argument("--timeout", type=float, default=1200)
    args = parser.parse_args()
    for size in args.sizes:
        n_rows, n_columns = map(int, size.split("x"))
        words = [n_rows, n_columns, args.max_iter, args.preset]
        command = [sys.executable, "-c", FIT, *map(str, words)]
        try:
            done = subprocess.run(command, capture_output=True, check=True, timeout=args.timeout)
        except subprocess.TimeoutExpired:
            print(f"{size:>10}: not done in {args.timeout:g} s", flush=True)
            continue
        kib, seconds = map(float, done.stdout.split())
        each = (
            f"{kib / n_columns:7.0f} KiB/column {1024 * kib / n_rows / n_columns:7.0f} bytes/cell"
        )
        print(f"{size:>10}: {kib / 1024:7.0f} MiB {seconds:7.1f} s {each}", flush=True)


if __name__ == "__main__":
    main()
