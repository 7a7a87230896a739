"""Small models over windows, whose scores tests look at."""

from __future__ import annotations

import numpy as np
import torch

from maetab.engine.fit import FitOptions, fit_model
from maetab.engine.inference import windows_of
from maetab.engine.runtime import Deadline
from maetab.nn.config import ModelConfig
from maetab.nn.ensemble import Ensemble
from maetab.nn.guess.options import GuessOptions
from maetab.nn.masking import Bernoulli
from maetab.nn.windows import Windows

CPU = torch.device("cpu")
N_LEVELS = (0, 0, 3)


def rows_of(values: np.ndarray, observed: np.ndarray) -> Windows:
    """Rows (n, F) as windows of one step."""
    return windows_of(values, observed, np.arange(len(values))[:, None])


def config(n_levels: tuple[int, ...], n_steps: int, n_memory: int) -> ModelConfig:
    return ModelConfig(
        n_levels=n_levels,
        n_steps=n_steps,
        width=8,
        n_heads=2,
        n_encoder_layers=1,
        n_decoder_layers=1,
        dropout=0.0,
        n_bins=32,
        n_pieces=16,
        backbone="transformer",
        loss="distribution",
        guess=GuessOptions(n_remembered=n_memory, tuning_steps=20),
        n_estimators=1,
        n_memory=n_memory,
        tells_swaps=False,
    )


def empty_model(n_memory: int) -> Ensemble:
    return Ensemble(config(N_LEVELS, 1, n_memory)).eval()


def fitted_model(
    windows: Windows, n_levels: tuple[int, ...] = N_LEVELS, n_memory: int = 4096
) -> Ensemble:
    """A first guess, without networks, fitted to windows."""
    options = FitOptions(
        masking=Bernoulli(0.3),
        max_iter=0,
        deadline=Deadline(),
        batch_size=256,
        learning_rate=3e-3,
        weight_decay=0.01,
        validation_fraction=0.1,
        n_iter_no_change=4,
        visible_weight=0.2,
        swap_ratio=0.0,
        seed=0,
        device=CPU,
    )
    n_steps = windows.rows.shape[1]
    return fit_model(config(n_levels, n_steps, n_memory), windows, options)[0]
