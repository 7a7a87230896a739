from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from frames import (
    CELLS,
    WHOLE_ONLY,
    assert_same_to_float32,
    example_frame,
    make_column,
    mixed_frames,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from maetab.data.blanks import blank_frame
from maetab.data.codec import decode, encode, encode_checked, fill, to_natural
from maetab.data.schema import infer_schema

EVERY_DTYPE = [*CELLS, *WHOLE_ONLY]
MODELLED = [dtype for dtype in EVERY_DTYPE if "free text" not in dtype]


@given(frame=mixed_frames())
@settings(max_examples=100, deadline=None)
def test_decode_gives_back_what_was_encoded_to_float32(frame):
    schema = infer_schema(frame)
    values, observed = encode(frame, schema)
    assert_same_to_float32(decode(values, observed, schema, like=frame), frame, schema)


def test_every_dtype_survives_encoding_and_decoding():
    frame = example_frame(40, seed=1)
    schema = infer_schema(frame)
    values, observed = encode(frame, schema)
    assert_same_to_float32(decode(values, observed, schema, like=frame), frame, schema)


@given(frame=mixed_frames(), seed=st.integers(0, 1000))
@settings(max_examples=100, deadline=None)
def test_filling_changes_no_observed_cell(frame, seed):
    before = frame.copy(deep=True)
    schema = infer_schema(frame)
    values, observed = encode(frame, schema)
    guess = np.random.default_rng(seed).normal(0, 2, values.shape).astype(np.float32)
    for place, column in enumerate(schema.columns):
        if column.kind == "category":
            guess[:, place] = np.clip(np.abs(np.rint(guess[:, place])), 0, len(column.levels) - 1)
    filled = fill(frame, guess, ~observed, schema)
    pd.testing.assert_frame_equal(frame, before)
    assert filled.index.equals(frame.index) and filled.attrs == frame.attrs
    for place, column in enumerate(schema.columns):
        old, new = frame.iloc[:, place], filled.iloc[:, place]
        assert old.dtype == new.dtype
        given_cells = old.notna().to_numpy()
        pd.testing.assert_series_equal(new[given_cells], old[given_cells], check_exact=True)
        assert new.notna().all() or (column.kind == "category" and not column.levels)


@pytest.mark.parametrize("dtype", MODELLED)
def test_observed_cells_are_those_that_pandas_finds(dtype):
    frame = pd.DataFrame({"x": make_column(dtype, 50, np.random.default_rng(0))})
    values, observed = encode(frame, infer_schema(frame))
    assert (observed == frame.notna().to_numpy()).all()
    assert (values[~observed] == 0).all() and np.isfinite(values).all()
    assert values.dtype == np.float32


@pytest.mark.parametrize("dtype", MODELLED)
def test_filling_replaces_observed_cells_when_asked(dtype):
    column = make_column(dtype, 30, np.random.default_rng(0), missing=0.0)
    frame = pd.DataFrame({"x": column})
    schema = infer_schema(frame)
    values, observed = encode(frame, schema)
    filled = fill(frame, values[::-1], observed, schema)
    backwards = pd.DataFrame({"x": column[::-1].set_axis(column.index)})
    assert_same_to_float32(filled, backwards, schema)


def test_numbers_are_centered_and_scaled_and_come_back_in_natural_units():
    frame = pd.DataFrame({"x": [1.0, 3.0, np.nan]})
    schema = infer_schema(frame)
    values, _ = encode(frame, schema)
    assert values.ravel().tolist() == [-1.0, 1.0, 0.0]
    assert to_natural(values, schema).ravel().tolist() == [1.0, 3.0, 2.0]


def test_an_unseen_category_is_observed_and_gets_the_code_after_the_last_level():
    schema = infer_schema(pd.DataFrame({"x": ["a", "b", "a"]}))
    values, observed = encode(pd.DataFrame({"x": ["b", "new", None]}), schema)
    assert values.ravel().tolist() == [1.0, 2.0, 0.0]
    assert observed.ravel().tolist() == [True, True, False]


def test_filled_integers_are_rounded_and_clipped_to_their_dtype():
    frame = pd.DataFrame({"x": pd.array([0, 255, None, None, None], dtype="UInt8")})
    schema = infer_schema(frame)
    values = np.array([[0], [0], [9.0], [-9.0], [0.004]])
    filled = fill(frame, values, frame.isna().to_numpy(), schema)
    assert filled["x"].tolist() == [0, 255, 255, 0, 128]


def test_the_largest_int64_does_not_wrap_around():
    frame = pd.DataFrame({"x": pd.array([2**63 - 1, -(2**63), None, None], dtype="Int64")})
    schema = infer_schema(frame)
    filled = fill(frame, np.array([[0], [0], [9.0], [-9.0]]), frame.isna().to_numpy(), schema)
    assert filled["x"][0] == 2**63 - 1 and filled["x"][1] == -(2**63)
    assert filled["x"][2] > 2**62 and filled["x"][3] < -(2**62)


def test_columns_that_were_whole_numbers_in_fit_are_filled_with_whole_numbers():
    schema = infer_schema(pd.DataFrame({"x": [1, 2, 3, 4]}))
    frame = pd.DataFrame({"x": [1.0, np.nan]})
    filled = fill(frame, np.array([[0.0], [0.3]]), frame.isna().to_numpy(), schema)
    assert filled["x"].dtype == np.float64 and filled["x"].tolist() == [1.0, 3.0]


def test_a_sentinel_is_missing_and_is_replaced_in_an_integer_column():
    frame = pd.DataFrame({"x": [10, -200, 30], "t": ["a", "?", "a"]})
    schema = infer_schema(frame, missing_values=[-200, "?"])
    values, observed = encode(frame, schema, missing_values=[-200, "?"])
    assert observed.tolist() == [[True, True], [False, False], [True, True]]
    filled = fill(frame, values, ~observed, schema)
    assert filled["x"].tolist() == [10, 20, 30] and filled["x"].dtype == np.int64
    assert filled["t"].tolist() == ["a", "a", "a"]


@pytest.mark.parametrize("kind", [pd.Timestamp, np.datetime64, datetime.date.fromisoformat])
def test_dates_and_durations_may_stand_for_missing_cells_in_any_type(kind):
    never, long = kind("9999-12-31"), np.timedelta64(999, "D")
    days = np.array(["2021-01-01", "9999-12-31", "2021-03-01"], "datetime64[us]")
    frame = pd.DataFrame({"until": days, "took": pd.to_timedelta([1, 2, 999], unit="D")})
    columns = infer_schema(frame, missing_values=[never, long]).columns
    assert [column.n_observed for column in columns] == [2, 2]
    assert encode(frame, infer_schema(frame), [never, long])[1].tolist() == [
        [True, True], [False, True], [True, False]]  # fmt: skip


@pytest.mark.parametrize("now", ["float64", "object"])
@pytest.mark.parametrize("dtype", MODELLED)
def test_an_all_missing_column_can_be_filled_whatever_its_dtype(dtype, now):
    fitted = pd.DataFrame({"x": make_column(dtype, 30, np.random.default_rng(0), missing=0.0)})
    schema = infer_schema(fitted)
    frame = pd.DataFrame({"x": pd.Series([None, None], dtype=now)})
    values, observed = encode(frame, schema)
    assert not observed.any()
    filled = fill(frame, values, ~observed, schema)
    assert filled["x"].notna().all()
    if schema.columns[0].kind == "category":
        assert set(filled["x"]) == {schema.columns[0].levels[0]}
    else:
        assert infer_schema(filled).columns[0].words == schema.columns[0].words


def test_a_known_level_is_added_to_a_category_dtype_that_lacks_it():
    schema = infer_schema(pd.DataFrame({"x": pd.Categorical(["a", "a", "b"])}))
    frame = pd.DataFrame({"x": pd.Categorical(["b", None])})
    values, observed = encode(frame, schema)
    filled = fill(frame, values, ~observed, schema)
    assert filled["x"].tolist() == ["b", "a"] and set(filled["x"].cat.categories) == {"a", "b"}


def test_arrow_dictionaries_of_numbers_are_categories_and_keep_their_dtype():
    cells = pa.array([3, None, 4, 4]).dictionary_encode()
    frame = pd.DataFrame({"x": pd.array(cells, dtype=pd.ArrowDtype(cells.type))})
    schema = infer_schema(frame)
    values, observed, _ = encode_checked(frame, schema)  # of the same kind as in fit
    filled = fill(frame, values, ~observed, schema)
    assert filled.dtypes.equals(frame.dtypes) and filled["x"].tolist() == [3, 4, 4, 4]
    blank = decode(values, np.ones_like(observed), schema, blank_frame(schema, 4, None))
    assert blank["x"].tolist() == [3, 4, 4, 4]


def test_what_is_no_value_replaces_nothing():
    frame = pd.DataFrame({"x": [1.0, None], "t": ["a", None]})
    schema = infer_schema(frame)
    filled = fill(frame, np.array([[0, 0], [np.nan, 1]]), np.ones((2, 2), bool), schema)
    assert filled["x"].isna().tolist() == [False, True]
    assert filled["t"].isna().tolist() == [False, True]


def test_decoding_an_integer_column_with_a_missing_cell_makes_it_nullable():
    frame = pd.DataFrame({"i": np.array([1, 3], np.uint8), "b": [True, False]})
    schema = infer_schema(frame)
    values, observed = encode(frame, schema)
    observed[1] = False
    back = decode(values, observed, schema, like=frame)
    assert back.dtypes.astype(str).tolist() == ["UInt8", "boolean"]
    assert back.iloc[0].tolist() == [1, True] and back.iloc[1].isna().all()


class Named(pd.DataFrame):
    @property
    def _constructor(self):
        return Named


def test_the_class_of_a_frame_is_kept():
    frame = Named({"x": [1.0, None]})
    filled = fill(frame, np.zeros((2, 1)), frame.isna().to_numpy(), infer_schema(frame))
    assert type(filled) is Named


def test_huge_and_tiny_numbers_are_encoded_as_finite_values():
    frame = pd.DataFrame({"huge": [1e308, -1e308, 0.0], "tiny": [5e-324, 0.0, 1e-320]})
    values, _ = encode(frame, infer_schema(frame))
    assert np.isfinite(values).all() and np.ptp(values, axis=0).min() > 1


def test_one_level_of_true_is_not_the_number_one():
    frame = pd.DataFrame({"x": pd.Series([True, 1, "a", 1], dtype=object)})
    schema = infer_schema(frame)
    values, observed = encode(frame, schema)
    back = decode(values, observed, schema, like=frame)["x"]
    assert [type(cell) for cell in back] == [bool, int, str, int]
