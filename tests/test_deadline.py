"""Fitting keeps to its time, by a clock that moves with the rows that are computed."""

from __future__ import annotations

import pickle
import warnings
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from maetab.engine.apply import predict
from maetab.nn.memory import RowMemory
from maetab.nn.model import MaskedAutoencoder, ModelConfig
from maetab.nn.prior import GaussianPrior

import maetab
import maetab.base
from maetab import MAEAnomalyDetector, MAEEncoder, MAEImputer
from maetab.engine.calibration import Cells
from maetab.engine.fit import FitOptions, fit_model
from maetab.engine.robust import kept_rows, robust_gaussian
from maetab.engine.runtime import Deadline
from maetab.nn.guess import Prior
from maetab.nn.masking import Bernoulli

CPU = torch.device("cpu")


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
    "em": (GaussianPrior, ("_condition_dense", "_factor_posterior")),
    "memory": (RowMemory, ("forward",)),
    "network": (MaskedAutoencoder, ("encode",)),
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
    observed = rng.random((n, 1, f)) < 0.8
    return np.where(observed, values[:, None], 0).astype(np.float32), observed


def fitted(clock: Clock, seconds: float | None, n: int = 600, f: int = 4, **changes):
    values, observed = numbers(n, f)
    config = ModelConfig((0,) * f, width=8, n_bins=8, n_pieces=4, **changes)
    deadline = Deadline(seconds, clock)
    options = FitOptions(masking=Bernoulli(0.3), max_iter=20, batch_size=64, deadline=deadline)
    began = clock()
    model, history = fit_model(config, values, observed, options)
    clock.spent = clock() - began
    assert np.isfinite(predict(model, values, observed, CPU)).all()
    return model, history


@pytest.mark.parametrize("n_estimators", [1, 2])
@pytest.mark.parametrize(
    "prices",
    [
        {"em": 1e-4, "memory": 1e-3},
        {"em": 3e-4, "memory": 3e-4, "network": 1e-3},
        {"memory": 1e-5, "network": 3e-3},
    ],
)
def test_everything_that_fit_does_ends_within_a_fifth_of_the_limit(clocked, prices, n_estimators):
    clock = clocked(**prices)
    fitted(clock, 20.0, n_estimators=n_estimators)
    assert clock.spent <= 24.0
    # The limit was needed: what was computed once more, for the same rows, would have passed it.
    rows = {"em": 20 * 600, "memory": 150 * 256, "network": n_estimators * 20 * 600}
    assert sum(rows[name] * price for name, price in prices.items()) > 24.0


def test_networks_share_the_time_that_is_left(clocked):
    clock = clocked(network=1e-3)
    _, history = fitted(clock, 40.0, n_estimators=2)
    steps = [max(r["step"] for r in history if r["network"] == i) for i in (0, 1)]
    assert min(steps) > 10 and max(steps) < 2 * min(steps)


def test_a_network_that_is_too_dear_is_not_begun(clocked):
    clock = clocked(network=0.5)
    model, history = fitted(clock, 20.0)
    assert history == [] and (model.trust == 0).all() and len(model.members) == 0
    assert clock.rows["network"] <= 16  # what a row costs was measured, nothing else


def test_networks_behind_those_there_was_time_for_are_dropped(monkeypatch):
    from maetab.engine import fit as fit_module

    plans = iter([fit_module.Plan(Deadline(), 600, 600), None])
    monkeypatch.setattr(fit_module, "_plan", lambda *_: next(plans))
    model, history = fitted(Clock({}), 20.0, n_estimators=3)
    assert len(model.members) == model.config.n_estimators == 1
    assert {record["network"] for record in history} == {0}


def test_a_limit_that_is_long_enough_changes_nothing(clocked):
    clock = clocked(network=1e-6, memory=1e-6)
    states = [fitted(clock, seconds)[0].state_dict() for seconds in (None, 1e5)]
    assert all(torch.equal(states[0][k], states[1][k]) for k in states[0])


def test_a_limit_of_nothing_leaves_a_working_first_guess():
    values, observed = numbers(100, 60)
    config = ModelConfig((0,) * 60, width=8, n_bins=8, n_pieces=4)
    options = FitOptions(masking=Bernoulli(0.3), deadline=Deadline(1e-6))
    model, history = fit_model(config, values, observed, options)
    assert history == [] and np.isfinite(predict(model, values, observed, CPU)).all()


