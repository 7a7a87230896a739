"""The model: first guess and networks, averaged and weighted column by column."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from maetab.nn.config import ModelConfig
from maetab.nn.guess.cells import CellGuess, read_guess, read_points
from maetab.nn.guess.stack import StackedGuess
from maetab.nn.losses import LOSSES, Loss, Prediction
from maetab.nn.network import Network
from maetab.nn.support import Support

N_RANKS = 101  # quantiles of held-out ranks that are kept


class Ensemble(nn.Module):
    """Networks averaged with each other and, column by column, weighted against the first guess.

    It alone owns the guess and its memory; networks get the guess as an argument.

    Buffers: `network_weight` (F,) the share of the networks; `residual_std` (F,) standard deviation
    of their point errors; `ranks` (F, 101) quantiles of where held-out truths fell in the predicted
    distributions, for intervals that cover what they say.
    """

    support: Support
    guess: StackedGuess
    network_weight: Tensor
    residual_std: Tensor
    ranks: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.loss = loss_of(config.loss)
        self.support = Support(config.n_levels, config.n_bins)
        self.guess = StackedGuess(config.n_levels, config.n_steps, config.n_memory, config.guess)
        size = self.support.size
        self.members = nn.ModuleList(Network(config, size) for _ in range(config.n_estimators))
        f = len(config.n_levels)
        self.register_buffer("network_weight", torch.zeros(f))
        self.register_buffer("residual_std", torch.ones(f))
        self.register_buffer("ranks", torch.linspace(0, 1, N_RANKS).repeat(f, 1))

    @property
    def networks(self) -> Iterable[Network]:
        """The members, as what they are."""
        return cast("Iterable[Network]", self.members)

    @property
    def uses_networks(self) -> bool:
        """Whether any network has weight; else predictions are the first guess."""
        return bool(self.network_weight.any())

    def first_guess(
        self,
        values: Tensor,
        visible: Tensor,
        memory_index: Tensor | None = None,
        n_remembered: int | None = None,
    ) -> CellGuess:
        """Return the first guess at the cells; parameters as in `forward`."""
        guess = self.guess(values, visible, memory_index, n_remembered)
        return read_guess(guess, visible, self.support)

    def forward(
        self,
        values: Tensor,
        visible: Tensor,
        memory_index: Tensor | None = None,
        n_remembered: int | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return probabilities (B, T, F, K) and points (B, T, F) of every cell.

        The point of a number is its expectation, of a category its likeliest level.

        Parameters
        ----------
        values : (B, T, F) float; what is not visible is never read
        visible : (B, T, F) bool
        memory_index : (B, P) remembered windows that share a physical row with each, -1 for none
        n_remembered : compare with so many of the remembered windows only; None for all
        """
        guess = self.first_guess(values, visible, memory_index, n_remembered)
        probabilities, point = guess.logits.softmax(-1), guess.point
        if self.uses_networks:
            predictions = [self.predict(one, values, visible, guess) for one in self.networks]
            found = torch.stack([self.probabilities(x) for x in predictions]).mean(0)
            points = torch.stack([x.point for x in predictions]).mean(0)
            probabilities = torch.lerp(probabilities, found, self.network_weight[:, None])
            point = torch.lerp(point, points, self.network_weight)
        likeliest = probabilities.argmax(-1).float()
        return probabilities, torch.where(self.support.is_number, point, likeliest)

    def points(self, values: Tensor, visible: Tensor, memory_index: Tensor | None = None) -> Tensor:
        """Return the points (B, T, F) that `forward` gives, without probabilities if possible."""
        if self.uses_networks:
            return self(values, visible, memory_index)[1]
        return read_points(self.guess(values, visible, memory_index), visible, self.support)

    def predict(
        self, network: nn.Module, values: Tensor, visible: Tensor, guess: CellGuess
    ) -> Prediction:
        """Return what one network predicts."""
        output = network(values, visible, guess.coordinates)
        return self.loss.read(output.raw, guess, visible, self.support)

    def probabilities(self, prediction: Prediction) -> Tensor:
        """Return (B, T, F, K), the distributions that a prediction stands for."""
        return self.loss.probabilities(prediction, self.residual_std, self.support)

    def keep(self, n_members: int) -> None:
        """Keep the first networks alone; without any the first guess is what is predicted."""
        self.members = self.members[:n_members]
        self.config = replace(self.config, n_estimators=n_members)


def loss_of(loss: str | Loss) -> Loss:
    """Return the loss of that name, or the object itself."""
    return LOSSES[loss]() if isinstance(loss, str) else loss
