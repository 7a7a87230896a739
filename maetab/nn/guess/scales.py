"""How far what the first guess says is moved towards what is usual in a column.

Numbers by slopes, towards the mean; categories by lifts, towards the frequencies of the levels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from maetab.nn.guess.stack import StackedGuess
from maetab.nn.guess.weights import DOUBT, FEW, LEAST_ROWS, expected, missing_odds, rows_to_look_at
from maetab.nn.support import Support
from maetab.nn.windows import Windows

MOST_SLOPE = 1.25  # a Gaussian is shrunk for all columns alike, and too much for some
LIFTS = torch.arange(21, dtype=torch.float64) / 10  # that are tried
# How far the lift of all columns lies from 1, and that of one from this: standard deviations.
OF_ALL, OF_ONE = 0.5, 0.15


class _Answers(NamedTuple):
    """What is said of windows with cells hidden, (n, C) each.

    cells : the truth
    said : means of the guess
    odds : what a cell counts, 0 where it was not hidden
    """

    cells: Tensor
    said: Tensor
    odds: Tensor


@torch.no_grad()
def fit_scales(
    guess: StackedGuess,
    support: Support,
    windows: Windows,
    generator: torch.Generator,
    should_stop: Callable[[], bool],
) -> None:
    """Set the slopes of a guess and the lifts of categories, if it has folds.

    By what it says of hidden cells in rows that its base has not seen: by others it would look
    better than it is.
    """
    if not guess.folds:
        return
    rows, size = rows_to_look_at(guess, len(windows), generator, windows.rows.device)
    again = min(1.0, len(windows) / len(rows))  # cells that are hidden again do not count again
    slopes, lost = [], []
    for answers in _answers(guess, windows, rows.split(size), generator, should_stop):
        slopes.append(_of_slopes(answers, guess.is_number))
        lost.append(_losses(guess, support, answers))
    _set_slopes(guess, torch.stack(slopes).sum(0), again)
    _set_lifts(support, again * torch.stack(lost).sum(0))


def _answers(
    guess: StackedGuess,
    windows: Windows,
    parts: tuple[Tensor, ...],
    generator: torch.Generator,
    should_stop: Callable[[], bool],
) -> Iterator[_Answers]:
    """Give what is said of windows, part after part, of some at least."""
    of_row = missing_odds(guess, *windows.take(slice(None)))
    for i, part in enumerate(parts):
        late = should_stop()
        if i and late:
            return
        some = part[:LEAST_ROWS] if late else part
        cells, visible, now = guess.hide(windows, some, generator)
        said = guess.guess(cells, visible, windows.memory_index(some)).mean.double()
        yield _Answers(cells.double(), said, of_row[some] * now)


def _of_slopes(answers: _Answers, is_number: Tensor) -> Tensor:
    """Return (4, C) sums over hidden numbers: squares of what is said, products with the truth,
    what these vary by, and the odds.
    """
    odds, said = answers.odds * is_number, answers.said
    truth = torch.where(odds > 0, answers.cells, 0.0)
    square, missed = said.square(), truth - said
    each = square, truth * said, odds * missed.square() * square
    return torch.stack([*((odds * x).sum(0) for x in each), odds.sum(0)])


def _set_slopes(guess: StackedGuess, sums: Tensor, again: float) -> None:
    """Set the slopes of a guess, by which what it says of numbers is multiplied.

    Numbers are standardised, so that a slope of 0 is the mean of a column: what the guess should
    say where columns have nothing to do with each other, and few rows look as if they had. Least
    squares; per coordinate, moved to the slope of all, which is a standard error above the best: by
    little where what its own cells say is sure and far from that, for one column may be told well
    among many that are not.

    sums : of `_of_slopes`
    """
    gram, right, noise, count = sums
    pooled = (right.sum() + DOUBT * noise.sum().sqrt()) / gram.sum().clamp_min(1e-9)
    distinct = (count * again).clamp_min(1)
    variance = (1 + FEW / distinct) * noise / gram.square().clamp_min(1e-18)
    slope = expected(right / gram.clamp_min(1e-9), variance, pooled.clamp(0, 1))
    told = guess.is_number & (gram > 0)
    guess.slope.copy_(torch.where(told, slope.clamp(0, MOST_SLOPE), 1.0))


def _losses(guess: StackedGuess, support: Support, answers: _Answers) -> Tensor:
    """Return (F, lifts) minus the log-likelihood of hidden levels by each of `LIFTS`."""
    f = len(support.n_levels)
    found = answers.said.new_zeros(f, len(LIFTS))
    lifts = LIFTS.to(answers.said.device, torch.float32)[:, None, None]
    for j, own in enumerate(guess.coordinates.slices):
        odds = answers.odds[:, own.start]
        asked = odds > 0
        if support.n_levels[j % f] == 0 or not bool(asked.any()):
            continue
        level = answers.cells[asked, own].argmax(1, keepdim=True)
        logits = support.level_logits(j % f, answers.said[asked, own].float(), lifts)
        likely = logits.log_softmax(2).gather(2, level.expand(len(LIFTS), -1, 1))[..., 0]
        found[j % f] -= likely.double() @ odds[asked]
    return found


def _set_lifts(support: Support, lost: Tensor) -> None:
    """Set the likeliest lifts, by normal priors: of all columns about 1, of each about that of all.

    What lines and averages of rows say lies too near to the frequencies where a level follows from
    other cells, and too far from them where nothing tells it.

    lost : (F, lifts) as of `_losses`
    """
    grid = LIFTS.to(lost.device)
    pooled = grid[(lost.sum(0) + ((grid - 1) / OF_ALL).square() / 2).argmin()]
    own = grid[(lost + ((grid - pooled) / OF_ONE).square() / 2).argmin(1)]
    support.lift.copy_(torch.where(support.is_number, 1.0, own))
