"""The parts of a model and its training that users choose, in the words of nn and engine."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torch import nn

from maetab import __version__
from maetab.engine.options import FitOptions
from maetab.engine.runtime import Deadline, pick_device
from maetab.nn.backbones import BACKBONES
from maetab.nn.config import ModelConfig
from maetab.nn.guess.options import GUESSES, GuessOptions
from maetab.nn.losses import LOSSES, Loss
from maetab.nn.masking import MASKINGS, Masking
from maetab.parameters import seed_of
from maetab.presets import PRESETS, backbone_of, guess_of, learning_rate_of, n_members

if TYPE_CHECKING:
    from maetab.base import BaseMAE

# Bins of a number that are predicted, pieces that it is read in. Eight to sixteen pieces were as
# good on small tables, 32 bins as good as a squared error or better.
N_BINS, N_PIECES = 32, 16
# Parameters that may change where a fit goes on, and what the names of objects hold besides.
OF_NO_MODEL = ("checkpoint", "device", "max_time", "random_state", "verbose")
ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def config_of(estimator: BaseMAE, n_levels: tuple[int, ...], n_steps: int) -> ModelConfig:
    """Return what the model of an estimator is to be, for columns and steps of windows."""
    own = estimator
    guess = guess_of(own)
    guess = replace(guess, resized=guess.resized and own._resizes_memory)
    return ModelConfig(
        n_levels=n_levels,
        n_steps=n_steps,
        n_phases=1,
        n_starts=0,
        n_calendar=0,
        width=own.width,
        n_heads=own.n_heads,
        n_encoder_layers=own.n_layers,
        n_decoder_layers=own.n_layers,
        dropout=own.dropout,
        n_bins=N_BINS,
        n_pieces=N_PIECES,
        backbone=backbone_of(own, n_steps > 1),
        loss=own.loss,
        guess=guess,
        n_estimators=1,
        n_memory=guess.n_remembered,
        learns_swaps=own._swap_ratio() > 0,
        n_members=max(1, n_members(own, n_steps > 1)),  # an encoder reads even an untrained one
    )


def options_of(estimator: BaseMAE, is_series: bool, deadline: Deadline) -> FitOptions:
    """Return how to train the model of an estimator."""
    own, group = estimator, estimator._group
    seed = group.share(seed_of(own.random_state, type(own).__name__))
    alone = own.checkpoint is None and group.size == 1
    return FitOptions(
        masking=masking_of(own, is_series),
        max_iter=own.max_iter if n_members(own, is_series) else 0,
        epochs=PRESETS[own.preset].epochs,
        most_cells=PRESETS[own.preset].most_cells,
        deadline=deadline,
        batch_size=own.batch_size,
        learning_rate=learning_rate_of(own, is_series),
        weight_decay=own.weight_decay,
        validation_fraction=own.validation_fraction,
        n_iter_no_change=own.n_iter_no_change,
        visible_weight=own.visible_weight,
        swap_ratio=own._swap_ratio(),
        seed=seed,
        device=pick_device(own.device),
        group=group,
        checkpoint=own.checkpoint,
        about={} if alone else _about(own, seed),
        start=None if own._before is None else own._before.model,
    )


def _told(value: Any) -> str:
    """Return a parameter as text, an object of the user's own by what it holds."""
    plain = type(value).__repr__ is not object.__repr__
    return repr(value) if plain else f"{type(value).__qualname__}({vars(value)!r})"


def _about(estimator: BaseMAE, seed: int) -> dict[str, Any]:
    """Return what a fit is, for the note in the folder that it leaves work in."""
    parameters = estimator.get_params(deep=False)
    given = {name: _told(x) for name, x in parameters.items() if name not in OF_NO_MODEL}
    schema = json.dumps(estimator.schema_.to_dict(), default=repr, sort_keys=True)
    return {
        "maetab": __version__,
        "class": type(estimator).__name__,
        "seed": seed,
        **{name: ADDRESS.sub("", text) for name, text in given.items()},
        "schema": hashlib.sha256(schema.encode()).hexdigest(),
    }


def masking_of(estimator: BaseMAE, is_series: bool) -> Masking:
    """Return what hides cells while the model of an estimator is trained."""
    chosen = estimator.masking
    if not isinstance(chosen, str):
        return chosen
    if chosen == "auto":
        chosen = "gaps" if is_series else "bernoulli"
    return MASKINGS[chosen](ratio=estimator.mask_ratio)


def check_parts(estimator: BaseMAE) -> None:
    """Raise a ValueError that names the first part that is no name of one and no part."""
    own, check = estimator, estimator._check_choice
    check("preset", tuple(PRESETS))
    if not isinstance(own.loss, Loss) or isinstance(own.loss, type):
        check("loss", tuple(LOSSES), " or an object that follows maetab.nn.losses.Loss")
    if not _is_module(own.backbone):
        check("backbone", ("auto", *BACKBONES), " or a class of torch modules")
    if not (_is_module(own.guess) or isinstance(own.guess, GuessOptions)):
        check("guess", tuple(GUESSES), " or a class of torch modules or GuessOptions")
    if not callable(own.masking) or isinstance(own.masking, type):
        check("masking", ("auto", *MASKINGS), " or an object of maetab.nn.masking")


def _is_module(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, nn.Module)
