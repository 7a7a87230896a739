"""What detectors learn of their training rows: by hand, and where it is not to be learned."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from maetab import MAEAnomalyDetector
from maetab.engine.reference import memory_windows, training_memory_index
from maetab.engine.scoring import Evidence, Scorer, rarest, tail_surprisal


def numbers(n: int = 150, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 3))


def fitted(X, **parameters) -> MAEAnomalyDetector:
    return MAEAnomalyDetector(preset="fast", random_state=0, **parameters).fit(X)


def gaps_between(scorer: Scorer) -> np.ndarray:
    """Sums of absolute differences between remembered rows, infinite of each to itself."""
    known = scorer.reference.completed_rows
    gaps = np.abs(known[:, None] - known).sum(2)
    np.fill_diagonal(gaps, np.inf)
    return gaps


def seen_in_fit(detector: MAEAnomalyDetector, X) -> tuple[Scorer, Evidence]:
    """What makes training rows strange, none of which is compared with itself."""
    scorer, windows = detector._scorer(), detector._windows(detector._read(X))
    index = training_memory_index(scorer.model, scorer.reference, windows)
    return scorer, scorer.evidence(windows, index)


def test_how_dense_remembered_rows_lie_is_told_by_the_five_others_that_are_nearest():
    scorer = fitted(numbers())._scorer()
    wanted = np.sort(gaps_between(scorer), 1)[:, :5].mean(1)
    np.testing.assert_allclose(scorer.calibration.local_reach, wanted, rtol=1e-4)


@pytest.mark.parametrize("share, compared", [(0.05, True), (0.15, False)])
def test_densities_are_not_compared_where_more_than_a_tenth_of_the_rows_are_copies(share, compared):
    X = numbers(200)
    X[: int(200 * share)] = X[0]
    assert (fitted(X).local_reach_ is not None) == compared


@pytest.mark.parametrize("n_categories, compared", [(1, True), (2, False)])
def test_densities_are_not_compared_where_most_columns_are_categories(n_categories, compared):
    X = pd.DataFrame(numbers())
    levels = np.random.default_rng(1).choice(list("abc"), X.shape)
    for j in range(n_categories):
        X[j] = levels[:, j]
    assert (fitted(X).local_reach_ is not None) == compared


@pytest.mark.parametrize("n, near", [(150, 10), (300, 12)])
def test_where_rows_are_trimmed_a_twentieth_of_the_others_is_near_and_ten_at_least(n, near):
    scorer = fitted(numbers(n), trim=0.2)._scorer()
    assert scorer.calibration.trusted.all()  # those that were trimmed are not remembered
    windows = memory_windows(scorer.model)
    found = scorer.distances(windows, np.arange(len(windows))[:, None])
    wanted = np.sort(gaps_between(scorer), 1)[:, :near].mean(1)
    np.testing.assert_allclose(found, wanted, rtol=1e-4)


def test_parts_of_scores_are_in_standard_deviations_of_their_logarithms():
    X = numbers()
    detector = fitted(X)
    scorer, found = seen_in_fit(detector, X)
    known = scorer.calibration
    usual = [np.median(part[part > 0]) for part in found.parts.T]
    np.testing.assert_allclose(known.part_floor, 0.01 * np.array(usual))
    logs = np.log(found.parts + known.part_floor)
    standard = (logs - logs.mean(0)) / logs.std(0)
    wanted = -(standard.clip(-2) * scorer.weights).sum(1) / np.sum(scorer.weights)
    np.testing.assert_allclose(scorer.normality(found.parts), wanted, rtol=1e-6)


def test_a_cell_of_a_new_row_may_be_rarer_than_any_in_fit_the_more_the_fewer_rows_there_are():
    for n in (120, 300):
        X = numbers(n)
        scorer, found = seen_in_fit(fitted(X), X)
        known = scorer.calibration
        most = tail_surprisal(found.cells, known.row_quantiles, least=0.05).max()
        assert known.rarest_cell == pytest.approx(most + np.log10(1 + 1000 / n))


def test_a_step_beyond_equal_surprises_counts_a_fifth_for_rows_of_what_it_does_for_cells():
    quantiles, cells, tail = np.zeros((1, 201)), np.array([[0.5]]), -np.log10(0.05)
    of_cell = tail_surprisal(cells, quantiles)[0, 0]
    assert rarest(cells, quantiles)[0] - tail == pytest.approx((of_cell - tail) / 5)


def test_rows_may_miss_as_much_as_nineteen_in_twenty_of_fit_do():
    X = numbers()
    X[:15, 1] = np.nan  # a tenth
    assert fitted(X).most_missing_ == 1
    X[7:15, 1] = 0.0
    assert fitted(X).most_missing_ == 0
