"""LabelledMAE: a masked autoencoder over a table and its target, one more column of it."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Self, cast

import numpy as np
import pandas as pd
import torch
from pandas.api.types import is_scalar
from sklearn.utils.validation import validate_data

from maetab.base import BaseMAE
from maetab.components import fit_components, with_hidden
from maetab.data.containers import as_table, read_frame
from maetab.data.parts import parts_of
from maetab.data.schema import positions
from maetab.data.source import FrameSource
from maetab.data.timeline import Timeline
from maetab.engine.embedding import Projection, blocks_of, embed
from maetab.engine.inference import batch_rows
from maetab.engine.options import FitOptions
from maetab.engine.pieces import Pieces
from maetab.engine.reference import equal_memory_index, make_reference, remembered
from maetab.engine.row_sums import row_sums
from maetab.engine.runtime import pick_device
from maetab.head import HIDDEN, Head, fit_head, losses, share_of_head
from maetab.nn.windows import Windows
from maetab.parameters import check_size
from maetab.state import twin_of
from maetab.table import Table

TOGETHER = 16_384  # rows whose features are in memory together
# Of labelled rows that a head is learned from, if there are so many; and rows at least.
MOST_CELLS, LEAST_ROWS = 6_000_000, 500
MOST_IN_STEPS = 100  # columns whose numbers a head reads in piecewise-linear steps


def free_name(columns: pd.Index) -> Hashable:
    """Return a name for the target that no column of X has, and that may stand beside them.

    scikit-learn refuses text among other names.
    """
    if not all(isinstance(name, str) for name in columns):
        return next(number for number in count(len(columns)) if number not in columns)
    name = "target"
    while name in columns:
        name = f"_{name}"
    return name


@dataclass(kw_only=True, eq=False, repr=False)
class LabelledMAE(BaseMAE):
    """The base of classifier and regressor: the target is the last column that the model sees.

    It is hidden where there is no label, and in every row that is predicted. After `from_fitted`
    the model knows no target, and the head alone predicts.
    """

    unlabelled: Any = None

    _share_of_model = 0.7  # of the time that there is; the head takes the rest
    _target = cast("pd.Series | None", None)  # while fit runs; set by `_read_y`

    @classmethod
    def from_fitted(  # type: ignore[override]
        cls, other: BaseMAE, X: Any, y: Any, **parameters: Any
    ) -> Self:
        """Return an estimator whose head alone is learned, on a model that was fitted without y.

        Nothing of the model is learned anew, so that one fit of many rows serves any target. It
        knows no target: the head says alone what is predicted.

        Parameters
        ----------
        other : fitted estimator of maetab, of tables; the two share the model
        X : (n, F) table in memory, with the columns that `other` was fitted to
        y : (n,) target, as in `fit`; of rows without a label nothing is learned here
        **parameters : of this class; see `MAEEncoder.from_fitted` for those that `other` has

        Raises
        ------
        TypeError
            `other` is no estimator of maetab, or its model knows a target or is one of series.
        ValueError
            For parameters, rows or labels that cannot be used: y must have two values at least.
        """
        name = cls.__name__
        _refuse_parts(X, f"{name}.from_fitted")
        new = super().from_fitted(other, **parameters)
        if new._timeline() is not None:
            raise TypeError(
                f"{name}.from_fitted learns a head, which models of series have none of; fit "
                f"{name}(window={new.window!r}) to rows and labels."
            )
        table = new._read(X)
        target = new._read_y(y, table.frame)
        new._learn_unit(target)
        new._fit_head(table, target, _sorted_by_cells(table, target))
        if new.head_ is None:
            raise ValueError(
                f"{name}.from_fitted learns to tell labels apart, and those of the "
                f"{target.count()} labelled rows are all, or almost all, the same."
            )
        return new

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from the cells of X and the labels that there are.

        Parameters
        ----------
        X : (n, F) table in memory, as for the other estimators; n at least 2
        y : (n,) target
            Rows in which it is missing (None, NaN, NA), or equal to `unlabelled`, are learned
            from as well: they say how the columns of X go together.

        Raises
        ------
        ValueError, TypeError
            For parameters, shapes, names, cells or labels that cannot be used.

        Whatever is raised, an interrupt too, leaves what was fitted before as it was.
        """
        _refuse_parts(X, type(self).__name__)
        fresh = twin_of(self)
        fresh._check_parameters()  # before y is read by them
        frame, _ = read_frame(X)
        check_size(frame.shape, 2, type(self).__name__)
        fresh.__dict__.pop("target_", None)
        fresh._target = fresh._read_y(y, frame)
        super(LabelledMAE, fresh).fit(X, y)
        del fresh._target
        self.__dict__ = fresh.__dict__
        return self

    def _read_y(self, y: Any, frame: pd.DataFrame) -> pd.Series:
        """Return y as the model reads it, missing without a label; learn what its labels are."""
        raise NotImplementedError

    def _hidden_target(self, frame: pd.DataFrame) -> pd.Series:
        """Return the target of rows that are to be predicted: missing."""
        raise NotImplementedError

    def _fit_model(self, X: Any, kept: np.ndarray | None = None) -> Table:
        frame, _ = read_frame(X)
        validate_data(self, as_table(X), skip_check_array=True)  # errors speak of X alone
        assert self._target is not None
        table = super()._fit_model(_with(frame, self._target, free_name(frame.columns)), kept)
        validate_data(self, as_table(X), skip_check_array=True)
        inputs = self.missing_features_ < self.n_features_in_
        self.missing_features_ = self.missing_features_[inputs]
        self._report("head")
        self._fit_head(table, self._target, np.flatnonzero(self._target.notna()))
        self.model_.forget_parts()
        return table

    def _options(self) -> FitOptions:
        # What the column says of labelled rows is to be weighed, as of rows that it has not seen.
        return replace(super()._options(), keep_parts=True)

    @property
    def _knows_target(self) -> bool:  # type: ignore[override]
        """Whether the last column of the model is the target: not where it was learned without."""
        return self._target is not None or len(self.schema_.columns) > self.n_features_in_

    def _learn_unit(self, target: pd.Series) -> None:
        """Learn how a target that the model does not know is standardised; classes are not."""

    def _fit_head(self, table: Table, target: pd.Series, labelled: np.ndarray) -> None:
        """Learn the linear map from features of labelled rows to their target; see `head_`."""
        self.head_: dict[str, np.ndarray] | None = None
        labelled = np.random.default_rng(0).permutation(labelled)
        y, n_classes = self._labels_of(target)
        if self._timeline() is not None or len(np.unique(y[labelled])) < 2:
            return
        windows, parts = self._windows(table), blocks_of(self.model_.config, "concat")
        few, device = remembered(self.model_), pick_device(self.device)
        found = fit_components(
            self._features, few, parts, parts.n_components, self._deadline, device
        )
        projection = Projection(*found)
        width = self._features(_some(windows, labelled[:1]), projection).shape[1]
        n = self._deadline.affordable(
            lambda count: self._features(_some(windows, labelled[:count]), projection),
            min(len(labelled), max(LEAST_ROWS, MOST_CELLS // width)),
            # Those with cells hidden take longer; then the map itself, and what the column says.
            passes=2 + 2 * len(HIDDEN) + 1 + len(HIDDEN),
            start=batch_rows(table.values.shape[1], device),
        )
        rows = labelled[:n]
        if self._deadline.left() < 0 or len(np.unique(y[rows])) < 2:
            return
        own = _some(windows, rows)
        shown = [own, *(with_hidden(own, share, seed=len(rows)) for share in HIDDEN)]
        features = [self._features(x, projection) for x in shown]
        pieces = Pieces(self.model_.support, self._reads_cells_alone()).is_cell.numpy()
        cells = np.concatenate([np.zeros(features[0].shape[1] - len(pieces), bool), pieces])
        head, told, weights = fit_head(features, y[rows], n_classes, cells, self._deadline)
        held_out = {
            "losses": np.sort(losses(told, y[rows])),
            "missing": np.array([missing_share(x).mean() for x in shown]),
            "share": np.ones(()),
        }
        if self._knows_target:
            column = self._held_out_column(own, shown)
            held_out["share"] = np.array(share_of_head(column, told, y[rows], weights))
        self.head_ = head._asdict() | projection._asdict() | held_out

    def _held_out_column(self, own: Windows, shown: list[Windows]) -> np.ndarray:
        """Return (copies, n) or (copies, n, K) what the column says of training rows.

        As of rows that it has not seen: their target is hidden, they do not read themselves, and
        the base guess is that of their fold, if there are folds.

        Parameters
        ----------
        own : n rows
        shown : copies of them, some with cells hidden
        """
        index = equal_memory_index(self.model_, make_reference(self.model_), own)
        found = []
        for windows in shown:
            observed = windows.observed.clone()
            observed[:, -1] = False
            found.append(self._told_by_windows(replace(windows, observed=observed), index))
        return np.stack(found)[:, own.rows[:, 0].numpy()]

    def _blended(self, table: Table) -> np.ndarray:
        """Return (n,) standardised numbers or (n, K) probabilities of classes: column and head."""
        told = self._told_by_head(table)
        if not self._knows_target:
            assert told is not None
            return self._of_head(told)
        column = self._told_by_column(table)
        if told is None:
            return column
        assert self.head_ is not None
        return column + self.head_["share"] * (self._of_head(told) - column)

    def _told_by_column(self, table: Table) -> np.ndarray:
        """Return what the model says of the target, (n,) numbers or (n, K) probabilities."""
        raise NotImplementedError

    def _told_by_windows(self, windows: Windows, memory_index: np.ndarray) -> np.ndarray:
        """Return the same of rows of a table; `memory_index` as in `engine.inference.predict`."""
        raise NotImplementedError

    def _of_head(self, told: np.ndarray) -> np.ndarray:
        """Return the same of what the head says, (n, K)."""
        raise NotImplementedError

    def _labels_of(self, target: pd.Series) -> tuple[np.ndarray, int]:
        """Return (n,) what a head is to tell of rows, and how many classes there are, 0 for none.

        Anything where there is no label.
        """
        raise NotImplementedError

    def _features(self, windows: Windows, projection: Projection | None = None) -> np.ndarray:
        """Return (n, D) features of rows to which their target says nothing.

        With the encoded input behind them if they are projected, in steps if there are few columns.
        """
        unread = (len(self.model_.config.n_levels) - 1,) if self._knows_target else ()
        how = projection, projection is not None, self._reads_cells_alone(), None, unread
        return embed(self.model_, windows, pick_device(self.device), "concat", *how)

    def _reads_cells_alone(self) -> bool:
        """Whether a head reads numbers as they are, without steps: there are many columns."""
        return len(self.model_.config.n_levels) > MOST_IN_STEPS

    def _told_by_head(self, table: Table) -> np.ndarray | None:
        """Return (n, K) what the head says of rows; None without one."""
        fitted = getattr(self, "head_", None)
        if fitted is None:
            return None
        head = Head(**{key: fitted[key] for key in Head._fields})
        projection = Projection(**{key: fitted[key] for key in Projection._fields})
        windows, places = self._windows(table), np.arange(len(table.values))
        parts = [places[i : i + TOGETHER] for i in range(0, len(places), TOGETHER)]
        return np.concatenate(
            [head(self._features(_some(windows, part), projection)) for part in parts]
        )

    def _source_of(self, frame: pd.DataFrame, timeline: Timeline | None) -> FrameSource:
        """Return the rows of a frame; classes with a single label are told apart as well."""
        source = super()._source_of(frame, timeline)
        source.tell_apart(frame.shape[1] - 1)
        return source

    def _check_parameters(self) -> None:
        super()._check_parameters()
        self._refuse_unless(is_scalar(self.unlabelled), "unlabelled", "None or one value of y")

    def _categories(self, frame: pd.DataFrame) -> list[Hashable]:
        """Return the names of the columns that are categories; places are those of X."""
        inputs = frame.columns[:-1]
        chosen = sorted(positions(self.categorical_features, inputs, type(self).__name__))
        return [inputs[j] for j in chosen]

    def _joint(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the columns of X with a target that is missing behind them, if it is known."""
        if not self._knows_target:
            return frame
        return _with(frame, self._hidden_target(frame), self.schema_.names()[-1])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


def missing_share(windows: Windows) -> np.ndarray:
    """Return (n,) which share of the cells of each window is missing."""
    return 1 - windows.take(slice(None))[1].flatten(1).double().mean(1).numpy()


def _refuse_parts(X: Any, name: str) -> None:
    if parts_of(X) is not None:
        raise TypeError(f"{name} learns from tables in memory, not from parts.")


def _with(frame: pd.DataFrame, target: pd.Series, name: Hashable) -> pd.DataFrame:
    """Return the columns of X with the target behind them."""
    joint = pd.concat([frame, target.set_axis(frame.index)], axis=1)
    return joint.set_axis(pd.Index([*frame.columns, name], tupleize_cols=False), axis=1)


def _sorted_by_cells(table: Table, target: pd.Series) -> np.ndarray:
    """Return the places of labelled rows in an order that does not depend on that of the table."""
    labelled = np.flatnonzero(target.notna())
    labelled = labelled[target.iloc[labelled].argsort(kind="stable").to_numpy()]
    cells = np.hstack([table.values, table.observed])[labelled].astype(np.float64)
    weights = np.random.default_rng(0).random(cells.shape[1:])
    return labelled[row_sums(cells, weights).argsort(kind="stable")]


def _some(windows: Windows, places: np.ndarray) -> Windows:
    """Return the windows at some places."""
    return replace(windows, rows=windows.rows[torch.as_tensor(places)])
