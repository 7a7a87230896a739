"""Scores of the rows of series: how strange their cells are, and the windows that hold them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from maetab.engine.inference import FARTHEST, batch_size, each_batch, on_device, padded_clock
from maetab.engine.scoring import Evidence, Scorer, row_means, tail_surprisal
from maetab.nn.ensemble import Ensemble
from maetab.nn.guess.grouping import AnyGaussian
from maetab.nn.guess.series import Look, SeriesGuess
from maetab.nn.guess.window_gaussian import Conditional
from maetab.nn.windows import Clock, Windows

# Chosen on the choosing half of the series; `python -m benchmarks.series_trials` prints the trials.
NOISE = 2.0  # variance, in those of a column, that is added to what windows are measured by: how
# far and how long a series goes counts for stretches, more than which fine course it takes
CAREFUL = 3  # the guess that numbers are judged by: neighbouring steps share less in it, so that it
# follows a wild neighbour less
NEAR = 16  # rows before and after a cell that its column is compared with
# What single cells add to the strangeness of a row: nothing up to one in a thousand, or in as many
# as there were rows to learn from, where the rarest is as rare by chance; then for each power of
# ten as much as this many standard deviations of what windows say.
RARE, OF_CELL = 3.0, 4.0
USUAL, PRIOR = 0.8, 3.0  # -log of the probability of a usual level; cells that it counts as
LEAST_SPREAD = 1e-3  # neighbours that the spread of the whole column counts as
# A window counts a little more for rows in its middle, and cells that are not rare count a little:
# rows of one window are to differ, so that as many can be flagged as is asked for.
MIDDLE, HINT = 0.02, 1e-4
LEAST = 1e-6  # probability of a level, and sum of squares that is expected
# Standard deviations: so that one wild cell does not make the rows beside it strange, nor the
# categories in them, at which guesses are lines that go too far.
WILD = 6.0


class Strange(NamedTuple):
    """How strange windows are.

    missed : (W, T, F) how far numbers lie above what the other cells of their window say; of
        categories minus the logarithm of the level's probability; NaN where nothing is observed
    energy : (W, T) mean square of a window's cells in the metric of what is usual, each cell moved
        to within `WILD` standard deviations of what the others say; of all steps the same
    """

    missed: np.ndarray
    energy: np.ndarray


class SeriesScorer(Scorer):
    """Scores of the rows of series.

    A row is strange by how far the windows that hold it go from what is usual, and by cells that
    are stranger than any is by chance, of which windows say little.
    """

    reach = 2 * NEAR
    always_alone = True
    weights = (1.0,)

    @staticmethod
    def try_out(model: Ensemble, windows: Windows, n_masks: int, device: torch.device) -> None:
        """See `Scorer`."""
        strangeness(model, windows, device)

    def evidence(self, windows: Windows, memory_index: np.ndarray | None = None) -> Evidence:
        """See `Scorer`; (n, 1) parts."""
        found = strangeness(self.model, windows, self.device)
        step = np.arange(1, windows.rows.shape[1] + 1)
        weights = np.minimum(step, step[::-1]) ** MIDDLE
        energy = row_means(found.energy, windows, weights)
        cells = self.surprisal(self._cells(found, windows))
        rarest = np.nan_to_num(cells).max(1, initial=0)
        rare = max(RARE, np.log10(max(self.levels.n_rows, 1)))
        wild = OF_CELL * np.maximum(rarest - rare, 0) + HINT * np.minimum(rarest, rare)
        return Evidence(energy[:, None], wild)

    def surprises(
        self, windows: Windows, memory_index: np.ndarray | None = None, alone: bool = False
    ) -> np.ndarray:
        """See `Scorer`; cells are always judged one by one."""
        return self._cells(strangeness(self.model, windows, self.device), windows)

    def surprisal(self, cells: np.ndarray) -> np.ndarray:
        """See `Scorer`; few wild cells in a column do not make the others wilder."""
        return tail_surprisal(cells, self.calibration.cell_quantiles, from_median=True)

    def usual_gap(self, windows: Windows, memory_index: np.ndarray, kept: np.ndarray) -> float:
        """Return 0: no window is compared with a remembered one."""
        return 0.0

    def _cells(self, found: Strange, windows: Windows) -> np.ndarray:
        missed = row_means(found.missed, windows)
        is_number = np.array(self.model.config.n_levels) == 0
        values, observed = windows.values.numpy(), windows.observed.numpy()
        given = np.where(observed, np.clip(values.astype(np.float64), -FARTHEST, FARTHEST), np.nan)
        return beside(missed, given, windows.runs().numpy(), is_number)


def beside(
    missed: np.ndarray, values: np.ndarray, run: np.ndarray, is_number: np.ndarray
) -> np.ndarray:
    """Return (n, F) how strange cells are beside their neighbours in time; NaN where none is.

    A number by how far it is from what its window says, and how far from the mean of the `NEAR`
    cells of its column on each side, each in units of the root mean square of the same for these
    neighbours: log(1 + the mean of both). A series that goes wild at times has many cells that are
    improbable; one of them is found by what is usual there. A category by log(1 + minus the
    logarithm of its probability, in units of its mean for the neighbours).

    Parameters
    ----------
    missed : (n, F) of `Strange`, merged
    values : (n, F), NaN where not observed
    run : (n,) rows with one number follow each other
    is_number : (F,) bool
    """
    mean, n_near = neighbour_means(values, run)
    away = np.where(n_near > 0, values - mean, missed)
    number = np.log1p((_in_usual(missed, run) + _in_usual(away, run)) / 2)
    usual, n_near = neighbour_means(np.abs(missed), run)
    usual = (usual * n_near + PRIOR * USUAL) / (n_near + PRIOR)
    return np.where(is_number, number, np.log1p(np.abs(missed) / usual))


def _in_usual(away: np.ndarray, run: np.ndarray) -> np.ndarray:
    """Return (n, F) sizes in units of the root mean square of their neighbours."""
    square, n_near = neighbour_means(np.square(away), run)
    usual = (square * n_near + LEAST_SPREAD) / (n_near + LEAST_SPREAD)
    return np.abs(away) / np.sqrt(usual)


def neighbour_means(cells: np.ndarray, run: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (n, F) means of the cells at most `NEAR` rows away in their run, and how many.

    No cell counts for its own mean, nor does NaN; 0 of none. Summed cell by cell, so that rows
    farther away change nothing, not in the last bit.
    """
    seen = ~np.isnan(cells)
    total, count = np.zeros(cells.shape), np.zeros(cells.shape)
    cells = np.where(seen, cells, 0.0)
    for k in range(1, min(NEAR, len(cells) - 1) + 1):
        same = (run[k:] == run[:-k])[:, None]
        for target, source in ((slice(k, None), slice(-k)), (slice(-k), slice(k, None))):
            total[target] += np.where(same, cells[source], 0.0)
            count[target] += same & seen[source]
    return total / np.maximum(count, 1), count


