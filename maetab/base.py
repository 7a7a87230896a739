"""BaseMAE: the parameters that the estimators share; where frames meet arrays."""

from __future__ import annotations

import os
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Self, cast

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from maetab.callbacks import CallbackSupportMixin, Tasks, with_callbacks
from maetab.data.advice import advise
from maetab.data.back import Back
from maetab.data.codec import Encoded, encode_checked, missing_cells
from maetab.data.containers import as_table, read_frame
from maetab.data.parts import Drawn
from maetab.data.source import FrameSource
from maetab.data.timeline import Timeline, infer_timeline, lay_out
from maetab.engine.bridging import bridged
from maetab.engine.checkpoint import forget
from maetab.engine.fit import fit_model
from maetab.engine.inference import predict_probabilities
from maetab.engine.options import FitOptions
from maetab.engine.processes import ALONE, processes
from maetab.engine.runtime import Deadline, pick_device
from maetab.memory_needed import refuse_too_large
from maetab.nn.config import ModelConfig
from maetab.nn.ensemble import Ensemble
from maetab.nn.guess.options import GuessOptions
from maetab.nn.losses import Loss
from maetab.nn.masking import Masking
from maetab.nn.windows import Windows
from maetab.notebook import ShownFitted
from maetab.parameters import (
    ATTRIBUTES,
    PARAMETERS,
    CheckedParameters,
    check_size,
    refuse_to_change,
    warn_of_network,
)
from maetab.parts import check_parts, config_of, options_of
from maetab.presets import n_members
from maetab.progress import reported
from maetab.series import View, incomplete, modelled, view_of, windows_over
from maetab.state import Before, PackedState, before_of, known_schema, twin_of
from maetab.streams import draw_from, missing_in
from maetab.table import Table

FITTED = ("n_features_in_", "schema_", "timeline_", "model_", "history_", "n_iter_")
AFTER_FIT = ("device", "missing_values", "random_state", "verbose")  # parameters that act there too


