"""The first guess at windows of several steps: interpolation and Gaussians, mixed cell by cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from maetab.nn.guess.coordinates import Coordinates
from maetab.nn.guess.grouping import AnyGaussian, new_gaussian
from maetab.nn.guess.interpolation import Interpolated, interpolate
from maetab.nn.guess.memory import RowMemory
from maetab.nn.guess.mixture import PRIOR, Evidence, Mixture, surprise
from maetab.nn.guess.optimism import Optimism
from maetab.nn.guess.options import GuessOptions
from maetab.nn.guess.similar import MOST, similar
from maetab.nn.guess.stack import Guess
from maetab.nn.guess.window_gaussian import Conditional
from maetab.nn.windows import Clock, Windows

N_GUESSES, N_FEATURES = 6, 8
FAR = 1000.0  # steps to a visible cell where there is none
OF_LEVEL = (1, 3)  # guesses that take the level of a column for known
EQUAL = 1e-6  # mean square of differences of windows that are taken for one and the same
WILD = 8.0  # standard deviations beyond which networks do not tell numbers apart


Kinds = tuple[AnyGaussian, AnyGaussian, AnyGaussian]


class Look(NamedTuple):
    """What is seen of cells before guesses are weighted, (B, T, c, ...) each.

    guesses : (..., K)
    missed : (..., K) what each misses at a visible cell that it does not see; else without meaning
    lines : of the interpolation
    plain : of the Gaussian, whose location is that of what is left without the season
    shift : (B, c) how far levels are from where it has them, see `Evidence`
    """

    guesses: Tensor
    missed: Tensor
    lines: Interpolated
    plain: Conditional
    shift: Tensor


class SeriesGuess(nn.Module):
    """A guess at the cells of windows of T steps.

    Six guesses: interpolation along time; a Gaussian over all cells of a window, of what is left
    when the mean of each phase of the period is taken off; the same where the level of a window is
    unknown, and where neighbouring steps share less; the mean of similar windows that are
    remembered; and the Gaussian of what is left when that mean is taken off. `Mixture` weighs them.

    Parameters
    ----------
    n_levels : per column; 0 for a number
    n_steps : T
    n_memory : windows that are remembered, for what compares windows
    n_phases, n_starts, n_calendar : as in `ModelConfig`
    options : GuessOptions

    Attributes
    ----------
    gaussians : of windows that start at any phase, then of those that start at each of `starts`;
        three each: as fitted, with unknown level, with more noise
    folds : while a model is fitted, the same without a part of the windows each
    season : (n_phases, c) mean of each phase
    usual : (c, K) mean absolute error of each guess at single cells
    lasting, moving : (F,) what is left of a column's distance from its season a window later, in
        [0, 1], and whether it changes from one row to the next
    remembered_cells : (M, T, c) coordinates of remembered windows less the season, completed
    remembered_part : (M,) the part that each belongs to while a model is fitted, -1 for none
    """

    season: Tensor
    starts: Tensor
    usual: Tensor
    lasting: Tensor
    moving: Tensor
    remembered_cells: Tensor
    remembered_part: Tensor
    remembered_position: Tensor
    remembered_phase: Tensor
    remembered_calendar: Tensor
    whole_batches = False  # products in double precision; what is given is rounded to single

    def __init__(
        self,
        n_levels: tuple[int, ...],
        n_steps: int,
        n_memory: int,
        clock_shape: tuple[int, int, int],
        options: GuessOptions,
    ) -> None:
        super().__init__()
        n_phases, n_starts, n_calendar = clock_shape
        self.options, self.n_steps = options, n_steps
        self.coordinates = Coordinates(n_levels, n_steps)
        step = self.coordinates.step_size
        self.memory = RowMemory(self.coordinates.cells, n_memory, n_steps)
        self.register_buffer("season", torch.zeros(n_phases, step, dtype=torch.float64))
        self.register_buffer("lasting", torch.ones(len(n_levels), dtype=torch.float64))
        self.register_buffer("moving", torch.ones(len(n_levels), dtype=torch.bool))
        self.register_buffer("starts", torch.full((n_starts,), -1))
        self.register_buffer("usual", torch.ones(step, N_GUESSES, dtype=torch.float64))
        n_similar = min(n_memory, MOST)
        self.register_buffer("remembered_cells", torch.zeros(n_similar, n_steps, step))
        part = torch.full((n_similar,), -1)
        self.register_buffer("remembered_part", part, persistent=False)
        position = torch.arange(n_steps).double().repeat(n_memory, 1)
        self.register_buffer("remembered_position", position)
        self.register_buffer("remembered_phase", torch.zeros(n_memory, n_steps, dtype=torch.long))
        self.register_buffer("remembered_calendar", torch.zeros(n_memory, n_steps, n_calendar))
        self.gaussians = self.new_gaussians()
        self.mixture = Mixture(step, N_GUESSES, OF_LEVEL)
        self.optimism = Optimism(step, N_GUESSES)
        self.folds: list[nn.ModuleList] = []

    def new_gaussians(self) -> nn.ModuleList:
        """Return Gaussians that know nothing."""
        n, shape = 1 + len(self.starts), (self.coordinates.step_size, self.n_steps)
        kinds = ([new_gaussian(*shape, n) for _ in range(3)] for _ in range(n))
        return nn.ModuleList(map(nn.ModuleList, kinds)).to(self.season.device)

    @torch.no_grad()
    def forward(
        self,
        values: Tensor,
        visible: Tensor,
        memory_index: Tensor | None = None,
        n_remembered: int | None = None,
        clock: Clock | None = None,
    ) -> Guess:
        """Return the guess at cells (B, T, F); what is not visible is never read.

        Parameters
        ----------
        memory_index : (B, P) remembered windows that share a row with each, -1 for none
        n_remembered : not read: a bounded number of remembered windows is looked at
        clock : of the windows; None for steps of one length without phase
        """
        cells = self.coordinates.expand(torch.where(visible, values, 0.0), visible)
        guess = self.guess(*cells, memory_index, clock=clock)
        each = (guess.mean, guess.variance, guess.parts, cast("Tensor", guess.evidence))
        mean, variance, parts, evidence = (x.unflatten(1, (self.n_steps, -1)) for x in each)
        return Guess(mean, variance, parts, evidence)

    @torch.no_grad()
    def guess(
        self,
        values: Tensor,
        visible: Tensor,
        memory_index: Tensor | None = None,
        n_remembered: int | None = None,
        clock: Clock | None = None,
    ) -> Guess:
        """Return the guess at coordinates, (B, T * c, ...) each, without the axis of the steps."""
        cells, shown = (x.unflatten(1, (self.n_steps, -1)) for x in (values.double(), visible))
        clock = clock or _still(shown)
        look = self.look(cells, shown, clock, memory_index)
        evidence = self.evidence(look, shown, clock.seen)
        mean, std = self.mixture(evidence, self.firsts(cells.device))
        surprise = self.surprise((cells - mean) / std, shown, clock.seen)
        std = std * self.mixture.stretch(surprise)
        mean, variance = torch.where(shown, cells, mean), torch.where(shown, 0.0, std.square())
        each = mean, variance, look.guesses, _features(look, evidence, std, shown)
        mean, variance, parts, known = (x.flatten(1, 2).to(values.dtype) for x in each)
        return Guess(mean, variance, parts, known)

    def expand(
        self, values: Tensor, visible: Tensor, clock: Clock | None
    ) -> tuple[Tensor, Tensor, Clock]:
        """Return coordinates (B, T, c) in double precision, which are visible, and the clock."""
        cells = self.coordinates.expand(torch.where(visible, values, 0.0), visible)
        cells, shown = (x.unflatten(1, (self.n_steps, -1)) for x in cells)
        return cells.double(), shown, clock or _still(shown)

    def look(
        self, cells: Tensor, shown: Tensor, clock: Clock, memory_index: Tensor | None = None
    ) -> Look:
        """Return the guesses at coordinates (B, T, c), `shown` where they may be read."""
        lines = interpolate(cells, shown, clock.position)
        season = self.season[clock.phase]
        like = self._similar(cells - season, shown, clock, memory_index)
        rest, seen, about = (x.flatten(1) for x in (cells - season, shown, like))
        found = [[torch.zeros_like(rest) for _ in Conditional._fields] for _ in range(4)]
        shift = torch.zeros_like(rest)
        for kinds, rows in self.groups(clock):
            parts = [gaussian(rest[rows], seen[rows]) for gaussian in kinds]
            parts.append(kinds[0](rest[rows], seen[rows], about[rows]))
            far = torch.where(seen[rows], rest[rows] - kinds[0].location, 0.0)
            shift[rows] = far * (_pull(parts[0]) - _pull(parts[1]))
            for target, part in zip(found, parts, strict=True):
                for out, x in zip(target, part, strict=True):
                    out[rows] = x
        of_kinds = [Conditional(*(x.view(shown.shape) for x in parts)) for parts in found]
        each = [lines.mean, *(x.mean + season for x in of_kinds), like + season]
        wrong = [cells - lines.mean, *(x.residual for x in of_kinds), cells - season - like]
        guesses, missed = torch.stack(each, -1), torch.stack(wrong, -1)
        return Look(guesses, missed, lines, of_kinds[0], shift.view(shown.shape).sum(1))

    def _similar(
        self, rest: Tensor, shown: Tensor, clock: Clock, memory_index: Tensor | None
    ) -> Tensor:
        """Return (B, T, c) what similar windows have; see `_barred` for those that are not read."""
        number = torch.tensor(self.coordinates.of_numbers[: rest.shape[2]]).to(rest)
        known, barred = self.remembered_cells, self._barred(rest, shown, clock, memory_index)
        return similar(rest, shown, known.to(rest.dtype), barred, number)

    def _barred(
        self, rest: Tensor, shown: Tensor, clock: Clock, memory_index: Tensor | None
    ) -> Tensor:
        """Return (B, M) bool: remembered windows that are empty, share rows or a part, or equal."""
        n = len(self.remembered_cells)
        known = self.memory.visible[:n].to(rest.dtype)
        barred = ~known.any(1).expand(len(rest), -1)
        if clock.fold is not None:
            barred = barred | (clock.fold[:, None] == self.remembered_part)
        if memory_index is not None:
            shares = torch.zeros(len(rest), n + 1, dtype=torch.bool, device=rest.device)
            inside = (memory_index >= 0) & (memory_index < n)
            barred = barred | shares.scatter(1, torch.where(inside, memory_index, n), True)[:, :n]
        seen, cells = shown.flatten(1).to(rest.dtype), self.remembered_cells.flatten(1).to(rest)
        own = torch.where(shown, rest, 0.0).flatten(1)
        unlike = seen.sum(1, keepdim=True) + known.sum(1) - 2 * seen @ known.T
        far = own.square().sum(1, keepdim=True) - 2 * own @ cells.T + seen @ cells.square().T
        return barred | ((unlike < 0.5) & (far < EQUAL * seen.sum(1, keepdim=True)))

    def evidence(self, look: Look, shown: Tensor, seen: Tensor | None = None) -> Evidence:
        """Return what the mixture is told: how each guess does at the window's visible cells."""
        error = (look.missed.abs() * shown[..., None]).sum(1, keepdim=True)
        count = shown.sum(1, keepdim=True)[..., None]
        misses = (error + PRIOR * self.usual) / (count + PRIOR)
        misses = self._of_columns(misses).clamp_min(1e-3).log()
        since, until = (x.double().clamp_max(FAR) for x in (look.lines.since, look.lines.until))
        near, gap = torch.minimum(since, until), since + until
        plain = look.plain
        strain = surprise(*(x.flatten(1)[..., None] for x in (_z(plain), shown)))
        variance = torch.where(shown, plain.spread, plain.variance)
        # The first guess at a visible cell, of interpolation, never sees it.
        cells = look.guesses[..., :1] + look.missed[..., :1]
        guesses = torch.where(shown[..., None], cells - look.missed, look.guesses)
        shift = self._of_columns(look.shift[:, None, :, None])[..., 0]
        misses = misses.expand_as(guesses)
        strain, shift = strain.expand_as(near), shift.expand_as(near)
        found = Evidence(guesses, near, gap, misses, variance, strain, shift)
        return found if seen is None else self.optimism.added(found, seen)

    def surprise(self, z: Tensor, shown: Tensor, seen: Tensor | None = None) -> Tensor:
        """Return (B, T, c) `surprise` of errors in standard deviations, alike at all levels."""
        found = self._of_columns(surprise(z, shown)[..., None])[..., 0].expand_as(z)
        return found if seen is None else found + seen[:, None, None] * self.optimism.surprise

    def _of_columns(self, x: Tensor) -> Tensor:
        """Return (B, 1, c, K) means over the coordinates of each column.

        Guesses at the levels of a category have the same shares, so that they sum to one.
        """
        first = self.firsts(x.device)
        total = torch.zeros_like(x).index_add(2, first, x)
        count = torch.bincount(first, minlength=len(first)).clamp_min(1)
        return (total / count[:, None])[:, :, first]

    @torch.no_grad()
    def draw(self, values: Tensor, visible: Tensor, normal: Tensor, clock: Clock | None) -> Tensor:
        """Return (B, T, F) standard normal numbers that hang together as hidden cells do.

        normal : (B, T, c) independent standard normal numbers
        """
        _, shown, clock = self.expand(values, visible, clock)
        out, seen = torch.zeros_like(normal.flatten(1)).double(), shown.flatten(1)
        for kinds, rows in self.groups(clock):
            drawn = kinds[0].draw(seen[rows], normal[rows].flatten(1))
            std = kinds[0](torch.zeros_like(drawn), seen[rows]).variance.sqrt()
            out[rows] = drawn / std.clamp_min(1e-6)
        return out[:, self.coordinates.first].view(values.shape).to(values.dtype)

    def firsts(self, device: torch.device) -> Tensor:
        """Return (c,) for each coordinate of a step the first of its column."""
        return torch.tensor(self.coordinates.firsts[: self.usual.shape[0]], device=device)

    def clock_of(self, places: Tensor | slice) -> Clock:
        """Return the clock (B, T) of remembered windows."""
        position, phase = self.remembered_position[places], self.remembered_phase[places]
        return Clock(position, phase, self.remembered_calendar[places])

    def groups(self, clock: Clock) -> list[tuple[Kinds, Tensor]]:
        """Return which Gaussians are asked about which windows."""
        match = clock.phase[:, :1] == self.starts
        kind = torch.zeros(len(match), dtype=torch.long, device=match.device)
        if len(self.starts):
            kind = torch.where(match.any(1), 1 + match.to(torch.int8).argmax(1), 0)
        fold = torch.full_like(kind, -1) if clock.fold is None else clock.fold
        code, n_kinds = (fold + 1) * (1 + len(self.starts)) + kind, 1 + len(self.starts)
        groups = []
        for one in code.unique().tolist():
            part, place = divmod(one, n_kinds)
            among = self.gaussians if part == 0 else self.folds[part - 1]
            kinds = cast("Kinds", tuple(cast("nn.ModuleList", among[place])))
            groups.append((kinds, (code == one).nonzero()[:, 0]))
        return groups

    @torch.no_grad()
    def fit(
        self,
        windows: Windows,
        generator: torch.Generator,
        batch_size: int,
        time_used: Callable[[], float] = lambda: 0.0,
    ) -> Windows:
        """Learn from windows; see `maetab.nn.guess.series_fit.fit_series`."""
        from maetab.nn.guess.series_fit import fit_series

        return fit_series(self, windows, generator, time_used)


