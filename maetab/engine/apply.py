"""The same model over all batches, without gradients.

Every batch has the same shape, the last one padded: matrix products choose their kernel by shape,
so this is what makes a row's result the same bit for bit whatever rows stand beside it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from maetab.nn.model import Ensemble

CELLS_IN_BATCH = 8192
FARTHEST = 1e12  # standard deviations beyond which numbers are not told apart: squares are finite
N_ROUNDS = 4  # rounds in which the missing cells of a row are drawn, each given those before


def batch_rows(n_cells: int, least: int = 8) -> int:
    """Return how many windows of `n_cells` cells make a batch: a multiple of 8, up to 512."""
    return max(least, min(512, CELLS_IN_BATCH // max(n_cells, 1) // 8 * 8))


def least_rows(model: Ensemble) -> int:
    """Return how few rows of a wide table make a batch: more where no network compares tokens."""
    return 8 if model.consulted else 64


@contextlib.contextmanager
def on_device(model: Ensemble, device: torch.device) -> Iterator[Ensemble]:
    """Keep the model on a device, ready to predict, for a block; it lives on the CPU."""
    try:
        yield model.to(device).eval()
    finally:
        model.to("cpu")


def batches(
    values: np.ndarray,
    visible: np.ndarray,
    device: torch.device,
    least: int = 8,
    size: int | None = None,
) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Give (rows, values (B, T, F), visible (B, T, F)) on the device, padded to one shape.

    The rows that pad stand behind those of the slice, and see nothing. B is `size`; None for what
    `batch_rows` says.
    """
    n, t, f = values.shape
    size = size or batch_rows(t * f, least)
    for start in range(0, n, size):
        stop = min(start + size, n)
        pad = ((0, size - (stop - start)), (0, 0), (0, 0))
        seen = np.pad(visible[start:stop], pad)
        clean = np.where(seen, np.pad(values[start:stop], pad), np.float32(0))
        yield (
            slice(start, stop),
            torch.tensor(clean, dtype=torch.float32, device=device),
            torch.tensor(seen, device=device),
        )


@torch.inference_mode()
def predict(
    model: Ensemble,
    values: np.ndarray,
    visible: np.ndarray,
    device: torch.device,
    places: np.ndarray | None = None,
) -> np.ndarray:
    """Return (n, T, F) points: expected numbers and likeliest levels.

    places : (n * T,) the remembered row that each row is itself and does not see, -1 for none
    """
    out = np.zeros(values.shape, np.float32)
    with on_device(model, device):
        for rows, values_, visible_ in batches(values, visible, device, least_rows(model)):
            own = None if places is None else own_places(places, rows, values_)
            point = model.points(values_, visible_, own)
            out[rows] = point[: rows.stop - rows.start].cpu().numpy()
    return out


@torch.inference_mode()
def predict_probabilities(
    model: Ensemble,
    values: np.ndarray,
    visible: np.ndarray,
    device: torch.device,
    columns: list[int],
) -> np.ndarray:
    """Return (n, T, len(columns), K) probabilities of the possibilities of some columns."""
    size = model.prior.support.size
    out = np.zeros((*values.shape[:2], len(columns), size), np.float32)
    with on_device(model, device):
        for rows, values_, visible_ in batches(values, visible, device, least_rows(model)):
            probabilities, _ = model(values_, visible_)
            said = probabilities[:, :, columns]
            out[rows] = said[: rows.stop - rows.start].cpu().numpy()
    return out


@torch.inference_mode()
def predict_quantiles(
    model: Ensemble,
    values: np.ndarray,
    visible: np.ndarray,
    device: torch.device,
    levels: list[float],
    places: np.ndarray | None = None,
) -> np.ndarray:
    """Return (len(levels), n, T, F) quantiles of the calibrated distributions.

    A level in [0, 1] is first moved to where that share of held-out truths fell below. `places`
    as in `predict`.
    """
    out = np.zeros((len(levels), *values.shape), np.float32)
    with on_device(model, device):
        for rows, values_, visible_ in batches(values, visible, device, least_rows(model)):
            own = None if places is None else own_places(places, rows, values_)
            probabilities, _ = model(values_, visible_, own)
            flat = probabilities.flatten(0, 1)
            for i, level in enumerate(levels):
                wanted = torch.full(flat.shape[:2], level, device=device)
                found = model.prior.support.quantile(flat, _calibrated(model, wanted))
                out[i, rows] = found.view_as(values_)[: rows.stop - rows.start].cpu().numpy()
    return out


@torch.inference_mode()
def draw(
    model: Ensemble,
    values: np.ndarray,
    visible: np.ndarray,
    device: torch.device,
    seed: int,
) -> np.ndarray:
    """Return (n, T, F): one joint draw of the cells that are not visible, the others as given.

    The cells of a row are drawn in `N_ROUNDS` random groups, each given the groups before it, so
    that a draw keeps the dependence between cells (Gibbs-like; exact as the groups get small).
    """
    out = np.array(values, np.float32)
    generator = torch.Generator(device=device).manual_seed(seed)
    with on_device(model, device):
        for rows, values_, visible_ in batches(values, visible, device, least_rows(model)):
            group = torch.rand(values_.shape, generator=generator, device=device) * N_ROUNDS
            for i in range(N_ROUNDS):
                now = ~visible_ & (group.long() == i)
                probabilities, _ = model(values_, visible_)
                flat = probabilities.flatten(0, 1)
                share = torch.rand(flat.shape[:2], generator=generator, device=device)
                drawn = model.prior.support.quantile(flat, _calibrated(model, share))
                values_ = torch.where(now, drawn.view_as(values_), values_)
                visible_ = visible_ | now
            out[rows] = values_[: rows.stop - rows.start].cpu().numpy()
    return out


def own_places(places: np.ndarray, rows: slice, values: Tensor) -> Tensor:
    """Return (B * T,) places of the rows of a padded batch (B, T, F), -1 for those that pad."""
    b, t, _ = values.shape
    own = torch.full((b * t,), -1, device=values.device)
    found = torch.tensor(places[rows.start * t : rows.stop * t], device=values.device)
    own[: len(found)] = found
    return own


def _calibrated(model: Ensemble, level: Tensor) -> Tensor:
    """Move levels (B, F) to the ranks at which held-out truths really had them."""
    place = level * (model.ranks.shape[1] - 1)
    below = place.long().clamp_max(model.ranks.shape[1] - 2)
    column = torch.arange(level.shape[1], device=level.device)
    lower, upper = model.ranks[column, below], model.ranks[column, below + 1]
    moved = lower + (place - below) * (upper - lower)
    return torch.where(model.prior.support.is_number, moved, level).clamp(0, 1)
