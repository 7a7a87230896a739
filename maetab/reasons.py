"""Cells that are not what the others suggest, and what was expected: why rows are strange."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from maetab.data.codec import decode, to_natural
from maetab.data.schema import Column, Schema
from maetab.engine.inference import predict, predict_quantiles
from maetab.engine.reference import equal_memory_index
from maetab.engine.scoring import Scorer
from maetab.engine.series_scores import RARE
from maetab.nn.windows import Windows
from maetab.series import compact

ENDS = (0.05, 0.95)  # quantiles between which a cell is usual
LEAST_SURPRISE = 1.0  # of a reason: one in ten normal cells surprises as much
OUTSIDE = 0.5  # standard deviations beyond the range of fit that are far for a cell that is rare
DIGITS = 2  # of a number, beyond the first digit of its column's spread
USUAL, WEAK = "unexpected given the others", "nothing stands out"
NAMES = ["place", "column", "value", "expected", "low", "high", "surprise", "reason"]
KINDS = {"value": object, "expected": object, "surprise": float, "place": int}
# By how many training rows have the level.
SELDOM = {0: "never seen level", 1: "level seen once"}


def reasons_of(
    scorer: Scorer,
    schema: Schema,
    frame: pd.DataFrame,
    windows: Windows,
    rows: np.ndarray,
    n_columns: int,
    given: np.ndarray | None = None,
) -> pd.DataFrame:
    """Return what makes some rows strange, in the order of the rows.

    Parameters
    ----------
    schema : of the columns that the model reads
    frame : of these columns and the rows of the windows
    rows : which are explained
    n_columns : most reasons of each
    given : (n, F) bool, cells that the frame has; None for those that are observed in the windows,
        where a static column has the value of its series in every row

    Returns
    -------
    reasons : place (in `rows`), and the other columns of `MAEAnomalyDetector.explain` from "column"
    """
    strange = surprisals_at(scorer, windows, rows)
    if given is not None:
        strange = np.where(given[rows], strange, np.nan)
    windows, own_rows = holding(windows, rows, rows)
    frame = frame.iloc[rows]
    values, observed = (x.numpy()[own_rows] for x in (windows.values, windows.observed))
    order = strangest_first(strange, values, schema)
    selected = np.zeros(strange.shape, bool)
    np.put_along_axis(selected, order[:, :n_columns], True, axis=1)
    selected &= observed if given is None else observed & given[rows]
    found = _expected(scorer, schema, windows, own_rows, order, selected.sum(1).max(initial=0))
    expected, low, high, usual = as_cells(schema, frame, values, selected, *found)
    trimmed, counts = scorer.calibration.robust_location is not None, scorer.levels.counts
    lines = []
    for i in range(len(selected)):
        cells = [
            {
                "place": i,
                "column": frame.columns[j],
                "value": shown(frame.iat[i, j], column),
                "expected": shown(rounded(expected.iat[i, j], column), column),
                "low": rounded(low[i, j], column),
                "high": rounded(high[i, j], column),
                "surprise": round(float(strange[i, j]), 3),
                "reason": _reason(column, counts[j], trimmed, values[i, j]),
                "usual": usual[i, j],
            }
            for j, column in ((j, schema.columns[j]) for j in order[i] if selected[i, j])
        ]
        differ = [cell for cell in cells if not cell.pop("usual")]
        strong = [cell for cell in differ if cell["surprise"] >= LEAST_SURPRISE]
        weak = [cell | {"reason": WEAK} for cell in (differ or cells)[:1]]
        lines += strong or weak
    return as_frame(lines)


def strangest_first(strange: np.ndarray, values: np.ndarray, schema: Schema) -> np.ndarray:
    """Return (R, F) the columns of each row, those first that are to be told first.

    They are told by how much they surprise, but rare numbers beyond what fit has seen before all
    others, the farthest first: such a one is strange whatever the others are, and they may be
    strange only because they are guessed from it.

    Parameters
    ----------
    strange : (R, F) how much cells surprise, NaN where none is to be told
    values : (R, F) as encoded
    """
    ends = [[(end - c.center) / c.scale for end in (c.lower, c.upper)] for c in schema.columns]
    low, high = np.array(ends).T
    away = np.maximum(low - values, values - high)
    is_far = schema.is_number() & (away > OUTSIDE) & (strange >= RARE)
    known = np.where(np.isnan(strange), -np.inf, strange)
    return np.lexsort((-known, -np.where(is_far, away, 0.0)), axis=1)


def as_frame(lines: list[dict[str, Any]]) -> pd.DataFrame:
    """Return the frame of `reasons_of` with these lines."""
    told = pd.DataFrame(lines, columns=NAMES).astype(KINDS)
    return told.assign(low=told["low"].infer_objects(), high=told["high"].infer_objects())


def surprisals_at(scorer: Scorer, windows: Windows, rows: np.ndarray) -> np.ndarray:
    """Return (R, F) how much the cells of some rows surprise; no farther rows are looked at."""
    near = np.unique(rows[:, None] + np.arange(-scorer.reach, scorer.reach + 1))
    around, own_rows = holding(windows, near, rows)
    return scorer.cell_surprisals(around)[own_rows]


def holding(windows: Windows, near: np.ndarray, rows: np.ndarray) -> tuple[Windows, np.ndarray]:
    """Return the windows that hold some rows, `near`, and the numbers of `rows` in them."""
    held = torch.isin(windows.rows, torch.tensor(near[near >= 0])).any(1)
    part, own = compact(replace(windows, rows=windows.rows[held]))
    return part, np.searchsorted(own, rows)


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


def shown(cell: Any, column: Column) -> Any:
    """Return a cell, whole numbers whole."""
    is_float = isinstance(cell, float | np.floating) and np.isfinite(cell)
    return int(cell) if is_float and column.kind == "number" and cell == round(cell) else cell


def rounded(cell: Any, column: Column) -> Any:
    """Return a cell, a number without the digits that its column's spread does not tell apart."""
    if not isinstance(cell, float | np.floating) or column.kind != "number":
        return cell
    return round(float(cell), max(0, DIGITS - math.floor(math.log10(column.scale))))


