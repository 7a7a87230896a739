"""Every estimator computes on the device that it is told, and nowhere else.

On a machine without CUDA, by the stand-in of `other_device.py`.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from models import QUICK
from other_device import other_device

from maetab import MAEAnomalyDetector, MAEClassifier, MAEEncoder, MAEImputer, MAERegressor
from maetab.engine.inference import whole_batch

SMALL = {"guess": QUICK, "width": 8, "max_iter": 1, "random_state": 0}


def table(n: int = 48) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    cells = rng.normal(size=(n, 2)) @ rng.normal(size=(2, 4)) + 0.3 * rng.normal(size=(n, 4))
    frame = pd.DataFrame(cells, columns=list("abcd"))
    return frame.assign(e=np.where(frame["a"] > 0, "x", "y")).mask(rng.random((n, 5)) < 0.15)


def series() -> pd.DataFrame:
    index = pd.date_range("2024", periods=60, freq="h")
    return table(60).set_index(index)


IMPUTED = ("transform", "predict_interval", "sample")
SCORED = ("score_samples", "score_cells", "p_values", "predict", "explain")
KINDS = {
    "imputer": (lambda: MAEImputer(**SMALL), IMPUTED),
    "donors": (lambda: MAEImputer(donors=3, **SMALL), ("transform", "sample")),
    "mlp": (lambda: MAEImputer(backbone="mlp", **SMALL), IMPUTED),
    "linear": (lambda: MAEImputer(backbone="linear", **SMALL), IMPUTED),
    "encoder": (lambda: MAEEncoder(**SMALL), ("transform",)),
    "mean": (lambda: MAEEncoder(readout="mean", **SMALL), ("transform",)),
    "detector": (lambda: MAEAnomalyDetector(n_masks=3, **SMALL), SCORED),
    "classifier": (lambda: MAEClassifier(**SMALL), ("predict", "predict_proba")),
    "regressor": (lambda: MAERegressor(**SMALL), ("predict", "predict_interval")),
    "series": (lambda: MAEImputer(window=6, **SMALL), IMPUTED),
    "series encoder": (lambda: MAEEncoder(window=6, **SMALL), ("transform",)),
    "windows": (lambda: MAEEncoder(window=6, level="window", **SMALL), ("transform",)),
    "series detector": (lambda: MAEAnomalyDetector(window=6, **SMALL), SCORED),
}
FIRST = ("encoder",)  # the others take too long for every day


def fitted(kind: str, **parameters):
    X, estimator = series() if "window" in kind or "series" in kind else table(), KINDS[kind][0]()
    y = None
    if kind in ("classifier", "regressor"):
        X = X.drop(columns="d" if kind == "regressor" else "e")
        y = np.nan_to_num(table()["d"]) if kind == "regressor" else table()["e"]
    return estimator.set_params(**parameters).fit(X, y), X


def numbers(found) -> list[np.ndarray]:
    """Return what a method gives, as arrays of numbers."""
    parts = found if isinstance(found, (tuple, list)) else [found]
    frames = [pd.DataFrame(x.numpy() if isinstance(x, torch.Tensor) else x) for x in parts]
    return [x.select_dtypes("number").to_numpy(float) for x in frames]


def answers(estimator, X: pd.DataFrame, method: str) -> list[np.ndarray]:
    more = {"random_state": 0} if method == "sample" else {}
    return numbers(getattr(estimator, method)(X, **more))


SLOW = [pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS if kind not in FIRST]


@pytest.mark.parametrize("kind", [*FIRST, *SLOW])
def test_what_is_fitted_on_a_device_is_the_same_there_and_on_the_cpu(kind):
    with other_device() as device:
        estimator, X = fitted(kind, device=str(device))
        there = [answers(estimator, X, method) for method in KINDS[kind][1]]
    assert all(x.device.type == "cpu" for x in estimator.model_.state_dict().values())
    estimator.set_params(device="cpu")
    for method, found in zip(KINDS[kind][1], there, strict=True):
        for mine, other in zip(answers(estimator, X, method), found, strict=True):
            np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-4, err_msg=method)


@pytest.mark.parametrize(
    ("n_cells", "n_memory", "n_rows"),
    [(5, 100, 2048), (128, 100, 512), (5, 65_536, 128), (10**6, 100, 8), (5, 10**9, 8)],
)
def test_batches_there_have_many_rows_but_few_logits(n_cells, n_memory, n_rows):
    """65,536 cells, 2,048 rows and 2 ** 26 logits of eight heads at most, but eight rows."""
    memory = SimpleNamespace(n_heads=8)
    model = SimpleNamespace(
        guess=SimpleNamespace(memory=memory), config=SimpleNamespace(n_memory=n_memory)
    )
    windows = SimpleNamespace(rows=np.zeros((1, 1)), values=np.zeros((1, n_cells)))
    assert whole_batch(model, windows, torch.device("meta")) == n_rows


def test_the_stand_in_refuses_what_lies_on_both_devices():
    with other_device() as device:
        there = torch.ones(3, device=device)
        assert there.device == device and float((there + there.to("cpu").to(device)).sum()) == 6
        with pytest.raises(RuntimeError, match="tensors on both devices"):
            there + torch.ones(3)
