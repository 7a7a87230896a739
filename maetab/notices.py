"""Warnings about what was fitted, which point to the caller of the package."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from maetab.base import BaseMAE

OURS = ("maetab", "sklearn")  # packages that a warning does not point into


def warn_of_networks(estimator: BaseMAE) -> None:
    """Say it if `max_time` was too short for the networks that were asked for."""
    asked, n_columns = estimator.n_estimators, len(estimator.schema_.columns)
    n_begun = len({record["network"] for record in estimator.history_})
    if estimator.max_iter == 0 or n_begun == asked:
        return
    which = f"{n_begun} of {asked} networks" if n_begun else "no network"
    warnings.warn(
        f"{type(estimator).__name__}: max_time={estimator.max_time:g} was enough for {which} of "
        f"{n_columns} columns; {'these were' if n_begun else 'the first guess alone was'} fitted. "
        f"A larger max_time, fewer columns or backbone='mlp' lets networks train; max_iter=0 "
        f"leaves them out without this warning.",
        UserWarning,
        stacklevel=depth(),
    )


def depth() -> int:
    """Return the stacklevel at which a warning points to the caller of the package."""
    depth, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals["__name__"].split(".")[0] in OURS:
        depth, frame = depth + 1, frame.f_back
    return depth
