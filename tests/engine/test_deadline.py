"""Fitting keeps to its time, by a clock that moves with the rows that are computed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from clocks import Clock, clocked, numbers
from models import CPU, config, fit, fit_options
from models import windows as windows_over

from maetab.engine.held_out import HeldOut
from maetab.engine.inference import predict
from maetab.engine.runtime import Deadline
from maetab.nn.guess.options import GuessOptions
from maetab.nn.guess.stack import StackedGuess

__all__ = ["clocked"]  # a fixture


def fitted(
    clock: Clock, seconds: float | None, n: int = 600, f: int = 4, on_record=None, **changes
):
    cells = numbers(n, f)
    small = config((0,) * f, n_heads=4, guess=GuessOptions(), **changes)
    deadline = Deadline(seconds, clock)
    options = fit_options(
        deadline=deadline, max_iter=20, batch_size=64, on_record=on_record, n_iter_no_change=999
    )
    began = clock()
    model, history = fit(small, cells, options)
    clock.spent = clock() - began
    assert np.isfinite(predict(model, windows_over(*cells, small.n_steps), CPU)).all()
    return model, history


@pytest.mark.slow
@pytest.mark.parametrize("n_members", [1, 2])
@pytest.mark.parametrize(
    "prices",
    [
        {"em": 1e-4, "memory": 1e-3},
        {"em": 3e-4, "memory": 3e-4, "network": 1e-3},
        {"memory": 1e-5, "network": 3e-3},
    ],
)
def test_everything_that_fit_does_ends_within_a_fifth_of_the_limit(clocked, prices, n_members):
    clock = clocked(**prices)
    fitted(clock, 20.0, n_members=n_members)
    assert clock.spent <= 24.0
    # The limit was needed: what was computed once more, for the same rows, would have passed it.
    rows = {"em": 20 * 600, "memory": 150 * 256, "network": 20 * 600}
    assert sum(rows[name] * price for name, price in prices.items()) > 24.0


@pytest.mark.slow
@pytest.mark.parametrize(
    "prices",
    [
        {"windows": 3e-3},
        {"windows": 1e-3, "network": 2e-3},
        {"windows": 1e-4, "network": 5e-3},
    ],
)
def test_a_fit_of_series_ends_within_a_fifth_of_the_limit(clocked, prices):
    clock = clocked(**prices)
    model, _ = fitted(clock, 20.0, n=1800, n_steps=3)
    assert clock.spent <= 24.0
    assert model.is_series
    # Rounds of EM of all windows, for all and each of three parts; steps of a network.
    rows = {"windows": 4 * 4 * 1798, "network": 20 * 1798}
    assert sum(rows[name] * price for name, price in prices.items()) > 24.0


@pytest.mark.slow
def test_a_limit_that_is_long_enough_changes_nothing_of_series(clocked):
    clock = clocked(network=1e-6, windows=1e-6)
    states = [fitted(clock, s, n=120, n_steps=3)[0].state_dict() for s in (None, 1e5)]
    one, other = ({k: x.numpy().tobytes() for k, x in state.items()} for state in states)
    assert one == other  # NaN, too: that a way over a window is not known


@pytest.mark.slow
def test_a_network_that_is_too_dear_is_not_begun(clocked):
    clock = clocked(network=0.5)
    model, history = fitted(clock, 20.0)
    assert history == [] and (model.network_weight == 0).all() and len(model.members) == 0
    assert clock.rows["network"] <= 16  # what a row costs was measured, nothing else


@pytest.mark.slow
def test_a_limit_that_is_long_enough_changes_nothing(clocked):
    clock = clocked(network=1e-6, memory=1e-6)
    states = [fitted(clock, seconds)[0].state_dict() for seconds in (None, 1e5)]
    assert all(torch.equal(states[0][k], states[1][k]) for k in states[0])


def test_a_limit_of_nothing_leaves_a_working_first_guess():
    cells = numbers(100, 60)
    model, history = fit(config((0,) * 60), cells, fit_options(deadline=Deadline(1e-6)))
    assert history == [] and np.isfinite(predict(model, windows_over(*cells), CPU)).all()


@pytest.mark.parametrize("n_rows", [10, 500, 2000])
def test_batches_of_few_rows_are_each_spread_over_the_table(n_rows):
    observed = torch.ones(1000, 3) > 0
    table = HeldOut(windows_over(torch.zeros(1000, 3), observed), ~observed, observed)
    batches = list(table.sample_batches(n_rows, 3))
    rows = torch.cat(batches)
    assert len(rows) == len(rows.unique()) == min(n_rows, 1000)
    if n_rows == 500:
        assert all(batch.min() < 100 and batch.max() > 900 for batch in batches)


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


def test_a_deadline_without_seconds_has_no_limit():
    assert not Deadline().limited and Deadline(3.0).limited


def test_stages_of_the_first_guess_each_stop_at_their_share():
    table, times = windows_over(*numbers(300, 70)), iter(np.linspace(0, 3, 400))
    guess = StackedGuess((0,) * 70, 1, 300, GuessOptions())
    guess.fit(table, torch.Generator().manual_seed(0), 256, time_used=lambda: next(times))
    assert next(times) < 0.7  # each call is another share: all that is asked stops soon after
    assert torch.isfinite(guess(*table.take(slice(None))).mean).all()
