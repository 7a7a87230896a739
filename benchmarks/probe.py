"""What is learned on top: linear probes with an inner choice of the penalty, and whole methods."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.model_selection import KFold, StratifiedKFold

from maetab import MAEEncoder

Predict = Callable[..., np.ndarray]
PENALTIES = {"ridge": 10.0 ** np.arange(-3, 3), "logistic": 10.0 ** np.arange(0, 4)}
FARTHEST = 10.0  # standard deviations; features beyond are clipped


class Metrics(NamedTuple):
    """Accuracy or R² (not below -1), and AUROC, one class against the rest, NaN for numbers."""

    score: float
    auroc: float


def judge(predicted: np.ndarray, truth: np.ndarray, kind: str) -> Metrics:
    """Return how good predictions are.

    Parameters
    ----------
    predicted : (n,) numbers, or (n, classes) probabilities
    truth : (n,) numbers or codes
    """
    if kind == "regression":
        return Metrics(max(r2_score(truth, predicted), -1.0), float("nan"))
    parts = [
        roc_auc_score(truth == k, chance)
        for k, chance in enumerate(predicted.T)
        if 0 < (truth == k).sum() < len(truth)
    ]
    return Metrics(float(np.mean(predicted.argmax(1) == truth)), float(np.mean(parts)))


def linear_probe(features: np.ndarray, y: np.ndarray, kind: str) -> Predict:
    """Return the predictor of a ridge or logistic regression, penalty by inner cross-validation."""
    rotate = _Rotation(features)
    x, n_classes = rotate(features), 0 if kind == "regression" else int(y.max()) + 1
    if n_classes:
        few = min(np.bincount(y)[np.unique(y)].min(), 3)
        folds = StratifiedKFold(max(few, 2), shuffle=True, random_state=0).split(x, y)
        fit, penalties = _logistic(n_classes), PENALTIES["logistic"]
    else:
        folds = KFold(4, shuffle=True, random_state=0).split(x)
        fit, penalties = _ridge, PENALTIES["ridge"]
    folds = list(folds)
    losses = [
        np.mean([_loss(fit(x[a], y[a], one)(x[b]), y[b]) for a, b in folds]) for one in penalties
    ]
    predict = fit(x, y, penalties[int(np.argmin(losses))])
    return lambda new: predict(rotate(new))


class _Rotation:
    """Standardised features on their principal axes: the same to an L2 penalty, and faster."""

    def __init__(self, features: np.ndarray) -> None:
        x = features.astype(np.float64)
        self.center, self.scale = x.mean(0), x.std(0)
        self.kept = self.scale > 1e-6
        x = self._standard(x)
        _, spread, axes = np.linalg.svd(x, full_matrices=False)
        self.axes = axes[spread > 1e-6 * max(spread[0], 1e-9)].T

    def __call__(self, features: np.ndarray) -> np.ndarray:
        return self._standard(features.astype(np.float64)) @ self.axes

    def _standard(self, x: np.ndarray) -> np.ndarray:
        x = (x[:, self.kept] - self.center[self.kept]) / self.scale[self.kept]
        return x.clip(-FARTHEST, FARTHEST) / np.sqrt(max(x.shape[1], 1))


def _ridge(x: np.ndarray, y: np.ndarray, penalty: float) -> Predict:
    return Ridge(penalty).fit(x, y).predict


def _logistic(n_classes: int) -> Callable[..., Predict]:
    """Return a fit whose predictor gives all classes a probability, also those not seen."""

    def fit(x: np.ndarray, y: np.ndarray, strength: float) -> Predict:
        model = LogisticRegression(C=strength, max_iter=200, tol=1e-3).fit(x, y)
        return lambda new: spread(model, new, n_classes)

    return fit


def spread(model: Any, x: Any, n_classes: int) -> np.ndarray:
    """Return (n, n_classes) probabilities of codes, next to nothing for those without a label."""
    out = np.full((len(x), n_classes), 1e-6)
    out[:, np.asarray(model.classes_, int)] = model.predict_proba(x)
    return out


def _loss(predicted: np.ndarray, truth: np.ndarray) -> float:
    if predicted.ndim == 1:
        return float(np.mean((predicted - truth) ** 2))
    return float(-np.log(predicted[np.arange(len(truth)), truth].clip(1e-6)).mean())


def boosted_trees(train: pd.DataFrame, y: np.ndarray, kind: str, seed: int) -> Predict:
    """Return the predictor of scikit-learn's gradient boosting, which reads missing cells."""
    levels = {c: train[c].dropna().unique() for c in train if train[c].dtype == object}

    def coded(frame: pd.DataFrame) -> pd.DataFrame:
        kinds = {c: pd.CategoricalDtype(seen) for c, seen in levels.items()}
        return frame.astype(kinds)

    if kind == "regression":
        model = HistGradientBoostingRegressor(random_state=seed)
        return _on(coded, model.fit(coded(train[: len(y)]), y).predict)
    classifier = HistGradientBoostingClassifier(random_state=seed)
    classifier.fit(coded(train[: len(y)]), y)
    n_classes = int(y.max()) + 1
    return _on(coded, lambda x: spread(classifier, x, n_classes))


