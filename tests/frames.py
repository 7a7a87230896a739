"""Frames of every dtype with missing cells, for property tests."""

from __future__ import annotations

import decimal
from collections.abc import Callable

import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import strategies as st

from maetab import MAEImputer
from maetab.data.schema import infer_schema

TALL = 26  # rows, enough to tell free text from categories
WORDS = ["Ulm", "Bonn", "Köln", "", "x y"]


def _floats(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.normal(3.0, 2.0, n) * 10.0 ** rng.integers(-3, 4)


def _whole(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.integers(0, 100, n)


def _booleans(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.random(n) < 0.4


def _texts(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.choice(np.array(WORDS, dtype=object), n)


def _times(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.datetime64("2021-03-27T00:00:00") + rng.integers(0, 10**6, n).astype("m8[s]")


def _durations(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.integers(0, 10**6, n).astype("m8[s]")


def _category(rng: np.random.Generator, n: int) -> pd.Categorical:
    levels = ["never", *WORDS]
    return pd.Categorical(_texts(rng, n), categories=levels, ordered=bool(rng.random() < 0.5))


def _number_category(rng: np.random.Generator, n: int) -> pd.Categorical:
    return pd.Categorical(rng.integers(0, 3, n), categories=[5, 2, 1, 0])


def _intervals(rng: np.random.Generator, n: int) -> pd.Categorical:
    return pd.cut(rng.random(n), [0.0, 0.3, 0.7, 1.0])


def _object_mixed(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.choice(np.array(["a", True, 7, 2.5, False], dtype=object), n)


def _tenths(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.integers(-50, 50, n) / 10


def _near_2_to_60(rng: np.random.Generator, n: int) -> np.ndarray:
    return 2**60 + rng.integers(0, 200, n)


def _days(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.datetime64("2021-01-01") + rng.integers(0, 900, n).astype("m8[D]")


def _months(rng: np.random.Generator, n: int) -> pd.PeriodIndex:
    return pd.PeriodIndex(_days(rng, n).astype("M8[s]"), freq="M")


def _decimals(rng: np.random.Generator, n: int) -> np.ndarray:
    cells = np.empty(n, dtype=object)
    cells[:] = [decimal.Decimal(int(cents)).scaleb(-2) for cents in rng.integers(-900, 900, n)]
    return cells


def _names(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.array([f"Mr {number}" for number in rng.permutation(n)], dtype=object)


# dtype of the column, behind a colon what is said of it -> what its cells are; dtypes that cannot
# be missing are in WHOLE_ONLY
CELLS: dict[str, Callable] = {
    **dict.fromkeys(["float64", "float32", "float16", "Float64", "Float32"], _floats),
    **dict.fromkeys(["double[pyarrow]", "float[pyarrow]"], _floats),
    **dict.fromkeys(["Int8", "Int16", "Int32", "Int64"], _whole),
    **dict.fromkeys(["UInt8", "UInt16", "UInt32", "UInt64", "int64[pyarrow]"], _whole),
    **dict.fromkeys(["int8[pyarrow]", "uint16[pyarrow]"], _whole),
    **dict.fromkeys(["boolean", "bool[pyarrow]", "object: bool"], _booleans),
    **dict.fromkeys(["str", "string", "object: str"], _texts),
    **dict.fromkeys(["string[python]", "large_string[pyarrow]"], _texts),
    **dict.fromkeys(["datetime64[s]", "datetime64[ms]", "datetime64[us]"], _times),
    **dict.fromkeys(["datetime64[ns]", "datetime64[us, Europe/Paris]"], _times),
    **dict.fromkeys(["datetime64[ns, UTC]", "timestamp[us][pyarrow]"], _times),
    **dict.fromkeys(["timestamp[ns, tz=Europe/Paris][pyarrow]", "date32[day][pyarrow]"], _times),
    **dict.fromkeys(["timedelta64[s]", "timedelta64[us]", "timedelta64[ns]"], _durations),
    "duration[us][pyarrow]": _durations,
    **dict.fromkeys(["float64: whole", "float32: whole"], _whole),
    **dict.fromkeys(["float64: tenths", "float32: tenths", "double[pyarrow]: tenths"], _tenths),
    **dict.fromkeys(["Int64: big", "object: big int"], _near_2_to_60),
    **dict.fromkeys(["datetime64[us]: days", "datetime64[us, Europe/Paris]: days"], _days),
    "period[M]": _months,
    **dict.fromkeys(["object: Decimal", "decimal128[pyarrow]"], _decimals),
    **dict.fromkeys(["object: free text", "str: free text"], _names),
    "category": _category,
    "category: int": _number_category,
    "category: interval": _intervals,
    "object: int": _whole,
    "object: float": _floats,
    "object: mixed": _object_mixed,
}
WHOLE_ONLY: dict[str, Callable] = {
    **dict.fromkeys(["int8", "int16", "int32", "int64", "uint8", "uint32", "uint64"], _whole),
    "bool": _booleans,
}


def make_column(
    dtype: str, n_rows: int, rng: np.random.Generator, missing: float = 0.2
) -> pd.Series:
    """Return a column of this dtype, in which about a share `missing` of the cells is missing."""
    if dtype in WHOLE_ONLY:
        return pd.Series(WHOLE_ONLY[dtype](rng, n_rows)).astype(dtype)
    cells, hidden = CELLS[dtype](rng, n_rows), rng.random(n_rows) < missing
    dtype = dtype.partition(":")[0]
    if dtype == "category":
        return pd.Series(cells).mask(hidden)
    if dtype == "object":
        column = pd.Series(cells).astype(object)
        sentinels = rng.choice(np.array([None, np.nan, pd.NA], dtype=object), n_rows)
        return column.where(~hidden, pd.Series(sentinels, dtype=object))
    if dtype == "decimal128[pyarrow]":
        return pd.Series(cells).astype(pd.ArrowDtype(pa.decimal128(10, 2))).mask(hidden)
    if dtype == "date32[day][pyarrow]":
        cells = pd.Series(cells).dt.floor("D")
    if "tz=" in dtype or "/" in dtype or "UTC" in dtype:
        zone = "Europe/Paris" if cells.dtype == "M8[D]" else "UTC"
        cells = pd.Series(cells).dt.tz_localize(zone)
    if isinstance(cells, np.ndarray) and cells.dtype == object:
        return pd.Series(cells, dtype=dtype).mask(hidden)
    return pd.Series(cells).astype(dtype).mask(hidden)


def _frame(dtypes: list[str], n_rows: int, seed: int, missing: float = 0.2) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    columns = {
        f"{place} {dtype}": make_column(dtype, n_rows, rng, missing)
        for place, dtype in enumerate(dtypes)
    }
    frame = pd.DataFrame(columns, index=pd.RangeIndex(n_rows))
    frame.index = pd.Index(rng.permutation(n_rows) + 100, name="row")
    frame.attrs["source"] = "made up"
    return frame


def example_frame(n_rows: int = 60, seed: int = 0) -> pd.DataFrame:
    """Return one frame with a column of every dtype; about 20% of the cells are missing.

    Free text, which no model sees, is left out.
    """
    return _frame([d for d in (*CELLS, *WHOLE_ONLY) if "free text" not in d], n_rows, seed)


@st.composite
def mixed_frames(
    draw: st.DrawFn, min_rows: int = 1, max_rows: int = 20, max_columns: int = 6
) -> pd.DataFrame:
    """Draw frames of any dtypes, from without a missing cell to all missing.

    They have `min_rows` to `max_rows` rows, or `TALL`.
    """
    dtypes = draw(
        st.lists(st.sampled_from([*CELLS, *WHOLE_ONLY]), min_size=1, max_size=max_columns)
    )
    n_rows = draw(st.integers(min_rows, max_rows) | st.just(TALL))
    seed = draw(st.integers(0, 2**32 - 1))
    return _frame(dtypes, n_rows, seed, draw(st.sampled_from([0.0, 0.2, 0.7, 1.0])))


def column_of(cells, dtype=None):
    """What a schema says of a column of these cells."""
    return infer_schema(pd.DataFrame({"x": pd.Series(cells, dtype=dtype)})).columns[0]


def with_holes(cells, dtype=None, n: int = 60, seed: int = 0) -> pd.DataFrame:
    """A column of `cells`, drawn at random and a quarter missing, beside continuous numbers."""
    rng = np.random.default_rng(seed)
    drawn = pd.Series([cells[i] for i in rng.integers(0, len(cells), n)], dtype=dtype)
    frame = pd.DataFrame({"x": drawn.mask(rng.random(n) < 0.25)})
    return frame.assign(y=rng.normal(size=n), z=rng.normal(size=n))


def as_numbers(series: pd.Series) -> np.ndarray:
    """Read a column cell by cell: dates and durations in seconds, NaN where missing."""

    def number(cell):
        if pd.isna(cell):
            return np.nan
        if hasattr(cell, "total_seconds"):
            return cell.total_seconds()
        if hasattr(cell, "start_time"):
            return cell.start_time.timestamp()
        if hasattr(cell, "year"):
            return pd.Timestamp(cell).timestamp()
        return float(cell)

    return np.array([number(cell) for cell in series.astype(object)])


def assert_same_to_float32(back: pd.DataFrame, frame: pd.DataFrame, schema) -> None:
    """Assert that a decoded frame is the one that was encoded, to single precision."""
    assert back.index.equals(frame.index) and back.columns.equals(frame.columns)
    assert back.attrs == frame.attrs
    assert (back.isna().to_numpy() == frame.isna().to_numpy()).all()
    for place, column in enumerate(schema.columns):
        new, old = back.iloc[:, place], frame.iloc[:, place]
        assert new.dtype == old.dtype
        if column.kind == "category":
            given = old.notna()
            assert [*map(str, new[given])] == [*map(str, old[given])]
            continue
        old_numbers = as_numbers(old)
        error = np.abs(as_numbers(new) - old_numbers)
        center = column.center + column.origin
        reach = np.abs(old_numbers - center) + 1e-6 * np.abs(old_numbers)
        rounding = 86400.0 * 0.5 if "date32" in column.dtype else 0.0
        resolution = np.finfo(np.float16).eps if column.dtype == "float16" else 2e-7
        allowed = resolution * (reach + np.abs(old_numbers) * 1e-3 + 1e-9) + rounding + 1e-6
        if column.temporal:
            allowed = allowed + (1.0 if "[s]" in column.dtype else 1e-3)
        if column.dtype in ("float16", "float32", "Float32", "float[pyarrow]"):
            allowed = allowed + resolution * np.abs(old_numbers)
        assert (np.isnan(error) | (error <= allowed)).all(), (column, error.max())


def passengers(n: int = 80, seed: int = 0) -> pd.DataFrame:
    """Names that are all different, tickets of text and numbers, a category and two numbers."""
    rng = np.random.default_rng(seed)
    age = rng.normal(40, 9, n)
    frame = pd.DataFrame(
        {
            "Name": [f"Mr {i}" for i in range(n)],
            "Age": age,
            "Ticket": pd.Series([i if i % 3 else f"PC {i}" for i in range(n)], dtype=object),
            "Sex": rng.choice(["m", "f"], n),
            "Fare": age + rng.normal(size=n),
        }
    )
    return frame.mask(rng.random(frame.shape) < 0.15)


def closed_form(**changes) -> MAEImputer:
    """An imputer without networks."""
    return MAEImputer(**({"max_iter": 0, "random_state": 0} | changes))


def all_filled(model: MAEImputer, frame: pd.DataFrame) -> list[pd.Series]:
    """Column x as a point, as draws, and both ends of an interval."""
    filled = [model.transform(frame), *model.sample(frame, 2), *model.predict_interval(frame)]
    return [one["x"] for one in filled]
