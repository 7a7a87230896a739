from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maetab.data.windows import cut, first_window, merge, pick, take


@st.composite
def cuts(draw):
    """Draw n_rows, window, stride and labels of series that may be interleaved."""
    n_rows, window = draw(st.integers(0, 40)), draw(st.integers(1, 12))
    stride = draw(st.integers(1, window))
    n_series = draw(st.integers(1, 5))
    labels = st.lists(st.integers(0, n_series - 1), min_size=n_rows, max_size=n_rows)
    return n_rows, window, stride, draw(st.none() | labels)


def windows_by_hand(n_rows, window, stride, series):
    """Cut with loops: the independent answer."""
    labels = [0] * n_rows if series is None else list(series)
    found = []
    for label in dict.fromkeys(labels):
        rows = [row for row in range(n_rows) if labels[row] == label]
        if len(rows) <= window:
            found.append(rows + [-1] * (window - len(rows)))
            continue
        starts = [*range(0, len(rows) - window, stride), len(rows) - window]
        found += [rows[start : start + window] for start in starts]
    return found


@given(cuts())
@settings(max_examples=200, deadline=None)
def test_windows_are_those_cut_by_hand(drawn):
    rows = cut(*drawn)
    assert rows.dtype == np.int64 and rows.shape[1] == drawn[1]
    assert rows.tolist() == windows_by_hand(*drawn)


@given(cuts())
@settings(max_examples=100, deadline=None)
def test_every_row_is_in_a_window_and_no_window_crosses_a_series(drawn):
    n_rows, _, _, series = drawn
    rows = cut(*drawn)
    assert set(rows[rows >= 0]) == set(range(n_rows))
    if series is not None:
        for window in rows:
            assert len({series[row] for row in window[window >= 0]}) == 1


inner_shapes = st.sampled_from([(), (3,), (2, 2)])


@given(cuts(), st.sampled_from([np.float32, np.float64]), inner_shapes)
@settings(max_examples=200, deadline=None)
def test_merge_gives_back_what_take_took(drawn, dtype, inner):
    values = (np.random.default_rng(drawn[0]).normal(size=(drawn[0], *inner)) * 10).astype(dtype)
    rows = cut(*drawn)
    windows = take(values, rows)
    assert windows.shape == (*rows.shape, *inner) and windows.dtype == values.dtype
    assert (windows[rows < 0] == 0).all()
    merged = merge(windows, rows, drawn[0])
    assert np.array_equal(merged, values) and merged.dtype == dtype


@given(cuts(), st.sampled_from([np.float32, np.int64, np.uint8, np.bool_]), inner_shapes)
@settings(max_examples=200, deadline=None)
def test_pick_gives_back_what_take_took(drawn, dtype, inner):
    values = (np.random.default_rng(drawn[0]).normal(size=(drawn[0], *inner)) * 10).astype(dtype)
    rows = cut(*drawn)
    picked = pick(take(values, rows), rows, drawn[0])
    assert np.array_equal(picked, values) and picked.dtype == dtype


@given(cuts())
@settings(max_examples=100, deadline=None)
def test_a_row_is_picked_from_the_first_window_that_holds_it(drawn):
    n_rows = drawn[0]
    rows = cut(*drawn)
    found = {}
    for window, held in enumerate(rows.tolist()):
        for step, row in enumerate(held):
            found.setdefault(row, (window, step))
    window, step = first_window(rows, n_rows)
    assert list(zip(window.tolist(), step.tolist())) == [found[row] for row in range(n_rows)]
    numbers = np.arange(rows.size).reshape(rows.shape)
    assert pick(numbers, rows, n_rows).tolist() == numbers[window, step].tolist()


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.bool_, object])
def test_codes_are_not_merged_but_picked(dtype):
    rows = cut(3, window=2)
    codes = np.array([[0, 0], [2, 1]]).astype(dtype)  # two windows, two answers for row 1
    with pytest.raises(TypeError, match=r"mean of floats, got .*: codes have none"):
        merge(codes, rows, 3)
    assert pick(codes, rows, 3).tolist() == [0, 0, 1]


def test_probabilities_are_merged_where_codes_would_become_a_third_level():
    rows = cut(3, window=2)
    sure_of_0, sure_of_2 = [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]
    windows = np.array([[sure_of_0, sure_of_0], [sure_of_2, sure_of_2]])
    assert merge(windows, rows, 3)[1].tolist() == [0.5, 0.0, 0.5]


def test_picked_draws_keep_their_variance():
    rows = cut(2000, window=4)
    draws = np.random.default_rng(0).normal(size=rows.shape)
    assert merge(draws, rows, 2000).std() < 0.6 < 0.9 < pick(draws, rows, 2000).std() < 1.1


def test_merge_is_the_mean_over_windows():
    rows = cut(3, window=2)
    windows = np.array([[1.0, 2.0], [4.0, 8.0]])
    assert merge(windows, rows, 3).tolist() == [1.0, 3.0, 8.0]


def test_missing_and_infinite_values_survive_overlapping_windows():
    values = np.array([[np.nan, 1.0], [np.inf, 2.0], [-np.inf, np.nan]])
    rows = cut(3, window=2)
    np.testing.assert_array_equal(merge(take(values, rows), rows, 3), values)


def test_rows_in_no_window_are_missing_and_picked_as_zero():
    windows, rows = np.ones((1, 2)), np.array([[2, 0]])
    np.testing.assert_array_equal(merge(windows, rows, 3), [1.0, np.nan, 1.0])
    assert pick(windows, rows, 3).tolist() == [1.0, 0.0, 1.0]
    assert [place.tolist() for place in first_window(rows, 3)] == [[0, -1, 0], [1, -1, 0]]


def test_a_series_without_a_label_is_a_series_of_its_own():
    assert cut(3, window=2, series=["a", None, "a"]).tolist() == [[0, 2], [1, -1]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"window": 0}, "'window' parameter must be a whole number >= 1, got 0"),
        ({"window": 2.0}, "'window' parameter must be a whole number >= 1, got 2.0"),
        ({"window": 2, "stride": 3}, r"at most the window \(2\).* got 3"),
        ({"series": ["a"]}, "one label for each of the 4 rows, got 1"),
    ],
)
def test_what_cannot_be_cut_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        cut(4, **arguments)
