"""One masked autoencoder: an encoder that sees visible cells, a decoder that fills in the rest.

Its members share all weights but those of the head, and see tokens by random signs of their own
(TabM-mini: Gorishniy et al. 2025, section 3), so that they err in ways of their own.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from maetab.nn.backbones import BACKBONES, Shape
from maetab.nn.config import ModelConfig
from maetab.nn.guess.series import N_FEATURES, N_GUESSES
from maetab.nn.guess.stack import Guess, n_corrections
from maetab.nn.tokens import Tokens, per_column, time_identity
from maetab.nn.windows import Clock


class Output(NamedTuple):
    """What a network gives for every cell, for a loss to read.

    raw : (M * B, T, F, K), member by member
    swap_logits : (M * B, T, F) that a cell holds another row's value; None if that is not learned
    """

    raw: Tensor
    swap_logits: Tensor | None


class Network(nn.Module):
    """A masked autoencoder over the cells of a window; it owns nothing but its own weights.

    Has M members.

    Parameters
    ----------
    config : shapes
    n_outputs : K
    """

    def __init__(self, config: ModelConfig, n_outputs: int) -> None:
        super().__init__()
        self.config = config
        c, f = config, len(config.n_levels)
        of_guess = (N_FEATURES, N_GUESSES) if c.is_series else (0, 1 + n_corrections(c.guess))
        self.tokens = Tokens(c.n_levels, c.n_pieces, c.width, *of_guess)
        self.row = nn.Parameter(torch.randn(c.width) * 0.02)
        self.encoder = self._backbone(c.n_encoder_layers)
        self.decoder = self._backbone(c.n_decoder_layers)
        self.norm = nn.LayerNorm(c.width)
        m = c.n_members
        if m > 1:
            self.signs = nn.Parameter(2.0 * torch.randint(2, (m, 1 + f, c.width)) - 1)
        self.head = nn.Parameter(torch.zeros(m * f, c.width, n_outputs))
        self.bias = nn.Parameter(torch.zeros(m * f, n_outputs))
        if c.n_calendar:
            self.calendar = nn.Parameter(torch.randn(c.n_calendar, c.width) * 0.2)
        if c.learns_swaps:
            self.swap = nn.Parameter(torch.zeros(c.width))
            self.swap_bias = nn.Parameter(torch.zeros(f))

    def _backbone(self, n_layers: int) -> nn.Module:
        c = self.config
        kind = BACKBONES[c.backbone] if isinstance(c.backbone, str) else c.backbone
        tokens = 1 + len(c.n_levels)
        return kind(Shape(tokens, c.n_steps, c.width, c.n_heads, n_layers, c.dropout))

    def forward(
        self, values: Tensor, visible: Tensor, guess: Guess, clock: Clock | None = None
    ) -> Output:
        """Predict every cell from the visible ones; nothing but the arguments is read.

        Parameters
        ----------
        values : (B, T, F) float; what is not visible is never read
        visible : (B, T, F) bool
        guess : of the cells that are not visible
        clock : when the steps are; None in tables
        """
        latent = self._encode(values, visible, guess, clock)
        decoded = self._decode(latent, visible, guess, clock)
        by_member = decoded[:, :, 1:].unflatten(0, (self.config.n_members, -1))
        cells = by_member.permute(1, 2, 0, 3, 4).flatten(0, 1).flatten(1, 2)  # (B * T, M * F, D)
        raw = (per_column(cells, self.head) + self.bias).unflatten(0, visible.shape[:2])
        raw = raw.unflatten(2, (*by_member.shape[:1], -1)).permute(2, 0, 1, 3, 4).flatten(0, 1)
        if not self.config.learns_swaps:
            return Output(raw, None)
        return Output(raw, latent[:, :, 1:] @ self.swap + self.swap_bias)

    def encode(
        self,
        values: Tensor,
        visible: Tensor,
        guess: Guess | None = None,
        clock: Clock | None = None,
    ) -> Tensor:
        """Return (B, T * (1 + F), M * D): of each step the row's token, then one per cell.

        Zeros where not visible.

        Parameters
        ----------
        values : (B, T, F) float; what is not visible is never read
        visible : (B, T, F) bool
        guess, clock : what is known of series beside; None in tables
        """
        latent = self._encode(values, visible, guess, clock)
        by_member = latent.unflatten(0, (self.config.n_members, -1)).flatten(2, 3)
        return by_member.permute(1, 2, 0, 3).flatten(2)

    def _encode(
        self, values: Tensor, visible: Tensor, guess: Guess | None, clock: Clock | None
    ) -> Tensor:
        clean = torch.where(visible, values, 0.0).flatten(0, 1)
        tokens = self._with_row(self.tokens.visible(clean, guess), len(values), clock)
        return self.encoder(self._of_members(tokens), self._shown(visible))

    def _decode(self, latent: Tensor, visible: Tensor, guess: Guess, clock: Clock | None) -> Tensor:
        """Return (M * B, T, 1 + F, D), decoded: the latent, in its gaps masks with the guess."""
        hidden = self._with_row(self.tokens.hidden(guess), len(visible), clock)
        shown = self._shown(visible)[..., None]
        return self.norm(self.decoder(torch.where(shown, latent, self._of_members(hidden)), None))

    def _of_members(self, tokens: Tensor) -> Tensor:
        """(B, T, 1 + F, D) -> (M * B, T, 1 + F, D): tokens as each member sees them."""
        if self.config.n_members == 1:
            return tokens
        return (tokens * self.signs[:, None, None]).flatten(0, 1)

    def _shown(self, visible: Tensor) -> Tensor:
        """(B, T, F) -> (M * B, T, 1 + F): which tokens may be read; the row's may."""
        shown = nn.functional.pad(visible, (1, 0), value=True)
        return shown.repeat(self.config.n_members, 1, 1)

    def _with_row(self, cells: Tensor, batch: int, clock: Clock | None) -> Tensor:
        """(B * T, F, D) -> (B, T, 1 + F, D): the row's token in front, steps told apart."""
        cells = cells.unflatten(0, (batch, -1))
        t, d = cells.shape[1], cells.shape[3]
        if t > 1:
            cells = cells + time_identity(t, d, cells)[:, None]
        if clock is not None and self.config.n_calendar:
            cells = cells + (clock.calendar.to(cells) @ self.calendar)[:, :, None]
        return torch.cat([self.row.expand(batch, t, 1, -1), cells], 2)
