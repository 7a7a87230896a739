"""Rows are compared by the learned keys of row attention, and their scores show it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scoring_models import CPU, N_LEVELS, fitted_model, rows_of

from maetab.detector import MAEAnomalyDetector
from maetab.engine import row_scores
from maetab.engine.distances import FAR, _least_squares, key_distances
from maetab.engine.reference import equal_memory_index, make_reference, training_memory_index
from maetab.nn.guess.gaussian import Normal
from maetab.nn.guess.options import GuessOptions


def cells(n=80, seed=0, share=0.1):
    """Two numbers that go together and a category; some cells are missing."""
    random = np.random.default_rng(seed)
    x = random.normal(size=n)
    values = np.stack([x, x + random.normal(0, 0.2, n), np.digitize(x, [-0.5, 0.5])], 1)
    observed = random.random(values.shape) >= share
    observed[0] = True
    return (values * observed).astype(np.float32), observed


@pytest.fixture(scope="module")
def model():
    return fitted_model(rows_of(*cells()))


def far(model, windows, index, n_nearest=1, trusted=None):
    trusted = (model.guess.memory.visible > 0).any(1).numpy() if trusted is None else trusted
    known = windows, index, n_nearest, trusted, CPU
    return key_distances(model, make_reference(model), *known)


def keys_by_hand(model, rows):
    """(n, E) keys of complete coordinates, head after head: features times the map."""
    keys = model.guess.memory.keys
    everywhere = torch.ones(rows.shape, dtype=torch.bool)
    features = keys.features(Normal(rows, torch.zeros_like(rows)), everywhere)
    return (features.double() @ keys.map.double()).detach().numpy()


@pytest.mark.parametrize("n_nearest", [1, 5])
def test_the_distance_is_that_of_keys_to_the_nearest_trusted_rows_but_the_row_itself(
    model, n_nearest
):
    reference, windows = make_reference(model), rows_of(*cells())
    index = training_memory_index(model, reference, windows)
    known = keys_by_hand(model, torch.tensor(reference.completed_rows))
    trusted = (model.guess.memory.visible > 0).any(1).numpy()
    trusted[3:20] = False
    found = far(model, windows, index, n_nearest, trusted)
    place = index[:, 0]
    gap = np.square(known[place][:, None] - known[trusted]).sum(-1)
    for row, mine, own in zip(found, gap, place, strict=True):
        others = mine[np.flatnonzero(trusted) != own]
        np.testing.assert_allclose(row, np.sort(others)[:n_nearest].mean(), rtol=1e-3, atol=1e-7)


def test_a_training_row_that_is_seen_as_new_gets_the_distance_it_had(model):
    windows, reference = rows_of(*cells()), make_reference(model)
    index = training_memory_index(model, reference, windows)
    as_new = equal_memory_index(model, reference, windows)
    np.testing.assert_array_equal(far(model, windows, index, 5), far(model, windows, as_new, 5))


def test_a_row_is_as_far_alone_as_among_others(model):
    windows = rows_of(*cells(60, seed=1))
    index = np.full((60, 1), -1)
    every = far(model, windows, index, 5)
    for chosen in (slice(7, 8), slice(0, 60, 7), slice(None, None, -1)):
        rows = torch.tensor(windows.rows.numpy()[chosen].copy())
        some = far(model, replace(windows, rows=rows), index[chosen].copy(), 5)
        np.testing.assert_array_equal(some, every[chosen])


def test_a_cell_that_is_missing_is_not_read(model):
    values, observed = cells(60, seed=1, share=0.3)
    index = np.full((60, 1), -1)
    wild = np.where(observed, values, 1e6).astype(np.float32)
    wild[:, 2] = np.where(observed[:, 2], values[:, 2], 1)
    np.testing.assert_array_equal(
        far(model, rows_of(values, observed), index), far(model, rows_of(wild, observed), index)
    )


def detector(key_width, **parameters):
    guess = GuessOptions(key_width=key_width, tuning_steps=20)
    return MAEAnomalyDetector(guess=guess, n_masks=4, random_state=0, **parameters)


@pytest.mark.parametrize("trim", [0.0, 0.2])
@pytest.mark.parametrize("key_width", [0, 16])
def test_keys_are_a_part_of_the_score_where_there_are_any(key_width, trim, monkeypatch):
    X = np.random.default_rng(0).normal(size=(90, len(N_LEVELS)))
    fitted = detector(key_width, trim=trim).fit(X)
    assert len(fitted.part_center_) == 2 + (key_width > 0) + (trim > 0)
    before = fitted.score_samples(X)
    monkeypatch.setitem(row_scores.WEIGHTS, "keys", 20.0)
    assert (fitted.score_samples(X) != before).any() == (key_width > 0)


def test_few_rows_have_a_score_each():
    for n in (2, 3, 6):
        X = np.random.default_rng(n).normal(size=(n, 2))
        assert np.isfinite(detector(16).fit(X).score_samples([*X, [9.0, -9.0]])).all()


def test_the_least_distances_are_exact_where_products_round():
    """Far from 0 a product of single precision orders neighbours wrongly."""
    rng = np.random.default_rng(0)
    places, asked = (torch.tensor(60 + 0.1 * rng.normal(size=(n, 4))).float() for n in (200, 50))
    own = torch.full((50, 1), -1)
    own[0], added = 7, torch.zeros(200)
    added[3] = FAR
    found = _least_squares(asked, places, own, added, 5).numpy()
    exact = (asked.double()[:, None] - places.double()).square().sum(2).numpy()
    exact[:, 3], exact[0, 7] = FAR, FAR
    np.testing.assert_allclose(np.sort(found, 1), np.sort(exact, 1)[:, :5], rtol=1e-4)
