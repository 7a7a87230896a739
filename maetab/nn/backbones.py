"""What encoder and decoder are made of: (tokens, visible) -> tokens. What is hidden is not read."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from maetab.nn.attention import Block, pack, unpack

RANK = 64  # of the linear backbone


class Shape(NamedTuple):
    """What a backbone is made for: L tokens of a step, T steps, D numbers of a token.

    Simpler kinds leave `n_heads` and `n_layers` unread.
    """

    n_tokens: int
    n_steps: int
    width: int
    n_heads: int
    n_layers: int
    dropout: float


class Backbone(Protocol):
    """A torch.nn.Module class; the network makes one for the encoder and one for the decoder.

    Made with a `Shape`.
    """

    def __call__(self, tokens: Tensor, visible: Tensor | None) -> Tensor:
        """Return (B, T, L, D) from (B, T, L, D), zeros where not `visible`.

        Parameters
        ----------
        tokens : (B, T, L, D), of each step the row's token and then one per column
        visible : (B, T, L) bool, tokens that may be read; None for all
        """


class Transformer(nn.Module):
    """Self-attention over the visible tokens: along the columns of a step, then along the steps.

    Where there is one step, that along the columns is all there is.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.blocks, self.time_blocks = self._blocks(shape), [None] * shape.n_layers
        if shape.n_steps > 1:
            self.time_blocks = self._blocks(shape)

    def _blocks(self, shape: Shape) -> Any:
        each = (shape.width, shape.n_heads, shape.dropout)
        return nn.ModuleList(Block(*each) for _ in range(shape.n_layers))

    def forward(self, tokens: Tensor, visible: Tensor | None) -> Tensor:
        """Return tokens as `Backbone` says.

        While a table is trained on, its rows are packed to save the time of what they do not read.
        Without gradients they are not, so that a row's result does not depend on those beside it.
        """
        b, t, length, d = tokens.shape
        x, seen = tokens.flatten(0, 1), None if visible is None else visible.flatten(0, 1)
        if self.training and t == 1 and seen is not None:
            packed, kept, place = pack(x, seen)
            for block in self.blocks:
                packed = block(packed, kept)
            return unpack(packed, kept, place, length).view_as(tokens)
        for block, time_block in zip(self.blocks, self.time_blocks, strict=True):
            x = block(x, seen)
            if time_block is not None:
                x = _along_time(time_block, x.view(b, t, length, d), visible).flatten(0, 1)
        x = x.view_as(tokens)
        return x if visible is None else x * visible[..., None]


def _along_time(block: nn.Module, tokens: Tensor, visible: Tensor | None) -> Tensor:
    """Return (B, T, L, D): `block` applied to the steps of each column."""
    b, t, length, d = tokens.shape
    series = tokens.transpose(1, 2).reshape(b * length, t, d)
    if visible is not None:
        visible = visible.transpose(1, 2).reshape(b * length, t)
        visible = visible | ~visible.any(1, keepdim=True)  # what these give is read by none
    return block(series, visible).view(b, length, t, d).transpose(1, 2)


class _Dense(nn.Module):
    """A map of all tokens of a step at once, and of their mean over the steps if there are several.

    What is not visible enters as zero.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.n_steps, self.n_outputs = shape.n_steps, shape.n_tokens * shape.width
        self.n_inputs = self.n_outputs * (2 if shape.n_steps > 1 else 1)

    def change(self, x: Tensor) -> Tensor:
        """Return (B, L * D), what is added to the tokens, from (B, inputs)."""
        raise NotImplementedError

    def forward(self, tokens: Tensor, visible: Tensor | None) -> Tensor:
        """Return tokens as `Backbone` says."""
        shown = tokens if visible is None else tokens * visible[..., None]
        x = shown.flatten(2)  # (B, T, L * D)
        if self.n_steps > 1:
            x = torch.cat([x, x.mean(1, keepdim=True).expand_as(x)], 2)
        out = shown + self.change(x.flatten(0, 1)).view_as(tokens)
        return out if visible is None else out * visible[..., None]


class MLP(_Dense):
    """A residual perceptron of `n_layers` blocks, four times as wide as a token."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        inner = 4 * shape.width
        self.first = nn.Linear(self.n_inputs, inner)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(inner),
                nn.Linear(inner, inner),
                nn.ReLU(),
                nn.Dropout(shape.dropout),
                nn.Linear(inner, inner),
            )
            for _ in range(shape.n_layers)
        )
        self.last = nn.Linear(inner, self.n_outputs)

    def change(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for block in self.blocks:
            x = x + block(x)
        return self.last(x)


class Linear(_Dense):
    """One linear map of low rank, whatever `n_layers` is."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.down = nn.Linear(self.n_inputs, RANK)
        self.up = nn.Linear(RANK, self.n_outputs)

    def change(self, x: Tensor) -> Tensor:
        return self.up(self.down(x))


BACKBONES: dict[str, type[nn.Module]] = {
    "transformer": Transformer,
    "mlp": MLP,
    "linear": Linear,
}
