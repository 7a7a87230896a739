"""Seconds of training alone and shared by two processes, one thread each, in turn on one machine.

    python -m benchmarks.processes

A table of 20,000 rows and 20 columns (that of `benchmarks.scale`), with the network of each
backbone and a fixed number of epochs: what is timed is training, from its first step to its last
look at the held-out cells. Both runs see the same global batches, so what they end at is compared,
too. One JSON line per pair is appended to the output.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from benchmarks import records
from benchmarks.scale import TWO, rows_of
from maetab import MAEImputer

KEY = ("backbone", "pair")
BACKBONES = ("mlp", "transformer")
N_ROWS, EPOCHS = 20_000, 4


def run(backbone: str, folder: Path) -> None:
    """Fit in this process, alone or as one of several; the first one writes what came of it."""
    torch.set_num_threads(1)
    X = rows_of(0, N_ROWS)
    given = {"max_iter": EPOCHS, "n_iter_no_change": 99, "random_state": 0}
    imputer = MAEImputer(backbone=backbone, keep_grid=False, **given).fit(X)
    if os.environ.get("RANK", "0") == "0":
        filled = imputer.transform(X.iloc[:2000]).select_dtypes("float")  # ints are rounded
        last = imputer.history_[-1]
        found = {"seconds": last["seconds"], "loss": last["validation_loss"], "step": last["step"]}
        (folder / "found.json").write_text(json.dumps(found))
        np.save(folder / "filled.npy", (filled / X[filled.columns].std()).to_numpy())


def timed(backbone: str, shared: bool) -> tuple[dict[str, float], np.ndarray]:
    """Return what a fit by one process, or by two, took and ended at."""
    start = [sys.executable, *(TWO if shared else ())]
    with tempfile.TemporaryDirectory() as aside:
        words = ["-m", "benchmarks.processes", "--one", backbone, "--folder", aside]
        subprocess.run([*start, *words], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        found = json.loads((Path(aside) / "found.json").read_text())
        return found, np.load(Path(aside) / "filled.npy")


def main(argv: list[str] | None = None) -> None:
    """Time pairs of fits, alone and shared."""
    parser = argparse.ArgumentParser(prog="benchmarks.processes", description=__doc__)
    parser.add_argument("--backbones", nargs="+", default=list(BACKBONES))
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--output", type=Path, default=records.RESULTS / "processes.jsonl")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.one:
        run(options.one, options.folder)
        return
    done = records.done(options.output, KEY)
    for pair in range(options.pairs):
        for backbone in options.backbones:
            if (backbone, pair) in done:
                continue
            (alone, one), (shared, two) = timed(backbone, False), timed(backbone, True)
            line = {
                "backbone": backbone,
                "pair": pair,
                "rows": N_ROWS,
                "steps": alone["step"],
                "alone_seconds": round(alone["seconds"], 2),
                "shared_seconds": round(shared["seconds"], 2),
                "ratio": round(shared["seconds"] / alone["seconds"], 3),
                "loss_alone": alone["loss"],
                "loss_shared": shared["loss"],
                "filled_differ": float(np.abs(one - two).max()),
            }
            records.append(options.output, line, 1)
            print(*line.values(), flush=True)


if __name__ == "__main__":
    main()
