"""Observed cells of a table made missing by a stated mechanism."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit

from maetab.data.codec import encode
from maetab.data.containers import read_frame
from maetab.data.kinds import nullable
from maetab.data.schema import infer_schema

__all__ = ["amputate"]

MECHANISMS = ("mcar", "mar", "mnar", "block", "observed")
Roles = tuple[np.ndarray, np.ndarray]  # positions of the columns that lose cells, of the drivers
MEAN_BLOCK = 10  # rows of a gap: more than its neighbours can bridge; a choice, not tuned
DRIVER_SHARE = 0.3  # of the columns, under MAR: most columns lose cells; a choice, not tuned


def amputate(
    X: Any,
    mechanism: str = "mcar",
    frac: float = 0.3,
    *,
    columns: Sequence | None = None,
    driven_by: Sequence | None = None,
    random_state: Any = None,
    groups: Any = None,
) -> tuple[Any, Any]:
    """Return `X` with some observed cells made missing, and which cells those are.

    Every column keeps at least one visible cell, and so does every row that had one (a table
    of a single column excepted). In tables of very few columns the realised share therefore
    stays below `frac`.

    Parameters
    ----------
    X : array or data frame, 2-D
        May have missing cells already; only observed ones are hidden. Not modified.
    mechanism : {"mcar", "mar", "mnar", "block", "observed"}
        Why cells go missing (the first three are Rubin's [1]_):

        - "mcar": each cell with the same probability, whatever it holds.
        - "mar": a logistic model of other columns, the drivers, which lose nothing. Drivers
          are standardised (categories by the rank of how frequent they are), weighted at
          random and summed to unit variance; the intercept is solved so that each column
          loses `frac` on average [2]_.
        - "mnar": self-masking, a logistic model of the cell's own standardised value, up or
          down by a random sign per column; intercept as above [2]_.
        - "block": gaps of 10 rows on average in each column, together `frac` of it; with
          `groups`, none runs from one series into the next, and short series have short gaps.
        - "observed": rows also get the gaps of another incomplete row drawn at random.
    frac : in [0, 1)
        Share of the observed cells hidden in the columns that lose cells; under "observed",
        share of the rows that get another's gaps.
    columns : list of column names or positions
        Columns that lose cells. By default all, under "mar" all that are not drivers.
    driven_by : list of column names or positions
        Drivers under "mar". By default a random 30 % of the columns, at least one.
    random_state : int, numpy Generator or RandomState
        None draws differently each time. NumPy's global state is never used.
    groups : (n,) array, optional
        Labels of the series that the rows belong to, in order of time within each; None for
        a single series. Only "block" asks for them.

    Returns
    -------
    X_missing : same kind of container as `X`
        With the same dtypes, except that NumPy integers and booleans, which cannot be
        missing, become pandas' nullable dtypes in the frame columns that lose cells, and
        float64 in an array; arrays of text become arrays of objects.
    hidden : frame of bool for a frame, array of bool for an array
        True where a cell was hidden now.

    Raises
    ------
    ValueError
        A parameter is out of range or names no column, "mar" has no columns left to drive or to
        lose cells, or "observed" finds no missing cell.
    TypeError
        `columns` or `driven_by` is no list.

    References
    ----------
    .. [1] Rubin, "Inference and missing data", Biometrika 1976.
    .. [2] Muzellec et al., "Missing data imputation using optimal transport", ICML 2020.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"age": range(100), "weight": range(100)})
    >>> missing, hidden = amputate(frame, "mcar", 0.2, random_state=0)
    >>> bool((missing.isna() == hidden).all(axis=None))
    True
    """
    _check_amputation(mechanism, frac, driven_by)
    generator = as_generator(random_state)
    frame, back = read_frame(X)
    series, observed = series_of_rows(groups, len(frame)), frame.notna().to_numpy()
    roles = _roles(frame, mechanism, columns, driven_by, generator)
    chosen = np.zeros(observed.shape, dtype=bool)
    chosen[:, roles[0]] = _choose(frame, mechanism, frac, roles, series, generator)
    hidden = _keep_some_visible(chosen & observed, observed, generator)
    missing = _hide(frame, hidden)
    is_text = isinstance(X, np.ndarray) and X.dtype.kind in "US"  # text has no missing cell
    result = missing.to_numpy(dtype=object) if is_text else back.give(missing)
    return result, back.table(pd.DataFrame(hidden, index=frame.index, columns=frame.columns))


def _check_amputation(mechanism: str, frac: float, driven_by: Sequence | None) -> None:
    if mechanism not in MECHANISMS:
        raise ValueError(f"The 'mechanism' must be one of {MECHANISMS}, got {mechanism!r}.")
    number = isinstance(frac, int | float | np.number) and not isinstance(frac, bool)
    if not number or not 0 <= frac < 1:
        raise ValueError(f"The 'frac' must be a number in [0, 1), got {frac!r}.")
    if driven_by is not None and mechanism != "mar":
        raise ValueError(f"'driven_by' is for mechanism='mar' only, got mechanism={mechanism!r}.")


def as_generator(random_state: Any) -> np.random.Generator:
    """Return a generator that shares nothing with NumPy's global one."""
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(2**31))
    try:
        return np.random.default_rng(random_state)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "The 'random_state' must be None, a non-negative int, a numpy Generator or a "
            f"RandomState, got {random_state!r}."
        ) from error


