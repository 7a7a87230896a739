"""The season of series with a trend, whose phases and cells are told one by one."""

from __future__ import annotations

import numpy as np
import pytest

from maetab.engine.line_season import moving_season

N, STILL = 240, np.zeros(240, int)
STEPS = np.arange(N)


def found(values: np.ndarray, period: int, observed: np.ndarray | None = None) -> np.ndarray:
    observed = np.ones((N, 1), bool) if observed is None else observed
    return moving_season(values[:, None], observed, STILL, STEPS, STEPS % period, period)[:, 0]


@pytest.mark.parametrize("period", [7, 12])
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_a_trend_and_missing_cells_do_not_bend_the_season(period, missing):
    rng = np.random.default_rng(0)
    wanted = rng.normal(size=period)
    wanted -= wanted.mean()
    values = 0.5 * np.arange(N) + wanted[np.arange(N) % period]
    observed = rng.random((N, 1)) >= missing
    season = found(values, period, observed)
    np.testing.assert_allclose(season - season.mean(), wanted, atol=0.5 if missing else 1e-6)
    plain = np.array([values[np.arange(N) % period == p].mean() for p in range(period)])
    assert np.abs(plain - plain.mean() - wanted).max() > 1  # what the trend makes of means


def test_noise_is_no_season():
    season = found(np.random.default_rng(1).normal(size=N), 24)
    assert season.std() < 0.1  # means of ten rows have a deviation of 0.3


def test_the_season_has_the_mean_of_the_column():
    values = 100 + np.sin(np.arange(N) * 2 * np.pi / 12)
    assert found(values, 12).mean() == pytest.approx(100)


def test_levels_of_other_series_do_not_bend_the_season():
    phase = np.tile(np.arange(12), 20)
    values = (np.sin(phase) + 50 * (np.arange(N) >= 115))[:, None]
    series = (np.arange(N) >= 115).astype(int)
    season = moving_season(values, np.ones((N, 1), bool), series, STEPS, phase, 12)[:, 0]
    wanted = np.sin(np.arange(12))
    np.testing.assert_allclose(season - season.mean(), wanted - wanted.mean(), atol=1e-6)


@pytest.mark.parametrize("period", [7, 12])
def test_rows_that_are_absent_are_to_the_season_as_cells_that_are_missing(period):
    rng = np.random.default_rng(2)
    values = 0.1 * STEPS + np.sin(2 * np.pi * STEPS / period) + 0.1 * rng.normal(size=N)
    there = rng.random(N) >= 0.3
    there[[0, -1]] = True
    given = values[there, None], np.ones((there.sum(), 1), bool), STILL[there]
    absent = moving_season(*given, STEPS[there], STEPS[there] % period, period)[:, 0]
    missing = found(values, period, there[:, None])
    np.testing.assert_allclose(absent, missing, atol=1e-9)
    assert np.ptp(absent) > 1.5


def test_noise_over_few_periods_is_hardly_taken_for_a_season():
    noise, steps = np.random.default_rng(0).normal(size=(60, 200)), np.arange(60)
    observed = np.ones(noise.shape, bool)
    season = moving_season(noise, observed, np.zeros(60, int), steps, steps % 12, 12)
    assert np.square(season - season.mean(0)).mean() < 0.03  # means of phases: about 0.2
