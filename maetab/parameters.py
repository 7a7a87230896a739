"""The parameters that all estimators share: what they mean, and one clear error for a wrong one."""

from __future__ import annotations

import os
import re
from numbers import Integral, Real
from typing import Any

import numpy as np

from maetab.data.advice import warn

# For the docstrings of the estimators; `with_defaults` says there what the defaults are.
PARAMETERS = """mask_ratio : float, in [0, 1)
        Expected share of the observed cells that is hidden in a training step.
    masking : str or masking object
        Which cells are hidden together: "auto", "bernoulli", "fixed", "block", "copy",
        "proportional" or "gaps"; "auto" is "gaps" of many shapes for series, with `window`, else
        "bernoulli". An object of maetab.nn.masking, or one of your own that
        follows its Protocol `Masking`, brings its own ratio.
    loss : "distribution", "mse", "mae" or "cosine", or a loss object
        "distribution" learns the probabilities of 32 quantile bins of a number (Lee et al. 2024),
        of series its mean and standard deviation; the others learn points. Categories are learned
        by cross-entropy with all of these. An object follows maetab.nn.losses.Loss.
    backbone : "auto", "transformer", "mlp" or "linear", or a class
        What encoder and decoder are made of; "auto" is "mlp" for tables, which errs less in the
        same time, and "transformer" for series and in MAEEncoder, whose tokens can be read. A class
        follows maetab.nn.backbones.Backbone.
    guess : "gaussian", a class, or maetab.nn.guess.options.GuessOptions
        The closed-form base of the first guess, which similar rows correct. A class follows
        maetab.nn.guess.gaussian.BaseGuess.
    preset : "fast", "balanced" or "best"
        How much time `fit` may spend on a better model: how long the first guess learns which rows
        are alike, how many members the network has, and how long it learns; of series the network
        takes most of the time. It decides what is left open, as None or as the name of a `guess`;
        what is given counts. The guide's page on time says what each takes and brings.
    n_estimators : None or int, at least 1
        Members of the network, which share its weights, see tokens by random signs of their own,
        and are averaged. None takes as many as the preset says for the backbone.
    width : int, a multiple of `n_heads`
        Numbers in the token of a cell.
    n_heads : int, at least 1
        Attention heads.
    n_layers : int, at least 1
        Blocks in each of encoder and decoder.
    dropout : float, in [0, 1)
        Share of the units dropped in a training step.
    visible_weight : float, not negative
        What a visible cell counts in the loss; a hidden one counts 1.
    max_iter : None or int, at least 0
        Epochs of the network, passes over the rows, at most. None takes a number that suits the
        rows, if the preset trains a network; 0 trains none and leaves the closed-form first guess
        alone.
    max_time : None or float, in seconds
        Limit of all that `fit` does, from reading the table to calibration. The first guess may
        take up to 60 % of it; the network trains in what is left, with fewer steps, and passes
        over held-out cells look at fewer rows. A network for whose least there is no time is left
        out, with a warning. Only the least of the first guess (one look at the table, one step of
        its tuning, one batch of its stacking) is done at any price. Limits depend on the speed of
        the machine, and so do results where they act. What is fitted is used without a limit: the
        first guess compares each row with those that it remembers (up to 4096, of an imputer 8192;
        four times as many with preset="best"), a transformer the columns with each other. An
        interrupt (Ctrl-C) while the network trains ends its training as the limit would; without
        a limit, and at other times, it is raised, and nothing is fitted.
    batch_size : int, at least 1
        Rows, of series windows, in a training step, at most; wide ones come in fewer.
    learning_rate_init : None or float, positive
        Of AdamW. It warms up and falls along a cosine. None is 6e-3 for an "mlp", else 3e-3.
    weight_decay : float, not negative
        Of AdamW.
    validation_fraction : float, in [0, 1)
        Share of the observed cells that is held out to stop in time, to weigh the network
        against the first guess, and to calibrate; of 30 windows or more gaps in the last fifth.
    n_iter_no_change : int, at least 1
        Looks at the held-out cells (about 12 in a full run) without gain before the network stops.
    warm_start : bool
        Whether a further `fit` goes on from the model that was fitted before: what row attention
        and the network have learned is where they begin, and the best of what held-out cells were
        asked about is kept. All else (scales, the Gaussian, the rows that are remembered,
        calibration) is that of the new rows alone, so give old ones again where they count. Columns
        and the levels of categories must be as before.
    window : None, "auto", int or duration such as "24h"
        None takes rows as independent of each other. Else they are series, and cells are predicted
        from those of so many consecutive steps, or of a span of time. "auto" is two periods that
        the data show, else 24 to 400 steps, about twice the usual gap; such a window is shortened
        to at most 1000 cells, first to one period. Rows may come in any order, and stamps may be
        missing. Where all are Mondays to Fridays, steps are working days.
    time : None or a column (of arrays its position), or a level of the index
        When the rows are: times, durations or numbers. None takes a DatetimeIndex, PeriodIndex or
        TimedeltaIndex where X has one, else the order of the rows. Only with `window`.
    groups : None, or one or several columns (of arrays positions) or levels of the index
        Which series a row belongs to; None for one series. Only with `window`. Columns of times and
        groups stand in the output as they are, and the model does not see them. Columns with one
        value in each series are told from it: a missing cell gets that value, or one predicted for
        the whole series.
    categorical_features : "auto", sequence of column names or positions, or of a bool per column
        Columns that are categories besides those of category, text and boolean dtype. Text whose
        different values are more than 20 and more than half of its observed cells is taken for
        free text or identifiers unless it is named here: the model does not see such a column, and
        its cells stay as they are, missing ones too. Numbers are never taken for identifiers.
    missing_values : scalar or list of scalars
        What counts as missing besides NaN, None, NA and NaT, which always do.
    checkpoint : None or a folder
        Where `fit` leaves what it has done: the first guess, and the network after each look at the
        held-out cells. A fit that was killed goes on from there when it is called again with the
        same table and parameters, of which device, max_time and verbose may differ, and ends as if
        nothing had happened. What another fit has left there is refused. When the fit is done, what
        it left is removed. Needs an int as `random_state`.
    device : "auto" or a name that torch knows
        "auto" is CUDA where there is one, else the CPU.
    random_state : None, int or numpy.random.RandomState
        An int makes results repeatable.
    verbose : int, not negative
        1 or more reports what fit is doing, and about how long it will take, as lines on stderr,
        one that moves on a terminal. A handler of the logger "maetab" at level INFO gets these
        messages in place of stderr, also with 0."""

