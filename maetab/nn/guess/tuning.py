"""How the metric of row attention is learned: cells are hidden, and similar windows guess them.

Windows that nothing is learned from say when to stop, and which state is kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from maetab.nn.adam import Adam, Group
from maetab.nn.guess.gaussian import Normal
from maetab.nn.guess.memory import MIN_ROWS
from maetab.nn.guess.weights import corrections
from maetab.nn.windows import Windows

if TYPE_CHECKING:
    from maetab.nn.guess.stack import StackedGuess

# Products that a step of tuning may take: wide rows come in few, and take a part of the steps.
TUNING_CELLS, WIDE_STEPS = 60_000_000, 0.5
# Rate of everything but the keys, that of these, and the observed cells below which it is less: a
# map of all cells of a window learns small tables by heart.
RATE, KEY_RATE, KEY_CELLS = 0.1, 3e-3, 10_000
# The state is a mean of those after each step, later ones counting more (polynomial decay: Shamir &
# Zhang 2013, section 4): it is as good after any step, where a falling rate has to know the last.
POWER = 8
# Steps before the first look at held-out cells, by how much each look is later than the one before,
# the windows that are looked at, `MASKS` times each at most, and those they are compared with.
FIRST_LOOK, LATER, LOOKED_AT, MASKS, LOOKED_AMONG = 50, math.sqrt(2), 1024, 8, 4096
# Shares of the squared error that twice as many remembered windows have to be worth, and that are
# given up, in all, for comparing with fewer.
WORTH, GIVEN_UP = 0.015, 0.003
SIZED_BY = 400_000  # coordinates of windows that say so, at most
WEIGHTS_RIDGE = 1e-3  # squares of standardised numbers: weights of what hardly moves stay small


class Hidden(NamedTuple):
    """Windows with cells hidden.

    cells, visible, hidden : (B, C) coordinates, which are visible, and which were hidden just now
    normal : the base guess
    memory_index : remembered windows that share a row with each
    keys : features of each window; None where there are no keys
    """

    cells: Tensor
    visible: Tensor
    hidden: Tensor
    normal: Normal
    memory_index: Tensor
    keys: Tensor | None


def tune(
    guess: StackedGuess,
    windows: Windows,
    learned: Tensor,
    judged: Tensor,
    generator: torch.Generator,
    batch_size: int,
    should_stop: Callable[[], bool],
) -> Lesson:
    """Learn the metric of the memory: squared error of the two guesses it gives.

    It ends when twice the steps took less than `least_gain` of the options off the error in windows
    that are not learned from, after `tuning_steps`, half of them where rows are wide, or when it
    should stop.

    Parameters
    ----------
    learned, judged : windows that are learned from, and those that are looked at; all may be read
    batch_size : windows in a step, at most

    Returns
    -------
    lesson : what it was learned from
    """
    lesson, options = Lesson(guess, windows), guess.options
    size = (min(batch_size, len(learned), lesson.most_windows),)
    is_wide = lesson.most_windows < options.tuning_windows
    most = max(1, round(options.tuning_steps * (WIDE_STEPS if is_wide else 1)))
    optimizer = _optimizer(guess, int(windows.observed.sum()))
    state = State(optimizer.parameters)
    looks = _looks(most)
    seen: Hidden | None = None
    for step in range(1, most + 1):
        drawn = torch.randint(len(learned), size, generator=generator, device=learned.device)
        hidden = lesson.hide(learned[drawn], generator)
        loss = lesson.error(hidden, lesson.some(generator))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        state.step()
        if should_stop():
            break
        if step in looks:
            seen = seen or lesson.hide(_seen(judged, generator), generator)
            with state.mean_in_place():
                lesson.remember()
                state.judge(lesson.left_over(seen))
            if state.gains_less(options.least_gain):
                break
    state.settle()
    lesson.remember()
    return lesson


class Lesson:
    """What the memory of a guess learns from: windows with cells hidden, and remembered ones."""

    def __init__(self, guess: StackedGuess, windows: Windows) -> None:
        self.guess, self.windows = guess, windows
        self.n_remembered = min(len(windows), len(guess.memory.values))
        self.features = _features(guess)
        self.n_compared = min(guess.options.tuning_rows, self.n_remembered)

    @property
    def most_windows(self) -> int:
        """How many windows may be learned from together."""
        products = self.n_compared * self.guess.coordinates.size
        return min(self.guess.options.tuning_windows, max(16, TUNING_CELLS // products))

    @torch.no_grad()
    def hide(self, windows: Tensor, generator: torch.Generator) -> Hidden:
        """Return windows with cells hidden by chance."""
        cells, visible, hidden = self.guess.hide(self.windows, windows, generator)
        normal, keys = self.guess.base(cells, visible), self.guess.memory.keys
        features = None if keys is None else keys.features(normal, visible)
        index = self.windows.memory_index(windows)
        return Hidden(cells, visible, hidden, normal, index, features)

    def some(self, generator: torch.Generator) -> slice:
        """Return some of the remembered windows.

        They are remembered in random order, so that those in a row are a random sample.
        """
        spare = self.n_remembered - self.n_compared
        device = self.windows.rows.device
        start = int(torch.randint(spare + 1, (1,), generator=generator, device=device))
        return slice(start, start + self.n_compared)

    def error(self, given: Hidden, within: slice) -> Tensor:
        """Return what the guesses miss at hidden cells, compared with some remembered windows."""
        memory, keys = self.guess.memory, None
        if memory.keys is not None and given.keys is not None and self.features is not None:
            keys = memory.keys(given.keys), memory.keys(self.features[within])
        cells, base = given.cells, given.normal.mean
        found = memory(cells, given.visible, given.memory_index, within, None, keys)
        missed = torch.zeros_like(cells)
        for near in [memory.mixed(found)] if keys is None else memory.mixed_by_metric(found):
            direct = (near.mean - cells).square()
            moved = (base + near.residual - cells).square()
            half = ((near.mean + base) / 2 - cells).square()
            missed = missed + direct + moved + half
        return (missed * given.hidden).sum() / given.hidden.sum().clamp_min(1)

    @torch.no_grad()
    def left_over(self, given: Hidden, n_remembered: int = LOOKED_AMONG) -> float:
        """Return the squared error at hidden cells that the best weights for all cells leave.

        By the keys that are remembered.
        """
        asked = given.cells, given.visible, given.normal, given.memory_index
        near = self.guess.near(*asked, n_remembered=n_remembered)
        moves = corrections(given.normal, near.heads)[given.hidden].double()
        missed = (given.cells - given.normal.mean)[given.hidden].double()
        ridge = moves.new_full((moves.shape[1],), WEIGHTS_RIDGE * max(1, len(moves)))
        weights = torch.linalg.solve(moves.T @ moves + ridge.diag(), moves.T @ missed)
        return float((missed - moves @ weights).square().sum())

    def enough(self, judged: Tensor, generator: torch.Generator, stop: Callable[[], bool]) -> int:
        """Return how many remembered windows guess held-out cells about as well as all of them.

        Beside as many as the options say, all of them, where these leave `WORTH` less squared error
        at held-out cells; else half as many again and again, a quarter at least, while that leaves
        at most `GIVEN_UP` more.

        Parameters
        ----------
        judged : windows that are looked at
        """
        n = self.guess.options.n_remembered
        if stop():
            return n
        looked_at = max(256, min(2 * LOOKED_AT, SIZED_BY // self.guess.coordinates.size))
        seen = self.hide(_seen(judged, generator, looked_at), generator)
        error = self.left_over(seen, n)
        if n < self.n_remembered and self.left_over(seen, self.n_remembered) < (1 - WORTH) * error:
            return self.n_remembered
        for fewer in (n // 2, n // 4):
            if fewer < MIN_ROWS or stop() or self.left_over(seen, fewer) > (1 + GIVEN_UP) * error:
                break
            n = fewer
        return n

    def remember(self) -> None:
        """Keep the keys of remembered windows."""
        if self.guess.memory.keys is not None and self.features is not None:
            self.guess.memory.keys.remember(self.features)


class State:
    """Parameters that are learned, the mean of their states, and the best of those looked at."""

    def __init__(self, parameters: list[Tensor]) -> None:
        self.parameters, self.n_steps = parameters, 0
        self.mean = self._copy()
        self.best = self.mean
        self.error = math.inf  # when it was looked at last
        self.judged: list[tuple[int, float]] = []  # steps, and the least error after so many

    def _copy(self) -> list[Tensor]:
        return [p.detach().clone() for p in self.parameters]

    @torch.no_grad()
    def _put(self, state: list[Tensor]) -> None:
        for parameter, value in zip(self.parameters, state, strict=True):
            parameter.copy_(value)

    @torch.no_grad()
    def step(self) -> None:
        """Take what was learned in a step into the mean."""
        self.n_steps += 1
        share = (POWER + 1) / (self.n_steps + POWER)
        for mean, parameter in zip(self.mean, self.parameters, strict=True):
            mean.lerp_(parameter, share)

    @contextmanager
    def mean_in_place(self) -> Iterator[None]:
        """Give the parameters their mean for as long as it lasts."""
        now = self._copy()
        self._put(self.mean)
        yield
        self._put(now)

    def judge(self, error: float) -> None:
        """Take note of the error of the mean, which is in place."""
        least = self.judged[-1][1] if self.judged else math.inf
        if error < least:
            self.best = self._copy()
        self.error = error
        self.judged.append((self.n_steps, min(error, least)))

    def gains_less(self, share: float) -> bool:
        """Whether the second half of the steps took off less than a share of the least error."""
        former = [least for step, least in self.judged if 2 * step <= self.n_steps + 1]
        least = self.judged[-1][1]
        if not former:
            return False
        nothing_left = least == 0 and share > 0
        return nothing_left or least > (1 - share) * former[-1]

    def settle(self) -> None:
        """Give the parameters their mean, or the best that was looked at if that was before."""
        fell_back = bool(self.judged) and self.judged[-1][1] < self.error
        self._put(self.best if fell_back else self.mean)


def _optimizer(guess: StackedGuess, n_observed: int) -> Adam:
    memory = guess.memory
    groups = [Group([memory.log_weight, memory.log_cost, memory.choice], RATE, 0.0)]
    if memory.keys is not None:
        key_rate = KEY_RATE * min(1.0, n_observed / KEY_CELLS)
        groups.append(Group([*memory.keys.parameters()], key_rate, 0.0))
    return Adam(groups, (0.9, 0.95))


def _looks(most: int) -> set[int]:
    """Return the steps after which held-out cells are looked at: none of a few, else the last."""
    looks, step = set[int](), float(FIRST_LOOK)
    while step < most:
        looks.add(round(step))
        step *= LATER
    return looks | {most} if looks else looks


def _seen(judged: Tensor, generator: torch.Generator, most: int = LOOKED_AT) -> Tensor:
    """Return windows to look at, several times each where they are few."""
    order = torch.randperm(len(judged), generator=generator, device=judged.device)
    return judged[order].repeat(MASKS)[:most]


@torch.no_grad()
def _features(guess: StackedGuess) -> Tensor | None:
    """Return (n_memory, features) that the keys of remembered windows are made of, if any are."""
    keys, values, visible = guess.memory.keys, guess.memory.values, guess.memory.visible > 0
    if keys is None:
        return None
    keys.fit(values, visible)
    parts = zip(values.split(1024), visible.split(1024), strict=True)
    return torch.cat([keys.features(guess.base(*cells), cells[1]) for cells in parts])
