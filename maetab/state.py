"""The state of an estimator: how it is pickled, and another with the same."""

from __future__ import annotations

from typing import Any, TypeVar

from maetab.engine.packed import pack, unpack
from maetab.nn.ensemble import Ensemble

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
