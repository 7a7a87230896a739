"""Small models for tests: what a config, options of a fit and windows are when nothing is said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from maetab.data.windows import cut_places
from maetab.engine.batches import HELD_OUT, Batch, seed_of
from maetab.engine.calibration import held_out_errors
from maetab.engine.fit import fit_model
from maetab.engine.held_out import hold_out
from maetab.engine.inference import windows_of
from maetab.engine.options import FitOptions, Record
from maetab.engine.runtime import Deadline, seeded
from maetab.engine.trainer import Trainer
from maetab.nn.config import ModelConfig
from maetab.nn.ensemble import Ensemble
from maetab.nn.guess.memory import MIN_ROWS
from maetab.nn.guess.options import GuessOptions
from maetab.nn.guess.scales import fit_scales
from maetab.nn.guess.series import SeriesGuess
from maetab.nn.guess.stack import StackedGuess
from maetab.nn.masking import Bernoulli
from maetab.nn.support import Support
from maetab.nn.windows import Clock, Windows

CPU = torch.device("cpu")
QUICK = GuessOptions(tuning_steps=2, cross_fitted=False)  # for fits whose quality does not matter
LEVELS = (0, 3, 0, 2)
DAY = 6  # steps of the day of `daily_course`


def config(n_levels: tuple[int, ...] = LEVELS, **changes: Any) -> ModelConfig:
    """Return the config of a small model."""
    small = {
        "n_steps": 1,
        "n_phases": 1,
        "n_starts": 0,
        "n_calendar": 0,
        "width": 8,
        "n_heads": 2,
        "n_encoder_layers": 1,
        "n_decoder_layers": 1,
        "dropout": 0.0,
        "n_bins": 8,
        "n_pieces": 4,
        "backbone": "transformer",
        "loss": "distribution",
        "guess": GuessOptions(tuning_steps=5),
        "n_estimators": 1,
        "n_memory": 4096,
        "learns_swaps": False,
        "n_members": 1,
    }
    return ModelConfig(n_levels=n_levels, **(small | changes))


def fit_options(**changes: Any) -> FitOptions:
    """Return options of a fit on the CPU."""
    plain = {
        "masking": Bernoulli(0.3),
        "max_iter": None,
        "epochs": 20,
        "most_cells": 10**6,
        "deadline": Deadline(),
        "batch_size": 256,
        "learning_rate": 2e-3,
        "weight_decay": 0.01,
        "validation_fraction": 0.1,
        "n_iter_no_change": 4,
        "visible_weight": 0.2,
        "swap_ratio": 0.0,
        "seed": 0,
        "device": CPU,
    }
    return FitOptions(**(plain | changes))


def cut(n_rows: int, window: int, stride: int = 1, series: Any = None) -> np.ndarray:
    """Return (W, T) rows of windows, which follow each other in each series; -1 for none."""
    number = pd.Series(np.zeros(n_rows, int) if series is None else pd.factorize(series)[0])
    place = number.groupby(number).cumcount().to_numpy()
    return cut_places(number.to_numpy(), place, window, stride)


def windows(
    values: np.ndarray | Tensor, observed: np.ndarray | Tensor, n_steps: int = 1, stride: int = 1
) -> Windows:
    """Return windows of `n_steps` over the rows (n, F) of one series."""
    rows = cut(len(values), n_steps, stride)
    return windows_of(np.asarray(values, np.float32), np.asarray(observed, bool), rows)


def timed(
    values: np.ndarray,
    observed: np.ndarray,
    n_steps: int,
    stride: int = 1,
    period: int | None = None,
    dense: int | None = None,
    n_calendar: int = 0,
) -> Windows:
    """Return windows of one series that knows its time: whole steps, phase 0 at the first row.

    dense : stride of the windows that start at more phases; None for none
    """
    n = len(values)
    phase = np.arange(n) % (period or 1)
    calendar = np.sin(np.arange(n)[:, None] / (3.0 + np.arange(n_calendar)))
    clock = np.arange(n, dtype=np.float64), phase, calendar.astype(np.float32)
    cells = np.where(observed, values, 0).astype(np.float32), np.asarray(observed, bool)
    more = None if dense is None else cut(n, n_steps, dense)
    return windows_of(*cells, cut(n, n_steps, stride), clock, more)


def series_guess(
    cells: Windows, n_levels: tuple[int, ...], n_starts: int = 0, seed: int = 0
) -> tuple[SeriesGuess, Windows]:
    """Return the first guess of series fitted to windows, and the windows with their parts."""
    clock = cells.clock
    n_phases = 1 if clock is None else int(clock.phase.max()) + 1
    shape = n_phases, n_starts, 0 if clock is None else clock.calendar.shape[1]
    guess = SeriesGuess(n_levels, cells.rows.shape[1], 32, shape, GuessOptions())
    cells = guess.fit(cells, torch.Generator().manual_seed(seed), 256)
    return guess, cells


def fit(
    config: ModelConfig, cells: tuple[np.ndarray, np.ndarray], options: FitOptions
) -> tuple[Ensemble, list[Record]]:
    """Return a model fitted to windows, one behind the other, of (n, F) values and observed."""
    return fit_model(config, windows(*cells, config.n_steps), options)


def first_guess(
    cells: Windows, n_levels: tuple[int, ...], n_memory: int | None = None, seed: int = 0, **options
) -> tuple[StackedGuess, Windows]:
    """Return a first guess fitted to windows, and the windows with what they must not read."""
    torch.manual_seed(seed)
    n_memory = len(cells) if n_memory is None else n_memory
    guess = StackedGuess(n_levels, cells.rows.shape[1], n_memory, GuessOptions(**options))
    generator = torch.Generator().manual_seed(seed)
    cells = guess.fit(cells, generator, 256)
    fit_scales(guess, Support(n_levels, 8), cells, generator, lambda: False)
    guess.folds = []  # as after the fit of a model
    return guess, cells


def copy_of(model: Ensemble) -> Ensemble:
    """Return another model of the same config and weights."""
    twin = Ensemble(model.config)
    twin.load_state_dict(model.state_dict())
    return twin.eval()


def random_rows(n: int = 30, n_steps: int = 1, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return values and visible (n, T, F) of random cells in columns of `LEVELS`."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(n, n_steps, 4, generator=generator)
    values[..., 1] = torch.randint(3, (n, n_steps), generator=generator).float()
    values[..., 3] = torch.randint(2, (n, n_steps), generator=generator).float()
    visible = torch.rand(n, n_steps, 4, generator=generator) < 0.7
    return torch.where(visible, values, 0.0), visible


def random_model(n_steps: int = 1, **changes: Any) -> Ensemble:
    """Return a model whose guess is fitted and whose networks, at random weights, are heard."""
    torch.manual_seed(0)
    model = Ensemble(config(n_steps=n_steps, n_memory=32, **changes))
    values, visible = (x.flatten(0, 1) for x in random_rows(30, n_steps))
    cells = windows(values, visible, n_steps, n_steps)
    model.support.fit(cells.values, cells.observed)
    model.guess.fit(cells, torch.Generator().manual_seed(0), 256)
    model.forget_parts()
    if n_steps == 1:
        model.guess.slope.fill_(1.0)  # of noise alone it would say nothing
    for network in model.networks:
        network.tokens.fit(cells.values, cells.observed)
        network.head.data.normal_(0, 0.3)
        network.tokens.parts.data.normal_()
    model.network_weight.fill_(0.5)
    return model.eval()


class Training(Trainer):
    """The training of one network, which keeps what it did.

    batches : those of every step
    before, after : the loss at held-out cells
    records : the history
    """

    def train(self) -> list[Record]:
        self.batches_seen: list[Batch] = []
        self.before = self.check()
        super().train()
        self.after = self.check()
        return self.records

    def step(self, batch: Batch, number: int, network: Any) -> Tensor:
        self.batches_seen.append(batch)
        return super().step(batch, number, network)


def train(
    config: ModelConfig,
    cells: tuple[np.ndarray, np.ndarray],
    options: FitOptions,
    kind: type[Training] = Training,
) -> Any:
    """Return the training of the network, done as `fit_model` does it without a time limit."""
    table = windows(*cells, config.n_steps)
    with seeded(options.seed, options.device) as generator:
        n_memory = max(MIN_ROWS, min(config.guess.n_remembered, len(table)))
        model = Ensemble(replace(config, n_memory=n_memory))
        model.support.fit(table.values, table.observed)
        table = model.guess.fit(table, generator, options.batch_size)
        if isinstance(model.guess, StackedGuess):
            fit_scales(model.guess, model.support, table, generator, lambda: False)
        generator.manual_seed(seed_of(options.seed, HELD_OUT))
        held, [network] = hold_out(table, options.validation_fraction, generator), model.networks
        network.tokens.fit(table.values, table.observed)
        training: Any = kind(model, held, options, Deadline(), len(held))
        training.train()
        training.errors = held_out_errors(model, network, held, 10**6, Deadline())
    return training


def daily_course(n: int = 600, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two numbers with a day of six hours and slow changes that they share."""
    rng, slow = np.random.default_rng(seed), np.zeros(n)
    for i in range(1, n):
        slow[i] = 0.97 * slow[i - 1] + 0.2 * rng.normal()
    day = 2 * np.sin(2 * np.pi * np.arange(n) / DAY)
    values = np.stack([day + slow, slow - day], 1) + 0.1 * rng.normal(size=(n, 2))
    return values.astype(np.float32), rng.random((n, 2)) < 0.8


def hidden_in(cells: Windows, share: float = 0.4) -> tuple[Tensor, Tensor]:
    """Return the cells of windows and which are visible when a share of them is hidden."""
    values, observed = cells.take(slice(None))
    drawn = torch.rand(observed.shape, generator=torch.Generator().manual_seed(5))
    return values, observed & (drawn > share)


def open_clock(cells: Windows, chosen: slice = slice(None)) -> Clock:
    """Return the clock of windows as of any that were not fitted to."""
    return cells.clock_of(chosen)._replace(fold=None)


def gaussians_of(guess: SeriesGuess, clock: Clock) -> list:
    """Return the Gaussians that each window should be asked of."""
    starts = guess.starts.tolist()
    found = []
    for phase in clock.phase[:, 0].tolist():
        found.append(guess.gaussians[1 + starts.index(phase) if phase in starts else 0])
    return found
