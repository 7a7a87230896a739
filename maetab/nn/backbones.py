"""(tokens, visible) -> tokens. What a row may not read is never read."""

from __future__ import annotations

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

LONG = 1500  # tokens beyond which their products would fill the memory


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
    without a maximum, and a column of ones gives the normaliser.
    """
    if query.device.type != "cpu" or query.shape[2] > LONG:
        allowed = None if visible is None else visible[:, None, None, :]
        return nnf.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
    score = (query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1)
    share = score.clamp(-30, 30).exp()
    if visible is not None:
        share = share * visible[:, None, None, :]
    mixed = share @ nnf.pad(value, (0, 1), value=1.0)
    return mixed[..., :-1] / mixed[..., -1:]


class Transformer(nn.Module):
    """Self-attention over the visible tokens.

    Parameters
    ----------
    width, n_heads, n_layers : of the blocks
    dropout : on every residual
    """

    def __init__(self, width: int, n_heads: int, n_layers: int, dropout: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(width, n_heads, dropout) for _ in range(n_layers))

    def forward(self, tokens: Tensor, visible: Tensor | None) -> Tensor:
        """Return (B, L, D) from (B, L, D); zeros where not `visible`.

        While training, rows are packed to save the time of what they do not read. Without
        gradients they are not, so that a row's result does not depend on the rows beside it.
        """
        if visible is None:
            return self._run(tokens, None)
        if self.training:
            packed, kept, place = pack(tokens, visible)
            return unpack(self._run(packed, kept), kept, place, tokens.shape[1])
        return self._run(tokens, visible) * visible[..., None]

    def _run(self, tokens: Tensor, visible: Tensor | None) -> Tensor:
        for block in self.blocks:
            tokens = block(tokens, visible)
        return tokens


class MLP(nn.Module):
    """A residual perceptron over all tokens of a row at once; what is not visible enters as zero.

    Parameters
    ----------
    length : L, so a fitted model works for one number of columns and steps
    width : D
    inner : units of the hidden layers
    n_layers, dropout : as above
    """

    def __init__(self, length: int, width: int, inner: int, n_layers: int, dropout: float) -> None:
        super().__init__()
        self.first = nn.Linear(length * width, inner)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(inner),
                nn.Linear(inner, inner),
                nn.ReLU(),
                nn.Dropout(dropout),
                nn.Linear(inner, inner),
            )
            for _ in range(n_layers)
        )
        self.last = nn.Linear(inner, length * width)

    def forward(self, tokens: Tensor, visible: Tensor | None) -> Tensor:
        """Return (B, L, D) from (B, L, D); zeros where not `visible`."""
        seen = tokens if visible is None else tokens * visible[..., None]
        x = self.first(seen.flatten(1))
        for block in self.blocks:
            x = x + block(x)
        out = seen + self.last(x).view_as(tokens)
        return out if visible is None else out * visible[..., None]


class Linear(nn.Module):
    """One linear map over all tokens of a row at once, beside the tokens themselves."""

    def __init__(self, length: int, width: int, rank: int = 64) -> None:
        super().__init__()
        self.down = nn.Linear(length * width, rank)
        self.up = nn.Linear(rank, length * width)

    def forward(self, tokens: Tensor, visible: Tensor | None) -> Tensor:
        """Return (B, L, D) from (B, L, D); zeros where not `visible`."""
        seen = tokens if visible is None else tokens * visible[..., None]
        out = seen + self.up(self.down(seen.flatten(1))).view_as(tokens)
        return out if visible is None else out * visible[..., None]


BACKBONES = ("transformer", "mlp", "linear")


def make_backbone(
    name: str, length: int, width: int, n_heads: int, n_layers: int, dropout: float
) -> nn.Module:
    """Return the backbone called `name`, one of `BACKBONES`, for rows of `length` tokens."""
    if name == "transformer":
        return Transformer(width, n_heads, n_layers, dropout)
    if name == "mlp":
        return MLP(length, width, 4 * width, n_layers, dropout)
    assert name == "linear", name
    return Linear(length, width)
