"""Columns with one value for each series: what is said of series without any."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from maetab import MAEImputer, table
from maetab.data.timeline import Layout

DAYS, SHOPS, WITHOUT = 40, 30, 8


def panel() -> tuple[pd.DataFrame, pd.Series]:
    """Sales of shops whose area says nothing of them, and is not known of the first ones."""
    rng = np.random.default_rng(0)
    area = pd.Series(rng.uniform(50, 500, SHOPS).round())
    frame = pd.DataFrame(
        {
            "shop": np.repeat(np.arange(SHOPS), DAYS).astype(str),
            "day": np.tile(pd.date_range("2024-01-01", periods=DAYS), SHOPS),
            "sales": rng.normal(100, 20, SHOPS).repeat(DAYS) + 5 * rng.normal(size=SHOPS * DAYS),
            "area": area.to_numpy().repeat(DAYS),
        }
    )
    frame.loc[: WITHOUT * DAYS - 1, "area"] = np.nan
    return frame, area[:WITHOUT]


@pytest.fixture(scope="module")
def fitted() -> MAEImputer:
    imputer = MAEImputer(window=8, time="day", groups="shop", max_iter=0, random_state=0)
    return imputer.fit(panel()[0])


def of_shops(frame: pd.DataFrame) -> pd.Series:
    return frame.groupby("shop", sort=False)["area"].first().iloc[:WITHOUT]


def test_intervals_of_what_no_row_tells_are_as_wide_as_other_series_differ(fitted):
    frame, area = panel()
    low, high = map(of_shops, fitted.predict_interval(frame))
    others = frame["area"].dropna()
    assert ((low.to_numpy() <= area.to_numpy()) & (area.to_numpy() <= high.to_numpy())).all()
    assert (high - low > 0.7 * (others.max() - others.min())).all()


def test_draws_of_what_no_row_tells_spread_as_other_series_do(fitted):
    frame, _ = panel()
    draws = pd.concat([of_shops(x) for x in fitted.sample(frame, 12, random_state=0)])
    usual = frame.groupby("shop")["area"].first().std()
    assert 0.7 * usual < draws.std() < 1.5 * usual


def test_only_columns_that_change_within_series_are_moving(fitted):
    assert fitted.schema_.names()[2:] == ["sales", "area"]
    assert fitted.model_.guess.moving.tolist() == [True, False]


def test_one_draw_stands_in_all_rows_of_a_series_in_whatever_order_they_are(fitted):
    frame, _ = panel()
    rows = np.random.default_rng(0).permutation(len(frame))
    [drawn], [moved] = (fitted.sample(x, 1, random_state=0) for x in (frame, frame.iloc[rows]))
    assert (drawn.groupby("shop")["area"].nunique() == 1).all()
    pd.testing.assert_frame_equal(moved, drawn.iloc[rows])


def test_what_series_say_of_a_column_is_looked_for_in_that_column_alone(monkeypatch):
    """It was looked for in all of them once for each: the time went with the square of columns."""
    looked, speaker = [], table._speaker
    monkeypatch.setattr(table, "_speaker", lambda *cells: looked.append(1) or speaker(*cells))
    random, n = np.random.default_rng(0), 12
    series = np.repeat(np.arange(4), 5)
    layout = Layout(
        series, np.tile(np.arange(5), 4), np.tile(np.arange(5.0), 4), 0 * series, series
    )
    observed = random.random((20, n)) < 0.5
    observed[:5] = False
    values = np.where(observed, series[:, None], 0.0)
    rows = table.Table(pd.DataFrame(values), None, values, observed, {}, layout, tuple(range(n)))
    found = rows.settled(random.random((20, n)), np.ones(n, bool))
    assert (found == found[series * 5]).all() and len(looked) <= 2 * n