def _positions(frame: pd.DataFrame, names: Sequence, parameter: str) -> np.ndarray:
    """Return the sorted positions of `names` among the columns of `frame`."""
    if isinstance(names, str) or not isinstance(names, Sequence | np.ndarray | pd.Index):
        words = "must be a list of column names or positions"
        raise TypeError(f"'{parameter}' {words}, got {names!r}.")
    places: dict[Any, int] = {place: place for place in range(frame.shape[1])}
    places |= {name: place for place, name in enumerate(frame.columns)}
    flag = (bool, np.bool_)  # True is not the place 1
    odd = [name for name in names if isinstance(name, flag) or name not in places]
    unknown = [f"{name!r} is not a column" for name in odd]
    if unknown or len(names) == 0:
        problem = [*unknown, "it names no column"][0]
        raise ValueError(f"'{parameter}': {problem}; the columns are {list(frame.columns)}.")
    return np.unique([places[name] for name in names])


def _roles(
    frame: pd.DataFrame, mechanism: str, columns: Any, driven_by: Any, rng: np.random.Generator
) -> Roles:
    """Return the positions of the columns that lose cells and, under MAR, of their drivers."""
    everything = np.arange(frame.shape[1])
    losing = everything if columns is None else _positions(frame, columns, "columns")
    if mechanism != "mar":
        return losing, everything[:0]
    if driven_by is None:
        pool = everything if columns is None else np.setdiff1d(everything, losing)
        count = min(max(1, round(DRIVER_SHARE * len(everything))), len(pool))
        drivers = np.sort(rng.choice(pool, count, replace=False)) if count else pool
    else:
        drivers = _positions(frame, driven_by, "driven_by")
        both = np.intersect1d(drivers, losing)
        if columns is not None and len(both):
            name = frame.columns[both[0]]
            raise ValueError(f"column {name!r} is in both 'columns' and 'driven_by'; choose one.")
    losing = np.setdiff1d(losing, drivers)
    if not len(drivers) or not len(losing):
        raise ValueError(
            "mechanism='mar' needs columns that lose cells and others that decide which, got "
            f"{list(frame.columns[losing])} and {list(frame.columns[drivers])}."
        )
    return losing, drivers


def _choose(
    frame: pd.DataFrame, mechanism: str, frac: float, roles: Roles, series: np.ndarray, rng: Any
) -> np.ndarray:
    """Return (n, number of losing columns) bool: the cells to hide, observed or not."""
    losing, drivers = (frame.iloc[:, places] for places in roles)
    observed, chance = losing.notna().to_numpy(), np.array(frac)
    if mechanism == "block":
        return _draw_gaps(observed, frac, series, rng)
    if mechanism == "observed":
        return _borrowed(observed, frac, rng)
    if mechanism == "mar":
        weights = rng.normal(size=(drivers.shape[1], losing.shape[1]))
        chance = _logistic(_unit_variance(_standardised(drivers) @ weights), observed, frac)
    elif mechanism == "mnar":
        signs = rng.choice([-1.0, 1.0], losing.shape[1])
        chance = _logistic(_standardised(losing) * signs, observed, frac)
    return rng.random(observed.shape) < chance


def _standardised(frame: pd.DataFrame) -> np.ndarray:
    """Return numbers and category ranks with mean 0 and variance 1; 0 where missing."""
    values, observed = encode(frame, infer_schema(frame, estimator_name="amputate"))
    known = np.where(observed, values.astype(np.float64), np.nan)
    count = np.maximum(observed.sum(axis=0), 1)
    return _unit_variance(np.where(observed, known - np.nansum(known, axis=0) / count, 0.0))


def _unit_variance(values: np.ndarray) -> np.ndarray:
    """Return each column divided by its standard deviation; 0 where that is 0."""
    scale = np.std(values, axis=0)
    return np.divide(values, scale, out=np.zeros_like(values), where=scale > 0)


def _logistic(score: np.ndarray, observed: np.ndarray, frac: float) -> np.ndarray:
    """Return probabilities, rising with `score`, of mean `frac` over each column's observed."""
    chances = np.zeros(score.shape)
    for place in range(score.shape[1]):
        known = score[observed[:, place], place]
        if frac > 0 and len(known):
            bound = np.abs(known).max() + 50.0
            intercept = brentq(lambda b, x=known: expit(x + b).mean() - frac, -bound, bound)
            chances[:, place] = expit(score[:, place] + intercept)
    return chances


