"""A fitted model from windows: first guess, network, its weights, calibration."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from maetab.engine.batches import HELD_OUT, seed_of
from maetab.engine.calibration import calibrate, held_out_errors, set_network_weights
from maetab.engine.checkpoint import NONE, Checkpoint, digest, digest_of
from maetab.engine.first_guess import fit_first_guess
from maetab.engine.held_out import HeldOut, hold_out
from maetab.engine.options import FitOptions, Record
from maetab.engine.runtime import SLACK, Deadline, seeded
from maetab.engine.series_calibration import calibrate_series
from maetab.engine.trainer import NETWORK, Trainer
from maetab.nn.config import ModelConfig
from maetab.nn.ensemble import Ensemble
from maetab.nn.guess.cells import CellGuess
from maetab.nn.guess.grouping import has_room
from maetab.nn.guess.memory import MIN_ROWS
from maetab.nn.windows import Windows

# Where time is limited: the share of it that passes over held-out cells may take, the windows that
# they look at at least, and the steps below which the network is not begun.
PASSES, LEAST_ROWS, WORTH_STEPS = 0.3, 64, 10
REMEMBERED_CELLS = 20_000_000  # of windows of several steps
RESIZED = 2_000_000  # coordinates of remembered rows up to which twice as many are tried
# What a model's parameters follow from, in words of the estimators.
OF_SHAPE = {
    "n_levels": "levels of each column, 0 for numbers",
    "n_steps": "rows of a window",
    "width": "width",
    "n_heads": "n_heads",
    "n_encoder_layers": "n_layers",
    "n_members": "members (n_estimators, preset)",
    "backbone": "backbone",
    "loss": "loss",
    "guess": "guess (guess, preset)",
    "n_phases": "steps of the period",
    "n_starts": "phases that windows start at",
    "n_calendar": "numbers of the calendar",
    "learns_swaps": "swap noise",
}
MAX_STARTS = 4  # phases that windows start at, beyond which they share one Gaussian


def fit_model(
    config: ModelConfig, windows: Windows, options: FitOptions
) -> tuple[Ensemble, list[Record]]:
    """Return a fitted ensemble on the CPU, and the history of its training.

    Parameters
    ----------
    config : whose `n_memory` is that of the guess's options, or fewer
    windows : over all rows to learn from
    """
    device, deadline, group = options.device, options.deadline, options.group
    with seeded(options.seed, device) as generator:
        windows = windows.to(device)
        checkpoint = _checkpoint(windows, options)
        model = Ensemble(_sized(config, windows)).to(device)
        if options.start is not None:
            _begin_from(model, options.start)
        options.on_progress("first guess", 0.0, 0)
        windows = fit_first_guess(model, windows, options, generator, group, checkpoint)
        generator.manual_seed(seed_of(options.seed, HELD_OUT))  # whether it was fitted or read
        table = hold_out(windows, options.validation_fraction, generator)
        history, n_rows = _train_network(model, table, options, checkpoint)
        options.on_progress("calibration", 0.0, 0)
        if model.is_series:
            group.of_first(lambda: calibrate_series(model, table, deadline, generator))
        else:
            group.of_first(lambda: calibrate(model, table, n_rows, deadline))
        if not options.keep_parts:
            model.forget_parts()
        model.eval().cpu()
        model.load_state_dict(group.share(model.state_dict()))
    return model, group.share(history)


@torch.no_grad()
def _begin_from(model: Ensemble, start: Ensemble) -> None:
    """Give a model the parameters of another; what the other has dropped stays as it is.

    Raises
    ------
    ValueError
        The two are of different shapes, or of different losses.
    """
    found, was, now = dict(start.named_parameters()), start.config, model.config
    pairs = [(p, found[name]) for name, p in model.named_parameters() if name in found]
    other_loss = type(model.loss) is not type(start.loss)
    if other_loss or any(p.shape != before.shape for p, before in pairs):
        each = [(told, getattr(was, name), getattr(now, name)) for name, told in OF_SHAPE.items()]
        differs = [
            f"{what} ({old!s:.60} there, {new!s:.60} here)" for what, old, new in each if old != new
        ]
        raise ValueError(
            f"warm_start=True goes on from the model that was fitted before, which differs in "
            f"{', '.join(differs) or 'the shapes of its parts'}. Fit with what it had, or anew "
            f"with warm_start=False."
        )
    for p, before in pairs:
        p.copy_(before)


def _checkpoint(windows: Windows, options: FitOptions) -> Checkpoint:
    """Return the checkpoint of a fit; all processes must be at the same one."""
    group = options.group
    if options.checkpoint is None and group.size == 1:
        return NONE
    about = options.about | {"data": digest_of(windows)}
    if options.start is not None:
        about["model before"] = digest(options.start.parameters())
    notes = group.gather(about)
    if differs := [key for key in about if any(note[key] != notes[0][key] for note in notes)]:
        raise ValueError(
            f"{group.size} processes fit one model together, and differ in {', '.join(differs)}; "
            f"fit the same table with the same parameters in all of them, or unset RANK and "
            f"WORLD_SIZE where each is to fit alone."
        )
    opened: Checkpoint = group.of_first(lambda: Checkpoint(options.checkpoint, about))
    return opened if group.first else NONE


def _sized(config: ModelConfig, windows: Windows) -> ModelConfig:
    """Return the config with what the windows say: how many are remembered, and their clock."""
    n_memory = min(config.guess.n_remembered, len(windows))
    if config.guess.resized and config.n_steps == 1:
        twice = 2 * n_memory
        room = twice < len(windows) and twice * config.n_coordinates <= RESIZED
        n_memory = twice if room else n_memory
    if config.n_steps > 1:
        n_memory = min(n_memory, REMEMBERED_CELLS // (config.n_steps * len(config.n_levels)))
    config = replace(config, n_memory=max(MIN_ROWS, n_memory))
    clock = windows.clock_of(slice(None))
    if clock is None:
        return config
    starts = len(clock.usual_starts())
    # Of wide windows, columns that are told by more others are worth more than phases.
    room = starts <= MAX_STARTS and has_room(config.n_coordinates, config.n_steps, 1 + starts)
    return replace(
        config,
        n_phases=int(clock.phase.max()) + 1,
        n_starts=starts if room else 0,
        n_calendar=clock.calendar.shape[-1],
    )


def _train_network(
    model: Ensemble, table: HeldOut, options: FitOptions, checkpoint: Checkpoint
) -> tuple[list[Record], int | None]:
    """Train the network and weigh it against the first guess; without time for it, drop it.

    Returns
    -------
    history : of its training
    n_rows : windows that passes over held-out cells may look at; None if nothing was trained
    """
    [network] = model.networks
    network.tokens.fit(table.windows.values, table.windows.observed)
    if options.max_iter == 0:
        return [], None
    group = options.group
    begun = group.share(checkpoint.holds(NETWORK))
    plan = group.of_first(lambda: _plan(model, table, options))
    if plan is None and begun:
        plan = Plan(0.0, LEAST_ROWS, LEAST_ROWS // 2)
    if plan is None:
        model.drop_networks()
        return [], None
    until = Deadline(plan.seconds, options.deadline.clock)
    history = Trainer(model, table, options, until, plan.n_checked, group, checkpoint).train()

    def weigh() -> None:
        errors = held_out_errors(model, network, table, plan.n_rows, options.deadline)
        set_network_weights(model, errors)

    group.of_first(weigh)
    return history, plan.n_rows


class Plan(NamedTuple):
    """What there is time for: how many seconds the network trains (None for no limit), and how many
    windows are looked at, in passes over held-out cells and in looks at them while it trains.
    """

    seconds: float | None
    n_rows: int
    n_checked: int


@torch.no_grad()
def _plan(model: Ensemble, table: HeldOut, options: FitOptions) -> Plan | None:
    """Return how to share the time left among training and passes, by what a window costs.

    None if there is none for the least that the network takes.
    """
    deadline, sample = options.deadline, table.sample()
    if not deadline.limited:
        return Plan(None, len(sample), len(table))
    network: Any = model.members[0].eval()

    def guess(n_rows: int) -> tuple[Tensor, Tensor, CellGuess]:
        values, visible, _ = table.cells(sample[:n_rows])
        index = table.windows.memory_index(sample[:n_rows])
        clock = table.windows.clock_of(sample[:n_rows])
        return values, visible, model.first_guess(values, visible, index, clock=clock)

    def look(n_rows: int) -> None:
        clock = table.windows.clock_of(sample[:n_rows])
        model.predict(network, *guess(n_rows), clock)

    n = min(len(sample), table.max_batch_rows(options.batch_size))
    first, each = (deadline.seconds_per_row(work, n) for work in (guess, look))
    left, per_row = SLACK * deadline.left(), 2 * each  # passes: for the weights, and calibration
    n_rows = min(len(sample), max(LEAST_ROWS, int(PASSES * left / per_row)))
    seconds = left - n_rows * per_row
    n_checked = max(LEAST_ROWS // 2, int(0.02 * seconds / each))
    step = n * (first + 3 * max(each - first, 0.1 * each))  # gradients cost twice the rest
    least = 2 * min(n_checked, n) * each + WORTH_STEPS * step
    return Plan(seconds, n_rows, n_checked) if least < seconds else None
