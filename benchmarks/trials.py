"""Ways to fill the same hidden cells, and what each brings beside one of them.

What the scripts of trials share: MCAR, 30 % of the cells, in sample, one line a table and way.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import records
from benchmarks.datasets import HALVES, half_of
from benchmarks.impute import features_of, score, split
from maetab.evaluation import amputate

TASK = ["data_set", "rows"]


def parser(script: str, doc: str | None, flag: str, ways: Iterable[str]) -> argparse.ArgumentParser:
    """Return the command line of a script; `flag`, such as "methods", takes some of the ways."""
    made = argparse.ArgumentParser(prog=f"benchmarks.{script}", description=doc)
    add = made.add_argument
    add("--half", default="choosing", choices=HALVES)
    add("--data-sets", nargs="+", metavar="NAME", help="these tables instead of a half")
    add("--rows", type=int, default=2000, help="larger tables are cut to this many rows")
    add(f"--{flag}", dest="ways", nargs="+", default=list(ways), choices=list(ways))
    add("--output", type=Path, default=records.RESULTS / f"{script}.jsonl")
    add("--report", action="store_true", help="print and write the means of what is done")
    return made


def run(
    options: argparse.Namespace,
    label: str,
    fill: Callable[[str, pd.DataFrame], pd.DataFrame],
    version: Callable[[str], str] | None = None,
    least_rows: int = 0,
) -> None:
    """Make every run that is not made yet; CPU seconds of fit and transform.

    Parameters
    ----------
    label : of the column that names a way
    fill : returns the table filled in one way
    version : of a way; None where records do not tell it
    least_rows : tables of fewer are passed over
    """
    key = [*TASK, label] + (["version"] if version else [])
    done = records.done(options.output, key)
    for name in options.data_sets or HALVES[options.half]:
        truth = features_of(name, options.rows)
        if len(truth) < least_rows:
            continue
        missing, hidden = amputate(truth, "mcar", 0.3, random_state=0)
        task = split(truth, missing, hidden, "in-sample", 0)
        for way in options.ways:
            line: dict[str, Any] = {"data_set": name, "rows": len(truth), label: way}
            line |= {"version": version(way)} if version else {}
            if tuple(line.values()) in done:
                continue
            start = time.process_time()
            filled = fill(way, missing)
            line |= {"seconds": time.process_time() - start} | score(task, filled)
            records.append(options.output, line, 1)
            print(*line.values(), flush=True)


def means(table: pd.DataFrame, label: str, first: str, by: Sequence[str] = ()) -> pd.DataFrame:
    """Return, by half, other columns and way, error and seconds divided by those of `first`.

    Geometric means over the tables that both have done; "more right", of categories, is a
    difference, and "worst" the largest ratio of errors.
    """
    one = table[table[label] == first]
    beside = records.beside(table, one, TASK)
    table = table.assign(
        half=half_of(table["data_set"]),
        ratio=np.log(table.get("rmse", np.nan) / beside.get("rmse", np.nan)),
        time=np.log(table["seconds"] / beside["seconds"]),
        **{"more right": table.get("accuracy", np.nan) - beside.get("accuracy", np.nan)},
    )
    table = table[table["time"].notna()]
    groups = ["half", *by, label]
    found = records.means(table, groups, ["ratio", "more right", "time"], ["ratio", "time"])
    found["worst"] = np.exp(table.groupby(groups, sort=False)["ratio"].max().to_numpy())
    return found
