"""How the first guess is made: the numbers of one subject in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from maetab.nn.guess.gaussian import Gaussian

GUESSES: dict[str, type[nn.Module]] = {"gaussian": Gaussian}


@dataclass(frozen=True)
class GuessOptions:
    """How the first guess is made.

    Parameters
    ----------
    base : "gaussian" or a class that follows `maetab.nn.guess.gaussian.BaseGuess`
    n_remembered : at least 1
        Windows (rows, in a table) that the memory holds at most. Comparing with them is what a
        prediction costs.
    tuning_steps : at least 1
        Steps that the metric of the memory is learned in.
    tuning_rows : at least 1
        Remembered windows that are compared with in such a step: a sample, which costs less.
    hidden_ratio : in (0, 1)
        Share of the cells that is hidden while the metric is learned and the guesses are weighted.
    """

    base: Any = "gaussian"
    n_remembered: int = 4096
    tuning_steps: int = 150
    tuning_rows: int = 2048
    hidden_ratio: float = 0.3

    def make_base(self, n_coordinates: int) -> Any:
        """Return the base guess, not fitted, over so many coordinates."""
        kind = GUESSES[self.base] if isinstance(self.base, str) else self.base
        return kind(n_coordinates)
