"""How the metric of row attention is learned: cells are hidden, and similar windows guess them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from maetab.nn.windows import Windows

if TYPE_CHECKING:
    from maetab.nn.guess.stack import StackedGuess

TUNING_CELLS = 60_000_000  # products that a step of tuning may take: wide rows come in few
# Rate that keys are learned at, and the observed cells below which it is less: a map of all cells
# of a window learns small tables by heart.
KEY_RATE, KEY_CELLS = 3e-3, 10_000
# Observed cells below which there are fewer steps, and the share of these that is left at least.
STEP_CELLS, LEAST_STEPS = 2_000, 0.25


def tune(
    guess: StackedGuess,
    windows: Windows,
    chosen: Tensor,
    generator: torch.Generator,
    batch_size: int,
    should_stop: Callable[[], bool],
) -> None:
    """Learn the metric of the memory: squared error of the two guesses it gives.

    Parameters
    ----------
    chosen : windows that are learned from; all may be read
    batch_size : windows in a step
    """
    n, n_rows, n_observed = len(windows), guess.options.tuning_rows, int(windows.observed.sum())
    steps = round(guess.options.tuning_steps * min(1.0, max(LEAST_STEPS, n_observed / STEP_CELLS)))
    steps = max(1, steps)
    memory, features = guess.memory, _features(guess)
    groups: list[Any] = [{"params": [memory.log_weight, memory.log_cost, memory.choice]}]
    if memory.keys is not None:
        key_rate = KEY_RATE * min(1.0, n_observed / KEY_CELLS)
        groups.append({"params": list(memory.keys.parameters()), "lr": key_rate})
    optimizer = torch.optim.Adam(groups, lr=0.1, betas=(0.9, 0.95))
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    products = min(n, n_rows) * guess.coordinates.size
    batch_size = min(batch_size, len(chosen), max(16, TUNING_CELLS // products))
    device, spare = windows.rows.device, max(0, min(n, len(memory.values)) - n_rows)
    for _ in range(steps):
        rows = chosen[torch.randint(len(chosen), (batch_size,), generator=generator, device=device)]
        # They are remembered in random order, so that those in a row are a random sample.
        start = int(torch.randint(spare + 1, (1,), generator=generator, device=device))
        within = slice(start, start + n_rows)
        cells, visible, hidden = guess.hide(windows, rows, generator)
        normal = guess.base(cells, visible)
        keys = None
        if memory.keys is not None and features is not None:
            ours, theirs = memory.keys.features(normal, visible), features[within]
            keys = memory.keys(ours), memory.keys(theirs)
        index = windows.memory_index(rows)
        near = memory.mixed(memory(cells, visible, index, within, None, keys))
        direct = (near.mean - cells).square()
        moved = (normal.mean + near.residual - cells).square()
        half = ((near.mean + normal.mean) / 2 - cells).square()
        loss = ((direct + moved + half) * hidden).sum() / hidden.sum().clamp_min(1)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        rate.step()
        if should_stop():
            break
    if memory.keys is not None and features is not None:
        memory.keys.remember(features)


@torch.no_grad()
def _features(guess: StackedGuess) -> Tensor | None:
    """Return (n_memory, features) that the keys of remembered windows are made of, if any are."""
    keys, values, visible = guess.memory.keys, guess.memory.values, guess.memory.visible > 0
    if keys is None:
        return None
    keys.fit(values, visible)
    parts = zip(values.split(1024), visible.split(1024), strict=True)
    return torch.cat([keys.features(guess.base(*cells), cells[1]) for cells in parts])
