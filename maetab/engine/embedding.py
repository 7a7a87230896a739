"""Features of rows, read out of a fitted model, and the way back to cells.

Cells that are not visible are completed with what the model says of them, and the completed row is
encoded, every cell visible. Batches have one shape, as in `engine.apply`, so a row's features do
not depend on the rows beside it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from maetab.engine.apply import FARTHEST, batches, on_device
from maetab.nn.guess import coordinates
from maetab.nn.model import Ensemble, MaskedAutoencoder, ModelConfig
from maetab.nn.objectives import Support

READOUTS = ("concat", "mean", "cls")
MAX_LANDMARKS = 512
N_COMPLETIONS = 4  # of a row with missing cells; its features are their mean
N_STEPS = (16, 8, 4, 2)  # coarser steps of a number, beside those between all its bins


class Projection(NamedTuple):
    """A linear map of the readout: mean (D,) that is subtracted, components (k, D)."""

    mean: np.ndarray
    components: np.ndarray


def latent_size(config: ModelConfig, readout: str) -> int:
    """Return how many features `embed_rows` reads out."""
    return sum(block_sizes(config, readout))


def block_sizes(config: ModelConfig, readout: str) -> list[int]:
    """Return how many features are of tokens, and how many of similarities if these are read."""
    if readout != "concat":
        return [config.n_estimators * config.width]
    n_tokens = 1 + config.n_steps * len(config.n_levels)
    return [config.n_estimators * n_tokens * config.width, min(MAX_LANDMARKS, config.n_memory)]


@torch.inference_mode()
def embed_rows(
    model: Ensemble,
    values: np.ndarray,
    visible: np.ndarray,
    device: torch.device,
    readout: str,
    projection: Projection | None = None,
    with_pieces: bool = False,
) -> np.ndarray:
    """Return (n, D) the features of each row that the networks give, all of them finite.

    Parameters
    ----------
    values, visible : (n, 1, F)
    readout : one of `READOUTS`
    projection : None keeps the readout as it is
    with_pieces : (n, D + R), the encoded input behind the features, see `Pieces`

    Returns
    -------
    latent : (n, D), see `latent_size`, network by network; (n, k) if projected
        "concat": the row's token, then those of its cells, and behind all networks the similarity
        to each landmark, see `Landmarks`; "mean": the mean of its cells' tokens; "cls": the row's
        token.
    """
    assert readout in READOUTS, readout
    size = latent_size(model.config, readout)
    if projection is not None:
        size = len(projection.components)
        mean = torch.tensor(projection.mean, device=device)
        # Padded, because the kernel of a narrow product depends on the row's place.
        wide = np.pad(projection.components, ((0, -size % 16), (0, 0)))
        components = torch.tensor(wide.T.copy(), device=device)
    n_pieces = sum(piece_sizes(model.prior.support)) if with_pieces else 0
    out = np.zeros((len(values), size + n_pieces), np.float32)
    with on_device(model, device):
        landmarks = Landmarks(model, device) if readout == "concat" else None
        pieces = Pieces(model.prior.support) if with_pieces else None
        for rows, values_, visible_ in batches(values, visible, device):
            n = rows.stop - rows.start
            wholes = _complete(model, values_, visible_, n)
            said = [_features(model, whole, readout, landmarks) for whole in wholes]
            found = torch.stack(said).mean(0)
            if projection is not None:
                found = ((found - mean) @ components)[:, :size]
            out[rows, :size] = found[:n].cpu().numpy()
            if pieces is not None:
                encoded = torch.stack([pieces(whole[:, 0]) for whole in wholes]).mean(0)
                out[rows, size:] = encoded[:n].cpu().numpy()
            # Wild cells may pass what a float32 holds.
            np.nan_to_num(out[rows], copy=False)
    return out


def _complete(
    model: Ensemble, values: Tensor, visible: Tensor, n_rows: int, n_times: int = N_COMPLETIONS
) -> list[Tensor]:
    """Return values (B, 1, F), completed; complete rows cost no prediction.

    Missing cells are completed `n_times` over, with quantiles of what the model says of them: each
    column takes all of its quantiles once, in an order of its own (a Latin hypercube: McKay et al.
    1979). What is linear in the mean of their features then averages over what the cells may be.
    """
    support, cells, seen = model.prior.support, values[:, 0], visible[:, 0]
    if seen[:n_rows].all():
        return [values]
    probabilities = model(values, visible)[0][:, 0]
    random = np.random.default_rng(0)
    orders = np.stack([random.permutation(n_times) for _ in range(cells.shape[1])], 1)
    wholes = []
    for level in (orders + 0.5) / n_times:
        share = torch.tensor(level, dtype=values.dtype, device=values.device).expand_as(cells)
        guess = support.quantile(probabilities, share)
        wholes.append(torch.where(seen, cells, guess)[:, None])
    return wholes


def _features(model: Ensemble, whole: Tensor, readout: str, landmarks: Landmarks | None) -> Tensor:
    """Return (B, D) what is read of completed rows (B, 1, F)."""
    parts, everywhere = [whole.new_zeros(len(whole), 0)], torch.ones_like(whole, dtype=torch.bool)
    whole = whole.clamp(-FARTHEST, FARTHEST)
    for member in model.members:
        assert isinstance(member, MaskedAutoencoder)
        parts.append(_read(member.encode(whole, everywhere), readout))
    if landmarks is not None:
        parts.append(landmarks(whole[:, 0]))
    return torch.cat(parts, 1)


def _read(tokens: Tensor, readout: str) -> Tensor:
    """Return (B, D) from the tokens (B, 1 + L, D) of a row and its cells."""
    if readout == "concat":
        return tokens.flatten(1)
    return tokens[:, 1:].mean(1) if readout == "mean" else tokens[:, 0]


class Landmarks:
    """Remembered rows that others are compared with (Nystroem features of a Gaussian kernel).

    Distances are weighted as the first guess has learned to find similar rows, and scaled by the
    median between landmarks. Missing cells of either side are completed.
    """

    def __init__(self, model: Ensemble, device: torch.device) -> None:
        self.prior, memory = model.prior, model.prior.memory
        weight = (memory.log_weight.exp() * memory.choice.softmax(0)).sum(0)
        self.root = weight[memory.columns].sqrt()
        values, observed = _memory_cells(model)
        n = min(MAX_LANDMARKS, len(values))
        parts = [
            self._place(_complete(model, values_, visible_, rows.stop - rows.start, 1)[0][:, 0])
            for rows, values_, visible_ in batches(values[:n], observed[:n], device)
        ]
        # Padded, because the kernel of a narrow product depends on the row's place.
        self.place = torch.cat([*parts, parts[0].new_zeros(16, parts[0].shape[1])])[: max(n, 16)]
        self.n, self.scale = n, 1.0
        self.scale = float(self._distance(self.place[:n]).median().clamp_min(1e-6))

    def __call__(self, values: Tensor) -> Tensor:
        """Return (B, n) similarities in (0, 1] of completed rows (B, F)."""
        return (-self._distance(self._place(values)) / self.scale).exp()

    def _place(self, values: Tensor) -> Tensor:
        spread, seen = self.prior.expand(values, torch.ones_like(values, dtype=torch.bool))
        return torch.where(seen, spread, 0.0) * self.root

    def _distance(self, place: Tensor) -> Tensor:
        square = place.square().sum(1, keepdim=True) + self.place.square().sum(1)
        return (square - 2 * place @ self.place.T).clamp_min(0)[:, : self.n]


def piece_sizes(support: Support) -> list[int]:
    """Return how many of the R pieces belong to each column."""
    return [n or 1 + sum(piece_steps(support, j)) for j, n in enumerate(support.n_levels)]


def piece_steps(support: Support, column: int) -> list[int]:
    """Return in how many steps a number is encoded, from fine to coarse; [] for a category."""
    if support.n_levels[column]:
        return []
    last = int((support.share[column] > 0).sum()) - 1
    return [last, *(n for n in N_STEPS if n < last)]


class Pieces:
    """A fixed encoding of cells, column by column.

    A number is its standardised value and how far it reaches through steps between centres of its
    bins (piecewise linear, Gorishniy et al. 2022, section 3.2), fine and coarse; a category is the
    indicators of its levels, all 0 for a level that is not known.
    """

    def __init__(self, support: Support) -> None:
        sizes = torch.tensor(piece_sizes(support))
        self.column = torch.arange(len(sizes)).repeat_interleave(sizes).to(support.center.device)
        parts = [_pieces(support, j) for j in range(len(sizes))]
        # Of each piece: where it begins, how wide it is, and from where to where it may reach.
        self.begin, self.width, self.least, self.most = torch.cat(parts, 1)
        self.is_level = ~support.is_number[self.column]

    def __call__(self, values: Tensor) -> Tensor:
        """Return (B, R) from cells (B, F)."""
        cells = values.index_select(1, self.column)
        reach = ((cells - self.begin) / self.width).clamp(self.least, self.most)
        return torch.where(self.is_level, (cells == self.begin).to(values.dtype), reach)


def _pieces(support: Support, column: int) -> Tensor:
    """Return begin, width, least and most (4, pieces) of a column: see `Pieces`."""
    center = support.center[column, support.share[column] > 0]
    n_levels = support.n_levels[column]
    if n_levels:
        level = torch.arange(n_levels, dtype=center.dtype, device=center.device)
        return torch.stack([level, torch.ones_like(level), level, level])
    parts = [center.new_tensor([[0.0], [1.0], [-torch.inf], [torch.inf]])]
    for n_steps in piece_steps(support, column):
        place = torch.linspace(0, len(center) - 1, n_steps + 1, dtype=torch.float64).round().long()
        knots = center[place.to(center.device)]
        width = knots.diff().clamp_min(1e-9)
        zero = torch.zeros_like(width)
        parts.append(torch.stack([knots[:-1], width, zero, zero + 1]))
    return torch.cat(parts, 1)


def decode_pieces(support: Support, pieces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return values and observed (n, F) from (n, R): the way back of `Pieces`.

    A category whose indicators sum to less than a half is not observed: its level is not known.
    """
    values = np.zeros((len(pieces), len(support.n_levels)), np.float32)
    observed = np.ones(values.shape, dtype=bool)
    start = 0
    for j, size in enumerate(piece_sizes(support)):
        part = pieces[:, start : start + size]
        if support.n_levels[j]:
            values[:, j] = part.argmax(1)
            observed[:, j] = part.sum(1) >= 0.5
        else:
            values[:, j] = part[:, 0]
        start += size
    return values, observed


def remembered_rows(model: Ensemble) -> tuple[np.ndarray, np.ndarray]:
    """Return values and observed (n, 1, F) of the training rows that the first guess remembers.

    Rows without an observed cell are left out, unless there are no others.
    """
    values, observed = _memory_cells(model)
    some = observed.any((1, 2)) | ~observed.any()
    return values[some], observed[some]


def _memory_cells(model: Ensemble) -> tuple[np.ndarray, np.ndarray]:
    """Return values and observed (n, 1, F) of all places of the memory, also those not taken."""
    memory = model.prior.memory
    spread, seen = memory.values.cpu().numpy(), memory.visible.cpu().numpy() > 0
    values = np.zeros((len(spread), 1, len(model.config.n_levels)), np.float32)
    observed = np.zeros(values.shape, dtype=bool)
    for j, own in enumerate(coordinates(model.config.n_levels)):
        several = model.config.n_levels[j] > 0
        values[:, 0, j] = spread[:, own].argmax(1) if several else spread[:, own.start]
        observed[:, 0, j] = seen[:, own.start]
    return values, observed
