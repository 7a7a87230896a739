from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maetab.data.windows import cut, cut_places


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


@st.composite
def places(draw):
    """Draw series and places of rows, in any order, with pauses, a window and a stride."""
    pairs = st.tuples(st.integers(0, 2), st.integers(-9, 40))
    found = draw(st.lists(pairs, unique=True, max_size=25))
    window = draw(st.integers(1, 9))
    series, place = (np.array([pair[i] for pair in found], np.int64) for i in (0, 1))
    return series, place, window, draw(st.integers(1, window))


def places_by_hand(series, place, window, stride):
    """Try every window of every series: the independent answer."""
    at = {(s, p): row for row, (s, p) in enumerate(zip(series, place, strict=True))}
    found = []
    for label in sorted(set(series)):
        own = sorted(place[series == label])
        starts = [start for start in range(-200, 200) if start % stride == 0]
        latest = max(own[-1] - window + 1, own[0])
        inner = [start for start in starts if own[0] < start < latest]
        for start in sorted({own[0], *inner, latest}):
            rows = [at.get((label, start + step), -1) for step in range(window)]
            if max(rows) >= 0:
                found.append(rows)
    return found


@given(places())
@settings(max_examples=200, deadline=None)
def test_windows_on_a_grid_are_those_cut_by_hand(drawn):
    rows = cut_places(*drawn)
    assert rows.dtype == np.int64 and rows.shape[1] == drawn[2]
    assert rows.tolist() == places_by_hand(*drawn)


@given(places())
@settings(max_examples=100, deadline=None)
def test_on_a_grid_every_row_is_in_a_window_of_its_own_series(drawn):
    series, place, _, stride = drawn
    rows = cut_places(*drawn)
    assert set(rows[rows >= 0]) == set(range(len(series)))
    for window in rows:
        inside = window[window >= 0]
        assert len(set(series[inside])) == 1
        starts = place[inside] - np.flatnonzero(window >= 0)
        assert len(set(starts)) == 1
        own = place[series == series[inside[0]]]
        ends = own.min(), max(own.max() - rows.shape[1] + 1, own.min())
        assert starts[0] % stride == 0 or starts[0] in ends


def test_an_inner_row_is_in_all_windows_that_could_hold_it():
    rows = cut_places(np.zeros(60, int), np.arange(60), 12, 3)
    assert [(rows == row).sum() for row in range(12, 48)] == [4] * 36


def test_a_pause_of_a_million_years_costs_no_windows():
    place = np.array([0, 1, 10**13])
    rows = cut_places(np.zeros(3, int), place, 3, 2)
    assert rows.tolist() == [[0, 1, -1], [-1, -1, 2]]  # the last ends with the series


@pytest.mark.parametrize("first", [0, 1, 5, 7])
def test_windows_of_a_series_that_is_long_enough_are_full(first):
    for length in range(8, 30):
        rows = cut_places(np.zeros(length, int), first + np.arange(length), 8, 4)
        assert (rows >= 0).all() and rows[0, 0] == 0 and rows[-1, -1] == length - 1


def test_no_rows_give_no_windows():
    assert cut_places(np.zeros(0, int), np.zeros(0, int), 3, 2).shape == (0, 3)
