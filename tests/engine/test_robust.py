"""How far rows lie from most rows, seen without a model."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.covariance import MinCovDet

from maetab.engine.robust import (
    kept_rows,
    knn_distances,
    robust_distances,
    robust_gaussian,
    unknown_distances,
)


def test_robust_distances_rank_rows_as_the_minimum_covariance_determinant_does():
    random = np.random.default_rng(0)
    rows = random.normal(size=(300, 4)) @ random.normal(size=(4, 4))
    rows[:60] = 8 + 0.1 * random.normal(size=(60, 4))
    far = robust_distances(rows, *robust_gaussian(rows))
    theirs = MinCovDet(random_state=0).fit(rows).mahalanobis(rows)
    assert np.corrcoef(np.argsort(np.argsort(far)), np.argsort(np.argsort(theirs)))[0, 1] > 0.9
    assert far[:60].min() > far[60:].max()


def test_the_half_that_lies_densest_has_more_rows_the_more_columns_there_are():
    rows = np.random.default_rng(0).normal(size=(60, 6))
    rows[:15] += 8
    location, precision = robust_gaussian(rows)
    nearest = np.argsort(robust_distances(rows, location, precision))[: (60 + 6 + 1) // 2]
    np.testing.assert_allclose(location, rows[nearest].mean(0), atol=1e-9)


@pytest.mark.parametrize("n_columns", [2, 3, 12])
def test_distances_of_a_row_are_the_same_whatever_stands_beside_it(n_columns):
    rng = np.random.default_rng(0)
    rows, unknown = rng.normal(size=(200, n_columns)), rng.random((200, n_columns)) < 0.4
    precision, share = np.linalg.inv(np.cov(rows.T)), rng.random(n_columns)
    centred = rows - rows.mean(0)
    far = robust_distances(rows, rows.mean(0), precision)
    assert np.allclose(far, np.diag(centred @ precision @ centred.T) / n_columns)
    more = unknown_distances(unknown, share, precision)
    for size in (1, 2, 7):
        for i in range(0, 200, size):
            some = slice(i, i + size)
            same = robust_distances(rows[some], rows.mean(0), precision) == far[some]
            assert same.all()
            assert (unknown_distances(unknown[some], share, precision) == more[some]).all()


def test_unknown_levels_lie_as_far_as_one_more_indicator_that_goes_with_no_other():
    share, precision = np.array([0.1, 0.4]), np.diag([4.0, 0.5])
    found = unknown_distances(np.array([[True, False], [True, True]]), share, precision)
    each = 1 / (share * (1 - share) + 1 / 4)  # the least variance that is known
    far = [robust_distances(np.ones((1, 1)), share[j], each[j, None, None])[0] for j in (0, 1)]
    np.testing.assert_allclose(found, np.array([far[0], sum(far)]) / 2)


def test_robust_distances_bear_missing_cells_and_constant_columns():
    rows = np.random.default_rng(0).normal(size=(40, 5))
    rows[::3, 1], rows[:, 2] = np.nan, 4.0
    far = robust_distances(rows, *robust_gaussian(rows))
    assert np.isfinite(far).all() and (far >= 0).all()


def test_knn_distances_see_through_a_small_group_of_outliers():
    random = np.random.default_rng(0)
    rows = np.vstack([random.normal(size=(190, 2)), 6 + 0.01 * random.normal(size=(10, 2))])
    far = knn_distances(rows, 0.1)
    assert far[190:].min() > np.quantile(far[:190], 0.95)


def test_knn_distances_are_means_over_the_nearest_other_rows():
    rows = np.random.default_rng(1).normal(size=(60, 3))
    far = knn_distances(rows, 0.25)
    for i, row in enumerate(rows):
        others = np.square(np.delete(rows, i, 0) - row).sum(1)
        assert far[i] == pytest.approx(np.sort(others)[:15].mean())


def test_half_of_the_rows_of_a_usual_level_is_kept_however_far_the_level_lies_off():
    rng = np.random.default_rng(0)
    n = 1000
    level, number = (rng.random(n) < 0.1).astype(float), rng.normal(size=n)
    number[:3] += 20
    level[:3] = 0
    values = np.stack([level, number], 1)
    kept = kept_rows(values, np.ones(values.shape, bool), [2, 0], 0.2)
    assert kept.sum() == 800 and not kept[:3].any()
    assert kept[level == 1].mean() >= 0.5 and kept[level == 0].mean() >= 0.8
    rare = np.where(np.arange(n) < 30, 1.0, 0.0)  # three in a hundred may all be strange
    values = np.stack([rare, number + 5 * rare], 1)
    assert not kept_rows(values, np.ones(values.shape, bool), [2, 0], 0.2)[:30].any()


def test_of_a_usual_level_the_rows_that_lie_nearest_are_kept():
    rng = np.random.default_rng(1)
    level, number = (rng.random(600) < 0.1).astype(float), rng.normal(size=600)
    values = np.stack([level, np.where(level == 1, 3 * number, number)], 1)
    kept = kept_rows(values, np.ones(values.shape, bool), [2, 0], 0.3)
    own = level == 1
    far = np.abs(values[:, 1])
    assert far[own & kept].max() <= np.median(far[own]) * 1.5


def test_directions_that_few_rows_do_not_show_are_taken_for_wider_the_fewer_rows_there_are():
    def least(n):
        rows = np.random.default_rng(0).normal(size=(n, 12))
        rows[:, 0] = rows[:, 1]  # a direction in which nothing varies
        precision = robust_gaussian(rows)[1]
        return 1 / np.linalg.eigvalsh(precision)[-1]

    assert least(10) > 0.04 > 0.015 > least(2000) > 0.001
