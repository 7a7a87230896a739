"""The projection that an encoder's readout is cut down by: principal axes that missing cells do not
move more than they vary, of windows turned so that each component varies as much."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.utils.validation import check_array

from maetab.engine.embedding import Blocks
from maetab.engine.inference import batch_rows
from maetab.engine.runtime import Deadline
from maetab.nn.windows import Windows

DISTURBANCE = 0.3  # of the cells are hidden to see which components that moves more than they vary
LEAST_VARIANCE = 1e-7  # of a component, as a share of the first one's
EVEN = 1e-9  # of the mean, by which variances may differ
MAX_READ = 25_000_000  # features that components are learned from


def fit_components(
    read: Callable[[Windows], np.ndarray],
    windows: Windows,
    parts: Blocks,
    n_components: int,
    deadline: Deadline,
    device: torch.device,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean (D,) of the readout of windows, and its components (k, D).

    They are learned from the windows that there is time for, and from few where the readout is so
    wide that memory would not hold more.

    Parameters
    ----------
    read : returns the readout (W, D) of windows
    windows : which share no row
    device : that `read` uses
    parts : of the readout; where these have no shares of the components, all components vary alike
    """
    disturbed = with_hidden(windows, DISTURBANCE, seed=0)
    n = deadline.affordable(
        lambda count: read(replace(disturbed, rows=disturbed.rows[:count])),
        min(len(windows), max(64, MAX_READ // max(1, sum(parts.sizes)))),
        passes=2.5,  # one with cells hidden, one without, and the components
        start=batch_rows(windows.rows.shape[1] * windows.values.shape[1], device),
    )
    latent, holed = (read(replace(x, rows=x.rows[:n])) for x in (windows, disturbed))
    blocks = np.split(latent, np.cumsum(parts.sizes)[:-1], axis=1)
    if parts.shares is None:
        axes = _axes_together(blocks, n_components)
    else:
        axes = _axes_apart(blocks, _counts(n_components, parts.shares), parts.as_is)
    moved = np.square((holed - latent) @ axes.T).mean(0)
    spread = ((latent - latent.mean(0)) @ axes.T).var(0)
    firm = moved <= spread
    if firm.any():
        axes, spread = axes[firm], spread[firm]
    if parts.shares is None:
        axes = even_rotation(spread) @ axes
    return latent.mean(0), axes.astype(np.float32)


def with_hidden(windows: Windows, share: float, seed: int) -> Windows:
    """Return windows that share no row with a share of their cells hidden."""
    drawn = np.random.default_rng(seed).random((*windows.rows.shape, windows.values.shape[1]))
    shown = windows.observed.clone()
    shown[windows.rows] &= torch.as_tensor(drawn >= share)
    return replace(windows, values=torch.where(shown, windows.values, 0.0), observed=shown)


def _axes_apart(blocks: list[np.ndarray], counts: list[int], as_is: bool) -> np.ndarray:
    """Return so many principal axes of each block, which the others have no part in.

    as_is : of the last block those of single features, which vary most
    """
    how = [principal_axes] * len(blocks)
    if as_is:
        how[-1] = single_axes
    found = [axes(block, n) for axes, block, n in zip(how, blocks, counts, strict=True)]
    return torch.block_diag(*map(torch.tensor, found)).numpy()


def single_axes(block: np.ndarray, n_components: int) -> np.ndarray:
    """Return the axes of the at most `n_components` features of (n, D) that vary most, in order."""
    variance = block.var(0)
    order = np.sort(np.argsort(-variance, kind="stable")[:n_components])
    kept = order[variance[order] > LEAST_VARIANCE * variance.max()]
    return np.eye(block.shape[1])[kept]


def _axes_together(blocks: list[np.ndarray], n_components: int) -> np.ndarray:
    """Return the principal axes of all blocks, weighed so that each has the same variance in all.

    More of the tokens told some classes better apart, and less told better what follows
    (benchmarks/series_reading.py).
    """
    total = [float(block.var(0, dtype=np.float64).sum()) for block in blocks]
    weight = [
        np.full(block.shape[1], 1 / np.sqrt(x) if x > 0 else 0.0, np.float32)
        for block, x in zip(blocks, total, strict=True)
    ]
    weights = np.concatenate(weight)
    return principal_axes(np.concatenate(blocks, 1) * weights, n_components) * weights


def even_rotation(variance: np.ndarray) -> np.ndarray:
    """Return a rotation (k, k) after which k uncorrelated numbers have one variance, their mean.

    Whoever standardises components makes the last as large as the first, which is mostly noise:
    of ten labels of each class a classifier learns less from 64 components than from 16. After
    this rotation standardising changes nothing. By plane rotations, each of which gives one number
    the mean variance: Davies and Higham 2000, "Numerically stable generation of correlation
    matrices and their factors".
    """
    k, mean = len(variance), float(np.mean(variance))
    matrix, turned = np.diag(np.asarray(variance, np.float64)), np.eye(k)
    for _ in range(k - 1):
        low, high = int(matrix.diagonal().argmin()), int(matrix.diagonal().argmax())
        below, above = matrix[low, low] - mean, matrix[high, high] - mean
        if min(above, -below) <= EVEN * mean:
            break
        both = matrix[low, high]
        tangent = (np.sqrt(both**2 - below * above) - both) / above
        cosine = 1 / np.hypot(1, tangent)
        plane = np.array([[1, tangent], [-tangent, 1]]) * cosine
        own = [low, high]
        matrix[own] = plane @ matrix[own]
        matrix[:, own] = matrix[:, own] @ plane.T
        turned[own] = plane @ turned[own]
    return turned


def _counts(n_components: int, shares: tuple[float, ...]) -> list[int]:
    """Return how many components each block gets: together all of them."""
    ends = np.cumsum([0, *shares])
    return np.diff([round(n_components * end) for end in ends]).tolist()


def principal_axes(block: np.ndarray, n_components: int) -> np.ndarray:
    """Return at most `n_components` principal axes of (n, D), without those that hold nothing."""
    most = min(n_components, max(len(block) - 1, 1), block.shape[1])
    if most == 0:
        return np.zeros((0, block.shape[1]))
    if not np.square(block - block.mean(0)).any():  # a square may be too small for its dtype
        return np.eye(1, block.shape[1])
    found = PCA(most, random_state=0).fit(block)
    variance = found.explained_variance_
    n_kept = max(1, int((variance > LEAST_VARIANCE * variance[0]).sum()))
    return found.components_[:n_kept]


def read_features(Z: Any, names: list[str]) -> np.ndarray:
    """Return (n, D) float32 of features that an encoder gave; a frame must have their names."""
    features = check_array(Z, dtype=np.float32)
    if features.shape[1] != len(names):
        raise ValueError(f"Z has {features.shape[1]} features, but MAEEncoder gives {len(names)}.")
    labels = list(getattr(Z, "columns", ()))
    if labels != names and all(isinstance(label, str) for label in labels) and labels:
        at = next(i for i, label in enumerate(labels) if label != names[i])
        raise ValueError(
            f"The columns of Z must be those of transform, in order: column {at} should be "
            f"{names[at]!r}, got {labels[at]!r}."
        )
    return features
