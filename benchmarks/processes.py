"""Seconds of training alone and shared by two processes, one thread each, in turn on one machine.

    python -m benchmarks.processes

A table of 20,000 rows and 20 columns (that of `benchmarks.scale`), with the network of each
backbone and a fixed number of epochs: what is timed is training, from its first step to its last
look at the held-out cells. Both runs see the same global batches, so what they end at is compared,
too. Beside them two processes that share nothing train as one does alone, at the same time: half of
what they take is the least that sharing could take on the machine, whose cores share caches and
units. One JSON line per pair is appended to the output.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path

import numpy as np
import torch

from benchmarks import records
from benchmarks.scale import TWO, rows_of
from maetab import MAEImputer

GuessOptions = import_module("maetab.nn.guess.options").GuessOptions

KEY = ("backbone", "pair")
BACKBONES = ("mlp", "transformer")
N_ROWS, EPOCHS = 20_000, 4


def run(backbone: str, folder: Path) -> None:
    """Fit in this process, alone or as one of several; the first one writes what came of it."""
    torch.set_num_threads(1)
    X = rows_of(0, N_ROWS)
    given = {"max_iter": EPOCHS, "n_iter_no_change": 99, "random_state": 0}
    guess = GuessOptions(tuning_steps=20)  # what comes before the first step
    imputer = MAEImputer(backbone=backbone, keep_grid=False, guess=guess, **given).fit(X)
    if os.environ.get("RANK", "0") == "0":
        filled = imputer.transform(X.iloc[:2000]).select_dtypes("float")  # ints are rounded
        last = imputer.history_[-1]
        found = {"seconds": last["seconds"], "loss": last["validation_loss"], "step": last["step"]}
        (folder / "found.json").write_text(json.dumps(found))
        np.save(folder / "filled.npy", (filled / X[filled.columns].std()).to_numpy())


def started(backbone: str, folder: str, shared: bool = False) -> subprocess.Popen:
    """Start a fit by one process, or by two, that leaves in a folder what it took and ended at."""
    words = ["-m", "benchmarks.processes", "--one", backbone, "--folder", folder]
    command = [sys.executable, *(TWO if shared else ()), *words]
    return subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})


def ended(process: subprocess.Popen, folder: str) -> tuple[dict[str, float], np.ndarray]:
    """Return what a fit took and ended at."""
    if process.wait():
        raise RuntimeError(f"{process.args} ended with {process.returncode}")
    found = json.loads((Path(folder) / "found.json").read_text())
    return found, np.load(Path(folder) / "filled.npy")


def timed(backbone: str, shared: bool = False) -> tuple[dict[str, float], np.ndarray]:
    """Return what a fit by one process, or by two, took and ended at."""
    with tempfile.TemporaryDirectory() as aside:
        return ended(started(backbone, aside, shared), aside)


def apart(backbone: str) -> float:
    """Return the mean seconds of two fits that share nothing, at the same time."""
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        folders = one, other
        both = [started(backbone, folder) for folder in folders]
        found = [ended(*pair)[0] for pair in zip(both, folders, strict=True)]
        return float(np.mean([x["seconds"] for x in found]))


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
            (alone, one), (shared, two) = timed(backbone), timed(backbone, shared=True)
            least = apart(backbone) / 2
            line = {
                "backbone": backbone,
                "pair": pair,
                "rows": N_ROWS,
                "steps": alone["step"],
                "alone_seconds": round(alone["seconds"], 2),
                "shared_seconds": round(shared["seconds"], 2),
                "ratio": round(shared["seconds"] / alone["seconds"], 3),
                "least_ratio": round(least / alone["seconds"], 3),
                "loss_alone": alone["loss"],
                "loss_shared": shared["loss"],
                "filled_differ": float(np.abs(one - two).max()),
            }
            records.append(options.output, line, 1)
            print(*line.values(), flush=True)


if __name__ == "__main__":
    main()
