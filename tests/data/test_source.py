"""Rows by number from a source, and how often fit and transform parse a column."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from frames import mixed_frames
from hypothesis import HealthCheck, given, settings

from maetab import MAEAnomalyDetector, MAEEncoder, MAEImputer
from maetab.data.cells import Cells
from maetab.data.codec import encode, encode_checked, missing_cells
from maetab.data.schema import infer_schema
from maetab.data.source import FrameSource

many = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def table() -> pd.DataFrame:
    """Numbers, text, dates, booleans and free text, each with a missing cell."""
    n = 60
    frame = pd.DataFrame(
        {
            "number": np.arange(n) % 7 * 0.5,
            "word": pd.Series(["a", "b", "c"] * (n // 3), dtype="str"),
            "date": pd.date_range("2024-01-01", periods=n),
            "yes": pd.array([True, False] * (n // 2), dtype="boolean"),
            "name": pd.Series([f"row {i}" for i in range(n)], dtype=object),
        }
    )
    return frame.mask(np.eye(n, frame.shape[1], dtype=bool))


@given(frame=mixed_frames())
@many
def test_a_source_gives_the_schema_and_the_cells_of_all_rows(frame):
    source, schema = FrameSource(frame), infer_schema(frame)
    assert source.schema() == schema
    for mine, theirs in zip(source.encoded[:2], encode(frame, schema), strict=True):
        assert mine.dtype == theirs.dtype and mine.tobytes() == theirs.tobytes()


def test_a_column_of_free_text_is_missing_where_the_user_gave_nothing():
    frame = table()
    source = FrameSource(frame, missing_values="row 7")
    missing = missing_cells(source.encoded.observed, source.encoded.free_text)
    given = frame.replace("row 7", None).isna().to_numpy()
    assert list(source.encoded.free_text) == [4] and (missing == given).all()


@pytest.mark.parametrize("order", [["bad", "x"], ["x", "bad"]])
def test_a_column_of_another_kind_is_named_before_a_number_that_cannot_be_used(order):
    schema = infer_schema(pd.DataFrame({"bad": [1.0, 2.0], "x": [1.0, 2.0]})[order])
    now = pd.DataFrame({"bad": ["a", "b"], "x": [np.inf, 1.0]})[order]
    with pytest.raises(ValueError, match="column 'bad' was a number in fit"):
        encode_checked(now, schema)
    with pytest.raises(ValueError, match="infinity in column 'x'"):
        encode_checked(now.assign(bad=1.0), schema)


@pytest.mark.parametrize("estimator", [MAEImputer, MAEEncoder, MAEAnomalyDetector])
def test_each_column_is_parsed_once_per_call(estimator, monkeypatch):
    parsed, make = [], Cells.__init__

    def spy(cells, series, extra=()):
        parsed.append(series.name)
        make(cells, series, extra)

    monkeypatch.setattr(Cells, "__init__", spy)
    frame = table()
    model = estimator(max_iter=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model.fit(frame)
    assert parsed == list(frame.columns)
    parsed.clear()
    (model.predict if estimator is MAEAnomalyDetector else model.transform)(frame)
    assert parsed == list(frame.columns)
