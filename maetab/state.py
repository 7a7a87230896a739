"""The state of an estimator: how it is pickled, and another with the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import pandas as pd

from maetab.data.schema import Schema, infer_schema
from maetab.engine.packed import pack, unpack
from maetab.nn.ensemble import Ensemble

if TYPE_CHECKING:
    from maetab.base import BaseMAE

Estimator = TypeVar("Estimator")


class PackedState:
    """An estimator of scikit-learn that is pickled with its model as NumPy arrays, so that it opens
    on any machine.
    """

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = dict(super().__getstate__())  # type: ignore[call-overload]
        if isinstance(state.get("model_"), Ensemble):
            state["model_"] = pack(state["model_"])
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        packed = state.get("model_")
        if isinstance(packed, dict):
            state = state | {"model_": unpack(packed)}
        super().__setstate__(state)  # type: ignore[misc]


def twin_of(estimator: Estimator) -> Estimator:
    """Return another estimator with the same attributes, which can be given others."""
    twin: Estimator = object.__new__(type(estimator))
    twin.__dict__.update(vars(estimator))
    return twin


class Before(NamedTuple):
    """What was fitted before, for a fit that goes on from it."""

    model: Ensemble
    schema: Schema


def before_of(estimator: BaseMAE) -> Before | None:
    """Return what an estimator goes on from; None unless it is fitted and `warm_start` says so."""
    if not estimator.warm_start or not hasattr(estimator, "model_"):
        return None
    return Before(estimator.model_, estimator.schema_)


def known_schema(estimator: BaseMAE, frame: pd.DataFrame, *given: Any) -> Schema | None:
    """Return the schema of a frame, as far as it is known before the frame is read.

    That of the whole table, where the frame is a part of it; levels as before, in a fit that goes
    on. None where nothing is known.

    Parameters
    ----------
    given : to `infer_schema`, besides the frame

    Raises
    ------
    ValueError
        A fit cannot go on with a column; see `Column.as_before`.
    """
    drawn, before = estimator._drawn, estimator._before
    whole = None if drawn is None else drawn.schema
    if before is None:
        return whole
    return (whole or infer_schema(frame, *given)).as_before(before.schema)
