"""The model: first guess and networks, averaged and weighted column by column."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from maetab.nn.config import ModelConfig
from maetab.nn.guess.cells import CellGuess, read_guess, read_points
from maetab.nn.guess.memory import Nearest
from maetab.nn.guess.series import SeriesGuess
from maetab.nn.guess.stack import StackedGuess
from maetab.nn.losses import LOSSES, Loss, Prediction, Residual
from maetab.nn.network import Network
from maetab.nn.support import Support
from maetab.nn.windows import Clock, Windows

N_RANKS = 101  # quantiles of held-out ranks that are kept
LINE_PARTS = 6  # processes that what lines through gaps miss is made of
LEAST_CHANCE = 1e-12  # of a bin or level
NEAREST = 32  # rows whose values stand for how a cell is distributed (benchmarks/draws.py, TRIALS)
LEAST_WEIGHT = 1e-6  # of similar rows that know a cell, below which they are not asked
SURE = 0.2  # standard deviation of what is predicted, below which a number is as good as known


class Ensemble(nn.Module):
    """Networks averaged with each other and, column by column, weighted against the first guess.

    It alone owns the guess and its memory; networks get the guess as an argument.

    Buffers: `network_weight` (F,) the share of the networks; `residual_std` (F,) standard deviation
    of their point errors; `ranks` (F, 101) quantiles of where held-out truths fell in the predicted
    distributions, for intervals that cover what they say; of tables `sure_ranks` (F, 101), the same
    of cells that are as good as known, and `value_share` (F, heads), what the values of similar
    rows weigh in the distribution of a number, by head of the memory; of
    series, where numbers are predicted by mean and standard deviation, `residual_quantiles`
    (F, 101) of errors in units of the latter, and what `maetab.engine.line_errors` learns of lines
    through gaps: `line_variance` (F, 6), how much there is of each process in what they miss,
    `line_windows` (F,) windows' worth of cells behind it, `line_slope` (F,) median square of the
    way over a window, `line_kept` (F,) what one end tells a window away, `line_beyond` (F, 2)
    what that misses one and two windows away, `line_weight` (F,) what lines count beside other
    columns, `line_season` (P, F) beside which lines are straight, and
    `change_correlation` (F, F) of changes from row to row.
    """

    support: Support
    guess: StackedGuess | SeriesGuess
    network_weight: Tensor
    residual_std: Tensor
    ranks: Tensor
    sure_ranks: Tensor
    value_share: Tensor
    residual_quantiles: Tensor
    line_variance: Tensor
    line_windows: Tensor
    line_slope: Tensor
    line_kept: Tensor
    line_beyond: Tensor
    line_weight: Tensor
    change_correlation: Tensor
    line_season: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.support = Support(config.n_levels, config.n_bins)
        self.is_series = config.is_series
        of_series = self.is_series and config.loss == "distribution"
        self.loss: Loss = Residual() if of_series else loss_of(config.loss)
        shape = config.n_levels, config.n_steps, config.n_memory
        if self.is_series:
            clock_shape = config.n_phases, config.n_starts, config.n_calendar
            self.guess = SeriesGuess(*shape, clock_shape, config.guess)
        else:
            self.guess = StackedGuess(*shape, config.guess)
        size = self.support.size
        self.members = nn.ModuleList(Network(config, size) for _ in range(config.n_estimators))
        f = len(config.n_levels)
        self.register_buffer("network_weight", torch.zeros(f))
        self.register_buffer("residual_std", torch.ones(f))
        self.register_buffer("ranks", torch.linspace(0, 1, N_RANKS).repeat(f, 1))
        if self.is_series:
            normal = torch.special.ndtri(torch.linspace(0, 1, N_RANKS).clamp(1e-3, 1 - 1e-3))
            self.register_buffer("residual_quantiles", normal.repeat(f, 1))
            self.register_buffer("line_variance", torch.zeros(f, LINE_PARTS))
            self.register_buffer("line_windows", torch.zeros(f))
            self.register_buffer("line_slope", torch.full((f,), torch.nan))
            self.register_buffer("line_kept", torch.zeros(f))
            self.register_buffer("line_beyond", torch.zeros(f, 2))
            self.register_buffer("line_weight", torch.zeros(f))
            self.register_buffer("change_correlation", torch.eye(f))
            self.register_buffer("line_season", torch.zeros(config.n_phases, f))
        else:
            self.register_buffer("sure_ranks", self.ranks.clone())
            self.register_buffer("value_share", torch.zeros(f, self.guess.memory.n_heads))

    @property
    def networks(self) -> Iterable[Network]:
        """The members, as what they are."""
        return cast("Iterable[Network]", self.members)

    @property
    def uses_networks(self) -> bool:
        """Whether any network has weight; else predictions are the first guess."""
        return bool(self.network_weight.any())

    @property
    def knows_values(self) -> bool:
        """Whether values of similar rows were weighed, and ranks taken with them.

        Not of series, of too few held-out cells, and in models of earlier versions.
        """
        return not self.is_series and bool(self.value_share.any())

    def first_guess(
        self,
        values: Tensor,
        visible: Tensor,
        memory_index: Tensor | None = None,
        n_remembered: int | None = None,
        clock: Clock | None = None,
    ) -> CellGuess:
        """Return the first guess at the cells; parameters as in `forward`."""
        guess = self.guess(values, visible, memory_index, n_remembered, clock)
        return read_guess(guess, visible, self.support, in_bins=not self.is_series)

    def forward(
        self,
        values: Tensor,
        visible: Tensor,
        memory_index: Tensor | None = None,
        n_remembered: int | None = None,
        clock: Clock | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return probabilities (B, T, F, K) and points (B, T, F) of every cell; see `predicted`."""
        return self.predicted(values, visible, memory_index, n_remembered, clock)[:2]

    def predicted(
        self,
        values: Tensor,
        visible: Tensor,
        memory_index: Tensor | None = None,
        n_remembered: int | None = None,
        clock: Clock | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return probabilities (B, T, F, K), points and deviations (B, T, F) of every cell.

        The point of a number is its expectation, of a category its likeliest level. In series
        numbers have no bins: a number is told by its point and the standard deviation.

        Parameters
        ----------
        values : (B, T, F) float; what is not visible is never read
        visible : (B, T, F) bool
        memory_index : (B, P) remembered windows that share a physical row with each, -1 for none
        n_remembered : compare with so many of the remembered windows only; None for all
        clock : when the steps are; None in tables
        """
        guess = self.first_guess(values, visible, memory_index, n_remembered, clock)
        return self._blended(values, visible, guess, clock)

    def _blended(
        self, values: Tensor, visible: Tensor, guess: CellGuess, clock: Clock | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return what `predicted` does, from the first guess."""
        probabilities, point, std = guess.logits.softmax(-1), guess.point, guess.std
        if self.uses_networks:
            each = (self.predict(x, values, visible, guess, clock) for x in self.networks)
            predictions = list(each)
            found = torch.stack([self.probabilities(x) for x in predictions]).mean(0)
            points = torch.stack([x.point for x in predictions]).mean(0)
            stds = torch.stack([self._std(x) for x in predictions]).mean(0)
            probabilities = torch.lerp(probabilities, found, self.network_weight[:, None])
            point = torch.lerp(point, points, self.network_weight)
            std = torch.lerp(std, stds, self.network_weight)
        likeliest = probabilities.argmax(-1).float()
        return probabilities, torch.where(self.support.is_number, point, likeliest), std

    def distribution(
        self,
        values: Tensor,
        visible: Tensor,
        memory_index: Tensor | None = None,
        clock: Clock | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return what `predicted` does, the values of similar rows mixed into the probabilities.

        A normal knows nothing of values that are frequent, nor that there may be two likely ones;
        rows that are like this one do. It is what intervals and draws are made of.
        """
        if not self.knows_values:
            return self.predicted(values, visible, memory_index, clock=clock)
        (chances, points, std), parts = self.with_values(values, visible, memory_index)
        share = self.value_share.T[:, None, None, :, None]
        return chances + (share * (parts - chances)).sum(0), points, std

    def with_values(
        self, values: Tensor, visible: Tensor, memory_index: Tensor | None
    ) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor]:
        """Return what `predicted` does of rows of a table, and how the values of similar rows lie.

        (heads, B, 1, F, K), by head; where none of these rows knows a number, and for categories,
        what is predicted.
        """
        assert isinstance(self.guess, StackedGuess)
        guess = self.guess(values, visible, memory_index, n_nearest=NEAREST)
        found = self._blended(values, visible, read_guess(guess, visible, self.support), None)
        assert guess.nearest is not None
        return found, self._values_of(guess.nearest, found[0])

    def _values_of(self, nearest: Nearest, probabilities: Tensor) -> Tensor:
        """Return how the values of some remembered rows lie; see `with_values`."""
        memory, first = self.guess.memory, self.support.coordinates.first
        weight, place = nearest
        bins = self.support.index(memory.values[:, first]).clamp_min(0)
        bins, known = bins[place].transpose(-1, -2), memory.visible[:, first][place]
        mass = (weight[..., None] * known).transpose(-1, -2)  # (heads, B, F, N)
        found = mass.new_zeros(*mass.shape[:-1], self.support.size).scatter_add_(-1, bins, mass)
        total = mass.sum(-1, keepdim=True)
        told = (total > LEAST_WEIGHT) & self.support.is_number[:, None]
        found = torch.where(told, found / total.clamp_min(LEAST_WEIGHT), probabilities[:, 0])
        return found[:, :, None]

    def points(self, values: Tensor, visible: Tensor, memory_index: Tensor | None = None) -> Tensor:
        """Return the points (B, T, F) that `forward` gives, without probabilities if possible."""
        if self.uses_networks:
            return self(values, visible, memory_index)[1]
        return read_points(self.guess(values, visible, memory_index), visible, self.support)

    def quantile(self, probabilities: Tensor, points: Tensor, std: Tensor, level: Tensor) -> Tensor:
        """Return (B, F) the value below which a share of the calibrated distribution lies.

        Parameters
        ----------
        probabilities, points, std : (B, F, K), (B, F) and (B, F), as from `predicted`
        level : (B, F) in [0, 1], moved to where that share of held-out truths fell below
        """
        if not self.is_series:
            return self.support.quantile(probabilities, self._moved(level, std))
        if not any(self.config.n_levels):
            return points + std * _between(self.residual_quantiles, level)
        levels = self.support.quantile(probabilities, level)
        numbers = points + std * _between(self.residual_quantiles, level)
        return torch.where(self.support.is_number, numbers, levels)

    def interval(
        self, probabilities: Tensor, points: Tensor, std: Tensor, coverage: float
    ) -> tuple[Tensor, Tensor]:
        """Return (B, F) the ends of central intervals; parameters as in `quantile`."""
        low, high = (torch.full_like(points, (1 + side * coverage) / 2) for side in (-1, 1))
        if self.knows_values:
            low, high = (self._moved(level, std) for level in (low, high))
            return self.support.ends(probabilities, low, high)
        ends = (self.quantile(probabilities, points, std, level) for level in (low, high))
        return next(ends), next(ends)

    def _moved(self, level: Tensor, std: Tensor) -> Tensor:
        """Return levels (B, F), of numbers moved to where that share of held-out truths fell.

        Cells that are as good as known by others, and cells that are not, each have their own: what
        the predicted deviations are worth differs.
        """
        between = _between(self.ranks, level)
        between = torch.where(std < SURE, _between(self.sure_ranks, level), between)
        return torch.where(self.support.is_number, between, level).clamp(0, 1)

    def predict(
        self,
        network: nn.Module,
        values: Tensor,
        visible: Tensor,
        guess: CellGuess,
        clock: Clock | None = None,
    ) -> Prediction:
        """Return what one network predicts, the mean of its members."""
        output = network(values, visible, guess.coordinates, clock)
        prediction = self.read(output.raw, visible, guess)
        m = self.config.n_members
        if m == 1:
            return prediction
        mean = prediction.logits.unflatten(0, (m, -1)).softmax(-1).mean(0)
        point, std = prediction.point.unflatten(0, (m, -1)).mean(0), prediction.std
        std = None if std is None else std.unflatten(0, (m, -1)).mean(0)
        return Prediction(mean.clamp_min(LEAST_CHANCE).log(), point, std)

    def read(self, raw: Tensor, visible: Tensor, guess: CellGuess) -> Prediction:
        """Return what the members of a network predict, (M * B, ...), from its output."""
        m = self.config.n_members
        if m > 1:
            visible = visible.repeat(m, 1, 1)
            guess = CellGuess(guess.coordinates, *(torch.cat([x] * m) for x in guess[1:]))
        return self.loss.read(raw, guess, visible, self.support)

    def _std(self, prediction: Prediction) -> Tensor:
        given = prediction.std
        return self.residual_std.expand_as(prediction.point) if given is None else given

    def probabilities(self, prediction: Prediction) -> Tensor:
        """Return (B, T, F, K), the distributions that a prediction stands for."""
        return self.loss.probabilities(prediction, self.residual_std, self.support)

    def forget_parts(self) -> None:
        """Forget the guesses that know nothing of a part of the windows: a fit alone needs them."""
        self.guess.folds = []

    def recognised(self, windows: Windows) -> Windows:
        """Return the same windows, which know whether the first guess was fitted to them."""
        if not isinstance(self.guess, SeriesGuess):
            return windows
        return replace(windows, seen=self.guess.optimism.seen(windows))

    def drop_networks(self) -> None:
        """Leave the first guess alone."""
        self.members = nn.ModuleList()
        self.config = replace(self.config, n_estimators=0)


def _between(table: Tensor, level: Tensor) -> Tensor:
    """Return (B, F) entries of `table` (F, N) at places `level` (B, F) in [0, 1], interpolated."""
    place = level * (table.shape[1] - 1)
    below = place.long().clamp_max(table.shape[1] - 2)
    column = torch.arange(level.shape[1], device=level.device)
    lower, upper = table[column, below], table[column, below + 1]
    return lower + (place - below) * (upper - lower)


def loss_of(loss: str | Loss) -> Loss:
    """Return the loss of that name, or the object itself."""
    return LOSSES[loss]() if isinstance(loss, str) else loss