def _on(code: Callable, predict: Predict) -> Predict:
    return lambda frame: predict(code(frame))


def fine_tuned(train: pd.DataFrame, y: np.ndarray, kind: str, seed: int) -> Predict:
    """Return the predictor of an encoder trained on all rows, then tuned on the labelled ones.

    A linear layer on the tokens of all cells; cells are hidden at random while tuning, so that
    missing ones are nothing new.
    """
    encoder = MAEEncoder(n_components=None, n_estimators=1, random_state=seed).fit(train)
    n_out = 1 if kind == "regression" else int(y.max()) + 1
    center, scale = (y.mean(), y.std()) if n_out == 1 else (0.0, 1.0)
    truth = (
        torch.tensor((y - center) / scale, dtype=torch.float32) if n_out == 1 else torch.tensor(y)
    )
    network = _tune(encoder, train[: len(y)], truth, n_out, seed)

    def predict(frame: pd.DataFrame) -> np.ndarray:
        with torch.no_grad():
            out = network(*encoder.to_tensors(frame))
        return out[:, 0].numpy() * scale + center if n_out == 1 else out.softmax(1).numpy()

    return predict


class _Tuned(torch.nn.Module):
    """The first network of a fitted encoder with a linear layer on its tokens."""

    def __init__(self, encoder: MAEEncoder, n_out: int) -> None:
        super().__init__()
        self.member = copy.deepcopy(encoder.model_.members[0])
        config = self.member.config
        self.head = torch.nn.Linear((1 + len(config.n_levels)) * config.width, n_out)

    def forward(self, values: torch.Tensor, visible: torch.Tensor) -> torch.Tensor:
        return self.head(self.member.encode(values, visible).flatten(1))


def _tune(
    encoder: MAEEncoder, rows: pd.DataFrame, truth: torch.Tensor, n_out: int, seed: int
) -> _Tuned:
    """Return the network after 300 steps on batches of 64 rows."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _Tuned(encoder, n_out)
        optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.1)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 300)
        loss = torch.nn.MSELoss() if n_out == 1 else torch.nn.CrossEntropyLoss()
        values, visible = encoder.to_tensors(rows)
        for _ in range(300):
            at = torch.randint(len(values), (64,))
            hidden = torch.rand(visible[at].shape) < 0.2
            out = network(values[at], visible[at] & ~hidden)
            error = loss(out[:, 0] if n_out == 1 else out, truth[at])
            optimizer.zero_grad()
            error.backward()
            optimizer.step()
            schedule.step()
    return network.eval()


PREDICTORS: dict[str, Callable[..., Predict]] = {
    "fine-tuned": fine_tuned,
    "boosted trees": boosted_trees,
}
