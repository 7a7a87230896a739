"""What fit says of a table: columns of which little can be learned, networks left out."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING

import numpy as np

from maetab.data.schema import MAX_LEVELS, Schema

if TYPE_CHECKING:
    from maetab.base import BaseMAE

OURS = ("maetab", "sklearn")  # packages that a warning does not point into
MAX_SAID = 10  # columns that one warning names


def warn_of_columns(schema: Schema, observed: np.ndarray, name: str) -> None:
    """Say once which columns are kept although little can be learned from them."""
    said = []
    for column, seen in zip(schema.columns, observed.T, strict=True):
        n_levels = len([count for count in column.counts if count])
        if not seen.any():
            said.append(f"column {column.name!r} has no observed cell to learn from")
        elif n_levels > MAX_LEVELS:
            said.append(
                f"column {column.name!r} has {n_levels} levels; the {column.n_modelled} "
                f"most frequent are told apart"
            )
        elif len(seen) > 2 and (column.lower == column.upper if not n_levels else n_levels < 2):
            said.append(f"column {column.name!r} is constant")
    if len(said) > MAX_SAID:
        said[MAX_SAID:] = [f"so it is with {len(said) - MAX_SAID} more columns"]
    if said:
        _warn(f"{name}: {'; '.join(said)}.")


def warn_of_networks(estimator: BaseMAE) -> None:
    """Say it if `max_time` was too short for the networks that were asked for."""
    asked, n_columns = estimator.n_estimators, len(estimator.schema_.columns)
    n_begun = len({record["network"] for record in estimator.history_})
    if estimator.max_iter == 0 or n_begun == asked:
        return
    which = f"{n_begun} of {asked} networks" if n_begun else "no network"
    _warn(
        f"{type(estimator).__name__}: max_time={estimator.max_time:g} was enough for {which} of "
        f"{n_columns} columns; {'these were' if n_begun else 'the first guess alone was'} fitted. "
        f"A larger max_time, fewer columns or backbone='mlp' lets networks train; max_iter=0 "
        f"leaves them out without this warning."
    )


def _warn(text: str) -> None:
    warnings.warn(text, UserWarning, stacklevel=_depth())


def _depth() -> int:
    """Return the stacklevel at which a warning points to the caller of the package."""
    depth, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals["__name__"].split(".")[0] in OURS:
        depth, frame = depth + 1, frame.f_back
    return depth
