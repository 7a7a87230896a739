"""What a detector keeps of its training rows, and the chances that it gives, in PyOD's words."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from models import QUICK
from scipy.optimize import brentq
from sklearn.exceptions import NotFittedError

import maetab
from maetab import MAEAnomalyDetector, MAEImputer
from maetab.engine.score_calibration import conformal_p_values
from maetab.evaluation import pyod_labels, sklearn_labels

GIVEN = {"guess": QUICK, "n_masks": 2, "random_state": 0}


def rows(n: int = 90, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.multivariate_normal([0, 0, 0], 0.5 + 0.5 * np.eye(3), n))
    frame.columns = list("abc")
    return frame.assign(d=np.where(frame["a"] > 0, "x", "y")).mask(rng.random((n, 4)) < 0.05)


@pytest.fixture(scope="module")
def fitted() -> MAEAnomalyDetector:
    return MAEAnomalyDetector(**GIVEN).fit(rows())


@pytest.mark.parametrize("trim", [0.0, 0.2])
def test_scores_of_the_training_rows_are_those_of_score_samples_in_their_order(trim):
    trained = MAEAnomalyDetector(trim=trim, **GIVEN).fit(rows())
    np.testing.assert_array_equal(trained.decision_scores_, -trained.score_samples(rows()))
    np.testing.assert_array_equal(np.sort(-trained.decision_scores_), trained.scores_)


def test_rows_of_series_keep_their_order_in_the_table():
    rng, n = np.random.default_rng(1), 60
    panel = pd.DataFrame({"site": np.repeat(["p", "q"], n), "when": np.tile(np.arange(n), 2)})
    panel["x"] = np.sin(panel["when"]) + rng.normal(0, 0.2, 2 * n)
    panel = panel.iloc[rng.permutation(2 * n)]
    series = {"window": 4, "time": "when", "groups": "site"}
    trained = MAEAnomalyDetector(**series, **GIVEN).fit(panel)
    np.testing.assert_allclose(
        trained.decision_scores_, -trained.score_samples(panel), rtol=0, atol=1e-6
    )


def test_of_series_windows_are_counted_so_that_the_share_of_outliers_is_as_asked_for():
    """Rows of a window have about one score: as many rows as that are a handful of windows."""
    rng, n = np.random.default_rng(3), 400
    level = np.repeat(rng.normal(size=10) * [1, 1, 6, 1, 1, 1, 1, 8, 1, 1], n // 10)
    frame = pd.DataFrame({"x": level + rng.normal(size=n), "y": rng.normal(size=n)})
    made = MAEAnomalyDetector(window=20, contamination=0.1, n_calibration=60, **GIVEN).fit(frame)
    assert (made.predict(frame) == -1).sum() == 40


def test_labels_follow_the_threshold_and_turn_into_predictions(fitted):
    moved = pickle.loads(pickle.dumps(fitted))
    for share in (0.05, 0.2):
        labels = moved.set_threshold(share).labels_
        assert labels.sum() == np.ceil(share * 90)
        np.testing.assert_array_equal(sklearn_labels(labels), moved.predict(rows()))
        np.testing.assert_array_equal(pyod_labels(moved.predict(rows())), labels)


def test_they_are_kept_by_files_pickles_and_detectors_made_of_them(fitted, tmp_path):
    maetab.save(fitted, tmp_path / "m.safetensors")
    copies = [
        maetab.load(tmp_path / "m.safetensors"),
        pickle.loads(pickle.dumps(fitted)),
        MAEAnomalyDetector.from_fitted(fitted),
    ]
    for copy in copies:
        np.testing.assert_array_equal(copy.decision_scores_, fitted.decision_scores_)
        np.testing.assert_array_equal(copy.labels_, fitted.labels_)
        np.testing.assert_array_equal(copy.predict_proba(rows(9)), fitted.predict_proba(rows(9)))


def test_there_are_none_where_fit_did_not_look_at_each_row(fitted):
    some = MAEAnomalyDetector(n_calibration=30, **GIVEN).fit(rows())
    assert len(some.scores_) == 30
    made = MAEAnomalyDetector.from_fitted(MAEImputer(guess=QUICK, max_iter=0).fit(rows()))
    for one in (some, made):
        assert not hasattr(one, "labels_")
        with pytest.raises(AttributeError, match=r"-score_samples\(X\)"):
            _ = one.decision_scores_
    with pytest.raises(NotFittedError):
        _ = MAEAnomalyDetector().labels_
    every = MAEAnomalyDetector(n_calibration=None, **GIVEN).fit(rows())
    np.testing.assert_array_equal(every.decision_scores_, fitted.decision_scores_)


def test_models_from_before_have_no_scores_of_their_training_rows(fitted):
    old = pickle.loads(pickle.dumps(fitted))
    del old.row_scores_
    assert not hasattr(old, "decision_scores_")
    assert old.predict_proba(rows(5)).shape == (5, 2)


def test_n_calibration_is_checked_and_acts_in_fit_alone(fitted):
    for wrong in (1, 2.5, "all"):
        with pytest.raises(ValueError, match="n_calibration"):
            MAEAnomalyDetector(n_calibration=wrong).fit(rows())
    with pytest.raises(ValueError, match="n_calibration"):
        MAEAnomalyDetector.from_fitted(fitted, n_calibration=10)


def test_chances_are_posteriors_at_the_density_of_p_values_that_favours_outliers_most(fitted):
    """The least factor is 1 by the largest density k p^(k - 1) at p, k in (0, 1]."""
    X = rows(60, seed=1)
    p, prior = fitted.p_values(X), np.mean([*(fitted.scores_ <= fitted.offset_), True])
    exponents = np.linspace(1e-4, 1, 20_000)[:, None]
    largest = (exponents * p ** (exponents - 1)).max(0)
    found = fitted.predict_proba(X)
    np.testing.assert_allclose(found.sum(1), 1)
    expected = prior * largest / (prior * largest + 1 - prior)
    np.testing.assert_allclose(found[:, 1], expected, rtol=1e-4)


def test_chances_rise_with_strangeness(fitted):
    X = rows(60, seed=1)
    order = fitted.score_samples(X).argsort()
    assert (np.diff(fitted.predict_proba(X)[order, 1]) <= 0).all()


def test_the_rows_that_a_chance_above_a_half_takes_are_as_documented():
    p = brentq(lambda p: -np.e * p * np.log(p) - 0.05 / 0.95, 1e-6, 0.1)
    assert f"{p:.4f}" in MAEAnomalyDetector.predict_proba.__doc__


@pytest.mark.parametrize("function", [pyod_labels, sklearn_labels])
def test_labels_of_another_convention_are_refused(function):
    wrong = [0, 1] if function is pyod_labels else [-1, 1]
    with pytest.raises(ValueError, match="labels must be"):
        function(wrong)
    with pytest.raises(ValueError, match="one axis"):
        function([[1]])


def test_p_values_count_rows_that_are_as_strange():
    found = conformal_p_values(np.array([-1.0, 1.0, 3.0]), np.array([0.0, 1.0, 1.0, 2.0]))
    assert found.tolist() == [1 / 5, 4 / 5, 1]