ATTRIBUTES = """schema_ : Schema, kinds, levels and ranges of the columns
    timeline_ : Timeline, how rows lie in time, None without `window`: `n_steps` of a window, `step`
        from one to the next in its `unit` (of seconds, months, ...), `period` in steps or None
    model_ : torch.nn.Module of first guess and network, on the CPU
    history_ : list of dict, one per look at the held-out cells while training: step, epoch,
        train_loss, validation_loss, learning_rate, and seconds since training began
    missing_features_ : positions of the columns that had missing cells in fit
    n_iter_ : epochs of the longest training, 0 where no network was trained; of a detector, one
        more for the pass that calibrates its scores
    n_samples_fit_ : rows of the table that was learned from; of one in parts those that were drawn
    n_features_in_ : columns seen in fit
    feature_names_in_ : their names, if all are text"""


SECTION = re.compile(r"^( *)Parameters\n\1-+\n(.*?)(?=\n\1[A-Z][\w ]+\n\1---|\Z)", re.M | re.S)


def with_defaults(text: str | None, owner: type) -> str | None:
    """Return a numpydoc docstring with what each parameter is by default, as the class has it.

    Entries that say so themselves stay as they are, as do those of names without a default.

    >>> class Sized:
    ...     size: int = 3
    >>> print(with_defaults("Parameters\\n----------\\nsize : int\\n    Of it.", Sized))
    Parameters
    ----------
    size : int, default=3
        Of it.
    """
    found = SECTION.search(text or "")
    if text is None or found is None:
        return text
    entry = re.compile(rf"^{found[1]}(\w+(?:, \w+)*) : .*$", re.M)

    def told(line: re.Match[str]) -> str:
        names = [name for name in line[1].split(", ") if hasattr(owner, name)]
        values = list(dict.fromkeys(repr(getattr(owner, name)) for name in names))
        known = not values or "default" in line[0]
        return line[0] if known else f"{line[0]}, default={' and '.join(values)}"

    start, end = found.span(2)
    return text[:start] + entry.sub(told, text[start:end]) + text[end:]


