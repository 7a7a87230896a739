"""Scores of rows in windows of several steps, and what is done with those of cells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scoring_models import CPU, fitted_model

from maetab.engine.distances import distances
from maetab.engine.inference import windows_of
from maetab.engine.reference import equal_memory_index, make_reference, training_memory_index
from maetab.engine.score_calibration import calibrated, start_calibration
from maetab.engine.scoring import Levels, Scorer, row_means, tail_surprisal
from maetab.engine.surprises import hidden_sets, surprises

NUMBERS = (0, 0)


def overlapping(values, n_steps=3, observed=None):
    """All windows of `n_steps` rows that follow each other."""
    observed = np.ones(values.shape, bool) if observed is None else observed
    first = np.arange(len(values) - n_steps + 1)
    return windows_of(values, observed, first[:, None] + np.arange(n_steps))


def noise(n, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 2)).astype(np.float32)


@pytest.fixture(scope="module", params=[4096, 40], ids=["all remembered", "some remembered"])
def series(request):
    """A first guess at windows of three steps of independent noise; its reference; the windows."""
    windows = overlapping(noise(90))
    model = fitted_model(windows, NUMBERS, request.param)
    return model, make_reference(model), windows


def scorer_of(model, reference, windows, trim=False):
    n, f = windows.values.shape
    rows = (windows.values.numpy(), windows.observed.numpy()) if trim else None
    known = start_calibration(model, 6, rows=rows)
    levels = Levels(np.zeros(f, bool), [()] * f, np.zeros(f))
    scorer = Scorer(model, reference, levels, known, CPU)
    return replace(scorer, calibration=calibrated(scorer, windows, np.ones(n, bool)))


def sharing(windows, places):
    """For each window, which remembered ones hold one of its rows, by comparing row numbers."""
    rows, remembered = windows.rows.numpy(), {}
    for window, place in enumerate(places):
        if place >= 0:
            remembered[int(place)] = set(rows[window]) - {-1}
    return [{p for p, held in remembered.items() if held & (set(own) - {-1})} for own in rows]


def test_a_training_window_bars_all_remembered_ones_that_hold_one_of_its_rows(series):
    model, reference, windows = series
    places = model.guess.memory.visible.any(1).nonzero()[:, 0]
    index = training_memory_index(model, reference, windows)
    alone = equal_memory_index(model, reference, windows)
    own = [set(row) - {-1} for row in index]
    found = [next((i for i in p if i in overlap), -1) for p, overlap in zip(index, own, strict=True)]
    assert len(found) == len(windows) and len(places) <= len(windows)
    one = [int(set(row) != {-1}) for row in alone]
    assert sum(one) == len(places)
    from maetab.engine.reference import remembered_places

    assert own == sharing(windows, remembered_places(model, reference, windows))
    for mine, theirs, known in zip(own, alone, one, strict=True):
        assert not known or mine == set(theirs) - {-1}


def test_windows_of_noise_surprise_as_much_as_new_ones_though_overlapping_ones_are_remembered(series):
    model, reference, windows = series
    new, sets = overlapping(noise(400, seed=1)), hidden_sets(6, 6)
    index = training_memory_index(model, reference, windows)
    known = surprises(model, windows, index, sets, CPU)
    fresh = surprises(model, new, equal_memory_index(model, reference, new), sets, CPU)
    assert known.mean() > 0.9 * fresh.mean()
    apart = distances(model, reference, windows, index, 1, np.ones(len(reference.completed_rows), bool), CPU)
    assert np.median(apart) > 0
def test_cells_that_surprise_as_much_as_the_usual_ones_are_usual():
    constant = np.full((1, 201), 0.5)
    found = tail_surprisal(np.array([[0.5], [0.5 - 1e-9], [9.0], [np.nan]]), constant)[:, 0]
    np.testing.assert_allclose(found[:2], 0)
    assert found[2] > 3
    assert np.isnan(found[3])


def test_shares_above_are_those_of_a_sample_with_ties():
    sample = np.sort(np.random.default_rng(0).choice([0.1, 0.4, 1.0], 4000, p=[0.5, 0.3, 0.2]))
    quantiles = np.quantile(sample, np.linspace(0, 1, 201))[None]
    for value in (0.1, 0.4, 1.0):
        share = 10 ** -tail_surprisal(np.array([[value]]), quantiles)[0, 0]
        assert share == pytest.approx((sample >= value).mean(), abs=0.01)
