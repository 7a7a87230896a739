"""How whole windows go: their cells less the last ones, and what the first guess expects next."""

from __future__ import annotations

import torch
from torch import Tensor

from maetab.nn.config import ModelConfig
from maetab.nn.ensemble import Ensemble
from maetab.nn.guess.coordinates import Coordinates
from maetab.nn.windows import Clock

AHEAD = 4  # one step is expected of so many of a window


def steps_ahead(n_steps: int) -> int:
    """Return how many steps behind a window of `n_steps` are expected."""
    return max(1, n_steps // AHEAD)


def course_sizes(config: ModelConfig) -> list[int]:
    """Return how many features are of cells, and how many of what is expected."""
    step = Coordinates(config.n_levels, config.n_steps).step_size
    return [config.n_steps * step, steps_ahead(config.n_steps) * step]


class Course:
    """What there is of completed windows beside tokens, in coordinates.

    A series goes on from where it is: cells are told as differences to those of the last step, and
    so is what the first guess expects of the steps that follow, from all of the window that it has
    room for beside them.
    """

    def __init__(self, model: Ensemble) -> None:
        self.guess, self.n_phases = model.guess, model.config.n_phases
        self.ahead = steps_ahead(model.config.n_steps)

    def __call__(self, wholes: list[Tensor], clock: Clock | None) -> Tensor:
        """Return (B, D) of windows (B, T, F), of the mean of completions; see `course_sizes`."""
        n_steps = wholes[0].shape[1]
        cells, known = self._coordinates(wholes)
        later, seen = (self._moved(x, n_steps) for x in (cells, known))
        seen.unflatten(1, (n_steps, -1))[:, -self.ahead :] = False
        expected = self.guess.guess(later, seen, clock=self._later(clock)).mean
        cells, expected = (x.unflatten(1, (n_steps, -1)) for x in (cells, expected))
        last = cells[:, -1:]
        return torch.cat([cells - last, expected[:, -self.ahead :] - last], 1).flatten(1)

    def _coordinates(self, wholes: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Return (B, T * c) coordinates, the mean of completions, and which of them are known."""
        expand = self.guess.coordinates.expand
        each, known = zip(*(expand(x, torch.ones_like(x).bool()) for x in wholes), strict=True)
        shown = torch.stack(known).all(0)
        return torch.where(shown, torch.stack(each).mean(0), 0.0), shown

    def _moved(self, cells: Tensor, n_steps: int) -> Tensor:
        """Return (B, T * c) of the windows that begin `ahead` steps later."""
        return cells.unflatten(1, (n_steps, -1)).roll(-self.ahead, 1).flatten(1)

    def _later(self, clock: Clock | None) -> Clock | None:
        """Return the clock of these windows; the first guess does not read the calendar."""
        if clock is None:
            return None
        more = torch.arange(1, self.ahead + 1, device=clock.position.device)
        position, phase = (
            torch.cat([x[:, self.ahead :], x[:, -1:] + more.to(x)], 1) for x in clock[:2]
        )
        return Clock(position, phase % self.n_phases, clock.calendar)
