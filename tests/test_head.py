"""The head of a labelled model against scikit-learn's maps, and how it chooses its penalty."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from maetab import MAEClassifier, MAERegressor
from maetab.engine.runtime import Deadline
from maetab.head import (
    EMPHASES,
    HIDDEN,
    MOST_TRIED,
    RIDGE_PENALTIES,
    _first_as_good,
    _folds,
    fit_head,
)

EVER = Deadline()
NONE = np.zeros(1, bool)  # no feature is a single cell


def features(n: int = 60, d: int = 5, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(3, 2, (n, d)).astype(np.float32)


def test_numbers_are_told_as_by_a_ridge_on_standardised_features():
    x = features()
    y = x @ np.arange(5.0) - 20 + np.random.default_rng(1).normal(size=60)
    found = fit_head([x], y, 0, NONE, EVER)[0](features(seed=2))[:, 0]
    scaler = StandardScaler().fit(x)
    standard, asked = scaler.transform(x) / np.sqrt(5), scaler.transform(features(seed=2))
    each = [Ridge(a).fit(standard, y).predict(asked / np.sqrt(5)) for a in RIDGE_PENALTIES]
    gaps = [np.abs(found - one).max() for one in each]
    assert min(gaps) < 1e-4 and np.argmin(gaps) >= 3  # little noise wants little penalty


def test_classes_are_told_as_by_a_logistic_regression():
    x = features(90)
    y = np.digitize(x[:, 0] + np.random.default_rng(1).normal(size=90), [2.0, 4.0])
    found = fit_head([x], y, 3, NONE, EVER)[0](features(seed=2))
    scaler = StandardScaler().fit(x)
    asked = scaler.transform(features(seed=2)) / np.sqrt(5)
    models = [
        LogisticRegression(C=c, tol=1e-3).fit(scaler.transform(x) / np.sqrt(5), y)
        for c in 10.0 ** np.arange(-1, 4)
    ]
    chances = np.exp(found) / np.exp(found).sum(1, keepdims=True)
    assert min(np.abs(chances - m.predict_proba(asked)).max() for m in models) < 0.02


def test_features_that_do_not_vary_and_far_ones_do_no_harm():
    x = np.column_stack([features(), np.full(60, 7.0)])
    y = x[:, 0].astype(float)
    head = fit_head([x, x], y, 0, NONE, EVER)[0]
    asked = x[:3].copy()
    asked[1, 5], asked[2, 0] = 1e9, 1e9
    found = head(asked)[:, 0]
    assert np.allclose(found[:2], head(x[:2])[:, 0])
    assert y.max() < found[2] < y.mean() + 11 * y.std()


def test_a_row_is_told_the_same_whatever_stands_beside_it():
    x = features(500, 64)
    head = fit_head([x], np.digitize(x[:, 0], [2.0, 4.0]), 3, NONE, EVER)[0]
    whole = head(x)
    for size in (1, 2, 7, 100):
        parts = [head(x[i : i + size]) for i in range(0, 500, size)]
        assert np.array_equal(np.concatenate(parts), whole)


def test_numbers_are_kept_of_rows_and_copies_that_were_held_out():
    true, noise = features(40, 3), np.random.default_rng(3).normal(size=(40, 3)).astype(np.float32)
    x, y = true + 0.5 * noise[::-1], true @ np.arange(3.0) - 10
    head, told, weights = fit_head([x, x + noise], y, 0, NONE, EVER)
    both, target = np.concatenate([x, x + noise]), np.tile(y, 2)
    standard, each_row = StandardScaler().fit_transform(both) / np.sqrt(3), np.repeat(weights, 40)
    each = []
    for penalty in RIDGE_PENALTIES:
        found = np.empty(80)
        for learning, judging in _folds(y, 2):
            ridge = Ridge(penalty)
            ridge.fit(standard[learning], target[learning], each_row[learning])
            found[judging] = ridge.predict(standard[judging])
        each.append(np.abs(found - told.ravel()).max())
    assert told.shape == (2, 40) and min(each) < 1e-4 and np.square(told[0] - y).mean() > 0.1
    missed = np.square(told - y).mean(1)
    assert weights[0] > weights[1] and np.isclose(weights.mean(), 1) and missed[0] < missed[1]
    same = Ridge(RIDGE_PENALTIES[np.argmin(each)]).fit(standard, target, each_row)
    assert np.allclose(head(both)[:, 0], same.predict(standard), atol=1e-3)


@pytest.mark.parametrize("n_classes", [0, 2])
def test_features_of_which_none_varies_tell_how_common_targets_are(n_classes):
    y = np.arange(60) % 3 // 2  # two 0 to one 1
    found = fit_head([np.ones((60, 4), np.float32)], y, n_classes, NONE, EVER)[0](features(3, 4))
    told = found[:, 0] if not n_classes else 1 / (1 + np.exp(found[:, 0] - found[:, 1]))
    assert np.allclose(told, 1 / 3, atol=1e-3)


def test_a_row_and_its_copies_are_judged_together():
    # Of noise nothing can be learned; copies of judged rows among the learning ones would hide it.
    x, y = features(40, 60), np.random.default_rng(3).normal(size=40)
    head = fit_head([x, x, x], y, 0, NONE, EVER)[0]
    assert np.abs(head(x)[:, 0]).max() < 0.5 * np.abs(y).max()


def test_the_first_that_is_within_one_standard_error_of_the_best_is_taken():
    best, swing = np.full(100, 2.0), np.tile([1.0, -1.0], 50)  # a mean of which doubts 0.1
    near, far = best + 0.09 + swing, best + 0.11 + swing
    assert [_first_as_good(x) for x in ([far, near, best], [near, far, best])] == [1, 0]
    assert _first_as_good([far, far, best]) == 2 and _first_as_good([best, best + 0.01]) == 0


@pytest.mark.parametrize(("noise", "emphases"), [(0.0, EMPHASES[2:]), (3.0, EMPHASES[:2])])
def test_single_cells_weigh_as_much_more_as_cross_validation_says(noise, emphases):
    random = np.random.default_rng(0)
    x, cells = random.normal(size=(80, 60)), np.arange(60) >= 50
    y = x[:, 50:] @ random.normal(size=10) + noise * x[:, :50] @ random.normal(size=50)
    head, told, _ = fit_head([x], y, 0, cells, EVER)
    standard, gaps = StandardScaler().fit_transform(x), []
    for emphasis in EMPHASES:
        weighted = standard * np.where(cells, emphasis, 1.0)
        weighted /= np.sqrt(50 + 10 * emphasis**2)
        for penalty in RIDGE_PENALTIES:
            found = np.empty(80)
            for a, b in _folds(y, 1):
                found[b] = Ridge(penalty).fit(weighted[a], y[a]).predict(weighted[b])
            same = Ridge(penalty).fit(weighted, y).predict(weighted)
            gaps.append(
                (np.abs(found - told[0]).max(), emphasis, np.abs(same - head(x)[:, 0]).max())
            )
    held_out, emphasis, of_all = min(gaps)
    assert held_out < 1e-6 and of_all < 1e-6 and emphasis in emphases
    if not noise:
        alone = fit_head([x], y, 0, NONE, EVER)[1]
        assert np.square(told - y).mean() < 0.1 * np.square(alone - y).mean()


def test_of_many_numbers_or_with_little_time_the_penalty_alone_is_chosen(monkeypatch):
    x, noise = features(60, 8), np.random.default_rng(3).normal(size=(60, 8)).astype(np.float32)
    y, cells = x @ np.arange(8.0), np.arange(8) < 4
    few = fit_head([x, x + noise], y, 0, cells, EVER)
    soon = Deadline(6.5, iter(range(99)).__next__)  # by a clock of which each look takes a second
    head, told, weights = fit_head([x, x + noise], y, 0, cells, soon)
    later = fit_head([x, x + noise], y, 0, cells, Deadline(7.5, iter(range(99)).__next__))
    assert np.array_equal(later[1], few[1]) and np.array_equal(later[2], few[2])
    monkeypatch.setattr("maetab.head.MOST_TRIED", 2 * 60 * 8 - 1)
    alone = fit_head([x, x + noise], y, 0, NONE, EVER)
    assert weights.tolist() == [1, 1] and few[2][0] > 1
    assert np.array_equal(told, alone[1]) and np.array_equal(head.weight, alone[0].weight)
    assert not np.array_equal(told, few[1])


def test_tables_that_the_guide_calls_small_are_those_for_which_all_is_chosen():
    x = np.random.default_rng(0).normal(size=(100, 20))
    for y, classes, most in ((x[:, 0], 1, 1800), (x[:, 0] > 0, 2, 900)):
        cls = MAERegressor if classes == 1 else MAEClassifier
        model = cls(max_iter=0, random_state=0, preset="fast").fit(x, y)
        numbers = (1 + len(HIDDEN)) * len(model.head_["center"]) * classes
        assert 0.9 < most * numbers / MOST_TRIED < 1.1


def test_a_class_without_a_label_gets_no_chance():
    x = features()
    found = fit_head([x], np.where(x[:, 0] > 3, 2, 0), 3, NONE, EVER)[0](x)
    assert (found[:, 1] < found.max(1) - 5).all()
    assert (found.argmax(1) == 2 * (x[:, 0] > 3)).mean() > 0.8


@pytest.fixture(scope="module")
def rows() -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).normal(size=(120, 3))
    return x, np.abs(x[:, 0]) + x[:, 1]


def test_features_of_the_head_do_not_know_the_target(rows):
    x, y = rows
    x = np.where(np.random.default_rng(1).random(x.shape) < 0.2, np.nan, x)
    x[np.isnan(x).all(1), 0] = 0.0
    model = MAERegressor(max_iter=0, random_state=0, preset="fast").fit(x, y)
    table = model._read(x)
    hidden = model._features(model._windows(table))
    values, observed = table.values.copy(), table.observed.copy()
    values[:, -1], observed[:, -1] = 1.5, True
    told = model._features(model._windows(table._replace(values=values, observed=observed)))
    assert (hidden == told).all() and hidden.std(0).max() > 0


def test_the_head_learns_from_labelled_rows_alone(rows):
    x, y = rows
    some = np.where(np.arange(120) < 40, y > 0.5, -1).astype(float)
    model = MAEClassifier(max_iter=0, random_state=0, preset="fast", unlabelled=-1).fit(x, some)
    assert model.head_ is not None and model.head_["weight"].shape[1] == 2
    assert model.score(x[40:], (y > 0.5)[40:].astype(int)) > 0.7


def test_a_target_that_is_linear_in_many_columns_is_told_nearly_as_by_least_squares():
    random = np.random.default_rng(0)
    x, weight = random.normal(size=(400, 60)), random.normal(size=60) * (np.arange(60) < 5)
    y = x @ weight + 0.1 * random.normal(size=400)
    model = MAERegressor(max_iter=0, random_state=0, preset="fast").fit(x[:300], y[:300])
    assert model.score(x[300:], y[300:]) > 0.95


def test_without_time_there_is_no_head(rows):
    x, y = rows
    with pytest.warns(UserWarning, match="no network was trained"):
        model = MAERegressor(max_time=1e-6, random_state=0).fit(x, y)
    assert model.head_ is None and np.isfinite(model.predict(x)).all()
