"""What is said where series are filled far beyond their observed cells, and columns by position."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from series_frames import SMALL, hourly

from maetab import MAEEncoder, MAEImputer


def _told(frame, **parameters):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        MAEImputer(**(SMALL | parameters)).fit(frame)
    said = [str(one.message) for one in found if "observation" in str(one.message)]
    return said[0] if said else ""


def test_a_series_of_one_column_has_no_other_columns_to_be_filled_from():
    alone = hourly(96)[["a"]]
    alone.iloc[60:] = np.nan
    said = _told(alone, window=24)
    assert said.startswith(
        "MAEImputer: cells of 'a' are filled more than a window (24 steps) before the first or "
        "after the last observation of a series, where nothing near is known but their time; "
    )
    beside = hourly(96)[["a", "b"]]
    beside.iloc[60:, 0] = np.nan
    assert "where nothing near is known but the other columns" in _told(beside, window=24)


def test_a_window_of_one_step_warns_of_no_edges():
    frame = hourly(40)[["a", "b"]]
    frame.iloc[30:, 0] = np.nan
    assert _told(frame, window=1) == ""
    assert "(2 steps)" in _told(frame, window=2)


@pytest.mark.parametrize(
    "keys", [{"time": 1}, {"time": 1, "groups": 0}, {"time": 1, "groups": [0]}]
)
def test_columns_of_an_array_are_named_by_position(keys):
    rng = np.random.default_rng(0)
    site, when = (x.ravel() for x in np.meshgrid([3.0, 7.0], np.arange(60.0), indexing="ij"))
    when = when + 100 * (site == 7)  # stamps differ without groups, too
    values = np.sin(2 * np.pi * when / 12) + 0.1 * rng.normal(size=120)
    given = np.column_stack([site, when, values])
    given[20:25, 2] = np.nan
    given = given[rng.permutation(120)]
    imputer = MAEImputer(window=12, **keys, **SMALL).fit(given)
    named = {key: [f"x{p}" for p in np.ravel(place)] for key, place in keys.items()}
    named = {key: name[0] if len(name) == 1 else name for key, name in named.items()}
    frame = pd.DataFrame(given, columns=["x0", "x1", "x2"])
    by_name = MAEImputer(window=12, **named, **SMALL).fit(frame)
    filled = imputer.transform(given)
    assert np.array_equal(filled, by_name.transform(frame).to_numpy())
    assert np.array_equal(filled[:, :2], given[:, :2])
    features = MAEEncoder(window=12, level="window", **keys, **SMALL).fit_transform(given)
    assert len(features) >= 10


def test_a_position_that_is_none_or_that_a_frame_could_mean_otherwise_is_refused():
    given = np.random.default_rng(0).normal(size=(20, 3))
    for key in ("time", "groups"):
        with pytest.raises(ValueError, match=rf"'{key}' parameter .* got 3; .*'x0', 'x1', 'x2'"):
            MAEImputer(window=4, **{key: 3}, **SMALL).fit(given)
        with pytest.raises(ValueError, match=rf"'{key}' parameter .* got True"):
            MAEImputer(window=4, **{key: True}, **SMALL).fit(given)
        with pytest.raises(ValueError, match=rf"'{key}' parameter .* got 0; .*'a', 'b', 'c'"):
            MAEImputer(window=4, **{key: 0}, **SMALL).fit(pd.DataFrame(given, columns=[*"abc"]))