def _still(shown: Tensor) -> Clock:
    """Return the clock of windows about whose time nothing is known."""
    step = torch.arange(shown.shape[1], device=shown.device).expand(shown.shape[:2])
    return Clock(step.double(), torch.zeros_like(step), torch.zeros(*step.shape, 0).to(step.device))


def _z(found: Conditional) -> Tensor:
    """Return errors at visible cells in standard deviations."""
    return found.residual / found.spread.sqrt()


def _pull(found: Conditional) -> Tensor:
    """Return the inverse of the covariance of visible cells, times what they are off the mean."""
    return found.residual / found.spread


def _features(look: Look, evidence: Evidence, std: Tensor, shown: Tensor) -> Tensor:
    """Return (B, T, c, E) what networks are told of each cell, visible or not, beside the guess."""
    plain, lines, std = look.plain, look.lines, std.clamp_min(1e-3)
    z = torch.where(shown, _z(plain), 0.0)
    apart = [(evidence.guesses[..., k] - evidence.guesses[..., 1]) / std for k in (0, 2, 3)]
    apart = [torch.where(shown, 0.0, x) for x in apart]
    missed = torch.where(shown, plain.residual, 0.0)
    far = [x.clamp_max(FAR).log1p() / 4 for x in (lines.since, lines.until)]
    size = torch.where(shown, plain.spread, std.square()).clamp_min(1e-6).log() / 4
    every = torch.stack([missed, z, *apart, size], -1).clamp(-WILD, WILD)
    return torch.cat([every, torch.stack(far, -1).to(every)], -1)
