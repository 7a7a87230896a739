"""Peers of `benchmarks.labels` from other packages, at their default settings.

CatBoost (Prokhorenkova et al. 2018) reads missing numbers itself; RealMLP (Holzmüller et al. 2024,
of the package pytabkit) stands behind the median. A missing category is a level of its own.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch

from benchmarks.coding import is_number
from benchmarks.probe import Predict, spread

PACKAGES = {"CatBoost": "catboost", "RealMLP": "pytabkit"}


def catboost(train: pd.DataFrame, y: np.ndarray, kind: str, seed: int) -> Predict:
    """Return CatBoost, learned from labelled rows."""
    module, labelled = importlib.import_module("catboost"), train[: len(y)]
    names = _names_of_categories(train)
    options = {
        "random_seed": seed,
        "thread_count": torch.get_num_threads(),
        "cat_features": names,
        "verbose": False,
        "allow_writing_files": False,
    }
    make = module.CatBoostRegressor if kind == "regression" else module.CatBoostClassifier
    return _fitted(make(**options).fit(_levels(labelled, names), y), y, lambda x: _levels(x, names))


def real_mlp(train: pd.DataFrame, y: np.ndarray, kind: str, seed: int) -> Predict:
    """Return RealMLP with its tuned defaults, learned from labelled rows."""
    module, names = importlib.import_module("pytabkit"), _names_of_categories(train)
    medians = train.drop(columns=names).median()

    def coded(frame: pd.DataFrame) -> pd.DataFrame:
        return _levels(frame.fillna(medians), names).astype(dict.fromkeys(names, "category"))

    named = f"RealMLP_TD_{'Regressor' if kind == 'regression' else 'Classifier'}"
    threads = torch.get_num_threads()
    model = getattr(module, named)(device="cpu", random_state=seed, n_threads=threads)
    return _fitted(model.fit(coded(train[: len(y)]), y), y, coded)


def _names_of_categories(frame: pd.DataFrame) -> list[str]:
    return [name for name in frame if not is_number(frame[name])]


def _levels(frame: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Return the frame with categories as text, of which a missing one is a level."""
    return frame.assign(**{name: frame[name].fillna("missing").astype(str) for name in names})


def _fitted(model, y: np.ndarray, code: Callable) -> Predict:
    """Return numbers, or (n, K) probabilities of the codes up to the largest, as a predictor."""
    if not hasattr(model, "predict_proba"):
        return lambda frame: np.asarray(model.predict(code(frame)), np.float64).reshape(-1)

    n_classes = int(y.max()) + 1
    return lambda frame: spread(model, code(frame), n_classes)


LABEL_PEERS: dict[str, Callable[..., Predict]] = {"CatBoost": catboost, "RealMLP": real_mlp}
