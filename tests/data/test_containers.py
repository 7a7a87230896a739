from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from polars.testing import assert_frame_equal

from maetab import MAEAnomalyDetector, MAEEncoder, MAEImputer
from maetab.data.codec import encode, fill
from maetab.data.containers import read_frame
from maetab.data.schema import infer_schema

NOW = datetime.datetime(2024, 3, 31, 1, 30, 7, 123457)


def polars_table() -> pl.DataFrame:
    numbers = [1, None, 3, 7]
    return pl.DataFrame(
        {
            "i64": pl.Series([2**60 + 1, None, -5, 4], dtype=pl.Int64),
            "u8": pl.Series(numbers, dtype=pl.UInt8),
            "f64": pl.Series([0.1, None, float("nan"), 2.0]),
            "f32": pl.Series([0.1, None, 0.7, 2.0], dtype=pl.Float32),
            "bool": pl.Series([True, None, False, True]),
            "text": pl.Series(["a", None, "b", "a"]),
            "cat": pl.Series(["a", None, "b", "a"], dtype=pl.Categorical),
            "enum": pl.Series(["a", None, "b", "a"], dtype=pl.Enum(["z", "b", "a"])),
            "date": pl.Series([NOW.date(), None, NOW.date(), datetime.date(1960, 1, 1)]),
            "us": pl.Series([NOW, None, NOW, NOW], dtype=pl.Datetime("us")),
            "ns": pl.Series([10**18 + 1, None, 5, 7]).cast(pl.Datetime("ns", "Europe/Paris")),
            "dur": pl.Series([1, None, 3, 4]).cast(pl.Duration("ms")),
            "null": pl.Series([None] * 4, dtype=pl.Null),
        }
    )


def arrow_table() -> pa.Table:
    table = pa.table(
        {
            "i64": pa.array([2**60 + 1, None, -5, 4]),
            "f32": pa.array([0.1, None, float("nan"), 2.0], pa.float32()),
            "bool": pa.array([True, None, False, True]),
            "text": pa.array(["a", None, "b", "a"], pa.large_string()),
            "small": pa.array(["a", None, "b", "a"], pa.string()),
            "dict": pa.array(["a", None, "b", "a"]).cast(pa.dictionary(pa.int8(), pa.string())),
            "date": pa.array([1, None, 2, 3], pa.date32()),
            "ns": pa.array([10**18 + 1, None, 5, 7], pa.timestamp("ns", "Europe/Paris")),
            "dur": pa.array([1, None, 3, 4], pa.duration("us")),
        }
    )
    return table.replace_schema_metadata({"source": "made up"})


def filled(X):
    frame, back = read_frame(X)
    schema = infer_schema(frame)
    values, observed = encode(frame, schema)
    return back.give(fill(frame, values, ~observed, schema)), observed


def test_polars_comes_back_with_its_dtypes_and_observed_cells():
    table = polars_table()
    result, observed = filled(table)
    assert_frame_equal(table, polars_table())
    for place, name in enumerate(table.columns):
        assert result[name].null_count() == 0, name
        if name != "null":
            assert result.schema[name] == table.schema[name]
            rows = np.flatnonzero(observed[:, place])
            assert result[name][rows].equals(table[name][rows], check_dtypes=True), name
    assert observed.sum(axis=0).tolist() == [3, 3, 2, *[3] * 9, 0]


def test_pyarrow_comes_back_with_its_schema_and_observed_cells():
    table = arrow_table()
    result, observed = filled(table)
    assert result.schema.equals(table.schema, check_metadata=True)
    for place, name in enumerate(table.column_names):
        assert result[name].null_count == 0
        rows = np.flatnonzero(observed[:, place])
        assert result[name].take(rows).to_pylist() == table[name].take(rows).to_pylist()
        assert observed[:, place].sum() == (2 if name == "f32" else 3)


