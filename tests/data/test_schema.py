from __future__ import annotations

import datetime
import json
import pickle
import statistics

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from frames import CELLS, WHOLE_ONLY, example_frame, make_column, mixed_frames
from hypothesis import given, settings
from hypothesis import strategies as st

from maetab.data.codec import encode_checked
from maetab.data.columns import Column, center_and_scale
from maetab.data.schema import Schema, infer_schema


def column_of(cells, dtype=None, **kwargs):
    return infer_schema(pd.DataFrame({"x": pd.Series(cells, dtype=dtype)}), **kwargs).columns[0]


@given(frame=mixed_frames(min_rows=0))
@settings(max_examples=60, deadline=None)
def test_a_schema_survives_strict_json(frame):
    schema = infer_schema(frame)
    written = json.dumps(schema.to_dict(), allow_nan=False)
    read = Schema.from_dict(json.loads(written))
    assert read == schema
    for old, new in zip(schema.columns, read.columns, strict=True):
        assert [*map(type, old.levels)] == [*map(type, new.levels)]


@pytest.mark.parametrize("found", [Column, Schema])
def test_pickles_of_0_1_0_find_columns_and_schema_in_the_module_of_the_schema(found):
    assert pickle.loads(f"cmaetab.data.schema\n{found.__name__}\n.".encode()) is found


def test_labels_of_every_type_survive_json():
    frame = pd.DataFrame([[1.0] * 4], columns=[1, ("a", 2), None, pd.Timestamp("2020-01-01")])
    schema = infer_schema(frame)
    assert Schema.from_dict(json.loads(json.dumps(schema.to_dict()))) == schema
    assert schema.names() == list(frame.columns)


@pytest.mark.parametrize("closed", ["left", "right", "both", "neither"])
def test_intervals_of_every_side_survive_json(closed):
    schema = Schema((column_of([pd.Interval(0, 1, closed), None], "category"),))
    assert Schema.from_dict(json.loads(json.dumps(schema.to_dict()))) == schema


@pytest.mark.parametrize("dtype", [*CELLS, *WHOLE_ONLY])
def test_the_kind_follows_the_dtype(dtype):
    column = column_of(make_column(dtype, 30, np.random.default_rng(0)))
    words = ("bool", "str", "category", "mixed", "text")
    is_category = any(word in dtype for word in words)
    is_time = any(word in dtype for word in ("datetime", "timestamp", "date32", "period"))
    is_duration = any(word in dtype for word in ("timedelta", "duration"))
    assert column.kind == ("category" if is_category else "number")
    assert column.temporal == ("datetime" if is_time else "timedelta" if is_duration else None)
    assert column.integer == ("int" in dtype.lower() and not is_category)


def test_levels_come_most_frequent_first_then_by_text_and_unseen_ones_last():
    assert column_of(["b", "c", "a", "c", None]).levels == ("c", "a", "b")
    declared = pd.Categorical(["b", "a", "b"], categories=["z", "a", "b"])
    assert column_of(declared).levels == ("b", "a", "z")
    assert column_of(declared).counts == (2, 1, 0)


def test_ties_in_a_category_dtype_keep_its_order():
    tied = pd.Categorical(["a", "b"], categories=["b", "z", "a"])
    assert column_of(tied).levels == ("b", "a", "z")


@pytest.mark.parametrize("dtype", ["bool", "boolean", "bool[pyarrow]"])
def test_booleans_have_two_levels_even_if_one_was_seen(dtype):
    assert column_of([True, True], dtype).levels == (True, False)


def test_numbers_called_categories_keep_their_type():
    frame = pd.DataFrame({"a": [1, 2, 2], "b": [0.5, 1.5, np.nan], "c": [1.0, 2.0, 3.0]})
    columns = infer_schema(frame, categorical_features=["a", 1]).columns
    assert [column.kind for column in columns] == ["category", "category", "number"]
    assert columns[0].levels == (2, 1) and type(columns[0].levels[0]) is int
    assert columns[1].levels == (0.5, 1.5)


@pytest.mark.parametrize("names", [["a", "b"], [0, 1]])
@pytest.mark.parametrize("kind", [list, np.array])
def test_a_mask_says_of_each_column_whether_it_is_a_category(names, kind):
    frame = pd.DataFrame([[1, 1.0], [2, 2.0]], columns=names)
    columns = infer_schema(frame, kind([False, True])).columns
    assert [column.kind for column in columns] == ["number", "category"]
    assert all(column.kind == "number" for column in infer_schema(frame, [False] * 2).columns)
    for wrong in ([True], [True, False, True], [True, 1]):
        with pytest.raises(ValueError, match="True or False for each of the 2 columns, or none"):
            infer_schema(frame, wrong)


