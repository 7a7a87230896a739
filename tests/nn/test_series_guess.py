"""The first guess at windows of several steps: what it reads, what its parts do not see."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from models import (
    DAY,
    LEVELS,
    daily_course,
    gaussians_of,
    hidden_in,
    open_clock,
    series_guess,
    timed,
    windows,
)

from maetab.nn.guess.options import GuessOptions
from maetab.nn.guess.series import SeriesGuess
from maetab.nn.guess.series_fit import (
    FOLDS,
    LEAST_CHANGE,
    LEVEL,
    LITTLE,
    MOST_CHANGE,
    MUCH,
    SEASON_ROWS,
    _change,
)
from maetab.nn.guess.stack import Guess
from maetab.nn.windows import Clock, Windows

PERIOD, T = DAY, DAY


@pytest.fixture(scope="module")
def fitted() -> tuple[SeriesGuess, Windows]:
    return series_guess(timed(*daily_course(), T, 3, PERIOD, dense=1), (0, 0), n_starts=2)


def assert_same(mine: Guess, theirs: Guess) -> None:
    for one, other in zip(mine[:4], theirs[:4], strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("poison", [1e6, float("nan"), float("-inf")])
def test_what_is_not_visible_is_never_read(fitted, poison):
    guess, cells = fitted
    values, visible = hidden_in(cells)
    for clock in (cells.clock_of(slice(None)), open_clock(cells)):
        clean = guess(values, visible, clock=clock)
        spoiled = guess(torch.where(visible, values, poison), visible, clock=clock)
        assert_same(clean, spoiled)
        assert all(torch.isfinite(x).all() for x in clean[:4])


def test_each_window_is_guessed_alone(fitted):
    guess, cells = fitted
    values, visible = hidden_in(cells)
    clock = cells.clock_of(slice(None))
    together = guess(values, visible, clock=clock)
    for i in (0, 1, 50, 113):
        own = slice(i, i + 1)
        alone = guess(values[own], visible[own], clock=cells.clock_of(own))
        assert_same(Guess(*(x[own] for x in together[:4])), alone)


def test_hidden_cells_are_guessed_well_and_deviations_are_those_of_the_errors(fitted):
    guess, _ = fitted
    values, _ = daily_course(seed=1)
    cells = timed(values, np.ones(values.shape), T, 3, PERIOD)
    truth, visible = hidden_in(cells)
    found = guess(truth, visible, clock=open_clock(cells))
    ratio = ((found.mean - truth) / found.variance.sqrt())[~visible]
    assert (found.mean - truth)[~visible].abs().mean() < 0.25  # the noise alone has 0.08
    assert 0.8 < float(ratio.square().mean().sqrt()) < 1.25
    assert torch.equal(found.mean[visible], truth[visible]) and (found.variance[visible] == 0).all()


def test_the_season_is_the_mean_of_each_phase_shrunk_to_that_of_all(fitted):
    values, observed = daily_course()
    frame = pd.DataFrame(np.where(observed, values, np.nan))
    by_phase = frame.groupby(np.arange(len(frame)) % PERIOD)
    wanted = (by_phase.sum() + SEASON_ROWS * frame.mean()) / (by_phase.count() + SEASON_ROWS)
    np.testing.assert_allclose(fitted[0].season, wanted, atol=1e-5)


def test_the_season_is_added_back_where_nothing_is_visible(fitted):
    guess, cells = fitted
    values = torch.zeros(2, T, 2)
    clock = open_clock(cells, slice(0, 2))
    look = guess.look(values.double(), torch.zeros(2, T, 2) > 0, clock)
    for k in (1, 2):
        torch.testing.assert_close(
            look.guesses[..., k] - guess.season[clock.phase],
            torch.stack([p[0].location for p in gaussians_of(guess, clock)]).view(2, T, 2),
        )
    found = guess(values, torch.zeros(2, T, 2) > 0, clock=clock).mean
    day = torch.sin(2 * torch.pi * clock.phase / PERIOD)
    assert np.corrcoef(found[..., 0].flatten(), day.flatten())[0, 1] > 0.95


# ---- windows that start at several phases


def test_windows_are_guessed_by_the_gaussians_of_their_start(fitted):
    guess, cells = fitted
    assert sorted(guess.starts.tolist()) == [0, 3]
    values, visible = hidden_in(cells)
    clock = open_clock(cells)
    look = guess.look(values.double(), visible, clock)
    season = guess.season[clock.phase]
    for i, pair in enumerate(gaussians_of(guess, clock)):
        rest = (values[i].double() - season[i]).flatten()[None]
        for k, gaussian in enumerate(pair):
            mine = gaussian(rest, visible[i].flatten()[None])
            wanted = mine.mean.view(T, 2) + season[i]
            torch.testing.assert_close(look.guesses[i, ..., 1 + k], wanted, rtol=0, atol=1e-9)
            left = mine.residual.view(T, 2)
            torch.testing.assert_close(look.missed[i, ..., 1 + k], left, rtol=0, atol=1e-9)


def test_a_start_that_was_never_seen_is_guessed_by_the_gaussians_of_all(fitted):
    guess, _ = fitted
    values, observed = daily_course(seed=2)
    cells = timed(values, observed, T, 1, PERIOD)
    kept = [x.clone() for x in guess.gaussians[0].buffers()]
    values, visible = hidden_in(cells)
    before = guess(values, visible, clock=open_clock(cells)).mean
    for pair in guess.gaussians[0]:
        pair.location += 5
    after = guess(values, visible, clock=open_clock(cells)).mean
    for buffer, value in zip(guess.gaussians[0].buffers(), kept, strict=True):
        buffer.copy_(value)
    seen = torch.isin(open_clock(cells).phase[:, 0], torch.tensor([0, 3]))
    assert 0 < int(seen.sum()) < len(seen)
    assert torch.equal(before[seen], after[seen])
    moved = (before != after) & ~visible
    assert torch.equal(moved.flatten(1).any(1), ~seen & (~visible).flatten(1).any(1))


def test_gaussians_whose_level_is_unknown_add_it_to_the_covariance_of_numbers():
    values = np.random.default_rng(0).normal(size=(60, 2))
    values[:, 1] = values[:, 1] > 0
    guess, _ = series_guess(windows(values, np.ones((60, 2)), 2, 2), (0, 2))
    plain, free, noisy = guess.gaussians[0]
    added = (free.covariance - plain.covariance).view(2, 3, 2, 3)
    wanted = torch.zeros(2, 3, 2, 3).double()
    wanted[:, 0, :, 0] = LEVEL
    torch.testing.assert_close(added, wanted)
    assert torch.equal(plain.location, free.location)
    more = noisy.covariance - plain.covariance
    torch.testing.assert_close(more, MUCH * torch.eye(6).double())


def test_noise_follows_how_much_changes_from_one_step_to_the_next():
    values, observed = daily_course()
    cells = timed(values * 0.1, observed, T, 3, PERIOD)
    guess = SeriesGuess((0, 0), T, 32, (PERIOD, 0, cells.clock.calendar.shape[1]), GuessOptions())
    taken, seen = cells.take(slice(None))
    both = seen[:, 1:] & seen[:, :-1]
    wanted = float(taken.diff(dim=1).square()[both].double().mean())
    assert _change(guess, cells) == pytest.approx(wanted, rel=1e-6)
    assert _change(guess, replace(cells, values=10 * cells.values)) == MOST_CHANGE


def test_series_that_change_little_have_little_noise():
    """Slow lines: what their neighbours tell of a cell is not blurred."""
    slow = np.random.default_rng(0).normal(size=(600, 1)).cumsum(0) / 30
    guess, _ = series_guess(timed(slow, np.ones((600, 1)), T, 3), (0,))
    least = torch.linalg.eigvalsh(guess.gaussians[0][0].covariance).min()
    assert LITTLE * LEAST_CHANGE < least < 1e-3


def test_steps_without_a_clock_are_one_apart_and_have_no_phase():
    values, observed = daily_course(120)
    plain = windows(np.where(observed, values, 0), observed, T, T)
    guess, cells = series_guess(plain, (0, 0))
    values, visible = hidden_in(cells)
    still = Clock(torch.arange(T).double().expand(20, T), torch.zeros(20, T).long(), torch.empty(0))
    assert_same(guess(values, visible), guess(values, visible, clock=still))
    assert cells.clock is None and cells.fold is not None


def test_the_clock_of_irregular_steps_is_read():
    values, observed = daily_course(120)
    cells = timed(values, observed, T, T)
    guess, cells = series_guess(cells, (0, 0))
    values, visible = hidden_in(cells)
    clock = open_clock(cells)
    even = guess(values, visible, clock=clock).mean
    apart = clock._replace(position=clock.position**2)
    assert not torch.equal(even, guess(values, visible, clock=apart).mean)
    later = clock._replace(position=clock.position + 1000)
    torch.testing.assert_close(even, guess(values, visible, clock=later).mean, rtol=0, atol=1e-5)


# ---- parts of the windows


def test_every_window_is_in_a_part_and_parts_are_windows_in_a_row(fitted):
    fold = fitted[1].fold.tolist()
    assert fold == [i * FOLDS // len(fold) for i in range(len(fold))]
    assert set(fold) == set(range(FOLDS))


@pytest.mark.parametrize("part", range(FOLDS))
def test_windows_of_a_part_are_guessed_by_gaussians_without_it(fitted, part):
    guess, cells = fitted
    own = cells.fold == part
    values, visible = hidden_in(cells)
    found = guess(values, visible, clock=cells.clock_of(slice(None)))
    kept, guess.gaussians = guess.gaussians, guess.folds[part]
    shown = guess.memory.visible.clone()
    guess.memory.visible[: len(guess.remembered_part)][guess.remembered_part == part] = 0
    wanted = guess(values, visible, clock=open_clock(cells))
    guess.gaussians = kept
    guess.memory.visible.copy_(shown)
    seen = guess(values, visible, clock=open_clock(cells))
    assert_same(Guess(*(x[own] for x in found[:4])), Guess(*(x[own] for x in wanted[:4])))
    assert not torch.equal(found.mean[own], seen.mean[own])


@pytest.mark.slow
@pytest.mark.parametrize("stride", [3, 1])
@pytest.mark.parametrize("part", range(FOLDS))
def test_the_rows_of_a_part_do_not_move_its_gaussians(part, stride):
    """Rows of a part change places with others of their phase, so that the season stays."""
    values, observed = daily_course(300)
    cells = timed(values, observed, T, stride, PERIOD, dense=1)
    guess, fitted = series_guess(cells, (0, 0), n_starts=2)
    rows = fitted.rows[fitted.fold == part].unique().numpy()
    rng, order = np.random.default_rng(0), np.arange(300)
    for phase in range(PERIOD):
        own = rows[rows % PERIOD == phase]
        order[own] = rng.permutation(own)
    moved = replace(cells, values=cells.values[order], observed=cells.observed[order])
    again, _ = series_guess(moved, (0, 0), n_starts=2)
    torch.testing.assert_close(again.season, guess.season, rtol=0, atol=1e-6)
    for mine, theirs in zip(guess.folds[part].buffers(), again.folds[part].buffers(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)
    for other in {0, 1, 2} - {part}:
        assert apart(guess.folds[other], again.folds[other]) > 0.02
    assert apart(guess.gaussians, again.gaussians) > 0.02


def apart(mine, theirs) -> float:
    plain, other = mine[0][0], theirs[0][0]
    return float((plain.covariance - other.covariance).abs().max())


def test_parts_of_short_series_are_thirds_and_too_few_windows_have_none():
    cells = timed(*daily_course(60), 10, 5)  # each of eleven windows shares rows with the next
    guess, found = series_guess(cells, (0, 0))
    assert found.fold.tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2]
    guess, found = series_guess(timed(*daily_course(22), 20, 1), (0, 0))
    assert found.fold is None and guess.folds == []


# ---- categories, steps without rows


@pytest.mark.slow
def test_a_level_that_stays_for_long_is_guessed_from_the_steps_beside_it():
    rng = np.random.default_rng(0)
    level = np.repeat(rng.integers(0, 3, 100), 10)
    values = np.stack([rng.normal(size=1000), level], 1)
    cells = windows(values, np.ones((1000, 2)), T, T)
    guess, cells = series_guess(cells, (0, 3))
    truth, visible = cells.take(slice(None))
    visible = visible.clone()
    visible[:, 2, 1] = False
    found = guess(truth, visible)
    beside = truth[:, 1, 1] == truth[:, 3, 1]
    guessed = found.mean[:, 2, 1:].argmax(-1)
    assert (guessed == truth[:, 2, 1])[beside].float().mean() > 0.97
    torch.testing.assert_close(
        found.mean[..., 1:].sum(-1), torch.ones(len(truth), T), atol=1e-5, rtol=0
    )


@pytest.mark.slow
def test_steps_without_rows_say_nothing_whatever_stands_in_the_rows_they_point_to():
    """-1 would be the last row, and where it is clamped the first."""
    rng = np.random.default_rng(0)
    n = 122
    values, observed = rng.normal(size=(n, 4)), np.ones((n, 4), bool)
    values[:, [1, 3]] = rng.integers(0, 2, (n, 2))
    rows = 1 + np.arange(120).reshape(20, T)
    rows[::3, 4:] = -1
    base = windows(values, observed, T)
    found = []
    for wild in (0.0, 1e4):
        cells = replace(base, rows=torch.tensor(rows))
        cells.values[[0, -1]], cells.observed[[0, -1]] = wild, False
        guess, fitted = series_guess(cells, LEVELS)
        taken, visible = hidden_in(fitted)
        found.append(guess(taken, visible, clock=fitted.clock_of(slice(None))))
        assert all(torch.isfinite(x).all() for x in guess.state_dict().values())
    assert_same(*found)


# ---- draws


def test_drawn_numbers_are_standard_and_hang_together_as_the_conditional_says(fitted):
    guess, cells = fitted
    n, visible = 20_000, torch.tensor([[1, 1], [0, 0], [0, 1], [0, 0], [1, 0], [1, 1]]) > 0
    clock = open_clock(cells, slice(0, 1))
    clock = Clock(*(x.expand(n, *x.shape[1:]) for x in clock[:3]))
    normal = torch.randn(n, T, 2, generator=torch.Generator().manual_seed(0))
    shown = visible.expand(n, T, 2)
    drawn = guess.draw(torch.zeros(n, T, 2), shown, normal, clock).flatten(1).numpy()
    hidden = ~visible.flatten().numpy()
    assert (drawn[:, ~hidden] == 0).all()
    precision = gaussians_of(guess, open_clock(cells, slice(0, 1)))[0][0].precision
    covariance = np.linalg.inv(precision.numpy()[np.ix_(hidden, hidden)])
    std = np.sqrt(np.diag(covariance))
    found = np.cov(drawn[:, hidden], rowvar=False)
    np.testing.assert_allclose(found, covariance / std[:, None] / std, atol=0.05)


def test_a_shift_is_what_the_likelihood_gains_if_levels_are_unknown(fitted):
    """Twice that of the quadratic forms, by matrices that NumPy inverts."""
    guess, cells = fitted
    values, visible = hidden_in(cells)
    values, visible = values[:6] + torch.arange(6)[:, None, None] / 2, visible[:6]
    coordinates, shown, clock = guess.expand(values, visible, cells.clock_of(slice(0, 6)))
    look = guess.look(coordinates, shown, clock)
    rest = (coordinates - guess.season[clock.phase]).flatten(1).numpy()
    for kinds, rows in guess.groups(clock):
        for i in rows.tolist():
            seen = shown[i].flatten().numpy()
            off = (rest[i] - kinds[0].location.numpy())[seen]
            known, unknown = (
                off @ np.linalg.solve(kind.covariance.numpy()[np.ix_(seen, seen)], off)
                for kind in kinds[:2]
            )
            assert known > unknown
            np.testing.assert_allclose(look.shift[i].sum(), known - unknown, rtol=1e-6)