def test_a_dictionary_of_arrow_keeps_its_levels_and_their_order():
    levels = ["z", "b", "a", "c"]
    codes = pa.array([1, None, 0, 1], pa.int8())
    cells = pa.DictionaryArray.from_arrays(codes, levels, ordered=True)
    result, _ = filled(pa.table({"x": cells}))
    assert result["x"].type == cells.type and result["x"].null_count == 0
    assert result["x"].combine_chunks().dictionary.to_pylist() == levels
    assert result["x"].take([0, 2, 3]).to_pylist() == ["b", "z", "b"]


@pytest.mark.parametrize(
    "cells",
    [
        pa.array([2**60 + 1, None, -5, 2**60 + 1]).dictionary_encode(),
        pa.array([0.1, None, -0.0, 0.1], pa.float32()).dictionary_encode(),
        pa.array(["a", None, "b", "a"], pa.string_view()),
    ],
)
def test_dictionaries_of_numbers_and_views_of_text_come_back_filled(cells):
    result, _ = filled(pa.table({"x": cells}))
    assert result["x"].type == cells.type
    first, _, *rest = cells.to_pylist()
    assert result["x"].to_pylist() == [first, first, *rest]


def test_a_known_level_is_added_to_an_enum_of_polars_that_lacks_it():
    fitted = pl.DataFrame({"x": pl.Series(["c", "c", "a"], dtype=pl.Enum(["a", "b", "c"]))})
    schema = infer_schema(read_frame(fitted)[0])
    frame, back = read_frame(pl.DataFrame({"x": pl.Series(["a", None], dtype=pl.Enum(["a"]))}))
    result = back.give(fill(frame, np.zeros((2, 1)), frame.isna().to_numpy(), schema))
    assert result["x"].to_list() == ["a", "c"] and result.schema["x"] == pl.Enum(["a", "c"])


@pytest.mark.parametrize("kind", ["polars", "arrow"])
def test_times_go_to_the_nearest_day_of_a_column_of_dates(kind):
    table = pl.DataFrame({"x": [datetime.date(2024, 1, 1), None]})
    frame, back = read_frame(table if kind == "polars" else table.to_arrow())
    frame = frame.fillna({"x": pd.Timestamp("2024-03-01 18:00")})
    assert back.give(frame)["x"].to_numpy()[1] == np.datetime64("2024-03-02")


def test_a_view_without_change_gives_back_the_same_table():
    for table in (polars_table(), arrow_table()):
        frame, back = read_frame(table)
        assert back.give(frame.copy()).equals(table) or isinstance(table, pa.Table)
    frame, back = read_frame(polars_table())
    assert_frame_equal(back.give(frame), polars_table())


def test_cells_made_missing_become_null():
    frame, back = read_frame(polars_table())
    result = back.give(frame.mask(np.repeat(np.arange(4)[:, None] == 0, frame.shape[1], axis=1)))
    assert result.schema == polars_table().schema
    assert all(result[name][0] is None for name in result.columns)


def test_columns_can_be_dropped_and_added():
    table = pl.DataFrame({"a": [1, None], "b": ["x", None]})
    frame, back = read_frame(table)
    result = back.give(frame[["b"]].assign(seen=[True, False], score=[0.5, np.nan]))
    assert result.columns == ["b", "seen", "score"]
    assert result.schema == {"b": pl.String, "seen": pl.Boolean, "score": pl.Float64}


@pytest.mark.parametrize("table", [polars_table(), arrow_table()])
def test_new_columns_come_in_the_same_kind_of_table(table):
    _, back = read_frame(table)
    result = back.table(pd.DataFrame({"p": [0.25, 0.75], "name": ["a", None]}, index=[5, 6]))
    assert type(result) is type(table)
    assert result["p"].to_numpy().tolist() == [0.25, 0.75]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f8", "<U3", "object"])
def test_arrays_come_back_with_their_dtype(dtype):
    array = np.array([["1", "2"], ["3", "4"]]).astype(dtype)
    result, _ = filled(array)
    assert result.dtype == array.dtype and (result == array).all()


@pytest.mark.parametrize(
    "array",
    [
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(6.0).reshape(2, 3)[::-1, ::-1],
        np.arange(6).reshape(2, 3),
        np.array([[True, False]]),
        np.array([["2020-01-01"]], dtype="M8[s]"),
    ],
)
def test_read_only_arrays_of_any_layout_come_back_equal(array):
    array.setflags(write=False)
    result, _ = filled(array)
    assert result.dtype == array.dtype and np.array_equal(result, array)


