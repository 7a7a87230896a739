"""MAEImputer: what it refuses, in which words, and odd tables that it takes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from models import QUICK
from test_imputer import gaussian, table, tiny

from maetab import MAEImputer


def refused(X, *words: str, error: type[Exception] = ValueError) -> None:
    with pytest.raises(error) as said:
        tiny().fit(X)
    for word in words:
        assert word in str(said.value), str(said.value)


def test_an_empty_frame_is_refused():
    refused(pd.DataFrame(), "0 feature(s)", "minimum of 1 is required")
    refused(table()[[]], "0 feature(s) (shape=(50, 0))")
    refused(
        table().iloc[:0], "0 sample(s) (shape=(0, 4))", "minimum of 2 is required by MAEImputer"
    )


def test_one_row_is_refused_in_fit_and_taken_in_transform():
    refused(table().iloc[:1], "1 sample(s)", "minimum of 2 is required by MAEImputer")
    imputer = tiny().fit(table())
    assert len(imputer.transform(table().iloc[:1])) == 1
    with pytest.raises(ValueError, match="0 sample"):
        imputer.transform(table().iloc[:0])


@pytest.mark.parametrize("name", ["a", "k", "c"])
def test_one_column_works(name):
    assert not tiny().fit_transform(table()[[name]]).isna().any().any()


def test_two_rows_work():
    frame = table(2, missing=0.0)
    frame.loc[0, "a"] = np.nan
    assert not tiny().fit_transform(frame).isna().any().any()


@pytest.mark.parametrize("sign", [1, -1])
def test_infinities_are_refused_by_column(sign):
    frame = table()
    frame.loc[7, "b"] = sign * np.inf
    refused(frame, "infinity", "column 'b'")
    refused(np.array([[1.0, sign * np.inf], [2.0, 3.0]]), "infinity", "'x1'")
    with pytest.raises(ValueError, match="infinity in column 'b'"):
        tiny().fit(table()).transform(frame)


def test_complex_sparse_and_flat_inputs_are_refused():
    refused(table().assign(z=1j), "Complex data not supported", "column 'z'")
    refused(np.ones((3, 2)) * 1j, "Complex data not supported")
    refused(scipy.sparse.csr_matrix(np.eye(3)), "sparse", "toarray", error=TypeError)
    flat = pd.DataFrame({"s": pd.arrays.SparseArray([0.0, 0.0, 1.0])})
    refused(flat, "column 's'", "sparse", error=TypeError)
    refused(np.arange(4.0), "Expected 2D array, got 1D array")
    refused(np.ones((2, 2, 2)), "Expected 2D array, got 3D array")
    refused("table.csv", "must be a table in memory, got str", error=TypeError)
    refused(None, "must be a table in memory, got NoneType", error=TypeError)


def test_repeated_names_are_refused():
    refused(table()[["a", "b", "a"]], "Column names must be unique", "'a'")


def test_cells_that_are_no_values_are_refused_by_column():
    frame = table().assign(o=[{"x": 1}, *[None] * 49])
    refused(frame, "column 'o'", "dict", "string", error=TypeError)
    refused(table().assign(o=[[1, 2]] * 50), "column 'o'", "list", error=TypeError)


def test_unseen_levels_are_left_as_they_are_and_the_rest_is_filled():
    imputer = tiny().fit(table())
    frame = table(seed=5)
    frame.loc[0, "c"], frame.loc[0, "a"] = "new", np.nan
    filled = imputer.transform(frame)
    assert filled.loc[0, "c"] == "new" and filled.loc[0, "a"] == filled.loc[0, "a"]
    assert (imputer.predict_proba(frame)["c"].loc[0] == 0).all()


def test_a_column_of_another_type_is_refused_by_name():
    imputer = tiny().fit(table())
    with pytest.raises(ValueError, match=r"column 'a' was a number in fit .* is now text"):
        imputer.transform(table().assign(a="hello"))
    with pytest.raises(ValueError, match=r"column 'c' was text in fit .* is now a number"):
        imputer.transform(table().assign(c=1.5))


def test_a_number_column_may_change_its_dtype_or_be_all_missing():
    imputer, frame = tiny().fit(table()), table()
    frame = frame.assign(a=frame["a"].astype("float32"), b=np.nan, c=None)
    filled = imputer.transform(frame)
    assert not filled.isna().any().any() and filled["a"].dtype == "float32"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d[["a", "b"]], ["yet now missing", "- k", "- c"]),
        (lambda d: d.assign(q=1), ["unseen at fit time", "- q"]),
        (lambda d: d[["b", "a", "k", "c"]], ["same order as they were in fit"]),
        (lambda d: d.rename(columns={"a": "A"}), ["- A", "- a"]),
    ],
)
def test_other_columns_in_transform_are_refused_by_name(change, words):
    imputer = tiny().fit(table())
    for call in (imputer.transform, imputer.sample, imputer.predict_proba, imputer.score):
        with pytest.raises(ValueError, match="feature names should match") as error:
            call(change(table()))
        assert all(word in str(error.value) for word in words)


def test_an_array_of_another_width_is_refused():
    imputer = tiny().fit(gaussian(20, 0.5))
    with pytest.raises(ValueError, match="X has 3 features, but MAEImputer is expecting 4"):
        imputer.transform(gaussian(20, 0.5, f=3))


@pytest.mark.parametrize(
    ("name", "wrong", "words"),
    [
        ("min_value", "a", "must be None, a number, one number"),
        ("min_value", [None, 1, 2, 3], "must be None, a number, one number"),
        ("max_value", True, "must be None, a number, one number"),
        ("min_value", [1, 2], "'min_value' parameter of MAEImputer"),
        ("max_value", [[1, 2, 3, 4]], "'max_value' parameter of MAEImputer"),
        ("min_value", np.nan, "'min_value' parameter of MAEImputer"),
        ("add_indicator", "x", "'add_indicator' parameter of MAEImputer"),
        ("keep_empty_features", 3, "'keep_empty_features' parameter of MAEImputer"),
    ],
)
def test_wrong_parameters_are_refused(name, wrong, words):
    with pytest.raises(ValueError) as error:
        tiny(**{name: wrong}).fit(table())
    assert words in str(error.value)


def test_bounds_in_the_wrong_order_are_refused():
    with pytest.raises(ValueError, match="must not exceed max_value=1, got 3"):
        tiny(min_value=3, max_value=1).fit(table())


@pytest.mark.parametrize("coverage", [0, 1, -0.5, 1.5, np.nan, "a", None])
def test_wrong_arguments_of_methods_are_refused(coverage):
    imputer = tiny(max_iter=0).fit(table())
    with pytest.raises(ValueError, match=r"coverage must be .*\(0, 1\), got"):
        imputer.predict_interval(table(), coverage=coverage)


@pytest.mark.parametrize("n_draws", [0, -1, 1.5, "a", None, True])
def test_a_wrong_number_of_draws_is_refused(n_draws):
    imputer = tiny(max_iter=0).fit(table())
    with pytest.raises(ValueError, match="n_draws must be an int of at least 1, got"):
        imputer.sample(table(), n_draws=n_draws)


def test_indicators_of_names_of_two_levels_have_both_levels(recwarn):
    frame = pd.DataFrame({("m", "a"): [1.0, None, 3.0] * 5, ("m", "b"): np.arange(15.0)})
    imputer = MAEImputer(guess=QUICK, max_iter=0, add_indicator=True, random_state=0)
    filled = imputer.fit_transform(frame)
    assert filled["missingindicator_m", "a"].tolist() == [False, True, False] * 5
    assert frame.shape == (15, 2) and not recwarn.list


def test_many_indicators_come_without_a_warning_and_keep_index_and_attrs(recwarn):
    cells = np.random.default_rng(0).normal(size=(20, 102))
    frame = pd.DataFrame(cells, index=[1] * 20).add_prefix("c").rename_axis(columns="name")
    frame.iloc[3] = np.nan
    frame.attrs["from"] = "a file"
    imputer = MAEImputer(guess=QUICK, max_iter=0, add_indicator=True, random_state=0)
    filled = imputer.fit_transform(frame)
    assert filled.shape == (20, 204) and not recwarn.list
    assert filled.index.equals(frame.index) and filled.attrs == frame.attrs
    assert filled.columns.name == "name" and filled["missingindicator_c7"].sum() == 1


def test_an_indicator_that_has_the_name_of_a_column_is_refused():
    frame = pd.DataFrame({"a": [1.0, None, 3.0] * 5, "missingindicator_a": range(15)})
    with pytest.raises(ValueError, match="makes a column 'missingindicator_a', but X has one"):
        MAEImputer(guess=QUICK, max_iter=0, add_indicator=True, random_state=0).fit_transform(frame)


@pytest.mark.parametrize("dtype", ["datetime64[us]", "timestamp[us][pyarrow]"])
def test_dates_that_are_all_missing_and_have_no_time_zone_are_filled_by_the_clock_of_fit(dtype):
    """`assign(when=pd.NaT)` has none; the hours of UTC would look like those of the others."""
    hours = np.arange(50)
    when = pd.Timestamp("2024-06-01 06:00", tz="Asia/Tokyo") + pd.to_timedelta(hours, "h")
    frame = pd.DataFrame({"when": when, "n": 10.0 * hours})
    imputer = tiny().fit(frame)
    zoned = pd.Series(pd.NaT, frame.index, frame["when"].dtype)
    known = imputer.transform(frame.assign(when=zoned))["when"]
    found = imputer.transform(frame.assign(when=pd.Series(pd.NaT, frame.index, dtype)))["when"]
    assert found.dtype == dtype
    assert found.tolist() == known.dt.tz_localize(None).tolist()


@pytest.mark.parametrize(
    "dtype", ["datetime64[us, Asia/Tokyo]", "timestamp[us, tz=Asia/Tokyo][pyarrow]"]
)
def test_dates_that_are_all_missing_and_have_a_time_zone_show_the_clock_of_a_fit_without_one(dtype):
    hours = np.arange(50)
    when = pd.Timestamp("2024-06-01 06:00") + pd.to_timedelta(hours, "h")
    frame = pd.DataFrame({"when": when, "n": 10.0 * hours})
    imputer = tiny().fit(frame)
    known = imputer.transform(frame.assign(when=pd.Series(pd.NaT, frame.index, when.dtype)))["when"]
    found = imputer.transform(frame.assign(when=pd.Series(pd.NaT, frame.index, dtype)))["when"]
    assert found.dtype == dtype
    assert [when.tz_localize(None) for when in found] == known.tolist()
