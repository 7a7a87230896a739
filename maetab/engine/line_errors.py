"""How far series lie from the lines that lead through their gaps, learned from observed cells.

What a line misses is taken for a sum of independent processes, each of which forgets what it was
within a time of its own, from noise to a random walk, and of jumps, which show in how far the ends
of a line are apart. Of each the variance between two known ends is known; how much there is of each
in a column is told by what lines between observed cells miss at the observed cells between these.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import lsq_linear

from maetab.engine.line_season import moving_season
from maetab.nn.ensemble import LINE_PARTS, Ensemble
from maetab.nn.guess.series import SeriesGuess
from maetab.nn.guess.series_fit import SURE, what_lasts
from maetab.nn.windows import Windows

# Windows within which a process forgets all of what it was but a share of 1 / e: so few that it has
# forgotten all by the next row are noise, infinity is a random walk. Sums of these are near to
# every autocovariance that falls.
MEMORIES = (1e-9, 0.25, 1.0, 4.0, np.inf)
assert len(MEMORIES) + 1 == LINE_PARTS
# Lengths of the lines that are tried: from so many rows on, each so much longer than the one
# before; and where on its way a line is compared. Short ones tell noise from what changes slowly.
SHORTEST, LONGER, WAYS = 2, 1.5, (0.125, 0.25, 0.5, 0.75, 0.875)
MOST_CELLS, LEAST_LINES = 200_000, 200  # of a length that are looked at; and lines at least
UNUSUAL = 3.0  # times the usual slope, beyond which the ends of a gap are at different levels
ENOUGH = 4.0  # lines of a length, of which more hardly count: long ones are few, and matter as much
ROUNDS, LEAST = 10, 1e-6  # of the fit; the least variance, of a standardised number


def on_line(
    before: np.ndarray, after: np.ndarray, since: np.ndarray, until: np.ndarray, lasting: np.ndarray
) -> np.ndarray:
    """Return where lines lead: from one end to the other, and to the season by how little lasts.

    Parameters
    ----------
    before, after : what a column is beside its season at both ends
    since, until : windows to these ends
    lasting : what is left of a distance from the season a window later, see `SeriesGuess`
    """
    way = since / (since + until)
    return lasting ** np.minimum(since, until) * ((1 - way) * before + way * after)


def beyond(far: np.ndarray, missed: np.ndarray) -> np.ndarray:
    """Return the mean square of what one end misses so many windows away.

    missed : (2,) of one and of two windows; it goes on from there as it did between these
    """
    one, two = missed
    return np.where(far < 1, one * far, one + (far - 1) * max(0.0, two - one))


def parts(since: np.ndarray, until: np.ndarray, apart: np.ndarray) -> np.ndarray:
    """Return (..., LINE_PARTS) variances of each process at cells between two known ends.

    Parameters
    ----------
    since, until : windows to the ends
    apart : what a level jumps by somewhere between them, see `jump`
    """
    found = []
    for memory in MEMORIES:
        if np.isinf(memory):
            found.append(since * until / (since + until))
        else:
            one, other = np.exp(-2 * since / memory), np.exp(-2 * until / memory)
            found.append(1 - (one + other - 2 * one * other) / (1 - one * other))
    way = since / (since + until)
    found = [np.broadcast_to(x, apart.shape) for x in found]
    return np.stack([*found, way * (1 - way) * apart**2], -1)


def weights(since: np.ndarray, until: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (..., K) what the first and the second end say of each process but the jumps."""
    found = []
    for memory in MEMORIES:
        if np.isinf(memory):
            found.append((until / (since + until), since / (since + until)))
        else:
            one, other = np.exp(-since / memory), np.exp(-until / memory)
            both = 1 - (one * other) ** 2
            found.append((one * (1 - other**2) / both, other * (1 - one**2) / both))
    one, other = (np.stack(x, -1) for x in zip(*found, strict=True))
    return one, other


