"""MAEAnomalyDetector: how strange rows and cells are, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import OutlierMixin
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import check_is_fitted

from maetab.base import BaseMAE, Table
from maetab.data.containers import as_table, read_frame
from maetab.data.schema import Schema
from maetab.engine.embedding import remembered
from maetab.engine.robust import (
    one_hot,
    robust_distances,
    robust_gaussian,
    unknown_distances,
)
from maetab.engine.runtime import pick_device
from maetab.engine.score import (
    CELL_SHARES,
    ROW_SHARES,
    column_means,
    conformal,
    distances,
    hidden_sets,
    mean_of_largest,
    middle,
    rarities,
    remembered_places,
    rows_in_time,
    surprises,
    unseen_cost,
    unseen_levels,
)
from maetab.explanation import explained
from maetab.parameters import ATTRIBUTES, PARAMETERS, check_contamination, check_count
from maetab.trimming import CROWD, kept_rows, with_levels_of

MAX_CALIBRATION = 4096  # training rows that scores are compared with
AUTO_ALARMS = 0.05  # what contamination="auto" is
LAST_STEP = 0.7  # share of the time after which the robust distance is refined no more
N_QUANTILES = 201  # quantiles of each column's surprises that are kept
FLOOR_OF_PARTS = 0.01  # of the usual size of a part of the score, added before its logarithm
SHARE_OF_CELLS = 0.25  # of a row's cells, the most surprising, that its score is made of
WEIGHTS = (1.0, 3.0, 1.0)  # of the parts of a score, in the order of `_parts`
FLOOR = 1e-3  # smallest usual error of a column


@dataclass(kw_only=True, eq=False, repr=False)
class MAEAnomalyDetector(OutlierMixin, BaseMAE):
    __doc__ = f"""Tell strange rows from normal ones, and the cells that make them so.

    A masked autoencoder guesses the cells of a row from each other, hidden in many different sets.
    A row is strange when its cells are not what the others suggest, or when no remembered row
    is near it; the score joins both. Numbers and categories mix, and cells may be missing.

    Parameters
    ----------
    contamination : "auto" or in (0, 0.5]
        Share of the training rows that `predict` is to call outliers; "auto" is 0.05.
    trim : in [0, 0.5]
        Share of the training rows, the strangest at a robust first look, that is not learned from.
        0 trusts every row (novelty detection); 0.2 suits rows among which there are outliers.
        `contamination` and `p_values` refer to all training rows, those trimmed as well.
    n_masks : at least 1
        Sets of columns that are hidden, one after the other, to score a row.
    {PARAMETERS}

    Attributes
    ----------
    offset_ : threshold of `score_samples`; set it, or call `set_threshold`, to move the threshold
    scores_ : scores of training rows, trimmed or not, ascending; no row takes part in its own
    level_counts_ : for each column, how many training rows, trimmed or not, have each level of
        `schema_`; () for numbers
    unseen_cost_ : (F,) what a level that at most one training row has takes off the score
    usual_errors_ : (F,) mean errors of guesses at hidden cells
    part_center_, part_scale_, part_floor_ : mean, spread and floor of the parts of the score
    n_masks_ : sets of columns that are hidden, as in fit
    usual_gap_ : median difference, per coordinate, of training rows to the row nearest to them
    trusted_ : (n_memory,) True for remembered rows that count as normal
    robust_location_, robust_precision_ : of the densest half of the rows; None if `trim` is 0
    cell_quantiles_ : (F, 201) quantiles of the surprises of each column
    {ATTRIBUTES}

    Notes
    -----
    A row that equals a remembered training row is taken for that row and does not see itself, so
    training rows get the scores that they would get had they been left out.

    Examples
    --------
    >>> import numpy as np
    >>> normal = np.random.default_rng(0).normal(size=(200, 1)) * [1, 2]
    >>> detector = MAEAnomalyDetector(max_iter=0, random_state=0).fit(normal)
    >>> detector.predict([[1.0, 2.0], [1.0, -2.0]]).tolist()
    [1, -1]
    >>> detector.explain([[1.0, 2.0], [1.0, -2.0]], top=1)["row"].tolist()
    [1]
    """

    contamination: str | float = "auto"
    trim: float = 0.0
    n_masks: int = 12
    max_iter: int | None = 0

    _share_of_model = 0.5

    @classmethod
    def from_fitted(cls, other: BaseMAE, **parameters: Any) -> Self:
        """Return a detector around the model that `other` has fitted; see `BaseMAE.from_fitted`.

        Scores are calibrated on the training rows that the model remembers. Those of a detector
        with the same `trim` and `n_masks` are taken over.

        Raises
        ------
        ValueError
            `other` is a detector that trimmed rows, which its model therefore does not remember,
            and `trim` or `n_masks` differ from its own.
        """
        new = super().from_fitted(other, **parameters)
        detects = isinstance(other, MAEAnomalyDetector)
        if detects and (new.trim, new.n_masks) == (other.trim, other.n_masks_):
            for name in vars(other):
                if not hasattr(new, name):
                    setattr(new, name, getattr(other, name))
            return new.set_threshold(new.contamination) if "contamination" in parameters else new
        if detects and other.robust_location_ is not None:
            raise ValueError(
                f"MAEAnomalyDetector.from_fitted cannot change trim={other.trim!r} or "
                f"n_masks={other.n_masks_!r} of a detector that trimmed rows; fit again."
            )
        values, observed = (cells[:, 0] for cells in remembered_rows(new.model_))
        kept = kept_rows(values, observed, new.model_.config.n_levels, new.trim)
        new.level_counts_ = [list(column.counts) for column in new.schema_.columns]
        new._calibrate(values, observed, kept, trusted=kept)
        return new

    def score_samples(self, X: Any) -> np.ndarray:
        """Return (n,) float64, higher where a row is more normal; training rows have mean 0."""
        table = self._read(X)
        return self._scores(table.values, table.observed)

    def decision_function(self, X: Any) -> np.ndarray:
        """Return (n,) `score_samples` less the threshold: negative for outliers."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray:
        """Return (n,) 1 for normal rows, -1 for outliers."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def p_values(self, X: Any) -> np.ndarray:
        """Return (n,) in (0, 1]: the share of the training rows that are at least as strange.

        Conformal (Vovk et al. 2005): among rows like those given to fit, whether they were trimmed
        or not, at most a share p has a p-value of p or less. The smallest is one by the number of
        `scores_` and one more. Rows with a p-value up to `contamination` are outliers. Below some
        200 rows p-values come out too small, because the model has seen the rows that it is
        calibrated on.
        """
        return conformal(self.score_samples(X), self.scores_)

    def set_threshold(self, contamination: str | float = "auto") -> Self:
        """Move `offset_` as if fitted with another `contamination`; nothing is fitted again."""
        check_is_fitted(self, "scores_")
        check_contamination(contamination)
        share = AUTO_ALARMS if isinstance(contamination, str) else float(contamination)
        self.offset_ = float(np.percentile(self.scores_, 100 * share))
        return self

    def score_cells(self, X: Any) -> pd.DataFrame:
        """Return a frame, rows x columns, of how strange each cell is; missing where it is.

        Each cell is guessed from others of its row, clipped to the range of their columns in fit,
        so that one wild cell does not make the others look strange. The unit is -log10 of the
        share of normal rows whose cell in that column surprises at least as much: 1 is one in ten,
        3 one in a thousand, for numbers and categories alike. Beyond a column's last twentieth the
        shares are those of an exponential tail, and no longer counted.
        """
        table = self._read(X)
        strange = self._cell_surprises(table.values, table.observed)
        return pd.DataFrame(strange, table.frame.index, table.frame.columns)

    def explain(self, X: Any, top: int = 5, n_columns: int = 3) -> pd.DataFrame:
        """Return what makes the strangest rows strange, the strangest first.

        Parameters
        ----------
        top, n_columns : how many rows, and how many columns of each

        Returns
        -------
        reasons : frame with the columns
            row (label), position (in X, from 0), score, column, value (seen), expected (from cells
            less strange, within the interval), low and high (of the interval that holds 90 % of
            such cells; missing for categories), surprise (as in `score_cells`), and reason: a
            level never seen, seen once or of trimmed rows only, outside the observed range (with
            `trim`, that of the other rows), or unexpected given the others

        Cells that are as expected (numbers within the interval), or surprise less than one in ten,
        are no reasons: a row may have fewer than `n_columns`. A row without any has its most
        surprising cell, with the reason that nothing stands out; one without observed cells has
        nothing. Numbers are rounded to what the spread of their column lets tell apart.
        """
        check_count("top", top)
        check_count("n_columns", n_columns)
        table = self._read(X)
        scores = self._scores(table.values, table.observed)
        rows = np.argsort(scores, kind="stable")[:top]
        frame = table.frame.iloc[rows]
        picked = Table(frame, table.back, table.values[rows], table.observed[rows])
        strange = self._cell_surprises(picked.values, picked.observed)
        trimmed = self.robust_location_ is not None
        known = (self.schema_, self._level_counts(), trimmed)
        reasons = explained(self.model_, *known, picked, strange, n_columns, self.device)
        place = reasons.pop("place").to_numpy()
        reasons.insert(0, "row", list(frame.index[place]))
        reasons.insert(1, "position", rows[place])
        reasons.insert(2, "score", scores[rows[place]].round(3))
        return reasons

    # ---- scores

    def _scores(self, values: np.ndarray, observed: np.ndarray) -> np.ndarray:
        return self._scored(self._parts(values, observed), values, observed)

    def _scored(self, parts: np.ndarray, values: np.ndarray, observed: np.ndarray) -> np.ndarray:
        cost = getattr(self, "unseen_cost_", None)
        unseen = self._unseen(values, observed)
        if cost is None:  # in models of maetab 0.1.0
            n_observed = np.array([column.n_observed for column in self.schema_.columns])
            number = self.schema_.is_number()
            cost = unseen_cost(self.scores_, np.zeros(len(number)), n_observed, ~number)
        return self._joined(parts) - unseen @ cost

    def _level_counts(self) -> list[list[int]]:
        """Return how many training rows have each level, () for numbers."""
        counts = getattr(self, "level_counts_", None)
        if counts is None:  # maetab 0.1.0 scored training rows as if each level were known
            return [[2 * (count > 0) for count in column.counts] for column in self.schema_.columns]
        return counts

    def _unseen(self, values: np.ndarray, observed: np.ndarray) -> np.ndarray:
        return unseen_levels(values, observed, self._level_counts(), ~self.schema_.is_number())

    def _joined(self, parts: np.ndarray) -> np.ndarray:
        """Return (n,) how much more normal than usual, in standard deviations; NaN is usual."""
        weights = np.array(WEIGHTS[: parts.shape[1]])
        usual = (np.log(parts + self.part_floor_) - self.part_center_) / self.part_scale_
        return -(np.nan_to_num(usual) * weights).sum(1) / weights.sum()

    def _parts(self, values: np.ndarray, observed: np.ndarray) -> np.ndarray:
        """Return (n, 2 or 3) what makes rows strange.

        The cells that surprise most given others, the distance to remembered rows, and, if rows
        are trimmed, a robust distance.
        """
        model, places = self.model_, remembered_places(self.model_, values, observed)
        cells = self._surprises(values, observed, places, alone=False)
        near = (self._n_nearest(), self.trusted_, pick_device(self.device), self.usual_gap_)
        parts = [
            mean_of_largest(cells, SHARE_OF_CELLS),
            distances(model, values, observed, places, *near),
        ]
        if self.robust_location_ is not None and self.robust_precision_ is not None:
            spread = one_hot(values, observed, model.config.n_levels)
            far = robust_distances(spread, self.robust_location_, self.robust_precision_)
            far += self._unknown_distances(values, observed, self.robust_precision_)
            parts.append(np.where(observed.any(1), far, np.nan))
        return np.column_stack(parts)

    def _unknown_distances(
        self, values: np.ndarray, observed: np.ndarray, precision: np.ndarray
    ) -> np.ndarray:
        columns, n_levels = self.schema_.columns, np.array(self.schema_.n_modelled())
        told = [sum(column.counts[:n]) for column, n in zip(columns, n_levels, strict=True)]
        share = 1 - np.array(told) / [max(1, column.n_observed) for column in columns]
        unknown = observed & (n_levels > 0) & (values >= n_levels)
        return unknown_distances(unknown, share, precision)

    def _surprises(
        self,
        values: np.ndarray,
        observed: np.ndarray,
        places: np.ndarray,
        alone: bool,
    ) -> np.ndarray:
        """Return (n, F) surprises of cells given changing others; `alone` to find single ones."""
        shares = CELL_SHARES if alone else ROW_SHARES
        sets = hidden_sets(values.shape[1], self.n_masks_, shares)
        device = pick_device(self.device)
        cells = (self.model_, values, observed, places, sets, device, self.usual_errors_)
        return surprises(*cells, bounded=alone)

    def _n_nearest(self) -> int:
        if self.robust_location_ is None:
            return 1
        return max(10, round(CROWD * int(self.trusted_.sum())))

    def _cell_surprises(self, values: np.ndarray, observed: np.ndarray) -> np.ndarray:
        """Return (n, F) -log10 of the shares of cells, by column, that surprise as much."""
        places = remembered_places(self.model_, values, observed)
        cells = self._surprises(values, observed, places, alone=True)
        return rarities(cells, self.cell_quantiles_)

    # ---- fitting

    def _fit_model(self, X: Any) -> Table:
        if not self.trim:
            table = super()._fit_model(X)
            kept = np.ones(len(table.values), bool)
            self.level_counts_ = [list(column.counts) for column in self.schema_.columns]
        else:
            kept, whole = self._first_look(X)
            rows = as_table(X) if hasattr(X, "__getitem__") else np.asarray(X)
            super()._fit_model(_safe_indexing(rows, np.flatnonzero(kept)))
            self.schema_, self.level_counts_ = with_levels_of(self.schema_, whole)
            table = self._read(X)
        self._tell("calibration of the scores")
        given = (table.values[:MAX_CALIBRATION], table.observed[:MAX_CALIBRATION], self.n_masks)
        n = rows_in_time(self.model_, *given, pick_device(self.device), self._deadline)
        some = slice(None, None, -(-len(kept) // n))
        self._calibrate(table.values[some], table.observed[some], kept[some])
        return table

    def _first_look(self, X: Any) -> tuple[np.ndarray, Schema]:
        """Return (n,) bool, True for the rows to learn from, and the schema of all rows."""
        frame, _ = read_frame(X)
        self._check_size(frame)
        schema, values, observed = self._encoded(frame)
        kept = kept_rows(values, observed, schema.n_modelled(), self.trim, self._deadline)
        return kept, schema

    def _calibrate(
        self,
        values: np.ndarray,
        observed: np.ndarray,
        kept: np.ndarray,
        trusted: np.ndarray | None = None,
    ) -> None:
        """Learn from training rows, none of which sees itself, what scores are usual.

        Parameters
        ----------
        kept : (n,) bool, True where a row was learned from
        trusted : bool, of each row that is remembered, True where it is normal; None for all
        """
        self._check_cells(observed[kept])
        seen: np.ndarray = self.model_.prior.memory.visible.cpu().numpy() > 0
        self.trusted_ = np.logical_or.reduce(seen, axis=1)
        if trusted is not None and self.trusted_.any():
            self.trusted_[self.trusted_] = trusted
        self.robust_location_ = self.robust_precision_ = None
        if self.trim:
            spread = one_hot(values[kept], observed[kept], self.model_.config.n_levels)
            robust = robust_gaussian(spread, lambda: self._deadline.used() > LAST_STEP)
            self.robust_location_, self.robust_precision_ = robust
        places = remembered_places(self.model_, values, observed)
        device = pick_device(self.device)
        cells = (values[kept], observed[kept], places[kept])
        self.n_masks_ = self.n_masks
        sets = hidden_sets(values.shape[1], self.n_masks_)
        errors = surprises(self.model_, *cells, sets, device)
        self.usual_errors_ = np.maximum(column_means(errors), FLOOR)
        k = self._n_nearest()
        near = distances(self.model_, *cells, k, self.trusted_, device)
        self.usual_gap_ = middle(near) / self.model_.prior.memory.values.shape[1]
        parts = self._parts(values, observed)
        self.part_floor_ = FLOOR_OF_PARTS * np.array([middle(part) for part in parts[kept].T])
        logs = np.log(parts[kept] + self.part_floor_)
        self.part_center_ = np.nanmean(logs, 0)
        self.part_scale_ = np.maximum(np.nanstd(logs, 0), FLOOR)
        n_unseen = self._unseen(values, observed).sum(0)
        shown = (n_unseen, observed.sum(0), ~self.schema_.is_number())
        self.unseen_cost_ = unseen_cost(self._joined(parts), *shown)
        scores = self._scored(parts, values, observed)
        self.scores_ = np.sort(scores)
        shares = np.linspace(0, 1, N_QUANTILES)
        found = self._surprises(*cells, alone=True)
        self.cell_quantiles_ = np.zeros((found.shape[1], N_QUANTILES))
        for j, column in enumerate(found.T):
            seen = column[~np.isnan(column)]
            if len(seen):
                self.cell_quantiles_[j] = np.quantile(seen, shares)
        self.n_iter_ = 1 + self._n_epochs()
        self.set_threshold(self.contamination)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_contamination(self.contamination)
        self._check_number("trim", 0, 0.5, "in [0, 0.5]")
        self._check_number("n_masks", 1, np.inf, "an int of at least 1", whole=True)
