"""Seconds and threads of maetab inside four workers of joblib or Dask, on the cores there are.

    python -m benchmarks.threads --work transform fit

Sixteen parts of a table are filled, or four models fitted, by one process alone and by workers that
were started before. Each way is measured in a process of its own, with the threads that the
libraries choose and with one thread of torch in each worker. One JSON line per run is appended to
the output.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import joblib
import torch

from benchmarks import records
from benchmarks.scale import rows_of
from maetab import MAEImputer

WORKERS = 4
PARTS, PART_ROWS, FIT_ROWS = 16, 1000, 300
WAYS = ("alone", "loky", "joblib threads", "dask threads", "dask processes")
CHOSEN, ONE = "chosen", "one"
LONGEST = 300  # seconds of a run


def asked(work: Callable, given: Any, threads: str) -> tuple[int, int, int]:
    """Do some work; return process, threads of torch, and threads of the process after it."""
    if threads == ONE:
        torch.set_num_threads(1)
    work(given)
    return os.getpid(), torch.get_num_threads(), len(os.listdir("/proc/self/task"))


@contextlib.contextmanager
def workers(way: str) -> Iterator[Callable[[list], list]]:
    """Give what does calls (function, *arguments) in workers."""
    if way == "alone":
        yield lambda calls: [function(*rest) for function, *rest in calls]
    elif way in ("loky", "joblib threads"):
        pool = joblib.Parallel(WORKERS, "loky" if way == "loky" else "threading", batch_size=1)
        yield lambda calls: pool(joblib.delayed(function)(*rest) for function, *rest in calls)
    else:
        import dask

        how = {"scheduler": "threads", "num_workers": WORKERS} if way == "dask threads" else {}
        with contextlib.ExitStack() as stack:
            if not how:
                from distributed import Client

                processes = {"n_workers": WORKERS, "threads_per_worker": 1}
                stack.enter_context(Client(**processes, dashboard_address=None))
            yield lambda calls: dask.compute(
                *(dask.delayed(function)(*rest) for function, *rest in calls), **how
            )


def fitted(seed: int) -> MAEImputer:
    """Return an imputer of a table."""
    return MAEImputer(max_iter=1, random_state=seed).fit(rows_of(seed, FIT_ROWS))


def measured(what: str, way: str, threads: str) -> dict[str, Any]:
    """Return wall seconds of some work, and the threads of the workers that did it."""
    chosen = torch.get_num_threads()
    torch.set_num_threads(1)
    fill, parts = fitted(0).transform, [rows_of(i, PART_ROWS) for i in range(PARTS)]
    torch.set_num_threads(chosen)
    calls = [(asked, fill, part, threads) for part in parts]
    if what == "fit":
        calls = [(asked, fitted, seed, threads) for seed in range(WORKERS)]
    with workers(way) as do:
        do([(asked, fill, parts[0][:50], threads)] * 2 * WORKERS)  # they import what they need
        begun = time.perf_counter()
        told = do(calls)
        seconds = time.perf_counter() - begun
    last = {process: (of_torch, every) for process, of_torch, every in told}
    return {
        "seconds": round(seconds, 2),
        "processes": len(last),
        "torch_threads": max(of_torch for of_torch, _ in last.values()),
        "threads_in_all": sum(every for _, every in last.values()),
    }


def main() -> None:
    """Measure what the command line asks for, or print what one run gives."""
    parser = argparse.ArgumentParser(prog="benchmarks.threads", description=__doc__.split("\n")[0])
    parser.add_argument("--work", nargs="+", default=["transform", "fit"])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--threads", nargs="+", choices=(CHOSEN, ONE), default=[CHOSEN, ONE])
    parser.add_argument("--output", type=Path, default=records.RESULTS / "threads.jsonl")
    parser.add_argument("--run", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        print(json.dumps(measured(*options.run)))
        return
    free = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    for what, way, threads in product(options.work, options.ways, options.threads):
        own = [sys.executable, "-m", "benchmarks.threads", "--run", what, way, threads]
        line = {"work": what, "way": way, "of_torch": threads}
        try:
            ran = subprocess.run(own, env=free, capture_output=True, text=True, timeout=LONGEST)
            line |= json.loads(ran.stdout.splitlines()[-1])
        except subprocess.TimeoutExpired:
            line |= {"seconds": float(LONGEST), "stopped": True}
        records.append(options.output, line, torch.get_num_threads())
        print(line, flush=True)


if __name__ == "__main__":
    main()
