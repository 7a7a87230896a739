"""Quantiles of the errors of series, compared with NumPy's, and intervals where series change."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from models import config, copy_of, fit, fit_options, windows
from series_frames import holed, hourly

from maetab import MAEImputer
from maetab.engine.held_out import hold_out
from maetab.engine.runtime import Deadline
from maetab.engine.series_calibration import MASKS, calibrate_series, wider
from maetab.nn.ensemble import Ensemble
from maetab.nn.windows import Windows

T, F = 4, 3


def course(n: int = 300) -> Windows:
    """Three numbers that go together; the last is rarely observed; the end is wild."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(n, 1)) + 0.5 * rng.normal(size=(n, F))
    values *= np.where(np.arange(n) < 0.7 * n, 1.0, 3.0)[:, None]
    observed = rng.random((n, F)) < [1.0, 0.8, 0.2]
    return windows(np.where(observed, values, 0), observed, T, T)


@pytest.fixture(scope="module")
def fitted() -> Ensemble:
    cells = course()
    given = cells.values.numpy(), cells.observed.numpy()
    return fit(config((0,) * F, n_steps=T), given, fit_options(max_iter=0))[0]


def calibrated(fitted: Ensemble) -> tuple[Ensemble, list]:
    """A model that is calibrated anew, and what it was asked about and found."""
    model, asked, ask = copy_of(fitted), [], Ensemble.predicted
    cells = course().remember(torch.zeros(0, dtype=torch.long))
    table = hold_out(cells, 0.1, torch.Generator().manual_seed(1))

    def predicted(values, visible, index, clock=None):
        found = ask(model, values, visible, index, clock=clock)
        asked.append((values, visible, *found[1:]))
        return found

    model.predicted = predicted
    calibrate_series(model, table, Deadline(), torch.Generator().manual_seed(2))
    return model, asked


def test_quantiles_are_those_of_cells_hidden_anew_of_all_windows_or_of_the_last_if_wider(fitted):
    model, asked = calibrated(fitted)
    cells, levels, found = course(), np.linspace(0, 1, 101), []
    values, observed = (x.numpy() for x in cells.take(slice(None)))
    sums = values.sum((1, 2))
    number = np.cumsum([len(x) for x, *_ in asked])
    parts = np.split(np.arange(len(asked)), [np.searchsorted(number, MASKS * len(cells)) + 1])
    for part, first in zip(parts, (0, 50), strict=True):
        z, hidden = [], []
        for i in part:
            v, visible, point, std = (x.numpy() for x in asked[i])
            place = np.abs(v.sum((1, 2))[:, None] - sums).argmin(1)
            assert place.min() >= first and not (visible & ~observed[place]).any()
            z.append(((v - point) / std.clip(1e-3)).reshape(-1, F))
            hidden.append((observed[place] & ~visible).reshape(-1, F))
        z, hidden = np.concatenate(z), np.concatenate(hidden)
        pooled = np.quantile(z[hidden], levels)
        own = [z[hidden[:, j], j] for j in range(F)]
        share = [len(x) / (len(x) + 100) for x in own]
        found.append([s * np.quantile(x, levels) + (1 - s) * pooled for s, x in zip(share, own)])
    every, late = np.array(found)
    wanted = every.copy()
    wanted[:, :50] = np.minimum(every, late)[:, :50]
    wanted[:, 51:] = np.maximum(every, late)[:, 51:]
    np.testing.assert_allclose(model.residual_quantiles, wanted, atol=1e-4)
    assert (late[:, 95] > every[:, 95]).all()  # the end is wilder


def test_each_window_is_looked_at_with_several_masks_where_windows_are_few(fitted):
    _, asked = calibrated(fitted)
    seen = torch.cat([x for x, *_ in asked]).sum((1, 2))
    assert len(seen) == MASKS * (75 + 25) and len(seen.unique()) == 75


def test_a_column_that_never_changes_is_hidden_in_a_whole_window_or_not_at_all(fitted):
    still = copy_of(fitted)
    still.guess.moving[0] = False
    _, asked = calibrated(still)
    seen = torch.cat([visible[..., 0].sum(1) for _, visible, *_ in asked])
    assert set(seen.tolist()) == {0, T}


def test_the_wider_quantiles_ascend():
    rng = np.random.default_rng(0)
    one, other = torch.tensor(np.sort(rng.normal(size=(2, 5, 101)), -1))
    found = wider(one, other)
    assert (found.diff(dim=1) >= 0).all()
    assert (found[:, 0] == torch.minimum(one, other)[:, 0]).all()
    assert (found[:, -1] == torch.maximum(one, other)[:, -1]).all()
    assert torch.equal(found[:, 50], one[:, 50])


def wandering(n: int, seed: int) -> pd.DataFrame:
    """Two random walks whose steps grow: levels, and the noise, leave what was seen before."""
    rng = np.random.default_rng(seed)
    step = rng.standard_t(4, size=(n, 2)) * np.exp(np.linspace(-0.25, 0.25, n))[:, None]
    walk = (step @ (np.eye(2) + 0.5)).cumsum(0) / 10
    index = pd.date_range("2020-01-01", periods=n, freq="h")
    return pd.DataFrame(walk, index=index, columns=["a", "b"])


@pytest.mark.parametrize("seed", [1, 2])
def test_intervals_hold_as_many_cells_as_they_say_where_series_wander_off(seed):
    """Counted at cells of the part behind the one that is learned from."""
    frame = wandering(24 * 80, seed)
    known, later = frame.iloc[: 24 * 48], frame.iloc[24 * 48 :]
    hour = np.arange(len(later)) % 24
    gaps = np.stack([hour >= 12, (hour > 3) & (hour < 10)], 1)
    imputer = MAEImputer(window=24, max_iter=0, random_state=seed).fit(known)
    lower, upper = imputer.predict_interval(later.mask(gaps), coverage=0.9)
    inside = ((lower <= later) & (later <= upper)).to_numpy()[gaps].mean()
    assert 0.86 < inside < 0.97


@pytest.mark.parametrize(("n", "least"), [(24, 0.75), (36, 0.6)], ids=["one window", "two"])
def test_a_series_of_hardly_more_than_a_window_is_not_taken_for_known_exactly(n, least):
    inside = []
    for seed in range(3):
        truth = hourly(n, seed)[["a", "b"]]
        frame = holed(truth, seed=seed + 10)
        imputer = MAEImputer(window=24, max_iter=0, random_state=0).fit(frame)
        lower, upper = imputer.predict_interval(frame, coverage=0.9)
        inside.append(((lower <= truth) & (truth <= upper)).to_numpy()[frame.isna()])
    assert np.concatenate(inside).mean() > least