def jump(apart: np.ndarray, usual: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Return how much of the way between two ends no slope tells: a level moved in between.

    Parameters
    ----------
    apart : the way from one end to the other, beside their season
    usual : median of its square over a window; NaN if not known
    length : windows between the ends
    """
    told = UNUSUAL**2 * np.nan_to_num(usual, nan=np.inf) * np.maximum(length, 1.0) ** 2
    return np.sign(apart) * np.sqrt((apart**2 - told).clip(0))


class _Missed(NamedTuple):
    """What lines of one length miss at one place: means of parts (F, K), of squares (F,), and for
    how many lines that do not overlap they stand (F,).
    """

    parts: np.ndarray
    square: np.ndarray
    n_lines: np.ndarray


def fit_line_errors(model: Ensemble, windows: Windows) -> None:
    """Remember how much of each process the columns of series hold, see `parts`."""
    guess, clock = model.guess, windows.clock
    if not isinstance(guess, SeriesGuess) or clock is None:
        return
    n_steps, observed = model.config.n_steps, windows.observed.cpu().numpy()
    series = windows.runs().cpu().numpy()
    _fit_season(model, windows, series)
    rest = np.where(observed, beside_season(model, windows)[0], np.nan)
    place = clock.position.double().cpu().numpy() / n_steps
    same = (series[n_steps:] == series[:-n_steps])[:, None]
    way = np.where(same, rest[n_steps:] - rest[:-n_steps], np.nan) ** 2
    usual = np.array([np.median(x) if len(x := w[np.isfinite(w)]) else np.nan for w in way.T])
    model.line_slope.copy_(torch.as_tensor(usual))
    kept = _kept(rest, series, n_steps)
    model.line_kept.copy_(torch.as_tensor(kept))
    model.line_beyond.copy_(torch.as_tensor(_missed_beyond(rest, series, n_steps, kept)))
    kept, groups = guess.lasting.cpu().numpy(), list[_Missed]()
    length = SHORTEST
    while length < len(rest):
        for since in sorted({max(1, round(way * length)) for way in WAYS} - {length}):
            groups += _missed(rest, place, series, kept, usual, length, since)
        length = int(np.ceil(LONGER * length))
    model.change_correlation.copy_(torch.as_tensor(_correlation(rest, series, lined(model))))
    for j in np.flatnonzero(lined(model)).tolist() if groups else ():
        share = _shares(*(np.stack([x[j] for x in each]) for each in zip(*groups, strict=True)))
        model.line_variance[j] = torch.as_tensor(share)
        model.line_windows[j] = observed[:, j].sum() / n_steps


def lined(model: Ensemble) -> np.ndarray:
    """Return (F,) bool: columns of numbers that change within series."""
    assert isinstance(model.guess, SeriesGuess)
    return (model.guess.moving & model.support.is_number).cpu().numpy()


def beside_season(model: Ensemble, windows: Windows) -> tuple[np.ndarray, np.ndarray]:
    """Return (n, F) what cells are beside their season, without meaning where they are not
    observed, and the season.
    """
    assert windows.clock is not None
    usual = model.line_season.cpu().numpy()[windows.clock.phase.cpu().numpy()]
    return windows.values.cpu().numpy() - usual, usual


def _fit_season(model: Ensemble, windows: Windows, series: np.ndarray) -> None:
    """Learn the season beside which lines are straight, and how long distances from it last."""
    guess, clock, n = model.guess, windows.clock, model.config.n_steps
    assert isinstance(guess, SeriesGuess) and clock is not None
    model.line_season.copy_(guess.season[:, guess.coordinates.first[: len(guess.moving)]])
    period = len(guess.season)
    if period == 1:
        return
    values, observed = (x.double().cpu().numpy() for x in (windows.values, windows.observed))
    position, phase = (x.cpu().numpy() for x in (clock.position, clock.phase))
    found = moving_season(values, observed > 0, series, position, phase, period)
    model.line_season[:, lined(model)] = torch.as_tensor(found).to(model.line_season)[
        :, lined(model)
    ]
    if len(values) > 2 * n:
        apart = windows.values - model.line_season[clock.phase]
        guess.lasting.copy_(what_lasts(apart, windows.observed, clock.position, n))


def _kept(rest: np.ndarray, series: np.ndarray, n_steps: int) -> np.ndarray:
    """Return (F,) what is left of a distance from the season a window later, in [0, 1].

    Where nothing is, half as many steps tell, and so on, as in `what_lasts`.
    """
    found, steps = np.zeros(rest.shape[1]), n_steps
    while steps >= 1:
        same = series[steps:] == series[:-steps]
        now, then = rest[steps:][same], rest[:-steps][same]
        both = np.isfinite(now) & np.isfinite(then)
        now, then = np.where(both, now, 0.0), np.where(both, then, 0.0)
        left = (now * then).sum(0) / ((now**2 + then**2).sum(0) / 2).clip(1e-9)
        sure = (found == 0) & (left > SURE / np.sqrt(both.sum(0).clip(1)))
        found = np.where(sure, left.clip(0, 1) ** (n_steps / steps), found)
        steps //= 2
    return found


def _missed_beyond(
    rest: np.ndarray, series: np.ndarray, n_steps: int, kept: np.ndarray
) -> np.ndarray:
    """Return (F, 2) mean squares of what one end misses a window and two windows away."""
    found: list[np.ndarray] = []
    for k in (1, 2):
        steps = k * n_steps
        same = (series[steps:] == series[:-steps])[:, None]
        ahead, back = rest[steps:] - kept**k * rest[:-steps], rest[:-steps] - kept**k * rest[steps:]
        square = np.where(same, (ahead**2 + back**2) / 2, np.nan)
        told = np.isfinite(square)
        count = told.sum(0)
        mean = np.where(told, square, 0.0).sum(0) / count.clip(1)
        found.append(np.where(count > 0, mean, k * found[0] if found else 0.0))
    return np.stack(found, -1)


def _correlation(rest: np.ndarray, series: np.ndarray, lined: np.ndarray) -> np.ndarray:
    """Return (F, F) correlations of changes from row to row, of which those that are not known
    count as none.
    """
    change = np.diff(rest, axis=0)[series[1:] == series[:-1]]
    known = np.isfinite(change) & lined
    change = np.where(known, change, 0.0)
    change = np.where(known, change - change.sum(0) / known.sum(0).clip(1), 0.0)
    size = np.sqrt((change**2).sum(0))
    size[size == 0] = 1.0
    found = change.T @ change / size[:, None] / size
    np.fill_diagonal(found, 1.0)
    return found


def _missed(
    rest: np.ndarray,
    place: np.ndarray,
    series: np.ndarray,
    lasting: np.ndarray,
    usual: np.ndarray,
    length: int,
    since: int,
) -> list[_Missed]:
    """Return what lines over `length` rows miss `since` rows behind their first end.

    Apart for those in which a level has moved.
    """
    most = max(LEAST_LINES, MOST_CELLS // rest.shape[1])
    step = max(1, (len(rest) - length) // most)
    a = np.arange(0, len(rest) - length, step)
    a = a[series[a] == series[a + length]]
    t, b = a + since, a + length
    near, far = (place[t] - place[a])[:, None], (place[b] - place[t])[:, None]
    square = (rest[t] - on_line(rest[a], rest[b], near, far, lasting)) ** 2
    told = np.isfinite(square)
    apart = jump(np.where(told, rest[b] - rest[a], 0.0), usual, near + far)
    about, wide = parts(near, far, apart), apart != 0
    found = []
    for group in (told & ~wide, told & wide):
        n = group.sum(0).clip(1)
        mean = (about * group[..., None]).sum(0) / n[:, None]
        missed = np.where(group, square, 0.0).sum(0) / n
        found.append(_Missed(mean, missed, group.sum(0) * step / length))
    return found


def _shares(about: np.ndarray, square: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Return (K,) how much there is of each process, by non-negative least squares.

    Each group counts by its lines up to `ENOUGH` or so, and in units of what is expected of it: the
    variance of a mean of squares goes with the square of its expectation. So it is iterated.

    Parameters
    ----------
    about, square, count : (G, K), (G,) and (G,), see `_Missed`
    """
    about, square, count = (x[count > 0] for x in (about, square, count))
    share, expected = np.zeros(about.shape[1]), square.clip(LEAST)
    for _ in range(ROUNDS if len(square) else 0):
        weight = np.sqrt(count / (1 + count / ENOUGH)) / expected
        weighted = about * weight[:, None], square * weight
        # No nnls, which fails before scipy 1.15; bvls can end a rounding below its bound.
        share = lsq_linear(*weighted, (0, np.inf), "bvls").x.clip(0)
        expected = (about @ share).clip(LEAST)
    return share
