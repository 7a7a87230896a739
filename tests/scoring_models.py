"""Small models over windows, whose scores tests look at."""

from __future__ import annotations

import models
import numpy as np
import torch

from maetab.engine.fit import fit_model
from maetab.engine.inference import windows_of
from maetab.nn.config import ModelConfig
from maetab.nn.ensemble import Ensemble
from maetab.nn.guess.options import GuessOptions
from maetab.nn.windows import Windows

CPU = torch.device("cpu")
N_LEVELS = (0, 0, 3)


def rows_of(values: np.ndarray, observed: np.ndarray) -> Windows:
    """Rows (n, F) as windows of one step."""
    return windows_of(values, observed, np.arange(len(values))[:, None])


def config(n_levels: tuple[int, ...], n_steps: int, n_memory: int) -> ModelConfig:
    guess = GuessOptions(n_remembered=n_memory, tuning_steps=20)
    sizes = {"n_bins": 32, "n_pieces": 16, "n_memory": n_memory}
    return models.config(n_levels, n_steps=n_steps, guess=guess, **sizes)


def empty_model(n_memory: int) -> Ensemble:
    return Ensemble(config(N_LEVELS, 1, n_memory)).eval()


def fitted_model(
    windows: Windows, n_levels: tuple[int, ...] = N_LEVELS, n_memory: int = 4096
) -> Ensemble:
    """A first guess, without networks, fitted to windows."""
    options = models.fit_options(max_iter=0, learning_rate=3e-3)
    n_steps = windows.rows.shape[1]
    return fit_model(config(n_levels, n_steps, n_memory), windows, options)[0]
