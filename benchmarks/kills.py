"""What is left of files when the process that writes them is killed at a random moment.

A model is saved over another, a CSV file is filled over an older result, a data set is filled part
by part, and a model is fitted with a checkpoint and saved. Afterwards each file must be the old one
or the new one, byte for byte, what was read unchanged, and what was broken off must end, when it is
done again, as if nothing had happened.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import multiprocessing
import os
import runpy
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import torch

import maetab

N_PARTS, N_ROWS = 6, 4000
FAST = {"max_iter": 0, "preset": "fast", "random_state": 0}


class Case(NamedTuple):
    """Something that is written.

    write : does it, and can do it again
    before : makes the state that it begins with
    given, made : files or folders that are read, and those that are written
    """

    write: Callable[[], object]
    before: Callable[[], object]
    given: Path
    made: Path


class Result(NamedTuple):
    """What was seen of one case: kills before the end, and what was wrong after them."""

    name: str
    n_kills: int
    n_broken_off: int
    n_old: int
    n_left: int
    faults: list[str]


def digests(path: Path, hidden: bool = False) -> dict[str, str]:
    """Return a digest of a file, or of each file below a folder.

    hidden : of those whose names begin with a point instead
    """
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    files = [x for x in files if x.is_file() and x.name.startswith(".") == hidden]
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def table(n: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(n, 4)).round(4), columns=list("abcd"))
    frame["e"] = (frame["a"] * 2 + frame["b"]).round(4)
    frame["f"] = np.where(frame["a"] > 0, "high", "low")
    return frame.mask(rng.random(frame.shape) < 0.2)


def fill_file(model: Path, given: Path, made: Path) -> None:
    """Fill a file as `maetab impute` does, in this process."""
    before, sys.argv = sys.argv, ["maetab", "impute", str(given), "--model", str(model), "--force"]
    sys.argv += ["-o", str(made)]
    try:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
            runpy.run_module("maetab", run_name="__main__")
    except SystemExit as end:
        assert not end.code, end
    finally:
        sys.argv = before


def fit(X: pd.DataFrame, work: Path, made: Path) -> None:
    """Fit with a checkpoint, and save the model without the times in its history."""
    given = {"max_iter": 40, "n_iter_no_change": 99, "preset": "fast", "random_state": 0}
    imputer = maetab.MAEImputer(n_estimators=4, checkpoint=work, **given).fit(X)
    imputer.history_ = []
    maetab.save(imputer, made)


def cases(folder: Path) -> dict[str, Case]:
    """Return what is written, in a folder; the first results are there already."""
    frame = table(N_ROWS)
    one, other = (maetab.MAEImputer(**FAST | {"random_state": i}).fit(frame[:300]) for i in (0, 1))
    given, csv = folder / "given", folder / "given.csv"
    given.mkdir()
    for i in range(N_PARTS):
        some = frame[i * N_ROWS // N_PARTS : (i + 1) * N_ROWS // N_PARTS]
        pq.write_table(pa.Table.from_pandas(some, preserve_index=False), given / f"{i}.parquet")
    frame.to_csv(csv, index=False)
    model, saved, filled, parts = (folder / x for x in ("m", "saved", "filled.csv", "parts"))
    maetab.save(one, model)

    def clear() -> None:
        for path in parts.glob("**/*"):
            path.unlink()

    work, fitted = folder / "work", folder / "fitted"

    def unfit() -> None:
        shutil.rmtree(work, ignore_errors=True)
        maetab.save(one, fitted)

    data = ds.dataset(given)
    return {
        "fit": Case(lambda: fit(frame[:500], work, fitted), unfit, csv, fitted),
        "save": Case(
            lambda: maetab.save(other, saved), lambda: maetab.save(one, saved), csv, saved
        ),
        "CSV file": Case(
            lambda: fill_file(model, csv, filled), lambda: filled.write_text("old\n"), csv, filled
        ),
        "data set": Case(lambda: one.transform(data, to=parts), clear, given, parts),
    }


def state(folder: Path) -> list[tuple[str, int, int]]:
    """Return names, sizes and times of change of what lies in a folder and the folders in it."""
    found = []
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.append((path, path.stat()))
    below = [y for x, _ in found if x.is_dir() for y in state(x)]
    return [*((x.name, it.st_size, it.st_mtime_ns) for x, it in found if x.is_file()), *below]


def remove_left(made: Path) -> None:
    """Remove what killed processes have left beside a file."""
    for path in digests(made.parent, hidden=True):
        os.unlink(path)


def killed(write: Callable[[], object], folder: Path | None, seconds: float) -> bool:
    """Do something in a process of its own; return whether it was killed before it ended.

    Parameters
    ----------
    folder : the seconds are counted from the first change in it; None for the beginning
    """
    context = multiprocessing.get_context("fork")
    begun, ended = context.Event(), context.Event()

    def work() -> None:
        torch.set_num_threads(1)
        begun.set()
        write()
        ended.set()

    process = context.Process(target=work, daemon=True)
    process.start()
    before = folder and state(folder)
    begun.wait()
    while folder is not None and state(folder) == before and not ended.is_set():
        pass
    time.sleep(seconds)
    process.kill()
    process.join()
    return not ended.is_set()


def tried(name: str, case: Case, n_kills: int, seed: int = 0) -> Result:
    """Return what is seen when something is killed at so many random moments."""
    case.before()
    case.write()
    case.before()
    old, given = digests(case.made), digests(case.given)
    began = time.perf_counter()
    case.write()
    took, new = time.perf_counter() - began, digests(case.made)
    random, faults, broken_off, n_old, n_left = np.random.default_rng(seed), [], 0, 0, 0
    for i in range(n_kills):
        case.before()
        remove_left(case.made)
        aimed = i % 2  # half of the kills are aimed at the moment of writing
        seconds = random.uniform(0, 0.001 if aimed else 1.2 * took)
        broken_off += killed(case.write, case.made.parent if aimed else None, seconds)
        found = digests(case.made)
        n_old += found == old
        n_left += bool(digests(case.made.parent, hidden=True))
        whole = found in (old, new) if case.made.is_file() else found.items() <= new.items()
        faults += [] if whole else [f"half or other files: {sorted(found)}"]
        times = {path: os.stat(path).st_mtime_ns for path in found}
        case.write()
        faults += [] if digests(case.made) == new else ["done again, the result differs"]
        if case.made.is_dir():
            again = [x for x, at in times.items() if os.stat(x).st_mtime_ns != at]
            faults += [f"parts that were there are written again: {again}"] if again else []
            halves = digests(case.made, hidden=True)
            faults += [f"halves stay: {sorted(halves)}"] if halves else []
        faults += [] if digests(case.given) == given else ["what was read has changed"]
    return Result(name, n_kills, broken_off, n_old, n_left, faults)


def results(n_kills: int, names: list[str] | None = None) -> Iterator[Result]:
    """Give what is seen of each case."""
    warnings.filterwarnings("ignore", message=".*fork", category=DeprecationWarning)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for name, case in cases(Path(folder)).items():
            if names is None or name in names:
                yield tried(name, case, n_kills)


def main() -> int:
    """Print a table of all cases; return 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    args, n_faults = parser.parse_args(), 0
    print(f"{'':10} {'kills':>6} {'broken off':>11} {'old or empty':>13} {'left aside':>11} faults")
    for found in results(args.kills):
        counts = f"{found.n_kills:6} {found.n_broken_off:11} {found.n_old:13} {found.n_left:11}"
        print(f"{found.name:10} {counts} {len(found.faults):6}", *found.faults[:3], flush=True)
        n_faults += len(found.faults)
    return 1 if n_faults else 0


if __name__ == "__main__":
    sys.exit(main())
