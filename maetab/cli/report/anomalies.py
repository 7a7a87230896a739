"""What `maetab detect` reports: scores of rows, and the cells that make them strange."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from maetab.cli.report.output import counted

if TYPE_CHECKING:
    from maetab.files.tables import TableFile

WHEN = ("series", "time", "length")  # of what is strange in series; length in rows
CELL = ("column", "value", "expected", "reason")  # of a cell that makes a row strange


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


def reasons_of(
    detector: Any,
    frame: pd.DataFrame,
    table: TableFile,
    n_columns: int,
    top: int | None = None,
) -> pd.DataFrame:
    """Return what makes the strangest rows strange, the strangest row and column first.

    Parameters
    ----------
    detector : fitted MAEAnomalyDetector
    frame : rows of the table, labelled by their places in it; the strangest, or all of series,
        where a row is strange beside those before and after it
    table : spells the cells
    n_columns : most columns of a row
    top : how many rows, or stretches of series; None for all

    Returns
    -------
    reasons : frame with the columns row (1 is the table's first), place (1 is the strangest column
        of the row), those of `WHEN` for series, column, value and expected, the last two as they
        are written in the table.
        Behind the first, columns whose two texts are the same are left out.
    """
    found = detector.explain(frame, top=top or len(frame), n_columns=n_columns)
    words = [
        table.spell(str(name), int(row), expected)
        for name, row, expected in zip(found["column"], found["row"], found["expected"])
    ]
    timeline = getattr(detector, "timeline_", None)
    in_order = timeline is not None and timeline.kind == "order"  # whose time is the row
    when = [name for name in WHEN if name in found and not (in_order and name == "time")]
    reasons = found.assign(row=found["row"].astype(int) + 1)[["row", *when, "column"]]
    reasons["value"], reasons["expected"] = [seen for seen, _ in words], [new for _, new in words]
    reasons["reason"] = found["reason"]
    differs = reasons["value"] != reasons["expected"]
    reasons = reasons[differs | ~reasons["row"].duplicated()]
    reasons.insert(1, "place", reasons.groupby("row").cumcount() + 1)
    return reasons


def count_of_anomalies(labels: Iterable[str]) -> str:
    """Return how many rows are anomalies, in words."""
    labels = list(labels)
    n_strange, rows = labels.count("anomaly"), counted(len(labels), "row")
    return f"{n_strange} of {rows} {'is an anomaly' if n_strange == 1 else 'are anomalies'}"


def beside(scores: pd.DataFrame, reasons: pd.DataFrame, n_columns: int) -> pd.DataFrame:
    """Return `scores` with column_1, value_1, expected_1, reason_1, column_2, ... on the right.

    They are missing for rows without reasons.
    """
    joined = scores
    for place in range(1, n_columns + 1):
        part = reasons.loc[reasons["place"] == place, ["row", *CELL]]
        renamed = {name: f"{name}_{place}" for name in CELL}
        joined = joined.merge(part.rename(columns=renamed), on="row", how="left")
    return joined.set_index(scores.index)


def reason_rows(scores: pd.DataFrame, reasons: pd.DataFrame) -> list[list[str]]:
    """Return row, score and `CELL` of each reason; the first two only once."""
    score_of = scores.set_index("row")["score"]
    lines = []
    for reason in reasons.to_dict("records"):
        row = reason["row"]
        when = [f"{reason[name]}" for name in WHEN if name in reason]
        shown = [f"{row}", f"{score_of[row]:.2f}", *when]
        shown = shown if reason["place"] == 1 else [""] * len(shown)
        lines.append([*shown, *(str(reason[key]) for key in CELL)])
    return lines
