"""How much time a fit spends: what each `preset` means, in one place."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from maetab.nn.guess.options import GuessOptions

if TYPE_CHECKING:
    from maetab.base import BaseMAE


@dataclass(frozen=True)
class Preset:
    """What is done where the parameters of an estimator leave it open.

    Parameters
    ----------
    guess : how the first guess is made, without its base
    of_tables, of_series : at least 0
        Networks that are trained; 0 leaves the first guess alone.
    """

    guess: GuessOptions
    of_tables: int
    of_series: int


# `python -m benchmarks.presets` prints what each takes and brings.
PRESETS = {
    "fast": Preset(GuessOptions(tuning_steps=50, tuning_windows=128), of_tables=0, of_series=0),
    "balanced": Preset(GuessOptions(), of_tables=1, of_series=1),
    "best": Preset(
        GuessOptions(n_metrics=4, tuning_steps=800, least_gain=0.005, n_remembered=16_384),
        of_tables=1,
        of_series=2,
    ),
}


def guess_of(estimator: BaseMAE) -> GuessOptions:
    """Return how the first guess of an estimator is made."""
    given = estimator.guess
    if isinstance(given, GuessOptions):
        return given
    return replace(PRESETS[estimator.preset].guess, base=given)


def n_networks(estimator: BaseMAE, is_series: bool) -> int:
    """Return how many networks an estimator trains; 0 for none."""
    if estimator.max_iter == 0:
        return 0
    if estimator.n_estimators is not None:
        return estimator.n_estimators
    preset = PRESETS[estimator.preset]
    usual = preset.of_series if is_series else preset.of_tables
    return usual if estimator.max_iter is None else max(1, usual)
