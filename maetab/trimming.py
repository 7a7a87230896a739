"""Which rows a detector learns from, and what is known of the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.stats import rankdata
from sklearn.ensemble import IsolationForest

from maetab.data.kinds import level_key
from maetab.data.schema import Schema
from maetab.engine.robust import (
    CROWD_ROWS,
    crowd_distances,
    one_hot,
    robust_distances,
    robust_gaussian,
)
from maetab.engine.runtime import Deadline

CROWD = 0.05  # share of the other rows that a row is compared with
FOREST_SEED = 0
# Shares of the time after which the Gaussian, and the comparison with other rows, are to end.
TIMES = (0.15, 0.25)
MAX_OTHERS, LEAST_OTHERS = 4096, 64  # rows that each row is compared with


def kept_rows(
    values: np.ndarray,
    observed: np.ndarray,
    n_levels: Sequence[int],
    trim: float,
    deadline: Deadline | None = None,
) -> np.ndarray:
    """Return (n,) bool: False for the share `trim` of rows that three detectors rank last.

    Parameters
    ----------
    values, observed : (n, F) as encoded
    n_levels : per column; 0 for a number, else how many levels are told apart
    deadline : of the whole fit, of which this takes a quarter at most, beside one step of the
        Gaussian, a forest, and a comparison with 64 rows
    """
    deadline = deadline or Deadline()
    if not trim:
        return np.ones(len(values), bool)
    n_kept, known = max(2, round((1 - trim) * len(values))), np.array(n_levels)
    rare = observed & (known > 0) & (values >= known)
    spread = np.hstack([one_hot(values, observed, n_levels), rare[:, rare.any(0)]])
    far = robust_distances(spread, *robust_gaussian(spread, lambda: deadline.used() > TIMES[0]))
    forest = IsolationForest(random_state=FOREST_SEED).fit(spread)
    cells = np.nan_to_num(spread)
    most = deadline.part(TIMES[1]).affordable(
        lambda count: crowd_distances(cells[:CROWD_ROWS], CROWD, count),
        MAX_OTHERS,
        passes=len(cells) / CROWD_ROWS,
        start=LEAST_OTHERS,
    )
    alone = crowd_distances(cells, CROWD, most)
    ranks = sum(map(rankdata, (far, -forest.score_samples(spread), alone)))
    kept = np.zeros(len(values), bool)
    kept[np.argsort(ranks, kind="stable")[:n_kept]] = True
    return kept


def with_levels_of(schema: Schema, whole: Schema) -> tuple[Schema, list[list[int]]]:
    """Return a schema that knows the levels of all rows, and how many rows have each.

    Levels that only trimmed rows have come behind the others, with a count of 0, so that the model
    of the other rows stays as it is.

    Parameters
    ----------
    schema : of the rows that were learned from
    whole : of these and those trimmed, with the same columns
    """
    columns, counts = [], []
    for column, every in zip(schema.columns, whole.columns, strict=True):
        seen = dict(zip(map(level_key, every.levels), every.counts))
        own = {level_key(level) for level in column.levels}
        if column.kind == every.kind == "category" and not column.free_text:
            more = tuple(level for level in every.levels if level_key(level) not in own)
            column = replace(
                column,
                levels=(*column.levels, *more),
                counts=(*column.counts, *[0] * len(more)),
            )
        columns.append(column)
        pairs = zip(column.levels, column.counts, strict=True)
        counts.append([max(count, seen.get(level_key(level), 0)) for level, count in pairs])
    return Schema(tuple(columns)), counts
