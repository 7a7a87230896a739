"""How long the metric of row attention is learned, and which state of it is kept."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from models import first_guess
from models import windows as windows_over

from maetab.nn.guess.options import GuessOptions
from maetab.nn.guess.stack import StackedGuess
from maetab.nn.guess.tuning import POWER, Hidden, Lesson, State
from maetab.nn.guess.weights import corrections


def a_number(value: float = 0.0) -> torch.Tensor:
    return torch.tensor([value])


def judged(*errors: float) -> State:
    """Return a state whose parameter, and mean, is what it was judged by; after 50 steps each."""
    state = State([a_number()])
    for error in errors:
        state.parameters[0].fill_(error)
        state.mean[0].fill_(error)
        state.n_steps += 50
        state.judge(error)
    return state


def test_the_mean_of_states_counts_each_by_a_power_of_its_step():
    state = State([a_number(99.0)])  # what was before the first step does not count
    drawn = np.random.default_rng(0).normal(size=40)
    for value in drawn:
        state.parameters[0].fill_(value)
        state.step()
    weights = [math.comb(step + POWER - 1, POWER) for step in range(1, 41)]
    assert float(state.mean[0]) == pytest.approx(np.average(drawn, weights=weights), rel=1e-5)


def test_the_mean_is_in_place_only_while_it_is_looked_at():
    state = State([a_number(1.0)])
    state.mean[0].fill_(5.0)
    with state.mean_in_place():
        assert state.parameters[0].item() == 5.0
    assert state.parameters[0].item() == 1.0


@pytest.mark.parametrize(
    ("errors", "share", "ends"),
    [
        ((1.0,), 0.01, False),  # nothing to compare with
        ((1.0, 0.97), 0.01, False),
        ((1.0, 0.995), 0.01, True),
        ((1.0, 0.995), 0.001, False),
        ((1.0, 1.2), 0.0, False),  # all steps are taken
        ((1.0, 0.9, 0.895), 0.01, False),  # after 150 steps that after 50 is what was
        ((1.0, 0.9, 0.895, 0.895), 0.01, True),
        ((1.0, 0.9, 0.8, 0.95), 0.01, False),  # the least counts, not the last
    ],
)
def test_learning_ends_when_twice_the_steps_gain_too_little(errors, share, ends):
    assert judged(*errors).gains_less(share) is ends


@pytest.mark.parametrize(
    ("errors", "kept"), [((3.0, 2.0, 2.5), 2.0), ((3.0, 2.0), 2.0), ((3.0, 4.0, 5.0), 3.0)]
)
def test_the_best_state_that_was_looked_at_is_kept(errors, kept):
    state = judged(*errors)
    state.settle()
    assert state.parameters[0].item() == kept


def test_without_a_later_look_the_mean_is_kept():
    for state in (judged(3.0, 2.0), judged()):
        state.mean[0].fill_(7.0)
        state.settle()
        assert state.parameters[0].item() == 7.0


def bent(n: int, noise: bool) -> torch.Tensor:
    """Return numbers (n, 3) that tell each other by a curve, or not at all."""
    x = torch.rand(n, 3, generator=torch.Generator().manual_seed(0)) * 2 - 1
    if not noise:
        x[:, 1:] = torch.stack([(9 * x[:, 0]).sin(), (9 * x[:, 0]).cos()], 1)
    return (x - x.mean(0)) / x.std(0)


def steps_of(monkeypatch, cells: torch.Tensor, **options) -> int:
    """Return how many steps the metric of a guess at cells (n, F) is learned for."""
    steps, step = [], State.step
    monkeypatch.setattr(State, "step", lambda self: steps.append(1) or step(self))
    first_guess(windows_over(cells, cells < 99), (0,) * cells.shape[1], **options)
    return len(steps)


@pytest.mark.slow
def test_noise_is_given_up_soon_and_what_can_be_learned_is_not(monkeypatch):
    small = {"tuning_steps": 400, "tuning_windows": 64, "tuning_rows": 128, "n_metrics": 1}
    noise, curve = (steps_of(monkeypatch, bent(300, noise), **small) for noise in (True, False))
    assert noise <= 142 < curve <= 400


def test_there_are_no_more_steps_than_are_asked_for(monkeypatch):
    assert steps_of(monkeypatch, bent(100, False), tuning_steps=7) == 7
    assert steps_of(monkeypatch, bent(100, False), tuning_steps=60, least_gain=0.0) == 60


def test_windows_that_are_looked_at_are_not_learned_from(monkeypatch):
    seen, hide = [], Lesson.hide

    def spied(self, windows, generator):
        seen.append(windows)
        return hide(self, windows, generator)

    monkeypatch.setattr(Lesson, "hide", spied)
    steps_of(monkeypatch, bent(200, True), tuning_steps=60)
    (looked,) = (i for i, rows in enumerate(seen) if len(rows.unique()) == 30)
    learned = torch.cat([rows for i, rows in enumerate(seen) if i != looked]).unique()
    assert looked == 50  # after so many steps
    assert len(learned) == 170 and not set(learned.tolist()) & set(seen[looked].tolist())


def test_rows_are_looked_at_by_the_keys_of_the_state_that_is_judged(monkeypatch):
    looks = []

    def look(self, given, real=Lesson.left_over):
        memory = self.guess.memory
        with torch.no_grad():
            torch.testing.assert_close(memory.keys.kept, memory.keys(self.features))
        looks.append(memory.keys.kept.clone())
        return real(self, given)

    monkeypatch.setattr(Lesson, "left_over", look)
    table = windows_over(bent(120, False), np.ones((120, 3), dtype=bool))
    first_guess(table, (0,) * 3, key_width=4, tuning_steps=80, least_gain=0)
    assert len(looks) >= 2 and not torch.equal(looks[0], looks[1])


@pytest.mark.parametrize("key_width", [0, 4])
def test_what_is_looked_at_is_what_the_best_weights_for_all_cells_leave(key_width):
    cells = bent(120, False)
    table = windows_over(cells, cells < 99)
    guess, table = first_guess(table, (0,) * 3, key_width=key_width, tuning_steps=5)
    lesson, rows = Lesson(guess, table), torch.arange(40)
    hidden = lesson.hide(rows, torch.Generator().manual_seed(0))
    with torch.no_grad():
        near = guess.near(hidden.cells, hidden.visible, hidden.normal, table.memory_index(rows))
    moves = corrections(hidden.normal, near.heads)[hidden.hidden].numpy()
    missed = (hidden.cells - hidden.normal.mean)[hidden.hidden].numpy()
    ridge = np.sqrt(1e-3 * len(moves)) * np.eye(moves.shape[1])
    padded = np.concatenate([moves, ridge]), np.concatenate([missed, np.zeros(len(ridge))])
    weights = np.linalg.lstsq(*padded)[0]
    error = np.square(missed - moves @ weights).sum()
    assert lesson.left_over(hidden) == pytest.approx(error, rel=1e-3)
    assert isinstance(hidden, Hidden) and error < np.square(missed).sum()


def test_the_same_seed_learns_the_same():
    cells = bent(150, False)
    once, again = (
        first_guess(windows_over(cells, cells < 99), (0,) * 3, tuning_steps=80)[0].state_dict()
        for _ in range(2)
    )
    assert all(torch.equal(once[name], again[name]) for name in once)


def test_when_time_is_up_a_step_is_taken_and_nothing_is_looked_at(monkeypatch):
    monkeypatch.setattr(Lesson, "left_over", lambda *_: pytest.fail("looked"))
    cells = bent(200, False)
    table = windows_over(cells, cells < 99)
    guess = StackedGuess((0,) * 3, 1, 200, GuessOptions())
    guess.fit(table, torch.Generator().manual_seed(0), 256, time_used=lambda: 0.9)
    assert torch.isfinite(guess(*table.take(slice(None))).mean).all()
