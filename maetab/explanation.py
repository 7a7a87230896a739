"""Why rows are strange: cells that are not what the others suggest, and what was expected."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from maetab.base import Table, row_windows
from maetab.data.codec import decode, to_natural
from maetab.data.schema import Column, Schema
from maetab.engine.inference import predict, predict_quantiles
from maetab.engine.reference import equal_memory_index
from maetab.engine.scoring import Scorer

ENDS = (0.05, 0.95)  # quantiles between which a cell is usual
LEAST_SURPRISE = 1.0  # of a reason: one in ten normal cells surprises as much
DIGITS = 2  # of a number, beyond the first digit of its column's spread
USUAL, WEAK = "unexpected given the others", "nothing stands out"
NAMES = ["place", "column", "value", "expected", "low", "high", "surprise", "reason"]
KINDS = {"value": object, "expected": object, "surprise": float, "place": int}
# By how many training rows have the level.
SELDOM = {0: "never seen level", 1: "level seen once"}


def explained(
    scorer: Scorer, schema: Schema, table: Table, top: int, n_columns: int
) -> pd.DataFrame:
    """Return what `MAEAnomalyDetector.explain` does: reasons of the strangest rows of a table.

    Parameters
    ----------
    schema : of the rows that were learned from
    top, n_columns : most rows, and most reasons of each
    """
    scores = scorer.scores(row_windows(table.values, table.observed))
    rows = np.argsort(scores, kind="stable")[:top]
    frame, values, observed = table.frame.iloc[rows], table.values[rows], table.observed[rows]
    reasons = _reasons(scorer, schema, Table(frame, table.back, values, observed), n_columns)
    place = reasons.pop("place").to_numpy()
    reasons.insert(0, "row", list(frame.index[place]))
    reasons.insert(1, "position", rows[place])
    reasons.insert(2, "score", scores[rows[place]].round(3))
    return reasons


def _reasons(scorer: Scorer, schema: Schema, table: Table, n_columns: int) -> pd.DataFrame:
    """Return place (of the row in the table, from 0) and the other columns, from "column" on."""
    strange = scorer.cell_surprisals(row_windows(table.values, table.observed))
    order = np.argsort(np.where(np.isnan(strange), np.inf, -strange), axis=1, kind="stable")
    selected = np.zeros(strange.shape, bool)
    np.put_along_axis(selected, order[:, :n_columns], True, axis=1)
    selected &= table.observed
    expected, low, high, usual = _expected(scorer, schema, table, selected, order)
    trimmed, counts = scorer.calibration.robust_location is not None, scorer.levels.counts
    lines = []
    for i in range(len(selected)):
        cells = [
            {
                "place": i,
                "column": table.frame.columns[j],
                "value": _shown(table.frame.iat[i, j], column),
                "expected": _shown(_rounded(expected.iat[i, j], column), column),
                "low": _rounded(low[i, j], column),
                "high": _rounded(high[i, j], column),
                "surprise": round(float(strange[i, j]), 3),
                "reason": _reason(column, counts[j], trimmed, table.values[i, j]),
                "usual": usual[i, j],
            }
            for j, column in ((j, schema.columns[j]) for j in order[i] if selected[i, j])
        ]
        differ = [cell for cell in cells if not cell.pop("usual")]
        strong = [cell for cell in differ if cell["surprise"] >= LEAST_SURPRISE]
        weak = [cell | {"reason": WEAK} for cell in (differ or cells)[:1]]
        lines += strong or weak
    found = pd.DataFrame(lines, columns=NAMES).astype(KINDS)
    return found.assign(low=found["low"].infer_objects(), high=found["high"].infer_objects())


def _reason(column: Column, counts: Sequence[int], trimmed: bool, value: float) -> str:
    """Return in what way a cell, as encoded, is no usual one of its column."""
    if column.kind == "category":
        code = int(value)
        count = counts[code] if code < len(counts) else 0
        if count > 1 and column.counts[code] == 0:
            return "level of trimmed rows only"
        return SELDOM.get(count, USUAL)
    natural = float(column.natural(np.array([value], np.float64))[0])
    near = 1e-6 * column.scale
    if column.lower - near <= natural <= column.upper + near:
        return USUAL
    return "outside the range of rows not trimmed" if trimmed else "outside the observed range"


def _shown(cell: Any, column: Column) -> Any:
    """Return a cell, whole numbers whole."""
    is_float = isinstance(cell, float | np.floating) and np.isfinite(cell)
    return int(cell) if is_float and column.kind == "number" and cell == round(cell) else cell


def _rounded(cell: Any, column: Column) -> Any:
    """Return a cell, a number without the digits that its column's spread does not tell apart."""
    if not isinstance(cell, float | np.floating) or column.kind != "number":
        return cell
    return round(float(cell), max(0, DIGITS - math.floor(math.log10(column.scale))))


def _expected(
    scorer: Scorer, schema: Schema, table: Table, selected: np.ndarray, order: np.ndarray
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray, np.ndarray]:
    """Return what the selected cells were expected to be, both ends of an interval, and (n, F) True
    where the cell is the level that was expected or a number in the interval.

    Each is guessed from all cells but itself and those before it in `order` (n, F).
    """
    model, device = scorer.model, scorer.device
    index = equal_memory_index(model, scorer.reference, row_windows(table.values, table.observed))
    visible, everyone = table.observed.copy(), np.arange(len(selected))
    point, low, high = np.zeros((3, *selected.shape), np.float32)
    for j in order[:, : selected.sum(1).max(initial=0)].T:
        visible[everyone, j] = False
        windows = row_windows(table.values, visible)
        point[everyone, j] = predict(model, windows, device, index)[everyone, j]
        ends = predict_quantiles(model, windows, device, list(ENDS), index)
        low[everyone, j], high[everyone, j] = ends[:, everyone, j]
    is_number, inside = schema.is_number(), (low <= table.values) & (table.values <= high)
    usual = np.where(is_number, inside, table.values == point)
    point = np.where(is_number, point.clip(low, high), point)
    written = (_written(end, selected, schema, table.frame) for end in (low, high))
    return decode(point, selected, schema, like=table.frame), *written, usual


def _written(
    ends: np.ndarray, selected: np.ndarray, schema: Schema, frame: pd.DataFrame
) -> np.ndarray:
    """Return (n, F) of object: ends of intervals in their own unit, NaN for categories."""
    written = to_natural(ends, schema).astype(object)
    moments = decode(ends, selected, schema, like=frame)
    for j, column in enumerate(schema.columns):
        if column.temporal:
            written[:, j] = moments.iloc[:, j].astype(object)
    written[:, ~schema.is_number()] = np.nan
    return written
