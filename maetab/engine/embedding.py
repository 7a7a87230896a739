"""Features of rows, read out of a fitted model, and the way back to cells.

Cells that are not visible are completed with what the model says of them, and the completed row is
encoded, every cell visible. Batches have one shape, as in `engine.inference`, so a row's features
do not depend on the rows beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from maetab.engine.inference import (
    FARTHEST,
    batch_rows,
    batches,
    on_device,
    padded_clock,
    windows_of,
)
from maetab.engine.pieces import Pieces, piece_sizes
from maetab.nn.config import ModelConfig
from maetab.nn.ensemble import Ensemble
from maetab.nn.guess.series import SeriesGuess
from maetab.nn.windows import Clock, Windows

READOUTS = ("concat", "mean", "cls")
MAX_LANDMARKS = 512
N_COMPLETIONS = 4  # of a row with missing cells; its features are their mean


class Projection(NamedTuple):
    """A linear map of the readout: mean (D,) that is subtracted, components (k, D)."""

    mean: np.ndarray
    components: np.ndarray


def latent_size(config: ModelConfig, readout: str) -> int:
    """Return how many features `embed` reads out."""
    return sum(block_sizes(config, readout))


def block_sizes(config: ModelConfig, readout: str) -> list[int]:
    """Return how many features are of tokens, and how many of similarities if these are read."""
    if readout != "concat":
        return [config.n_estimators * config.width]
    n_tokens = config.n_steps * (1 + len(config.n_levels))
    return [config.n_estimators * n_tokens * config.width, min(MAX_LANDMARKS, config.n_memory)]


@torch.inference_mode()
def embed(
    model: Ensemble,
    windows: Windows,
    device: torch.device,
    readout: str,
    projection: Projection | None = None,
    with_pieces: bool = False,
) -> np.ndarray:
    """Return (W, D) the features of each window, all of them finite.

    Parameters
    ----------
    windows : W of them; of a table, its rows
    readout : one of `READOUTS`
    projection : None keeps the readout as it is
    with_pieces : (W, D + T * R), the encoded input behind the features, see `Pieces`

    Returns
    -------
    latent : (W, D), see `latent_size`, network by network; (W, k) if projected
        "concat": of each step the row's token, then those of its cells, and behind all networks
        the similarity to each landmark, see `Landmarks`; "mean": the mean of the cells' tokens;
        "cls": the row's token, the mean over the steps.
    """
    assert readout in READOUTS, readout
    size = latent_size(model.config, readout)
    project = None
    if projection is not None:
        size, project = len(projection.components), _projector(projection, device)
    n_pieces = model.config.n_steps * sum(piece_sizes(model.support)) if with_pieces else 0
    out = np.zeros((len(windows), size + n_pieces), np.float32)
    n_batch = batch_rows(model.config.n_steps * len(model.config.n_levels))
    with on_device(model, device):
        landmarks = Landmarks(model, device) if readout == "concat" else None
        pieces = Pieces(model.support) if with_pieces else None
        for found, values, visible in batches(windows, device, n_batch):
            n = found.stop - found.start
            clock = padded_clock(windows, found, n_batch, device)
            wholes = _complete(model, values, visible, n, clock)
            features = [_features(model, whole, readout, landmarks, clock) for whole in wholes]
            latent = torch.stack(features).mean(0)
            if project is not None:
                latent = project(latent)
            out[found, :size] = latent[:n].cpu().numpy()
            if pieces is not None:
                encoded = torch.stack([pieces(x.flatten(0, 1)) for x in wholes]).mean(0)
                out[found, size:] = encoded.view(n_batch, -1)[:n].cpu().numpy()
            # Wild cells may pass what a float32 holds.
            np.nan_to_num(out[found], copy=False)
    return out


def _projector(projection: Projection, device: torch.device) -> Callable[[Tensor], Tensor]:
    """Return the linear map of (B, D) to (B, k)."""
    mean = torch.tensor(projection.mean, device=device)
    k = len(projection.components)
    # Padded, because the kernel of a narrow product depends on the row's place.
    wide = np.pad(projection.components, ((0, -k % 16), (0, 0)))
    components = torch.tensor(wide.T.copy(), device=device)
    return lambda latent: ((latent - mean) @ components)[:, :k]


def _complete(
    model: Ensemble,
    values: Tensor,
    visible: Tensor,
    n_rows: int,
    clock: Clock | None,
    n_times: int = N_COMPLETIONS,
) -> list[Tensor]:
    """Return values (B, T, F), completed; complete windows cost no prediction.

    Missing cells are completed `n_times` over, with quantiles of what is predicted of them: each
    cell takes all of its quantiles once, in an order of its own (a Latin hypercube: McKay et al.
    1979). What is linear in the mean of their features then averages over what the cells may be.
    """
    if visible[:n_rows].all():
        return [values]
    n_cells, predicted = visible[0].numel(), model.predicted(values, visible, clock=clock)
    probabilities, points, std = (x.flatten(0, 1) for x in predicted)
    random = np.random.default_rng(0)
    orders = np.stack([random.permutation(n_times) for _ in range(n_cells)], 1)
    wholes = []
    for level in (orders + 0.5) / n_times:
        share = torch.tensor(level, dtype=values.dtype, device=values.device)
        share = share.view(values.shape[1:]).expand_as(values).flatten(0, 1)
        if model.is_series:
            guess = model.quantile(probabilities, points, std, share).view_as(values)
        else:
            guess = model.support.quantile(probabilities, share).view_as(values)
        wholes.append(torch.where(visible, values, guess))
    return wholes


def _features(
    model: Ensemble,
    whole: Tensor,
    readout: str,
    landmarks: Landmarks | None,
    clock: Clock | None,
) -> Tensor:
    """Return (B, D) what is read of completed windows (B, T, F)."""
    parts, everywhere = [whole.new_zeros(len(whole), 0)], torch.ones_like(whole, dtype=torch.bool)
    whole = whole.clamp(-FARTHEST, FARTHEST)
    guess = model.guess(whole, everywhere, clock=clock) if model.is_series else None
    for network in model.networks:
        tokens = network.encode(whole, everywhere, guess, clock)
        tokens = tokens.unflatten(1, (whole.shape[1], -1))
        parts.append(_read(tokens, readout))
    if landmarks is not None:
        parts.append(landmarks(whole))
    return torch.cat(parts, 1)


def _read(tokens: Tensor, readout: str) -> Tensor:
    """Return (B, D) from the tokens (B, T, 1 + F, D) of rows and their cells."""
    if readout == "concat":
        return tokens.flatten(1)
    return tokens[:, :, 1:].flatten(1, 2).mean(1) if readout == "mean" else tokens[:, :, 0].mean(1)


class Landmarks:
    """Remembered windows that others are compared with: a Gaussian kernel of their distance.

    Distances are weighted as the first guess has learned to find similar windows, and scaled by the
    median between landmarks. Missing cells of either side are completed. Unlike Nystroem features
    they are not multiplied by the inverse root of the landmarks' own similarities.
    """

    def __init__(self, model: Ensemble, device: torch.device) -> None:
        self.coordinates, memory = model.guess.coordinates, model.guess.memory
        weight = (memory.log_weight.exp() * memory.choice.softmax(0)).sum(0)
        self.root = weight[memory.cells].sqrt()
        windows = _memory_windows(model)
        n = min(MAX_LANDMARKS, len(windows))
        windows = replace(windows, rows=windows.rows[:n])
        size = batch_rows(windows.rows.shape[1] * windows.values.shape[1])
        parts = [
            self._place(self._whole(model, windows, found, values, visible))
            for found, values, visible in batches(windows, device, size)
        ]
        # Padded, because the kernel of a narrow product depends on the row's place.
        self.place = torch.cat([*parts, parts[0].new_zeros(16, parts[0].shape[1])])[: max(n, 16)]
        self.n, self.scale = n, 1.0
        self.scale = float(self._distance(self.place[:n]).median().clamp_min(1e-6))

    def __call__(self, values: Tensor) -> Tensor:
        """Return (B, n) similarities in (0, 1] of completed windows (B, T, F)."""
        return (-self._distance(self._place(values)) / self.scale).exp()

    def _whole(
        self, model: Ensemble, windows: Windows, found: slice, values: Tensor, visible: Tensor
    ) -> Tensor:
        """Return a batch of landmarks, completed."""
        clock = padded_clock(windows, found, len(values), values.device)
        return _complete(model, values, visible, found.stop - found.start, clock, 1)[0]

    def _place(self, values: Tensor) -> Tensor:
        everywhere = torch.ones_like(values, dtype=torch.bool)
        cells, known = self.coordinates.expand(values, everywhere)
        return torch.where(known, cells, 0.0) * self.root

    def _distance(self, place: Tensor) -> Tensor:
        square = place.square().sum(1, keepdim=True) + self.place.square().sum(1)
        return (square - 2 * place @ self.place.T).clamp_min(0)[:, : self.n]


def remembered(model: Ensemble) -> Windows:
    """Return the training windows that the first guess remembers.

    Those without an observed cell are left out, unless there are no others.
    """
    windows = _memory_windows(model)
    filled = windows.take(slice(None))[1].flatten(1).any(1)
    return replace(windows, rows=windows.rows[filled | ~filled.any()])


def _memory_windows(model: Ensemble) -> Windows:
    """Return all places of the memory as windows, also those not taken."""
    memory, coordinates = model.guess.memory, model.guess.coordinates
    known = memory.visible.cpu().numpy() > 0
    cells = memory.values.cpu().numpy()
    n, t, f = len(cells), model.config.n_steps, len(model.config.n_levels)
    values = np.zeros((n, t * f), np.float32)
    for j, own in enumerate(coordinates.slices):
        several = coordinates.n_levels[j] > 0
        values[:, j] = cells[:, own].argmax(1) if several else cells[:, own.start]
    observed = known[:, coordinates.first]
    rows = np.arange(n * t).reshape(n, t)
    windows = windows_of(values.reshape(n * t, f), observed.reshape(n * t, f), rows)
    if not isinstance(model.guess, SeriesGuess):
        return windows
    position, phase, calendar = (
        x.flatten(0, 1).cpu() for x in model.guess.clock_of(slice(None))[:3]
    )
    return replace(windows, clock=Clock(position, phase, calendar))
