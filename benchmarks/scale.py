"""Seconds and memory of fitting and filling Parquet data sets, beside the same rows in memory.

    python -m benchmarks.scale                         # 200,000 and 2,000,000 rows of 20 columns
    python -m benchmarks.scale --rows 10000000 --sources processes --folder /somewhere/with/room

Columns: 16 numbers with two factors, two of which are whole numbers, and four categories; 15 % of
the cells are missing. The data are written to a folder first, in files of 250,000 rows, and every
run is a process of its own; with the source "processes" two share it. Seconds are
those of the processor, of the first process, beside those of the clock. One JSON line per run is
appended to the output.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import torch
import torch.distributed as dist

from benchmarks import records
from maetab import MAEImputer

KEY = ("rows", "source", "preset", "threads")
COLUMNS, PER_FILE, MISSING = 20, 250_000, 0.15
ROWS = (200_000, 2_000_000)
TWO = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
IN_MEMORY = 1_000_000  # rows that are filled in memory, too


def rows_of(first: int, n: int) -> pd.DataFrame:
    """Return some rows of the table, fixed by the number of the first."""
    rng = np.random.default_rng([7, first])
    loads = np.random.default_rng(7).normal(size=(2, COLUMNS))
    cells = rng.normal(size=(n, 2)) @ loads + 0.5 * rng.normal(size=(n, COLUMNS))
    cells[:, 1::5] = np.sinh(cells[:, 1::5])
    frame = pd.DataFrame(cells.round(4), columns=[f"x{j}" for j in range(COLUMNS)])
    for j in range(16, COLUMNS):
        frame[f"x{j}"] = pd.cut(frame[f"x{j}"], 5, labels=list("abcde")).astype("str")
    frame = frame.mask(rng.random(frame.shape) < MISSING)
    return frame.assign(**{f"x{j}": frame[f"x{j}"].round().astype("Int64") for j in (3, 7)})


def written(folder: Path, n_rows: int) -> Path:
    """Return a folder with the table in files."""
    own = folder / str(n_rows)
    own.mkdir(exist_ok=True)
    for first in range(0, n_rows, PER_FILE):
        path = own / f"{first:09}.parquet"
        if not path.exists():
            rows = rows_of(first, min(PER_FILE, n_rows - first))
            pq.write_table(pa.Table.from_pandas(rows, preserve_index=False), path)
    return own


def beside(folder: Path) -> Path:
    """Return where the filled parts of a folder are written."""
    return folder.with_name(f"{folder.name}-filled")


def peak() -> int:
    """Return the most memory that this process has used, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def run(folder: Path, source: str, options: argparse.Namespace) -> None:
    """Fit and fill one table, and append what it took."""
    torch.set_num_threads(options.threads)
    data, before, in_files = ds.dataset(folder), peak(), source != "memory"
    table = data if in_files else data.to_table().to_pandas()
    times = [(time.process_time(), time.monotonic())]
    imputer = MAEImputer(preset=options.preset, random_state=0).fit(table)
    times.append((time.process_time(), time.monotonic()))
    filled = imputer.transform(table, **({"to": beside(folder)} if in_files else {}))
    times.append((time.process_time(), time.monotonic()))
    peaks = [peak()]
    if dist.is_initialized():
        peaks = [0] * dist.get_world_size()
        dist.all_gather_object(peaks, peak())
    if os.environ.get("RANK", "0") != "0":
        return
    n = filled.count_rows() if in_files else len(filled)
    (fit, fit_clock), (fill, fill_clock) = np.diff(times, axis=0)
    line = {
        "rows": n,
        "columns": COLUMNS,
        "source": source,
        "preset": options.preset,
        "fit_seconds": round(fit, 1),
        "transform_seconds": round(fill, 1),
        "rows_per_second": round(n / (fill_clock if len(peaks) > 1 else fill)),
        "fit_clock_seconds": round(fit_clock, 1),
        "transform_clock_seconds": round(fill_clock, 1),
        "peak_mib": sum(peaks),
        "mib_before": before,
    }
    records.append(options.output, line, options.threads)
    print(*line.values(), flush=True)


def main(argv: list[str] | None = None) -> None:
    """Make every run that is not made yet, each in a process of its own."""
    parser = argparse.ArgumentParser(prog="benchmarks.scale", description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=list(ROWS))
    parser.add_argument("--sources", nargs="+", default=["files", "memory"])
    parser.add_argument("--preset", default="balanced")
    parser.add_argument("--threads", type=int, default=1, help="of each process")
    parser.add_argument("--folder", type=Path, help="where the data are written, and kept")
    parser.add_argument("--output", type=Path, default=records.RESULTS / "scale.jsonl")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.one:
        run(options.folder, options.one, options)
        return
    done = records.done(options.output, KEY)
    with tempfile.TemporaryDirectory() as aside:
        for n_rows in options.rows:
            for source in options.sources:
                too_many = source == "memory" and n_rows > IN_MEMORY
                key = (n_rows, source, options.preset, options.threads)
                if key in done or too_many:
                    continue
                folder = written(options.folder or Path(aside), n_rows)
                words = ["--one", source, "--folder", str(folder), "--output", str(options.output)]
                words += ["--preset", options.preset, "--threads", str(options.threads)]
                start = TWO if source == "processes" else ()
                environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads)}
                command = [sys.executable, *start, "-m", "benchmarks.scale", *words]
                shutil.rmtree(beside(folder), ignore_errors=True)
                subprocess.run(command, check=True, env=environment)
                shutil.rmtree(beside(folder), ignore_errors=True)


if __name__ == "__main__":
    main()
