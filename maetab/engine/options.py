"""How to train: the estimators' parameters in the words of the engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

import torch

from maetab.engine.processes import ALONE, Processes
from maetab.engine.runtime import Deadline
from maetab.nn.ensemble import Ensemble
from maetab.nn.masking import Masking

Record = dict[str, float]


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """How to train; the estimators document the fields.

    Parameters
    ----------
    masking : hides cells of a batch
    max_iter : epochs; None for `epochs` (fewer in small tables), with 20 steps at least and
        `most_cells` cells at most, of series a number of steps of their own; 0 for the first guess
        alone
    deadline : of everything; where it is near, fewer rows are looked at, and a network whose least
        is too dear is not begun, which the history shows
    visible_weight : what a visible cell counts in the loss, a hidden one counts 1
    swap_ratio : share of the visible cells that get another row's value, for the network to tell
    kept_bytes : what first guesses that are kept for later epochs may take
    on_record : is given each record of the history as it is made; True stops the network
    on_progress : is told what is being done, which share of it is, and how often held-out cells are
        checked in it at most
    group : the processes that fit together
    checkpoint : folder of what is left for a fit that goes on; None for none
    about : what the fit is, for the note in that folder
    start : fitted model whose parameters learning begins from; None for none
    keep_parts : whether the model keeps the guesses that know nothing of a part of the windows
    """

    masking: Masking
    max_iter: int | None
    epochs: int
    most_cells: int
    deadline: Deadline
    batch_size: int
    learning_rate: float
    weight_decay: float
    validation_fraction: float
    n_iter_no_change: int
    visible_weight: float
    swap_ratio: float
    seed: int
    device: torch.device
    kept_bytes: int = 480_000_000  # 800,000 cells of numbers
    on_record: Callable[[Record], object] | None = None
    on_progress: Callable[[str, float, int], object] = lambda what, share, n_checks: None
    group: Processes = ALONE
    checkpoint: str | PathLike | None = None
    about: dict[str, Any] = field(default_factory=dict)
    start: Ensemble | None = None
    keep_parts: bool = False
