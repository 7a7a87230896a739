"""What the command line tells about columns and rows: texts and tables, for cli.py to print."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from maetab.data.schema import Column, infer_schema

if TYPE_CHECKING:
    from maetab.files import Table

TOLD = ("column", "value", "expected", "reason")  # of a cell that makes a row strange


def aligned(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """Return the lines of a table whose columns stand one below the other."""
    lines = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines)]
    return ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]


def note_on(table: Table, name: str, wanted: Collection[str]) -> str | None:
    """Return why the model does not use a column, or what looks wrong with it.

    Parameters
    ----------
    wanted : columns that the user has named, and which are used whatever they hold
    """
    observed = table.frame[name].dropna()
    if observed.empty:
        return "no observed cell; left as it is"
    if name in table.doubts:
        return table.doubts[name]
    seen = infer_schema(table.frame[[name]], [name] if name in wanted else "auto").columns[0]
    if seen.free_text:
        return f"free text, {seen.free_text} different ones; left as it is unless in --categorical"
    return None


def range_of(column: Column) -> str:
    """Return the levels or the range of a column, short."""
    if not column.n_observed:
        return ""
    if column.kind == "category":
        pairs = zip(column.levels[:3], column.counts)
        more = f", ... ({len(column.levels)} levels)" if len(column.levels) > 3 else ""
        return ", ".join(f"{str(level)[:20]} {count}" for level, count in pairs) + more
    if column.temporal is None:
        return " to ".join(_number(end, column.origin) for end in (column.lower, column.upper))
    if column.temporal == "timedelta":
        return " to ".join(str(pd.Timedelta(end, unit="s")) for end in (column.lower, column.upper))
    ends = [pd.Timestamp(end, unit="s") for end in (column.lower, column.upper)]
    days = all(end == end.normalize() for end in ends)
    return " to ".join(str(end.date() if days else end) for end in ends)


def _number(value: float, origin: int) -> str:
    """A number with six digits, or with all that it has if it is whole."""
    is_whole = float(value).is_integer() and abs(value) < 2**53
    return str(int(value) + origin) if is_whole else f"{value + origin:.6g}"


def score_rows(detector: Any, frame: pd.DataFrame) -> pd.DataFrame:
    """Return row (1 is the first), score, label and p_value of each row.

    Parameters
    ----------
    detector : fitted MAEAnomalyDetector
    frame : (n, F) whose labels are the places of its rows in the file, 0 the first
    """
    from maetab.engine.score_calibration import conformal_p_values  # not at import: it brings torch

    scores = detector.score_samples(frame)
    return pd.DataFrame(
        {
            "row": frame.index + 1,
            "score": scores.round(6),
            "label": np.where(scores < detector.offset_, "anomaly", "normal"),
            "p_value": conformal_p_values(scores, detector.scores_).round(6),
        },
        frame.index,
    )


def reasons_of(detector: Any, frame: pd.DataFrame, table: Table, n_columns: int) -> pd.DataFrame:
    """Return what makes the rows of `frame` strange, the strangest row and column first.

    Parameters
    ----------
    detector : fitted MAEAnomalyDetector
    frame : some rows of the table, labelled by their places in it
    table : spells the cells

    Returns
    -------
    reasons : frame with the columns row (1 is the table's first), place (1 is the strangest column
        of the row), column, value and expected, the last two as they are written in the table.
        Behind the first, columns that tell little are left out.
    """
    found = detector.explain(frame, top=len(frame), n_columns=n_columns)
    words = [
        table.spell(str(name), int(row), expected)
        for name, row, expected in zip(found["column"], found["row"], found["expected"])
    ]
    reasons = pd.DataFrame(
        {
            "row": found["row"].astype(int) + 1,
            "column": found["column"],
            "value": [seen for seen, _ in words],
            "expected": [expected for _, expected in words],
            "reason": found["reason"],
        }
    )
    tells = reasons["value"] != reasons["expected"]
    reasons = reasons[tells | ~reasons["row"].duplicated()]
    reasons.insert(1, "place", reasons.groupby("row").cumcount() + 1)
    return reasons


def count_of_anomalies(labels: Iterable[str]) -> str:
    """Return how many rows are anomalies, in words."""
    labels = list(labels)
    n, n_strange = len(labels), labels.count("anomaly")
    rows = "row" if n == 1 else "rows"
    return f"{n_strange} of {n} {rows} {'is an anomaly' if n_strange == 1 else 'are anomalies'}"


def beside(scores: pd.DataFrame, reasons: pd.DataFrame, n_columns: int) -> pd.DataFrame:
    """Return `scores` with column_1, value_1, expected_1, reason_1, column_2, ... on the right.

    They are missing for rows without reasons.
    """
    joined = scores
    for place in range(1, n_columns + 1):
        part = reasons.loc[reasons["place"] == place, ["row", *TOLD]]
        renamed = {name: f"{name}_{place}" for name in TOLD}
        joined = joined.merge(part.rename(columns=renamed), on="row", how="left")
    return joined.set_index(scores.index)


def listed(scores: pd.DataFrame, reasons: pd.DataFrame) -> list[list[str]]:
    """Return row, score and `TOLD` of each reason; the first two only once."""
    score_of = scores.set_index("row")["score"]
    lines = []
    for reason in reasons.to_dict("records"):
        row = reason["row"]
        shown = [f"{row}", f"{score_of[row]:.2f}"] if reason["place"] == 1 else ["", ""]
        lines.append([*shown, *(str(reason[key]) for key in TOLD)])
    return lines
