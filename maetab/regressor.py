"""MAERegressor: numbers of rows, from few labels and with cells missing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score

from maetab.data.codec import encode
from maetab.data.columns import Column
from maetab.data.kinds import extra_missing
from maetab.data.schema import Schema
from maetab.data.source import FrameSource
from maetab.engine.inference import predict, predict_interval
from maetab.engine.runtime import pick_device
from maetab.labelled import LabelledMAE, missing_share
from maetab.nn.windows import Windows
from maetab.parameters import ATTRIBUTES, PARAMETERS
from maetab.table import Table
from maetab.targets import of_labelled, read_numbers


@dataclass(kw_only=True, eq=False, repr=False)
class MAERegressor(RegressorMixin, LabelledMAE):
    __doc__ = f"""Predict a number for rows whose cells may be missing, from few labels or many.

    The number is one more column of the table that a masked autoencoder learns, hidden in rows
    without a label; what is predicted is a weighted mean of what the model says of that column and
    of a ridge regression on the features of the rows. See `MAEClassifier`.

    Parameters
    ----------
    unlabelled : None or a number
        Value of y in rows without a label, beside None, NaN and NA, which always mark one.
    {PARAMETERS}

    Attributes
    ----------
    head_ : as of `MAEClassifier`
    target_ : dict, after `from_fitted` what is known of the target: center, scale, grid
    {ATTRIBUTES}

    ``schema_`` and ``model_`` know the target as the last column, except after `from_fitted`.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[1.0, 0.0], [2.0, np.nan], [3.0, 1.0], [np.nan, 1.0], [4.0, 1.0]])
    >>> model = MAERegressor(max_iter=0, random_state=0).fit(X, [1.0, 2.0, 3.0, np.nan, 4.0])
    >>> low, high = model.predict_interval([[2.5, np.nan]])
    >>> bool(low[0] <= model.predict([[2.5, np.nan]])[0] <= high[0])
    True
    """

    def predict(self, X: Any) -> np.ndarray:
        """Return (n,) the expected number of each row.

        Parameters
        ----------
        X : (n, F) table with the columns of fit
        """
        return self._natural(self._blended(self._read(X))) + self._unit().origin

    def predict_interval(self, X: Any, coverage: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
        """Return (n,) and (n,) ends of intervals that hold the number with a probability.

        Central intervals, calibrated on labels held out in fit, and widened to hold what
        `predict` says where that lies outside. Of whole numbers, or decimals up to six, their ends
        are such, too.

        After `from_fitted` they reach as far to both sides of what `predict` says as the head erred
        at labels that cross-validation held out, in rows that miss more cells as far as it did with
        as many cells hidden, up to 40 %.

        Parameters
        ----------
        X : (n, F) table with the columns of fit
        coverage : in (0, 1)

        Raises
        ------
        ValueError
            `coverage` is out of range, or after `from_fitted` there are fewer labels than
            coverage / (1 - coverage), such as 9 for 0.9.
        """
        if not isinstance(coverage, Real) or not 0 < coverage < 1:
            raise ValueError(f"coverage must be in (0, 1), got {coverage!r}.")
        table, column = self._read(X), self._unit()
        point = self._natural(self._blended(table))
        ends = self._of_column if self._knows_target else self._of_errors
        low, high = ends(table, point, float(coverage))
        low = column.on_grid(np.minimum(low, point), "floor")
        high = column.on_grid(np.maximum(high, point), "ceil")
        return low + column.origin, high + column.origin

    def _of_column(self, table: Table, point: np.ndarray, coverage: float) -> list[np.ndarray]:
        """Return the lower and the upper ends (n,) of intervals as the model says them."""
        _, found, _ = predict_interval(*self._asked(table), coverage)
        numbers = self.schema_.is_number()
        bounds = [table.settled(bound, numbers)[:, -1] for bound in self._back(table, found)]
        return [self._natural(bound) for bound in bounds]

    def _of_errors(self, table: Table, point: np.ndarray, coverage: float) -> list[np.ndarray]:
        """Return the same from the errors of the head at labels that were held out.

        The error of a new row is as likely to be of any rank among those, its own counted. Errors
        with as many cells missing lie between those of labelled rows and of their copies.
        """
        assert self.head_ is not None
        losses = self.head_["losses"]
        n, rank = losses.shape[1], math.ceil((losses.shape[1] + 1) * coverage - 1e-9)
        if rank > n:
            raise ValueError(
                f"coverage={coverage} takes {math.ceil(coverage / (1 - coverage) - 1e-9)} labels, "
                f"and the head has learned from {n}; ask for less, or label more rows."
            )
        errors = np.sqrt(np.maximum.accumulate(losses[:, rank - 1])) * self._unit().scale
        missing = missing_share(self._windows(table))
        far = np.interp(missing, self.head_["missing"], errors)
        return [point - far, point + far]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the coefficient of determination R² in the rows that have a label.

        Parameters
        ----------
        X : (n, F) table with the columns of fit
        y : (n,) numbers; rows without a label, as in `fit`, are left out
        sample_weight : (n,) weights of rows
        """
        found = self.predict(X)
        numbers, known = read_numbers(y, len(found), self.unlabelled, type(self).__name__)
        return of_labelled(r2_score, numbers, found, known, sample_weight)

    def _natural(self, cells: np.ndarray) -> np.ndarray:
        """Return (n,) float64 the target, less its origin, of standardised cells (n,)."""
        return self._unit().natural(cells.astype(np.float64))

    def _unit(self) -> Column:
        """Return the target as a column: how it is standardised, and on which grid it lies."""
        return self.schema_.columns[-1] if self._knows_target else Column.from_dict(self.target_)

    def _learn_unit(self, target: pd.Series) -> None:
        self.target_ = FrameSource(target.to_frame("target")).schema().columns[0].to_dict()

    def _told_by_column(self, table: Table) -> np.ndarray:
        return self._among_labels(self._points(table)[:, -1])

    def _told_by_windows(self, windows: Windows, memory_index: np.ndarray) -> np.ndarray:
        device = pick_device(self.device)
        return self._among_labels(predict(self.model_, windows, device, memory_index)[:, -1])

    def _of_head(self, told: np.ndarray) -> np.ndarray:
        return self._among_labels(told[:, 0])

    def _among_labels(self, cells: np.ndarray) -> np.ndarray:
        """Return standardised numbers (n,), as far as the labels reach.

        A line that many columns tell goes far beyond them in rows that lie far out.
        """
        if self._knows_target:
            seen = self.model_.support.center[-1]
            return cells.clip(float(seen.min()), float(seen.max()))
        column = self._unit()
        ends = (np.array([column.lower, column.upper]) - column.center) / column.scale
        return cells.clip(*ends)

    def _labels_of(self, target: pd.Series) -> tuple[np.ndarray, int]:
        column = self._unit()
        cells, _ = encode(target.to_frame(column.name), Schema((column,)), self.missing_values)
        return cells[:, 0], 0

    def _read_y(self, y: Any, frame: pd.DataFrame) -> pd.Series:
        name = type(self).__name__
        numbers, _ = read_numbers(y, len(frame), self.unlabelled, name)
        taken = [x for x in extra_missing(self.missing_values) if (numbers == x).any()]
        if taken:
            raise ValueError(
                f"y of {name} holds {taken[0]!r}, which missing_values says is missing; put NaN in "
                f"its place in X and leave missing_values as it is."
            )
        return pd.Series(numbers, index=frame.index)

    def _hidden_target(self, frame: pd.DataFrame) -> pd.Series:
        return pd.Series(np.full(len(frame), np.nan), index=frame.index)
