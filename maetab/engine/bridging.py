"""Where windows see nothing of a column: points on the way from one end of a gap to the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.special import ndtri

from maetab.engine.inference import predict, predict_interval, predict_moments
from maetab.engine.line_errors import beside_season, beyond, jump, lined, on_line, parts
from maetab.nn.ensemble import Ensemble
from maetab.nn.guess.series import SeriesGuess
from maetab.nn.windows import Windows

LEAST = 1e-6  # half of the width of an interval, standardised
ENDLESS = 1e6  # windows, to an end that there is not
WEIGHED, TOGETHER = 256, 32  # windows that tell how much lines count, and of them at once
SHARP = 4  # power of the deviations by which a line and a window count beside each other
NEAR, FAR = 0.25, 0.5  # of a window: nearer to a known row windows decide, farther the line does


class Line(NamedTuple):
    """The way through gaps of a column that windows do not see across, and beyond its ends.

    rows : (N,) those of such gaps
    share : (N,) how much the line counts there
    mean, std : (N,) where it leads, and the standard deviation of what it misses; 0 if not known
    before, after : (N,) the rows of its ends; of edges the first or the last row of the series
    since, until : (N,) windows to these ends; `ENDLESS` where there is none
    apart : (N,) what the level jumps by somewhere between these
    """

    column: int
    rows: np.ndarray
    share: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    before: np.ndarray
    after: np.ndarray
    since: np.ndarray
    until: np.ndarray
    apart: np.ndarray

    def at(self, chosen: np.ndarray) -> Line:
        """Return the same of some of its rows."""
        return Line(self.column, *(x[chosen] for x in self[1:]))

    def draw_to(self, points: np.ndarray) -> None:
        """Move points (n, F), in place, as much as the line counts."""
        points[self.rows, self.column] += self.share * (self.mean - points[self.rows, self.column])


def bridged(model: Ensemble, windows: Windows, device: torch.device) -> np.ndarray:
    """Return points (n, F), in which numbers that no window knows about follow a line.

    It leads from what the column is beside its season before the gap to what it is behind it, drawn
    to the season by how little such differences last (`SeriesGuess.lasting`); of edges from the one
    end that there is. In rows where a column is observed that changes within series, and at edges,
    it counts by its deviation beside that of the window.
    """
    if not isinstance(model.guess, SeriesGuess):
        return predict(model, windows, device)
    points, std = predict_moments(model, windows, device)
    for line in lines(model, windows, std):
        line.draw_to(points)
    return points


def bridged_interval(
    model: Ensemble, windows: Windows, device: torch.device, coverage: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return points (n, F) as `bridged`, and (2, n, F) ends of intervals, there about the lines.

    A window that sees nothing says of a cell what is usual of its column, however far that is from
    the ends of the gap. How far the truth is from lines is told by those between observed cells.
    """
    points, ends, deviation = predict_interval(model, windows, device, coverage)
    farther = ndtri((1 + coverage) / 2)
    for line in lines(model, windows, deviation):
        line = line.at(line.share > 0)
        j, rows, share, _, std = line[:5]
        now, own = points[rows, j], ends[:, rows, j]
        line.draw_to(points)
        if not std.any():
            continue
        for end, side, given in zip(ends, (-1, 1), own, strict=True):
            # Of what may be sizes apart the geometric mean: a little of a window that knows nothing
            # is not to be all that is said.
            size = (side * (given - now)).clip(LEAST) ** (1 - share) * (farther * std) ** share
            end[rows, j] = points[rows, j] + side * size
    return points, ends


