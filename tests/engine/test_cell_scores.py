"""Surprises of single cells: what a cell makes others surprise, and tails of few cells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_diabetes

from maetab import MAEAnomalyDetector
from maetab.engine.scoring import TAIL, TAIL_CELLS, shared_tails
from maetab.engine.surprises import _misled, hidden_sets


def misled_cell_by_cell(wrong, hide):
    """What `_misled` says, one pair of cells after the other."""
    n_rows, n_cells, n_sets = wrong.shape
    mean = np.nansum(wrong, -1) / np.maximum((~np.isnan(wrong)).sum(-1), 1)
    out = np.zeros((n_rows, n_cells))
    for i in range(n_rows):
        for k in range(n_cells):
            found = {True: [], False: []}
            for s in range(n_sets):
                for j in range(n_cells):
                    if j != k and not np.isnan(wrong[i, j, s]):
                        found[bool(hide[s, k])].append(wrong[i, j, s] - mean[i, j])
            visible, hidden = (np.mean(x) if x else 0.0 for x in (found[False], found[True]))
            out[i, k] = visible - hidden
    return out


@settings(max_examples=20)
@given(n_cells=st.integers(2, 6), n_sets=st.integers(1, 8), seed=st.integers(0, 99))
def test_what_a_cell_makes_others_surprise_is_told_by_all_pairs_of_cells(n_cells, n_sets, seed):
    random = np.random.default_rng(seed)
    hide = hidden_sets(n_cells, n_sets, (0.15, 0.3))
    observed = random.random((5, n_cells)) < 0.8
    seen = observed[..., None] & hide.T
    wrong = np.where(seen, random.random(seen.shape), np.nan)
    found = _misled(torch.tensor(wrong), torch.tensor(hide)).numpy()
    there = observed & np.isfinite(found)
    np.testing.assert_array_equal(np.isfinite(found), np.ones_like(there))
    np.testing.assert_allclose(found[there], misled_cell_by_cell(wrong, hide)[there], atol=1e-12)


def test_the_wrong_cell_of_a_row_is_found_more_often_by_what_it_makes_others_surprise():
    patients = np.random.default_rng(0).permutation(load_diabetes().data)
    detector = MAEAnomalyDetector(max_iter=0, random_state=0).fit(patients[:221])
    X, random = patients[221:].copy(), np.random.default_rng(5)
    rows, where = np.arange(len(X)), random.integers(10, size=len(X))
    X[rows, where] = X[random.permutation(len(X)), where]
    windows, scorer = detector._windows(detector._read(X)), detector._scorer()
    without = replace(scorer, calibration=replace(scorer.calibration, others_weight=0.0))
    before, after = (
        np.mean(one.surprises(windows, alone=True).argmax(1) == where) for one in (without, scorer)
    )
    assert after > before + 0.05
    assert np.mean(detector.score_cells(X).to_numpy().argmax(1) == where) > before


def test_cells_of_a_detector_fitted_before_are_judged_by_their_own_errors():
    X = np.random.default_rng(0).normal(size=(120, 4))
    old = MAEAnomalyDetector(preset="fast", random_state=0).fit(X)
    windows, new = old._windows(old._read(X + 0.1)), old._scorer()
    del old.others_weight_
    none = replace(new, calibration=replace(new.calibration, others_weight=0.0))
    found = old._scorer().surprises(windows, alone=True)
    np.testing.assert_array_equal(found, none.surprises(windows, alone=True))
    assert (found != new.surprises(windows, alone=True)).any()


def test_cells_of_a_row_are_judged_bit_for_bit_as_beside_others():
    """A batch here holds 424 rows of 19 cells, a number that no vector of doubles divides."""
    random = np.random.default_rng(0)
    X = random.normal(size=(1000, 6)) @ random.normal(size=(6, 19)) + random.normal(size=(1000, 19))
    detector = MAEAnomalyDetector(preset="fast", random_state=0).fit(X[:140])
    whole = detector.score_cells(X[140:]).to_numpy()
    rolled = detector.score_cells(np.roll(X[140:], 7, axis=0)).to_numpy()
    np.testing.assert_array_equal(np.roll(rolled, -7, axis=0), whole)
    for some in (slice(0, 1), slice(423, 424), slice(500, 860)):
        np.testing.assert_array_equal(detector.score_cells(X[140:][some]).to_numpy(), whole[some])
    scores = detector.score_samples(X[140:])
    np.testing.assert_array_equal(detector.score_samples(X[563:564]), scores[423:424])


def test_a_constant_column_is_not_strange_by_what_is_hidden_beside_it():
    random = np.random.default_rng(0)
    X = random.normal(size=(300, 3)) @ random.normal(size=(3, 8))
    X[:, 4] = 2.0
    detector = MAEAnomalyDetector(preset="fast", random_state=0).fit(X[:150])
    assert not detector.score_cells(X[150:])["x4"].any()


@pytest.mark.parametrize("count", [10, TAIL_CELLS, 10**9])
def test_tails_are_those_of_all_columns_of_a_kind_where_cells_are_few(count):
    random = np.random.default_rng(0)
    quantiles = np.sort(random.exponential([[1.0], [2.0], [6.0], [50.0]], (4, 201)), 1)
    kinds = np.array([False, False, False, True])
    found = shared_tails(quantiles, np.full(4, count), kinds)
    tail = round((1 - TAIL) * 200)
    np.testing.assert_array_equal(found[:, :tail], quantiles[:, :tail])
    np.testing.assert_allclose(found[3], quantiles[3])  # the only one of its kind
    own, new = (x[:3, tail:].mean(1) - x[:3, tail] for x in (quantiles, found))
    weight = count / (count + TAIL_CELLS)
    np.testing.assert_allclose(new, weight * own + (1 - weight) * own.mean(), rtol=1e-6)


def test_a_column_without_cells_says_nothing_of_the_tails_of_others():
    quantiles = np.sort(np.random.default_rng(0).exponential(size=(3, 201)), 1)
    quantiles[2] = 0
    found = shared_tails(quantiles, np.array([50, 50, 0]), np.zeros(3, bool))
    np.testing.assert_array_equal(
        found[:2], shared_tails(quantiles[:2], np.full(2, 50), np.zeros(2))
    )
    assert not found[2].any()
