"""MAEAnomalyDetector: how strange rows and cells are, and why."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Self, TypeVar

import numpy as np
import pandas as pd
from sklearn.base import OutlierMixin
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import check_is_fitted

from maetab.base import BaseMAE
from maetab.data.containers import as_table, read_frame
from maetab.data.schema import Schema
from maetab.engine.reference import Reference, make_reference, remembered, remembered_series
from maetab.engine.robust import kept_rows
from maetab.engine.runtime import pick_device
from maetab.engine.score_calibration import (
    affordable_rows,
    calibrated,
    make_scorer,
    start_calibration,
    unseen_cost,
)
from maetab.engine.scoring import Calibration, Levels, Scorer
from maetab.explanation import explained
from maetab.nn.windows import Windows
from maetab.parameters import ATTRIBUTES, PARAMETERS, check_contamination, check_count, check_size
from maetab.series import modelled, some
from maetab.streams import joined
from maetab.table import Table
from maetab.training_scores import TrainingScores
from maetab.trimming import levels_of, with_levels_of

LAST_STEP = 0.7  # share of the time after which the robust distance is refined no more
Fitted = TypeVar("Fitted", Reference, Calibration)


@dataclass(kw_only=True, eq=False, repr=False)
class MAEAnomalyDetector(TrainingScores, OutlierMixin, BaseMAE):
    __doc__ = f"""Tell strange rows from normal ones, and the cells that make them so.

    A masked autoencoder guesses the cells of a row from each other, hidden in many different sets.
    A row is strange when its cells are not what the others suggest, one of them most of all, or
    when no remembered row is near it, by its cells, by how near these are to each other, or by the
    keys that row attention has learned. Numbers and categories mix; cells may be missing.

    Parameters
    ----------
    contamination : "auto" or float, in (0, 0.5]
        Share of the training rows that `predict` is to call outliers; "auto" is 0.05.
    trim : float, in [0, 0.5]
        Share of the training rows, the strangest at a robust first look, that is not learned from.
        0 trusts every row (novelty detection); 0.2 suits rows among which there are outliers.
        `contamination` and `p_values` refer to all training rows, those trimmed as well.
    n_masks : int, at least 1
        Sets of columns that are hidden, one after the other, to score a row; series, with `window`,
        have their cells judged one by one.
    n_calibration : None or at least 2
        Training rows, or about so many windows of series, spread evenly, that fit scores to compare
        others with; the smallest p-value is about one by their rows. None takes all, of which fit
        then takes longer.
    {PARAMETERS}

    Attributes
    ----------
    offset_ : threshold of `score_samples`; set it, or call `set_threshold`, to move the threshold
    scores_ : scores of training rows, trimmed or not, ascending; no row takes part in its own
    row_scores_ : (n,) the same in the order of the rows; None where fit did not look at each, as of
        more rows or windows than `n_calibration`, with max_time, or of those that are read in parts
    level_counts_ : for each column, how many training rows, trimmed or not, have each level of
        `schema_`; () for numbers
    unseen_cost_ : (F,) what a level that at most one training row has takes off the score
    usual_errors_ : (F,) mean errors of guesses at hidden cells
    part_center_, part_scale_, part_floor_ : mean, spread and floor of the parts of the score
    n_masks_, others_weight_ : sets of columns that are hidden; weight of what cells make others do
    usual_gap_ : median difference, per coordinate, of training rows to the row nearest to them
    robust_location_, robust_precision_ : of the densest half of the rows; None if `trim` is 0
    cell_quantiles_, row_quantiles_ : (F, 201) quantiles of surprises, for cells and rows of tables
    rarest_cell_, most_missing_ : the rarest of these; cells that nearly every row misses at most
    local_reach_, trusted_ : (n_memory,) gaps between remembered rows, and which count as normal
    completed_rows_, completed_std_ : (n_memory, C), (n_memory, 1) the remembered rows as numbers
        and indicators of levels, what they miss as it is expected, and how uncertain that is
    memory_keys_, memory_places_ : hashes of the remembered rows, ascending, and where each is
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
    >>> detector.explain([[1.0, 2.0], [1.0, -2.0]], top=1)["row"].unique().tolist()
    [1]
    """

    contamination: str | float = "auto"
    trim: float = 0.0
    n_masks: int = 12
    n_calibration: int | None = 4096
    max_iter: int | None = 0

    _share_of_model = 0.5
    _fit_only = ("n_calibration",)

    @classmethod
    def from_fitted(cls, other: BaseMAE, **parameters: Any) -> Self:
        """Return a detector around the model of a fitted `other`; see `MAEEncoder.from_fitted`.

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
                if name.endswith("_") and not hasattr(new, name):
                    setattr(new, name, getattr(other, name))
            return new.set_threshold(new.contamination) if "contamination" in parameters else new
        if detects and other.robust_location_ is not None:
            raise ValueError(
                f"MAEAnomalyDetector.from_fitted cannot change trim={other.trim!r} or "
                f"n_masks={other.n_masks_!r} of a detector that trimmed rows; fit again."
            )
        new.level_counts_ = [list(column.counts) for column in new.schema_.columns]
        windows, whole = remembered(new.model_), None
        if new.model_.is_series:
            windows, whole = remembered_series(new.model_)
        cells = windows.values.numpy(), windows.observed.numpy()
        kept = kept_rows(*cells, new.model_.config.n_levels, new.trim)
        rows = windows.rows.numpy()
        inside = rows >= 0
        trusted = (kept[rows] & inside).sum(1) > 0.5 * inside.sum(1)
        new._calibrate(windows, kept, whole, trusted=trusted)
        return new

    def score_samples(self, X: Any) -> np.ndarray:
        """Return (n,) float64, higher where a row is more normal; usual rows have about 0.

        Parameters
        ----------
        X : (n, F) table with the columns of fit, or what is read in parts
        """
        found = joined(self, X, self.score_samples)
        if found is not None:
            return found
        table = self._read(X)
        return self._at_rows(table, self._scorer().scores(self._windows(table)))

    def score_cells(self, X: Any) -> pd.DataFrame:
        """Return a frame, rows x columns, of how strange each cell is; missing where it is.

        Each cell is guessed from others of its row, clipped to the range of their columns in fit,
        so that a wild one does not spoil all guesses; it is stranger if they are better without it.
        With `window` numbers are not clipped, and may look strange beside a wild one, which
        `explain` tells first. The unit is -log10 of the share of normal rows whose cell in that
        column surprises at least as much: 1 is one in ten, 3 one in a thousand; of a column's last
        twentieth by an exponential tail, of few rows that of all.

        Parameters
        ----------
        X : (n, F) table with the columns of fit
        """
        table = self._read(X)
        found = self._scorer().cell_surprisals(self._windows(table))
        surprisal = self._back(table, found, np.nan)
        return pd.DataFrame(surprisal, table.frame.index, table.frame.columns)

    def explain(self, X: Any, top: int = 5, n_columns: int = 3) -> pd.DataFrame:
        """Return what makes the strangest rows strange, the strangest first.

        Parameters
        ----------
        X : (n, F) table with the columns of fit
        top, n_columns : how many rows at most, and how many columns of each. With `window` a row
            that is no outlier is left out less than a window from a stranger one that is told.

        Returns
        -------
        reasons : frame with the columns
            row (label), position (in X, from 0), with `window` series (label of the group, if there
            are groups), time and length (rows of the stretch of outliers of which this row, the
            strangest, stands for all; 0 if it is none), then score, column, value (seen), expected
            (from cells less strange, within the interval), low and high (of the interval that
            holds 90 % of such cells; missing for categories), surprise (as in `score_cells`), and
            reason: a level never seen, seen once or of trimmed rows only, outside the observed
            range (with `trim`, that of the other rows), or unexpected given the others

        Reasons of a row come by surprise, but rare numbers far outside the observed range first.
        Cells that are as expected (numbers inside the interval), or surprise less than one in ten,
        are no reasons, so a row may have fewer than `n_columns`. A row without reasons gets its
        most surprising cell, and the words that nothing stands out; one without observed cells gets
        nothing. Where a row stands for a stretch and none of its cells is as rare as one in a
        thousand, the reasons are the columns in which the stretch is farthest from what is expected
        with all of it hidden: from when to when, how far, and when most. Numbers are rounded to the
        digits that the spread of their column lets tell apart.
        """
        check_count("top", top)
        check_count("n_columns", n_columns)
        scorer, table = self._scorer(), self._read(X)
        read = table, self._windows(table), self._view(table), self._timeline()
        return explained(scorer, self._model_schema(), *read, self.offset_, top, n_columns)

    def _at_rows(self, table: Table, found: np.ndarray) -> np.ndarray:
        """Return (n, ...) what was found of the rows of the windows, at those of the table."""
        view = self._view(table)
        return found if view is None else view.rows_back(found)

    # ---- what is fitted, in the words of the engine

    def _scorer(self) -> Scorer:
        """Return what scores rows, made of the fitted attributes."""
        check_is_fitted(self, "scores_")
        if not hasattr(self, "completed_rows_"):  # models of maetab 0.1.0
            self._keep(make_reference(self.model_))
        levels = self._levels()
        if not hasattr(self, "unseen_cost_"):  # early models of maetab 0.1.0
            n_observed = np.array([column.n_observed for column in self._model_schema().columns])
            none = np.zeros(len(n_observed))
            self.unseen_cost_ = unseen_cost(self.scores_, none, n_observed, levels.is_category)
        known = self._fitted(Reference), levels, self._fitted(Calibration)
        return make_scorer(self.model_, *known, pick_device(self.device))

    def _levels(self) -> Levels:
        """Return what is known of the levels of the columns that the model reads."""
        counts = getattr(self, "level_counts_", None)
        if counts is not None:
            counts = [counts[j] for j in modelled(self.schema_, self._timeline())]
        return levels_of(self._model_schema(), counts)

    def _model_schema(self) -> Schema:
        """Return the schema of the columns that the model reads."""
        places = modelled(self.schema_, self._timeline())
        return Schema(tuple(self.schema_.columns[j] for j in places))

    def _keep(self, found: Reference | Calibration) -> None:
        """Make each field a fitted attribute."""
        for name, value in vars(found).items():
            setattr(self, f"{name}_", value)

    def _fitted(self, kind: type[Fitted]) -> Fitted:
        """Return the fitted attributes as `_keep` got them."""
        return kind(**{x.name: vars(self).get(f"{x.name}_", x.default) for x in fields(kind)})

    # ---- fitting

    def _fit_model(self, X: Any, kept: np.ndarray | None = None) -> Table:
        in_memory = self._drawn is None
        if not self.trim:
            table = super()._fit_model(X)
            kept = np.ones(len(table.values), bool)
            self.level_counts_ = [list(column.counts) for column in self.schema_.columns]
        else:
            kept, whole, in_time = self._first_look(X)
            if in_time:  # rows that are trimmed keep their place in time
                super()._fit_model(X, kept)
            else:
                rows = as_table(X) if hasattr(X, "__getitem__") else np.asarray(X)
                self._drawn = None  # of these rows alone the schema is made
                super()._fit_model(_safe_indexing(rows, np.flatnonzero(kept)))
            self.schema_, self.level_counts_ = with_levels_of(self.schema_, whole)
            table = self._read(X)
        self._report("calibration of the scores")
        windows, view = self._windows(table), self._view(table)
        first = replace(windows, rows=windows.rows[: self.n_calibration])
        device = pick_device(self.device)
        n = affordable_rows(self.model_, first, self.n_masks, device, self._deadline)
        part, rows, whole_rows = some(windows, n)
        kept = kept if view is None else kept[view.order]
        found = self._calibrate(part, kept[rows], whole_rows)
        if in_memory and len(found) == len(kept):  # each row, in order
            self.row_scores_ = self._at_rows(table, found)
        return table

    def _first_look(self, X: Any) -> tuple[np.ndarray, Schema, bool]:
        """Return (n,) bool, True for the rows to learn from, the schema of all rows, and whether
        they follow each other in time.
        """
        frame, _ = read_frame(X)
        check_size(frame.shape, 2, type(self).__name__)
        source, timeline = self._source(frame)
        schema, places = source.schema(), modelled(source.schema(), timeline)
        n_levels = [schema.n_modelled()[j] for j in places]
        values, observed = (cells[:, places] for cells in source.encoded[:2])
        kept = kept_rows(values, observed, n_levels, self.trim, self._deadline)
        kept = self._group.share(kept)  # where time is limited it depends on the clock
        return kept, schema, timeline is not None and timeline.n_steps > 1

    def _calibrate(
        self,
        windows: Windows,
        kept: np.ndarray,
        whole: np.ndarray | None = None,
        trusted: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return scores of training rows; learn from windows over them, none of which sees itself,
        what is usual.

        Parameters
        ----------
        kept : (n,) bool, True where a row was learned from
        whole : (n,) bool, True where all windows are there that hold a row; None for all rows
        trusted : bool, of each window that is remembered, True where it is normal; None for all,
            and then the windows are those of the table, else the remembered ones
        """
        values, observed = windows.values.numpy(), windows.observed.numpy()
        self._check_cells(observed[kept])
        learned = (values[kept], observed[kept]) if self.trim else None
        until = self._deadline.part(LAST_STEP)
        start = start_calibration(self.model_, self.n_masks, trusted, learned, until)
        scorer = make_scorer(
            self.model_,
            make_reference(self.model_),
            self._levels(),
            start,
            pick_device(self.device),
        )
        self._keep(scorer.reference)
        whole = np.ones(len(kept), bool) if whole is None else whole
        found = calibrated(scorer, windows, kept, whole, remembered=trusted is not None)
        self._keep(replace(found, scores=np.sort(found.scores)))
        self.row_scores_ = None
        self.n_iter_ = 1 + self._n_epochs()
        self.set_threshold(self.contamination)
        return found.scores

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_contamination(self.contamination)
        self._check_number("trim", 0, 0.5, "in [0, 0.5]")
        self._check_number("n_masks", 1, np.inf, "an int of at least 1", whole=True)
        if self.n_calibration is not None:
            self._check_number(
                "n_calibration", 2, np.inf, "None or an int of at least 2", whole=True
            )
