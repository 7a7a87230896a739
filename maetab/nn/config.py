"""What fixes the shapes of a model."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from maetab.nn.guess.grouping import fits
from maetab.nn.guess.options import GuessOptions


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Everything that fixes the shapes of a model; weights aside, a model is its config.

    Parameters
    ----------
    n_levels : per column; 0 for a number, else how many levels of the category are modelled
    n_steps : T
    n_phases, n_starts, n_calendar : steps of the period, phases that windows start at (0 for any),
        numbers that the calendar says of a step; 1, 0 and 0 in tables
    width, n_heads, n_encoder_layers, n_decoder_layers, dropout : of the networks
    n_bins, n_pieces : bins that are predicted, pieces that are read
    backbone, loss : names, or a class and an object that follow their protocols
    guess : how the first guess is made
    n_estimators : networks that are averaged: one, or more in models of 0.1.0
    n_members : members of a network, which share its weights and are averaged
    n_memory : windows that the first guess remembers
    learns_swaps : whether the networks learn which cells hold another row's value
    """

    n_levels: tuple[int, ...]
    n_steps: int
    n_phases: int
    n_starts: int
    n_calendar: int
    width: int
    n_heads: int
    n_encoder_layers: int
    n_decoder_layers: int
    dropout: float
    n_bins: int
    n_pieces: int
    backbone: Any
    loss: Any
    guess: GuessOptions
    n_estimators: int
    n_memory: int
    learns_swaps: bool
    n_members: int = 1

    @property
    def is_series(self) -> bool:
        """Whether windows have several steps, and the first guess is that of series.

        Windows of so many steps that not even single columns have a covariance are guessed as rows
        are, by factors.
        """
        several = self.n_steps > 1 and isinstance(self.guess.base, str)
        return several and fits(self.n_coordinates, self.n_steps)

    @property
    def n_coordinates(self) -> int:
        """Coordinates of a step: one per number and one per level of a category."""
        return sum(max(n, 1) for n in self.n_levels)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, ready for JSON where no object is the user's."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        return plain | {"n_levels": list(self.n_levels), "guess": asdict(self.guess)}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> ModelConfig:
        """Return the config that `to_dict` described."""
        guess = GuessOptions(**fields["guess"])
        return cls(**fields | {"n_levels": tuple(fields["n_levels"]), "guess": guess})
