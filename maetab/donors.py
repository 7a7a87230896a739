"""Donors: observed values that fill missing numbers, by predictive mean matching."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor

from maetab.data.cells import Cells
from maetab.data.kinds import extra_missing
from maetab.data.schema import Schema
from maetab.engine.inference import predict
from maetab.engine.reference import equal_memory_index, make_reference
from maetab.engine.runtime import pick_device
from maetab.nn.ensemble import Ensemble
from maetab.nn.windows import Windows
from maetab.series import compact
from maetab.table import Table

MAX_DONORS = 2048  # training rows whose values are given on, which bounds memory and time
TOGETHER = 256  # of them that are predicted together, between looks at the time left
PARTS = 5  # in which the cells of a donor are hidden, so that four fifths of them are seen
SEED = 0
DONORS = ("donor_points_", "donor_values_")  # attributes of MAEImputer
ULPS = 8  # steps of double precision within which a bound is the value of a donor


def check_donors(donors: Any, in_time: bool, fitted: bool) -> None:
    """Raise a ValueError that names `donors` of MAEImputer if it cannot be.

    Parameters
    ----------
    in_time : whether rows are series
    fitted : whether fit has kept donors, or will
    """
    if donors is None:
        return
    if not isinstance(donors, Integral) or isinstance(donors, bool) or donors < 1:
        raise ValueError(
            f"The 'donors' parameter of MAEImputer must be None or an int of at least 1, got "
            f"{donors!r}."
        )
    if in_time:
        raise ValueError(
            f"The 'donors' parameter of MAEImputer acts on tables whose rows are independent of "
            f"each other, got donors={donors!r} with a window; leave one of them out."
        )
    if not fitted:
        raise ValueError(
            f"donors={donors!r} of MAEImputer needs values that are kept in fit if `donors` is set "
            f"then, and this model was fitted without; fit again, or leave donors=None."
        )


def copy_donors(source: Any, target: Any) -> None:
    """Copy what fit has kept of donors from one estimator to another."""
    for name in DONORS:
        if hasattr(source, name):
            setattr(target, name, getattr(source, name))


def fit_donors(imputer: Any, table: Table, left: Callable[[], float]) -> None:
    """Keep in an imputer what fills numbers by values that occur, if it has `donors`.

    What an earlier fit has kept is forgotten. `left` is as in `donor_points`.
    """
    for name in DONORS:
        imputer.__dict__.pop(name, None)
    if imputer.donors is None:
        return
    windows, device = imputer._windows(table), pick_device(imputer.device)
    rows, points = donor_points(imputer.model_, windows, device, left)
    imputer.donor_points_ = points
    imputer.donor_values_ = donor_values(table, rows, imputer.schema_, imputer.missing_values)


def donors_of(imputer: Any, ends: np.ndarray) -> Donors | None:
    """Return what chooses among the donors that fit has kept, None without `donors`.

    ends : as in `Donors`
    """
    k = imputer.donors
    check_donors(k, imputer._timeline() is not None, hasattr(imputer, DONORS[0]))
    if k is None:
        return None
    return Donors(imputer.schema_, k, imputer.donor_points_, imputer.donor_values_, ends)


def donor_points(
    model: Ensemble, windows: Windows, device: torch.device, left: Callable[[], float]
) -> tuple[np.ndarray, np.ndarray]:
    """Return training rows that are donors, and (D, F) what is predicted for their cells.

    No cell is predicted from itself, nor from a remembered copy of its row: the cells of a row are
    hidden in up to five parts, and the row's own place in the memory is barred.

    Parameters
    ----------
    windows : of one step, over the rows of fit
    left : returns the seconds left; when there are none, no more donors are made than 256
    """
    generator = np.random.default_rng(SEED)
    rows = np.sort(generator.permutation(len(windows))[:MAX_DONORS])
    n_columns = windows.values.shape[1]
    n_parts = min(PARTS, n_columns)
    part = generator.permuted(np.tile(np.arange(n_columns) % n_parts, (len(rows), 1)), axis=1)
    points, reference, done = np.zeros((len(rows), n_columns), np.float32), None, 0
    for start in range(0, len(rows), TOGETHER):
        if start and left() <= 0:
            break
        done = min(start + TOGETHER, len(rows))
        some = compact(replace(windows, rows=windows.rows[torch.as_tensor(rows[start:done])]))[0]
        reference = reference or make_reference(model)
        index = equal_memory_index(model, reference, some)
        for i in range(n_parts):
            hidden = part[start:done] == i
            seen = replace(some, observed=some.observed & torch.as_tensor(~hidden))
            found = predict(model, seen, device, index)
            points[start:done][hidden] = found[hidden]
    return rows[:done], points[:done]


def donor_values(table: Table, rows: np.ndarray, schema: Schema, missing_values: Any) -> np.ndarray:
    """Return (D, F) float64 the numbers of some rows, less the origin of each column.

    NaN where a cell is missing, and for categories; times in seconds.
    """
    frame, extra = table.frame.iloc[rows], extra_missing(missing_values)
    out = np.full((len(rows), len(schema.columns)), np.nan)
    for j, column in enumerate(schema.columns):
        observed = table.observed[rows, j]
        if column.kind == "number" and observed.any():
            numbers = Cells(frame.iloc[:, j], extra).numbers(column.origin)
            out[observed, j] = numbers[observed]
    return out


@dataclass(frozen=True)
class Donors:
    """Chooses among the donors whose predicted points are nearest to that of a missing cell.

    Predictive mean matching of type 1 (van Buuren 2018, "Flexible Imputation of Missing Data", 2nd
    edition, 3.4.2). Differs from it: predictions come from one fitted model, so that draws do not
    tell how uncertain the model itself is; and where more donors than k have the same predicted
    point, all of them take part.

    Parameters
    ----------
    schema : of the columns
    k : donors of a cell
    points : (D, F) standardised, as from `donor_points`
    values : (D, F), as from `donor_values`
    ends : (2, F) smallest and largest number that may be imputed, from each origin
    """

    schema: Schema
    k: int
    points: np.ndarray
    values: np.ndarray
    ends: np.ndarray

    def column(self, j: int) -> tuple[np.ndarray, np.ndarray]:
        """Return points, ascending, and values of the donors of a column, as standardised."""
        column, values = self.schema.columns[j], self.values[:, j]
        usable = (values >= self.ends[0, j]) & (values <= self.ends[1, j])
        values, points = values[usable], self.points[usable, j]
        order = np.lexsort((values, points))
        return points[order], (values[order] - column.center) / column.scale

    def chosen(self, points: np.ndarray, level: np.ndarray | None = None) -> np.ndarray:
        """Return (n, F) float64 a donor's value for each point, `points` where there is no donor.

        Parameters
        ----------
        points : (n, F) standardised, predicted
        level : (n, F) in [0, 1), which of the donors, in the order of their values; None for the
            one in the middle, of two the smaller
        """
        out = points.astype(np.float64)
        for j in range(len(self.schema.columns)):
            own, values = self.column(j)
            if len(own):
                middle = None if level is None else level[:, j]
                out[:, j] = _chosen(own, values, points[:, j], min(self.k, len(own)), middle)
        return out

    def matched(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Return what chooses a donor's value by points and levels (B, T, F), for `draws`."""

        def choose(points: Tensor, level: Tensor) -> Tensor:
            both = (x.flatten(0, 1).cpu().numpy() for x in (points, level))
            return torch.as_tensor(self.chosen(*both)).to(points).view_as(points)

        return choose

    def exact(self, values: np.ndarray, bounds: bool = False) -> np.ndarray:
        """Return (n, F) natural values of the nearest donors, NaN where there is none.

        values : (n, F) standardised, of donors; what is between donors stays so if they are
            `bounds` of intervals
        """
        out = np.full(values.shape, np.nan)
        for j, column in enumerate(self.schema.columns):
            known = np.unique(self.values[:, j])
            known = known[(known >= self.ends[0, j]) & (known <= self.ends[1, j])]
            if not len(known):
                continue
            natural = values[:, j] * column.scale + column.center
            after = np.searchsorted(known, natural)
            ends = known[np.clip([after - 1, after], 0, len(known) - 1)]
            apart = np.abs(ends - natural)
            nearest = np.where(apart[0] <= apart[1], *ends)
            near = ULPS * np.spacing(np.maximum(np.abs(natural), abs(column.center)))
            out[:, j] = np.where(not bounds or apart.min(0) <= near, nearest, np.nan)
        return out


def _chosen(
    own: np.ndarray, values: np.ndarray, wanted: np.ndarray, k: int, level: np.ndarray | None
) -> np.ndarray:
    """Return (n,) values of donors with the points `own` (D,), ascending; see `Donors.chosen`."""
    first = np.searchsorted(own, wanted)
    start = np.clip(first - k, 0, max(0, len(own) - 2 * k))
    window = start[:, None] + np.arange(min(2 * k, len(own)))
    far = np.abs(own[window] - wanted[:, None])
    nearest = np.take_along_axis(window, np.argsort(far, axis=1, kind="stable")[:, :k], 1)
    near = np.sort(values[nearest], axis=1)
    out = near[np.arange(len(near)), _place(level, k)]
    # Donors with one and the same point: that of the nearest.
    point = own[nearest[:, 0]]
    begin, end = np.searchsorted(own, point), np.searchsorted(own, point, side="right")
    tied = end - begin > k
    return np.where(tied, values[begin + _place(level, end - begin)], out)


def _place(level: np.ndarray | None, n: Any) -> Any:
    """Return the place that a level (n,) in [0, 1) has among n."""
    return (n - 1) // 2 if level is None else (level * n).astype(np.int64).clip(0, n - 1)
