"""Checks of the parameters of an estimator: one clear error for what one cannot be; one warning."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np

from maetab.data.advice import warn


class CheckedParameters:
    """An object whose attributes can be checked; the errors name class, parameter and value."""

    def _check_number(
        self,
        name: str,
        least: float,
        most: float,
        words: str,
        *,
        below: bool = False,
        whole: bool = False,
    ) -> None:
        value = getattr(self, name)
        kind = Integral if whole else Real
        fits = isinstance(value, kind) and not isinstance(value, bool)
        if not fits or not least <= value <= most or (below and value >= most):
            raise ValueError(
                f"The {name!r} parameter of {type(self).__name__} must be {words}, got {value!r}."
            )

    def _check_flags(self, *names: str) -> None:
        for name in names:
            if not isinstance(getattr(self, name), (bool, np.bool_)):
                raise ValueError(
                    f"The {name!r} parameter of {type(self).__name__} must be True or False, "
                    f"got {getattr(self, name)!r}."
                )

    def _check_choice(self, name: str, choices: tuple[str, ...], more: str = "") -> None:
        value = getattr(self, name)
        if not isinstance(value, str) or value not in choices:
            listed = ", ".join(map(repr, choices))
            raise ValueError(
                f"The {name!r} parameter of {type(self).__name__} must be one of {listed}{more}, "
                f"got {value!r}."
            )


def refuse_to_change(
    name: str, parameters: dict[str, Any], fitted: dict[str, Any], fixed: set[str]
) -> None:
    """Raise a ValueError that names parameters which act in fit alone and differ.

    Parameters
    ----------
    name : of the class that is made from a fitted estimator
    parameters : that the user gives
    fitted : every parameter of the class, as it was in fit
    fixed : names of those that act in fit alone
    """
    wrong = [
        f"{key}={value!r} (fitted with {fitted[key]!r})"
        for key, value in parameters.items()
        if key in fixed and not np.array_equal(value, fitted[key])
    ]
    if wrong:
        free = ", ".join(sorted(set(fitted) - fixed))
        raise ValueError(
            f"{name}.from_fitted cannot change {', '.join(wrong)}: that acts in fit alone. "
            f"Fit again, or change only {free}."
        )


def check_count(name: str, value: Any) -> None:
    """Raise a ValueError that names the argument unless it is an int of at least 1."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be an int of at least 1, got {value!r}.")


def check_contamination(value: Any) -> None:
    """Raise a ValueError unless the value is "auto" or a share of at most a half."""
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not (isinstance(value, str) and value == "auto") and not (number and 0 < value <= 0.5):
        raise ValueError(
            f"The 'contamination' parameter of MAEAnomalyDetector must be 'auto' or in (0, 0.5], "
            f"got {value!r}."
        )


def seed_of(random_state: Any, estimator_name: str) -> int:
    """Return a seed; the global NumPy state is neither read nor moved."""
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    if random_state is None:
        return int(np.random.default_rng().integers(2**31 - 1))
    if isinstance(random_state, Integral) and 0 <= int(random_state) < 2**32:
        return int(random_state)
    raise ValueError(
        f"The 'random_state' parameter of {estimator_name} must be None, an int in [0, 2**32) "
        f"or a numpy.random.RandomState, got {random_state!r}."
    )


def warn_of_networks(
    name: str, asked: int, history: list[dict[str, float]], max_time: float | None, n_columns: int
) -> None:
    """Warn if `max_time` was too short for the networks that were asked for.

    Parameters
    ----------
    name : of the estimator
    asked : number of networks
    history : of those that were begun
    """
    begun = len({record["network"] for record in history})
    if begun == asked:
        return
    trained = f"{begun} of {asked} networks were" if begun else "no network was"
    used = "these" if begun else "the first guess alone"
    warn(
        f"{name}: within max_time={max_time:g} s {trained} trained ({n_columns} columns); {used} "
        f"will be used. A larger max_time lets more networks train; max_iter=0 leaves them out "
        f"without this warning."
    )
