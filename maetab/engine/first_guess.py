"""The fit of the first guess: done once, by one process, and taken up from where it is left."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from maetab.engine.checkpoint import Checkpoint
from maetab.engine.options import FitOptions
from maetab.engine.processes import Processes
from maetab.nn.ensemble import Ensemble
from maetab.nn.guess.scales import fit_scales
from maetab.nn.guess.series import SeriesGuess
from maetab.nn.guess.stack import TIMES, StackedGuess
from maetab.nn.windows import Windows

GUESS = "guess"  # its part of a checkpoint
OF_WINDOWS = "holders", "fold"  # what windows know once the guess is fitted


def fit_first_guess(
    model: Ensemble,
    windows: Windows,
    options: FitOptions,
    generator: torch.Generator,
    group: Processes,
    checkpoint: Checkpoint,
) -> Windows:
    """Fit what of a model is no network; return the windows, which know their memory."""

    def fitted() -> Windows:
        model.support.fit(windows.values, windows.observed)
        used = options.deadline.used
        found = model.guess.fit(windows, generator, options.batch_size, used)
        if isinstance(model.guess, StackedGuess):
            fit_scales(model.guess, model.support, found, generator, lambda: used() > TIMES[-1])
        return found

    def state() -> dict[str, Any]:
        found = checkpoint.read(GUESS)
        if found is None:
            found = _state(model, fitted())
            checkpoint.write(GUESS, found)
        return found

    alone = group.size == 1 and not checkpoint.writes
    windows = fitted() if alone else _with_state(model, windows, group.of_first(state))
    model.config = replace(model.config, n_memory=len(model.guess.memory.values))
    return windows


def _state(model: Ensemble, windows: Windows) -> dict[str, Any]:
    """Return what fitting the first guess has made, on the CPU."""
    known = {name: getattr(windows, name) for name in OF_WINDOWS}
    return {
        "model": _tensors(model),
        "folds": [_tensors(fold) for fold in model.guess.folds],
        "windows": {name: x.cpu() for name, x in known.items() if x is not None},
    }


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    """Return what a module is made of, also what is not saved with it."""
    named = (*module.named_parameters(), *module.named_buffers())
    return {name: tensor.detach().cpu() for name, tensor in named}


@torch.no_grad()
def _with_tensors(module: nn.Module, tensors: dict[str, Tensor]) -> nn.Module:
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        tensor.copy_(tensors[name])
    return module


def _with_state(model: Ensemble, windows: Windows, state: dict[str, Any]) -> Windows:
    """Give a model what fitting the first guess has made elsewhere; return the windows."""
    device, guess = windows.rows.device, model.guess
    if isinstance(guess, StackedGuess):
        guess.remember_first(len(state["model"]["guess.memory.values"]))
    _with_tensors(model, state["model"])
    new = guess.new_gaussians if isinstance(guess, SeriesGuess) else partial(deepcopy, guess.base)
    guess.folds = [_with_tensors(new(), fold) for fold in state["folds"]]
    return replace(windows, **{name: x.to(device) for name, x in state["windows"].items()})