@pytest.mark.parametrize("n_rows", [10, 500, 2000])
def test_chunks_of_few_rows_are_each_spread_over_the_table(n_rows):
    table = Cells(torch.zeros(1000, 1, 3), torch.ones(1000, 1, 3) > 0, None, None)
    chunks = list(table.chunks(n_rows, 3))
    rows = torch.cat(chunks)
    assert len(rows) == len(rows.unique()) == min(n_rows, 1000)
    if n_rows == 500:
        assert all(chunk.min() < 100 and chunk.max() > 900 for chunk in chunks)


def test_affordable_rows_are_those_that_fit_into_the_time_left():
    clock = Clock({"work": 0.1})
    deadline = Deadline(100.0, clock)
    n = deadline.affordable(lambda count: clock.pay("work", count), 10_000, passes=2)
    assert n * 2 * 0.1 <= deadline.left() and n > 400
    assert Deadline(None, clock).affordable(lambda count: clock.pay("work", count), 10**9) == 10**9
    assert deadline.affordable(lambda count: clock.pay("work", count), 50) == 50


@pytest.mark.parametrize("pauses", [[2.0], [0.0, 2.0], [0.5, 0.5]])
def test_a_pause_of_the_machine_is_not_taken_for_the_cost_of_a_row(pauses):
    clock, pending = Clock({"work": 0.001}), iter(pauses)

    def work(count: int) -> None:
        clock.pay("work", count)
        clock.now += next(pending, 0.0)

    assert Deadline(60.0, clock).seconds_per_row(work, 10_000) == pytest.approx(0.001)


def test_what_a_call_costs_besides_its_rows_is_not_taken_for_their_cost():
    clock = Clock({"work": 0.0001})

    def work(count: int) -> None:
        clock.pay("work", count)
        clock.now += 0.015

    cost = Deadline(3.0, clock).seconds_per_row(work, 10_000)
    assert 0.0001 < cost < 0.00015


def test_a_part_of_a_deadline_began_with_it():
    clock = Clock({})
    deadline = Deadline(10.0, clock)
    clock.now += 4
    assert deadline.left() == 6 and deadline.used() == pytest.approx(0.4)
    assert deadline.part(0.5).left() == 1 and deadline.part(0.5).used() == pytest.approx(0.8)
    assert Deadline().used() == 0 and Deadline().part(0.5).left() == np.inf


def test_estimators_say_when_no_network_was_trained(clocked, monkeypatch):
    clock = clocked(network=0.5)
    monkeypatch.setattr(maetab.base, "Deadline", lambda seconds: Deadline(seconds, clock))
    X = numbers(100, 4)[0][:, 0]
    imputer = MAEImputer(max_time=10, width=8, random_state=0)
    with pytest.warns(UserWarning, match=r"within max_time=10 s no network was trained") as said:
        imputer.fit(X)
    assert "(4 columns); the first guess alone will be used. A larger" in str(said[0].message)
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
    X = numbers(100, 4)[0][:, 0]
    encoder = MAEEncoder(max_time=10, n_components=6, readout=readout, width=8, random_state=0)
    with pytest.warns(UserWarning, match="no network"):
        encoder.fit(X)
    features = encoder.transform(X)
    assert np.isfinite(features).all() and features.shape[1] == len(encoder.get_feature_names_out())
    np.testing.assert_allclose(encoder.inverse_transform(features), X, atol=1e-4)
    maetab.save(encoder, tmp_path / "model.maetab")
    np.testing.assert_array_equal(maetab.load(tmp_path / "model.maetab").transform(X), features)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(encoder)).transform(X), features)


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
    X = numbers(3000, 4)[0][:, 0]
    estimator = make().set_params(max_time=40, width=8, random_state=0)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*max_time=40 s no network was.*")
        estimator.fit(X)
    spent = clock.now - 100.0
    assert spent <= 48.0
    assert not hasattr(estimator, "_deadline") or estimator._deadline.left() == np.inf


def test_options_without_a_deadline_have_no_limit():
    options = FitOptions(masking=Bernoulli(0.3))
    assert not options.deadline.limited
    assert replace(options, deadline=Deadline(3.0)).deadline.limited


def test_prior_stages_each_stop_at_their_share():
    values, observed = (torch.tensor(x[:, 0]) for x in numbers(300, 70))
    times = iter(np.linspace(0, 3, 400))
    prior = Prior((0,) * 70, 8, 300)
    prior.fit(values, observed, torch.Generator().manual_seed(0), used=lambda: next(times))
    assert next(times) < 0.7  # each call is another share: all that is asked stops soon after
    assert torch.isfinite(prior.guess(values, observed).mean).all()


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
    location, precision = robust_gaussian(rows, lambda: True)
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
