"""Numbers as how far they reach through the quantile pieces of their column."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PiecewiseLinear(nn.Module):
    """Encode a number by how far it reaches through each quantile piece of its column.

    Gorishniy et al. 2022 ("On Embeddings for Numerical Features"), section 3.2; the standardised
    value itself, log-compressed, stands beside the pieces so that tails are not lost.

    Parameters
    ----------
    n_features, n_pieces : F and P
    """

    start: Tensor
    inverse: Tensor

    def __init__(self, n_features: int, n_pieces: int) -> None:
        super().__init__()
        self.size = n_pieces + 1
        self.register_buffer("start", torch.zeros(n_features, n_pieces))
        self.register_buffer("inverse", torch.zeros(n_features, n_pieces))

    @torch.no_grad()
    def fit(self, values: Tensor, observed: Tensor) -> None:
        """Place the pieces at the quantiles of the observed values, (n, F) each."""
        n_pieces = self.start.shape[1]
        for j in range(values.shape[1]):
            column = values[observed[:, j], j].sort().values
            if len(column) == 0:
                continue
            steps = torch.linspace(0, 1, n_pieces + 1, device=column.device)
            edges = column[(steps * (len(column) - 1)).round().long()].unique()
            width = edges.diff()
            self.start[j, : len(width)] = edges[:-1]
            self.inverse[j, : len(width)] = 1 / width.clamp_min(1e-6)

    def forward(self, values: Tensor) -> Tensor:
        """Return (B, F, P + 1) from (B, F)."""
        pieces = ((values[..., None] - self.start) * self.inverse).clamp(0, 1)
        return torch.cat([pieces, values.sign()[..., None] * values.abs().log1p()[..., None]], -1)
