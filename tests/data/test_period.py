from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maetab.data import period
from maetab.data.period import autocorrelation, calendar_periods, main_period
from tests.times import timeline_of


def period_of(values, usual=(), observed=None, series=None, place=None):
    values = np.asarray(values, float).reshape(len(values), -1)
    observed = np.ones(values.shape, bool) if observed is None else observed
    series = np.zeros(len(values), int) if series is None else series
    place = np.arange(len(values)) if place is None else place
    return main_period(values, observed, series, place, usual)


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_autocorrelation_is_the_mean_product_over_observed_pairs(seed):
    random = np.random.default_rng(seed)
    values, observed = random.normal(3, 2, (30, 2)), random.random((30, 2)) < 0.6
    found, pairs = autocorrelation(np.where(observed, values, 99.0), observed, 10)
    for column in range(2):
        seen = observed[:, column]
        if not seen.any():
            continue
        own = values[seen, column]
        scaled = (values[:, column] - own.mean()) / (own.std() or 1.0)
        for lag in range(11):
            both = [i for i in range(30 - lag) if seen[i] and seen[i + lag]]
            assert pairs[lag, column] == len(both)
            expected = np.mean([scaled[i] * scaled[i + lag] for i in both]) if both else 0.0
            assert found[lag, column] == pytest.approx(expected, abs=1e-9)


def test_columns_show_together_a_period_that_each_of_them_hides():
    random, day = np.random.default_rng(2), 2 * np.pi * np.arange(240) / 24
    values = random.normal(size=(240, 20)) + 0.45 * np.sin(day)[:, None]
    assert period_of(values, (24,)) == 24
    assert all(period_of(column, (24,)) is None for column in values.T)


def test_a_column_that_never_changes_correlates_with_nothing():
    found, _ = autocorrelation(np.full((50, 1), 1e6 + 0.1), np.ones((50, 1), bool), 5)
    assert not found.any()


@pytest.mark.parametrize("period", [5, 12, 37, 150])
@pytest.mark.parametrize("seed", range(3))
def test_the_period_of_a_noisy_sine_with_holes_is_found(period, seed):
    random = np.random.default_rng(seed)
    steps = np.arange(1500)
    values = 2 * np.sin(2 * np.pi * steps / period) + random.normal(size=1500)
    observed = (random.random(1500) < 0.7)[:, None]
    found = period_of(np.where(observed[:, 0], values, 1e3), observed=observed)
    assert found is not None and abs(found - period) <= max(1, period // 20)


@pytest.mark.parametrize("n_rows", [60, 200, 1000, 5000])
def test_neither_noise_nor_random_walks_have_a_period(n_rows):
    for seed in range(20):
        noise = np.random.default_rng(seed).normal(size=n_rows)
        assert period_of(noise) is None
        assert period_of(noise.cumsum()) is None
        assert period_of(noise.cumsum(), usual=(7,)) is None


@pytest.mark.parametrize("hidden_in", ["noise", "walk", "trend"])
def test_a_usual_period_is_seen_beneath_what_hides_it(hidden_in):
    random, steps = np.random.default_rng(0), np.arange(3000)
    over = {
        "noise": random.normal(size=3000) * 2,
        "walk": random.normal(size=3000).cumsum() * 0.1,
        "trend": steps * 0.05,
    }[hidden_in]
    assert period_of(np.sin(2 * np.pi * steps / 24) + over, usual=(24, 168)) == 24


def test_two_peaks_a_day_are_a_day():
    hour = np.arange(24 * 60) % 24
    traffic = np.isin(hour, (8, 9)) + 0.8 * np.isin(hour, (17, 18, 19))
    assert period_of(traffic, usual=(24, 168)) == 24


def test_a_day_of_fine_steps_is_seen_beneath_their_noise():
    random, steps = np.random.default_rng(0), np.arange(288 * 14)
    faint = 0.35 * np.sin(2 * np.pi * steps / 288) + random.normal(size=len(steps))
    assert period_of(faint, usual=(288,)) == 288
    short = 8.0 * (steps % 288 == 100) + random.normal(size=len(steps))
    assert period_of(short, usual=(288,)) == 288


def test_a_week_is_taken_where_days_are_all_the_same():
    hours = np.arange(24 * 7 * 20)
    weekend = (hours // 24 % 7 >= 5) + np.random.default_rng(0).normal(0, 0.1, len(hours))
    assert period_of(weekend, usual=(168,)) == 168


def test_many_short_series_show_together_what_none_shows_alone():
    random = np.random.default_rng(0)
    place, series = np.tile(np.arange(35), 200), np.repeat(np.arange(200), 35)
    level = random.normal(0, 50, 200)[series]
    values = 0.6 * np.sin(2 * np.pi * place / 7) + random.normal(size=7000) + level
    assert period_of(values, (7,), series=series, place=place) == 7
    assert period_of(level + random.normal(size=7000), (7,), series=series, place=place) is None


def test_short_series_beside_a_long_one_do_not_fill_the_memory(monkeypatch):
    """Each is kept apart from the next by half of the longest: of many that was all there is."""
    made, on_grid = [], period._on_one_grid

    def grid(*given):
        made.append(on_grid(*given))
        return made[-1]

    monkeypatch.setattr(period, "MOST_CELLS", 4000)
    monkeypatch.setattr(period, "_on_one_grid", grid)
    series = np.concatenate([np.zeros(2000, int), 1 + np.repeat(np.arange(1500), 2)])
    place = np.concatenate([np.arange(2000), np.tile(np.arange(2), 1500)])
    noise = np.random.default_rng(0).normal(size=len(series))
    values = np.where(series == 0, np.sin(place * 2 * np.pi / 30), 0) + 0.1 * noise
    assert period_of(values, series=series, place=place) == 30
    assert len(made[0][0]) <= period.EMPTY * 4000


def test_one_column_that_repeats_is_enough():
    random, steps = np.random.default_rng(0), np.arange(2000)
    walks = random.normal(size=(2000, 10)).cumsum(0)
    walks[:, 3] = np.sin(2 * np.pi * steps / 24)
    assert period_of(walks, usual=(24,)) == 24


@pytest.mark.parametrize(
    ("step", "unit", "days", "periods"),
    [
        (3600, "second", 100, (24, 168)),
        (3600, "second", 10, (24,)),
        (3600, "second", 2, ()),
        (86_400, "second", 100, (7,)),
        (300, "second", 100, (288,)),
        (60, "second", 100, ()),
        (21_600, "second", 100, (4, 28)),
        (7000, "second", 100, ()),
        (1, "month", 60, (12,)),
        (3, "month", 60, (4,)),
        (12, "month", 60, ()),
        (5, "month", 60, ()),
    ],
)
def test_the_calendar_offers_whole_days_weeks_and_years(step, unit, days, periods):
    span = days * 86_400 if unit == "second" else days
    assert calendar_periods(step, unit, span) == periods


def test_daily_rows_in_which_nothing_repeats_weekly_have_no_week():
    index = pd.date_range("1990", periods=3000, freq="D")
    walk = np.random.default_rng(0).normal(size=3000).cumsum()
    timeline = timeline_of(pd.DataFrame({"rate": walk}, index))
    assert (timeline.period, timeline.n_steps) == (None, 24)
