"""MAEClassifier and MAERegressor: labels that are missing, cells that are missing, series."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from labelled_rows import labelled_rows
from models import QUICK
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from maetab import MAEClassifier, MAEImputer, MAERegressor, load, save

QUICKLY = {"guess": QUICK, "max_iter": 0, "random_state": 0}


def classifier(**changes) -> MAEClassifier:
    return MAEClassifier(**(QUICKLY | changes))


def regressor(**changes) -> MAERegressor:
    return MAERegressor(**(QUICKLY | changes))


def rows(n: int = 120, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    X, classes, number = labelled_rows(n, seed)
    return X.rename(columns={"b": "target"}), classes, number


@pytest.fixture(scope="module")
def fitted() -> tuple[MAEClassifier, MAERegressor]:
    X, y, number = rows()
    return classifier().fit(X, y), regressor().fit(X, number)


def test_classes_and_numbers_of_new_rows_are_found(fitted):
    X, y, number = rows(seed=1)
    assert fitted[0].score(X, y) > 0.9
    assert fitted[1].score(X, number) > 0.7
    chances = fitted[0].predict_proba(X)
    assert np.allclose(chances.sum(1), 1) and chances.dtype == np.float64
    assert (fitted[0].classes_ == ["no", "yes"]).all()


def test_weights_of_another_number_of_rows_are_refused_as_such(fitted):
    X, y, number = rows(seed=1)
    for model, target in zip(fitted, (y, number), strict=True):
        with pytest.raises(ValueError, match=rf"inconsistent numbers of samples: .{len(y)}, 3"):
            model.score(X, target, sample_weight=[1, 1, 1])


def test_rows_without_a_label_do_not_count_in_the_score(fitted):
    X, y, number = rows(seed=1)
    known = np.arange(len(y)) % 3 > 0
    y[:20] = np.where(y[:20] == "yes", "no", "yes")  # some are predicted wrongly
    weights = np.linspace(1, 2, len(y))
    expected = (weights * (fitted[0].predict(X) == y))[known].sum() / weights[known].sum()
    for gap in (None, np.nan, pd.NA):
        holes = pd.Series(y, dtype=object).where(known, gap)
        assert np.isclose(fitted[0].score(X, holes, sample_weight=weights), expected)

    marked = copy.copy(fitted[0]).set_params(unlabelled="?")
    assert np.isclose(marked.score(X, np.where(known, y, "?"), weights), expected)
    told = fitted[1].predict(X)[known]
    rest = ((number[known] - told) ** 2).sum() / number[known].var() / known.sum()
    assert np.isclose(fitted[1].score(X, np.where(known, number, np.nan)), 1 - rest)
    with pytest.raises(ValueError, match="y of MAERegressor holds no label"):
        fitted[1].score(X, np.full(len(X), np.nan))


def test_a_single_class_is_told_of_y_and_not_of_a_column_that_x_may_have():
    X, y, _ = rows(40)
    with pytest.warns(UserWarning) as caught:
        classifier().fit(X, np.full(40, "only"))
    assert [str(warning.message) for warning in caught] == ["MAEClassifier: y is constant."]
    X["target"] = 1.0
    with pytest.warns(UserWarning, match="column 'target' is constant.$"):
        classifier().fit(X, y)


def test_predictions_are_in_the_units_of_the_target(fitted):
    X, _, number = rows(seed=1)
    found = LinearRegression().fit(fitted[1].predict(X)[:, None], number)
    assert 0.7 < found.coef_[0] < 1.3 and abs(fitted[1].predict(X).mean() - number.mean()) < 1


def test_the_target_is_no_column_of_the_user(fitted):
    X, *_ = rows()
    for model in fitted:
        assert model.n_features_in_ == 3 and model.feature_names_in_.tolist() == list(X)
        assert model.missing_features_.max() < 3
        with pytest.raises(ValueError, match="feature names should match"):
            model.predict(X.rename(columns={"target": "other"}))
    cells, y = np.eye(4)[[0, 1, 2, 3] * 5], [0, 1, 1, 1] * 5
    unnamed = classifier(categorical_features=[-1]).fit(cells, y)
    assert not hasattr(unnamed, "feature_names_in_")
    numbered = classifier().fit(pd.DataFrame(cells), y)
    assert numbered.predict(pd.DataFrame(cells)).shape == (20,)
    kinds = [column.kind for column in unnamed.schema_.columns]
    assert kinds == ["number", "number", "number", "category", "category"]


@pytest.mark.parametrize("mark", [None, np.nan, -1])
def test_rows_without_a_label_are_learned_from_but_have_no_class(mark):
    X, y, _ = rows()
    codes = pd.Series(y).map({"no": 0, "yes": 1}).astype(object)
    codes[20:] = mark
    model = classifier(unlabelled=-1 if mark == -1 else None).fit(X, codes)
    assert model.classes_.tolist() == [0, 1]
    # An imputer that has the same table, the target hidden, learns the same.
    target = pd.Series(np.where(np.arange(120) < 20, y, None), X.index, dtype=object)
    table = X.assign(**{"the target": target})
    other = MAEImputer(**QUICKLY).fit(table)
    asked, *_ = rows(30, seed=2)
    hidden = other.predict_proba(asked.assign(**{"the target": None}))["the target"]
    share = 0.4
    model.head_["share"] = np.array(share)
    blended = model.predict_proba(asked)
    model.head_ = None
    column = model.predict_proba(asked)
    assert np.allclose(column, hidden[["no", "yes"]], atol=1e-4)
    # The head's probabilities have the rest.
    head = column + (blended - column) / share
    assert head.min() >= -1e-9 and np.allclose(head.sum(1), 1)
    assert np.abs(head - column).max() > 0.01


def test_minus_one_is_a_class_unless_it_is_named():
    X, y, _ = rows()
    signs = np.where(y == "yes", 1, -1)
    assert classifier().fit(X, signs).classes_.tolist() == [-1, 1]
    with pytest.raises(ValueError, match="no label"):
        classifier(unlabelled=1).fit(X, np.ones(120, int))


def test_numbers_that_are_missing_are_not_learned_as_numbers():
    X, _, number = rows()
    some = np.where(np.arange(120) < 60, number, np.nan)
    marked = np.where(np.arange(120) < 60, number, -999.0)
    asked = rows(seed=1)[0]
    found = regressor().fit(X, some).predict(asked)
    assert np.array_equal(found, regressor(unlabelled=-999.0).fit(X, marked).predict(asked))
    assert found.min() > 80


def test_weights_of_classes_multiply_their_odds(fitted):
    X, y, _ = rows()
    weighted = classifier(class_weight={"yes": 3.0}).fit(X, y).predict_proba(X)
    plain = fitted[0].predict_proba(X)
    odds = (weighted[:, 1] / weighted[:, 0]) / (plain[:, 1] / plain[:, 0])
    assert np.allclose(odds, 3, rtol=1e-5)
    some = np.where(np.arange(120) < 90, y, None)
    balanced = classifier(class_weight="balanced").fit(X, some).class_weight_
    counts = np.array([(y[:90] == "no").sum(), (y[:90] == "yes").sum()])
    assert np.allclose(balanced, 90 / (2 * counts))


def test_intervals_hold_the_points_and_most_of_the_numbers(fitted):
    X, _, number = rows(300, seed=1)
    (low, high), point = fitted[1].predict_interval(X, 0.8), fitted[1].predict(X)
    assert ((low <= point) & (point <= high)).all()
    assert 0.65 < ((low <= number) & (number <= high)).mean() < 0.95
    with pytest.raises(ValueError, match="coverage"):
        fitted[1].predict_interval(X, 1.5)


def test_numbers_of_rows_that_lie_far_out_stay_among_the_labels(fitted):
    X, _, number = rows()
    far = X.assign(a=1e4 * X["a"], target=-1e4 * X["target"])
    found = fitted[1].predict(far)
    assert number.min() - 1e-3 <= found.min() and found.max() <= number.max() + 1e-3
    assert np.ptp(found) > 0.5 * np.ptp(number)


def test_numbers_are_what_column_and_head_say_as_they_are_weighed(fitted):
    X, *_ = rows(seed=1)
    model, target = copy.deepcopy(fitted[1]), fitted[1].schema_.columns[-1]
    model.head_["share"] = np.array(0.3)
    blended, told = model.predict(X), model._told_by_head(model._read(X))[:, 0]
    head = told * target.scale + target.center + target.origin
    model.head_ = None
    column = model.predict(X)
    inside = (target.lower < head) & (head < target.upper)  # between the labels
    assert inside.mean() > 0.7 and np.abs(head - column)[inside].max() > 0.1
    assert np.allclose(blended[inside], (0.7 * column + 0.3 * head)[inside], rtol=1e-6)


def test_copies_and_files_predict_the_same_bit_for_bit(fitted, tmp_path):
    X, *_ = rows(seed=1)
    for model in fitted:
        save(model, tmp_path / "model.safetensors")
        copies = [load(tmp_path / "model.safetensors"), pickle.loads(pickle.dumps(model))]
        for again in [*copies, copy.deepcopy(model)]:
            assert np.array_equal(again.predict(X), model.predict(X))
    assert not hasattr(clone(fitted[0]), "classes_")


def test_rows_do_not_depend_on_each_other(fitted):
    X, *_ = rows(seed=1)
    order = np.random.default_rng(0).permutation(120)
    for model in fitted:
        assert np.array_equal(model.predict(X.iloc[order]), model.predict(X)[order])
        assert model.predict(X.iloc[3:4])[0] == model.predict(X)[3]


@pytest.mark.filterwarnings("ignore:.*has no observed cell:UserWarning")
def test_rows_without_any_cell_have_the_mean_or_the_shares_of_the_labels():
    X, side = np.full((30, 2), np.nan), np.arange(30) % 3 == 0
    found = regressor().fit(X, np.where(side, 6.0, 0.0)).predict(X)
    assert np.allclose(found, 2, atol=0.5) and np.ptp(found) == 0
    assert np.allclose(classifier().fit(X, side).predict_proba(X), [2 / 3, 1 / 3], atol=0.1)


def test_other_tables_than_pandas_are_read_the_same(fitted):
    X, y, _ = rows()
    table = pl.from_pandas(X)
    found = classifier().fit(table, pl.Series(y)).predict_proba(table)
    assert np.allclose(found, fitted[0].predict_proba(X), atol=1e-5)


def test_a_pipeline_and_a_search_take_them():
    X, y, number = rows()
    numbers = X[["a", "target"]]
    search = GridSearchCV(classifier(), {"class_weight": [None, "balanced"]}, cv=2).fit(X, y)
    assert search.best_score_ > 0.8
    model = make_pipeline(StandardScaler(), regressor()).fit(numbers, number)
    assert model.score(numbers, number) > 0.7


def test_a_refused_fit_leaves_what_was_fitted(fitted):
    X, y, _ = rows()
    model = copy.deepcopy(fitted[0])
    before = model.predict_proba(X)
    for wrong, message in (
        (None, "requires y"),
        (y[:5], "inconsistent"),
        ([None] * 120, "no label"),
    ):
        with pytest.raises(ValueError, match=message):
            model.fit(X, wrong)
    with pytest.raises(ValueError, match="infinity"):
        regressor().fit(X, np.full(120, np.inf))
    assert np.array_equal(model.predict_proba(X), before)


def test_a_model_that_knows_a_target_serves_no_other_estimator(fitted):
    with pytest.raises(TypeError, match=r"give MAEImputer\.from_fitted one that was fitted w"):
        MAEImputer.from_fitted(fitted[0])


@pytest.mark.parametrize("per_group", [True, False])
def test_windows_of_series_have_labels_per_group_or_per_stamp(per_group):
    rng = np.random.default_rng(0)
    n_series, n = 12, 24
    group = np.repeat(np.arange(n_series), n)
    stamp = np.tile(np.arange(n), n_series)
    state = group % 2 if per_group else (stamp // 6) % 2
    frame = pd.DataFrame({"unit": group.astype(str), "t": stamp * 1.0})
    frame["x"] = rng.normal(3.0 * state, 0.5)
    frame["z"] = rng.normal(-2.0 * state, 0.5)
    known = group < 8
    y = pd.Series(np.where(state == 1, "on", "off")).where(known, None)
    model = classifier(window=6, time="t", groups="unit").fit(frame, y)
    found = model.predict(frame[~known])
    assert (found == np.where(state[~known] == 1, "on", "off")).mean() > 0.9
    if per_group:
        assert pd.Series(found).groupby(group[~known]).nunique().max() == 1
        chances = pd.DataFrame(model.predict_proba(frame[~known]))
        assert chances.groupby(group[~known]).nunique().max(axis=None) == 1


def test_targets_that_would_lose_labels_are_refused():
    X = np.random.default_rng(0).normal(size=(140, 2))
    with pytest.raises(ValueError, match="at most 64 classes apart, and y has 70"):
        classifier().fit(X, np.arange(140) % 70)
    with pytest.raises(ValueError, match="y of MAERegressor holds 0, which missing_values says"):
        regressor(missing_values=0).fit(X, np.arange(140.0))
    assert regressor(missing_values=-1).fit(X, np.arange(140.0)).predict(X).shape == (140,)


def test_the_column_tells_classes_in_their_order_and_not_in_that_of_their_shares():
    x = np.r_[np.zeros(10), np.ones(40)] + np.random.default_rng(0).normal(0, 0.01, 50)
    y = np.where(x < 0.5, "rare, and first", "usual")
    model = MAEClassifier(preset="fast", max_iter=0, random_state=0).fit(x[:, None], y)
    model.head_["share"] = np.zeros(())
    assert model.predict([[0.0], [1.0]]).tolist() == ["rare, and first", "usual"]