def test_object_arrays_are_read_column_by_column():
    array = np.array([[1, "a", True], [None, None, None], [2, "a", True]], dtype=object)
    frame, _ = read_frame(array)
    assert [column.kind for column in infer_schema(frame).columns] == ["number", *["category"] * 2]
    result, _ = filled(array)
    assert result.tolist() == [[1, "a", True], [2, "a", True], [2, "a", True]]


def test_lists_are_read_as_arrays_and_keep_numbers_beside_text():
    frame, _ = read_frame([[1, "a"], [2, "b"]])
    assert [column.kind for column in infer_schema(frame).columns] == ["number", "category"]
    assert list(frame.columns) == ["x0", "x1"]


@pytest.mark.parametrize(
    "cells", [[1.0, 2.0, 2.0], [1, 2, 2], [True, False, False], ["a", "b", "b"]]
)
@pytest.mark.parametrize("as_objects", [False, True])
def test_masked_cells_of_an_array_are_missing_and_its_dtype_is_kept(cells, as_objects):
    array = np.array(cells, dtype=object if as_objects else None)[:, None]
    masked = np.ma.array(array, mask=[[True], [False], [False]])
    result, observed = filled(masked)
    assert observed.tolist() == [[False], [True], [True]]
    assert result.dtype == array.dtype and result[:, 0].tolist() == [cells[1]] * 3
    assert masked.data[0, 0] == cells[0] and masked.mask[0, 0]


def test_masked_dates_keep_their_dtype():
    days = np.array([["2020-01-01"], ["2020-01-05"], ["2020-01-05"]], dtype="M8[D]")
    result, observed = filled(np.ma.array(days, mask=[[True], [False], [False]]))
    assert observed.tolist() == [[False], [True], [True]]
    assert result.dtype == days.dtype and (result == days[1]).all()


def test_masks_of_rows_in_a_list_are_kept():
    rows = [np.ma.array([1, 9], mask=[False, True]), np.ma.array([2, 3]), [5, 4]]
    _, observed = filled(rows)
    assert observed.tolist() == [[True, False], [True, True], [True, True]]


def test_a_masked_array_comes_back_masked_where_cells_stay_missing():
    array = np.ma.array([[1, 2], [3, 4]], mask=[[True, False], [False, False]], fill_value=-7)
    frame, back = read_frame(array)
    given = back.give(frame)
    assert isinstance(given, np.ma.MaskedArray) and given.dtype == array.dtype
    assert given.mask.tolist() == array.mask.tolist() and given.fill_value == -7
    assert given.compressed().tolist() == [2, 3, 4]
    filled = back.give(frame.fillna(9))
    assert filled.tolist() == [[9, 2], [3, 4]] and filled.mask is np.ma.nomask
    assert not isinstance(back.give(frame.fillna(9)).data, np.ma.MaskedArray)


@pytest.mark.parametrize("dtype", [np.float32, object, "U1", "M8[D]", bool])
def test_what_stays_missing_is_masked_whatever_the_dtype(dtype):
    cells = {"U1": ["a", "b"], "M8[D]": ["2020-01-01", "2020-01-02"]}.get(dtype, [1.5, 2.5])
    array = np.ma.array(np.array(cells, dtype)[:, None], mask=[[True], [False]])
    frame, back = read_frame(array)
    given = back.give(frame)
    assert given.dtype == array.dtype and given.mask.tolist() == [[True], [False]]
    assert given[1, 0] == array[1, 0]


def test_new_columns_of_durations_and_of_local_times_are_such_in_polars():
    stamps = pd.to_datetime(["2024-07-01 12:00", None]).as_unit("us")
    new = pd.DataFrame({"waited": stamps - stamps[0], "local": stamps.tz_localize("Europe/Paris")})
    table = read_frame(polars_table())[1].table(new.assign(plain=stamps))
    zoned = pl.Datetime("us", "Europe/Paris")
    assert table.schema == {"waited": pl.Duration("us"), "local": zoned, "plain": pl.Datetime("us")}
    noon = datetime.datetime(2024, 7, 1, 12)
    assert table.row(0)[0] == datetime.timedelta(0) and table.row(1) == (None, None, None)
    assert table.row(0)[1].replace(tzinfo=None) == noon == table.row(0)[2]


