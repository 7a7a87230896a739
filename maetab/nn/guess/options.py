"""How the first guess is made: the numbers of one subject in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from maetab.nn.guess.gaussian import Gaussian

GUESSES: dict[str, type[nn.Module]] = {"gaussian": Gaussian}


_COUNTS = ("n_remembered", "tuning_steps", "tuning_windows", "tuning_rows", "n_metrics")


@dataclass(frozen=True)
class GuessOptions:
    """How the first guess is made.

    Parameters
    ----------
    base : "gaussian" or a class that follows `maetab.nn.guess.gaussian.BaseGuess`
    n_remembered : at least 1
        Windows (rows, in a table) that the memory holds at most. Comparing with them is what a
        prediction costs. A memory has 16 places at least.
    resized : bool
        Whether a `MAEImputer` of more than twice as many rows chooses how many it remembers, from
        a quarter of `n_remembered` to twice as many: no more than held-out cells ask for. Others
        take `n_remembered`, as they also compare rows with the remembered ones as wholes.
    tuning_steps : at least 1
        Steps that the metric of the memory is learned in, at most.
    least_gain : in [0, 1)
        Share of the squared error at held-out cells that twice the steps have to take off; else
        learning ends. 0 takes all steps. The state that was best there is kept in any case.
    tuning_windows : at least 1
        Windows that such a step learns from, at most: few bring more in the first seconds.
    tuning_rows : at least 1
        Remembered windows that are compared with in such a step: a sample, which costs less.
    key_width : 0, or at least 2
        Numbers of a learned key of a window, one of which is spent on its length. 0: windows are
        compared cell by cell alone, and the heads are mixed before they are weighted.
    n_metrics : at least 1
        Metrics that are learned side by side, with four heads each: what they say together is
        better, and what they take adds up. Without keys they are mixed into one answer.
    cross_fitted : bool
        Whether, in tables of up to some thousand rows, how much a Gaussian is shrunk is chosen, and
        what is learned after it is learned, by copies that were fitted without the rows they are
        asked for. Without, a fit takes less time, and intervals after few rows are too narrow.
    hidden_ratio : in (0, 1)
        Share of the cells that is hidden while the metric is learned and the guesses are weighted.

    Raises
    ------
    ValueError
        If a field cannot be what it is.
    """

    base: Any = "gaussian"
    n_remembered: int = 4096
    resized: bool = False
    tuning_steps: int = 400
    least_gain: float = 0.01
    tuning_windows: int = 256
    tuning_rows: int = 512
    key_width: int = 16
    n_metrics: int = 2
    cross_fitted: bool = True
    hidden_ratio: float = 0.3

    def __post_init__(self) -> None:
        names = ", ".join(map(repr, GUESSES))
        wanted = {"base": f"one of {names} or a class of torch modules"}
        wanted |= dict.fromkeys(_COUNTS, "an int of at least 1") | {"hidden_ratio": "in (0, 1)"}
        own = isinstance(self.base, type) and issubclass(self.base, nn.Module)
        fits = {"base": own or (isinstance(self.base, str) and self.base in GUESSES)}
        for name in _COUNTS:
            count = getattr(self, name)
            fits[name] = isinstance(count, int) and not isinstance(count, bool) and count > 0
        width = self.key_width
        fits["key_width"] = isinstance(width, int) and not isinstance(width, bool) and width != 1
        fits["key_width"] = fits["key_width"] and width >= 0
        wanted["key_width"] = "an int of at least 2, or 0"
        for name in ("cross_fitted", "resized"):
            fits[name], wanted[name] = isinstance(getattr(self, name), bool), "True or False"
        ratio = self.hidden_ratio
        fits["hidden_ratio"] = isinstance(ratio, float) and 0 < ratio < 1
        gain = self.least_gain
        fits["least_gain"] = isinstance(gain, float | int) and 0 <= gain < 1
        wanted["least_gain"] = "in [0, 1)"
        for name, fine in fits.items():
            if not fine:
                got = getattr(self, name)
                raise ValueError(f"{name!r} of GuessOptions must be {wanted[name]}, got {got!r}.")

    def make_base(self, n_coordinates: int) -> Any:
        """Return the base guess, not fitted, over so many coordinates."""
        kind = GUESSES[self.base] if isinstance(self.base, str) else self.base
        return kind(n_coordinates)
