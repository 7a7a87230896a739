"""The first guess: base guess and memory, weighted coordinate by coordinate, read as cells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from maetab.nn.guess.coordinates import Coordinates
from maetab.nn.guess.gaussian import Normal
from maetab.nn.guess.memory import N_HEADS, Nearest, Neighbours, RowMemory
from maetab.nn.guess.options import GuessOptions
from maetab.nn.guess.shrinkage import Rows, fit_base, of_each_fold
from maetab.nn.guess.tuning import tune
from maetab.nn.guess.weights import corrections, fit_weights
from maetab.nn.windows import Clock, Windows

FITTED_ROWS = 10_000  # that the base guess is fitted to: every k-th where there are twice as many
JUDGED = 0.15  # share of the windows that metric and weights are judged by, and not learned from
# Shares of the time after which base guess, metric and weights are left as they are.
TIMES = (0.3, 0.5, 0.6)


class Guess(NamedTuple):
    """What is guessed of each coordinate before any network looks.

    mean, variance : (B, T, C); the value and 0 where visible
    parts : (B, T, C, P) means of the base guess, of similar windows, and of the base guess
        corrected by what it missed in similar windows, the last two for each head of the memory;
        of series those of `SeriesGuess`
    evidence : (B, T, C, E) what else is known of a cell, visible or not; None in tables
    nearest : the windows that are most similar; None in series
    """

    mean: Tensor
    variance: Tensor
    parts: Tensor
    evidence: Tensor | None = None
    nearest: Nearest | None = None


class Answers(NamedTuple):
    """What similar windows say: by head, or mixed where there are no keys; (B, C) how they vary;
    and which are most similar.
    """

    heads: list[Neighbours]
    variance: Tensor
    nearest: Nearest


class StackedGuess(nn.Module):
    """A base guess and a memory of windows, weighted by least squares.

    Parameters
    ----------
    n_levels : per column; 0 for a number
    n_steps : T
    n_memory : windows that the memory holds
    options : GuessOptions
    """

    base: Any
    memory: RowMemory
    stack_weights: Tensor
    variance_weights: Tensor
    slope: Tensor
    is_number: Tensor

    def __init__(
        self, n_levels: tuple[int, ...], n_steps: int, n_memory: int, options: GuessOptions
    ) -> None:
        super().__init__()
        self.options, self.n_steps = options, n_steps
        self.coordinates = Coordinates(n_levels, n_steps)
        n = self.coordinates.size
        self.base = options.make_base(n)
        numbers = self.coordinates.of_numbers
        self.folds: list[Any] = []  # while a model is fitted, the same without a part of the rows
        self.memory = RowMemory(
            self.coordinates.cells, n_memory, n_steps, numbers, options.key_width, options.n_metrics
        )
        self.register_buffer("stack_weights", torch.zeros(n, n_corrections(options)))
        self.register_buffer("variance_weights", torch.full((n, 2), 0.5))
        self.register_buffer("slope", torch.ones(n))
        self.register_buffer("is_number", torch.tensor(numbers), persistent=False)

    @property
    def whole_batches(self) -> bool:
        """Whether a row's result depends, in the last bit, on how many are asked together."""
        return bool(getattr(self.base, "whole_batches", True))

    @torch.no_grad()
    def forward(
        self,
        values: Tensor,
        visible: Tensor,
        memory_index: Tensor | None = None,
        n_remembered: int | None = None,
        clock: Clock | None = None,
        n_nearest: int = 0,
    ) -> Guess:
        """Return the guess at cells (B, T, F); what is not visible is never read.

        Parameters
        ----------
        memory_index : (B, P) remembered windows that share a physical row with each, -1 for none
        n_remembered : compare with so many of the remembered windows only; None for all
        clock : not read
        n_nearest : of the most similar windows to be told, at most
        """
        cells = self.coordinates.expand(torch.where(visible, values, 0.0), visible)
        guess = self.guess(*cells, memory_index, n_remembered, n_nearest=n_nearest)
        mean, variance, parts = (x.unflatten(1, (self.n_steps, -1)) for x in guess[:3])
        return Guess(mean, variance, parts, nearest=guess.nearest)

    @torch.no_grad()
    def guess(
        self,
        values: Tensor,
        visible: Tensor,
        memory_index: Tensor | None = None,
        n_remembered: int | None = None,
        clock: Clock | None = None,
        n_nearest: int = 0,
    ) -> Guess:
        """Return the guess at coordinates, (B, T * C) each, without the axis of the steps."""
        normal = self.base_guess(values, visible, memory_index)
        near = self.near(values, visible, normal, memory_index, n_remembered, None, n_nearest)
        weights = self.stack_weights.to(values.dtype)
        mean = self.slope * (normal.mean + (corrections(normal, near.heads) * weights).sum(-1))
        own, of_near = self.variance_weights.unbind(1)
        variance = own * normal.variance + of_near * near.variance
        heads = near.heads
        each = (x for h in heads for x in (h.mean, normal.mean + h.residual))
        parts = torch.stack([normal.mean, *each], -1)
        mean = torch.where(visible, values, mean)
        return Guess(mean, torch.where(visible, 0.0, variance), parts, nearest=near.nearest)

    @torch.no_grad()
    def means(
        self,
        values: Tensor,
        visible: Tensor,
        asked: Tensor,
        memory_index: Tensor | None = None,
        n_remembered: int | None = None,
    ) -> Tensor:
        """Return (B, T * C) the means that `guess` gives for some cells; 0 at other coordinates.

        asked : (T * F,) bool, cells that are visible in no window
        """
        wanted = asked[self.memory.cells]
        whole = self._ask(values, visible, wanted)
        normal = Normal(*(part[:, wanted] for part in whole))
        near = self.near(values, visible, whole, memory_index, n_remembered, asked)
        weights = self.stack_weights[wanted].to(values.dtype)
        means = torch.zeros_like(values)
        corrected = normal.mean + (corrections(normal, near.heads) * weights).sum(-1)
        means[:, wanted] = self.slope[wanted] * corrected
        return means

    def near(
        self,
        values: Tensor,
        visible: Tensor,
        normal: Normal,
        memory_index: Tensor | None,
        n_remembered: int | None = None,
        asked: Tensor | None = None,
        n_nearest: int = 0,
    ) -> Answers:
        """Return what similar windows say of coordinates, (B, C) each; parameters as in `means`.

        normal : the base guess at all coordinates
        """
        keys = None
        if self.memory.keys is not None:
            ours = self.memory.keys(self.memory.keys.features(normal, visible))
            keys = ours, self.memory.keys.kept[:, :n_remembered]
        given = values, visible, memory_index, n_remembered, asked, keys, n_nearest
        found, nearest = self.memory.read(*given)
        mixed = self.memory.mixed(found, asked)
        heads = [mixed]
        if keys is not None:
            heads = [Neighbours(*of_head) for of_head in zip(*found, strict=True)]
        return Answers(heads, mixed.variance, nearest)

    def _ask(self, values: Tensor, visible: Tensor, wanted: Tensor) -> Normal:
        """Return the base guess; at other coordinates than the `wanted` it may miss the variance.

        Of rows that show all others it is asked for the wanted coordinates alone, which costs less.
        """
        if self.whole_batches or not hasattr(self.base, "ask"):
            return self.base(values, visible)
        mean, variance = torch.where(visible, values, 0.0), torch.zeros_like(values)
        asked = self.base.ask(values, visible, wanted)
        mean[:, wanted], variance[:, wanted] = asked
        short = ~visible[:, ~wanted].all(1)
        if self.memory.keys is not None and bool(short.any()):
            mean[short], variance[short] = self.base(values[short], visible[short])
        return Normal(mean, variance)

    def base_guess(self, values: Tensor, visible: Tensor, memory_index: Tensor | None) -> Normal:
        """Return the base guess; of remembered rows, while there are folds, that of their fold.

        memory_index : as in `forward`
        """
        if not self.folds or memory_index is None:
            return self.base(values, visible)

        def ask(base: Any, rows: Tensor) -> Normal:
            return base(values[rows], visible[rows])

        return Normal(*of_each_fold(self.base, self.folds, memory_index[:, 0], ask))

    def residuals(self, values: Tensor, visible: Tensor) -> Tensor:
        """Return (n, C): each visible value less the base guess from the other cells; 0 else."""
        if hasattr(self.base, "residuals"):
            return self.base.residuals(values, visible)
        missed = torch.zeros_like(values)
        for own in self.coordinates.slices:
            others = visible.clone()
            others[:, own] = False
            missed[:, own] = values[:, own] - self.base(values, others).mean[:, own]
        return torch.where(visible, missed, 0.0)

    def fit(
        self,
        windows: Windows,
        generator: torch.Generator,
        batch_size: int,
        time_used: Callable[[], float] = lambda: 0.0,
    ) -> Windows:
        """Learn everything from windows.

        Parameters
        ----------
        batch_size : windows in a step of tuning
        time_used : returns the share of the time that has passed; each stage stops at its own, see
            `TIMES`, and does little if that has passed before it begins

        Returns
        -------
        windows : the same, which know now by which remembered windows their rows are held
        """
        n, device = len(windows), windows.rows.device
        chosen = _remembered(windows, len(self.memory.values), generator)
        in_table = self.n_steps == 1
        # Folds go by places in the memory, which in a small table holds all rows.
        every = slice(None, None, max(1, -(-n // FITTED_ROWS)))
        known = in_table and len(chosen) == n
        cells = self.coordinates.expand(*windows.take(chosen if known else every))
        folds = self._fit_base(*cells, in_table, lambda: time_used() > TIMES[0])
        windows = windows.remember(chosen)
        cells = self.coordinates.expand(*windows.take(chosen))
        self.memory.fill(*cells, self.residuals(*cells), windows.memory_index(chosen))
        if n > 1:
            stop = (lambda: time_used() > TIMES[1]), (lambda: time_used() > TIMES[2])
            order = torch.randperm(n, generator=generator, device=device)
            judged, learned = order.tensor_split([max(1, round(JUDGED * n))])
            lesson = tune(self, windows, learned, judged, generator, batch_size, stop[0])
            if self.options.resized and in_table and n > 2 * self.options.n_remembered:
                self.remember_first(lesson.enough(judged, generator, stop[0]))
                windows = windows.remember(chosen[: len(self.memory.values)])
            fit_weights(self, windows, learned, judged, generator, stop[1])
        self.folds = folds if known else []
        return windows

    def _fit_base(
        self, values: Tensor, visible: Tensor, in_table: bool, should_stop: Callable[[], bool]
    ) -> list[Any]:
        """Fit the base guess; of tables also one for each fold of the rows, which are returned."""
        if not in_table or not self.options.cross_fitted:
            self.base.fit(values, visible, should_stop=should_stop)
            return []
        owner = torch.tensor(self.coordinates.cells, device=values.device)
        return fit_base(self.base, Rows(values, visible, owner), should_stop)

    def remember_first(self, n: int) -> None:
        """Forget all but the first `n` remembered windows."""
        memory, keys = self.memory, self.memory.keys
        for name in ("values", "visible", "residuals", "overlaps"):
            setattr(memory, name, getattr(memory, name)[:n].clone())
        if keys is not None:
            keys.kept = keys.kept[:, :n].clone()

    def hide(
        self, windows: Windows, chosen: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return coordinates (B, C), which are visible, and which were hidden just now."""
        values, observed = windows.take(chosen)
        drawn = torch.rand(observed.shape, generator=generator, device=observed.device)
        cells, visible = self.coordinates.expand(
            values, observed & (drawn >= self.options.hidden_ratio)
        )
        _, known = self.coordinates.expand(values, observed)
        return cells, visible, known & ~visible


def _remembered(windows: Windows, most: int, generator: torch.Generator) -> Tensor:
    """Return which windows are remembered, in random order, `most` at most.

    First, up to half of them, those that know a column that few rows know, as where few are
    labelled: of any sample of the windows hardly one would.
    """
    n, device = len(windows), windows.rows.device
    chosen = torch.randperm(n, generator=generator, device=device)
    rare = windows.observed[:, windows.observed.sum(0) <= most // 2].any(1)
    if n <= most or not bool(rare.any()):
        return chosen[:most]
    rows = windows.rows[chosen]
    knows = (rare[rows.clamp_min(0)] & (rows >= 0)).any(1)
    first = chosen[knows][: most // 2]
    kept = torch.cat([first, chosen[~knows], chosen[knows][most // 2 :]])[:most]
    return kept[torch.randperm(most, generator=generator, device=device)]


def n_corrections(options: GuessOptions) -> int:
    """Return how many corrections of the base guess are weighted: two of each head with keys."""
    return 2 * options.n_metrics * N_HEADS if options.key_width else 2
