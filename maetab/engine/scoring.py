"""What rows of tables and of series are scored by: evidence, and how it becomes one score."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch

from maetab.engine.reference import Reference
from maetab.engine.row_sums import row_sums
from maetab.nn.ensemble import Ensemble
from maetab.nn.windows import Windows

TAIL = 0.05  # share of a column's surprises beyond which they are taken for exponential
MIN_SPREAD = 1e-3  # smallest usual error of a column and standard deviation of a part of the score
EQUAL = 1e-6  # difference of surprises that are taken for equal
NOT_YET: Any = None  # what is found later in calibration
NO_PART = 1e-6  # usual size of a part that is 0 for every row
MIN_REACH = 1e-2  # least mean of that exponential: many columns have equal surprises in their tail
TAIL_CELLS = 1000  # cells of a column that its own tail and that of all columns count alike with
ROW_REACH = 0.05  # that where single cells make rows strange: a step beyond equal ones is no proof


@dataclass(frozen=True)
class Levels:
    """What is known of the levels of F columns.

    Parameters
    ----------
    is_category : (F,) bool, False for numbers
    counts : for each column, how many training rows have each level, () for numbers
    unknown_share : (F,) share of the training rows whose level is not distinguished by the model
    n_rows : training rows that have a cell of the column of which most are observed
    """

    is_category: np.ndarray
    counts: Sequence[Sequence[int]]
    unknown_share: np.ndarray
    n_rows: int = 0

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
    part_center, part_scale, part_floor : (P,) mean, standard deviation and floor of the logarithms
        of the parts of the score
    unseen_cost : (F,) what a level that at most one training row has takes off the score
    scores : (n,) scores of training rows, ascending
    others_weight : in the surprise of a cell, of what it makes others surprise; 0 in early models
        of maetab 0.1.0
    cell_quantiles : (F, Q) quantiles of the surprises of each column
    row_quantiles : (F, Q) those of the surprises that scores of rows of tables are made of
    rarest_cell : how rare the rarest cell of these rows is among them, as `tail_surprisal`
    most_missing : cells that nearly all of these rows miss at most
    local_reach : (n_memory,) distances of remembered rows to those nearest; None if rows are
        trimmed, of series, and in early models of maetab 0.1.0
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
    others_weight: float = 0.0
    cell_quantiles: np.ndarray = NOT_YET
    row_quantiles: np.ndarray | None = None
    rarest_cell: float = np.inf
    most_missing: float = 0.0
    local_reach: np.ndarray | None = None


class Evidence(NamedTuple):
    """What makes rows strange.

    parts : (n, P) sizes, larger where a row is stranger, NaN for nothing seen
    wild : (n,) what single cells take off the score besides
    cells : (n, F) surprises of cells, of which one may be rarer than any in fit; None of series,
        and where rows were trimmed or are few
    """

    parts: np.ndarray
    wild: np.ndarray | float = 0.0
    cells: np.ndarray | None = None


@dataclass(frozen=True)
class Scorer(ABC):
    """Scores of rows and cells by a fitted model; `RowScorer` of tables, `SeriesScorer` of series.

    Rows come as windows over them. `memory_index` (W, P) says which remembered windows share a row
    with each; where it is None, a window equal to a remembered one is taken for it.
    """

    model: Ensemble
    reference: Reference
    levels: Levels
    calibration: Calibration
    device: torch.device
    reach: ClassVar[int] = 0  # rows before and after a row that its cells are judged by
    always_alone: ClassVar[bool] = False  # whether `alone` changes nothing in `surprises`
    least_part: ClassVar[float] = -np.inf  # standard deviations that a part is more usual, at most

    @property
    @abstractmethod
    def weights(self) -> tuple[float, ...]:
        """Of the parts of a score, (P,) in the order of `Evidence.parts`."""

    @staticmethod
    @abstractmethod
    def try_out(model: Ensemble, windows: Windows, n_masks: int, device: torch.device) -> None:
        """Do once what scores of windows cost most for, to see how long it takes."""

    @abstractmethod
    def evidence(self, windows: Windows, memory_index: np.ndarray | None = None) -> Evidence:
        """Return what makes rows strange, given what is usual of cells."""

    @abstractmethod
    def surprises(
        self, windows: Windows, memory_index: np.ndarray | None = None, alone: bool = False
    ) -> np.ndarray:
        """Return (n, F) surprises of cells given others, NaN where not observed.

        `alone` to find single cells that are wrong.
        """

    @abstractmethod
    def usual_gap(self, windows: Windows, memory_index: np.ndarray, kept: np.ndarray) -> float:
        """Return the median difference, per coordinate, of rows to the remembered nearest.

        kept : (n,) bool, rows that count
        """

    def scores(self, windows: Windows) -> np.ndarray:
        """Return (n,) float64, higher where a row is more normal."""
        return self.joined(self.evidence(windows), windows)

    def joined(self, found: Evidence, windows: Windows) -> np.ndarray:
        """Return (n,) the scores of rows with this evidence, levels that are unseen taken off."""
        unseen = self.levels.unseen(windows.values.numpy(), windows.observed.numpy())
        cost = row_sums(unseen, self.calibration.unseen_cost)
        return self.normality(found.parts) - cost - found.wild - self._beyond(found.cells)

    def _beyond(self, cells: np.ndarray | None) -> np.ndarray | float:
        """Return (n,) by how many powers of ten the rarest cell is rarer than any in fit.

        0 in rows that miss more than those of fit: the fewer cells tell of one, the stranger is it.
        """
        known = self.calibration
        if cells is None or known.row_quantiles is None:
            return 0.0
        told = np.isnan(cells).sum(1) <= known.most_missing
        return told * np.maximum(rarest(cells, known.row_quantiles) - known.rarest_cell, 0)

    def normality(self, parts: np.ndarray) -> np.ndarray:
        """Return (n,) how much more normal than usual, in standard deviations; NaN is usual."""
        known, weights = self.calibration, np.array(self.weights)
        usual = (np.log(parts + known.part_floor) - known.part_center) / known.part_scale
        usual = np.maximum(usual, self.least_part)
        return -(np.nan_to_num(usual) * weights).sum(1) / weights.sum()

    def cell_surprisals(self, windows: Windows) -> np.ndarray:
        """Return (n, F) -log10 of the shares of cells, by column, that surprise as much."""
        return self.surprisal(self.surprises(windows, alone=True))

    def surprisal(self, cells: np.ndarray) -> np.ndarray:
        """Return (n, F) `cell_surprisals` of surprises."""
        return tail_surprisal(cells, self.calibration.cell_quantiles)


def row_means(parts: np.ndarray, windows: Windows, weights: np.ndarray | None = None) -> np.ndarray:
    """Return (n, ...) the mean, for each physical row, over the windows that hold it.

    NaN for a row in no window. Steps without a row count nowhere.

    Parameters
    ----------
    parts : (W, T, ...)
    weights : (T,) of the steps of a window; None for all alike
    """
    rows = windows.rows.numpy()
    inside, total = rows >= 0, np.zeros((len(windows.values), *parts.shape[2:]))
    own = None
    if weights is not None:
        parts = parts * weights.reshape(-1, *[1] * (parts.ndim - 2))
        own = np.broadcast_to(weights, rows.shape)[inside]
    np.add.at(total, rows[inside], parts[inside])
    count = np.bincount(rows[inside], own, minlength=len(total)).astype(float)
    count[count == 0] = np.nan
    return total / count.reshape(-1, *[1] * (parts.ndim - 2))


def tail_surprisal(
    cells: np.ndarray,
    quantiles: np.ndarray,
    from_median: bool = False,
    least: float = MIN_REACH,
) -> np.ndarray:
    """Return (n, F) -log10 of the share of each column above a cell, by its quantiles (F, Q).

    Cells that surprise as much count as above; the last `TAIL` of a column is taken for
    exponential, with the mean of what lies there.

    from_median : the mean is that of an exponential with the same median, which wild cells among
        those that were learned from do not move
    least : of that mean
    """
    last = quantiles.shape[1] - 1
    tail = round((1 - TAIL) * last)
    shares = np.linspace(0, 1, last + 1)[: tail + 1]
    out = np.full(cells.shape, np.nan)
    for j, known in enumerate(quantiles):
        start = known[tail]
        beyond = known[tail:] - start
        mean = np.median(beyond) / np.log(2) if from_median else beyond.mean()
        reach = max(float(mean), least)
        column = cells[:, j]
        below = np.interp(column, known[: tail + 1], shares)
        tied = np.searchsorted(known[:tail], column - EQUAL)  # the first that is no smaller
        below = np.where(known[tied] <= column + EQUAL, np.minimum(shares[tied], below), below)
        far = np.maximum(column - start, 0) / reach / np.log(10)
        out[:, j] = far - np.log10(1 - below)
    return out


def shared_tails(quantiles: np.ndarray, counts: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return (F, Q) quantiles whose tails are as long as those of the other columns of a group.

    The fewer cells a column had, the more so: its last twentieth holds few of few.

    Parameters
    ----------
    counts : (F,) cells that each column's quantiles are of
    groups : (F,) columns of one group say the same
    """
    tail = round((1 - TAIL) * (quantiles.shape[1] - 1))
    start = quantiles[:, tail : tail + 1]
    beyond = quantiles[:, tail:] - start
    out, own = quantiles.copy(), beyond.mean(1)
    for group in np.unique(groups):
        among = (groups == group) & (own > EQUAL)
        if among.any():
            own_share = counts[among] / (counts[among] + TAIL_CELLS)
            times = own_share + (1 - own_share) * own[among].mean() / own[among]
            out[among, tail:] = start[among] + beyond[among] * times[:, None]
    return out


def rarest(cells: np.ndarray, quantiles: np.ndarray) -> np.ndarray:
    """Return (n,) how rare the rarest of the cells (n, F) is, as `tail_surprisal`; 0 of none."""
    return np.nan_to_num(tail_surprisal(cells, quantiles, least=ROW_REACH)).max(1, initial=0)


def positive_median(part: np.ndarray) -> float:
    """Return the median of what is positive, a tiny number if nothing is."""
    positive = part[part > 0]
    return float(np.median(positive)) if len(positive) else NO_PART
