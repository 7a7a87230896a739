"""Several metrics of a memory, learned and weighted side by side."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from models import first_guess, windows

import maetab
from maetab import MAEImputer
from maetab.nn.guess.memory import N_HEADS, Neighbours, RowMemory
from maetab.nn.guess.options import GuessOptions
from maetab.nn.guess.stack import StackedGuess
from maetab.nn.guess.tuning import Lesson
from maetab.nn.guess.weights import fit_weights


def a_table(n: int = 120) -> torch.Tensor:
    x = torch.randn(n, 3, generator=torch.Generator().manual_seed(0))
    x[:, 1:] = torch.stack([(3 * x[:, 0]).sin(), x[:, 0].abs()], 1)
    return (x - x.mean(0)) / x.std(0)


def test_the_heads_of_a_metric_are_mixed_by_what_each_cell_has_chosen_among_them():
    memory = RowMemory([0, 1, 1], 20, 1, [True, False, False], 4, n_metrics=2)
    drawn = np.random.default_rng(0)
    choice = drawn.normal(size=(2 * N_HEADS, 2)).astype(np.float32)
    memory.choice.data.copy_(torch.tensor(choice))
    heads = drawn.normal(size=(2 * N_HEADS, 5, 3)).astype(np.float32)
    given = torch.tensor(heads)
    found = list(memory.mixed_by_metric(Neighbours(given, 2 * given, 3 * given)))
    assert len(found) == 2
    for own, one in zip((slice(0, N_HEADS), slice(N_HEADS, None)), found, strict=True):
        share = np.exp(choice[own]) / np.exp(choice[own]).sum(0)
        expected = np.einsum("hbc,hc->bc", heads[own], share[:, [0, 1, 1]])
        for times, part in zip((1, 2, 3), one, strict=True):
            np.testing.assert_allclose(part.detach(), times * expected, rtol=1e-4, atol=1e-6)


def test_metrics_learn_nothing_from_each_other():
    cells = a_table()
    guess, table = first_guess(windows(cells, cells < 99), (0,) * 3, tuning_steps=2, n_metrics=2)
    memory, lesson = guess.memory, Lesson(guess, table)
    hidden = lesson.hide(torch.arange(40), torch.Generator().manual_seed(0))

    def slope() -> torch.Tensor:
        memory.zero_grad(set_to_none=True)
        lesson.error(hidden, slice(0, 120)).backward()
        return memory.log_weight.grad[:N_HEADS].clone()

    before = slope()
    with torch.no_grad():
        memory.log_weight[N_HEADS:] += 1.0
        memory.choice[N_HEADS:] -= 1.0
    torch.testing.assert_close(slope(), before)
    assert before.abs().max() > 1e-4


def test_a_metric_beside_its_double_says_what_it_says_alone():
    cells = a_table()
    two, table = first_guess(windows(cells, cells < 99), (0,) * 3, tuning_steps=3, n_metrics=2)
    one = StackedGuess((0,) * 3, 1, len(cells), GuessOptions(n_metrics=1))
    own, theirs = one.memory, two.memory
    with torch.no_grad():
        for name in ("log_weight", "log_cost", "choice"):
            getattr(theirs, name)[N_HEADS:] = getattr(theirs, name)[:N_HEADS]
        half = theirs.keys.map.shape[1] // 2
        theirs.keys.map[:, half:] = theirs.keys.map[:, :half]
        theirs.keys.kept[N_HEADS:] = theirs.keys.kept[:N_HEADS]
    kept = {"log_weight", "log_cost", "choice", "keys.kept"}
    state = two.state_dict()
    alone = {}
    for name, tensor in one.state_dict().items():
        given = state[name]
        if name.removeprefix("memory.") in kept:
            given = given[:N_HEADS]
        elif name == "memory.keys.map":
            given = given[:, :half]
        alone[name] = given if given.shape == tensor.shape else tensor
    one.load_state_dict(alone)
    assert own.log_weight.shape == (N_HEADS, 3)
    values, observed = table.take(slice(None))
    visible = observed & (
        torch.rand(observed.shape, generator=torch.Generator().manual_seed(1)) < 0.7
    )
    answers = []
    for guess in (one, two):
        rows, generator = torch.arange(120), torch.Generator().manual_seed(2)
        fit_weights(guess, table, rows[:90], rows[90:], generator, lambda: False)
        answers.append(guess(values, visible, table.memory_index(slice(None))).mean)
    torch.testing.assert_close(*answers, rtol=1e-4, atol=1e-4)
    assert (answers[0] - values).abs().max() > 0.1


@pytest.mark.parametrize("key_width", [0, 4])
def test_a_model_of_several_metrics_is_saved_and_loaded(tmp_path, key_width):
    X = a_table().numpy().copy()
    X[::3, 1] = np.nan
    options = GuessOptions(tuning_steps=2, n_metrics=3, key_width=key_width)
    imputer = MAEImputer(guess=options, max_iter=0, random_state=0).fit(X)
    maetab.save(imputer, tmp_path / "model.safetensors")
    again = maetab.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(again.transform(X), imputer.transform(X))
    assert len(again.model_.guess.memory.log_weight) == 3 * N_HEADS
