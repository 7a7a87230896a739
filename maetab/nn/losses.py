"""How far predictions are from the truth: "distribution" (default), "mse", "mae" and "cosine".

Each loss is one class, which knows how to read what the network's head gives, how it is trained,
and which distribution it means; users may pass an object of their own that follows `Loss`.
Categories are learned by cross-entropy whatever the loss (`cross_entropy`).
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

import torch
import torch.nn.functional as nnf
from torch import Tensor

from maetab.nn.guess.cells import CellGuess
from maetab.nn.support import Support

# Squared errors count no more than that of five standard deviations: one wild cell would otherwise
# outweigh a batch.
MAX_SQUARE = 25.0
# What the likelihood of the deviation weighs beside the error of the point, and the least
# deviation of a standardised number.
OF_STD, LEAST_STD = 0.1, 1e-3


class Prediction(NamedTuple):
    """What is predicted of every cell: logits (B, T, F, K), point and, if any, std (B, T, F)."""

    logits: Tensor
    point: Tensor
    std: Tensor | None = None


@runtime_checkable
class Loss(Protocol):
    """How the head is read, trained and understood."""

    def read(self, raw: Tensor, guess: CellGuess, visible: Tensor, support: Support) -> Prediction:
        """Return the prediction that `raw` (B, T, F, K), the output of the head, stands for."""

    def __call__(
        self, prediction: Prediction, values: Tensor, weight: Tensor, support: Support
    ) -> Tensor:
        """Return the mean loss of the cells that count, a scalar.

        Parameters
        ----------
        values : (B, T, F) the truth
        weight : (B, T, F) what each cell counts; 0 leaves it out
        """

    def probabilities(
        self, prediction: Prediction, residual_std: Tensor, support: Support
    ) -> Tensor:
        """Return (B, T, F, K) probabilities of bins and levels.

        residual_std : (F,) standard deviation of the point's errors at held-out cells
        """


class Distribution:
    """Cross-entropy over bins and levels (BinXent, Lee et al. 2024, section 3).

    Differs from BinXent: the squared error of the expectation is added, because the expectation is
    what fills a cell; it is clipped at `MAX_SQUARE`.
    """

    def read(self, raw: Tensor, guess: CellGuess, visible: Tensor, support: Support) -> Prediction:
        # The guess may lie beyond all bins: the network moves it and does not replace it.
        logits = guess.logits + raw
        before, after = ((x.softmax(-1) * support.center).sum(-1) for x in (guess.logits, logits))
        return Prediction(logits, torch.where(visible, after, guess.point + after - before))

    def __call__(
        self, prediction: Prediction, values: Tensor, weight: Tensor, support: Support
    ) -> Tensor:
        everywhere = torch.ones_like(support.is_number)
        error = _squared_error(prediction.point, values, *counted(values, weight, support))
        return cross_entropy(prediction, values, weight, support, everywhere) + error

    def probabilities(
        self, prediction: Prediction, residual_std: Tensor, support: Support
    ) -> Tensor:
        return prediction.logits.softmax(-1)


class PointLoss:
    """A loss of numbers as points; a subclass gives `of_numbers`.

    The distribution of a number is the normal around its point with the spread of held-out errors.
    """

    def of_numbers(self, point: Tensor, truth: Tensor, weight: Tensor, total: Tensor) -> Tensor:
        """Return the loss of the numbers, a scalar.

        Parameters
        ----------
        point, truth : (B, F), 0 in `truth` where the weight is 0
        weight : (B, F) what each cell counts, 0 for categories
        total : sum of the weights of all cells, categories too
        """
        raise NotImplementedError

    def read(self, raw: Tensor, guess: CellGuess, visible: Tensor, support: Support) -> Prediction:
        number = support.is_number[:, None]
        logits = torch.where(number, guess.logits, guess.logits + raw)
        return Prediction(logits, torch.where(visible, 0.0, guess.point) + raw[..., 0])

    def __call__(
        self, prediction: Prediction, values: Tensor, weight: Tensor, support: Support
    ) -> Tensor:
        entropy = cross_entropy(prediction, values, weight, support, ~support.is_number)
        numbers, total = counted(values, weight, support)
        truth = torch.where(numbers > 0, values.flatten(0, 1), 0.0)
        return entropy + self.of_numbers(prediction.point.flatten(0, 1), truth, numbers, total)

    def probabilities(
        self, prediction: Prediction, residual_std: Tensor, support: Support
    ) -> Tensor:
        normal = support.number_logits(prediction.point.flatten(0, 1), residual_std.square())
        normal = normal.view_as(prediction.logits)
        return torch.where(support.is_number[:, None], normal, prediction.logits).softmax(-1)


class SquaredError(PointLoss):
    """Mean squared error, clipped at `MAX_SQUARE`."""

    def of_numbers(self, point: Tensor, truth: Tensor, weight: Tensor, total: Tensor) -> Tensor:
        return _squared_error(point, truth, weight, total)


class AbsoluteError(PointLoss):
    """Mean absolute error."""

    def of_numbers(self, point: Tensor, truth: Tensor, weight: Tensor, total: Tensor) -> Tensor:
        return ((point - truth).abs() * weight).sum() / total


class Cosine(PointLoss):
    """One minus the cosine of the angle between the numbers of a row and their prediction.

    A row counts by what its numbers do.
    """

    def of_numbers(self, point: Tensor, truth: Tensor, weight: Tensor, total: Tensor) -> Tensor:
        similar = nnf.cosine_similarity(point * weight, truth * weight, dim=1, eps=1e-6)
        return ((1 - similar) * weight.sum(1)).sum() / total


class Residual(PointLoss):
    """The absolute error of numbers, in units of what the first guess is unsure by.

    What "distribution" is for series: cells between near neighbours are known far more precisely
    than bins could tell. The network moves the guess by a number of its standard deviations, and
    scales these. Errors below a tenth of a standard deviation of the column count by their square.
    """

    def read(self, raw: Tensor, guess: CellGuess, visible: Tensor, support: Support) -> Prediction:
        number = support.is_number[:, None]
        logits = torch.where(number, guess.logits, guess.logits + raw)
        moved = guess.point + torch.where(visible, 0.0, guess.std * raw[..., 0])
        std = guess.std * raw[..., 1].clamp(-2, 2).exp()
        return Prediction(logits, moved, torch.where(visible, 1.0, std.clamp_min(LEAST_STD)))

    def __call__(
        self, prediction: Prediction, values: Tensor, weight: Tensor, support: Support
    ) -> Tensor:
        assert prediction.std is not None
        numbers, total = counted(values, weight, support)
        missed = self._missed(prediction, values, numbers).detach()
        std = prediction.std.flatten(0, 1)
        of_std = std.log() + (missed / std).square().clamp_max(MAX_SQUARE) / 2
        error = self.of_points(prediction, values, weight, support)
        return error + OF_STD * (of_std * numbers).sum() / total

    def of_points(
        self, prediction: Prediction, values: Tensor, weight: Tensor, support: Support
    ) -> Tensor:
        """Return the loss without what the deviations add: what a network is judged by."""
        entropy = cross_entropy(prediction, values, weight, support, ~support.is_number)
        numbers, total = counted(values, weight, support)
        missed = self._missed(prediction, values, numbers)
        size = nnf.smooth_l1_loss(missed, torch.zeros_like(missed), beta=0.1, reduction="none")
        return entropy + (size * numbers).sum() / total

    def _missed(self, prediction: Prediction, values: Tensor, numbers: Tensor) -> Tensor:
        truth = torch.where(numbers > 0, values.flatten(0, 1), 0.0)
        return prediction.point.flatten(0, 1) - truth

    def probabilities(
        self, prediction: Prediction, residual_std: Tensor, support: Support
    ) -> Tensor:
        return prediction.logits.softmax(-1)


LOSSES: dict[str, type[Distribution | PointLoss]] = {
    "distribution": Distribution,
    "mse": SquaredError,
    "mae": AbsoluteError,
    "cosine": Cosine,
}


def cross_entropy(
    prediction: Prediction, values: Tensor, weight: Tensor, support: Support, columns: Tensor
) -> Tensor:
    """Return the mean cross-entropy of the cells of some `columns` (F,) bool, a scalar.

    The mean is over the weights of all columns; levels that are not modelled do not count.
    """
    index = support.index(values.flatten(0, 1))
    _, total = counted(values, weight, support)
    counts = torch.where((index >= 0) & columns, weight.flatten(0, 1), 0.0)
    entropy = nnf.cross_entropy(
        prediction.logits.flatten(0, 2), index.clamp_min(0).flatten(), reduction="none"
    )
    return (entropy.view_as(counts) * counts).sum() / total


def counted(values: Tensor, weight: Tensor, support: Support) -> tuple[Tensor, Tensor]:
    """Return the weights of numbers (B * T, F), and the sum of those of all cells that count."""
    flat = weight.flatten(0, 1)
    known = torch.where(support.index(values.flatten(0, 1)) >= 0, flat, 0.0)
    return torch.where(support.is_number, known, 0.0), known.sum().clamp_min(1e-6)


def _squared_error(point: Tensor, values: Tensor, weight: Tensor, total: Tensor) -> Tensor:
    error = point.view_as(weight) - torch.where(weight > 0, values.view_as(weight), 0.0)
    return (error.square().clamp_max(MAX_SQUARE) * weight).sum() / total
