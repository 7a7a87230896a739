"""Estimators keep to `max_time`, by a clock that moves with the rows that are computed."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from clocks import Clock, clocked, numbers

import maetab
import maetab.base
from maetab import MAEAnomalyDetector, MAEEncoder, MAEImputer
from maetab.engine.robust import kept_rows, robust_gaussian
from maetab.engine.runtime import Deadline

__all__ = ["clocked"]  # a fixture


@pytest.mark.slow
def test_a_fit_does_not_wait_for_torch_to_load_its_compiler():
    code = (
        "import sys, pandas as pd\nfrom maetab import MAEEncoder, MAEImputer\n"
        "X = [[0.1 * i, 0.2 * i % 3] for i in range(60)]\n"
        "MAEImputer(max_iter=2).fit(X).sample(X)\nMAEEncoder(max_iter=1).fit(X).transform(X)\n"
        "line = pd.DataFrame(X, pd.date_range('2026', periods=60, freq='h'))\n"
        "MAEImputer(window=6, max_iter=1).fit(line)\n"
        "print([name for name in ('torch._dynamo', 'sympy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]"]


@pytest.mark.slow
def test_estimators_say_when_no_network_was_trained(clocked, monkeypatch):
    clock = clocked(network=0.5)
    monkeypatch.setattr(maetab.base, "Deadline", lambda seconds: Deadline(seconds, clock))
    X = numbers(100, 4)[0]
    imputer = MAEImputer(max_time=10, width=8, random_state=0)
    with pytest.warns(UserWarning, match=r"within max_time=10 s no network was trained") as warned:
        imputer.fit(X)
    assert "(4 columns); the first guess alone will be used. A larger" in str(warned[0].message)
    alone = MAEImputer(max_iter=0, random_state=0).fit(X)
    X[::3, 1] = np.nan
    np.testing.assert_allclose(imputer.transform(X), alone.transform(X), rtol=1e-4, atol=1e-4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        imputer.set_params(max_iter=0).fit(X)


@pytest.mark.parametrize("readout", ["concat", "mean"])
def test_an_encoder_without_a_network_gives_what_is_left(readout, clocked, monkeypatch, tmp_path):
    clock = clocked(network=0.5)
    monkeypatch.setattr(maetab.base, "Deadline", lambda seconds: Deadline(seconds, clock))
    X = numbers(100, 4)[0]
    encoder = MAEEncoder(max_time=10, n_components=6, readout=readout, width=8, random_state=0)
    with pytest.warns(UserWarning, match="no network"):
        encoder.fit(X)
    features = encoder.transform(X)
    assert np.isfinite(features).all() and features.shape[1] == len(encoder.get_feature_names_out())
    np.testing.assert_allclose(encoder.inverse_transform(features), X, atol=1e-4)
    maetab.save(encoder, tmp_path / "model.maetab")
    np.testing.assert_array_equal(maetab.load(tmp_path / "model.maetab").transform(X), features)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(encoder)).transform(X), features)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "prices"),
    [
        (lambda: MAEEncoder(n_components=4), {"network": 1e-3}),
        (lambda: MAEEncoder(n_components=4), {"network": 5e-3, "memory": 1e-3}),
        (lambda: MAEAnomalyDetector(), {"memory": 1e-3}),
        (lambda: MAEAnomalyDetector(max_iter=None), {"memory": 1e-4, "network": 1e-3}),
    ],
)
def test_components_and_calibration_are_within_the_limit(clocked, monkeypatch, make, prices):
    clock = clocked(**prices)
    monkeypatch.setattr(maetab.base, "Deadline", lambda seconds: Deadline(seconds, clock))
    X = numbers(3000, 4)[0]
    estimator = make().set_params(max_time=40, width=8, random_state=0)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*max_time=40 s no network was.*")
        estimator.fit(X)
    spent = clock.now - 100.0
    assert spent <= 48.0
    assert not hasattr(estimator, "_deadline") or estimator._deadline.left() == np.inf


def test_an_encoder_that_reads_tokens_needs_time_for_a_network():
    X = np.random.default_rng(0).normal(size=(50, 3))
    short = MAEEncoder(max_time=1e-6, readout="mean", add_raw=False, random_state=0)
    with (
        pytest.warns(UserWarning, match="no network was trained"),
        pytest.raises(ValueError, match=r"readout='mean' reads .* max_time=1e-06 left none"),
    ):
        short.fit(X)


def test_without_time_the_robust_gaussian_takes_one_step_alone(monkeypatch):
    rows, steps, step = np.random.default_rng(0).normal(size=(300, 4)), [], np.linalg.inv
    monkeypatch.setattr(np.linalg, "inv", lambda x: steps.append(1) or step(x))
    location, precision = robust_gaussian(rows, Deadline(-1.0))
    assert len(steps) == 1 and np.isfinite(location).all() and np.isfinite(precision).all()
    robust_gaussian(rows)
    assert len(steps) > 2


@pytest.mark.parametrize("price", [1e-7, 3e-6, 1e-4])
def test_the_look_before_trimming_compares_rows_with_as_many_as_there_is_time_for(
    monkeypatch, price
):
    clock, cdist = Clock({"pair": price}), torch.cdist

    def paid(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        clock.pay("pair", len(a) * len(b))
        return cdist(a, b)

    monkeypatch.setattr(torch, "cdist", paid)
    values = np.random.default_rng(0).normal(size=(8000, 3)).astype(np.float32)
    values[:800] += 8
    given = values, np.ones(values.shape, bool), (0, 0, 0), 0.2
    kept = kept_rows(*given, Deadline(60.0, clock))
    least = 8000 * 70 + 1024 * 64  # comparisons that are made at any price
    assert clock.now - 100.0 <= max(0.3 * 60, price * least)
    assert not kept[:800].any() and kept.sum() == 6400
    if price == 1e-7:
        np.testing.assert_array_equal(kept, kept_rows(*given))
