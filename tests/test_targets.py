"""Targets as they come: what marks a row without a label, what is refused, and rare classes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from models import QUICK
from sklearn.datasets import load_iris

from maetab import MAEClassifier, MAERegressor
from maetab.targets import read_classes, read_numbers

QUICKLY = {"guess": QUICK, "max_iter": 0, "random_state": 0}


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (pd.Series(["a", "b", pd.NA, "?"], dtype="string"), ["a", "b"]),
        (pd.Series(["a", "b", None, "?"], dtype="category"), ["a", "b"]),
        (np.array(["a", "b", None, "?"], dtype=object), ["a", "b"]),
        (["a", "b", np.nan, "?"], ["a", "b"]),
    ],
)
def test_a_mark_of_no_label_may_stand_beside_missing_labels(y, classes):
    found, codes, labelled = read_classes(y, 4, "?", "Model")
    assert found.tolist() == classes
    assert codes.tolist() == [0, 1, -1, -1] and labelled.tolist() == [True, True, False, False]


def test_masked_cells_of_an_array_are_no_labels():
    y = np.ma.masked_array([3, 1, -999], [False, False, True])
    classes, codes, labelled = read_classes(y, 3, None, "Model")
    assert classes.tolist() == [1, 3] and codes.tolist() == [1, 0, -1]
    assert labelled.tolist() == [True, True, False]
    np.testing.assert_array_equal(read_numbers(y, 3, None, "Model")[0], [3.0, 1.0, np.nan])


def test_a_list_of_text_keeps_what_is_no_text():
    found, codes, _ = read_classes(["a", "b", -1, None], 4, -1, "Model")
    assert found.tolist() == ["a", "b"] and codes.tolist() == [0, 1, -1, -1]
    with pytest.raises(TypeError, match="y mixes text with other labels"):
        read_classes(["a", 1, "b"], 3, None, "Model")


def test_true_and_false_stay_such_beside_missing_labels_in_a_list():
    for missing in (np.nan, None):
        found, codes, _ = read_classes([True, False, missing, True], 4, None, "Model")
        assert found.dtype == bool and found.tolist() == [False, True]
        assert codes.tolist() == [1, 0, -1, 1]
    found, codes, _ = read_classes([True, False, -1, True], 4, -1, "Model")
    assert found.dtype == bool and codes.tolist() == [1, 0, -1, 1]
    found, _, _ = read_classes([3, 1, np.nan], 3, None, "Model")
    assert found.dtype == np.int64 and found.tolist() == [1, 3]


@pytest.mark.parametrize("cells", [["b", None, "a"], [True, None, False], [7, None, 3]])
def test_arrow_polars_and_pandas_hold_the_same_labels_as_a_list(cells):
    expected = read_classes(cells, 3, None, "Model")
    for y in (pa.array(cells), pa.chunked_array([cells]), pl.Series(cells), pd.Series(cells)):
        found = read_classes(y, 3, None, "Model")
        assert found[0].dtype == expected[0].dtype
        for mine, theirs in zip(found, expected, strict=True):
            assert mine.tolist() == theirs.tolist()
    if not isinstance(cells[0], str):
        numbers, labelled = read_numbers(pa.array(cells), 3, None, "Model")
        assert numbers[[0, 2]].tolist() == cells[::2] and labelled.tolist() == [True, False, True]


@pytest.mark.parametrize("kind", ["M8[D]", "m8[D]"])
def test_times_are_no_numbers_in_a_list_or_in_an_array(kind):
    times = np.arange(3).astype(kind)
    for y in (times, list(times), times.astype(object), np.array([*times], dtype=object)):
        with pytest.raises(ValueError, match=r"must hold numbers, .* as numbers of days"):
            read_numbers(y, 3, None, "Model")


def test_a_missing_value_as_the_mark_is_no_mark_more():
    for mark in (np.nan, pd.NA, None):
        found, _, labelled = read_classes(np.array([0.0, 1.0, np.nan]), 3, mark, "Model")
        assert found.tolist() == [0, 1] and labelled.tolist() == [True, True, False]


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")  # by scikit-learn's check
def test_numbers_too_large_for_whole_ones_stay_as_they_are():
    """Floats beside a missing label are taken for whole numbers where floats hold each of these."""
    assert read_classes([1.0, 2.0, None], 3, None, "Model")[0].dtype == np.int64
    assert read_classes([2.0**53 - 1, 2.0, None], 3, None, "Model")[0].dtype == np.int64
    assert read_classes([2.0**53, 2.0, None], 3, None, "Model")[0].dtype == np.float64
    with pytest.raises(ValueError, match="continuous"):
        read_classes([1e300, 1.0, None], 3, None, "Model")
    with pytest.raises(ValueError, match="infinity"):
        read_classes([np.inf, 1.0, None], 3, None, "Model")


def test_labels_of_several_values_are_refused():
    with pytest.raises(TypeError, match=r"a label in y must be .*got \(1, 2\)"):
        read_classes(pd.Series([(1, 2), (3, 4)]), 2, None, "Model")
    with pytest.raises(ValueError, match=r"'unlabelled' parameter of MAEClassifier .*one value"):
        MAEClassifier(unlabelled=[-1, 0]).fit(np.eye(4), [0, 1, 0, 1])


@pytest.mark.parametrize(
    "y",
    [
        pd.date_range("2024", periods=4),
        pd.Series(pd.date_range("2024", periods=4, tz="UTC")),
        pd.to_timedelta([1, 2, 3, 4], unit="h"),
        ["low", "low", "high", "high"],
    ],
)
def test_targets_of_a_regressor_that_are_no_numbers_are_refused(y):
    with pytest.raises(ValueError, match="y of MAERegressor must hold numbers"):
        MAERegressor(**QUICKLY).fit(np.eye(4), y)


def test_numbers_of_any_container_are_read():
    for y in (pd.Series([1, None, 3], dtype="Int64"), ["1", None, "3"], [1.0, np.nan, 3]):
        numbers, labelled = read_numbers(y, 3, None, "Model")
        np.testing.assert_array_equal(numbers, [1.0, np.nan, 3.0])
        assert labelled.tolist() == [True, False, True]


@pytest.mark.parametrize(
    "weights", ["even", [1, 2], {0: -2.0}, {0: 0.0, 1: 0.0}, {0: np.nan}, {0: np.inf}, {0: "2"}]
)
def test_weights_of_classes_that_make_no_probabilities_are_refused(weights):
    with pytest.raises(ValueError, match="'class_weight' parameter of MAEClassifier must be None"):
        MAEClassifier(class_weight=weights, **QUICKLY).fit(np.eye(4), [0, 1, 0, 1])


def test_weights_of_classes_that_y_has_not_are_named_unless_all_others_have_one():
    X, y = np.random.default_rng(0).normal(size=(8, 2)), [0, 1] * 4
    with pytest.raises(ValueError, match=r"names \[5\], which y has not; its classes are \[0, 1\]"):
        MAEClassifier(class_weight={0: 1.0, 5: 2.0}, **QUICKLY).fit(X, y)
    fitted = MAEClassifier(class_weight={0: 1.0, 1: 3.0, 5: 2.0}, **QUICKLY).fit(X, y)
    assert fitted.class_weight_.tolist() == [1.0, 3.0]


def test_a_class_with_a_single_label_is_predicted():
    """One label of each class: without it the likeliest class is the first, everywhere."""
    X, truth = load_iris(return_X_y=True)
    y = np.full(150, -1)
    y[[3, 60, 120]] = [0, 1, 2]
    model = MAEClassifier(unlabelled=-1, **QUICKLY).fit(X, y)
    assert (model.predict(X) == truth).mean() > 0.6
    one = np.array([0] * 75 + [1] * 74 + [2])
    X = np.random.default_rng(0).normal(size=(150, 2)) + 5 * np.c_[one == 1, one == 2]
    chances = MAEClassifier(**QUICKLY).fit(X, one).predict_proba([[0, 5], [0, 0.0]])
    assert chances[0, 2] > 5 * chances[1, 2]


def test_intervals_of_whole_targets_hold_whole_numbers():
    """Ends as single precision has them are off by the last bit, and hold half of them."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 2))
    y = np.rint(3 * X[:, 0] + 0.3 * X[:, 1])
    model = MAERegressor(**QUICKLY).fit(X, y)
    low, high = model.predict_interval(X)
    assert (low == np.rint(low)).all() and (high == np.rint(high)).all()
    assert ((low <= y) & (y <= high)).mean() > 0.85


def test_columns_named_by_tuples_are_read_without_a_warning(recwarn):
    X = np.random.default_rng(0).normal(size=(30, 2))
    frame = pd.DataFrame(X, columns=pd.MultiIndex.from_tuples([("a", "x"), ("a", "y")]))
    model = MAERegressor(**QUICKLY).fit(frame, X[:, 0])
    assert model.predict(frame).shape == (30,) and not recwarn.list