@pytest.mark.parametrize("chosen", [["nope"], [7], [["a"]]])
def test_a_category_that_is_no_column_is_named(chosen):
    with pytest.raises(ValueError, match=r"'categorical_features'.*MAEX names (\['a'\]|'nope'|7),"):
        infer_schema(pd.DataFrame({"a": [1]}), chosen, estimator_name="MAEX")


@given(numbers=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
@settings(max_examples=200, deadline=None)
def test_scales_are_finite_and_positive_for_any_numbers(numbers):
    center, scale = center_and_scale(np.array(numbers))
    assert np.isfinite(center) and np.isfinite(scale) and scale > 0


@given(numbers=st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20))
@settings(max_examples=100, deadline=None)
def test_center_and_scale_are_mean_and_standard_deviation(numbers):
    center, scale = center_and_scale(np.array(numbers))
    assert center == pytest.approx(statistics.fmean(numbers), rel=1e-9, abs=1e-9)
    spread = statistics.pstdev(numbers)
    if spread > 1e-6:
        assert scale == pytest.approx(spread, rel=1e-6)


@pytest.mark.parametrize("dtype", ["float64", "object", "Int64", "float32"])
def test_an_all_missing_column_is_a_number_without_observations(dtype):
    column = column_of([None, None], dtype)
    assert (column.kind, column.n_observed, column.center, column.scale) == ("number", 0, 0, 1)


def test_a_constant_column_has_scale_one():
    column = column_of([0.1, 0.1, 0.1, np.nan])
    assert (column.center, column.scale, column.lower, column.upper) == (0.1, 1.0, 0.1, 0.1)


def test_values_that_stand_for_missing_are_no_levels_and_no_numbers():
    assert column_of(["a", "?", "?"], missing_values="?").levels == ("a",)
    assert column_of([1, -200, 3], missing_values=[-200]).lower == 1
    assert column_of([1, "?", 3], object, missing_values="?").kind == "number"
    assert column_of([True, False], missing_values=[1]).n_observed == 2
    dates = pd.to_datetime(["1900-01-01", "2020-01-01"])
    assert column_of(dates, missing_values=pd.Timestamp("1900-01-01")).n_observed == 1


def test_a_number_too_large_for_float64_stands_for_no_cell():
    assert column_of([1.0, 2.0], missing_values=10**400).n_observed == 2


def test_missing_values_must_be_scalars():
    with pytest.raises(ValueError, match="missing_values must be a scalar or a list"):
        column_of([1.0], missing_values={"a": 1})


@pytest.mark.parametrize(
    ("cell", "word"),
    [
        ({1: 2}, "dict"),
        ([1], "list"),
        ({1}, "set"),
        (b"a", "bytes"),
        (object(), "object"),
    ],
)
def test_a_cell_that_is_no_scalar_is_refused_with_column_and_type(cell, word):
    message = f"column 'x': holds a {word}; the argument must be a string, a real number"
    with pytest.raises(TypeError, match=message):
        column_of([cell, "a"], object)


def test_dtypes_of_arrow_that_pandas_does_not_know_are_refused_with_their_column():
    with pytest.raises(TypeError, match=r"column 'x': has dtype string_view.*Convert the column"):
        column_of(["a", None], pd.ArrowDtype(pa.string_view()))


def test_moments_in_an_object_column_are_sent_to_pandas():
    with pytest.raises(TypeError, match=r"column 'x': holds a datetime; .*pandas.to_datetime"):
        column_of([datetime.datetime(2020, 1, 1)], object)


def test_infinity_complex_sparse_and_huge_numbers_are_refused():
    with pytest.raises(ValueError, match="Input X contains infinity in column 'x'"):
        column_of([1.0, np.inf])
    with pytest.raises(ValueError, match="Complex data not supported"):
        column_of([1j])
    with pytest.raises(TypeError, match="column 'x': is sparse"):
        column_of(pd.arrays.SparseArray([0.0, 1.0]))
    with pytest.raises(ValueError, match="column 'x': holds a whole number too large"):
        column_of([10**400], object)


def test_repeated_column_names_are_named():
    with pytest.raises(ValueError, match="unique, got more than one of 'a'"):
        infer_schema(pd.DataFrame([[1, 2]], columns=["a", "a"]))


