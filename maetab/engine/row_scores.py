"""Scores of rows that are independent of each other: surprises of cells, and distances of rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from maetab.engine.distances import distances, key_distances
from maetab.engine.reference import equal_memory_index, memory_windows
from maetab.engine.robust import one_hot, robust_distances, unknown_distances
from maetab.engine.scoring import MIN_SPREAD, Evidence, Scorer, positive_median, row_means
from maetab.engine.surprises import CELL_SHARES, ROW_SHARES, hidden_sets, surprises
from maetab.nn.ensemble import Ensemble
from maetab.nn.windows import Windows

SHARE_OF_CELLS = 0.25  # of a row's cells, the most surprising, that its score is made of
NEIGHBOURS = 0.05  # share of the trusted remembered windows that a trimming detector compares with
MIN_NEIGHBOURS = 10  # of them at least
KEY_NEIGHBOURS = 5  # that are nearest by learned keys
LOCAL_NEIGHBOURS = 5  # with whose own neighbours a row's are compared
LEAST_ROWS = 100  # of fewer, single cells and densities gave too many false alarms
COPIES = 0.1  # share of the rows with as many copies, above which nothing is compared
# Of the parts of a score. `python -m benchmarks.detect_weights` chooses them on all sets of
# anomalies but one, for each, and is a tenth of a point (mean of AUROC and average precision) above
# these with 2 for "nearest" and "local"; "local" brings .9, "keys" .1.
WEIGHTS = {"cells": 1.0, "nearest": 3.0, "keys": 1.0, "local": 1.0, "robust": 1.0}


class RowScorer(Scorer):
    """Scores of the rows of a table.

    A row is strange by the cells that surprise most given others, by its distances to remembered
    rows, by cells and by learned keys if there are any, and, if rows are trimmed, by a robust
    distance, else by how sparse it lies beside its neighbours, and by a cell that is rarer than any
    in fit. What is most usual in one way makes up for nothing in others.
    """

    least_part = -2.0

    @property
    def weights(self) -> tuple[float, ...]:
        """See `Scorer`."""
        return tuple(WEIGHTS[name] for name in self._parts())

    def _trims(self) -> bool:
        return self.calibration.robust_location is not None

    def _has_enough(self) -> bool:
        """Return whether rows tell how dense others lie, and how rare cells are in usual ones."""
        return not self._trims() and int(self.calibration.trusted.sum()) >= LEAST_ROWS

    def _parts(self) -> list[str]:
        """Return which parts a score has."""
        known = self.calibration
        has = {
            "keys": self.model.guess.memory.keys,
            "local": known.local_reach,
            "robust": known.robust_location,
        }
        return [name for name in WEIGHTS if has.get(name, True) is not None]

    @staticmethod
    def try_out(model: Ensemble, windows: Windows, n_masks: int, device: torch.device) -> None:
        """See `Scorer`."""
        sets = hidden_sets(windows.rows.shape[1] * windows.values.shape[1], n_masks)
        surprises(model, windows, np.full((len(windows), 1), -1), sets, device)

    def evidence(self, windows: Windows, memory_index: np.ndarray | None = None) -> Evidence:
        """See `Scorer`; (n, 2 to 4) parts."""
        if memory_index is None:
            memory_index = equal_memory_index(self.model, self.reference, windows)
        cells = self.surprises(windows, memory_index)
        take: dict[str, Callable[[], np.ndarray]] = {
            "cells": lambda: mean_of_largest(cells, SHARE_OF_CELLS),
            "nearest": lambda: self.distances(windows, memory_index),
            "keys": lambda: self._key_distances(windows, memory_index),
            "robust": lambda: self._robust_distances(windows),
        }
        names = self._parts()
        if "local" in names:  # of one comparison with the remembered rows
            nearest, local = self._nearest_and_local(windows, memory_index)
            take |= {"nearest": lambda: nearest, "local": lambda: local}
        parts = np.column_stack([take[name]() for name in names])
        return Evidence(parts, cells=cells if self._has_enough() else None)

    def surprises(
        self, windows: Windows, memory_index: np.ndarray | None = None, alone: bool = False
    ) -> np.ndarray:
        """See `Scorer`. Before the usual errors are known these are the errors themselves."""
        if memory_index is None:
            memory_index = equal_memory_index(self.model, self.reference, windows)
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
            others_weight=self._others_weight() if alone else None,
        )
        return row_means(found, windows)

    def _others_weight(self) -> np.ndarray | None:
        """Return (F,) what others say of the cells of a column; a constant one misleads nobody."""
        known = self.calibration
        return (
            known.others_weight * (known.usual_errors > MIN_SPREAD) if known.others_weight else None
        )

    def usual_gap(self, windows: Windows, memory_index: np.ndarray, kept: np.ndarray) -> float:
        """See `Scorer`."""
        gap = positive_median(self.distances(windows, memory_index)[kept])
        return gap / self.model.guess.coordinates.step_size

    def distances(self, windows: Windows, memory_index: np.ndarray) -> np.ndarray:
        """Return (n,) distances of rows to the nearest remembered windows that are trusted."""
        known, n_nearest = self.calibration, 1
        if self._trims():
            n_nearest = max(MIN_NEIGHBOURS, round(NEIGHBOURS * int(known.trusted.sum())))
        near = (n_nearest, known.trusted, self.device, known.usual_gap)
        found = distances(self.model, self.reference, windows, memory_index, *near)
        return row_means(found.mean, windows)

    def local_reach(self) -> np.ndarray | None:
        """Return (n_memory,) distances of remembered rows to those nearest.

        None where rows were trimmed or are few, where most columns are categories, of which those
        that are rare lie sparse together, and where rows are copies of others.
        """
        if not self._has_enough() or self.levels.is_category.mean() > 0.5:
            return None
        windows, known = memory_windows(self.model), self.calibration
        own = self.model.guess.memory.overlapping(torch.arange(len(windows))).numpy()
        near = (LOCAL_NEIGHBOURS, known.trusted, self.device, known.usual_gap)
        found = distances(self.model, self.reference, windows, own, *near).mean.mean(1)
        return None if (found[known.trusted] == 0).mean() > COPIES else found

    def _nearest_and_local(
        self, windows: Windows, memory_index: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return (n,) what `distances` does, and distances to several of the nearest rows by those
        of these to their own nearest.
        """
        known = self.calibration
        near = (LOCAL_NEIGHBOURS, known.trusted, self.device, known.usual_gap, known.local_reach)
        found = distances(self.model, self.reference, windows, memory_index, *near)
        assert found.local is not None
        return row_means(found.nearest, windows), row_means(found.local, windows)

    def _key_distances(self, windows: Windows, memory_index: np.ndarray) -> np.ndarray:
        """Return (n,) squared distances of keys to the nearest trusted ones."""
        known = KEY_NEIGHBOURS, self.calibration.trusted, self.device
        far = key_distances(self.model, self.reference, windows, memory_index, *known)
        return row_means(far[:, None].repeat(windows.rows.shape[1], 1), windows)

    def _robust_distances(self, windows: Windows) -> np.ndarray:
        location, precision = self.calibration.robust_location, self.calibration.robust_precision
        assert location is not None and precision is not None
        values, observed = windows.values.numpy(), windows.observed.numpy()
        n_levels = np.array(self.model.config.n_levels)
        far = robust_distances(one_hot(values, observed, n_levels.tolist()), location, precision)
        unknown = observed & (n_levels > 0) & (values >= n_levels)
        far += unknown_distances(unknown, self.levels.unknown_share, precision)
        return np.where(observed.any(1), far, np.nan)


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
