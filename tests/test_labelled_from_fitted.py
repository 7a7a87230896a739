"""MAEClassifier and MAERegressor around a model that was fitted without labels: the head alone."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from labelled_rows import labelled_rows
from models import QUICK
from scipy.special import softmax
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression

from maetab import (
    MAEAnomalyDetector,
    MAEClassifier,
    MAEEncoder,
    MAEImputer,
    MAERegressor,
    load,
    save,
)

QUICKLY = {"guess": QUICK, "max_iter": 0, "random_state": 0}
CLASSES = np.array(["no", "yes"])


def rows(n: int = 120, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    return labelled_rows(n, seed)


@pytest.fixture(scope="module")
def encoder() -> MAEEncoder:
    return MAEEncoder(**QUICKLY).fit(rows()[0])


@pytest.fixture(scope="module")
def fitted(encoder) -> tuple[MAEClassifier, MAERegressor]:
    X, y, number = rows(60, seed=1)
    return MAEClassifier.from_fitted(encoder, X, y), MAERegressor.from_fitted(encoder, X, number)


def by_hand(head: dict[str, np.ndarray], features: np.ndarray) -> np.ndarray:
    """What a head says of the features of an encoder."""
    standard = (features.astype(float) - head["center"]) / head["scale"]
    return standard.clip(-10, 10) @ head["weight"] + head["bias"]


def test_what_is_predicted_is_what_the_head_says_of_the_features_of_the_encoder(encoder, fitted):
    number, asked = rows(60, seed=1)[2], rows(40, seed=2)[0]
    asked.loc[asked.index[:20], ["a", "b"]] *= 5
    features = encoder.transform(asked).to_numpy()
    chances = softmax(by_hand(fitted[0].head_, features), axis=1)
    assert np.allclose(fitted[0].predict_proba(asked), chances, atol=1e-6)
    assert (fitted[0].predict(asked) == CLASSES[chances.argmax(1)]).all()
    told = by_hand(fitted[1].head_, features)[:, 0] * number.std() + number.mean()
    expected = told.clip(number.min(), number.max())
    assert np.allclose(fitted[1].predict(asked), expected, atol=1e-3)
    assert 5 < (told != expected).sum() < 20  # far rows stay among the labels


def test_few_labels_tell_classes_and_numbers_of_new_rows(fitted):
    X, y, number = rows(seed=3)
    assert fitted[0].score(X, y) > 0.9 and fitted[1].score(X, number) > 0.85
    line = LinearRegression().fit(fitted[1].predict(X)[:, None], number)
    assert 0.8 < line.coef_[0] < 1.3  # drawn to the mean a little by the penalty
    gone = X.assign(a=np.nan)
    assert fitted[0].score(gone, y) > 0.75 and 0 < fitted[1].score(gone, number) < 0.85
    nothing = fitted[0].predict_proba(X.iloc[:2].mask(X.iloc[:2].notna()))
    assert np.isfinite(nothing).all() and np.allclose(nothing.sum(1), 1)


@pytest.mark.parametrize("gap", [None, np.nan, "?"])
def test_rows_without_a_label_and_the_order_of_rows_change_nothing(encoder, fitted, gap):
    more, asked = rows(80, seed=4)[0], rows(30, seed=2)[0]
    X, y, _ = rows(60, seed=1)
    target = pd.Series([*y, *[gap] * 80], dtype=object)
    order = np.random.default_rng(0).permutation(140)
    settings = {"unlabelled": "?"} if gap == "?" else {}
    table = pd.concat([X, more]).iloc[order]
    found = MAEClassifier.from_fitted(encoder, table, target.iloc[order], **settings)
    assert np.array_equal(found.predict_proba(asked), fitted[0].predict_proba(asked))


def test_the_given_estimator_stays_as_it_was_and_shares_its_model(encoder, fitted):
    X, asked = rows()[0], rows(30, seed=2)[0]
    alone = MAEEncoder(**QUICKLY).fit(X)
    assert vars(encoder).keys() == vars(alone).keys()
    assert np.array_equal(encoder.transform(asked), alone.transform(asked))
    for model in fitted:
        assert model.model_ is encoder.model_ and model.n_samples_fit_ == 120
        assert model.feature_names_in_.tolist() == ["a", "color", "b"]
        assert "120" in model._repr_html_() and model.max_iter == 0
    imputer = MAEImputer.from_fitted(fitted[0])  # as from the encoder: it knows no target
    filled = MAEImputer.from_fitted(encoder).transform(asked)
    pd.testing.assert_frame_equal(imputer.transform(asked), filled)


@pytest.mark.parametrize("kind", [MAEImputer, MAEAnomalyDetector])
def test_imputers_and_detectors_serve_as_encoders_do(kind):
    X, y, _ = rows()
    other = kind(**QUICKLY).fit(pl.from_pandas(X))
    model = MAEClassifier.from_fitted(other, pl.from_pandas(X)[:50], pl.Series(y[:50]))
    asked = rows(30, seed=2)[0]
    features = MAEEncoder.from_fitted(other).transform(asked).to_numpy()
    chances = model.predict_proba(pl.from_pandas(asked))
    assert np.allclose(chances, softmax(by_hand(model.head_, features), axis=1), atol=1e-6)


def test_arrays_without_names_and_numbers_for_classes():
    cells = np.random.default_rng(0).normal(size=(60, 3))
    encoder = MAEEncoder(**QUICKLY).fit(cells)
    target = np.where(cells[:, 0] > 0, 7.0, 3.0)
    target[20:] = np.nan
    model = MAEClassifier.from_fitted(encoder, cells, target)
    assert model.classes_.tolist() == [3, 7] and not hasattr(model, "feature_names_in_")
    assert model.score(cells[20:], np.where(cells[20:, 0] > 0, 7, 3)) > 0.8


def test_weights_of_classes_multiply_their_odds(encoder, fitted):
    X, y, _ = rows(60, seed=1)
    weighted = MAEClassifier.from_fitted(encoder, X, y, class_weight={"yes": 3.0})
    more, plain = (model.predict_proba(X) for model in (weighted, fitted[0]))
    assert np.allclose(more[:, 1] / more[:, 0], 3 * plain[:, 1] / plain[:, 0], rtol=1e-6)


def test_numbers_of_other_units_are_predicted_in_them(encoder, fitted):
    X, _, number = rows(60, seed=1)
    asked = rows(30, seed=2)[0]
    model = MAERegressor.from_fitted(encoder, X, 1e6 * number - 5)
    assert np.allclose(model.predict(asked), 1e6 * fitted[1].predict(asked) - 5, rtol=1e-5)
    ends, wide = fitted[1].predict_interval(asked), model.predict_interval(asked)
    assert np.allclose(wide, 1e6 * np.array(ends) - 5, rtol=1e-4)
    whole = MAERegressor.from_fitted(encoder, X, number.round())
    assert (np.array(whole.predict_interval(asked)) % 1 == 0).all()


def test_intervals_reach_as_far_as_held_out_labels_were_missed_with_as_much_missing(fitted):
    X, _, number = rows(400, seed=5)
    head, missing = fitted[1].head_, X.isna().mean(axis=1).to_numpy()
    errors = np.sqrt(head["losses"]) * rows(60, seed=1)[2].std()
    assert errors.shape == (3, 60) and np.allclose(head["missing"], [0.1, 0.33, 0.46], atol=0.06)
    for coverage in (0.5, 0.8, 60 / 61):
        low, high = fitted[1].predict_interval(X, coverage)
        far = np.sort(errors)[:, math.ceil(61 * coverage - 1e-9) - 1]
        assert np.allclose((high - low)[missing == 0], 2 * far[0], rtol=1e-5)
        assert np.allclose((high - low)[missing > 0.6], 2 * far.max(), rtol=1e-5)
        between = (high - low)[(missing > 0.3) & (missing < 0.4)]
        assert 2 * far[0] < between.min() and between.max() <= 2 * far.max()
        assert np.allclose(low + high, 2 * fitted[1].predict(X))
        assert abs(((low <= number) & (number <= high)).mean() - coverage) < 0.12
    with pytest.raises(ValueError, match=r"coverage=0.99 takes 99 labels, .* learned from 60; ask"):
        fitted[1].predict_interval(X, 0.99)


def test_intervals_do_not_shrink_where_more_is_missing(encoder):
    X, _, number = rows(60, seed=1)
    model = MAERegressor.from_fitted(encoder, X, number)
    model.head_ |= {"losses": np.array([[4.0] * 60, [9.0] * 60, [1.0] * 60])}
    model.head_ |= {"missing": np.array([0.0, 0.5, 1.0])}
    gone = X.iloc[:3].mask(X.iloc[:3].notna())
    whole = X.dropna().iloc[:3]
    for asked, far in ((whole, 2), (gone, 3)):
        low, high = model.predict_interval(asked)
        assert np.allclose(high - low, 2 * far * number.std(), rtol=1e-4)


def test_copies_and_files_predict_the_same_bit_for_bit(fitted, tmp_path):
    X, *_ = rows(40, seed=2)
    for model in fitted:
        save(model, tmp_path / "model.safetensors")
        for again in (load(tmp_path / "model.safetensors"), pickle.loads(pickle.dumps(model))):
            assert np.array_equal(again.predict(X), model.predict(X))
            assert again.__dict__.keys() == model.__dict__.keys()
    assert np.array_equal(again.predict_interval(X), model.predict_interval(X))


def test_clones_know_nothing_and_a_fit_learns_the_target_too(fitted):
    X, y, number = rows(60, seed=1)
    with pytest.raises(NotFittedError):
        clone(fitted[1]).predict(X)
    again = clone(fitted[1]).fit(X, number).predict(X)
    refitted = pickle.loads(pickle.dumps(fitted[1])).fit(X, number)
    assert np.array_equal(refitted.predict(X), again) and not hasattr(refitted, "target_")
    with pytest.raises(TypeError, match="model of this MAERegressor knows a target"):
        MAEClassifier.from_fitted(refitted, X, y)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "MAEClassifier requires y"),
        ([None] * 60, "y of MAEClassifier holds no label"),
        (["yes"] * 59, "X has 60 rows, y has 59"),
        (
            ["yes"] * 50 + [None] * 10,
            "and those of the 50 labelled rows are all, or almost all, the same",
        ),
    ],
)
def test_targets_that_nothing_can_be_learned_from_are_refused(encoder, y, message):
    with pytest.raises(ValueError, match=message):
        MAEClassifier.from_fitted(encoder, rows(60, seed=1)[0], y)


def test_tables_models_and_parameters_that_do_not_fit_are_refused(encoder):
    X, y, number = rows(60, seed=1)
    with pytest.raises(ValueError, match="those of the 60 labelled rows are all"):
        MAERegressor.from_fitted(encoder, X, np.ones(60))
    with pytest.raises(ValueError, match="feature names should match"):
        MAEClassifier.from_fitted(encoder, X[["b", "a", "color"]], y)
    with pytest.raises(ValueError, match=r"cannot change width=64 .* only class_weight, device"):
        MAEClassifier.from_fitted(encoder, X, y, width=64)
    with pytest.raises(ValueError, match="'class_weight' parameter names \\['maybe'\\]"):
        MAEClassifier.from_fitted(encoder, X, y, class_weight={"maybe": 2.0})
    with pytest.raises(NotFittedError):
        MAEClassifier.from_fitted(MAEEncoder(), X, y)
    with pytest.raises(TypeError, match="takes estimators of maetab, got DataFrame"):
        MAERegressor.from_fitted(X, X, number)
    with pytest.raises(TypeError, match="learns from tables in memory, not from parts"):
        MAERegressor.from_fitted(encoder, pl.from_pandas(X).lazy(), number)
    series = MAEImputer(window=4, **QUICKLY).fit(X[["a", "b"]])
    with pytest.raises(TypeError, match="models of series have none of; fit MAEClassifier\\(wind"):
        MAEClassifier.from_fitted(series, X[["a", "b"]], y)