@dataclass(kw_only=True, eq=False, repr=False)
class BaseMAE(CheckedParameters, ShownFitted, PackedState, CallbackSupportMixin, BaseEstimator):
    __doc__ = f"""A masked autoencoder over the cells of a table; the base of the estimators.

    Parameters
    ----------
    {PARAMETERS}

    Attributes
    ----------
    {ATTRIBUTES}
    """

    mask_ratio: float = 0.3
    masking: str | Masking = "auto"
    loss: str | Loss = "distribution"
    backbone: str | type = "auto"
    guess: str | type | GuessOptions = "gaussian"
    preset: str = "balanced"
    n_estimators: int | None = None
    width: int = 32
    n_heads: int = 4
    n_layers: int = 1
    dropout: float = 0.0
    visible_weight: float = 0.2
    max_iter: int | None = None
    max_time: float | None = None
    batch_size: int = 256
    learning_rate_init: float | None = None
    weight_decay: float = 0.01
    validation_fraction: float = 0.1
    n_iter_no_change: int = 4
    warm_start: bool = False
    window: int | str | None = None
    time: Hashable | None = None
    groups: Hashable | Sequence[Hashable] | None = None
    categorical_features: str | Sequence = "auto"
    missing_values: Any = np.nan
    checkpoint: str | os.PathLike | None = None
    device: str = "auto"
    random_state: int | np.random.RandomState | None = None
    verbose: int = 0

    _knows_target: ClassVar[bool] = False  # whether the model has a column that X has not
    _resizes_memory: ClassVar[bool] = False  # whether held-out cells say how many rows it holds
    _fit_only: ClassVar[tuple[str, ...]] = ()  # parameters of a subclass that act in fit alone
    # Of `fit`, while it runs, and the share of its time that schema and model may take.
    _deadline = Deadline()
    _tasks = cast("Tasks | None", None)
    _drawn = cast("Drawn | None", None)  # where X is read in parts
    _group = ALONE
    _before = cast("Before | None", None)  # what it goes on from
    _share_of_model = 1.0

    @classmethod
    def from_fitted(cls, other: BaseMAE, **parameters: Any) -> Self:
        """Return an estimator of this class around the model that `other` has fitted.

        Parameters
        ----------
        other : fitted estimator of maetab; the two share the model, which nothing changes
        **parameters : of this class, where they shall differ from those of `other`; of those that
            the estimators share only device, missing_values, random_state and verbose, for the
            others act in fit alone

        Raises
        ------
        TypeError
            `other` is no estimator of maetab, or its model knows a target.
        ValueError
            A parameter that acts in fit alone differs from that of `other`.
        """
        if not isinstance(other, BaseMAE):
            raise TypeError(f"from_fitted takes estimators of maetab, got {type(other).__name__}.")
        check_is_fitted(other, "model_")
        if other._knows_target:
            raise TypeError(
                f"The model of this {type(other).__name__} knows a target; give {cls.__name__}."
                f"from_fitted one that was fitted without, such as of MAEEncoder."
            )
        defaults = {field.name: field.default for field in fields(cls)}
        shared = {k: v for k, v in other.get_params(deep=False).items() if k in defaults}
        fixed = {field.name for field in fields(BaseMAE)}.difference(AFTER_FIT) | {*cls._fit_only}
        refuse_to_change(cls.__name__, parameters, defaults | shared, fixed)
        new = cls(**(shared | parameters))
        for name in (*FITTED, "missing_features_", "feature_names_in_", "n_samples_fit_"):
            if hasattr(other, name):
                setattr(new, name, getattr(other, name))
        new._check_parameters()
        return new

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from the observed cells of X.

        Parameters
        ----------
        X : (n, F) pandas, polars or pyarrow table, array or list of lists; n at least 2
            Or what is read in parts: see the guide, "Tables larger than memory".
        y : ignored

        Raises
        ------
        ValueError, TypeError, MemoryError
            For parameters, shapes, names or cells that cannot be used, and for tables with too many
            columns for the memory that is free; the message names them.

        Whatever is raised, an interrupt too, leaves what was fitted before as it was.
        """
        fresh = twin_of(self)
        fresh._check_parameters()
        fresh._deadline, fresh._group = Deadline(self.max_time), processes()
        group, fresh._before = fresh._group, before_of(self)
        fresh._fit_reported(X, y)
        self.__dict__ = fresh.__dict__
        if group.first:
            forget(self.checkpoint)
        return self

    @with_callbacks
    def _fit_reported(self, X: Any, y: Any) -> None:
        """Learn from X, and report it to whoever listens."""
        listening = reported(self.verbose, self._deadline.left)
        # Networks need gradients, whatever block of torch fit is called in.
        with torch.inference_mode(False), torch.enable_grad(), listening as progress:
            self._tasks = tasks = Tasks(self, progress, X, y)
            self._drawn = draw_from(X, self)
            self._fit_model(X if self._drawn is None else self._drawn.table)
        group = self._group
        del self._deadline, self._tasks, self._drawn, self._group, self._before
        group.make_alike(self)
        tasks.end()

    def _fit_model(self, X: Any, kept: np.ndarray | None = None) -> Table:
        """Learn schema and model from X; return the encoded table.

        kept : (n,) bool, rows of series to learn from, as if nothing were observed in the others
        """
        self._report("reading the table")
        frame, back = read_frame(X)
        check_size(frame.shape, 2, type(self).__name__)
        validate_data(self, as_table(X), skip_check_array=True)
        source, self.timeline_ = self._source(frame)
        if kept is not None:
            source = self._source_of(frame[kept], self.timeline_)
        self.schema_, name = source.schema(), type(self).__name__
        advise(source, name, self.timeline_ is not None, self._knows_target)
        encoded = source.encoded
        if kept is not None:
            encoded = encode_checked(frame, self.schema_, self.missing_values)
            encoded.observed[~kept] = False
        table = self._table(frame, back, encoded)
        missing = missing_cells(table.observed, table.free_text).any(0)
        self.missing_features_ = np.flatnonzero(missing | missing_in(self._drawn))
        windows, config, options = self._windows(table, "fitted"), self._config(), self._options()
        self._group.of_all(lambda: refuse_too_large(name, len(windows), config, options.device))
        self.model_, self.history_ = fit_model(config, windows, options)
        if n_members(self, self._n_steps() > 1) and not self.history_:
            warn_of_network(name, self.max_time, frame.shape[1])
        self.n_iter_, self.n_samples_fit_ = self._n_epochs(), len(frame)
        return table

    def _n_epochs(self) -> int:
        return max([int(record["epoch"]) for record in self.history_], default=0)

    def _source(self, frame: pd.DataFrame) -> tuple[FrameSource, Timeline | None]:
        """Return the rows of a frame with the schema that it suggests, and how they lie in time."""
        source = self._source_of(frame, None)
        if self.window is None:
            return source, None
        cells = source.encoded
        given = frame, cells.values, cells.observed, self.window, self.time, self.groups
        timeline = infer_timeline(*given, type(self).__name__)
        source.take_as_keys(timeline.keys(frame))
        return source, timeline

    def _source_of(self, frame: pd.DataFrame, timeline: Timeline | None) -> FrameSource:
        """Return the rows of a frame, whose times and groups are known if there is a timeline."""
        given = self._categories(frame), self.missing_values, type(self).__name__
        source = FrameSource(frame, *given, known_schema(self, frame, *given))
        if timeline is not None:
            source.take_as_keys(timeline.keys(frame))
        return source

    def _categories(self, frame: pd.DataFrame) -> Any:
        """Return which columns of a frame that the model is fitted to are categories."""
        return self.categorical_features

    def _joint(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the columns of X with those that the model knows beside them."""
        return frame

    def _table(self, frame: pd.DataFrame, back: Back, encoded: Encoded) -> Table:
        """Return a table, laid out in time if there is a timeline."""
        timeline = self._timeline()
        if timeline is None:
            return Table(frame, back, *encoded)
        static = timeline.static if timeline.groups else ()
        return Table(frame, back, *encoded, lay_out(frame, timeline), static)

    def _timeline(self) -> Timeline | None:
        """Return the timeline of fit; models of maetab 0.1.0 have no such attribute."""
        return getattr(self, "timeline_", None)

    def _read(self, X: Any) -> Table:
        """Return X encoded as in fit; nothing is learned from it."""
        check_is_fitted(self, "model_")
        frame, back = read_frame(X)
        check_size(frame.shape, 1, type(self).__name__)
        validate_data(self, as_table(X), reset=False, skip_check_array=True)
        names = self.schema_.names()[: frame.shape[1]]
        if not self._fit_saw_names() or not (hasattr(X, "columns") or hasattr(X, "column_names")):
            frame = frame.set_axis(pd.Index(names, tupleize_cols=False), axis=1)
        frame = self._joint(frame)
        return self._table(frame, back, encode_checked(frame, self.schema_, self.missing_values))

    def _fit_saw_names(self) -> bool:
        """Whether the columns had names in fit: scikit-learn keeps those that are text."""
        names = self.schema_.names()
        return hasattr(self, "feature_names_in_") or not all(isinstance(x, str) for x in names)

    def _windows(self, table: Table, how: str | int = "predicted") -> Windows:
        """Return windows over what the model reads of a table; see `windows_over`."""
        return windows_over(table, self.schema_, self._timeline(), how)

    def _back(self, table: Table, found: np.ndarray, empty: float = 0.0) -> np.ndarray:
        """Return (..., n, F) what was found of windows over a table, (..., n, M), at its cells.

        empty : what stands in columns that the model does not see
        """
        view = self._view(table)
        return found if view is None else view.back(found, empty)

    def _view(self, table: Table) -> View | None:
        """Return what the model reads of a table; None for all of it as it is."""
        return view_of(table, self.schema_, self._timeline())

    def _asked(self, table: Table) -> tuple[Ensemble, Windows, torch.device]:
        """Return what predicts, the windows that miss something, and where it is done."""
        unseen = self.schema_.is_free_text()[modelled(self.schema_, self._timeline())]
        windows = self.model_.recognised(incomplete(self._windows(table), unseen))
        return self.model_, windows, pick_device(self.device)

    def _probabilities(self, table: Table, columns: list[int]) -> np.ndarray:
        """Return (n, len(columns), K) probabilities of the levels of rows that miss something."""
        view = self._view(table)
        own = columns if view is None else np.searchsorted(view.places, columns).tolist()
        found = predict_probabilities(*self._asked(table), own)
        return found if view is None else view.rows_back(found)

    def _points(self, table: Table) -> np.ndarray:
        """Return (n, F) points of the cells of rows that miss something, 0 elsewhere."""
        found = bridged(*self._asked(table))
        return table.settled(self._back(table, found), self.schema_.is_number())

    def _n_steps(self) -> int:
        """Return how many rows a window has."""
        return getattr(self._timeline(), "n_steps", 1)

    def _config(self) -> ModelConfig:
        n_levels = np.array(self.schema_.n_modelled())[modelled(self.schema_, self._timeline())]
        return config_of(self, tuple(n_levels.tolist()), self._n_steps())

    def _reads_tokens(self) -> bool:
        """Whether the tokens of the network are what it is for."""
        return False

    def _swap_ratio(self) -> float:
        """Share of the visible cells that hold another row's value in a training step."""
        return 0.0

    def _report(self, what: str, share: float = 0.0) -> None:
        """Report what is being done, and which share of it is done already."""
        if self._tasks is not None:
            self._tasks(what, share)

    def _options(self) -> FitOptions:
        options = options_of(self, self._n_steps() > 1, self._deadline.part(self._share_of_model))
        if self._tasks is None:
            return options
        return replace(options, on_record=self._tasks.record, on_progress=self._tasks)

    def _check_parameters(self) -> None:
        """Refuse the first parameter that cannot be, in one clear error."""
        self._check_shared_numbers()
        self._check_series()
        self._check_checkpoint()
        check_parts(self)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.categorical = tags.input_tags.string = True
        return tags
