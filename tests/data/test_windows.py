from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maetab.data.windows import cut_places


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
