"""Encodings of tables behind one door: `ENCODINGS[method](train, seed)` gives frame -> features.

All but those of maetab stand behind median imputation (the most frequent level of a category).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA

from benchmarks.coding import is_number
from maetab import MAEEncoder

Encode = Callable[[pd.DataFrame], np.ndarray]
N_PIECES, N_WAVES, N_COMPONENTS = 32, 512, 16
OURS = (
    "maetab", "maetab, swap noise", "maetab, tokens only", "maetab, 512 components",
    "maetab, from_fitted", "random encoder", "fine-tuned", "hidden cell",
)  # fmt: skip


class Plain:
    """Imputed numbers, standardised, and indicators of levels seen at least twice."""

    def __init__(self, train: pd.DataFrame) -> None:
        self.numbers = [c for c in train if is_number(train[c])]
        self.median = train[self.numbers].median().fillna(0.0)
        filled = train[self.numbers].fillna(self.median)
        self.center, self.scale = filled.mean(), filled.std(ddof=0).replace(0, 1)
        self.levels = {}
        for label in train.columns.difference(self.numbers, sort=False):
            counts = train[label].value_counts()
            self.levels[label] = (counts.index[0], counts.index[counts > 1])

    def number(self, frame: pd.DataFrame) -> np.ndarray:
        """Return (n, numbers)."""
        filled = frame[self.numbers].fillna(self.median)
        return ((filled - self.center) / self.scale).to_numpy(np.float64)

    def indicators(self, frame: pd.DataFrame) -> np.ndarray:
        """Return (n, levels of all categories)."""
        parts = [np.zeros((len(frame), 0))]
        for label, (first, levels) in self.levels.items():
            cells = frame[label].where(frame[label].notna(), first)
            parts.append(np.stack([cells == level for level in levels], 1).astype(float))
        return np.concatenate(parts, 1)

    def __call__(self, frame: pd.DataFrame) -> np.ndarray:
        return np.concatenate([self.number(frame), self.indicators(frame)], 1)


def raw(train: pd.DataFrame, seed: int) -> Encode:
    """Return numbers standardised and categories as indicators."""
    return Plain(train)


def piecewise(train: pd.DataFrame, seed: int) -> Encode:
    """Return numbers in quantile pieces (Gorishniy et al. 2022), categories as indicators."""
    plain = Plain(train)
    steps = np.linspace(0, 1, N_PIECES + 1)
    edges = [np.unique(np.quantile(column, steps)) for column in plain.number(train).T]

    def encode(frame: pd.DataFrame) -> np.ndarray:
        parts = [
            ((column[:, None] - edge[:-1]) / np.diff(edge)).clip(0, 1)
            for column, edge in zip(plain.number(frame).T, edges, strict=True)
        ]
        return np.concatenate([*parts, plain.indicators(frame)], 1)

    return encode


def waves(train: pd.DataFrame, seed: int) -> Encode:
    """Return raw beside random Fourier features of it (Rahimi and Recht 2007)."""
    plain, rng = Plain(train), np.random.default_rng(seed)
    size = plain(train).shape[1]
    weight, phase = (
        rng.normal(size=(size, N_WAVES)) / np.sqrt(size),
        rng.uniform(0, 2 * np.pi, N_WAVES),
    )

    def encode(frame: pd.DataFrame) -> np.ndarray:
        x = plain(frame)
        return np.concatenate([x, np.cos(x @ weight + phase)], 1)

    return encode


def principal(train: pd.DataFrame, seed: int) -> Encode:
    """Return the first principal components of raw."""
    plain = Plain(train)
    x = plain(train)
    found = PCA(min(N_COMPONENTS, *x.shape), random_state=seed).fit(x)
    return lambda frame: found.transform(plain(frame))


def ours(**parameters: object) -> Callable[[pd.DataFrame, int], Encode]:
    """Return how to make an encoding by MAEEncoder."""

    def make(train: pd.DataFrame, seed: int) -> Encode:
        encoder = MAEEncoder(random_state=seed, **parameters).fit(train)
        return lambda frame: np.asarray(encoder.transform(frame))

    return make


ENCODINGS: dict[str, Callable[[pd.DataFrame, int], Encode]] = {
    "raw": raw,
    "piecewise linear": piecewise,
    "random Fourier": waves,
    "PCA": principal,
    "random encoder": ours(max_iter=0),
    "maetab": ours(),
    "maetab, swap noise": ours(swap_ratio=0.15),
    "maetab, tokens only": ours(add_raw=False),
    "maetab, 512 components": ours(n_components=512),
}
