"""Attention among the tokens of a step or of a series; packing of the visible ones."""

from __future__ import annotations

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

LONG = 1500  # tokens beyond which the scores of their pairs would fill the memory


def pack(tokens: Tensor, visible: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Move visible tokens to the front and cut at the longest row.

    Parameters
    ----------
    tokens : (B, L, D)
    visible : (B, L) bool

    Returns
    -------
    packed : (B, M, D), M the most visible tokens in any row
    kept : (B, M) bool, False on padding
    place : (B, M) where each token stood
    """
    most = max(int(visible.sum(1).max()), 1)
    place = (~visible).to(torch.uint8).argsort(dim=1, stable=True)[:, :most]
    kept = visible.gather(1, place)
    packed = tokens.gather(1, place[..., None].expand(-1, -1, tokens.shape[-1]))
    return packed * kept[..., None], kept, place


def unpack(packed: Tensor, kept: Tensor, place: Tensor, length: int) -> Tensor:
    """Put packed tokens back to their places: (B, M, D) -> (B, L, D), zero elsewhere."""
    out = packed.new_zeros(packed.shape[0], length, packed.shape[2])
    index = place[..., None].expand_as(packed)
    return out.scatter(1, index, packed * kept[..., None])


class Block(nn.Module):
    """Pre-norm attention and a two-layer perceptron, each with a residual (Xiong et al. 2020)."""

    def __init__(self, width: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        self.n_heads, self.dropout = n_heads, dropout
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor, visible: Tensor | None) -> Tensor:
        """Return (B, L, D); keys that are not `visible` (B, L) are not read; None reads all."""
        b, length, d = x.shape
        qkv = self.qkv(self.norm1(x)).view(b, length, 3, self.n_heads, -1).permute(2, 0, 3, 1, 4)
        mixed = self.out(
            _attend(qkv[0], qkv[1], qkv[2], visible).transpose(1, 2).reshape(b, length, d)
        )
        x = x + nnf.dropout(mixed, self.dropout, self.training)
        inner = self.down(nnf.relu(self.up(self.norm2(x))))
        return x + nnf.dropout(inner, self.dropout, self.training)


def _attend(query: Tensor, key: Tensor, value: Tensor, visible: Tensor | None) -> Tensor:
    """Return (B, H, L, D / H); the fused kernel on an accelerator or for more than `LONG` tokens.

    A table's rows are many and short. There the fused kernel, and softmax along a short axis, cost
    several times the products themselves: so scores are clamped, which makes the exponential safe
    without a maximum, and a column of ones gives the sum to divide by. Both ways agree as long as
    no score is beyond 30, which trained ones are far from.
    """
    if query.device.type != "cpu" or query.shape[2] > LONG:
        allowed = None if visible is None else visible[:, None, None, :]
        return nnf.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
    score = (query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1)
    weight = score.clamp(-30, 30).exp()
    if visible is not None:
        weight = weight * visible[:, None, None, :]
    mixed = weight @ nnf.pad(value, (0, 1), value=1.0)
    return mixed[..., :-1] / mixed[..., -1:]
