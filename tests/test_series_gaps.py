"""Limits of the gaps of series that are filled: `max_gap` and `edges`."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from series_frames import SMALL, hourly, panel

from maetab import MAEImputer

PANEL = {"window": 12, "time": "when", "groups": "site"} | SMALL


def gappy() -> pd.DataFrame:
    """Two columns with gaps of 1, 3 and 6 hours, one at either end, and an empty one."""
    frame = hourly(120)[["a", "b"]].assign(empty=np.nan)
    for column, start, n in (("a", 10, 1), ("a", 30, 3), ("b", 50, 6), ("b", 0, 2), ("a", 115, 5)):
        frame.iloc[start : start + n, frame.columns.get_loc(column)] = np.nan
    return frame


def stretches_of(left: pd.Series) -> list[tuple[int, int]]:
    """First row and length of each run of True."""
    place = np.flatnonzero(left.to_numpy())
    runs = np.split(place, np.flatnonzero(np.diff(place) > 1) + 1)
    return [(int(run[0]), len(run)) for run in runs if len(run)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("limits", "a", "b"),
    [
        ({}, [], []),
        ({"max_gap": 3}, [(115, 5)], [(50, 6)]),
        ({"max_gap": "3h"}, [(115, 5)], [(50, 6)]),
        ({"max_gap": pd.Timedelta("90min")}, [(30, 3), (115, 5)], [(0, 2), (50, 6)]),
        ({"max_gap": 0}, [(10, 1), (30, 3), (115, 5)], [(0, 2), (50, 6)]),
        ({"edges": False}, [(115, 5)], [(0, 2)]),
        ({"edges": False, "max_gap": 3}, [(115, 5)], [(0, 2), (50, 6)]),
    ],
)
@pytest.mark.filterwarnings("ignore:MAEImputer")
def test_gaps_beyond_the_limits_stay_missing_as_a_whole(limits, a, b):
    given = gappy()
    imputer = MAEImputer(window=12, **SMALL, **limits).fit(given)
    tables = [imputer.transform(given), *imputer.sample(given, 1, 0)]
    for out in (*tables, *imputer.predict_interval(given)):
        assert stretches_of(out["a"].isna()) == a and stretches_of(out["b"].isna()) == b


@pytest.mark.filterwarnings("ignore:MAEImputer")
def test_probabilities_of_what_stays_missing_are_missing():
    given = hourly(120)
    given.iloc[50:54, 2] = np.nan
    chances = MAEImputer(window=12, max_gap=3, **SMALL).fit(given).predict_proba(given)
    assert stretches_of(chances["half"]["day"].isna()) == [(50, 4)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:MAEImputer")
def test_a_column_without_an_observation_in_a_series_is_an_edge_all_along():
    given = panel()
    given.loc[given["site"] == "s1", "b"] = np.nan
    for limits, filled_too in (({}, True), ({"edges": False}, False), ({"max_gap": 20}, False)):
        out = MAEImputer(**PANEL, **limits).fit_transform(given)
        assert out["b"].notna().all() == filled_too
        assert out["b"].isna().sum() in (0, 60)


@pytest.mark.slow
def test_columns_filled_far_beyond_their_observations_are_named():
    given = hourly(120)
    given.iloc[80:, 1] = np.nan
    with pytest.warns(UserWarning, match=r"cells of 'b' are .*\(12 steps\).*edges=False"):
        MAEImputer(window=12, **SMALL).fit(given)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MAEImputer(window=12, edges=False, **SMALL).fit(given)
        MAEImputer(window=60, **SMALL).fit(given)


def test_indicators_tell_what_was_missing_whether_filled_or_not():
    given = gappy().drop(columns="empty")
    out = MAEImputer(window=12, max_gap=3, add_indicator=True, **SMALL).fit_transform(given)
    for name in ("a", "b"):
        flags = out[f"missingindicator_{name}"]
        pd.testing.assert_series_equal(flags, given[name].isna(), check_names=False)


def test_limits_of_gaps_can_be_changed_after_fit():
    given = gappy().drop(columns="empty")
    imputer = MAEImputer(window=12, **SMALL).fit(given)
    assert not imputer.transform(given).isna().any(axis=None)
    out = imputer.set_params(max_gap=3).transform(given)
    assert stretches_of(out["b"].isna()) == [(50, 6)]
    same = MAEImputer.from_fitted(imputer, max_gap=None, edges=False).transform(given)
    assert stretches_of(same["b"].isna()) == [(0, 2)]


@pytest.mark.parametrize("limit", [-1, True, "soon", "-3h", 1.5])
def test_odd_limits_of_gaps_are_refused(limit):
    with pytest.raises(ValueError, match="'max_gap' parameter of MAEImputer"):
        MAEImputer(window=12, max_gap=limit).fit(hourly(40))


@pytest.mark.parametrize("limits", [{"max_gap": 3}, {"edges": False}])
def test_limits_of_gaps_without_a_window_are_refused(limits):
    with pytest.raises(ValueError, match="window=None takes rows as independent"):
        MAEImputer(**limits).fit(hourly(40))
