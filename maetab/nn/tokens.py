"""Cells -> tokens: piecewise-linear numbers, embedded categories, identity of column and step."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from maetab.nn.guess.coordinates import Coordinates
from maetab.nn.guess.stack import Guess
from maetab.nn.piecewise import PiecewiseLinear


class Tokens(nn.Module):
    """One token per cell: of what is visible by its value, of what is not by the first guess.

    Parameters
    ----------
    n_levels : per column; 0 for a number
    n_pieces, width : P and D
    n_features : E of the evidence that the guess gives of every cell; 0 in tables
    n_parts : means that a guess is made of
    """

    def __init__(
        self,
        n_levels: tuple[int, ...],
        n_pieces: int,
        width: int,
        n_features: int = 0,
        n_parts: int = 3,
    ) -> None:
        super().__init__()
        self.n_levels, self.coordinates = n_levels, Coordinates(n_levels, 1).slices
        self.numbers = [j for j, n in enumerate(n_levels) if n == 0]
        self.categories = [j for j, n in enumerate(n_levels) if n]
        order = self.numbers + self.categories
        self.place = [order.index(j) for j in range(len(n_levels))]
        self.pieces = PiecewiseLinear(len(self.numbers), n_pieces)
        if self.numbers:
            shape = (len(self.numbers), self.pieces.size, width)
            scale = 1 / math.sqrt(self.pieces.size)
            self.number = nn.Parameter(torch.randn(shape) * scale)
            self.number_guess = nn.Parameter(torch.randn(shape) * scale)
            self.parts = nn.Parameter(torch.zeros(len(self.numbers), n_parts + 1, width))
        if self.categories:
            # The level behind the last is "unseen": known to be there, unknown to the model.
            shape = (len(self.categories), max(n_levels) + 1, width)
            self.level = nn.Parameter(torch.randn(shape) * 0.5)
        self.feature = nn.Parameter(torch.randn(len(n_levels), width) * 0.5)
        self.mask = nn.Parameter(torch.randn(width) * 0.02)
        self.evidence: nn.Parameter | None = None
        if n_features:
            shape = (len(n_levels), n_features, width)
            self.evidence = nn.Parameter(torch.randn(shape) / math.sqrt(n_features))

    def fit(self, values: Tensor, observed: Tensor) -> None:
        """Place the pieces of numbers by (n, F) values."""
        self.pieces.fit(values[:, self.numbers], observed[:, self.numbers])

    def visible(self, values: Tensor, guess: Guess | None = None) -> Tensor:
        """Return (B, F, D) tokens of cells whose value may be read; `values` (B, F)."""
        parts = []
        if self.numbers:
            encoded = self.pieces(values[:, self.numbers])
            parts.append(per_column(encoded, self.number))
        if self.categories:
            # A level that is not modelled has the code n_levels, as one that was never seen.
            most = torch.tensor([self.n_levels[j] for j in self.categories], device=values.device)
            code = torch.minimum(values[:, self.categories].long(), most)
            column = torch.arange(len(self.categories), device=values.device)
            parts.append(self.level[column, code])
        return torch.cat(parts, 1)[:, self.place] + self.feature + self._evidence(guess)

    def _evidence(self, guess: Guess | None) -> Tensor | float:
        """Return (B * T, F, D), what the guess knows of every cell, visible or not."""
        if self.evidence is None or guess is None or guess.evidence is None:
            return 0.0
        first = [own.start for own in self.coordinates]
        return per_column(guess.evidence.flatten(0, 1)[:, first], self.evidence)

    def hidden(self, guess: Guess) -> Tensor:
        """Return (B * T, F, D) mask tokens that carry the first guess."""
        mean, variance, means = (part.flatten(0, 1) for part in guess[:3])
        parts = []
        if self.numbers:
            first = [self.coordinates[j].start for j in self.numbers]
            encoded = self.pieces(mean[:, first])
            std = variance[:, first].sqrt()[..., None]
            rest = torch.cat([means[:, first].clamp(-8, 8), std], -1)  # (B * T, F, 4)
            parts.append(per_column(encoded, self.number_guess) + per_column(rest, self.parts))
        for i, j in enumerate(self.categories):
            linear = mean[:, self.coordinates[j]]
            parts.append((linear @ self.level[i, : self.n_levels[j]])[:, None])
        hidden = torch.cat(parts, 1)[:, self.place] + self.feature + self.mask
        return hidden + self._evidence(guess)


def per_column(values: Tensor, weight: Tensor) -> Tensor:
    """Return (B, F, Q): each column of `values` (B, F, P) through its own `weight` (F, P, Q)."""
    return torch.bmm(values.transpose(0, 1), weight).transpose(0, 1)


def time_identity(n_steps: int, width: int, like: Tensor) -> Tensor:
    """Return (T, D) sines and cosines that tell time steps apart (Vaswani et al. 2017, 3.5)."""
    step = torch.arange(n_steps, device=like.device, dtype=like.dtype)[:, None]
    rate = torch.exp(torch.arange(0, width, 2, device=like.device) * (-math.log(1e4) / width))
    waves = torch.cat([(step * rate).sin(), (step * rate).cos()], 1)
    return waves[:, :width]