def _expected(
    scorer: Scorer,
    schema: Schema,
    windows: Windows,
    rows: np.ndarray,
    order: np.ndarray,
    n_columns: int,
) -> np.ndarray:
    """Return (3, R, F) what cells of rows were expected to be, and both ends of an interval.

    Each is guessed from all cells but itself and those before it in `order` (R, F), of which
    `n_columns` of each row are looked at.
    """
    model, device = scorer.model, scorer.device
    index = equal_memory_index(model, scorer.reference, windows)
    visible, everyone = windows.observed.clone(), np.arange(len(rows))
    found = np.zeros((3, *order.shape), np.float32)
    for j in order[:, :n_columns].T:
        visible[rows, j] = False
        seen = replace(windows, observed=visible)
        found[0, everyone, j] = predict(model, seen, device, index)[rows, j]
        ends = predict_quantiles(model, seen, device, list(ENDS), index)
        found[1:, everyone, j] = ends[:, rows, j]
    found[0] = np.where(schema.is_number(), found[0].clip(found[1], found[2]), found[0])
    return found


def as_cells(
    schema: Schema,
    frame: pd.DataFrame,
    values: np.ndarray,
    selected: np.ndarray,
    point: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray, np.ndarray]:
    """Return points and ends in their own units, and (n, F) True where the cell is as expected:
    the level that was expected or a number in the interval.
    """
    inside = (low <= values) & (values <= high)
    usual = np.where(schema.is_number(), inside, values == point)
    bottom, top = (_written(end, selected, schema, frame) for end in (low, high))
    return decode(point, selected, schema, like=frame), bottom, top, usual


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
