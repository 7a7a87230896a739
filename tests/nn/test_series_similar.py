"""Guesses at windows by windows that are like them, and the phases that windows start at."""

from __future__ import annotations

import pytest
import torch
from models import DAY, daily_course, gaussians_of, hidden_in, open_clock, series_guess, timed

from maetab.nn.guess.series import SeriesGuess
from maetab.nn.windows import Clock, Windows

T = DAY


@pytest.fixture(scope="module")
def fitted() -> tuple[SeriesGuess, Windows]:
    return series_guess(timed(*daily_course(), T, 3, DAY, dense=1), (0, 0), n_starts=2)


LIKE, ABOUT = 5, 4  # places of the guesses


def test_a_window_never_reads_itself_nor_one_that_shares_rows_or_a_part(fitted):
    guess, cells = fitted
    values, visible = hidden_in(cells)
    clock, index = cells.clock_of(slice(None)), cells.memory_index(slice(None))
    rest, shown, _ = guess.expand(values, visible, clock)
    rows = cells.rows.numpy()
    known = [rows[i] for i in order_of_memory(guess, cells)]
    for with_part in (True, False):
        asked = clock if with_part else clock._replace(fold=None)
        barred = guess._barred(rest, shown, asked, index).numpy()
        for i in range(len(cells)):
            for m, other in enumerate(known):
                wanted = bool(set(rows[i]) & set(other))
                if with_part:
                    wanted |= int(cells.fold[i]) == int(guess.remembered_part[m])
                assert barred[i, m] == wanted


def order_of_memory(guess: SeriesGuess, cells: Windows) -> list[int]:
    """Return the place of each remembered window among the windows, by what it holds."""
    taken, seen = (x.flatten(1) for x in cells.take(slice(None)))
    found = []
    for m in range(len(guess.remembered_cells)):
        same = (taken == guess.memory.values[m]).all(1) & (seen == guess.memory.visible[m]).all(1)
        found.append(int(same.nonzero()[0, 0]))
    return found


def test_a_remembered_window_is_known_again_without_its_number(fitted):
    guess, cells = fitted
    values, observed = cells.take(slice(None))
    clock = open_clock(cells)
    cells_, shown, clock = guess.expand(values, observed, clock)
    barred = guess._barred(cells_ - guess.season[clock.phase], shown, clock, None)
    for m, i in enumerate(order_of_memory(guess, cells)):
        assert barred[i].nonzero()[:, 0].tolist() == [m]


def test_what_is_left_when_similar_windows_are_taken_off_is_guessed_by_the_gaussian(fitted):
    guess, cells = fitted
    values, visible = hidden_in(cells)
    clock = open_clock(cells)
    look = guess.look(values.double(), visible, clock)
    season = guess.season[clock.phase]
    like = look.guesses[..., LIKE] - season
    for i, pair in enumerate(gaussians_of(guess, clock)):
        plain = pair[0]
        rest = (values[i].double() - season[i] - like[i]).flatten()[None] + plain.location
        found = plain(rest, visible[i].flatten()[None])
        wanted = (found.mean - plain.location).view(T, 2) + like[i] + season[i]
        torch.testing.assert_close(look.guesses[i, ..., ABOUT], wanted, rtol=0, atol=1e-8)
        left = found.residual.view(T, 2)
        torch.testing.assert_close(look.missed[i, ..., ABOUT], left, rtol=0, atol=1e-8)


# ---- phases that windows start at


def starts_of(phases: list[int]) -> list[int]:
    phase = torch.tensor(phases)[:, None] + torch.arange(2)
    return Clock(phase.double(), phase, torch.zeros(*phase.shape, 0)).usual_starts().tolist()


def test_a_phase_is_a_usual_start_if_one_window_in_eight_starts_there():
    assert starts_of([0] * 14 + [5, 3]) == [0]
    assert starts_of([0] * 7 + [12] * 7 + [4, 4]) == [0, 4, 12]
    assert starts_of(list(range(1, 21))) == []


def test_without_a_period_no_phase_is_a_usual_start():
    still = torch.zeros(9, 3, dtype=torch.long)
    assert Clock(still.double(), still, torch.zeros(9, 3, 0)).usual_starts().tolist() == []


def test_steps_without_a_row_lie_one_beyond_those_before_or_before_those_after():
    rows = torch.tensor([[-1, -1, 0, 1, -1], [1, -1, 2, -1, -1], [-1, 2, -1, -1, -1]])
    position, phase = torch.tensor([7.0, 8.0, 10.0]), torch.tensor([1, 2, 1])
    known = torch.ones(3, 2, dtype=torch.bool)
    clock = Clock(position, phase, torch.ones(3, 1))
    found = Windows(torch.zeros(3, 2), known, rows, clock=clock).clock_of(slice(None))
    lies = [[5, 6, 7, 8, 9], [8, 9, 10, 11, 12], [9, 10, 11, 12, 13]]
    assert found.position.tolist() == lies
    assert found.phase.tolist() == [[0, 0, 1, 2, 0], [2, 0, 1, 0, 0], [0, 1, 0, 0, 0]]
    assert (found.calendar[..., 0] == (rows >= 0)).all()


def test_evidence_tells_the_nearest_step_and_guesses_at_visible_cells_without_them(fitted):
    guess, cells = fitted
    values, visible = (x[:4] for x in hidden_in(cells))
    coordinates, shown, clock = guess.expand(values, visible, cells.clock_of(slice(0, 4)))
    look = guess.look(coordinates, shown, clock)
    found = guess.evidence(look, shown)
    told = (found.guesses + look.missed)[shown]  # of visible cells, and what it lacks to them
    torch.testing.assert_close(told, coordinates[shown][:, None].expand_as(told))
    apart = (clock.position[:, :, None] - clock.position[:, None]).abs()  # (B, T, T)
    apart = torch.where(torch.eye(T, dtype=torch.bool), torch.inf, apart)
    away = torch.where(shown[:, None], apart[..., None], torch.inf).amin(2)
    known = away.isfinite()
    assert known.float().mean() > 0.5 and torch.equal(found.near[known], away[known])
