"""Dates as Python objects, as SQL drivers give them, and times of day."""

from __future__ import annotations

import datetime
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from models import QUICK

from maetab import MAEAnomalyDetector, MAEEncoder, MAEImputer, load, save
from maetab.data.codec import decode, encode, fill
from maetab.data.schema import Schema, infer_schema

FIRST = datetime.date(2024, 2, 27)


def orders(n: int = 60) -> pd.DataFrame:
    days = [FIRST + datetime.timedelta(i) if i % 5 else None for i in range(n)]
    return pd.DataFrame({"day": pd.Series(days, dtype=object), "y": np.arange(float(n))})


def as_timestamps(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(day=pd.to_datetime(frame["day"]).astype("datetime64[s]"))


@pytest.mark.parametrize("keep_grid", [True, False])
def test_dates_as_objects_are_filled_as_timestamps_are_and_stay_objects(keep_grid):
    frame = orders()
    imputer = MAEImputer(guess=QUICK, max_iter=0, random_state=0, keep_grid=keep_grid).fit(frame)
    filled = imputer.transform(frame)["day"]
    assert filled.dtype == object and set(map(type, filled)) == {datetime.date}
    seen = frame["day"].notna()
    assert all(a is b for a, b in zip(filled[seen], frame["day"][seen], strict=True))
    other = MAEImputer(guess=QUICK, max_iter=0, random_state=0, keep_grid=keep_grid)
    expected = other.fit_transform(as_timestamps(frame))["day"].dt.round("D").dt.date
    assert filled.tolist() == expected.tolist()
    low, high = imputer.predict_interval(frame)
    assert (low["day"] <= filled).all() and (filled <= high["day"]).all()
    again = imputer.transform(as_timestamps(frame))["day"].dt.round("D").dt.date
    assert again.tolist() == expected.tolist()


def test_the_schema_of_dates_as_objects_is_that_of_dates_and_can_be_written():
    schema = infer_schema(orders())
    column, expected = schema.columns[0], infer_schema(as_timestamps(orders())).columns[0]
    assert (column.kind, column.temporal, column.dtype) == ("number", "datetime", "object")
    assert (column.center, column.scale, column.step) == (expected.center, expected.scale, 86400)
    assert Schema.from_dict(schema.to_dict()) == schema
    frame = orders()
    back = decode(*encode(frame, schema), schema, like=frame)
    pd.testing.assert_frame_equal(back, frame)


def test_first_and_last_dates_there_are_come_back():
    ends = [datetime.date.min, datetime.date.max, None]
    frame = pd.DataFrame({"day": pd.Series(ends, dtype=object)})
    schema = infer_schema(frame)
    values, observed = encode(frame, schema)
    for scaled, end in ((-9.0, ends[0]), (9.0, ends[1])):
        values[2] = scaled
        assert fill(frame, values, ~observed, schema)["day"][2] == end


def test_a_date_may_stand_for_missing_or_be_a_category():
    frame = orders()
    given = frame["day"].where(frame["day"].notna(), datetime.date(1900, 1, 1))
    marked = MAEImputer(
        guess=QUICK, max_iter=0, random_state=0, missing_values=datetime.date(1900, 1, 1)
    )
    plain = MAEImputer(guess=QUICK, max_iter=0, random_state=0).fit_transform(frame)
    assert marked.fit_transform(frame.assign(day=given))["day"].tolist() == plain["day"].tolist()
    few = frame.assign(day=[FIRST if i % 2 else frame["day"][1] for i in range(60)])
    levels = infer_schema(few, categorical_features=["day"]).columns[0].levels
    assert levels == (FIRST, frame["day"][1]) or levels == (frame["day"][1], FIRST)


@pytest.mark.parametrize(
    "other", [datetime.datetime(2024, 1, 1), "2024-01-01", 3, pd.Timestamp("2024-01-01")]
)
def test_dates_mixed_with_anything_else_are_refused(other):
    frame = pd.DataFrame({"day": pd.Series([FIRST, other], dtype=object)})
    with pytest.raises(TypeError, match=r"column 'day': holds a \w+; .*pandas.to_datetime"):
        infer_schema(frame)


def test_other_estimators_take_dates_as_objects(tmp_path):
    frame = orders()
    encoder = MAEEncoder(guess=QUICK, max_iter=0, n_components=2, random_state=0).fit(frame)
    np.testing.assert_allclose(
        encoder.transform(frame),
        MAEEncoder(guess=QUICK, max_iter=0, n_components=2, random_state=0).fit_transform(
            as_timestamps(frame)
        ),
    )
    assert set(map(type, encoder.inverse_transform(encoder.transform(frame))["day"])) == {
        datetime.date
    }
    detector = MAEAnomalyDetector(guess=QUICK, n_masks=2, random_state=0).fit(frame)
    assert np.isfinite(detector.score_samples(frame)).all()
    save(encoder, tmp_path / "m.maetab")
    for again in (load(tmp_path / "m.maetab"), pickle.loads(pickle.dumps(encoder))):
        np.testing.assert_array_equal(again.transform(frame), encoder.transform(frame))


def test_times_of_day_are_refused_with_what_does_help():
    times = pd.Series([datetime.time(8, 30), None, datetime.time(9, 0, 0, 5)] * 10, dtype=object)
    with pytest.raises(TypeError) as caught:
        MAEImputer(guess=QUICK, max_iter=0).fit(pd.DataFrame({"t": times, "y": np.arange(30.0)}))
    assert "column 't': holds datetime.time; convert it to a duration" in str(caught.value)
    code = str(caught.value).partition("pandas: ")[2].partition(", in polars")[0]
    read = eval(code, {"pandas": pd, "column": times})
    assert read.dtype.kind == "m" and read.notna().tolist() == times.notna().tolist()
    frame = pl.DataFrame({"t": times.tolist(), "y": np.arange(30.0)})
    with pytest.raises(TypeError) as caught:
        MAEImputer(guess=QUICK, max_iter=0).fit(frame)
    code = str(caught.value).partition("polars: ")[2].removesuffix(".")
    lasts = frame.with_columns(t=eval(code, {"polars": pl, "column": frame["t"]}))
    assert (
        MAEImputer(guess=QUICK, max_iter=0, random_state=0).fit_transform(lasts)["t"].null_count()
        == 0
    )
    arrow = times.astype("time64[us][pyarrow]")
    with pytest.raises(TypeError, match=r"column 't': holds datetime\.time; convert it"):
        infer_schema(pd.DataFrame({"t": arrow}))
