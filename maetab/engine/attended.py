"""Rows as row attention sees them: similarities to remembered rows, by cells and by keys, and keys.

What row attention learns, without labels, is which rows tell each other's hidden cells. Two rows
are similar by single cells, weighted as that takes them, or by the learned keys of whole rows.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from maetab.engine.reference import memory_windows
from maetab.nn.config import ModelConfig
from maetab.nn.ensemble import Ensemble
from maetab.nn.guess.memory import N_HEADS
from maetab.nn.windows import Clock, Windows

MAX_LANDMARKS = 512


def has_keys(config: ModelConfig) -> bool:
    """Return whether rows, which are no steps of windows, have learned keys."""
    return config.n_steps == 1 and config.guess.key_width > 0


def attended_sizes(config: ModelConfig) -> list[int]:
    """Return how many features are similarities by cells, by keys, and keys if there are any."""
    n, n_heads = min(MAX_LANDMARKS, config.n_memory), N_HEADS * config.guess.n_metrics
    return [n, n, n_heads * (config.guess.key_width - 1)] if has_keys(config) else [n]


def landmark_windows(model: Ensemble) -> Windows:
    """Return the remembered windows that others are compared with."""
    windows = memory_windows(model)
    return replace(windows, rows=windows.rows[:MAX_LANDMARKS])


class Attended:
    """What row attention has learned of windows; see `attended_sizes`.

    Parameters
    ----------
    landmarks : (n, T, F) those of `landmark_windows`, completed
    """

    def __init__(self, model: Ensemble, landmarks: Tensor) -> None:
        self.coordinates, memory = model.guess.coordinates, model.guess.memory
        weight = (memory.log_weight.exp() * memory.choice.softmax(0)).sum(0)
        self.root = weight[memory.cells].sqrt()
        self.keys = memory.keys if has_keys(model.config) else None
        cells = self._cells(landmarks)
        self.by_cells = Landmarks(cells * self.root)
        self.by_keys = None if self.keys is None else Landmarks(self.keys.of_whole(cells))

    def __call__(self, wholes: list[Tensor], clock: Clock | None = None) -> Tensor:
        """Return (B, D) of windows (B, T, F), the mean of their completions."""
        each = [self._cells(x) for x in wholes]
        near = self.by_cells([x * self.root for x in each])
        if self.keys is None or self.by_keys is None:
            return near
        keys = [self.keys.of_whole(x) for x in each]
        return torch.cat([near, self.by_keys(keys), torch.stack(keys).mean(0)], 1)

    def _cells(self, values: Tensor) -> Tensor:
        """Return (B, T * C) coordinates; 0 at those of a level that is not known."""
        cells, known = self.coordinates.expand(values, torch.ones_like(values, dtype=torch.bool))
        return torch.where(known, cells, 0.0)


class Landmarks:
    """Places that others are compared with: a Gaussian kernel of their distance.

    Distances are scaled by the median between landmarks. Unlike Nystroem features similarities are
    not multiplied by the inverse root of the landmarks' own.

    Parameters
    ----------
    places : (n, E)
    """

    def __init__(self, places: Tensor) -> None:
        n = len(places)
        # Padded, because the kernel of a narrow product depends on the row's place.
        self.places = torch.cat([places, places.new_zeros(16, places.shape[1])])[: max(n, 16)]
        self.n, self.scale = n, 1.0
        self.scale = float(self._distance(places).median().clamp_min(1e-6))

    def __call__(self, places: list[Tensor]) -> Tensor:
        """Return (B, n) similarities in (0, 1] to places (B, E), the mean of completions."""
        return torch.stack([(-self._distance(x) / self.scale).exp() for x in places]).mean(0)

    def _distance(self, places: Tensor) -> Tensor:
        square = places.square().sum(1, keepdim=True) + self.places.square().sum(1)
        return (square - 2 * places @ self.places.T).clamp_min(0)[:, : self.n]
