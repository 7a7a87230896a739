"""The step from one stamp to the next, and the grid that stamps lie on."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from maetab.data.stamps import COUNTED, Stamps, epoch_seconds

MONDAY = 4 * 86_400.0  # seconds from the beginning of 1970, a Thursday, to the first Monday
EXACT = 0.01  # of a step that a stamp may lie off the grid
JITTER = 0.25  # of a step, where every place of the grid has one row at most
USUAL = tuple(
    size * unit
    for unit, sizes in {
        1.0: (1, 2, 5, 10, 15, 20, 30),
        60.0: (1, 2, 5, 10, 15, 20, 30),
        3600.0: (1, 2, 3, 4, 6, 8, 12),
        86_400.0: (1, 7),
    }.items()
    for size in sizes
)  # seconds between stamps that clocks and schedules give
FINEST = 10  # times that a grid may be finer than the most frequent step
SPARSE = 2  # steps from one row to the next, in the median, beyond which a grid is mostly empty
EARLY = 0.1  # of a step before midnight or a full hour that stamps still belong to it
CLOSE = 0.05  # of a step that is the mean of all: within more, few rows lie on one by chance
NEAR = 10  # steps between two rows that are counted surely where a step is known to 1 in 20
# Times nearer to the stamps that a grid of the mean step must be. A clock that is moved once, by
# daylight saving, is at most twice as near to one, and keeps its round step.
CLEARER = 4


class Grid(NamedTuple):
    """The grid that stamps lie on.

    step : in the unit of the stamps; the median where there is no grid
    regular : whether there is a grid
    origin : tick at position 0
    place : (n,) int, step of each row; without a grid its number in its series
    span, length : time between first and last row of the longest series, and its steps
    """

    step: float
    regular: bool
    origin: float
    place: np.ndarray
    span: float
    length: int


def find_grid(stamps: Stamps, series: np.ndarray) -> Grid:
    """Return the grid that the stamps of all series lie on."""
    order = np.lexsort((stamps.ticks, series))
    step, regular = find_step(stamps.ticks[order], series[order], stamps.kind)
    origin, place = _origin(stamps), numbers(series, order)
    if regular and stamps.kind != "order":
        position = (stamps.ticks - origin) / step
        late = _lateness(position)
        origin, place = (
            round(origin + late * step, _digits(step)) + 0.0,
            np.rint(position - late).astype(np.int64),
        )
    span, length = (time_of_longest(x, series) for x in (stamps.ticks, place))
    return Grid(step, regular, origin, place, float(span), int(length) + 1)


def time_of_longest(when: np.ndarray, series: np.ndarray) -> Any:
    """Return how far the first and the last row of a series lie apart at most."""
    own = pd.Series(when).groupby(series)
    return (own.max() - own.min()).max()


def find_step(ticks: np.ndarray, series: np.ndarray, kind: str) -> tuple[float, bool]:
    """Return the step of a grid that all stamps lie on and True, or the median step and False.

    Parameters
    ----------
    ticks : (n,) ascending within each series
    series : (n,) ascending
    """
    if kind == "order":
        return 1.0, True
    apart = np.diff(ticks)[np.diff(series) == 0]
    if not len(apart):
        return 1.0, False
    lengths, counts = np.unique(np.round(apart, 6), return_counts=True)
    step = float(lengths[counts.argmax()])
    sizes = [step, _common_divisor(lengths, step)]
    if kind != "number":
        sizes.append(_usual_step(float(np.median(apart))))
    dense = [size for size in sizes if size and np.median(apart) <= SPARSE * size]
    off_by = [_off(ticks, series, size) for size in dense]
    for most in (EXACT, JITTER):  # a grid that stamps lie on comes before one that they lie near to
        for size, off in zip(dense, off_by, strict=True):
            if off <= most:
                return _nearer_step(size, off, apart, ticks, series), True
    median = float(np.median(apart))
    mean = _mean_step(median, apart)
    return (mean, True) if _off(ticks, series, mean) <= CLOSE else (median, False)


def _mean_step(step: float, apart: np.ndarray) -> float:
    """Return the mean step of rows that are few steps apart: stamps at 30 Hz have no round one."""
    count = np.rint(apart / step)
    near = (count >= 1) & (count <= NEAR)
    return float(apart[near].sum() / count[near].sum()) if near.any() else step


def _nearer_step(
    step: float, off: float, apart: np.ndarray, ticks: np.ndarray, series: np.ndarray
) -> float:
    """Return the mean step where stamps are clearly nearer to its grid, else the step."""
    rounding = 8 * np.spacing(np.abs(ticks).max()) / step
    if off <= max(rounding, 1e-9):
        return step
    mean = _mean_step(step, apart)
    return mean if CLEARER * _off(ticks, series, mean) < off else step


def _digits(step: float) -> int:
    """Return the decimals that an origin is rounded to: a millionth of a step, or of one."""
    return max(6, 6 - int(np.floor(np.log10(step))))


def _common_divisor(lengths: np.ndarray, usual: float) -> float | None:
    """Return the greatest common divisor of whole numbers of seconds, None if it is too fine."""
    whole = np.rint(lengths)
    if np.abs(lengths - whole).max() > 1e-6 or not whole.all():
        return None
    step = float(np.gcd.reduce(whole.astype(np.int64)))
    return step if usual / step <= FINEST else None


def _usual_step(seconds: float) -> float | None:
    """Return the usual step near a jittered one, None where none is near."""
    nearest = min(USUAL, key=lambda x: abs(x - seconds))
    return nearest if abs(nearest - seconds) <= 0.1 * seconds else None


def _off(ticks: np.ndarray, series: np.ndarray, step: float) -> float:
    """Return the most, in steps, that a stamp lies off a grid; infinite if two share a place."""
    position = (ticks - ticks[0]) / step
    position = position - _lateness(position)
    place = np.rint(position)
    off = np.abs(position - place)
    apart = (np.diff(place) > 0) | (np.diff(series) != 0)
    return float(off.max()) if (off <= EXACT).all() or apart.all() else np.inf


def _lateness(position: np.ndarray) -> float:
    """Return how far behind whole numbers positions lie, in [-EARLY, 1 - EARLY)."""
    turn = np.angle(np.exp(2j * np.pi * position).mean()) / (2 * np.pi)  # 0.9 is near to 0.1
    rest = position - turn
    late = turn + np.median(rest - np.rint(rest))
    return float((late + EARLY) % 1 - EARLY)


def _origin(stamps: Stamps) -> float:
    """Return the tick of position 0: midnight, Monday of a week, January, or the first row."""
    if stamps.unit in ("month", "workday") or not len(stamps.ticks):
        return 0.0
    if stamps.local is None:
        return 0.0 if stamps.kind in ("timedelta", "order") else float(stamps.ticks.min())
    at = int(stamps.ticks.argmin())
    return float(MONDAY - epoch_seconds(stamps.local[[at]])[0] + stamps.ticks[at])


def numbers(series: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return (n,) the number of each row in its series, by an order of all rows."""
    out = np.empty(len(series), np.int64)
    out[order] = pd.Series(series[order]).groupby(series[order]).cumcount().to_numpy()
    return out