@torch.inference_mode()
def strangeness(model: Ensemble, windows: Windows, device: torch.device) -> Strange:
    """Return how strange windows and their cells are, none of which sees itself."""
    guess = model.guess
    assert isinstance(guess, SeriesGuess)
    shape = windows.rows.shape
    wrong = np.full((*shape, windows.values.shape[1]), np.nan)
    energy, size = np.full(shape, np.nan), batch_size(model, windows, device)
    with on_device(model, device):
        noisy: dict[int, tuple[AnyGaussian, Tensor]] = {}
        number = torch.tensor(model.support.coordinates.of_numbers, device=device)
        has_levels = not bool(number.all())

        def work(found: slice, values: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
            clock = padded_clock(windows, found, size, device)
            given = values.clamp(-FARTHEST, FARTHEST)
            x, shown, clock = guess.expand(given, observed, clock)
            look = guess.look(x, shown, clock)
            wild = shown & number & (x.abs() > WILD)
            calm = guess.look(x, shown & ~wild, clock) if has_levels and bool(wild.any()) else look
            missed = _missed(model, look, calm, values, observed)
            most = WILD * look.plain.spread.sqrt()
            tame = x - look.plain.residual + look.plain.residual.clamp(-most, most)
            far = _energy(guess, tame - guess.season[clock.phase], shown, clock, noisy)
            n = found.stop - found.start
            # In single precision, which no sum's order reaches: the same in any company.
            return missed[:n].float(), far[:n, None].float()

        for found, (missed, far) in each_batch(work, windows, device, size):
            wrong[found], energy[found] = missed.cpu().numpy(), far.cpu().numpy()
    return Strange(wrong, energy)


def _missed(model: Ensemble, look: Look, calm: Look, values: Tensor, observed: Tensor) -> Tensor:
    """Return (B, T, F) the `missed` of `Strange`.

    calm : the same look at windows from which wild numbers are gone; categories are judged by it
    """
    own, residual = model.support.coordinates, calm.plain.residual
    out = look.missed[..., CAREFUL][..., own.first]
    for j, n_levels in enumerate(model.config.n_levels):
        if n_levels:  # the indicator of its level, less the guess at it
            code = values[..., j : j + 1].long().clamp(max=n_levels - 1)
            missed = residual[..., own.slices[j]].gather(-1, code)[..., 0]
            known = values[..., j] < n_levels
            chance = torch.where(known, 1 - missed, 0.0).clamp(LEAST, 1)
            out[..., j] = -chance.log()
    return torch.where(observed, out, torch.nan)


def _energy(
    guess: SeriesGuess,
    rest: Tensor,
    shown: Tensor,
    clock: Clock,
    noisy: dict[int, tuple[AnyGaussian, Tensor]],
) -> Tensor:
    """Return (B,) mean squares of what is visible; NaN where nothing is.

    In parts of what is expected of the same cells, which is more where they are few, and the fewer
    they are the nearer to that, for means of few vary more; times what a whole window has.
    """
    out = torch.full((len(rest),), torch.nan, dtype=torch.float64, device=rest.device)
    rest, seen = rest.flatten(1), shown.flatten(1)
    for (plain, *_), rows in guess.groups(clock):
        own = seen[rows]
        if id(plain) not in noisy:
            gaussian, whole = plain.noisier(NOISE), torch.ones_like(seen[:1])
            found = gaussian(plain.location[None], whole)
            noisy[id(plain)] = gaussian, _expected(found, whole) / whole.shape[1]
        gaussian, usual = noisy[id(plain)]
        found = gaussian(rest[rows], own)
        centred = torch.where(own, rest[rows] - plain.location, 0.0)
        total = (centred * found.residual / found.spread).sum(1)
        times = (total / _expected(found, own)).pow(own.double().mean(1).sqrt())
        out[rows] = torch.where(own.any(1), usual * times, torch.nan)
    return out


def _expected(found: Conditional, seen: Tensor) -> Tensor:
    """Return (B,) the sums of squares that are expected of visible cells with `NOISE`."""
    return torch.where(seen, 1 - NOISE / found.spread, 0.0).sum(1).clamp_min(LEAST)
