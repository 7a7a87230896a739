"""Series filled far beyond their observed cells, columns by position, what acts in fit alone."""

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


@pytest.mark.slow
def test_a_window_of_one_step_warns_of_no_edges():
    frame = hourly(40)[["a", "b"]]
    frame.iloc[30:, 0] = np.nan
    assert _told(frame, window=1) == ""
    assert "(2 steps)" in _told(frame, window=2)


@pytest.mark.parametrize(
    ("given", "begins", "left"),
    [
        ({"edges": False}, "The 'edges' parameter is about", "edges=True; got edges=False."),
        ({"max_gap": 3}, "The 'max_gap' parameter is about", "max_gap=None; got max_gap=3."),
        (
            {"max_gap": 0, "edges": False},
            "The 'max_gap' and 'edges' parameters are about",
            "max_gap=None and edges=True; got max_gap=0 and edges=False.",
        ),
    ],
)
def test_limits_of_gaps_without_a_window_are_named_as_they_were_given(given, begins, left):
    with pytest.raises(ValueError, match="window=None takes rows as independent") as error:
        MAEImputer(**given).fit(hourly(40)[["a", "b"]])
    said = str(error.value)
    assert said.startswith(begins) and said.endswith(f"or leave {left}")


def test_a_longest_gap_below_one_step_is_told_once():
    frame = hourly(40)[["a", "b"]]
    frame.iloc[30:32, 0] = np.nan
    with pytest.warns(UserWarning, match="max_gap") as found:
        imputer = MAEImputer(window=8, max_gap="30min", **SMALL).fit(frame)
        filled = imputer.transform(frame)
    said = [str(one.message) for one in found if "max_gap" in str(one.message)]
    assert len(said) == 1 and found[0].filename == __file__
    assert "max_gap='30min' is shorter than one step of the series (0 days 01:00:00)" in said[0]
    pd.testing.assert_frame_equal(filled, frame)
    for max_gap, n_left in ((0, 2), ("1h", 2), ("2h", 0)):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            new = MAEImputer.from_fitted(imputer, max_gap=max_gap)
        assert int(new.transform(frame).isna().to_numpy().sum()) == n_left
    with pytest.warns(UserWarning, match="max_gap='59min' is shorter than one step"):
        MAEImputer.from_fitted(new, max_gap="59min")


def test_rows_without_a_grid_have_gaps_below_their_usual_step():
    frame = hourly(40)[["a", "b"]].iloc[np.r_[0, 2:40:3, 3, 7, 39]].sort_index()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        imputer = MAEImputer(window=4, max_gap="30min", **SMALL).fit(frame)
    assert not imputer.timeline_.regular


@pytest.mark.slow
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


@pytest.mark.slow
def test_what_rows_are_is_as_fitted_until_the_next_fit():
    given = hourly(120)[["a", "b"]]
    given.iloc[50:56, 1] = np.nan
    imputer = MAEImputer(window=12, max_gap=3, **SMALL).fit(given)
    out = imputer.transform(given)
    assert out.equals(imputer.set_params(window=None).transform(given)) and out["b"].isna().any()
    rows = MAEImputer(**SMALL).fit(given).set_params(window=12)
    assert rows.transform(given).equals(MAEImputer(**SMALL).fit_transform(given))
    with pytest.raises(ValueError, match="'max_gap' parameter is about gaps of series"):
        rows.set_params(max_gap=3).transform(given)
