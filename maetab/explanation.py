"""Why rows are strange: cells that are not what the others suggest, and what was expected."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from maetab.base import Table
from maetab.data.codec import decode, to_natural
from maetab.data.schema import Column, Schema
from maetab.engine.inference import predict, predict_quantiles
from maetab.engine.runtime import pick_device
from maetab.engine.score import remembered_places
from maetab.nn.ensemble import Ensemble

ENDS = (0.05, 0.95)  # quantiles between which a cell is usual
LEAST_SURPRISE = 1.0  # of a reason: one in ten normal cells surprises as much
DIGITS = 2  # of a number, beyond the first digit of its column's spread
USUAL, WEAK = "unexpected given the others", "nothing stands out"
# By how many training rows have the level.
SELDOM = {0: "never seen level", 1: "level seen once"}


def explained(
    model: Ensemble,
    schema: Schema,
    level_counts: list[list[int]],
    trimmed: bool,
    table: Table,
    strange: np.ndarray,
    n_columns: int,
    device: str,
) -> pd.DataFrame:
    """Return place (of the row in the table, from 0) and the columns of
    `MAEAnomalyDetector.explain` from "column" on.

    Parameters
    ----------
    schema : of the rows that were learned from
    level_counts : for each column, how many training rows have each of its levels
    trimmed : whether there are training rows that were not learned from
    strange : (n, F) surprises of the cells, NaN where not observed
    n_columns : most reasons of a row
    """
    order = np.argsort(np.where(np.isnan(strange), np.inf, -strange), axis=1, kind="stable")
    told = np.zeros(strange.shape, bool)
    np.put_along_axis(told, order[:, :n_columns], True, axis=1)
    told &= table.observed
    expected, low, high, usual = _expected(model, schema, table, told, order, device)
    lines = []
    for i in range(len(told)):
        cells = [
            {
                "place": i,
                "column": table.frame.columns[j],
                "value": _shown(table.frame.iat[i, j], column),
                "expected": _shown(_rounded(expected.iat[i, j], column), column),
                "low": _rounded(low[i, j], column),
                "high": _rounded(high[i, j], column),
                "surprise": round(float(strange[i, j]), 3),
                "reason": _reason(column, level_counts[j], trimmed, table.values[i, j]),
                "usual": usual[i, j],
            }
            for j, column in ((j, schema.columns[j]) for j in order[i] if told[i, j])
        ]
        differ = [cell for cell in cells if not cell.pop("usual")]
        telling = [cell for cell in differ if cell["surprise"] >= LEAST_SURPRISE]
        weak = [cell | {"reason": WEAK} for cell in (differ or cells)[:1]]
        lines += telling or weak
    names = ["place", "column", "value", "expected", "low", "high", "surprise", "reason"]
    found = pd.DataFrame(lines, columns=names)
    kept = {"value": object, "expected": object, "surprise": float, "place": int}
    return found.astype(kept).assign(
        low=found["low"].infer_objects(), high=found["high"].infer_objects()
    )


def _reason(column: Column, counts: list[int], trimmed: bool, value: float) -> str:
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
    model: Ensemble, schema: Schema, table: Table, told: np.ndarray, order: np.ndarray, device: str
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray, np.ndarray]:
    """Return what the cells `told` were expected to be, both ends of an interval, and (n, F) True
    where the cell is the level that was expected or a number in the interval.

    Each is guessed from all cells but itself and those before it in `order` (n, F).
    """
    visible, said = table.observed.copy(), np.zeros((3, *told.shape), np.float32)
    everyone, where = np.arange(len(told)), pick_device(device)
    own = remembered_places(model, table.values, table.observed)
    for j in order[:, : told.sum(1).max(initial=0)].T:
        visible[everyone, j] = False
        cells = (model, table.values[:, None], visible[:, None], where)
        said[0, everyone, j] = predict(*cells, own)[everyone, 0, j]
        ends = predict_quantiles(*cells, list(ENDS), own)
        said[1:, everyone, j] = ends[:, everyone, 0, j]
    inside = (said[1] <= table.values) & (table.values <= said[2])
    usual = np.where(schema.is_number(), inside, table.values == said[0])
    said[0] = np.where(schema.is_number(), said[0].clip(said[1], said[2]), said[0])
    low, high = (_written(end, told, schema, table.frame) for end in said[1:])
    return decode(said[0], told, schema, like=table.frame), low, high, usual


def _written(ends: np.ndarray, told: np.ndarray, schema: Schema, frame: pd.DataFrame) -> np.ndarray:
    """Return (n, F) of object: ends of intervals in their own unit, NaN for categories."""
    written = to_natural(ends, schema).astype(object)
    moments = decode(ends, told, schema, like=frame)
    for j, column in enumerate(schema.columns):
        if column.temporal:
            written[:, j] = moments.iloc[:, j].astype(object)
    written[:, ~schema.is_number()] = np.nan
    return written