def on_grid(position: np.ndarray, series: np.ndarray, stamps: Stamps, step: float) -> np.ndarray:
    """Return (n,) whole positions.

    Raises
    ------
    ValueError
        If stamps lie between those of the grid, or two rows of a series at one place of it.
    """
    place = np.rint(position)
    off = np.abs(position - place)
    spoken = _spoken(step, stamps.unit)
    if len(off) and off.max() > JITTER:
        at = int(off.argmax())
        when = stamps.ticks[at] if stamps.local is None else stamps.local[at]
        raise ValueError(
            f"stamps lay on a grid of {spoken} in fit, but {when} lies off it; resample X, or fit "
            f"on rows as irregular as these."
        )
    if pd.DataFrame({"series": series, "place": place}).duplicated().any():
        raise ValueError(
            f"stamps lay on a grid of {spoken} in fit, and several rows of a series are now at one "
            f"place of it; resample X to {spoken}."
        )
    return place


def local_steps(place: np.ndarray, stamps: Stamps, origin: float, step: float) -> np.ndarray:
    """Return (n,) int, steps by the local clock, which a time zone moves twice a year."""
    if stamps.local is None or stamps.zone is None or stamps.unit != "second":
        return place
    ahead = epoch_seconds(stamps.local) - stamps.ticks
    position = (origin + place * step + ahead - MONDAY) / step
    return np.floor(position + EARLY + 1e-6).astype(np.int64)


def _spoken(step: float, unit: str) -> str:
    if unit == "second":
        return str(pd.Timedelta(seconds=step)).replace("0 days ", "")
    counted = COUNTED[unit] if step != 1 else COUNTED[unit].rstrip("s")
    return f"{step:g} {counted}".rstrip()
