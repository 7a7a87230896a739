"""What scores are usual: learned from training rows, none of which sees itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from maetab.engine.inference import whole_batch
from maetab.engine.reference import Reference, equal_memory_index, training_memory_index
from maetab.engine.robust import one_hot, robust_gaussian
from maetab.engine.row_scores import RowScorer
from maetab.engine.runtime import Deadline
from maetab.engine.scoring import (
    MIN_SPREAD,
    Calibration,
    Levels,
    Scorer,
    positive_median,
    rarest,
    shared_tails,
)
from maetab.engine.series_scores import SeriesScorer
from maetab.nn.ensemble import Ensemble
from maetab.nn.windows import Windows

N_QUANTILES = 201  # quantiles of each column's surprises that are kept
CALIBRATED = 4.0  # what calibration takes, in passes over the cells of all sets
MARGIN_ROWS = 1000  # of as many rows, a cell of a new row is to be twice as rare as any in fit
MOST_ROWS = 0.95  # share of the rows of fit that "nearly all" are
OTHERS_WEIGHT = 1.0  # in the surprise of a cell, of what it makes others surprise
PART_FLOOR = 0.01  # of the usual size of a part of the score, added before its logarithm


def make_scorer(
    model: Ensemble,
    reference: Reference,
    levels: Levels,
    calibration: Calibration,
    device: torch.device,
) -> Scorer:
    """Return what scores the rows that a model reads, of a table or of series."""
    return _kind(model)(model, reference, levels, calibration, device)


def _kind(model: Ensemble) -> type[Scorer]:
    return SeriesScorer if model.is_series else RowScorer


def affordable_rows(
    model: Ensemble, windows: Windows, n_masks: int, device: torch.device, deadline: Deadline
) -> int:
    """Return how many of the windows there is time to calibrate with: all without a limit."""

    def look(n: int) -> None:
        first = replace(windows, rows=windows.rows[:n])
        _kind(model).try_out(model, first, n_masks, device)

    return deadline.affordable(look, len(windows), CALIBRATED, whole_batch(model, windows, device))


def start_calibration(
    model: Ensemble,
    n_masks: int,
    trusted: np.ndarray | None = None,
    rows: tuple[np.ndarray, np.ndarray] | None = None,
    until: Deadline | None = None,
) -> Calibration:
    """Return what is known before any training row is scored.

    Parameters
    ----------
    trusted : bool, of each window that is remembered, True where it is normal; None for all
    rows : values and observed (n, F) of the rows that were learned from where others were trimmed,
        for a robust distance; None without
    until : after it the robust distance is refined no more
    """
    remembered: np.ndarray = (model.guess.memory.visible > 0).any(1).cpu().numpy()
    if trusted is not None and remembered.any():
        remembered[remembered] = trusted
    location = precision = None
    if rows is not None:
        cells = one_hot(*rows, model.config.n_levels)
        location, precision = robust_gaussian(cells, until)
    return Calibration(n_masks, remembered, location, precision)


def calibrated(
    scorer: Scorer,
    windows: Windows,
    kept: np.ndarray,
    whole: np.ndarray | None = None,
    remembered: bool = False,
) -> Calibration:
    """Return the calibration of a scorer, completed on training rows, each in some window.

    Its scores are in the order of the rows; they become a part of a scorer when they are sorted.

    Parameters
    ----------
    windows : cut from these rows
    kept : (n,) bool, True where a row was learned from
    whole : (n,) bool, True where all windows are there that hold a row, which alone has the score
        that it would have later; None for all
    remembered : whether the windows are those that the model remembers, of rows of their own
    """
    rows, whole = windows.rows.numpy(), np.ones(len(kept), bool) if whole is None else whole
    inside = ((rows >= 0) & kept[rows]).any(1)
    find = equal_memory_index if remembered else training_memory_index
    memory_index = find(scorer.model, scorer.reference, windows)
    kept = kept & whole
    learned, index = replace(windows, rows=windows.rows[inside]), memory_index[inside]

    def learn(**found: Any) -> Scorer:
        return replace(scorer, calibration=replace(scorer.calibration, **found))

    errors = scorer.surprises(learned, index)[kept]
    scorer = learn(
        usual_errors=np.maximum(column_means(errors), MIN_SPREAD),
        usual_gap=scorer.usual_gap(learned, index, kept),
    )
    if not scorer.always_alone:
        scorer = learn(others_weight=OTHERS_WEIGHT)
        errors = scorer.surprises(learned, index, alone=True)[kept]
    quantiles = column_quantiles(errors)
    if not scorer.always_alone:
        counts = (~np.isnan(errors)).sum(0)
        quantiles = shared_tails(quantiles, counts, scorer.levels.is_category)
    scorer = learn(cell_quantiles=quantiles)
    if isinstance(scorer, RowScorer):
        scorer = learn(local_reach=scorer.local_reach())
    found = scorer.evidence(windows, memory_index)
    parts = found.parts
    if found.cells is not None:
        quantiles = column_quantiles(found.cells[kept])
        most = rarest(found.cells[kept], quantiles).max(initial=0)
        margin = np.log10(1 + MARGIN_ROWS / max(1, kept.sum()))
        missing = np.isnan(found.cells[kept]).sum(1)
        scorer = learn(
            row_quantiles=quantiles,
            rarest_cell=float(most + margin),
            most_missing=float(np.quantile(missing, MOST_ROWS)) if len(missing) else 0.0,
        )
    floor = PART_FLOOR * np.array([positive_median(part) for part in parts[kept].T])
    logs = np.log(parts[kept] + floor)
    scale = np.maximum(np.nanstd(logs, 0), MIN_SPREAD)
    scorer = learn(part_floor=floor, part_center=np.nanmean(logs, 0), part_scale=scale)
    observed, levels = windows.observed.numpy(), scorer.levels
    n_unseen = levels.unseen(windows.values.numpy(), observed)[whole].sum(0)
    normality, n_observed = scorer.normality(parts[whole]), observed[whole].sum(0)
    scorer = learn(unseen_cost=unseen_cost(normality, n_unseen, n_observed, levels.is_category))
    return learn(scores=scorer.joined(found, windows)[whole]).calibration


def unseen_cost(
    normality: np.ndarray, n_unseen: np.ndarray, n_observed: np.ndarray, is_category: np.ndarray
) -> np.ndarray:
    """Return (F,) what an unseen level takes off the score of a row; 0 for numbers.

    With one, a usual row comes to where as large a share of the training rows lies below as show
    an unseen level in such a column, this row included, times the number of categories.

    Parameters
    ----------
    normality : (n,) scores of the training rows without that
    n_unseen, n_observed : (F,) training rows with an unseen level, and with any
    is_category : (F,) bool
    """
    share = (1 + n_unseen) / (1 + n_observed) * is_category.sum()
    low = np.quantile(normality, np.minimum(share, 0.5))
    return np.where(is_category, np.median(normality) - low, 0.0)


def conformal_p_values(scores: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Return (n,) p-values: shares of the normal scores, ascending, that are no larger."""
    return (1 + np.searchsorted(normal, scores, side="right")) / (1 + len(normal))


def column_means(cells: np.ndarray) -> np.ndarray:
    """Return (F,) means of the cells that are no NaN; 0 where there are none."""
    seen = ~np.isnan(cells)
    return np.where(seen, cells, 0.0).sum(0) / np.maximum(seen.sum(0), 1)


def column_quantiles(cells: np.ndarray) -> np.ndarray:
    """Return (F, 201) quantiles of the cells that are no NaN; 0 where there are none."""
    quantiles, shares = np.zeros((cells.shape[1], N_QUANTILES)), np.linspace(0, 1, N_QUANTILES)
    for j, column in enumerate(cells.T):
        seen = column[~np.isnan(column)]
        if len(seen):
            quantiles[j] = np.quantile(seen, shares)
    return quantiles