def lines(model: Ensemble, windows: Windows, deviation: np.ndarray) -> Iterator[Line]:
    """Give the lines through gaps, column by column.

    deviation : (n, F) standard deviations of what windows predict
    """
    if not isinstance(model.guess, SeriesGuess) or windows.clock is None:
        return
    known, observed = _known(model, windows), windows.observed.numpy()
    changing = observed[:, model.guess.moving.cpu().numpy()].any(1)
    alone = _depth(*known.ends(changing)[2:])
    for j in np.flatnonzero(lined(model)).tolist():
        a, b, since, until = known.ends(observed[:, j])
        deep = _depth(since, until) * (deviation[:, j] > 0) * known.long
        told = ~observed[:, j] & (np.minimum(since, until) < ENDLESS)
        rows = np.flatnonzero(np.isin(a, a[deep > 0]) & told)
        if not len(rows):
            continue
        a, b, since, until = (x[rows] for x in (a, b, since, until))
        mean, std, apart = known.line(j, rows, a, b, since, until)
        beside = deep[rows] * known.weight[j] * _sure(deviation[rows, j], std)
        share = np.maximum(np.minimum(alone, deep)[rows], beside)
        yield Line(j, rows, share, mean, std, a, b, since, until, apart)


class _Known(NamedTuple):
    """What lines are made of; (n,) and (n, F) of rows, (F, ...) of columns, as in `Ensemble`.

    long : (n,) bool, rows of series that are longer than a window
    """

    series: np.ndarray
    place: np.ndarray
    long: np.ndarray
    rest: np.ndarray
    usual: np.ndarray
    lasting: np.ndarray
    variance: np.ndarray
    looked: np.ndarray
    slope: np.ndarray
    kept: np.ndarray
    beyond: np.ndarray
    weight: np.ndarray

    def ends(self, seen: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return (n,) the last row seen up to each, the next from it on, and windows to both.

        Where there is none the first and the last row of the series, and `ENDLESS`.
        """
        place, at = self.place, np.arange(len(seen))
        begin, stop = _bounds(self.series)
        before = np.maximum.accumulate(np.where(seen, at, -1))
        after = np.minimum.accumulate(np.where(seen, at, len(seen))[::-1])[::-1]
        since = np.where(before >= begin, place - place[before], ENDLESS)
        until = np.where(after <= stop, place[after.clip(max=len(at) - 1)] - place, ENDLESS)
        return np.maximum(before, begin), np.minimum(after, stop), since, until

    def line(
        self, j: int, rows: np.ndarray, a: np.ndarray, b: np.ndarray, since: np.ndarray,
        until: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
        """Return mean, standard deviation and `apart` of a line, see `Line`."""
        edge = np.maximum(since, until) == ENDLESS
        first = np.where(since < ENDLESS, self.rest[a, j], 0.0)
        last = np.where(until < ENDLESS, self.rest[b, j], 0.0)
        left = np.where(edge, self.kept[j], self.lasting[j])
        mean = self.usual[rows, j] + on_line(first, last, since, until, left)
        # Few lines of that length were seen, or none: one more may miss more than these.
        length = np.where(edge, np.minimum(since, until), since + until)
        more = 1 + length / max(self.looked[j], 1.0)
        apart = np.where(edge, 0.0, jump(last - first, self.slope[j], length))
        # Jumps count whole wherever the ends show one: those of other gaps tell of other gaps.
        about = np.append(self.variance[j, :-1], 1.0) * self.variance[j].any()
        missed = parts(since, until, apart) @ about
        if self.variance[j].any():
            missed = np.maximum(missed, np.where(edge, beyond(length, self.beyond[j]), 0.0))
        return mean, np.sqrt(more * missed), apart


def _known(model: Ensemble, windows: Windows) -> _Known:
    assert isinstance(model.guess, SeriesGuess) and windows.clock is not None
    series, n_steps = windows.runs().cpu().numpy(), model.config.n_steps
    place = windows.clock.position.double().cpu().numpy() / n_steps
    begin, stop = _bounds(series)
    of_columns = (
        model.guess.lasting, model.line_variance, model.line_windows, model.line_slope,
        model.line_kept, model.line_beyond, model.line_weight,
    )  # fmt: skip
    learned = (x.double().cpu().numpy() for x in of_columns)
    return _Known(
        series, place, place[stop] - place[begin] >= 1, *beside_season(model, windows), *learned
    )


def _bounds(series: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (n,) the first and the last row of the series of each."""
    return np.searchsorted(series, series), np.searchsorted(series, series, "right") - 1


def _sure(deviation: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Return what a line counts beside a window that knows other columns, by their deviations."""
    own, other = deviation.astype(np.float64) ** SHARP, std**SHARP
    return own / (own + other).clip(LEAST) * (std > 0)


@torch.no_grad()
def fit_line_weights(
    model: Ensemble, windows: Windows, should_stop: Callable[[], bool] = lambda: False
) -> None:
    """Learn how much lines help where windows see other columns and nothing of one.

    By least squares: how much of what such windows miss is on the way to the line. Once
    `should_stop()` is True no more windows are looked at, and of columns of which none was lines
    count nothing.
    """
    columns, clock = np.flatnonzero(lined(model)), windows.clock
    if clock is None or len(columns) < 2:
        return
    known, observed = _known(model, windows), windows.observed.cpu().numpy()
    truth, every = windows.values.double().cpu().numpy(), windows.rows.cpu().numpy()
    ends = {j: known.ends(observed[:, j]) for j in columns[:WEIGHED].tolist()}
    n_pairs = len(every) * len(columns)
    pairs = np.linspace(0, n_pairs - 1, min(WEIGHED, n_pairs)).astype(int) // len(columns)
    column = columns[np.arange(len(pairs)) % len(columns)]
    right, size = np.zeros((2, observed.shape[1]))
    for some in np.array_split(np.arange(len(pairs)), -(-len(pairs) // TOGETHER)):
        if should_stop():
            break
        own = torch.as_tensor(pairs[some], device=windows.rows.device)
        values, visible = windows.take(own)
        visible = visible.clone()
        visible[torch.arange(len(some)), :, torch.as_tensor(column[some])] = False
        index, when = windows.memory_index(own), windows.clock_of(own)
        _, *found = model.predicted(values, visible, index, clock=when)
        points, deviation = (x.double().cpu().numpy() for x in found)
        for k, (w, j) in enumerate(zip(pairs[some], column[some], strict=True)):
            inside = every[w] >= 0
            rows = every[w][inside]
            line = _beyond(known, ends[j], rows)
            use = observed[rows, j] & (_depth(*line[2:]) > 0)
            if not use.any() or np.minimum(*line[2:]).min() == ENDLESS:
                continue
            rows, (a, b, since, until) = rows[use], (x[use] for x in line)
            mean, std, _ = known.line(j, rows, a, b, since, until)
            point = points[k, inside, j][use]
            way = _sure(deviation[k, inside, j][use], std) * (mean - point)
            right[j] += way @ (truth[rows, j] - point)
            size[j] += way @ way
    model.line_weight.copy_(torch.as_tensor((right / size.clip(LEAST)).clip(0, 1)))


def _beyond(
    known: _Known, ends: tuple[np.ndarray, ...], rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return `_Known.ends` of the rows of a window, of whose column nothing is seen."""
    n, place, full = len(known.series), known.place[rows], np.ones(len(rows), int)
    before, after, since, until = ends
    first, last = max(rows[0] - 1, 0), min(rows[-1] + 1, n - 1)
    here = [
        x != rows[i] and known.series[x] == known.series[rows[i]]
        for x, i in ((first, 0), (last, -1))
    ]
    near = here[0] and since[first] < ENDLESS, here[1] and until[last] < ENDLESS
    a, b = before[first] if near[0] else rows[0], after[last] if near[1] else rows[-1]
    return (
        a * full,
        b * full,
        place - known.place[a] if near[0] else ENDLESS * full,
        known.place[b] - place if near[1] else ENDLESS * full,
    )


def _depth(since: np.ndarray, until: np.ndarray) -> np.ndarray:
    """Return how much lines count by how far away ends are, in [0, 1]."""
    return np.clip((np.minimum(since, until) - NEAR) / (FAR - NEAR), 0, 1)