class CheckedParameters:
    """An object whose attributes can be checked; the errors name class, parameter and value."""

    width: int
    n_heads: int
    n_estimators: int | None
    learning_rate_init: float | None
    max_iter: int | None
    max_time: float | None
    window: int | str | None
    checkpoint: str | os.PathLike | None
    random_state: Any

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.__doc__ = with_defaults(cls.__dict__.get("__doc__"), cls)

    def _refuse_unless(self, fits: bool, name: str, words: str) -> None:
        if not fits:
            raise _wrong(name, type(self).__name__, words, getattr(self, name))

    def _check_number(
        self, name: str, least: float, most: float, words: str, *, whole: bool = False
    ) -> None:
        value = getattr(self, name)
        fits = _is_number(value, Integral if whole else Real) and least <= value <= most
        self._refuse_unless(fits, name, words)

    def _check_shared_numbers(self) -> None:
        """Refuse what the numbers among the shared parameters cannot be."""
        self._check_shares("mask_ratio", "dropout", "validation_fraction")
        for name in ("visible_weight", "weight_decay"):
            self._check_number(name, 0, np.inf, "a number that is not negative")
        if self.learning_rate_init is not None:
            self._check_number("learning_rate_init", 1e-12, np.inf, "None or a positive number")
        for name in ("width", "n_heads", "n_layers", "batch_size"):
            self._check_number(name, 1, np.inf, "an int of at least 1", whole=True)
        self._check_flags("warm_start")
        self._check_number("n_iter_no_change", 1, np.inf, "an int of at least 1", whole=True)
        self._check_number("verbose", 0, np.inf, "an int of at least 0", whole=True)
        if self.n_estimators is not None:
            words = "None or an int of at least 1"
            self._check_number("n_estimators", 1, np.inf, words, whole=True)
        if self.max_iter is not None:
            self._check_number("max_iter", 0, np.inf, "None or an int of at least 0", whole=True)
        if self.max_time is not None:
            self._check_number("max_time", 1e-12, np.inf, "None or a positive number of seconds")
        is_multiple = self.width % self.n_heads == 0
        self._refuse_unless(is_multiple, "width", f"a multiple of n_heads={self.n_heads}")

    def _check_cells(self, observed: np.ndarray) -> None:
        if not observed.any():
            raise ValueError(f"{type(self).__name__} cannot learn from X: no cell is observed.")

    def _check_checkpoint(self) -> None:
        """Refuse what is no folder, and seeds that a fit that goes on would not have again."""
        if self.checkpoint is None:
            return
        fits = isinstance(self.checkpoint, str | os.PathLike)
        self._refuse_unless(fits, "checkpoint", "None or a folder")
        if not _is_number(self.random_state, Integral):
            raise ValueError(
                f"checkpoint={str(self.checkpoint)!r} needs an int as random_state, so that a fit "
                f"that goes on draws what it drew before; got {self.random_state!r}."
            )

    def _check_series(self) -> None:
        """Refuse times or groups without a window; the timeline checks what they are."""
        for name in ("time", "groups"):
            value = getattr(self, name)
            if self.window is None and value is not None:
                raise ValueError(
                    f"The {name!r} parameter of {type(self).__name__} acts with window='auto', an "
                    f"int of steps or a duration such as '24h' only, got {name}={value!r} and "
                    f"window=None, which takes rows as independent of each other."
                )

    def _check_shares(self, *names: str) -> None:
        for name in names:
            self._check_number(name, 0, np.nextafter(1, 0), "in [0, 1)")

    def _check_flags(self, *names: str) -> None:
        for name in names:
            fits = isinstance(getattr(self, name), bool | np.bool_)
            self._refuse_unless(fits, name, "True or False")

    def _check_choice(self, name: str, choices: tuple[str, ...], more: str = "") -> None:
        value = getattr(self, name)
        fits = isinstance(value, str) and value in choices
        self._refuse_unless(fits, name, f"one of {', '.join(map(repr, choices))}{more}")


