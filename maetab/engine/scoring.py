"""What rows are scored by: surprises of cells, distances of rows, and both joined to one score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from maetab.engine.distances import distances
from maetab.engine.reference import Reference, equal_memory_index
from maetab.engine.robust import one_hot, robust_distances, unknown_distances
from maetab.engine.series_scores import strangeness
from maetab.engine.surprises import CELL_SHARES, ROW_SHARES, hidden_sets, surprises
from maetab.nn.ensemble import Ensemble
from maetab.nn.windows import Windows

SHARE_OF_CELLS = 0.25  # of a row's cells, the most surprising, that its score is made of
WEIGHTS = (1.0, 3.0, 1.0)  # of the parts of a score, in the order of `Scorer.parts`
NEIGHBOURS = 0.05  # share of the trusted remembered windows that a trimming detector compares with
MIN_NEIGHBOURS = 10  # of them at least
# What single cells add to the strangeness of a row of series: nothing up to one in a thousand, and
# then for each power of ten as much as this many standard deviations of what windows say. Chosen in
# trials on the choosing half of benchmarks/series_detect.py, of which no script is kept: cells cost
# stretches little there, and without them a single wild value is hardly ever the first.
RARE, OF_CELL = 3.0, 4.0
TAIL = 0.05  # share of a column's surprises beyond which they are taken for exponential
EQUAL = 1e-6  # difference of surprises that are taken for equal
UNREAD = np.zeros((0, 0), np.int64)  # remembered windows where none is looked at
NOT_YET: Any = None  # what is found later in calibration
MIN_REACH = 1e-2  # least mean of that exponential: many columns have equal surprises in their tail


@dataclass(frozen=True)
class Levels:
    """What is known of the levels of F columns.

    Parameters
    ----------
    is_category : (F,) bool, False for numbers
    counts : for each column, how many training rows have each level, () for numbers
    unknown_share : (F,) share of the training rows whose level is not distinguished by the model
    """

    is_category: np.ndarray
    counts: Sequence[Sequence[int]]
    unknown_share: np.ndarray

    def unseen(self, values: np.ndarray, observed: np.ndarray) -> np.ndarray:
        """Return (n, F) bool: levels that at most one training row has.

        The only row with a level would, left out, be the first to show it.

        Parameters
        ----------
        values, observed : (n, F) as encoded
        """
        unseen = np.zeros(observed.shape, bool)
        for j in np.flatnonzero(self.is_category).tolist():
            codes = np.where(observed[:, j], values[:, j], 0).astype(int)
            unseen[:, j] = observed[:, j] & (np.array([*self.counts[j], 0])[codes] <= 1)
        return unseen


@dataclass(frozen=True)
class Calibration:
    """What is usual among training rows; of each a fitted attribute of the detector.

    Parameters
    ----------
    n_masks : sets of cells that are hidden to score a window
    trusted : (n_memory,) bool, True for remembered windows that count as normal
    robust_location, robust_precision : (C,), (C, C) of the densest half of the rows; None if no row
        is trimmed
    usual_errors : (F,) mean errors of guesses at hidden cells
    usual_gap : median difference, per coordinate, of windows to the window nearest to them
    part_center, part_scale, part_floor : (2 or 3,) mean, standard deviation and floor of the
        logarithms of the parts of the score
    unseen_cost : (F,) what a level that at most one training row has takes off the score
    scores : (n,) scores of training rows, ascending
    cell_quantiles : (F, Q) quantiles of the surprises of each column
    """

    n_masks: int
    trusted: np.ndarray
    robust_location: np.ndarray | None
    robust_precision: np.ndarray | None
    usual_errors: np.ndarray = NOT_YET
    usual_gap: float = 0.0
    part_center: np.ndarray = NOT_YET
    part_scale: np.ndarray = NOT_YET
    part_floor: np.ndarray = NOT_YET
    unseen_cost: np.ndarray = NOT_YET
    scores: np.ndarray = NOT_YET
    cell_quantiles: np.ndarray = NOT_YET


@dataclass(frozen=True)
class Scorer:
    """Scores of rows and cells by a fitted model.

    Rows come as windows over them; a row that several windows hold gets the mean of theirs. Where
    `memory_index` is None, a window equal to a remembered one is taken for it.
    """

    model: Ensemble
    reference: Reference
    levels: Levels
    calibration: Calibration
    device: torch.device

    def scores(self, windows: Windows, memory_index: np.ndarray | None = None) -> np.ndarray:
        """Return (n,) float64, higher where a row is more normal."""
        if not self.model.is_series:
            return self.joined(self.parts(windows, memory_index), windows)
        found = strangeness(self.model, windows, self.device)
        energy, cells = (row_means(x, windows) for x in (found.energy, found.cells))
        return self.joined(energy[:, None], windows, cells)

    def joined(
        self, parts: np.ndarray, windows: Windows, cells: np.ndarray | None = None
    ) -> np.ndarray:
        """Return (n,) the scores of rows with these parts, levels that are unseen taken off.

        In series also single cells stranger than one in `10 ** RARE`, of which windows say little.

        cells : (n, F) surprises of the cells of series, if they are known
        """
        unseen = self.levels.unseen(windows.values.numpy(), windows.observed.numpy())
        scores = self.normality(parts) - unseen @ self.calibration.unseen_cost
        if self.model.is_series:
            if cells is None:
                cells = self.surprises(windows, UNREAD, alone=True)
            found = tail_surprisal(cells, self.calibration.cell_quantiles)
            rarest = np.nan_to_num(found).max(1)
            scores -= OF_CELL * np.maximum(rarest - RARE, 0)
        return scores

    def normality(self, parts: np.ndarray) -> np.ndarray:
        """Return (n,) how much more normal than usual, in standard deviations; NaN is usual."""
        known, weights = self.calibration, np.array(WEIGHTS[: parts.shape[1]])
        usual = (np.log(parts + known.part_floor) - known.part_center) / known.part_scale
        return -(np.nan_to_num(usual) * weights).sum(1) / weights.sum()

    def parts(self, windows: Windows, memory_index: np.ndarray | None = None) -> np.ndarray:
        """Return (n, 2 or 3) what makes rows strange.

        The cells that surprise most given others, the distance to remembered windows, and, if rows
        are trimmed, a robust distance. In series (n, 1), how far the windows that hold a row go
        from what is usual.
        """
        if self.model.is_series:
            return row_means(strangeness(self.model, windows, self.device).energy, windows)[:, None]
        if memory_index is None:
            memory_index = equal_memory_index(self.model, self.reference, windows)
        cells = self.surprises(windows, memory_index)
        parts = [mean_of_largest(cells, SHARE_OF_CELLS), self.distances(windows, memory_index)]
        location, precision = self.calibration.robust_location, self.calibration.robust_precision
        if location is not None and precision is not None:
            parts.append(self._robust_distances(windows, location, precision))
        return np.column_stack(parts)

    def cell_surprisals(self, windows: Windows) -> np.ndarray:
        """Return (n, F) -log10 of the shares of cells, by column, that surprise as much."""
        memory_index = UNREAD
        if not self.model.is_series:
            memory_index = equal_memory_index(self.model, self.reference, windows)
        cells = self.surprises(windows, memory_index, alone=True)
        return tail_surprisal(cells, self.calibration.cell_quantiles)

    def surprises(
        self, windows: Windows, memory_index: np.ndarray, alone: bool = False
    ) -> np.ndarray:
        """Return (n, F) surprises of cells given changing others, NaN where not observed.

        `alone` to find single cells that are wrong. Before the usual errors are known these are the
        errors themselves. In series cells are judged one by one.
        """
        if self.model.is_series:
            return row_means(strangeness(self.model, windows, self.device).cells, windows)
        n_cells = windows.rows.shape[1] * windows.values.shape[1]
        shares = CELL_SHARES if alone else ROW_SHARES
        sets = hidden_sets(n_cells, self.calibration.n_masks, shares)
        found = surprises(
            self.model,
            windows,
            memory_index,
            sets,
            self.device,
            scale=self.calibration.usual_errors,
            clipped=alone,
        )
        return row_means(found, windows)

    def distances(self, windows: Windows, memory_index: np.ndarray) -> np.ndarray:
        """Return (n,) distances of rows to the nearest remembered windows that are trusted."""
        known, n_nearest = self.calibration, 1
        if known.robust_location is not None:
            n_nearest = max(MIN_NEIGHBOURS, round(NEIGHBOURS * int(known.trusted.sum())))
        near = (n_nearest, known.trusted, self.device, known.usual_gap)
        return row_means(
            distances(self.model, self.reference, windows, memory_index, *near), windows
        )

    def _robust_distances(
        self, windows: Windows, location: np.ndarray, precision: np.ndarray
    ) -> np.ndarray:
        values, observed = windows.values.numpy(), windows.observed.numpy()
        n_levels = np.array(self.model.config.n_levels)
        far = robust_distances(one_hot(values, observed, n_levels.tolist()), location, precision)
        unknown = observed & (n_levels > 0) & (values >= n_levels)
        far += unknown_distances(unknown, self.levels.unknown_share, precision)
        return np.where(observed.any(1), far, np.nan)


def row_means(parts: np.ndarray, windows: Windows) -> np.ndarray:
    """Return (n, ...) the mean, for each physical row, over the windows that hold it.

    NaN for a row in no window. Steps without a row count nowhere.

    Parameters
    ----------
    parts : (W, T, ...)
    """
    rows = windows.rows.numpy()
    total = np.zeros((len(windows.values), *parts.shape[2:]))
    np.add.at(total, rows[rows >= 0], parts[rows >= 0])
    count = np.bincount(rows[rows >= 0], minlength=len(total)).astype(float)
    count[count == 0] = np.nan
    return total / count.reshape(-1, *[1] * (parts.ndim - 2))


def mean_of_largest(cells: np.ndarray, share: float) -> np.ndarray:
    """Return (n,) means of the largest `share` of the cells of each row, of one at least.

    NaN stands for no cell, and for the mean where there is none at all.
    """
    n_seen = (~np.isnan(cells)).sum(1)
    ordered = -np.sort(-np.nan_to_num(cells, nan=-1.0), axis=1)
    count = np.maximum(1, np.floor(share * n_seen)).astype(int)
    total = np.cumsum(np.maximum(ordered, 0.0), axis=1)
    means = np.take_along_axis(total, count[:, None] - 1, axis=1)[:, 0] / count
    return np.where(n_seen > 0, means, np.nan)


def tail_surprisal(cells: np.ndarray, quantiles: np.ndarray) -> np.ndarray:
    """Return (n, F) -log10 of the share of each column above a cell, by its quantiles (F, Q).

    Cells that surprise as much count as above; the last `TAIL` of a column is taken for
    exponential.
    """
    last = quantiles.shape[1] - 1
    tail = round((1 - TAIL) * last)
    shares = np.linspace(0, 1, last + 1)[: tail + 1]
    out = np.full(cells.shape, np.nan)
    for j, known in enumerate(quantiles):
        start = known[tail]
        reach = max(float((known[tail:] - start).mean()), MIN_REACH)
        column = cells[:, j]
        below = np.interp(column, known[: tail + 1], shares)
        tied = np.searchsorted(known[:tail], column - EQUAL)  # the first that is no smaller
        below = np.where(known[tied] <= column + EQUAL, np.minimum(shares[tied], below), below)
        beyond = np.maximum(column - start, 0) / reach / np.log(10)
        out[:, j] = beyond - np.log10(1 - below)
    return out
