"""What makes the strangest rows strange; of series, what makes whole stretches strange."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from maetab.data.codec import to_natural
from maetab.data.schema import Column, Schema
from maetab.data.timeline import Timeline
from maetab.engine.inference import predict, predict_quantiles
from maetab.engine.reference import equal_memory_index
from maetab.engine.scoring import Scorer
from maetab.engine.series_scores import RARE
from maetab.nn.windows import Windows
from maetab.reasons import (
    ENDS,
    USUAL,
    WEAK,
    as_cells,
    as_frame,
    holding,
    reasons_of,
    rounded,
    shown,
    surprisals_at,
)
from maetab.series import View, stretches
from maetab.table import Table, key_labels

OFTEN = 0.2  # share of a stretch: as many of its cells outside are twice as many as usual


def explained(
    scorer: Scorer,
    schema: Schema,
    table: Table,
    windows: Windows,
    view: View | None,
    timeline: Timeline | None,
    offset: float,
    top: int,
    n_columns: int,
) -> pd.DataFrame:
    """Return what `MAEAnomalyDetector.explain` does.

    Parameters
    ----------
    schema : of the columns that the model reads
    windows, view : over the table
    offset : score below which a row is an outlier
    """
    scores = scorer.scores(windows)
    run, length = np.arange(len(scores)), np.zeros(len(scores), int)
    rows = np.argsort(scores, kind="stable")
    if view is not None:
        run, length = stretches(scores < offset, view.series)
        rows = _told_once(rows, run, length, view.series, windows.rows.shape[1])
    rows = rows[:top]
    frame, given = table.frame, None
    if view is not None:
        frame, given = table.frame.iloc[view.order, view.places], view.of(table.observed)
    reasons = reasons_of(scorer, schema, frame, windows, rows, n_columns, given)
    if view is not None:
        times = key_labels(table, timeline, view.order)[1]
        seen = _Seen(scorer, schema, frame, view.of(table.observed), windows, times)
        reasons = _with_stretches(reasons, seen, run, rows, n_columns)
    rows = rows[reasons.pop("place").to_numpy()]
    position = rows if view is None else view.order[rows]
    labels: dict[str, Any] = {"row": list(table.frame.index[position]), "position": position}
    if view is not None:
        groups, stamps = key_labels(table, timeline, position)
        if groups:
            labels["series"] = groups[0] if len(groups) == 1 else list(zip(*groups))
        labels |= {"time": list(stamps), "length": length[rows]}
    labels["score"] = scores[rows].round(3)
    for place, (name, column) in enumerate(labels.items()):
        reasons.insert(place, name, column)
    return reasons


def _told_once(
    order: np.ndarray, run: np.ndarray, length: np.ndarray, series: np.ndarray, n_steps: int
) -> np.ndarray:
    """Return, in their order, the rows of which none is strange by what another one tells.

    One for each stretch of outliers. A row that is no outlier is left out where one before it, or
    the stretch of that, is less than a window away: they have windows in common.

    Parameters
    ----------
    order : (n,) rows, the strangest first
    run, length : (n,) of `stretches`, in order of time
    series : (n,) number of the series of each
    """
    told, runs, rows = np.zeros(len(order), bool), set[int](), list[int]()
    for row in order:
        if run[row] in runs or (told[row] and not length[row]):
            continue
        rows.append(row)
        runs.add(run[row])
        first, end = np.searchsorted(run, [run[row], run[row] + 1])
        near = slice(max(0, first - n_steps + 1), end + n_steps - 1)
        told[near] |= series[near] == series[row]
    return np.array(rows)


@dataclass(frozen=True)
class _Seen:
    """What stretches are explained from.

    Parameters
    ----------
    schema : of the columns that the model reads
    frame : of these and the rows of the windows
    given : (n, F) bool, cells that the frame has
    times : (n,) of these rows
    """

    scorer: Scorer
    schema: Schema
    frame: pd.DataFrame
    given: np.ndarray
    windows: Windows
    times: pd.Index


def _with_stretches(
    reasons: pd.DataFrame, seen: _Seen, run: np.ndarray, rows: np.ndarray, n_columns: int
) -> pd.DataFrame:
    """Return reasons, those of a whole stretch where no cell of the row that stands for it is rare.

    Then what windows say is what made it an outlier, and its strangest cell is so by chance.

    Parameters
    ----------
    reasons : as `reasons_of` returns them
    run : (n,) number of the stretch of each row of the windows
    rows : which are explained
    """
    lines: list[dict[str, Any]] = []
    for i, told in enumerate(reasons[reasons["place"] == i] for i in range(len(rows))):
        stretch = np.flatnonzero(run == run[rows[i]])
        usual = (told["reason"] == USUAL) & (told["surprise"] < RARE)
        chance = usual | (told["reason"] == WEAK)
        if len(stretch) > 1 and len(told) and chance.all():
            lines += [{"place": i} | x for x in _of_stretch(seen, stretch, rows[i])[:n_columns]]
        else:
            lines += [
                {str(name): x for name, x in line.items()} for line in told.to_dict("records")
            ]
    return as_frame(lines)


def _of_stretch(seen: _Seen, stretch: np.ndarray, row: int) -> list[dict[str, Any]]:
    """Return the columns in which a stretch goes farthest from what rows around it tell.

    In order of that distance; the first, and others that often leave the interval.

    Parameters
    ----------
    stretch : (m,) rows, in order of time
    row : the one among them that values and ends are told of
    """
    at, strange = (
        int(np.searchsorted(stretch, row)),
        surprisals_at(seen.scorer, seen.windows, np.array([row])),
    )
    part, own = holding(seen.windows, stretch, stretch)
    values, observed = (x.numpy()[own] for x in (part.values, part.observed))
    point, low, high = _from_around(seen.scorer, part, own)
    frame, times = seen.frame.iloc[stretch], seen.times[stretch]
    found = as_cells(seen.schema, frame, values, observed, point, low, high)
    expected, bottom, top, usual = found
    outside = (observed & ~usual).sum(0) > OFTEN * observed.sum(0)
    is_number = seen.schema.is_number()
    far = np.where(observed, np.where(is_number, np.abs(values - point), values != point), 0.0)
    size = np.sqrt(np.square(far).sum(0) / np.maximum(observed.sum(0), 1))
    order = [j for j in np.argsort(-size, kind="stable") if seen.given[row, j]]
    away = to_natural(values, seen.schema) - to_natural(point, seen.schema)
    lines = []
    for j in [j for i, j in enumerate(order) if not i or outside[j]]:
        column, most = seen.schema.columns[j], int(far[:, j].argmax())
        lines.append(
            {
                "column": frame.columns[j],
                "value": shown(frame.iat[at, j], column),
                "expected": shown(rounded(expected.iat[at, j], column), column),
                "low": rounded(bottom[at, j], column),
                "high": rounded(top[at, j], column),
                "surprise": round(float(strange[0, j]), 3),
                "reason": f"from {times[0]} to {times[-1]} "
                + _how_far(column, float(away[most, j]), far[:, j], times[most]),
            }
        )
    return lines


def _how_far(column: Column, away: float, far: np.ndarray, time: Any) -> str:
    """Return how a column differs in a stretch: `away` at most, at `time`; `far` (m,) per row."""
    if column.kind == "category":
        return f"not what rows around tell in {int((far > 0).sum())} of {len(far)} rows"
    if column.temporal:
        return f"not what rows around tell, most at {time}"
    side = "above" if away > 0 else "below"
    return f"up to {rounded(abs(away), column)} {side} what rows around tell, at {time}"


def _from_around(scorer: Scorer, windows: Windows, rows: np.ndarray) -> np.ndarray:
    """Return (3, m, F) what cells of rows are expected to be, and both ends of an interval.

    All of these rows are hidden together.
    """
    visible = windows.observed.clone()
    visible[rows] = False
    hidden = replace(windows, observed=visible)
    index = equal_memory_index(scorer.model, scorer.reference, windows)
    point = predict(scorer.model, hidden, scorer.device, index)[rows]
    ends = predict_quantiles(scorer.model, hidden, scorer.device, list(ENDS), index)[:, rows]
    middle = np.where(scorer.levels.is_category, point, point.clip(ends[0], ends[1]))
    return np.stack([middle, *ends])
