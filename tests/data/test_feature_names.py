"""Names of features: each says what stands in its column, and no two are equal."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest

from maetab import MAEEncoder, MAEImputer, load, save
from maetab.data.feature_names import distinct_names

FIRST_GUESS = {"n_components": 4, "max_iter": 0, "random_state": 0}


def passengers(n: int = 120) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "Age": rng.normal(30, 12, n).round(1),
            "Sex": rng.choice(["male", "female"], n),
            "Class": pd.Categorical(rng.choice([1, 2, 3], n), [3, 2, 1], ordered=True),
            "Born": pd.Timestamp("1880-01-01") + pd.to_timedelta(rng.integers(0, 9999, n), "D"),
            "Alive": rng.random(n) < 0.4,
            "Parch": rng.integers(0, 3, n),
        }
    )
    frame.loc[3, "Sex"] = "unknown"  # seen once: no indicator
    return frame


def with_gaps() -> pd.DataFrame:
    frame = passengers().astype({"Alive": "boolean", "Parch": "Int64"})
    return frame.mask(np.random.default_rng(1).random(frame.shape) < 0.2)


@pytest.fixture(scope="module")
def encoder() -> MAEEncoder:
    return MAEEncoder(**FIRST_GUESS).fit(passengers())


def names_of(encoder: MAEEncoder, column: str) -> list[str]:
    ours = (column, f"{column}=", f"{column}_step")
    return [n for n in encoder.get_feature_names_out() if n == column or n.startswith(ours[1:])]


def test_components_come_first_and_are_told_from_the_encoded_input(encoder):
    names, n = list(encoder.get_feature_names_out()), encoder.n_components_
    assert n == len(encoder.components_)
    assert names[:n] == [f"component{i}" for i in range(n)]
    columns = list(passengers())
    assert not [name for name in names[n:] if not name.startswith(tuple(columns))]
    first = [names.index(names_of(encoder, column)[0]) for column in columns]
    assert first == sorted(first)


def test_a_number_under_its_own_name_is_standardised(encoder):
    frame = passengers()
    out = encoder.transform(frame)
    for name, column in (("Age", frame["Age"]), ("Born", frame["Born"].astype("int64"))):
        expected = (column - column.mean()) / column.std(ddof=0)
        np.testing.assert_allclose(out[name], expected, atol=1e-4)


def test_an_indicator_is_one_exactly_where_its_level_is(encoder):
    frame = passengers()
    out = encoder.transform(frame)
    for column, levels in {
        "Sex": ["male", "female"],
        "Class": [1, 2, 3],
        "Alive": [True, False],
    }.items():
        assert set(names_of(encoder, column)) == {f"{column}={level}" for level in levels}
        for level in levels:
            np.testing.assert_array_equal(out[f"{column}={level}"], frame[column] == level)


def test_steps_rise_from_0_to_1_one_behind_the_other(encoder):
    frame = passengers().sort_values("Age", ignore_index=True)
    out = encoder.transform(frame)
    names = names_of(encoder, "Age")[1:]
    grids = list(dict.fromkeys(int(name.split("of")[1]) for name in names))
    assert grids == sorted(grids, reverse=True) and grids[-4:] == [16, 8, 4, 2]
    assert names == [f"Age_step{i + 1}of{n}" for n in grids for i in range(n)]
    for n in grids:
        steps = out[[f"Age_step{i + 1}of{n}" for i in range(n)]].to_numpy()
        assert steps.min() == 0 and steps.max() == 1
        assert (np.diff(steps, axis=0) >= 0).all()  # as age rises
        begun, done = steps[:, 1:] > 0, steps[:, :-1] == 1
        assert (done | ~begun).all()  # a step begins where the one before it ends
        assert steps[0].sum() < 0.5 and steps[-1].sum() > n - 0.5


def test_steps_of_few_numbers_lie_between_them(encoder):
    out, parch = encoder.transform(passengers()), passengers()["Parch"]
    np.testing.assert_allclose(out["Parch_step1of2"], parch >= 1, atol=1e-6)
    np.testing.assert_allclose(out["Parch_step2of2"], parch >= 2, atol=1e-6)


@pytest.mark.slow
def test_missing_cells_do_not_change_the_names_and_a_level_seen_once_has_none():
    encoder = MAEEncoder(**FIRST_GUESS).fit(with_gaps())
    names = encoder.get_feature_names_out()
    assert list(encoder.transform(with_gaps())) == list(names)
    assert {"Age", "Parch", "Sex=male", "Alive=True", "Class=2"} <= set(names)
    assert "Sex=unknown" not in names and not [name for name in names if "nan" in name.lower()]


@pytest.mark.slow
@pytest.mark.parametrize("add_raw", [True, False])
@pytest.mark.parametrize("n_components", [None, 3])
@pytest.mark.parametrize("readout", ["concat", "mean"])
def test_there_is_one_name_for_each_feature(add_raw, n_components, readout):
    options = {"add_raw": add_raw, "n_components": n_components, "readout": readout}
    encoder = MAEEncoder(**(FIRST_GUESS | options)).fit(passengers())
    out = encoder.transform(passengers())
    names = encoder.get_feature_names_out()
    assert names.dtype == object and list(out) == list(names) and out.columns.is_unique
    assert sum(name.startswith("component") for name in names) == encoder.n_components_
    assert (len(names) > encoder.n_components_) == add_raw


@pytest.mark.slow
def test_names_that_clash_are_numbered_and_what_they_name_stays_right():
    n = 90
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "component0": rng.normal(size=n),
            "a": rng.choice(["x", "y"], n),
            "a=x": rng.normal(size=n),
            "b": pd.Series(rng.integers(0, 2, n)).map({0: 1, 1: "1"}).astype(object),
        }
    )
    frame["b"] = frame["b"].astype("category")
    encoder = MAEEncoder(**FIRST_GUESS).fit(frame)
    out = encoder.transform(frame)
    assert out.columns.is_unique and list(out) == list(encoder.get_feature_names_out())
    number = frame["component0"]
    expected = (number - number.mean()) / number.std(ddof=0)
    np.testing.assert_allclose(out["component0_2"], expected, atol=1e-4)
    np.testing.assert_array_equal(out["a=x"], frame["a"] == "x")
    number = frame["a=x"]
    expected = (number - number.mean()) / number.std(ddof=0)
    np.testing.assert_allclose(out["a=x_2"], expected, atol=1e-4)
    assert {"b=1", "b=1_2"} <= set(out)
    back = encoder.inverse_transform(out)
    assert back["b"].tolist() == frame["b"].tolist() and back["a"].tolist() == frame["a"].tolist()


def test_a_number_is_never_given_twice():
    names = ["a", "a_2", "a", "a_3", "a", "a_2"]
    assert distinct_names(names) == ["a", "a_2", "a_4", "a_3", "a_5", "a_2_2"]


def test_columns_without_a_level_or_a_step_are_named():
    frame = passengers().assign(
        empty=pd.Categorical([None] * 120, []), void=np.nan, fixed=7.0, text="one"
    )
    with pytest.warns(UserWarning, match="'empty' has no observed cell"):
        encoder = MAEEncoder(**FIRST_GUESS).fit(frame)
    out = encoder.transform(frame)
    assert out.columns.is_unique and {"empty=none", "void", "fixed", "text=one"} <= set(out)
    assert not {"void_step1of1", "fixed_step1of1"} & set(out)


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_set_output_gives_the_names_and_they_lead_back(kind):
    frame = passengers()
    encoder = MAEEncoder(**FIRST_GUESS).set_output(transform=kind).fit(frame)
    out = encoder.transform(frame)
    assert isinstance(out, pl.DataFrame if kind == "polars" else pd.DataFrame)
    assert list(out.columns) == list(encoder.get_feature_names_out())
    back = encoder.inverse_transform(out)
    assert back["Sex"].drop(3).tolist() == frame["Sex"].drop(3).tolist()
    np.testing.assert_allclose(back["Age"], frame["Age"], rtol=1e-5)


@pytest.mark.slow
def test_an_array_has_the_names_that_scikit_learn_gives_or_those_that_are_asked_for():
    X = passengers()[["Age", "Parch"]].to_numpy()
    encoder = MAEEncoder(**FIRST_GUESS).fit(X)
    assert {"x0", "x1", "x1_step1of2"} <= set(encoder.get_feature_names_out())
    named = set(encoder.get_feature_names_out(["age", "children"]))
    assert {"age", "children", "children_step1of2"} <= named and "x0" not in named
    with pytest.raises(ValueError, match="input_features should have length equal"):
        encoder.get_feature_names_out(["age"])


def test_other_names_than_those_of_fit_are_refused(encoder):
    assert list(encoder.get_feature_names_out(list(passengers()))) == list(
        encoder.get_feature_names_out()
    )
    with pytest.raises(ValueError, match="input_features is not equal to feature_names_in_"):
        encoder.get_feature_names_out([*passengers().columns[:-1], "other"])


def test_names_are_those_of_fit_after_saving_and_from_another_model(encoder, tmp_path):
    save(encoder, tmp_path / "model")
    assert list(load(tmp_path / "model").get_feature_names_out()) == list(
        encoder.get_feature_names_out()
    )
    imputer = MAEImputer(max_iter=0, random_state=0).fit(passengers())
    other = MAEEncoder.from_fitted(imputer, n_components=4)
    assert list(other.get_feature_names_out()) == list(encoder.get_feature_names_out())
