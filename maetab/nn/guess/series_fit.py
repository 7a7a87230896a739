"""The fit of the first guess at series: season, Gaussians in parts of the windows, mixture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from maetab.nn.guess.coordinates import Coordinates
from maetab.nn.guess.covariance import fit_gaussians
from maetab.nn.guess.grouping import Cells, groups_in
from maetab.nn.guess.interpolation import interpolate
from maetab.nn.guess.mixture import Evidence
from maetab.nn.masking import Gaps, in_whole_windows
from maetab.nn.windows import Windows

if TYPE_CHECKING:
    from maetab.nn.guess.series import Look, SeriesGuess

# Windows that a covariance is fitted to, at each phase and at all, and cells of these windows.
FITTED, FITTED_CELLS = 2000, 10_000_000
TOGETHER = 2_000_000  # cells of them that are interpolated together
# Parts of the windows, each a stretch of time: what is learned of the guesses is to hold for times
# that are not the neighbours of those that they were fitted to.
FOLDS = 3
# Variance of what neighbouring steps do not share: what every covariance has of it, in mean squares
# of the change from one step to the next, and what it is where that is taken to be much. The change
# is taken to be within the bounds below: rates of exchange want less noise than hourly loads, and
# more than these costs columns that tell each other. See benchmarks/series_trials.py.
LITTLE, MUCH = 0.015, 0.03
LEAST_CHANGE, MOST_CHANGE = 1e-3, 0.15
# Masks that each window is seen with while the guesses are weighted: so many, or more until so many
# windows are seen, where they are few; and how many cells are looked at then.
LOOKS, MANY_LOOKS, LOOKED = 3, 20, 1500
MOST_CELLS = 300_000
AGAIN = 2  # times 256 windows that are looked at again to learn how good they look
LEVEL = 10.0  # variance of a window's level where that is taken for unknown
SEASON_ROWS = 8.0  # rows of the mean of all that the mean of a phase is shrunk by
SURE = 2.0  # standard errors by which what is left after less than a window is told from none
# Shares of the time after which the Gaussians are left as they are, and no more windows are looked
# at to weigh the guesses.
TIME, LOOK_TIME = 0.4, 0.6


def fit_series(
    guess: SeriesGuess,
    windows: Windows,
    generator: torch.Generator,
    time_used: Callable[[], float],
) -> Windows:
    """Fit a guess to the observed cells of windows.

    The Gaussians are fitted several times over, each time without a part of the windows: what is
    learned about the guesses, here and by networks, is learned from guesses at windows that were
    not seen.

    Parameters
    ----------
    time_used : returns the share of the time that has passed

    Returns
    -------
    windows : the same, which know their parts and by which remembered windows they are held
    """

    def should_stop() -> bool:
        return time_used() > TIME

    _fit_season(guess, windows)
    _fit_lasting(guess, windows)
    clock = windows.clock_of(slice(None))
    if clock is not None and len(guess.starts):
        guess.starts.copy_(clock.usual_starts()[: len(guess.starts)])
    windows, guess.folds = replace(windows, fold=_parts(windows)), []
    _fit_gaussians(guess, guess.gaussians, windows, None, should_stop)
    if windows.fold is not None:
        for part in range(FOLDS):
            guess.folds.append(guess.new_gaussians())
            _fit_gaussians(guess, guess.folds[-1], windows, part, should_stop)
    windows = _remember(guess, windows, generator)
    _fit_mixture(guess, windows, generator, lambda: time_used() > LOOK_TIME)
    return windows


def _fit_season(guess: SeriesGuess, windows: Windows) -> None:
    """Set the mean of each phase, shrunk to that of all; of numbers and of indicators of levels."""
    step = Coordinates(guess.coordinates.n_levels[: windows.values.shape[1]], 1)
    cells, shown = step.expand(windows.values[:, None], windows.observed[:, None])
    values, shown = torch.where(shown, cells, 0.0).double(), shown.double()
    everywhere = values.sum(0) / shown.sum(0).clamp_min(1)
    if windows.clock is None or len(guess.season) == 1:
        guess.season.copy_(everywhere.expand_as(guess.season))
        return
    phase, zeros = windows.clock.phase, torch.zeros_like(guess.season)
    total, count = (zeros.index_add(0, phase, x) for x in (values, shown))
    guess.season.copy_((total + SEASON_ROWS * everywhere) / (count + SEASON_ROWS))


def _fit_lasting(guess: SeriesGuess, windows: Windows) -> None:
    """Learn how long a column keeps apart from its season, by least squares: what it is, of the
    mean of what it was a window before and is a window later.
    """
    clock, first, n = windows.clock, guess.coordinates.first[: len(guess.moving)], guess.n_steps
    follows = windows.follows().nonzero()[:, 0]
    seen = windows.observed[follows] & windows.observed[follows - 1]
    changes = (windows.values[follows] != windows.values[follows - 1]) & seen
    guess.moving.copy_(changes.any(0))
    if clock is None or len(windows.values) <= 2 * n:
        return
    apart = windows.values - guess.season[clock.phase][:, first]
    guess.lasting.copy_(what_lasts(apart, windows.observed, clock.position, n))


def what_lasts(apart: Tensor, observed: Tensor, position: Tensor, n: int) -> Tensor:
    """Return (F,) what lasts of a distance (n, F) from the season over n steps, in [0, 1].

    Where nothing does, half as many steps tell, and so on: what is forgotten within a window is no
    noise for that, beside which no line leads anywhere.
    """
    found, _ = _left(apart, observed, position, n)
    steps = n
    while steps > 1 and (found <= 0).any():
        steps //= 2
        nearer, error = _left(apart, observed, position, steps)
        told, both = (found <= 0) & (nearer > SURE * error), nearer.clamp(1e-9, 1)
        one = (1 - (1 - both**2).sqrt()) / both  # what one end tells, if both tell as much
        found = torch.where(told, one ** (n / steps), found)
    return found.clamp(0, 1)


def _left(apart: Tensor, observed: Tensor, position: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Return (F,) what is left over n steps by least squares, 1 if not known, and the standard
    error that noise would have.
    """
    regular = (position[n:] - position[:-n] - n).abs() < n / 2  # of one series
    all_three = observed[2 * n :] & observed[n:-n] & observed[: -2 * n]
    all_three &= (regular[n:] & regular[:-n])[:, None]
    mean = (apart[2 * n :] + apart[: -2 * n]) / 2 * all_three
    found = (mean * apart[n:-n]).sum(0) / mean.square().sum(0).clamp_min(1e-9)
    count = all_three.sum(0)
    return torch.where(count > 0, found, 1.0), (2 / count.clamp_min(1)).sqrt()


