"""Files of results: a JSON line for every run, which is also the record of what is done.

A line with the key "about" says where and when the lines behind it were made, up to the next.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.peers import version_of

RESULTS = Path(__file__).resolve().parent / "results"


def read(path: Path) -> list[dict[str, Any]]:
    """Return the runs in a file of results, with what is said about them; none without a file."""
    return [run | about for run, about in _read(path) if run]


def _read(path: Path) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield each run of a file with what is said about it; no run for what is said."""
    about: dict[str, Any] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        found = json.loads(line)
        about = found.pop("about", about)
        yield found, about


def done(path: Path, key: Sequence[str]) -> set[tuple]:
    """Return the keys of the runs that a file of results holds."""
    return {tuple(line[name] for name in key) for line in read(path)}


def append(path: Path, run: dict[str, Any], threads: int) -> None:
    """Add one result to a file, floats to six digits; say where and when if that is new."""
    about = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "pandas": pd.__version__,
        "scikit_learn": version_of("mean"),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "threads": threads,
        "date": datetime.now(UTC).date().isoformat(),
    }
    *_, (_, said) = [({}, {}), *_read(path)]
    rounded = {
        name: float(f"{value:.6g}") if isinstance(value, float) else value
        for name, value in run.items()
        if name not in about
    }
    new = [rounded] if said == about else [{"about": about}, rounded]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as results:
        results.writelines(json.dumps(line, default=float) + "\n" for line in new)


def newest(lines: pd.DataFrame, key: Sequence[str]) -> pd.DataFrame:
    """Return the lines that count: of each method the newest version, of each run the last line."""
    version = lines.groupby("method")["version"].transform("last")
    return lines[lines["version"] == version].drop_duplicates(list(key), keep="last")


def markdown(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table whose first column is text and whose others are figures."""
    header = list(header)
    ruled = ["---"] + ["---:"] * (len(header) - 1)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [header, ruled, *rows])


def beside(table: pd.DataFrame, other: pd.DataFrame, task: Sequence[str]) -> pd.DataFrame:
    """Return, line by line of a table, the line of `other` with the same task; NaN without one."""
    own = pd.MultiIndex.from_frame(table[list(task)])
    return other.set_index(list(task)).reindex(own).set_axis(table.index)


def write(path: Path, title: str, text: str) -> None:
    """Write Markdown beside a file of results, under a title and what made it; print it."""
    made = f"# {title}\n\nMade by `python -m benchmarks.{path.stem} --report`.\n\n"
    path.with_suffix(".md").write_text(made + text + "\n", encoding="utf-8")
    print(text)


def means(
    table: pd.DataFrame, by: Sequence[str], columns: Sequence[str], logs: Sequence[str]
) -> pd.DataFrame:
    """Return, by group, how many lines there are and the means of columns.

    logs : columns among these that hold logarithms: their geometric means come out
    """
    groups = table.groupby(list(by), sort=False)
    found = groups[list(columns)].mean()
    found[list(logs)] = np.exp(found[list(logs)])
    found.insert(0, "tables", groups.size().astype(float))
    found.index = [", ".join(map(str, label)) for label in found.index]
    return found


def figures(frame: pd.DataFrame, digits: int, corner: str = "") -> str:
    """Return a frame of numbers as a Markdown table; missing ones are dashes."""
    rows = [
        [str(label), *("–" if np.isnan(value) else f"{value:.{digits}f}" for value in row)]
        for label, row in zip(frame.index, frame.to_numpy(float), strict=True)
    ]
    return markdown([corner, *map(str, frame.columns)], rows)