def _borrowed(observed: np.ndarray, frac: float, generator: np.random.Generator) -> np.ndarray:
    """Return, for a random `frac` of the rows, what another incomplete row lacks."""
    incomplete = np.flatnonzero(~observed.all(axis=1))
    if len(incomplete) == 0:
        raise ValueError(
            "mechanism='observed' copies the gaps of incomplete rows, but X has no missing "
            "cell in these columns; use 'mcar', 'mar', 'mnar' or 'block'."
        )
    drawn = generator.integers(len(incomplete), size=len(observed))
    itself = incomplete[drawn] == np.arange(len(observed))
    donor = incomplete[np.where(itself, (drawn + 1) % len(incomplete), drawn)]
    return ~observed[donor] & (generator.random((len(observed), 1)) < frac)


def _keep_some_visible(
    hidden: np.ndarray, observed: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Return `hidden` without one random cell of each row and column that it would empty."""
    order = generator.random(hidden.shape)
    hidden = hidden.copy()
    for axis in (1, 0) if hidden.shape[1] > 1 else (0,):
        emptied = np.flatnonzero(hidden.any(axis) & ~(observed & ~hidden).any(axis))
        saved = np.where(hidden, order, -1.0).argmax(axis)[emptied]
        hidden[(emptied, saved) if axis == 1 else (saved, emptied)] = False
    return hidden


def _hide(frame: pd.DataFrame, hidden: np.ndarray) -> pd.DataFrame:
    """Return a copy of the frame whose `hidden` (n, F) cells are missing, in dtypes that can be."""
    result = frame.copy()
    for place in np.flatnonzero(hidden.any(axis=0)).tolist():
        column: Any = frame.iloc[:, place]
        if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iub":
            column = column.astype(nullable(column.dtype))
        result.isetitem(place, column.mask(hidden[:, place]))
    return result


def series_of_rows(groups: Any, n_rows: int) -> np.ndarray:
    """Return (n_rows,) int: the number of the series of each row, all 0 without `groups`."""
    if groups is None:
        return np.zeros(n_rows, dtype=np.intp)
    labels = np.asarray(groups)
    if labels.shape != (n_rows,):
        raise ValueError(f"'groups' must hold {n_rows} labels, got shape {labels.shape}.")
    series, _ = pd.factorize(labels)
    if (series < 0).any():
        raise ValueError("'groups' must name the series of every row; some labels are missing.")
    return series


def rows_by_series(series: np.ndarray) -> list[np.ndarray]:
    """Return the row numbers of each series, ascending; `series` (n,) as of `series_of_rows`."""
    return np.split(np.argsort(series, kind="stable"), np.cumsum(np.bincount(series))[:-1])


def _draw_gaps(
    observed: np.ndarray, frac: float, series: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Return gaps laid over each column's observed cells, exactly `frac` of them (rounded).

    `series` (n,) numbers the series of each row; each gap lies in one.
    """
    chosen = np.zeros(observed.shape, dtype=bool)
    rows_of = rows_by_series(series)
    for place in range(observed.shape[1]):
        # In random order, so that rounding favours no series.
        parts = [rows_of[label] for label in generator.permutation(len(rows_of))]
        parts = [rows[observed[rows, place]] for rows in parts]
        ends = np.cumsum([len(rows) for rows in parts])
        for rows, n_hidden in zip(parts, np.diff(np.rint(frac * ends), prepend=0).astype(int)):
            chosen[rows, place] = _gaps(len(rows), n_hidden, generator)
    return chosen


def _gaps(n_rows: int, n_hidden: int, generator: np.random.Generator) -> np.ndarray:
    """Return (n_rows,) bool, True in random gaps of MEAN_BLOCK rows on average."""
    if not n_hidden:
        return np.zeros(n_rows, dtype=bool)
    n_visible = n_rows - n_hidden
    n_blocks = min(round(n_hidden / MEAN_BLOCK) or 1, n_visible + 1)
    lengths = 1 + _split(n_hidden - n_blocks, n_blocks, generator)
    between = _split(n_visible - n_blocks + 1, n_blocks + 1, generator)
    between[1:-1] += 1  # two blocks never touch
    runs = np.append(np.stack([between[:-1], lengths], axis=1).ravel(), between[-1])
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs)


def _split(total: int, parts: int, generator: np.random.Generator) -> np.ndarray:
    """Return `parts` whole numbers from 0 up that add to `total`, all ways equally likely."""
    bars = np.sort(generator.choice(total + parts - 1, parts - 1, replace=False))
    return np.diff(np.concatenate([[-1], bars, [total + parts - 1]])) - 1