def _parts(windows: Windows) -> Tensor | None:
    """Return (W,) the part of each window, a third of the course; None if there are too few."""
    n, device = len(windows), windows.rows.device
    if n < 2 * FOLDS:
        return None
    windows = replace(windows, fold=torch.arange(n, device=device) * FOLDS // n)
    every = [windows.rows] if windows.dense is None else [windows.rows, windows.dense]
    leaves = (len(_without(windows, part, rows)) for part in range(FOLDS) for rows in every)
    return windows.fold if all(leaves) else None


def _without(windows: Windows, part: int | None, rows: Tensor) -> Tensor:
    """Return those of the windows `rows` (V, T) that share no row with a part; None for all."""
    if part is None:
        return rows
    assert windows.fold is not None
    left_out = torch.zeros(len(windows.values) + 1, dtype=torch.bool, device=rows.device)
    left_out[windows.rows[windows.fold == part]] = True
    left_out[-1] = False  # where -1 points to
    return rows[~left_out[rows].any(1)]


def _fit_gaussians(
    guess: SeriesGuess,
    gaussians: nn.ModuleList,
    windows: Windows,
    part: int | None,
    should_stop: Callable[[], bool],
) -> None:
    """Fit Gaussians to windows that share no row with those of a part; None for all."""

    def cells(rows: Tensor) -> Cells:
        rows = _without(windows, part, rows)
        most = max(1, min(FITTED, FITTED_CELLS // guess.coordinates.size))
        return _completed(guess, windows, rows[:: max(1, -(-len(rows) // most))])

    every = cells(windows.rows if windows.dense is None else windows.dense)
    clock = windows.clock_of(slice(None))
    aligned = []
    for phase in guess.starts.tolist():
        assert clock is not None
        aligned.append(cells(windows.rows[clock.phase[:, 0] == phase]))
    noise = LITTLE * _change(guess, windows)
    number = torch.tensor(guess.coordinates.of_numbers, device=every[0].device)
    for group in groups_in(gaussians, every, aligned, number):
        # Where windows are too few for parts, each is much of what it would be guessed by: a single
        # one would be its own mean, and its gaps seem known exactly.
        steady = windows.fold is None
        given = group.every, group.aligned, guess.n_steps, noise, should_stop
        found = fit_gaussians(*given, steady)
        own = group.number.double().view(guess.n_steps, -1)
        level = torch.einsum("tc,sd,cd->tcsd", own, own, torch.eye(own.shape[1]).to(own))
        level = LEVEL * level.reshape(own.numel(), -1)
        much = MUCH * torch.eye(len(level)).to(level)
        for kinds, gaussian in zip(group.kinds, found, strict=True):
            for one, more in zip(kinds, (0 * level, level, much), strict=True):
                one.set(gaussian.location, gaussian.covariance + more)


def _change(guess: SeriesGuess, windows: Windows) -> float:
    """Return the mean square of the change of visible coordinates from one step to the next."""
    cells, shown, _ = guess.expand(*windows.take(slice(None)), None)
    both = shown[:, 1:] & shown[:, :-1]
    change = torch.where(both, cells.diff(dim=1).square(), 0.0)
    found = float(change.sum() / both.sum().clamp_min(1))
    return min(max(found, LEAST_CHANGE), MOST_CHANGE)


def _completed(guess: SeriesGuess, windows: Windows, rows: Tensor) -> Cells:
    """Return values less the season, visible and interpolated values, (n, T * c) each."""
    parts = []
    for some in rows.split(max(1, TOGETHER // guess.coordinates.size)):
        part = replace(windows, rows=some, fold=None)
        cells, shown, clock = guess.expand(*part.take(slice(None)), part.clock_of(slice(None)))
        rest = torch.where(shown, cells - guess.season[clock.phase], 0.0)
        filled = torch.where(shown, rest, interpolate(rest, shown, clock.position).mean)
        parts.append((rest.flatten(1), shown.flatten(1), filled.flatten(1)))
    values, visible, start = (torch.cat(x) for x in zip(*parts, strict=True))
    return values, visible, start


def _remember(guess: SeriesGuess, windows: Windows, generator: torch.Generator) -> Windows:
    """Fill the memory with windows, all columns compared alike."""
    memory = guess.memory
    chosen = torch.randperm(len(windows), generator=generator, device=windows.rows.device)
    chosen = chosen[: len(memory.values)]
    windows = windows.remember(chosen)
    cells, shown = guess.coordinates.expand(*windows.take(chosen))
    memory.fill(cells, shown, torch.zeros_like(cells), windows.memory_index(chosen))
    memory.log_weight.fill_(float(memory.log_weight.mean()))
    clock, n = windows.clock_of(chosen), len(chosen)
    compared = chosen[: len(guess.remembered_cells)]
    guess.remembered_cells[: len(compared)] = _whole(guess, windows, compared)
    if windows.fold is not None:
        guess.remembered_part[: len(compared)] = windows.fold[compared]
    if clock is not None:
        guess.remembered_position[:n] = clock.position
        guess.remembered_phase[:n] = clock.phase
        guess.remembered_calendar[:n] = clock.calendar
    return windows


def _whole(guess: SeriesGuess, windows: Windows, chosen: Tensor) -> Tensor:
    """Return (n, T, c) windows less the season, what is not visible as the Gaussians expect it."""
    clock = windows.clock_of(chosen)
    cells, shown, clock = guess.expand(*windows.take(chosen), clock and clock._replace(fold=None))
    rest = (cells - guess.season[clock.phase]).flatten(1)
    whole = torch.zeros_like(rest)
    for (plain, *_), rows in guess.groups(clock):
        whole[rows] = plain(rest[rows], shown.flatten(1)[rows]).mean
    return whole.view(cells.shape).to(guess.remembered_cells.dtype)


def _fit_mixture(
    guess: SeriesGuess,
    windows: Windows,
    generator: torch.Generator,
    should_stop: Callable[[], bool],
) -> None:
    """Weigh the guesses at cells that are hidden in gaps of many shapes."""
    masking, n = Gaps(guess.options.hidden_ratio), len(windows)
    most = max(1, MOST_CELLS // guess.coordinates.size)
    looks: list[tuple[Look, Tensor, Tensor, Tensor]] = []
    again: list[tuple[Look, Tensor]] = []  # by the guess that was fitted to these windows
    n_looks = min(MANY_LOOKS, max(LOOKS, -(-LOOKED // n)))
    n_looks, device = max(1, min(n_looks, most // n)), windows.rows.device
    orders = [torch.randperm(n, generator=generator, device=device) for _ in range(n_looks)]
    for chosen in torch.cat([order[:most] for order in orders]).split(256):
        if looks and should_stop():
            break
        values, observed = windows.take(chosen)
        hidden = in_whole_windows(masking(observed, generator), observed, guess.moving)
        visible = observed & ~hidden
        cells, shown, clock = guess.expand(values, visible, windows.clock_of(chosen))
        truth, known, _ = guess.expand(values, observed, clock)
        index = windows.memory_index(chosen)
        looks.append((guess.look(cells, shown, clock, index), shown, known & ~shown, truth))
        if windows.fold is not None and len(again) < AGAIN:
            whole = guess.look(cells, shown, clock._replace(fold=None), index)
            again.append((whole, cells))
    error = [(look.missed.abs() * s[..., None]).sum((0, 1)) for look, s, _, _ in looks]
    count = torch.stack([s.sum((0, 1)) for _, s, _, _ in looks]).sum(0)[:, None]
    guess.usual.copy_((torch.stack(error).sum(0) / count.clamp_min(1)).clamp_min(1e-3))
    seen = [guess.evidence(look, shown) for look, shown, _, _ in looks]
    parts = [told.at(look[2]) for told, look in zip(seen, looks, strict=True)]
    evidence = Evidence(*map(torch.cat, zip(*parts, strict=True)))
    truth = torch.cat([cells[hidden] for _, _, hidden, cells in looks]).double()
    place = torch.cat([hidden.nonzero()[:, 2] for _, _, hidden, _ in looks])
    if not len(truth):
        return
    column = guess.firsts(place.device)
    guess.mixture.fit(evidence, column[place], truth)
    found = []
    for told, (_, shown, hidden, cells) in zip(seen, looks, strict=True):
        mean, std = guess.mixture(told, column)
        z = (cells - mean) / std
        found.append((guess.surprise(z, shown)[hidden], z[hidden]))
    missed, z = map(torch.cat, zip(*found, strict=True))
    guess.mixture.fit_stretch(missed.detach(), z.detach())
    if again:
        _fit_optimism(guess, windows, [(*x, *y) for x, y in zip(looks, again, strict=False)])


def _fit_optimism(guess: SeriesGuess, windows: Windows, looks: list[tuple]) -> None:
    """Learn how much better windows look to a guess that was fitted to them.

    looks : of each guess at the same windows: look, shown, hidden and truth, then look and cells
    """
    column, more = guess.firsts(guess.season.device), guess.optimism
    differ: list[list[Tensor]] = [[], [], []]
    pairs = []
    for look, shown, hidden, _, whole, cells in looks:
        told, own = guess.evidence(look, shown), guess.evidence(whole, shown)
        pairs.append((told, whole, shown, cells))
        apart = (told.variance / own.variance).log() * hidden
        count = hidden.sum((0, 1)).clamp_min(1)
        differ[0].append((told.misses - own.misses).mean((0, 1)))
        differ[1].append(apart.sum((0, 1)) / count)
        differ[2].append((told.strain - own.strain).mean())
    for target, found in zip((more.misses, more.variance, more.strain), differ, strict=True):
        target.copy_(torch.stack(found).mean(0).clamp_min(0))
    left = []
    for told, whole, shown, cells in pairs:
        seen = torch.ones(len(cells), dtype=torch.bool, device=cells.device)
        each = [told, guess.evidence(whole, shown, seen)]
        found = [guess.mixture(x, column) for x in each]
        one, other = (guess.surprise((cells - m) / s, shown) for m, s in found)
        left.append((one - other).mean((0, 1)))
    more.surprise.copy_(torch.stack(left).mean(0))
    more.remember(windows)
