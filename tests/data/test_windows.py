from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maetab.data.windows import cut


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
