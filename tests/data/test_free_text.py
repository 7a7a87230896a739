"""Free text and identifiers: recognised, left alone, named once; and times in an index."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from frames import passengers
from models import QUICK

from maetab import MAEAnomalyDetector, MAEEncoder, MAEImputer, load, save
from maetab.data.codec import decode, encode
from maetab.data.schema import Schema, infer_schema
from maetab.evaluation import cross_val_impute


def fitted(kind=MAEImputer, frame: pd.DataFrame | None = None, **changes):
    model = kind(**({"max_iter": 0, "random_state": 0} | changes))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return model.fit(passengers() if frame is None else frame)


def free_text_of(cells, dtype=None, **kwargs) -> int:
    return (
        infer_schema(pd.DataFrame({"x": pd.Series(cells, dtype=dtype)}), **kwargs)
        .columns[0]
        .free_text
    )


# ---- the rule


@pytest.mark.parametrize("dtype", [object, "str", "string", "large_string[pyarrow]"])
@pytest.mark.parametrize(
    ("n_different", "n_rows", "found"), [(20, 20, 0), (21, 21, 21), (30, 60, 0), (31, 60, 31)]
)
def test_free_text_has_more_than_20_different_cells_that_are_more_than_half(
    dtype, n_different, n_rows, found
):
    cells = [f"n{i % n_different}" for i in range(n_rows)]
    assert free_text_of(cells, dtype) == found
    assert free_text_of([*cells, None, None], dtype) == found


def test_declared_categories_numbers_dates_and_booleans_are_never_free_text():
    names = [f"n{i}" for i in range(50)]
    frame = pd.DataFrame(
        {
            "category": pd.Categorical(names),
            "dictionary": pl.DataFrame({"x": names}).to_arrow()["x"].to_pandas().astype("category"),
            "id": range(50),
            "float": np.arange(50) + 0.5,
            "date": pd.date_range("2024", periods=50),
            "object id": pd.Series(range(50), dtype=object),
            "called": names,
        }
    )
    schema = infer_schema(frame, categorical_features=["called"])
    assert not schema.is_free_text().any()
    assert schema.columns[-1].levels == tuple(sorted(names))


def test_missing_marks_are_no_different_cells():
    marked = ["?"] * 40 + [f"n{i}" for i in range(20)]
    assert free_text_of(marked, missing_values="?") == 0
    assert free_text_of([*marked, "n20"], missing_values="?") == 21


def test_the_model_sees_nothing_of_free_text():
    frame = passengers()
    schema = infer_schema(frame)
    values, observed = encode(frame, schema)
    assert [c.name for c in schema.columns if c.free_text] == ["Name", "Ticket"]
    assert not values[:, [0, 2]].any() and not observed[:, [0, 2]].any()
    assert (observed[:, [1, 3, 4]] == frame[["Age", "Sex", "Fare"]].notna()).all(axis=None)
    assert Schema.from_dict(schema.to_dict()) == schema
    back = decode(values, observed, schema, like=frame)
    pd.testing.assert_frame_equal(back[["Name", "Ticket"]], frame[["Name", "Ticket"]])


# ---- the estimators


def test_one_warning_names_free_text_and_says_what_to_do():
    with pytest.warns(UserWarning) as caught:
        MAEImputer(guess=QUICK, max_iter=0, random_state=0).fit(passengers())
    (warning,) = caught
    text, frame = str(warning.message), passengers()
    for name in ("Name", "Ticket"):
        assert f"{name!r} ({frame[name].nunique()} different)" in text
    assert "categorical_features=['Name', 'Ticket'], or numbers, see the how-to" in text
    page = Path(__file__).parents[2] / "docs" / "howto" / "text.rst"
    assert text.split('"')[-2] == page.read_text(encoding="utf-8").splitlines()[0]
    assert "left as they are" in text and warning.filename == __file__


def test_what_the_warning_says_to_do_makes_it_a_category():
    with pytest.warns(UserWarning, match="levels; the 1 most frequent are told apart"):
        model = MAEImputer(
            guess=QUICK, categorical_features=["Name", "Ticket"], max_iter=0, random_state=0
        )
        model.fit(passengers())
    assert not model.transform(passengers()).isna().any(axis=None)


@pytest.mark.slow
def test_free_text_comes_back_as_it_is_with_its_missing_cells():
    frame, model = passengers(), fitted()
    for filled in (model.transform(frame), *model.sample(frame, 2), *model.predict_interval(frame)):
        pd.testing.assert_frame_equal(filled[["Name", "Ticket"]], frame[["Name", "Ticket"]])
        assert filled[["Age", "Fare"]].notna().all(axis=None)
    assert model.transform(frame)["Sex"].notna().all()
    table = pl.from_pandas(frame[["Name", "Age", "Sex"]])
    filled = fitted(frame=table).transform(table)
    assert filled["Name"].equals(table["Name"]) and filled["Age"].null_count() == 0


@pytest.mark.slow
def test_the_other_columns_are_filled_as_if_free_text_were_an_empty_column():
    frame = passengers()
    empty = frame.assign(Name=None, Ticket=None).astype({"Name": "category", "Ticket": "category"})
    filled, other = (fitted(frame=f).transform(f) for f in (frame, empty))
    seen = ["Age", "Sex", "Fare"]
    pd.testing.assert_frame_equal(filled[seen], other[seen], check_exact=True)


@pytest.mark.slow
def test_free_text_is_no_empty_column():
    frame, model = passengers(), fitted(add_indicator=True, keep_empty_features=False)
    filled = model.transform(frame)
    assert list(filled.columns[:5]) == list(frame.columns)
    assert list(filled.columns[5:]) == [f"missingindicator_{name}" for name in frame]
    for name in frame:
        assert (filled[f"missingindicator_{name}"] == frame[name].isna()).all()
    whole = frame.assign(Name=[f"Mr {i}" for i in range(80)])
    assert fitted(frame=whole).missing_features_.tolist() == [1, 2, 3, 4]


@pytest.mark.slow
def test_free_text_does_not_make_complete_rows_cost_a_prediction():
    frame = passengers()
    frame[["Age", "Sex", "Fare"]] = frame[["Age", "Sex", "Fare"]].ffill().bfill()
    model, asked = fitted(), []
    model.model_.guess.base.register_forward_hook(lambda *_: asked.append(1))
    model.transform(frame)
    assert not asked
    model.transform(frame.assign(Age=np.nan))
    assert asked


@pytest.mark.slow
def test_probabilities_and_scores_are_of_the_columns_that_the_model_sees():
    frame, model = passengers(), fitted()
    assert list(model.predict_proba(frame).columns.get_level_values("column").unique()) == ["Sex"]
    drawn = np.random.default_rng(0).random(frame.shape)
    hidden = frame.notna() & (drawn < 0.2)
    filled = model.transform(frame.mask(hidden & [False, True, False, True, True]))
    wrong = usual = 0.0
    for j in (1, 4):
        truth, column = frame.iloc[:, j], model.schema_.columns[j]
        wrong += (((filled.iloc[:, j] - truth) / column.scale)[hidden.iloc[:, j]] ** 2).sum()
        usual += (((truth - column.center) / column.scale)[hidden.iloc[:, j]] ** 2).sum()
    sex, mode = frame["Sex"][hidden["Sex"]], model.schema_.columns[3].levels[0]
    missed = (filled["Sex"][hidden["Sex"]] != sex).sum() / (sex != mode).sum()
    expected = (2 * (1 - wrong / usual) + (1 - missed)) / 3
    assert model.score(frame) == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
def test_new_free_text_is_fine_and_no_row_is_strange_for_it():
    frame, detector = passengers(), fitted(MAEAnomalyDetector, trim=0.2)
    new = frame.assign(Name="quite another", Ticket=7)
    assert (detector.score_samples(new) == detector.score_samples(frame)).all()
    assert detector.score_cells(frame)[["Name", "Ticket"]].isna().all(axis=None)
    assert not set(detector.explain(frame, top=80)["column"]) & {"Name", "Ticket"}
    assert (fitted().transform(new)["Name"] == "quite another").all()


@pytest.mark.slow
def test_features_of_free_text_are_constant():
    frame = passengers()
    encoder = fitted(MAEEncoder, n_components=4)
    features = encoder.transform(frame)
    other = encoder.transform(frame.assign(Name="x", Ticket=None))
    pd.testing.assert_frame_equal(features, other)
    assert encoder.inverse_transform(features)[["Name", "Ticket"]].isna().all(axis=None)


def test_a_number_where_text_was_is_refused_by_name():
    with pytest.raises(ValueError, match=r"column 'Name' was text in fit .* is now a number"):
        fitted(frame=passengers().astype({"Name": "string"})).transform(
            passengers().assign(Name=1.5)
        )


def test_a_table_of_free_text_alone_is_refused_in_one_sentence():
    for kind in (MAEImputer, MAEEncoder, MAEAnomalyDetector):
        with pytest.raises(ValueError, match=r"only columns of free text.*=\['Name', 'Ticket'\]"):
            kind(max_iter=0).fit(passengers()[["Name", "Ticket"]])


def test_times_and_groups_alone_are_refused_as_such_and_free_text_beside_them_is_named():
    keys = passengers()[["Name"]].assign(when=range(len(passengers())), ship="Titanic")
    model = MAEImputer(window=4, time="when", groups="ship", max_iter=0)
    with pytest.raises(ValueError, match=r"columns of time or groups have observed cells\.$"):
        model.fit(keys[["when", "ship"]])
    both = r"of free text or identifiers, time or groups have observed cells; .*=\['Name'\]"
    with pytest.raises(ValueError, match=both):
        model.fit(keys)


@pytest.mark.slow
def test_a_saved_model_still_leaves_free_text_alone(tmp_path):
    frame, model = passengers(), fitted()
    save(model, tmp_path / "m.safetensors")
    again = load(tmp_path / "m.safetensors")
    pd.testing.assert_frame_equal(again.transform(frame), model.transform(frame))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_free_text_is_not_scored_in_cross_validation():
    model = MAEImputer(guess=QUICK, max_iter=0, random_state=0)
    scores = cross_val_impute(model, passengers(), cv=2, metrics=["accuracy"], random_state=0)
    assert set(scores["column"]) == {"Sex"}


# ---- times in the index


@pytest.mark.parametrize(
    "index",
    [
        pd.date_range("2024", periods=30),
        pd.period_range("2024", periods=30, freq="M"),
        pd.timedelta_range("0s", periods=30, freq="s"),
        pd.MultiIndex.from_product([["a", "b", "c"], pd.date_range("2024", periods=10)]),
    ],
)
def test_times_in_the_index_are_said_not_to_be_used_once(index):
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(30, 3)), index).set_axis(
        list("abc"), axis=1
    )
    frame.iloc[3, 1] = np.nan
    with pytest.warns(UserWarning, match=r"independent.*index of X.*reset_index") as caught:
        model = MAEImputer(guess=QUICK, max_iter=0, random_state=0).fit(frame)
    assert len(caught) == 1 and caught[0].filename == __file__
    pd.testing.assert_index_equal(model.transform(frame).index, index)
    plain = MAEImputer(guess=QUICK, max_iter=0, random_state=0).fit_transform(
        frame.reset_index(drop=True)
    )
    assert (model.transform(frame).to_numpy() == plain.to_numpy()).all()
