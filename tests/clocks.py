"""A clock that moves with the rows that are computed."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from maetab.nn.guess.gaussian import Gaussian
from maetab.nn.guess.memory import RowMemory
from maetab.nn.guess.window_gaussian import WindowGaussian
from maetab.nn.network import Network


@dataclass
class Clock:
    """Seconds that pass with each row that one of the parts computes."""

    prices: dict[str, float]
    now: float = 100.0
    rows: dict[str, int] = field(default_factory=dict)
    spent: float = 0.0

    def __call__(self) -> float:
        return self.now

    def pay(self, name: str, n_rows: int) -> None:
        self.rows[name] = self.rows.get(name, 0) + n_rows
        self.now += n_rows * self.prices.get(name, 0.0)


PARTS = {
    "em": (Gaussian, ("_condition_dense", "_factor_posterior")),
    "memory": (RowMemory, ("forward",)),
    "network": (Network, ("_encode",)),
    "windows": (WindowGaussian, ("forward", "expect")),
}


@pytest.fixture
def clocked(monkeypatch):
    """Make a clock that the rows computed move, at prices of each part."""

    def make(**prices: float) -> Clock:
        clock = Clock(prices)
        for name, (kind, methods) in PARTS.items():
            for method in methods:
                monkeypatch.setattr(kind, method, paying(clock, name, getattr(kind, method)))
        return clock

    return make


def paying(clock: Clock, name: str, method):
    def paid(self, first, *rest, **named):
        clock.pay(name, len(first))
        return method(self, first, *rest, **named)

    return paid


def numbers(n: int, f: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(n, 2)) @ rng.normal(size=(2, f)) + 0.3 * rng.normal(size=(n, f))
    observed = rng.random((n, f)) < 0.8
    return np.where(observed, values, 0).astype(np.float32), observed
