"""Windows that a guess was fitted to are known again, and do not look better than they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from models import DAY, daily_course, hidden_in, series_guess, timed

from maetab.nn.guess.mixture import Evidence
from maetab.nn.guess.optimism import Optimism

T = DAY


def cells(seed: int = 0, first: int = 0):
    values, observed = daily_course(seed=seed)
    return timed(values[first:], observed[first:], T, 3, DAY, dense=1)


@pytest.fixture(scope="module")
def fitted():
    return series_guess(cells(), (0, 0), n_starts=2)


def test_windows_of_the_fit_are_known_and_others_are_not(fitted):
    guess, windows = fitted
    assert guess.optimism.seen(windows).all()
    assert guess.optimism.seen(cells(seed=1)).float().mean() < 0.01


def test_windows_cut_elsewhere_are_known_too(fitted):
    guess, _ = fitted
    shifted = timed(*daily_course(), T, 5, DAY, dense=1)
    assert guess.optimism.seen(shifted).all()


def test_windows_are_known_by_what_is_observed_alone(fitted):
    guess, windows = fitted
    other = torch.where(windows.observed, windows.values, 9.0)
    assert guess.optimism.seen(replace(windows, values=other)).all()
    moved = torch.where(windows.observed, windows.values + 1e-6, windows.values)
    assert not guess.optimism.seen(replace(windows, values=moved)).any()


def test_the_same_cells_at_another_time_are_not_known(fitted):
    guess, windows = fitted
    later = windows.clock._replace(position=windows.clock.position + 6)
    assert guess.optimism.seen(replace(windows, clock=later)).float().mean() < 0.01


def test_before_a_fit_nothing_is_known():
    assert Optimism(2, 3).seen(cells()) is None


def test_rows_beyond_the_room_of_the_table_are_not_kept():
    values = np.arange(40_000, dtype=np.float32)[:, None]
    optimism = Optimism(1, 3)
    optimism.remember(timed(values, np.ones(values.shape, bool), 2))
    assert optimism.seen(cells()) is None


def test_only_evidence_of_windows_that_were_seen_is_changed():
    optimism, rng = Optimism(2, 3), torch.Generator().manual_seed(0)
    optimism.misses.copy_(torch.rand(2, 3, generator=rng))
    optimism.variance.copy_(torch.tensor([0.5, 1.0]))
    optimism.strain.fill_(0.25)
    shape = (4, T, 2)
    misses = torch.rand(*shape, 3, generator=rng, dtype=torch.float64)
    each = [torch.rand(shape, generator=rng, dtype=torch.float64) for _ in range(5)]
    found = Evidence(misses, each[0], each[1], misses, each[2], each[3], each[4])
    told = optimism.added(found, torch.tensor([True, False, True, False]))
    for name in ("misses", "variance", "strain"):
        one, other = getattr(told, name), getattr(found, name)
        assert torch.equal(one[[1, 3]], other[[1, 3]])
    torch.testing.assert_close(told.misses[0] - misses[0], optimism.misses.expand(T, 2, 3))
    ratio = told.variance[2] / found.variance[2]
    torch.testing.assert_close(ratio, optimism.variance.exp().expand(T, 2))
    torch.testing.assert_close(told.strain[0] - found.strain[0], torch.full((T, 2), 0.25).double())
    for name in ("guesses", "near", "gap", "shift"):
        assert torch.equal(getattr(told, name), getattr(found, name))


@pytest.mark.slow
def test_deviations_of_windows_of_the_fit_are_those_of_guesses_without_them():
    course = timed(*daily_course(400), 12 * T, T, DAY, dense=1)  # few, for so many cells
    guess, windows = series_guess(course, (0, 0))
    shown, visible = hidden_in(windows, 0.1)
    clock, index = windows.clock_of(slice(None)), windows.memory_index(slice(None))
    told = torch.ones(len(windows), dtype=torch.bool)

    def log_std(**kept) -> torch.Tensor:
        found = guess(shown, visible, index, clock=clock._replace(**kept))
        return found.variance[windows.take(slice(None))[1] & ~visible].log() / 2

    without, plain, mended = log_std(), log_std(fold=None), log_std(fold=None, seen=told)
    assert (without - plain).mean() > 0.2
    assert (without - mended).mean().abs() < 0.3 * (without - plain).mean()
