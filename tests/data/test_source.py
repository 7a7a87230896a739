"""Rows by number from a source, and how often fit and transform parse a column."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from frames import mixed_frames
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maetab import MAEAnomalyDetector, MAEEncoder, MAEImputer
from maetab.data.cells import Cells
from maetab.data.codec import encode, encode_checked, missing_cells
from maetab.data.schema import infer_schema
from maetab.data.source import FrameSource
from maetab.data.windows import cut

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
    assert source.schema() == schema and source.n_rows == len(frame)
    for mine, theirs in zip(source.cells(), encode(frame, schema), strict=True):
        assert mine.dtype == theirs.dtype and mine.tobytes() == theirs.tobytes()


@given(frame=mixed_frames(min_rows=2), size=st.integers(1, 20))
@many
def test_batches_hold_each_row_once_in_order_with_its_number(frame, size):
    source = FrameSource(frame)
    batches = list(source.batches(size))
    assert all(len(rows) == size for rows, _, _ in batches[:-1]) and len(batches[-1][0]) <= size
    joined = [np.concatenate(parts) for parts in zip(*batches, strict=True)]
    assert joined[0].tolist() == list(range(len(frame)))
    for mine, theirs in zip(joined[1:], source.cells(), strict=True):
        assert mine.tobytes() == theirs.tobytes()


@given(
    frame=mixed_frames(min_rows=2),
    window=st.integers(1, 5),
    n_series=st.integers(1, 4),
    seed=st.integers(0, 99),
)
@many
def test_cells_of_windows_are_those_of_their_rows_and_padding_is_not_observed(
    frame, window, n_series, seed
):
    source = FrameSource(frame)
    series = np.random.default_rng(seed).integers(0, n_series, len(frame))
    rows = cut(len(frame), window, series=series)
    values, observed = source.cells(rows)
    assert values.shape == observed.shape == (*rows.shape, frame.shape[1])
    assert not values[rows < 0].any() and not observed[rows < 0].any()
    for mine, theirs in zip((values, observed), source.cells(), strict=True):
        assert mine[rows >= 0].tobytes() == theirs[rows[rows >= 0]].tobytes()


def test_cells_of_a_sample_and_of_a_slice_are_those_of_these_rows():
    source = FrameSource(table())
    whole = source.cells()
    for rows in (np.array([5, 0, 5]), np.arange(3, 9)):
        for mine, theirs in zip(source.cells(rows), whole, strict=True):
            assert mine.tobytes() == theirs[rows].tobytes()


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
