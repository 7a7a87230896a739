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
    members, dear_members : at least 0
        Members of the network, where it is a perceptron of a table, and of others, which take more
        time; 0 leaves the first guess alone.
    epochs, most_cells : at least 1
        Passes over the rows of a table that the network learns in, and cells that it sees at most.
    """

    guess: GuessOptions
    members: int
    dear_members: int
    epochs: int
    most_cells: int


# `python -m benchmarks.presets` prints what each takes and brings.
PRESETS = {
    "fast": Preset(
        GuessOptions(resized=True, tuning_steps=50, tuning_windows=128, n_metrics=1),
        0,
        0,
        20,
        10_000_000,
    ),
    "balanced": Preset(GuessOptions(resized=True), 4, 1, 20, 10_000_000),
    "best": Preset(
        GuessOptions(
            n_remembered=16_384, resized=True, n_metrics=4, tuning_steps=800, least_gain=0.005
        ),
        8,
        2,
        100,
        100_000_000,
    ),
}


def guess_of(estimator: BaseMAE) -> GuessOptions:
    """Return how the first guess of an estimator is made."""
    given = estimator.guess
    if isinstance(given, GuessOptions):
        return given
    return replace(PRESETS[estimator.preset].guess, base=given)


def n_members(estimator: BaseMAE, is_series: bool) -> int:
    """Return how many members the network of an estimator has; 0 if none is trained."""
    if estimator.max_iter == 0:
        return 0
    if estimator.n_estimators is not None:
        return estimator.n_estimators
    preset = PRESETS[estimator.preset]
    cheap = backbone_of(estimator, is_series) == "mlp" and not is_series
    usual = preset.members if cheap else preset.dear_members
    return usual if estimator.max_iter is None else max(1, usual)


def backbone_of(estimator: BaseMAE, is_series: bool) -> str | type:
    """Return what encoder and decoder of an estimator are made of."""
    if estimator.backbone != "auto":
        return estimator.backbone
    return "transformer" if is_series or estimator._reads_tokens() else "mlp"


def learning_rate_of(estimator: BaseMAE, is_series: bool) -> float:
    """Return the highest rate of the schedule."""
    if estimator.learning_rate_init is not None:
        return estimator.learning_rate_init
    return 6e-3 if backbone_of(estimator, is_series) == "mlp" else 3e-3