def _wrong(name: str, owner: str, words: str, value: Any) -> ValueError:
    """Return the error that a parameter of the class `owner` is not what it must be."""
    return ValueError(f"The {name!r} parameter of {owner} must be {words}, got {value!r}.")


def _is_number(value: Any, kind: type = Real) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def refuse_to_change(
    name: str, parameters: dict[str, Any], fitted: dict[str, Any], fixed: set[str]
) -> None:
    """Raise a ValueError that names the `parameters` that are among `fixed` and not as `fitted`.

    `name` is the class that is made from a fitted estimator; `fixed` act in fit alone.
    """
    wrong = [
        f"{key}={value!r} (fitted with {fitted[key]!r})"
        for key, value in parameters.items()
        if key in fixed and not np.array_equal(value, fitted[key])
    ]
    if wrong:
        raise ValueError(
            f"{name}.from_fitted cannot change {', '.join(wrong)}: that acts in fit alone. "
            f"Fit again, or change only {', '.join(sorted(set(fitted) - fixed))}."
        )


def check_count(name: str, value: Any) -> None:
    """Raise a ValueError that names the argument unless it is an int of at least 1."""
    if not _is_number(value, Integral) or value < 1:
        raise ValueError(f"{name} must be an int of at least 1, got {value!r}.")


def check_size(shape: tuple[int, ...], least: int, name: str) -> None:
    """Refuse tables with too little in them, in scikit-learn's words."""
    found = f"(shape={shape}) while a minimum of"
    if shape[1] < 1:
        raise ValueError(f"Found array with 0 feature(s) {found} 1 is required.")
    if shape[0] < least:
        raise ValueError(
            f"Found array with {shape[0]} sample(s) {found} {least} is required by {name}."
        )


def check_contamination(value: Any) -> None:
    """Raise a ValueError unless the value is "auto" or a share of at most a half."""
    if not (value == "auto" if isinstance(value, str) else _is_number(value) and 0 < value <= 0.5):
        raise _wrong("contamination", "MAEAnomalyDetector", "'auto' or in (0, 0.5]", value)


def seed_of(random_state: Any, estimator_name: str) -> int:
    """Return a seed; the global NumPy state is neither read nor moved."""
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    if random_state is None:
        return int(np.random.default_rng().integers(2**31 - 1))
    if isinstance(random_state, Integral) and 0 <= int(random_state) < 2**32:
        return int(random_state)
    words = "None, an int in [0, 2**32) or a numpy.random.RandomState"
    raise _wrong("random_state", estimator_name, words, random_state)


def warn_of_network(name: str, max_time: float | None, n_columns: int) -> None:
    """Warn that `max_time` was too short for a network."""
    warn(
        f"{name}: within max_time={max_time:g} s no network was trained ({n_columns} columns); the "
        f"first guess alone will be used. A larger max_time lets the network train; max_iter=0 "
        f"leaves it out without this warning."
    )