def test_a_record_batch_comes_back_as_one_with_its_schema_and_observed_cells():
    batch = arrow_table().combine_chunks().to_batches()[0]
    result, _ = filled(batch)
    expected, _ = filled(arrow_table())
    assert type(result) is pa.RecordBatch
    assert result.schema.equals(batch.schema, check_metadata=True)
    assert pa.Table.from_batches([result]).equals(expected)


@pytest.mark.slow
def test_estimators_read_the_names_of_a_record_batch():
    rng = np.random.default_rng(0)
    cells = {"a": rng.normal(size=30), "t": rng.choice(["x", "y"], 30)}
    batch = pa.RecordBatch.from_pydict({**cells, "t": [None, *cells["t"][1:].tolist()]})
    imputer = MAEImputer(max_iter=0, random_state=0).fit(batch)
    assert imputer.feature_names_in_.tolist() == ["a", "t"]
    assert imputer.transform(batch).column("t").null_count == 0
    encoder = MAEEncoder(max_iter=0, n_components=2, random_state=0)
    assert type(encoder.fit_transform(batch)) is pa.RecordBatch
    detector = MAEAnomalyDetector(trim=0.2, random_state=0).fit(batch)
    table = pa.Table.from_batches([batch])
    assert (detector.score_samples(batch) == detector.score_samples(table)).all()
    with pytest.raises(ValueError, match="in the same order as they were in fit"):
        imputer.transform(batch.select(["t", "a"]))


def test_whole_numbers_with_a_missing_cell_come_back_as_floats():
    frame, back = read_frame(np.array([[1, 2]]))
    result = back.give(frame.astype("Int64").mask([[True, False]]))
    np.testing.assert_array_equal(result, [[np.nan, 2.0]])


def test_pandas_is_its_own_view():
    frame = pd.DataFrame({"a": [1.0]}, index=["r"])
    view, back = read_frame(frame)
    assert view is frame and back.give(view) is frame and back.table(view) is frame


class OfSpark:
    """Has the names of a frame of Spark."""

    collect = toPandas = toArrow = None


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (np.ones(3), ValueError, "Expected 2D array, got 1D array instead.\nReshape your data"),
        (np.ones((1, 1, 1)), ValueError, "Expected 2D array, got 3D array instead"),
        (pd.Series([1.0]), ValueError, r"got a Series instead.\nMake it .* by X.to_frame\(\)"),
        (pl.Series([1.0]), ValueError, r"by X.to_frame\(\)"),
        ([[1], [1, 2]], ValueError, "rows of equal length"),
        (np.ones((1, 1)) * 1j, ValueError, "Complex data not supported"),
        (pl.LazyFrame({"a": [1]}), TypeError, "got LazyFrame; call .collect"),
        (OfSpark(), TypeError, r"got OfSpark; call \.toArrow\(\) first"),
        ("text", TypeError, "must be a table in memory, got str"),
        ({"a": [1]}, TypeError, "must be a table in memory, got dict"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), ValueError, "more than one of 'a'"),
        (pa.RecordBatch.from_arrays([pa.array([1])] * 2, ["a", "a"]), ValueError, "more than one"),
        (pa.table([[1], [2]], names=["a", "a"]), ValueError, "more than one of 'a'"),
    ],
)
def test_what_is_no_table_is_refused(X, error, message):
    with pytest.raises(error, match=message):
        read_frame(X)


def test_sparse_matrices_are_refused():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match="sparse"):
        read_frame(sparse.csr_array(np.eye(2)))


def test_a_polars_column_of_lists_is_refused_by_name():
    frame, _ = read_frame(pl.DataFrame({"a": [[1], [2]]}))
    with pytest.raises(TypeError, match="column 'a': holds a list"):
        infer_schema(frame)
