"""reStructuredText for the result pages: headings, tables of figures, where results were made."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

import numpy as np
import pandas as pd

NOTE = ".. Written by benchmarks/pages.py from benchmarks/results: do not edit by hand."


def title(text: str, line: str = "=") -> str:
    """Return a heading."""
    return f"{text}\n{line * len(text)}"


def table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a table whose first column is text and whose others are figures."""
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([[*header], *rows])
    lines = "\n".join(f"   {line}" for line in out.getvalue().splitlines())
    return f".. csv-table::\n   :class: figures\n   :header-rows: 1\n   :widths: auto\n\n{lines}"


def figures(frame: pd.DataFrame, digits: int, corner: str = "") -> str:
    """Return a frame of numbers as a table; missing ones are dashes."""
    rows = [
        [label, *("–" if np.isnan(value) else f"{value:.{digits}f}" for value in row)]
        for label, row in zip(frame.index, frame.to_numpy(float), strict=True)
    ]
    return table([corner, *map(str, frame.columns)], rows)


def said(names: Iterable[str]) -> str:
    """Return words as a list with "and" before the last."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def origin(lines: pd.DataFrame) -> str:
    """Return by which version, on what and when results were made."""
    days = sorted({str(day)[:10] for day in lines["date"]})
    dates = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    version = ""
    if "method" in lines and "version" in lines:
        ours = lines[lines["method"].isin(["maetab", "hidden cell"])]
        version = f"by maetab {ours['version'].iloc[-1]} " if len(ours) else ""
    places = lines[["machine", "cpus", "threads"]].drop_duplicates().to_numpy()
    where = said(
        f"{machine}, {cpus} CPUs, {threads} thread(s)" for machine, cpus, threads in places
    )
    return f"Made {version}on {where}; {dates}."


def page(heading: str, *parts: str) -> str:
    """Return a page of several paragraphs."""
    return "\n\n".join([NOTE, title(heading), *parts]) + "\n"
