"""Features of rows, read out of a fitted model, and the way back to cells.

Cells that are not visible are completed with what the model says of them, and the completed row is
encoded, every cell visible. Batches have one shape, as in `engine.inference`, so a row's features
do not depend on the rows beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from maetab.engine.attended import Attended, attended_sizes, has_keys, landmark_windows
from maetab.engine.course import Course, course_sizes
from maetab.engine.inference import (
    FARTHEST,
    batch_rows,
    each_batch,
    on_device,
    padded_clock,
)
from maetab.engine.pieces import Pieces
from maetab.nn.config import ModelConfig
from maetab.nn.ensemble import Ensemble
from maetab.nn.windows import Clock, Windows

READOUTS = ("concat", "mean", "cls")
N_COMPLETIONS = 4  # of a row with missing cells; its features are their mean


class Projection(NamedTuple):
    """A linear map of the readout: mean (D,) that is subtracted, components (k, D)."""

    mean: np.ndarray
    components: np.ndarray


class Steps(NamedTuple):
    """Single steps of windows, ascending by window: step (R,) of each of the windows (R,)."""

    window: np.ndarray
    step: np.ndarray

    @classmethod
    def middle(cls, windows: Windows) -> Steps:
        """Return the middle step of each window."""
        n, t = windows.rows.shape
        return cls(np.arange(n), np.full(n, t // 2))

    @classmethod
    def nearest_middle(cls, windows: Windows) -> Steps:
        """Return for each row that a window holds the step where it is nearest to a middle."""
        rows = windows.rows.numpy()
        window, step = np.nonzero(rows >= 0)
        row, far = rows[window, step], np.abs(2 * step - rows.shape[1] + 1)
        order = np.lexsort((window, far, row))
        chosen = np.sort(order[np.unique(row[order], return_index=True)[1]])
        return cls(window[chosen], step[chosen])


class Blocks(NamedTuple):
    """Parts of a readout, and the components that it is cut down to.

    sizes : features of each
    shares : of the components, of each part; None where all have theirs together
    n_components : that are usual
    as_is : whether components of the last part are single features of it, those that vary most
    """

    sizes: list[int]
    shares: tuple[float, ...] | None
    n_components: int = 128
    as_is: bool = False


def latent_size(config: ModelConfig, readout: str, of_step: bool = False) -> int:
    """Return how many features `embed` reads out of a window, or of one of its steps."""
    return sum(blocks_of(config, readout, of_step).sizes)


def blocks_of(config: ModelConfig, readout: str, of_step: bool = False) -> Blocks:
    """Return what is of tokens, and of whatever else "concat" reads; see `embed`."""
    c, of_window = config, config.is_series and not of_step
    n_readers = c.n_estimators * c.n_members
    if readout != "concat":
        return Blocks([n_readers * c.width], (1.0,))
    if not _reads_tokens(c, readout):
        # `python -m benchmarks.encode_halves --trials` compares this with other readouts.
        return Blocks(attended_sizes(c), (1 / 3, 1 / 3, 1 / 3), 192, as_is=True)
    n_tokens = (c.n_steps if of_window else 1) * (1 + len(c.n_levels))
    more = course_sizes(c) if of_window else attended_sizes(c)
    sizes = [n_readers * n_tokens * c.width, *more]
    return Blocks(sizes, None if of_window else (0.125, 0.875))


def _reads_tokens(config: ModelConfig, readout: str) -> bool:
    """Return whether tokens of networks are read: beside keys of rows they added nothing."""
    return readout != "concat" or not has_keys(config)


@torch.inference_mode()
def embed(
    model: Ensemble,
    windows: Windows,
    device: torch.device,
    readout: str,
    projection: Projection | None = None,
    with_pieces: bool = False,
    plain: bool = False,
    steps: Steps | None = None,
    unread: tuple[int, ...] = (),
) -> np.ndarray:
    """Return (W, D) the features of each window, or (R, D) of single steps; all are finite.

    Parameters
    ----------
    windows : W of them; of a table, its rows
    readout : one of `READOUTS`
    projection : None keeps the readout as it is
    with_pieces, plain : (W, D + T * R), the encoded input behind the features, see `Pieces`
    steps : the R steps that are read, each in its window; None for whole windows
    unread : columns that no feature tells of: they are hidden while rows are completed, then 0

    Returns
    -------
    latent : (W, D), see `latent_size`, network by network; (W, k) if projected
        "concat": of rows what is `Attended` where there are keys; else of each step the row's
        token, then those of its cells, and behind all networks, of single rows and steps the
        similarities of `Attended`, of windows of several steps their `Course`; "mean": the mean of
        the cells' tokens; "cls": the row's token, the mean over the steps. Of a single step the
        same, without the other steps.
    """
    assert readout in READOUTS, readout
    t, of_steps = model.config.n_steps, steps is not None
    size, project = latent_size(model.config, readout, of_steps), None
    if projection is not None:
        size, project = len(projection.components), _projector(projection, device)
    n_out = len(windows if steps is None else steps.window)
    with on_device(model, device):
        pieces = Pieces(model.support, plain) if with_pieces else None
        n_pieces = pieces.size * (1 if of_steps else t) if pieces else 0
        out = np.zeros((n_out, size + n_pieces), np.float32)
        n_batch = batch_rows(t * len(model.config.n_levels), device)
        blank = torch.zeros(len(model.config.n_levels), dtype=torch.bool, device=device)
        blank[list(unread)] = True
        more = _more(model, device, of_steps, blank) if readout == "concat" else None

        def work(found: slice, values: Tensor, visible: Tensor) -> Tensor:
            read = _places(found, steps, t)[1]
            clock = padded_clock(windows, found, n_batch, device)
            n_rows = found.stop - found.start
            wholes = _complete(model, values, visible, n_rows, blank, clock=clock)
            latent = _features(model, wholes, readout, more, of_steps, clock)
            parts = [latent[read] if project is None else project(latent)[read]]
            if pieces is not None:
                encoded = torch.stack([pieces(x.flatten(0, 1)) for x in wholes]).mean(0)
                parts.append((encoded if of_steps else encoded.view(n_batch, -1))[read])
            return torch.cat(parts, 1)

        for found, features in each_batch(work, windows, device, n_batch):
            # Wild cells may pass what a float32 holds.
            out[_places(found, steps, t)[0]] = np.nan_to_num(features.cpu().numpy())
    return out


def _places(found: slice, steps: Steps | None, t: int) -> tuple[slice, slice | Tensor]:
    """Return where the output of some windows stands, and what is read of their batch."""
    if steps is None:
        return found, slice(found.stop - found.start)
    own = slice(*np.searchsorted(steps.window, [found.start, found.stop]))
    return own, torch.tensor((steps.window[own] - found.start) * t + steps.step[own])


def _projector(projection: Projection, device: torch.device) -> Callable[[Tensor], Tensor]:
    """Return the linear map of (B, D) to (B, k)."""
    mean = torch.tensor(projection.mean, device=device)
    k = len(projection.components)
    # Padded, because the kernel of a narrow product depends on the row's place.
    wide = np.pad(projection.components, ((0, -k % 16), (0, 0)))
    components = torch.tensor(wide.T.copy(), device=device)
    return lambda latent: ((latent - mean) @ components)[:, :k]


def _complete(
    model: Ensemble,
    values: Tensor,
    visible: Tensor,
    n_rows: int,
    blank: Tensor,
    n_times: int = N_COMPLETIONS,
    clock: Clock | None = None,
) -> list[Tensor]:
    """Return values (B, T, F), completed; complete windows cost no prediction.

    blank : (F,) bool, columns that are hidden, and 0 in what is returned

    Missing cells are completed `n_times` over, with quantiles of what is predicted of them: each
    cell takes all of its quantiles once, in an order of its own (a Latin hypercube: McKay et al.
    1979). What is linear in the mean of their features then averages over what the cells may be.
    """
    if (visible | blank)[:n_rows].all():
        return [values.masked_fill(blank, 0.0)]
    visible = visible & ~blank
    found = [x.flatten(0, 1) for x in model.predicted(values, visible, clock=clock)]
    n_cells = visible[0].numel()
    random = np.random.default_rng(0)
    orders = np.stack([random.permutation(n_times) for _ in range(n_cells)], 1)
    wholes = []
    for level in (orders + 0.5) / n_times:
        share = torch.tensor(level, dtype=values.dtype, device=values.device)
        share = share.view(values.shape[1:]).expand_as(values).flatten(0, 1)
        # In tables as predicted, in series as calibrated: there are no probabilities of numbers.
        if model.is_series:
            guess = model.quantile(found[0], found[1], found[2], share).view_as(values)
        else:
            guess = model.support.quantile(found[0], share).view_as(values)
        wholes.append(torch.where(visible, values, guess).masked_fill(blank, 0.0))
    return wholes


def _more(
    model: Ensemble, device: torch.device, of_steps: bool, blank: Tensor
) -> Attended | Course:
    """Return what "concat" reads beside tokens; `blank` as in `_complete`."""
    if model.is_series and not of_steps:
        return Course(model)
    windows = landmark_windows(model)
    size = batch_rows(model.config.n_steps * len(model.config.n_levels), device)

    def work(found: slice, values: Tensor, visible: Tensor) -> Tensor:
        clock, n_rows = padded_clock(windows, found, size, device), found.stop - found.start
        return _complete(model, values, visible, n_rows, blank, 1, clock)[0][:n_rows]

    wholes = [whole for _, whole in each_batch(work, windows, device, size)]
    return Attended(model, torch.cat(wholes))


def _features(
    model: Ensemble,
    wholes: list[Tensor],
    readout: str,
    more: Attended | Course | None,
    of_steps: bool,
    clock: Clock | None,
) -> Tensor:
    """Return (B, D) what is read of windows (B, T, F), or (B * T, D) of their steps.

    wholes : the windows, completed several times over; features are the mean over these
    """
    t, wholes = wholes[0].shape[1], [x.clamp(-FARTHEST, FARTHEST) for x in wholes]
    latent = torch.stack([_tokens(model, x, readout, of_steps, clock) for x in wholes]).mean(0)
    if more is None:
        return latent
    own = more(wholes, clock)
    return torch.cat([latent, own.repeat_interleave(t, 0) if of_steps else own], 1)


def _tokens(
    model: Ensemble, whole: Tensor, readout: str, of_steps: bool, clock: Clock | None
) -> Tensor:
    """Return (B, D) what is read of the tokens of all networks, or (B * T, D) of single steps."""
    everywhere, t = torch.ones_like(whole, dtype=torch.bool), whole.shape[1]
    parts = [whole.new_zeros(len(whole) * (t if of_steps else 1), 0)]
    if not _reads_tokens(model.config, readout):
        return parts[0]
    known = (model.guess(whole, everywhere, clock=clock), clock) if model.is_series else ()
    for network in model.networks:
        tokens = network.encode(whole, everywhere, *known).unflatten(1, (t, -1))
        parts.append(_read(tokens.flatten(0, 1)[:, None] if of_steps else tokens, readout))
    return torch.cat(parts, 1)


def _read(tokens: Tensor, readout: str) -> Tensor:
    """Return (B, D) from the tokens (B, T, 1 + F, D) of rows and their cells."""
    if readout == "concat":
        return tokens.flatten(1)
    return tokens[:, :, 1:].flatten(1, 2).mean(1) if readout == "mean" else tokens[:, :, 0].mean(1)
