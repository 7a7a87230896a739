"""How many rows an imputer of a large table remembers."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from models import QUICK, first_guess
from models import windows as windows_over

from maetab import MAEAnomalyDetector, MAEEncoder, MAEImputer, load, save
from maetab.nn.guess.options import GuessOptions
from maetab.nn.guess.tuning import Lesson

FEW = replace(QUICK, n_remembered=64, resized=True)
N_ROWS = 400


def noise() -> pd.DataFrame:
    """Return columns that have nothing to do with each other."""
    return pd.DataFrame(np.random.default_rng(0).normal(size=(N_ROWS, 4)), columns=list("abcd"))


def places() -> pd.DataFrame:
    """Return rows of 60 places, each with numbers of its own: the rows to know are of the same."""
    rng = np.random.default_rng(0)
    place = rng.integers(60, size=N_ROWS)
    cells = rng.normal(size=(60, 6))[place] + 0.01 * rng.normal(size=(N_ROWS, 6))
    return pd.DataFrame(cells, columns=list("abcdef"))


def fitted(frame: pd.DataFrame, estimator: type = MAEImputer, **options):
    guess = replace(FEW, **options)
    return estimator(max_iter=0, guess=guess, random_state=0).fit(frame)


def n_remembered(estimator) -> int:
    memory = estimator.model_.guess.memory
    assert memory.visible.shape == memory.values.shape == memory.residuals.shape
    assert len(memory.overlaps) == memory.keys.kept.shape[1] == len(memory.values)
    assert estimator.model_.config.n_memory == len(memory.values)
    return len(memory.values)


def test_columns_that_nothing_tells_take_a_quarter_of_the_rows():
    assert n_remembered(fitted(noise())) == 16


def test_rows_that_tell_each_other_are_remembered_twice_as_many():
    assert n_remembered(fitted(places(), tuning_steps=50)) == 128


@pytest.mark.parametrize("n_rows", [20, 64, 128])
def test_up_to_twice_as_many_rows_change_nothing(n_rows, monkeypatch):
    monkeypatch.setattr(Lesson, "enough", lambda *_: pytest.fail("looked how many are enough"))
    frame = noise()[:n_rows]
    assert n_remembered(fitted(frame)) == min(n_rows, 64)


def test_the_memory_is_as_large_as_it_was_asked_for_where_it_is_not_to_be_resized():
    assert n_remembered(fitted(noise(), resized=False)) == 64


@pytest.mark.parametrize("estimator", [MAEAnomalyDetector, MAEEncoder])
def test_estimators_that_compare_whole_rows_keep_all_that_they_were_told_to(estimator):
    found = fitted(noise(), estimator)
    assert n_remembered(found) == 64
    assert not found.model_.config.guess.resized


def test_rows_that_are_forgotten_are_not_read():
    frame = places()
    whole, part = fitted(frame, resized=False), fitted(frame, resized=False)
    guess = part.model_.guess
    guess.remember_first(20)
    values = torch.as_tensor(frame.to_numpy(np.float32, copy=True))[:40, None]
    visible = torch.rand(values.shape, generator=torch.Generator().manual_seed(0)) < 0.7
    expected = whole.model_.guess(values, visible, n_remembered=20)
    torch.testing.assert_close(guess(values, visible).mean, expected.mean)
    assert not torch.equal(whole.model_.guess(values, visible).mean, expected.mean)


def test_rows_that_are_forgotten_are_held_nowhere():
    values = noise().to_numpy(np.float32, copy=True)
    options = {name: getattr(FEW, name) for name in ("n_remembered", "resized", "tuning_steps")}
    table = windows_over(values, np.ones_like(values, dtype=bool))
    guess, found = first_guess(table, (0, 0, 0, 0), 2 * FEW.n_remembered, **options)
    held = found.memory_index(slice(None))
    assert len(guess.memory.values) < 2 * FEW.n_remembered
    assert sorted(held[held >= 0].tolist()) == list(range(len(guess.memory.values)))


def enough(errors: dict[int, float], usual: int = 64, stopped: bool = False) -> int:
    """Return what is enough where so many rows leave such errors; twice `usual` are there."""
    lesson = object.__new__(Lesson)
    options, coordinates = GuessOptions(n_remembered=usual), SimpleNamespace(size=3)
    lesson.guess = SimpleNamespace(options=options, coordinates=coordinates)
    lesson.n_remembered = max(errors)
    lesson.hide = lambda windows, generator: None
    lesson.left_over = lambda seen, n: errors[n]
    return lesson.enough(torch.arange(10), torch.Generator(), lambda: stopped)


def test_as_many_rows_are_remembered_as_held_out_cells_ask_for():
    assert enough({128: 98.4, 64: 100.0}) == 128
    assert enough({128: 98.6, 64: 100.0, 32: 100.4}) == 64
    assert enough({128: 99.9, 64: 100.0, 32: 100.2, 16: 100.4}) == 32
    assert enough({128: 99.9, 64: 100.0, 32: 100.4, 16: 100.0}) == 64
    assert enough({128: 99.9, 64: 100.0, 32: 100.2, 16: 100.2}) == 16
    assert enough({64: 100.0, 32: 100.2, 16: 100.2}) == 16
    assert enough({32: 100.0, 16: 90.0}, usual=32) == 16
    assert enough({16: 100.0, 8: 90.0}, usual=16) == 16, "places that are never too few"
    assert enough({128: 90.0, 64: 100.0}, stopped=True) == 64


def test_a_resized_memory_comes_back_from_its_file(tmp_path):
    frame = places().mask(np.random.default_rng(1).random((N_ROWS, 6)) < 0.1)
    imputer = fitted(frame, tuning_steps=50)
    save(imputer, tmp_path / "model.maetab")
    again = load(tmp_path / "model.maetab")
    assert n_remembered(again) == n_remembered(imputer) == 128
    pd.testing.assert_frame_equal(again.transform(frame), imputer.transform(frame))
