"""The projection that an encoder's readout is cut down by: principal axes that missing cells do not
move more than they vary."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from sklearn.decomposition import PCA

from maetab.engine.inference import batch_rows
from maetab.engine.runtime import Deadline
from maetab.nn.windows import Windows

DISTURBANCE = 0.3  # of the cells are hidden to see which components that moves more than they vary
LEAST_VARIANCE = 1e-7  # of a component, as a share of the first one's
TOKENS = 0.125  # share of the components that are of tokens where similarities are read as well
MAX_READ = 25_000_000  # features that components are learned from


def fit_components(
    read: Callable[[Windows], np.ndarray],
    windows: Windows,
    sizes: list[int],
    n_components: int,
    deadline: Deadline,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean (D,) of the readout of windows, and its components (k, D).

    They are learned from the windows that there is time for, and from few where the readout is so
    wide that memory would not hold more.

    Parameters
    ----------
    read : returns the readout (W, D) of windows
    windows : which share no row
    sizes : features of tokens, and of similarities if these are read, whose components are apart
    """
    drawn = np.random.default_rng(0).random((*windows.rows.shape, windows.values.shape[1]))
    shown = windows.observed.clone()
    shown[windows.rows] &= torch.as_tensor(drawn >= DISTURBANCE)
    disturbed = replace(windows, values=torch.where(shown, windows.values, 0.0), observed=shown)
    n = deadline.affordable(
        lambda count: read(replace(disturbed, rows=disturbed.rows[:count])),
        min(len(windows), max(64, MAX_READ // max(1, sum(sizes)))),
        passes=2.5,  # one with cells hidden, one without, and the components
        start=batch_rows(windows.rows.shape[1] * windows.values.shape[1]),
    )
    latent, holed = (read(replace(x, rows=x.rows[:n])) for x in (windows, disturbed))
    blocks = np.split(latent, np.cumsum(sizes)[:-1], axis=1)
    shares = _shares(n_components, len(blocks))
    found = [principal_axes(block, n) for block, n in zip(blocks, shares, strict=True)]
    axes = torch.block_diag(*map(torch.tensor, found)).numpy()
    moved = np.square((holed - latent) @ axes.T).mean(0)
    firm = moved <= ((latent - latent.mean(0)) @ axes.T).var(0)
    return latent.mean(0), (axes[firm] if firm.any() else axes).astype(np.float32)


def _shares(n_components: int, n_blocks: int) -> list[int]:
    """Return how many components are of tokens, and how many of similarities if these are read."""
    if n_blocks == 1:
        return [n_components]
    n_tokens = round(TOKENS * n_components)
    return [n_tokens, n_components - n_tokens]


def principal_axes(block: np.ndarray, n_components: int) -> np.ndarray:
    """Return at most `n_components` principal axes of (n, D), without those that hold nothing."""
    most = min(n_components, max(len(block) - 1, 1), block.shape[1])
    if most == 0:
        return np.zeros((0, block.shape[1]))
    if (block == block[0]).all():
        return np.eye(1, block.shape[1])
    found = PCA(most, random_state=0).fit(block)
    variance = found.explained_variance_
    n_kept = max(1, int((variance > LEAST_VARIANCE * variance[0]).sum()))
    return found.components_[:n_kept]
