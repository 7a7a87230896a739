"""Fits of series: few windows, many phases, parts of the windows, clocks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from models import CPU, config, fit_options, timed

from maetab.engine.draws import draw
from maetab.engine.fit import fit_model
from maetab.engine.inference import predict, predict_quantiles
from maetab.nn.guess.series_fit import _without
from maetab.nn.windows import Windows


def course(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, 2)).cumsum(0)
    values = (values - values.mean(0)) / values.std(0)
    return values.astype(np.float32), rng.random(values.shape) < 0.8


@pytest.mark.parametrize(
    ("n", "t", "stride", "period", "dense"),
    [
        (7, 7, 7, None, None),  # one window
        (12, 7, 1, None, None),  # every window shares a row with every other
        (53, 48, 1, None, None),
        (200, 48, 24, 24, 6),  # each shares rows with that before it
        (60, 8, 8, 24, None),  # a single window starts at some of the phases
        (70, 8, 2, 8, None),
        (200, 24, 24, 24, 6),
    ],
)
def test_short_series_are_fitted_however_their_windows_overlap(n, t, stride, period, dense):
    cells = timed(*course(n), t, stride, period, dense)
    model, _ = fit_model(config((0, 0), n_steps=t), cells, fit_options(max_iter=1))
    assert np.isfinite(predict(model, cells, CPU)).all()
    assert np.isfinite(predict_quantiles(model, cells, CPU, [0.1, 0.9])).all()
    assert np.isfinite(draw(model, cells, CPU, 0)).all()
    assert all(torch.isfinite(x).all() for x in model.guess.state_dict().values())


def test_steps_without_a_row_leave_no_window_out_of_what_a_part_is_not_in():
    rows = torch.tensor([[-1, 0, 1], [1, 2, 3], [4, 5, -1]])
    cells = torch.zeros(6, 1), torch.ones(6, 1, dtype=torch.bool)
    windows = Windows(*cells, rows, fold=torch.tensor([0, 1, 2]))
    assert _without(windows, 2, rows).tolist() == rows[:2].tolist()
    assert _without(windows, 0, rows).tolist() == rows[2:].tolist()
