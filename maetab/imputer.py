"""MAEImputer: fills missing cells; points, draws and intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import OneToOneFeatureMixin, TransformerMixin
from sklearn.impute import MissingIndicator
from sklearn.utils.validation import check_is_fitted

from maetab.base import BaseMAE
from maetab.constraints import read_constraints
from maetab.data.back import Back
from maetab.data.codec import Encoded
from maetab.data.gaps import max_steps, refuse_gaps
from maetab.donors import Donors, check_donors, copy_donors, donors_of, fit_donors
from maetab.engine.bridging import bridged_interval
from maetab.engine.draws import draws
from maetab.filling import Filling, indicated, written, written_bounds
from maetab.hidden_skill import skill_at_hidden_cells
from maetab.parameters import ATTRIBUTES, PARAMETERS, check_count, seed_of
from maetab.probabilities import categories, levels_table
from maetab.ranges import End, Range, check_range
from maetab.series import left_missing, warn_of_edges, warn_of_max_gap
from maetab.streams import by_parts
from maetab.table import Table


@dataclass(kw_only=True, eq=False, repr=False)
class MAEImputer(OneToOneFeatureMixin, TransformerMixin, BaseMAE):
    __doc__ = f"""Fill the missing cells of a table from the observed ones.

    A masked autoencoder learns to predict hidden cells; what is missing is hidden for good. Points,
    draws and intervals come from the same predicted distribution. Columns keep their dtypes, and
    observed cells come back bit for bit.

    Parameters
    ----------
    add_indicator : bool
        Append a boolean column per column that had missing cells in fit, True where missing.
    keep_empty_features : bool
        Whether a column without any observed cell in fit stays in the output, still missing.
    min_value, max_value : None, number, sequence of one per column, or dict
        Range of the imputed numbers, in the units of the columns. None is the observed range; of
        series, whose level may move, three times its length more on both sides, but no other sign
        than that of all observed numbers. A dict says the ends of some columns, by their names;
        those of dates and durations are such, and numbers without a name do not limit them.
    keep_grid : bool
        Whether imputed numbers keep the grid that all observed cells of their column in fit lie
        on: whole numbers, up to six decimals, or whole days, hours, minutes or seconds. Ends of
        intervals are moved outwards to it. False leaves numbers in columns of floats as predicted;
        columns that can hold whole numbers or Decimals only are rounded in any case. May be changed
        after fit, as the range may.
    max_gap : None, int or duration such as "3h"
        Longest gap of a series that is filled, in steps (rows, where there is no time) or in time;
        longer ones stay missing as a whole. None fills all. Only with `window`; may be changed
        after fit.
    edges : bool
        Whether cells before the first and after the last observation of a column in its series are
        filled, also where it has none. True does, so that pipelines get no missing cells; they are
        known from other columns of their time, and from the nearest value as long as levels last.
        False leaves them missing. `max_gap` holds for them, too. May be changed after fit.
    donors : None or int, at least 1
        Fill numbers and dates with values that occur in their column (predictive mean matching): of
        so many training rows, among up to 2048, whose cells, hidden, are predicted most alike,
        points take the median, of an even number the lower one, and draws one at random; 5 is
        usual. Times are exact to the microsecond. None fills what is predicted; intervals are of
        the predicted distribution in any case, widened to hold the points. Not with `window`. After
        fit the number may be changed, or None be set.
    constraints : None, text or list of texts
        What filled numbers, dates and durations of a row obey: sums and differences of columns and
        numbers on both sides of <=, >= or ==, such as "low <= high" or "a + b == `the total`".
        Points and draws are moved as little as possible, in standard deviations of the columns,
        beyond the observed range if need be, and away from donors; observed cells never. Rows whose
        observed cells leave no such numbers are filled as predicted, with a warning. Ends of
        intervals hold the points, but are of single cells. May be changed after fit.
    copy : bool
        Accepted for the sake of scikit-learn's imputers; the input is never changed.
    {PARAMETERS}

    Attributes
    ----------
    indicator_ : MissingIndicator of the columns that had missing cells, None without add_indicator
    donor_values_ : (D, F) numbers of the donors, NaN where missing; with `donors` only
    donor_points_ : (D, F) what was predicted for them, standardised; with `donors` only
    {ATTRIBUTES}

    Examples
    --------
    >>> import pandas as pd
    >>> colors = ["red", None, "blue", "red"]
    >>> frame = pd.DataFrame({{"size": [1.0, 2.0, 3.0, None], "color": colors}})
    >>> filled = MAEImputer(max_iter=2, random_state=0).fit_transform(frame)
    >>> int(filled.isna().sum().sum()), filled["size"].tolist()[:3]
    (0, [1.0, 2.0, 3.0])
    >>> real = MAEImputer(donors=1, constraints="size <= 3", max_iter=0, random_state=0)
    >>> bool(real.fit_transform(frame)["size"].isin([1.0, 2.0, 3.0]).all())
    True
    """

    add_indicator: bool = False
    keep_empty_features: bool = True
    min_value: End = None
    max_value: End = None
    keep_grid: bool = True
    max_gap: int | str | None = None
    edges: bool = True
    donors: int | None = None
    constraints: str | Sequence[str] | None = None
    copy: bool = True

    _resizes_memory = True

    @classmethod
    def from_fitted(cls, other: BaseMAE, **parameters: Any) -> Self:
        new = super().from_fitted(other, **parameters)
        check_range(new.min_value, new.max_value, new.schema_)
        new._check_gaps(new._timeline() is not None)
        warn_of_max_gap(new.max_gap, new._timeline())
        copy_donors(other, new)
        new._filling()
        return new

    @by_parts
    def transform(self, X: Any, to: Any = None) -> Any:
        """Return X filled, in the same kind of container, with its dtypes, index and order.

        Parameters
        ----------
        X : (n, F) table with the columns of fit
        to : folder that the filled parts of X are written to, where X is read in parts; what is
            returned is then the data set of Arrow over its files. Called again it goes on with the
            parts that are missing.

        Returns
        -------
        filled : (n, F) table; what is observed is unchanged, and a missing cell is the expected
            number, clipped to the range and rounded to the grid, or the likeliest level; free text
            and identifiers are not filled
        """
        table = self._read(X)
        return self._finish(table, self._points(table))

    def sample(
        self,
        X: Any,
        n_draws: int = 5,
        random_state: int | np.random.RandomState | None = None,
    ) -> list[Any]:
        """Return `n_draws` filled copies of X: draws, for multiple imputation (Rubin 1987).

        Missing cells of a row are drawn jointly, so that the copies keep the spread and the
        dependence of the data, which points do not. Each draw predicts up to four times over, with
        probabilities and the values of similar rows, so that it takes several times as long as
        `transform`.

        Parameters
        ----------
        X : (n, F) table
        n_draws : int, at least 1; about ten is usual, more where much is missing
        random_state : None (then that of the estimator), int or numpy.random.RandomState
        """
        check_count("n_draws", n_draws)
        table = self._read(X)
        chosen = self.random_state if random_state is None else random_state
        seed = seed_of(chosen, type(self).__name__)
        seeds = np.random.default_rng(seed).integers(2**31, size=n_draws).tolist()
        donors = self._donors()
        drawn = draws(*self._asked(table), seeds, None if donors is None else donors.matched())
        at_cells = (self._back(table, values) for values in drawn)
        is_number = self.schema_.is_number()
        return [
            self._finish(table, table.settled(values, is_number, drawn=True)) for values in at_cells
        ]

    def predict_interval(self, X: Any, coverage: float = 0.9) -> tuple[Any, Any]:
        """Return two tables between which each missing number lies with the given probability.

        Central intervals, calibrated on cells held out in fit, and widened to hold what `transform`
        fills in. Of columns with few distinct values they may cover more or less than they say: a
        value is inside or not. In both tables observed cells stand as they are, and missing
        categories stay missing: see `predict_proba` for those.

        Parameters
        ----------
        X : (n, F) table
        coverage : in (0, 1), share of the missing numbers that are to lie between the two

        Raises
        ------
        ValueError
            `coverage` is out of range.
        """
        if not isinstance(coverage, Real) or not 0 < coverage < 1:
            raise ValueError(f"coverage must be in (0, 1), got {coverage!r}.")
        table = self._read(X)
        point, found = bridged_interval(*self._asked(table), float(coverage))
        is_number = self.schema_.is_number()
        found = [table.settled(self._back(table, x), is_number) for x in (*found, point)]
        point = self._chosen(found[2])
        bounds = np.minimum(found[0], point), np.maximum(found[1], point)
        ends = np.stack([*map(self._range().outwards, bounds, ("floor", "ceil"))])
        to_fill = self._to_fill(table) & is_number
        low, high = written_bounds(table, ends, point, to_fill, self._filling())
        return self._given(table, low), self._given(table, high)

    def predict_proba(self, X: Any) -> Any:
        """Return the probability of every level of every categorical column.

        A cell that is observed has probability 1 at its level. Levels that were seen only once,
        and those behind the most frequent 64, are not predicted: they have 0 elsewhere.

        Parameters
        ----------
        X : (n, F) table

        Returns
        -------
        probabilities : (n, all levels) table
            A pandas frame has the columns (column, level), so `probabilities["color"]` is the
            table of one column; other tables have columns named "color=red".
        """
        table = self._read(X)
        predicted = self._probabilities(table, categories(self.schema_))
        in_pandas = isinstance(X, pd.DataFrame)
        found = levels_table(table, self.schema_, predicted, self._left(table), in_pandas)
        return table.back.table(found)

    def score(self, X: Any, y: Any = None) -> float:
        """Return the skill on cells hidden for the purpose: 1 perfect, 0 no better than the mean.

        A fifth of the observed cells is hidden, by a seed of its own, so that estimators with
        different parameters are compared on the same cells. Numbers: 1 - squared error / that of
        the mean; categories: (accuracy - a) / (1 - a) with a that of the most frequent level;
        each pooled over the columns of its kind, and averaged by their number. Meant for rows
        that were not in fit, as in cross-validation.

        Parameters
        ----------
        X : (n, F) table
        y : ignored
        """
        return skill_at_hidden_cells(self, X)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the output columns, as in scikit-learn's imputers."""
        check_is_fitted(self, "model_")
        names = super().get_feature_names_out(input_features)
        added = [f"missingindicator_{names[j]}" for j in self._indicated()]
        return np.concatenate([names[self._kept()], np.array(added, dtype=object)])

    @property
    def indicator_(self) -> MissingIndicator | None:
        """The indicator behind `add_indicator`; as in scikit-learn's imputers it reads a mask."""
        check_is_fitted(self, "model_")
        if not self.add_indicator:
            return None
        missing = np.zeros((1, self.n_features_in_), bool)
        missing[:, self.missing_features_] = True
        indicator = MissingIndicator(missing_values=self.missing_values, error_on_new=False)
        indicator._fit(missing, precomputed=True)
        return indicator

    def _finish(self, table: Table, values: np.ndarray) -> Any:
        """Return the user's table with `values` (n, F) in its missing cells."""
        return self._given(table, written(table, values, self._to_fill(table), self._filling()))

    def _to_fill(self, table: Table) -> np.ndarray:
        """Return (n, F) bool: the missing cells that are filled."""
        return ~table.observed & self._seen() & ~self._left(table)

    def _filling(self) -> Filling:
        constraints = read_constraints(self.constraints, self.schema_)
        return Filling(self._range(), self._donors(), constraints, self.missing_values)

    def _given(self, table: Table, filled: pd.DataFrame) -> Any:
        """Return a filled frame of a table in the user's container."""
        if not self._kept().all():
            filled = filled.loc[:, self._kept()]
        return table.back.give(indicated(filled, table, self._indicated()))

    def _points(self, table: Table) -> np.ndarray:
        """Return (n, F) points of the cells of rows that miss something, those of donors if any."""
        return self._chosen(super()._points(table))

    def _chosen(self, points: np.ndarray) -> np.ndarray:
        donors = self._donors()
        return points if donors is None else donors.chosen(points)

    def _donors(self) -> Donors | None:
        return donors_of(self, self._range().ends())

    def _seen(self) -> np.ndarray:
        """(F,) bool: columns that had an observed cell in fit."""
        return np.array([column.n_observed > 0 for column in self.schema_.columns])

    def _kept(self) -> np.ndarray:
        return self._seen() | self.keep_empty_features

    def _indicated(self) -> list[int]:
        return self.missing_features_.tolist() if self.add_indicator else []

    def _fit_model(self, X: Any, kept: np.ndarray | None = None) -> Table:
        table = super()._fit_model(X, kept)
        check_range(self.min_value, self.max_value, self.schema_)
        warn_of_max_gap(self.max_gap, self._timeline())
        if table.layout is not None and self.edges and self.max_gap is None:
            warn_of_edges(table, self.timeline_, self._seen())
        if self.donors is not None:
            self._report("donors")
        fit_donors(self, table, self._deadline.left)
        return table

    def _check_parameters(self) -> None:
        super()._check_parameters()
        self._check_flags("add_indicator", "keep_empty_features", "keep_grid", "copy")
        self._check_gaps(self.window is not None)
        check_donors(self.donors, self.window is not None, True)

    def _table(self, frame: pd.DataFrame, back: Back, encoded: Encoded) -> Table:
        timeline = self._timeline()
        self._check_gaps(timeline is not None)
        read_constraints(self.constraints, self.schema_)  # refused before anything is learned
        if timeline is not None:
            max_steps(self.max_gap, timeline)
        return super()._table(frame, back, encoded)

    def _left(self, table: Table) -> np.ndarray:
        """Return (n, F) bool: True for missing cells of gaps that are not to be filled."""
        return left_missing(table, self._timeline(), self.max_gap, self.edges)

    def _check_gaps(self, in_order: bool) -> None:
        self._check_flags("edges")
        if not in_order:
            refuse_gaps(self.max_gap, self.edges)

    def _range(self) -> Range:
        timeline = self._timeline()
        in_time = timeline is not None and timeline.n_steps > 1
        return Range(self.schema_, self.min_value, self.max_value, self.keep_grid, in_time)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
