"""BaseMAE: the parameters that the estimators share, and the door between frames and tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, NamedTuple, Self, cast

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from maetab.data.advice import advise
from maetab.data.codec import encode_checked, missing_cells
from maetab.data.containers import Back, as_table, read_frame
from maetab.data.schema import Schema
from maetab.data.source import FrameSource
from maetab.data.windows import cut, merge, take
from maetab.engine.apply import predict, predict_quantiles
from maetab.engine.fit import FitOptions, fit_model
from maetab.engine.packed import pack, unpack
from maetab.engine.runtime import Deadline, pick_device
from maetab.engine.skill import skill
from maetab.nn.backbones import BACKBONES
from maetab.nn.masking import MASKINGS, Masking
from maetab.nn.model import Ensemble, ModelConfig
from maetab.nn.objectives import LOSSES
from maetab.parameters import CheckedParameters, refuse_to_change, seed_of, warn_of_networks
from maetab.progress import Progress, reported

FITTED = ("n_features_in_", "schema_", "model_", "history_", "n_iter_", "missing_features_")
AFTER_FIT = ("device", "missing_values", "random_state", "verbose")  # parameters that act there too
SCORE_FRACTION, SCORE_SEED = 0.2, 0  # cells that `score` hides


class Table(NamedTuple):
    """A user's table on its way through the model.

    frame : pandas view, columns named as in fit
    back : gives results back in the user's kind of container
    values, observed : (n, F)
    free_text : place of each column of free text -> (n,) bool, True for the cells the user gave
    """

    frame: pd.DataFrame
    back: Back
    values: np.ndarray
    observed: np.ndarray
    free_text: dict[int, np.ndarray] = {}  # noqa: RUF012


@dataclass(kw_only=True, eq=False, repr=False)
class BaseMAE(CheckedParameters, BaseEstimator):
    """A masked autoencoder over the cells of a table; the base of the estimators.

    Parameters
    ----------
    mask_ratio : in [0, 1)
        Expected share of the observed cells that is hidden in a training step.
    masking : "bernoulli", "fixed", "block", "copy" or "proportional", or a masking object
        Which cells are hidden together. An object of maetab.nn.masking brings its own ratio.
    loss : "distribution", "mse", "mae" or "cosine"
        "distribution" learns the probabilities of quantile bins; the others learn points.
        Categories are always learned by cross-entropy.
    backbone : "transformer", "mlp" or "linear"
        What encoder and decoder are made of.
    n_estimators : at least 1
        Networks that are trained from different seeds and held-out cells, and averaged.
    width : a multiple of `n_heads`
        Numbers in the token of a cell.
    n_heads, n_layers : at least 1
        Attention heads, and blocks in each of encoder and decoder.
    dropout : in [0, 1)
        Share of the units dropped in a training step.
    visible_weight : not negative
        What a visible cell counts in the loss; a hidden one counts 1.
    max_iter : None or at least 0
        Epochs of each network. None takes a number that suits the rows; 0 trains no network and
        leaves the closed-form first guess alone.
    max_time : None or seconds
        Limit of all that `fit` does, from reading the table to calibration. The first guess may
        take up to 60 % of it; networks train in what is left, each sees fewer steps, and passes
        over held-out cells look at fewer rows. A network for whose least there is no time is left
        out, with a warning. Only the least of the first guess (one look at the table, one step of
        its tuning, one batch of its stacking) is done at any price. Limits depend on the speed of
        the machine, and so do results where they act. What is fitted is used without a limit: per
        row the first guess compares its cells with up to 4096 rows, and a transformer its columns
        with each other.
    batch_size : at least 1
        Rows in a training step.
    learning_rate_init, weight_decay : positive; not negative
        Of AdamW. The rate warms up and falls along a cosine.
    validation_fraction : in [0, 1)
        Share of the observed cells that is held out to stop in time, to weigh the networks
        against the first guess, and to calibrate.
    n_iter_no_change : at least 1
        Looks at the held-out cells (12 in a full run) without gain before a network stops.
    categorical_features : "auto" or sequence of column names or positions
        Columns that are categories besides those of category, text and boolean dtype. Text whose
        different values are more than 20 and more than half of its observed cells is taken for
        free text or identifiers unless it is named here: the model does not see such a column, and
        its cells stay as they are, missing ones too. Numbers are never taken for identifiers.
    missing_values : scalar or list of scalars
        What counts as missing besides NaN, None, NA and NaT, which always do.
    device : "auto" or a name that torch knows
        "auto" is CUDA where there is one, else the CPU.
    random_state : None, int or numpy.random.RandomState
        An int makes results repeatable.
    verbose : 0 or 1
        1 reports what fit is doing, and about how long it will take: through the logger "maetab" at
        level INFO, and as lines on stderr, one that moves on a terminal, if no handler listens.

    Attributes
    ----------
    schema_ : Schema, kinds, levels and ranges of the columns
    model_ : torch.nn.Module of the fitted networks, on the CPU
    history_ : list of dict, one per look at the held-out cells while training
    n_iter_ : epochs of the longest training, 0 where no network was trained; of a detector, one
        more for the pass that calibrates its scores
    n_features_in_ : columns seen in fit
    feature_names_in_ : their names, if all are text
    """

    mask_ratio: float = 0.3
    masking: str | Masking = "bernoulli"
    loss: str = "distribution"
    backbone: str = "transformer"
    n_estimators: int = 1
    width: int = 32
    n_heads: int = 4
    n_layers: int = 1
    dropout: float = 0.0
    visible_weight: float = 0.2
    max_iter: int | None = None
    max_time: float | None = None
    batch_size: int = 256
    learning_rate_init: float = 3e-3
    weight_decay: float = 0.01
    validation_fraction: float = 0.1
    n_iter_no_change: int = 4
    categorical_features: str | Sequence = "auto"
    missing_values: Any = np.nan
    device: str = "auto"
    random_state: int | np.random.RandomState | None = None
    verbose: int = 0

    _fit_only: ClassVar[tuple[str, ...]] = ()  # parameters of a subclass that act in fit alone
    # Of `fit`, while it runs, and the share of its time that schema and model may take.
    _deadline = Deadline()
    _progress = cast("Progress | None", None)
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
            `other` is no estimator of maetab.
        ValueError
            A parameter that acts in fit alone differs from that of `other`.
        """
        if not isinstance(other, BaseMAE):
            raise TypeError(
                f"from_fitted takes a fitted estimator of maetab, got {type(other).__name__}."
            )
        check_is_fitted(other, "model_")
        known = {field.name for field in fields(cls)}
        shared = {k: v for k, v in other.get_params(deep=False).items() if k in known}
        fixed = {field.name for field in fields(BaseMAE)}.difference(AFTER_FIT) | {*cls._fit_only}
        defaults = {field.name: field.default for field in fields(cls)}
        refuse_to_change(cls.__name__, parameters, defaults | shared, fixed)
        new = cls(**(shared | parameters))
        for name in (*FITTED, "feature_names_in_"):
            if hasattr(other, name):
                setattr(new, name, getattr(other, name))
        new._check_parameters()
        return new

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from the observed cells of X.

        Parameters
        ----------
        X : (n, F) pandas, polars or pyarrow table, array or list of lists; n at least 2
        y : ignored

        Raises
        ------
        ValueError, TypeError
            For parameters, shapes, names or cells that cannot be used; the message names them.

        Whatever is raised, an interrupt too, leaves what was fitted before as it was.
        """
        fresh = object.__new__(type(self))
        fresh.__dict__.update(vars(self))
        fresh._check_parameters()
        fresh._deadline = Deadline(self.max_time)
        with reported(self.verbose, fresh._deadline.left) as fresh._progress:
            fresh._fit_model(X)
        del fresh._deadline, fresh._progress
        self.__dict__ = fresh.__dict__
        return self

    def _fit_model(self, X: Any) -> Table:
        """Learn schema and model from X; return the encoded table."""
        self._tell("reading the table")
        frame, back = read_frame(X)
        self._check_size(frame)
        validate_data(self, as_table(X), skip_check_array=True)
        source = self._source(frame)
        self.schema_, encoded = source.schema(), source.encoded
        name = type(self).__name__
        advise(source, name)
        missing = missing_cells(encoded.observed, encoded.free_text)
        self.missing_features_ = np.flatnonzero(missing.any(0))
        cells = source.cells(cut(source.n_rows))
        self.model_, self.history_ = fit_model(self._config(), *cells, self._options())
        asked = self.n_estimators if self.max_iter != 0 else 0
        warn_of_networks(name, asked, self.history_, self.max_time, frame.shape[1])
        self.n_iter_ = self._n_epochs()
        return Table(frame, back, *encoded)

    def _n_epochs(self) -> int:
        return max([int(record["epoch"]) for record in self.history_], default=0)

    def _source(self, frame: pd.DataFrame) -> FrameSource:
        """Return the rows of a frame, and the schema that it suggests."""
        name = type(self).__name__
        return FrameSource(frame, self.categorical_features, self.missing_values, name)

    def _encoded(self, frame: pd.DataFrame) -> tuple[Schema, np.ndarray, np.ndarray]:
        """Return the schema that a frame suggests, and its values and observed cells (n, F)."""
        source = self._source(frame)
        return source.schema(), *source.cells()

    def _read(self, X: Any) -> Table:
        """Return X encoded as in fit; nothing is learned from it."""
        check_is_fitted(self, "model_")
        frame, back = read_frame(X)
        self._check_size(frame, least=1)
        validate_data(self, as_table(X), reset=False, skip_check_array=True)
        names = self.schema_.names()
        if not self._fit_saw_names() or not (hasattr(X, "columns") or hasattr(X, "column_names")):
            frame = frame.set_axis(pd.Index(names, tupleize_cols=False), axis=1)
        return Table(frame, back, *encode_checked(frame, self.schema_, self.missing_values))

    def _fit_saw_names(self) -> bool:
        """Whether the columns had names in fit: scikit-learn keeps those that are text."""
        return hasattr(self, "feature_names_in_") or not _are_text(self.schema_.names())

    def _skill(self, X: Any) -> float:
        """Return the skill at cells hidden by a seed of its own; see MAEImputer.score."""
        table = self._read(X)
        drawn = np.random.default_rng(SCORE_SEED).random(table.values.shape)
        hidden = table.observed & (drawn < SCORE_FRACTION)
        filled = self._points(table._replace(observed=table.observed & ~hidden))
        known = ~self.schema_.is_free_text()
        values, filled, hidden = (x[:, known] for x in (table.values, filled, hidden))
        return skill(values, filled, hidden, self.schema_.is_number()[known])

    def _run(self, table: Table, apply: Any, **options: Any) -> np.ndarray:
        """Return what `apply` says, (..., n, F...), computed only for rows that miss something."""
        rows = np.flatnonzero(~(table.observed | self.schema_.is_free_text()).all(1))
        windows = cut(len(rows))
        device = pick_device(self.device)
        values, observed = table.values[rows], table.observed[rows]
        said = apply(self.model_, take(values, windows), take(observed, windows), device, **options)
        if apply is not predict_quantiles:
            said = said[None]
        out = np.zeros((len(said), len(table.values), *said.shape[3:]), np.float32)
        for one, result in zip(said, out, strict=True):
            result[rows] = merge(one, windows, len(rows))
        return out

    def _points(self, table: Table) -> np.ndarray:
        return self._run(table, predict)[0]

    def _check_cells(self, observed: np.ndarray) -> None:
        if not observed.any():
            raise ValueError(f"{type(self).__name__} cannot learn from X: no cell is observed.")

    def _check_size(self, frame: pd.DataFrame, least: int = 2) -> None:
        """Refuse tables with too little in them, in scikit-learn's words."""
        shape = f"(shape={frame.shape}) while a minimum of"
        if frame.shape[1] < 1:
            raise ValueError(f"Found array with 0 feature(s) {shape} 1 is required.")
        if len(frame) < least:
            raise ValueError(
                f"Found array with {len(frame)} sample(s) {shape} {least} is required "
                f"by {type(self).__name__}."
            )

    def _config(self) -> ModelConfig:
        return ModelConfig(
            n_levels=self.schema_.n_modelled(),
            width=self.width,
            n_heads=self.n_heads,
            n_encoder_layers=self.n_layers,
            n_decoder_layers=self.n_layers,
            dropout=self.dropout,
            backbone=self.backbone,
            loss=self.loss,
            n_estimators=self.n_estimators,
        )

    def _tell(self, what: str) -> None:
        """Report what is being done."""
        if self._progress is not None:
            self._progress(what)

    def _options(self) -> FitOptions:
        masking = self.masking
        if isinstance(masking, str):
            masking = MASKINGS[masking](ratio=self.mask_ratio)
        options = FitOptions(
            masking=masking,
            max_iter=self.max_iter,
            deadline=self._deadline.part(self._share_of_model),
            batch_size=self.batch_size,
            learning_rate=self.learning_rate_init,
            weight_decay=self.weight_decay,
            validation_fraction=self.validation_fraction,
            n_iter_no_change=self.n_iter_no_change,
            visible_weight=self.visible_weight,
            seed=seed_of(self.random_state, type(self).__name__),
            device=pick_device(self.device),
        )
        if self._progress is None:
            return options
        return replace(options, on_record=self._progress.record, on_progress=self._progress)

    def _check_parameters(self) -> None:
        """Refuse what the parameters cannot be, one clear error for the first."""
        self._check_number("mask_ratio", 0, 1, "in [0, 1)", below=True)
        self._check_number("dropout", 0, 1, "in [0, 1)", below=True)
        self._check_number("validation_fraction", 0, 1, "in [0, 1)", below=True)
        self._check_number("visible_weight", 0, np.inf, "a number that is not negative")
        self._check_number("weight_decay", 0, np.inf, "a number that is not negative")
        self._check_number("learning_rate_init", 1e-12, np.inf, "a positive number")
        for name in ("n_estimators", "width", "n_heads", "n_layers", "batch_size"):
            self._check_number(name, 1, np.inf, "an int of at least 1", whole=True)
        self._check_number("n_iter_no_change", 1, np.inf, "an int of at least 1", whole=True)
        self._check_number("verbose", 0, np.inf, "an int of at least 0", whole=True)
        if self.max_iter is not None:
            self._check_number("max_iter", 0, np.inf, "None or an int of at least 0", whole=True)
        if self.max_time is not None:
            self._check_number("max_time", 1e-12, np.inf, "None or a positive number of seconds")
        self._check_choice("loss", LOSSES)
        self._check_choice("backbone", BACKBONES)
        if not isinstance(self.masking, Masking):
            self._check_choice("masking", tuple(MASKINGS), " or an object of maetab.nn.masking")
        if self.width % self.n_heads:
            raise ValueError(
                f"The 'width' parameter of {type(self).__name__} must be a multiple of "
                f"n_heads={self.n_heads}, got {self.width}."
            )

    def __getstate__(self) -> dict[str, Any]:
        """Return the state with the model as NumPy arrays, so that it opens on any machine."""
        state = dict(super().__getstate__())
        if isinstance(state.get("model_"), Ensemble):
            state["model_"] = pack(state["model_"])
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        packed = state.get("model_")
        if isinstance(packed, dict):
            state = state | {"model_": unpack(packed)}
        super().__setstate__(state)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags


def _are_text(names: list) -> bool:
    return all(isinstance(name, str) for name in names)


# For the docstrings of the estimators.
PARAMETERS, ATTRIBUTES = (
    part.partition("----------")[2].strip()
    for part in (BaseMAE.__doc__ or "Attributes").split("Attributes", 1)
)
