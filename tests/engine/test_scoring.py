"""Scores of rows that windows of several steps hold, and shares of cells above a cell."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from scoring_models import CPU, fitted_model
from sklearn.metrics import roc_auc_score

from maetab import MAEAnomalyDetector
from maetab.engine.distances import LEAST_REACH, _Remembered, distances
from maetab.engine.inference import windows_of
from maetab.engine.reference import (
    equal_memory_index,
    make_reference,
    remembered_places,
    training_memory_index,
)
from maetab.engine.row_scores import RowScorer, mean_of_largest
from maetab.engine.score_calibration import (
    calibrated,
    conformal_p_values,
    make_scorer,
    start_calibration,
    unseen_cost,
)
from maetab.engine.scoring import Levels, row_means, tail_surprisal
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
    scorer = make_scorer(model, reference, levels, known, CPU)
    return replace(scorer, calibration=calibrated(scorer, windows, np.ones(n, bool)))


def far(model, reference, windows, index):
    """Distances (n,) of rows to the nearest remembered windows."""
    everyone = np.ones(len(reference.completed_rows), bool)
    found = distances(model, reference, windows, index, 1, everyone, CPU)
    return row_means(found.mean, windows)


def sharing(windows, places):
    """For each window, which remembered ones hold one of its rows, by comparing row numbers."""
    rows, remembered = windows.rows.numpy(), {}
    for window, place in enumerate(places):
        if place >= 0:
            remembered[int(place)] = set(rows[window]) - {-1}
    return [{p for p, held in remembered.items() if held & (set(own) - {-1})} for own in rows]


def test_a_training_window_bars_all_remembered_ones_that_hold_one_of_its_rows(series):
    model, reference, windows = series
    places = remembered_places(model, reference, windows)
    index = training_memory_index(model, reference, windows)
    barred = [set(row) - {-1} for row in index]
    assert barred == sharing(windows, places)
    assert sum(places >= 0) == min(88, model.config.n_memory)
    # Seen as new, a remembered window bars the same, and one that is not remembered nothing.
    as_new = [set(row) - {-1} for row in equal_memory_index(model, reference, windows)]
    expected = [own if p >= 0 else set() for own, p in zip(barred, places, strict=True)]
    assert as_new == expected


def test_overlapping_windows_that_are_remembered_make_noise_no_less_surprising(series):
    model, reference, windows = series
    fresh = overlapping(noise(400, seed=1))

    def mean_surprise(some, index):
        return surprises(model, some, index, hidden_sets(6, 6), CPU).mean()

    own = equal_memory_index(model, reference, fresh)
    index = training_memory_index(model, reference, windows)
    assert mean_surprise(windows, index) > 0.9 * mean_surprise(fresh, own)
    known = model, reference
    assert far(*known, windows, index).mean() > 0.9 * far(*known, fresh, own).mean()


def test_calibration_compares_no_window_with_those_that_hold_one_of_its_rows(series, monkeypatch):
    model, reference, windows = series
    asked, ask = [], RowScorer.evidence
    monkeypatch.setattr(
        RowScorer, "evidence", lambda self, *given: asked.append(given[1]) or ask(self, *given)
    )
    levels = Levels(np.zeros(2, bool), [()] * 2, np.zeros(2))
    scorer = RowScorer(model, reference, levels, start_calibration(model, 6), CPU)
    calibrated(scorer, windows, np.ones(90, bool))
    wanted = sharing(windows, remembered_places(model, reference, windows))
    assert [set(own[own >= 0]) for own in asked[0]] == wanted


def test_no_remembered_window_that_holds_one_of_its_rows_changes_what_a_window_gets(series):
    model, reference, windows = series
    index = training_memory_index(model, reference, windows)
    everyone = np.ones(len(reference.completed_rows), bool)
    for w in (5, 41, 87):
        one = replace(windows, rows=windows.rows[w : w + 1]), index[w : w + 1]
        barred = index[w][index[w] >= 0]
        assert len(barred)
        changed = copy.deepcopy(model)
        changed.guess.memory.values[barred] += 3
        changed.guess.memory.residuals[barred] -= 5
        rows = reference.completed_rows.copy()
        rows[barred] = one[0].take(slice(None))[0].flatten(1).numpy()
        sets = hidden_sets(6, 6)
        before, after = (surprises(m, *one, sets, CPU) for m in (model, changed))
        np.testing.assert_array_equal(before, after)
        near = [
            distances(model, known, *one, 1, everyone, CPU).mean
            for known in (reference, replace(reference, completed_rows=rows))
        ]
        np.testing.assert_array_equal(*near)


def test_a_row_gets_the_mean_of_the_windows_that_hold_it(series):
    model, reference, windows = series
    index, sets = training_memory_index(model, reference, windows), hidden_sets(6, 6)
    parts = surprises(model, windows, index, sets, CPU)
    assert parts.shape == (88, 3, 2)
    merged = row_means(parts, windows)
    for row in (0, 1, 40, 89):
        held = [parts[w, t] for w, t in zip(*np.nonzero(windows.rows.numpy() == row), strict=True)]
        np.testing.assert_allclose(merged[row], np.mean(held, axis=0))
    weighted = row_means(parts, windows, np.array([1.0, 2.0, 1.0]))
    expected = (parts[38, 2] + 2 * parts[39, 1] + parts[40, 0]) / 4
    np.testing.assert_allclose(weighted[40], expected)


def test_cells_that_are_not_observed_have_no_surprise_and_change_none():
    values, observed = noise(60), np.random.default_rng(2).random((60, 2)) < 0.8
    windows = overlapping(values, observed=observed)
    model = fitted_model(windows, NUMBERS)
    scorer = scorer_of(model, make_reference(model), windows)
    found = scorer.cell_surprisals(windows)
    np.testing.assert_array_equal(np.isnan(found), ~observed)
    wild = overlapping(np.where(observed, values, np.float32(77)), observed=observed)
    np.testing.assert_array_equal(scorer.scores(wild), scorer.scores(windows))


@pytest.mark.parametrize("trim", [False, True])
def test_steps_that_pad_a_window_change_no_score(series, trim):
    model, reference, windows = series
    scorer = scorer_of(model, reference, windows, trim)
    values, observed = noise(8, seed=3), np.ones((8, 2), bool)
    short = windows_of(values, observed, np.array([[0, 1, 2], [3, 4, -1], [5, -1, -1], [6, 7, -1]]))
    scores, cells = scorer.scores(short), scorer.cell_surprisals(short)
    assert np.isfinite(scores).all() and np.isfinite(cells).all()
    # What stands where the array ends, or begins, is in no window that is padded.
    values[[0, 7]] = 1e6
    moved = windows_of(values, observed, short.rows.numpy())
    untouched = [3, 4, 5]
    np.testing.assert_array_equal(scorer.scores(moved)[untouched], scores[untouched])
    np.testing.assert_array_equal(scorer.cell_surprisals(moved)[untouched], cells[untouched])


def test_the_distance_of_a_row_is_its_own_part_of_that_of_its_padded_window(series):
    model, reference, _ = series
    values = noise(3, seed=4)
    short = windows_of(values, np.ones((3, 2), bool), np.array([[0, -1, -1], [1, 2, -1]]))
    index = equal_memory_index(model, reference, short)
    found = far(model, reference, short, index)
    whole = (reference.completed_std == 0).all(1) & (reference.completed_rows != 0).any(1)
    held = reference.completed_rows[whole]
    apart = np.abs(values[0] - held[:, :2]).sum(1)
    assert found[0] == pytest.approx(apart.min(), rel=1e-5)
    apart = np.abs(values[1:] - held[:, :4].reshape(-1, 2, 2)).sum(2)
    nearest = apart.sum(1).argmin()
    np.testing.assert_allclose(found[1:], apart[nearest], rtol=1e-5)


def test_windows_that_are_padded_enter_no_mean():
    windows = windows_of(noise(4), np.ones((4, 2), bool), np.array([[0, 1], [1, -1], [3, -1]]))
    parts = np.array([[1.0, 2.0], [4.0, 9.0], [5.0, 9.0]])
    np.testing.assert_array_equal(row_means(parts, windows), [1, 3, np.nan, 5])


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


def test_shares_beyond_what_was_seen_are_those_of_an_exponential_tail():
    sample = np.random.default_rng(0).exponential(size=1000)
    quantiles = np.quantile(sample, np.linspace(0, 1, 201))[None]
    far = np.array([[4.0], [6.0], [12.0]])
    found = tail_surprisal(far, quantiles)[:, 0]
    np.testing.assert_allclose(found, far[:, 0] / np.log(10), rtol=0.2)


def test_of_the_cells_of_a_row_the_most_surprising_quarter_counts_rounded_down():
    cells = np.arange(10.0)[::-1] * [[1.0], [2.0]]
    cells[0, :3] = np.nan  # seven are left: 6, 5, ...
    found = mean_of_largest(np.vstack([cells, np.full(10, np.nan)]), 0.25)
    np.testing.assert_array_equal(found, [6.0, (18.0 + 16.0) / 2, np.nan])
    assert mean_of_largest(np.array([[3.0, np.nan, 1.0]]), 0.25) == 3.0  # of one at least


def test_differences_from_what_is_expected_of_missing_cells_count_half_in_distances():
    rows = torch.tensor([[0.0, 0.0], [1.0, 3.0], [9.0, 9.0]])
    barred = torch.zeros(3, dtype=torch.bool)
    known = _Remembered(rows, torch.tensor([[0.0], [0.5], [0.0]]), barred, 1)
    full, own = torch.tensor([[1.0, 2.0], [1.0, 2.0]]), torch.full((2, 1), -1)
    visible = torch.tensor([[True, True], [True, False]])
    far, near = known.gaps(full, visible, own, torch.ones(1, dtype=torch.bool))
    assert near.tolist() == [[1], [1]]
    # To the second row, whose own missing cell adds a half.
    assert far[:, 0, 0].tolist() == [1.5, 1.0]


def test_p_values_are_ranks_among_the_normal_scores_and_the_own_one():
    normal, scores = np.array([-3.0, -1.0, -1.0, 0.0]), np.array([-4.0, -3.0, -2.0, -1.0, 1.0])
    ranks = [sum(x <= s for x in [*normal, s]) for s in scores]
    assert np.allclose(conformal_p_values(scores, normal), np.array(ranks) / 5)


def test_an_unseen_level_costs_what_brings_a_usual_row_to_its_share_itself_included():
    normality, never = np.arange(100.0), np.zeros(3)
    kinds = np.array([True, True, False])
    found = unseen_cost(normality, never, np.array([49, 99, 49]), kinds)
    # One row in 50 and one in 100, this row, times two columns of categories.
    np.testing.assert_allclose(found, [49.5 - 0.04 * 99, 49.5 - 0.02 * 99, 0])
    often = unseen_cost(normality, np.array([9, 49, 0]), np.full(3, 49), kinds)
    np.testing.assert_allclose(often, [49.5 - 0.4 * 99, 0, 0])


def found_among(normal, strange):
    """How well a detector that learned from half of the normal rows tells the strange ones."""
    half = len(normal) // 2
    detector = MAEAnomalyDetector(preset="fast", random_state=0).fit(normal[:half])
    scores = detector.score_samples(np.vstack([normal[half:], strange]))
    return roc_auc_score(np.arange(len(scores)) < len(normal) - half, scores)


def test_a_row_far_from_all_others_is_strange_though_each_of_its_cells_is_most_usual():
    random = np.random.default_rng(0)
    around = random.normal(size=(400, 3))
    sphere = 3 * around / np.linalg.norm(around, axis=1, keepdims=True)
    middle = random.normal(scale=0.6, size=(30, 3))
    assert found_among(sphere + random.normal(scale=0.1, size=sphere.shape), middle) > 0.98


def test_a_single_cell_rarer_than_any_in_fit_makes_its_row_strange_among_many_columns():
    random = np.random.default_rng(0)
    strange = random.normal(size=(30, 20))
    strange[:, 0] = random.choice([-6.0, 6.0], 30)
    assert found_among(random.normal(size=(600, 20)), strange) > 0.98


def test_rows_that_miss_more_than_those_of_fit_are_not_strange_by_single_cells():
    random = np.random.default_rng(0)
    factor = random.normal(size=(600, 1))
    X = factor + 0.02 * random.normal(size=(600, 8))  # each tells the others nearly whole
    holes = X[300:].copy()
    holes[random.random(holes.shape) < 0.4] = np.nan
    detector = MAEAnomalyDetector(preset="fast", random_state=0).fit(X[:300])
    scorer = detector._scorer()
    table = detector._read(holes)
    cells = scorer.evidence(detector._asked(table)[1]).cells
    assert detector.most_missing_ == 0
    assert (scorer._beyond(cells) == 0).all()
    whole = np.where(np.isnan(cells), 0.0, cells)
    assert (scorer._beyond(whole) > 0).sum() > 5  # so many would be without that


def test_a_row_beside_a_dense_group_is_strange_though_others_lie_as_far_apart():
    random = np.random.default_rng(0)
    dense, wide = random.normal(size=(2, 300, 5))
    beside = random.normal(size=(30, 5))
    beside *= 1.5 / np.linalg.norm(beside, axis=1, keepdims=True)
    normal = random.permutation(np.vstack([0.2 * dense, 10 + 2 * wide]))
    assert found_among(normal, beside) > 0.9


def test_a_detector_fitted_before_there_were_local_distances_scores_with_what_it_has():
    X = np.random.default_rng(0).normal(size=(100, 3))
    old = MAEAnomalyDetector(preset="fast", random_state=0).fit(X)
    for name in ("row_quantiles_", "rarest_cell_", "most_missing_", "local_reach_"):
        delattr(old, name)
    for name in ("part_center_", "part_scale_", "part_floor_"):
        setattr(old, name, getattr(old, name)[:-1])
    scores = old.score_samples(np.vstack([X, [[0.0, 0.0, 9.0]]]))
    assert np.isfinite(scores).all() and scores.argmin() == len(X)


def test_local_distances_are_those_to_five_rows_in_units_of_how_far_these_are_from_theirs():
    X = np.random.default_rng(0).normal(size=(150, 3))
    detector = MAEAnomalyDetector(preset="fast", random_state=0).fit(X)
    scorer, windows = detector._scorer(), detector._windows(detector._read(X + 0.01))
    none = np.full((150, 1), -1)
    nearest, local = scorer._nearest_and_local(windows, none)
    assert np.array_equal(nearest, scorer.distances(windows, none))
    numbers, known = windows.values.numpy(), scorer.reference.completed_rows
    gaps = np.abs(numbers[:, None] - known).sum(2)
    five = gaps.argsort(1)[:, :5]
    least = LEAST_REACH * scorer.calibration.usual_gap * 3
    wanted = np.take_along_axis(gaps, five, 1).mean(1) + least
    wanted /= scorer.calibration.local_reach[five].mean(1) + least
    np.testing.assert_allclose(local, wanted, rtol=1e-4)


def test_few_rows_do_not_tell_how_rare_a_cell_may_be_or_how_dense_others_lie():
    X = np.random.default_rng(0).normal(size=(120, 3))
    few, enough = (MAEAnomalyDetector(preset="fast", random_state=0).fit(X[:n]) for n in (90, 120))
    assert few.row_quantiles_ is None and few.local_reach_ is None
    assert len(enough.row_quantiles_) == 3 and len(enough.local_reach_) == 120