@pytest.mark.parametrize(
    ("fitted", "now", "message"),
    [
        ([1.0], ["n/a"], r"column 'x' was a number in fit \(float64\) and is now text"),
        (["a"], [1.0], "column 'x' was text in fit .* and is now a number"),
        ([True], ["True"], "column 'x' was a boolean in fit .* and is now text"),
        ([1.0], [pd.Timestamp("2020")], "was a number in fit .* and is now a date or time"),
        ([1.0], pd.Categorical([1]), "was a number in fit .* and is now a category of a number"),
    ],
)
def test_a_column_that_changed_its_kind_is_named(fitted, now, message):
    schema = infer_schema(pd.DataFrame({"x": fitted}))
    with pytest.raises(ValueError, match=message):
        encode_checked(pd.DataFrame({"x": now}), schema)


def test_one_text_among_numbers_is_shown():
    schema = infer_schema(pd.DataFrame({"x": [1.0]}))
    frame = pd.DataFrame({"x": pd.Series([1, "n/a"], dtype=object)})
    with pytest.raises(ValueError, match="such as 'n/a'"):
        encode_checked(frame, schema)
    encode_checked(frame, schema, missing_values="n/a")


def test_a_column_of_the_same_kind_or_without_cells_passes():
    schema = infer_schema(pd.DataFrame({"x": [1, 2], "t": ["a", "b"]}))
    same = pd.DataFrame({"x": [1.5, np.nan], "t": pd.Categorical(["c", "a"])})
    assert encode_checked(same, schema).observed.tolist() == [[True, True], [False, True]]
    without = pd.DataFrame({"x": [None, None], "t": [np.nan, np.nan]})
    assert not encode_checked(without, schema).observed.any()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["b"], "seen at fit time, yet now missing:\n- a"),
        (["a", "b", "c"], "unseen at fit time:\n- c"),
        (["b", "a"], "must be in the same order as they were in fit"),
    ],
)
def test_other_columns_than_in_fit_are_refused(columns, message):
    schema = infer_schema(pd.DataFrame({"a": [1], "b": [1]}))
    with pytest.raises(ValueError, match=message):
        encode_checked(pd.DataFrame({name: [1] for name in columns}), schema)


def test_the_example_frame_has_every_kind_and_missing_cells():
    frame = example_frame(60, seed=0)
    assert 0.1 < frame.isna().to_numpy().mean() < 0.3
    assert set(infer_schema(frame).is_number()) == {True, False}
    pd.testing.assert_frame_equal(frame, example_frame(60, seed=0))


@given(
    numbers=st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=20),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=60)
def test_numbers_that_were_seen_come_back_exactly_through_single_precision(numbers, seed):
    column = column_of([float(x) for x in numbers])
    encoded = (np.array(numbers) - column.center) / column.scale
    back = column.natural(encoded.astype(np.float32).astype(np.float64))
    near = np.abs(np.subtract.outer(numbers, numbers)) + 9e9 * np.equal.outer(numbers, numbers)
    apart = near.min(1) > 2e-6 * column.scale * (1 + np.abs(encoded))
    assert (back[apart] == np.array(numbers)[apart]).all()
    middle = column.natural(np.array([0.0]) + 3e-3)
    assert middle[0] in numbers or middle[0] == pytest.approx(column.center + 3e-3 * column.scale)


@pytest.mark.parametrize("had", [True, False])
def test_dates_with_a_time_zone_and_without_are_told_apart(had):
    days = pd.Series(pd.date_range("2024-01-01", periods=5), name="day")
    zoned = days.dt.tz_localize("Europe/Berlin")
    fitted, now = (zoned, days) if had else (days, zoned)
    schema = infer_schema(fitted.to_frame())
    with pytest.raises(ValueError, match=r"column 'day' was datetime64.*and is now datetime64"):
        encode_checked(now.to_frame(), schema)
    encode_checked(now.to_frame().mask(np.ones((5, 1), bool)), schema)
    if had:
        encode_checked(zoned.dt.tz_convert("UTC").to_frame(), schema)


def test_levels_of_a_further_fit_are_looked_up_and_not_searched_for():
    compared = []

    class Level(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other):
            compared.append(1)
            return str(self) == str(other)

    before, now = (
        Column("x", "category", "str", tuple(map(Level, map(str, numbers))), (2,) * 300)
        for numbers in (range(300), range(299, -1, -1))
    )
    assert now.as_before(before).levels == before.levels
    assert len(compared) < 10 * 300
