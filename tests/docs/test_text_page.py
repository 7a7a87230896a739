"""The transformer of the page on text: what it makes of columns, and what stands behind it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from models import QUICK
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline
from test_guide import DOCS, code_of

from maetab import MAEAnomalyDetector, MAEClassifier, MAEEncoder, MAEImputer, MAERegressor

SMALL = {"guess": QUICK, "max_iter": 0, "random_state": 0}


@pytest.fixture(scope="module")
def page() -> dict:
    found: dict = {"__name__": "__main__"}
    exec(code_of(DOCS / "howto" / "text.rst")[0], found)
    return found


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    words = rng.choice(["alpha", "beta", "gamma"], 60)
    cells = {
        "name": [f"{word} {number}" for word, number in zip(words, rng.integers(1e5, size=60))],
        "count": pd.array(rng.integers(9, size=60), "Int64"),
        "kind": pd.Categorical(rng.choice(["x", "y"], 60), ["z", "y", "x"]),
        "day": pd.date_range("2024-01-01", periods=60),
    }
    return pd.DataFrame(cells, index=rng.permutation(60)).mask(rng.random((60, 4)) < 0.1)


def test_numbers_take_the_place_of_the_text_and_all_else_stays(page, frame):
    found = page["TextFeatures"]("name", n_components=3).fit_transform(frame)
    assert found.columns.tolist() == ["count", "kind", "day", "name_0", "name_1", "name_2"]
    pd.testing.assert_frame_equal(found[["count", "kind", "day"]], frame.drop(columns="name"))
    assert (found.dtypes.iloc[3:] == "float64").all()


def test_rows_that_were_drawn_twice_and_text_held_as_category_are_read_as_any(page, frame):
    made = page["TextFeatures"]("name").fit(frame)
    drawn, whole = frame.sample(90, replace=True, random_state=0), made.transform(frame)
    pd.testing.assert_frame_equal(made.transform(drawn), whole.loc[drawn.index])
    held = frame.astype({"name": "category"})
    pd.testing.assert_frame_equal(clone(made).fit_transform(held), whole)


def test_numbers_stay_with_their_rows_where_scikit_learn_makes_frames(page, frame):
    plain = page["TextFeatures"]("name").fit_transform(frame)
    with config_context(transform_output="pandas"):
        found = page["TextFeatures"]("name").fit_transform(frame)
    pd.testing.assert_frame_equal(found, plain)


def test_two_columns_of_text_are_two_steps(page, frame):
    both = frame.assign(note=frame["name"].str[::-1])
    steps = make_pipeline(page["TextFeatures"]("name", 2), page["TextFeatures"]("note", 2))
    found = steps.fit_transform(both)
    assert found.columns.tolist()[3:] == ["name_0", "name_1", "note_0", "note_1"]


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_missing_text_and_unknown_text_are_missing_numbers_and_known_pieces_are_none(
    page, frame, missing
):
    made = page["TextFeatures"]("name").fit(frame)
    texts = ["alpha", "a new alpha 7", "", "日本", missing]
    found = made.transform(pd.DataFrame({"name": texts, "count": 1}))
    told = found.filter(like="name_").notna()
    assert told.all(axis=1).tolist() == [True, True, False, False, False]
    assert told.any(axis=1).tolist() == told.all(axis=1).tolist()


def test_text_is_told_from_the_training_rows_alone(page, frame):
    """The numbers of a fold are those of the same rows without the others."""
    model = make_pipeline(page["TextFeatures"]("name"), MAEImputer(**SMALL))
    done = cross_validate(model, frame, cv=2, return_estimator=True, return_indices=True)
    for fitted, rows in zip(done["estimator"], done["indices"]["train"], strict=True):
        alone = clone(model[0]).fit(frame.iloc[rows])
        pd.testing.assert_frame_equal(fitted[0].transform(frame), alone.transform(frame))


@pytest.mark.parametrize(
    "estimator",
    [
        MAEImputer(**SMALL),
        MAEEncoder(n_components=2, **SMALL),
        MAEAnomalyDetector(n_masks=2, **SMALL),
        MAEClassifier(**SMALL),
        MAERegressor(**SMALL),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_each_estimator_stands_behind_it_reads_the_numbers_and_warns_of_nothing(
    page, frame, estimator, recwarn
):
    y = np.where(frame["name"].str.contains("alpha").fillna(False).astype(bool), 1, 0)
    model = make_pipeline(page["TextFeatures"]("name"), estimator).fit(frame, y)
    assert not [str(x.message) for x in recwarn if "text" in str(x.message)]
    assert list(model[-1].feature_names_in_[-8:]) == [f"name_{i}" for i in range(8)]
    new = frame.iloc[:2].assign(name=["a new alpha 7", "gamma"])
    methods = ("transform", "score_samples", "predict_proba", "predict")
    tell = getattr(model, next(name for name in methods if hasattr(model, name)))
    assert not np.array_equal(tell(new), tell(new.assign(name=None)))


def test_an_imputer_gives_the_text_back_unchanged_and_fills_the_rest(page, frame):
    model = make_pipeline(page["TextFeatures"]("name"), MAEImputer(**SMALL)).fit(frame)
    filled = model.transform(frame).assign(name=frame["name"])[frame.columns]
    pd.testing.assert_series_equal(filled["name"], frame["name"])
    assert filled.dtypes.equals(frame.dtypes) and filled.index.equals(frame.index)
    assert filled.drop(columns="name").notna().all(axis=None)
