"""What scores need of a model, whatever the rows, made once and kept while the model lives."""

from __future__ import annotations

import weakref
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from maetab.nn.guess import Prior
from maetab.nn.ensemble import Ensemble

N_CONSULTED = 1024  # remembered rows that guesses at hidden cells are made from


class Reference:
    """What scores need of a model, whatever the rows; made once, when the first rows come."""

    def __init__(self, model: Ensemble) -> None:
        memory = model.prior.memory
        self.small = _consulted(model)
        known = (memory.values.cpu().numpy(), memory.visible.cpu().numpy())
        self.keys, self.places = np.unique(keys_of(*known), return_index=True)
        self.held = memory.values.clone()
        self.vague = memory.values.new_zeros(len(memory.values))
        seen = memory.visible > 0
        with torch.inference_mode():
            for rows in (~seen.all(1)).nonzero()[:, 0].split(256):
                said = completed(model.prior, memory.values[rows], seen[rows], rows)
                self.held[rows], self.vague[rows] = said


# Not kept in the estimator: its state is what fit has learned, and models are shared.
_references: weakref.WeakKeyDictionary[Ensemble, Reference] = weakref.WeakKeyDictionary()


def reference_of(model: Ensemble) -> Reference:
    """Return what does not depend on the rows; a fitted model never changes."""
    if model not in _references:
        _references[model] = Reference(model)
    return _references[model]


def keys_of(values: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return (n,) one text of bytes for each row, equal where values and what is seen are."""
    rows = np.hstack([values, seen.astype(np.float32)]) + np.float32(0)  # no negative zeros
    return np.ascontiguousarray(rows).view(f"V{rows.shape[1] * rows.itemsize}")[:, 0]


def completed(prior: Prior, values: Tensor, seen: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
    """Return (B, C) rows, completed, and (B,) the standard deviations of what was missing, summed.

    A row whose place in the memory is not -1 does not see itself.
    """
    if bool(seen.all()):
        return values, values.new_zeros(len(values))
    said = prior.guess(values, seen, places, N_CONSULTED)
    return torch.where(seen, values, said.mean), said.variance.sqrt().sum(1)


def _consulted(model: Ensemble) -> Ensemble:
    """Return the model with a memory of at most `N_CONSULTED` rows; they were drawn at random."""
    n_rows = min(N_CONSULTED, model.config.n_memory)
    held = tuple(f"memory.{name}" for name in ("values", "visible", "residuals"))
    state = {
        key: tensor[:n_rows] if key.endswith(held) else tensor
        for key, tensor in model.state_dict().items()
    }
    with torch.random.fork_rng(devices=[]):
        small = Ensemble(replace(model.config, n_memory=n_rows))
    small.load_state_dict(state)
    return small.eval()
