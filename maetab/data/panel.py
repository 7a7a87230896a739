"""The series of a panel: groups of rows, without repeated stamps, and what is constant in each."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd

from maetab.data.containers import label_of, labels_in
from maetab.data.stamps import Stamps

SET_BACK = "local times repeat where clocks are set back"
NIGHT = (23, 0, 1, 2, 3)  # hours at which they are


def group_labels(frame: pd.DataFrame, groups: Any, name: str) -> tuple[Hashable, ...]:
    """Return the labels that `groups` names, checked."""
    if groups is None:
        return ()
    if isinstance(groups, pd.Series):
        raise ValueError(
            f"The 'groups' parameter of {name} must name columns or index levels of X, got a "
            f"Series; put it into X as a column and give the name of that."
        )
    known = [*frame.columns, *(x for x in frame.index.names if x is not None)]
    is_list = isinstance(groups, (list, pd.Index, np.ndarray))
    several = is_list or (isinstance(groups, tuple) and groups not in known)
    labels = tuple(label_of(frame, label) for label in (groups if several else (groups,)))
    for label in labels:
        if label not in known:
            raise ValueError(
                f"The 'groups' parameter of {name} must name columns or index levels of X, got "
                f"{label!r}; there are {', '.join(map(repr, known[:10]))}."
            )
    if not labels or len(set(labels)) < len(labels):
        raise ValueError(
            f"The 'groups' parameter of {name} must name different columns or levels, "
            f"got {groups!r}; None is for a single series."
        )
    return labels


def series_of(frame: pd.DataFrame, labels: tuple) -> np.ndarray:
    """Return (n,) the number of the series of each row, by the order of its labels."""
    codes = np.zeros(len(frame), np.int64)
    for label in labels:
        given = labels_in(frame, label)
        if given.hasnans:
            at = int(np.flatnonzero(given.isna())[0])
            raise ValueError(
                f"{label!r} tells series apart, but row {at} has none; fill or drop such rows."
            )
        try:
            own = pd.factorize(given, sort=True)[0]
        except TypeError:  # labels that have no order
            own = _by_kind_and_text(given)
        codes = pd.factorize(codes * (own.max(initial=0) + 1) + own, sort=True)[0]
    return codes.astype(np.int64)


def _by_kind_and_text(labels: pd.Index) -> np.ndarray:
    """Return codes of labels such as 1 and "1", which differ."""
    codes, distinct = pd.factorize(labels)
    order = sorted(
        range(len(distinct)), key=lambda i: (type(distinct[i]).__name__, str(distinct[i]))
    )
    return np.argsort(order)[codes]


def refuse_repeated(frame: pd.DataFrame, stamps: Stamps, series: np.ndarray, labels: tuple) -> None:
    """Raise a ValueError if two rows of a series have one stamp."""
    if stamps.kind == "order":
        return
    ticks = stamps.local if stamps.unit == "month" else stamps.ticks  # two days of one month differ
    twice = pd.DataFrame({"series": series, "tick": ticks}).duplicated().to_numpy()
    if not twice.any():
        return
    at = int(np.flatnonzero(twice)[0])
    when = stamps.local[at] if stamps.local is not None else stamps.ticks[at]
    if stamps.kind == "timedelta":
        when = pd.Timedelta(seconds=stamps.ticks[at])
    parts = [f"{x}={labels_in(frame, x)[at]}" for x in labels]
    where = f" of {', '.join(parts)}" if parts else ""
    advice = "keep one" if labels else "keep one, or name in 'groups' what tells series apart"
    if stamps.zone is None and stamps.local is not None and are_set_back(stamps.local, series):
        advice += (
            f"; {SET_BACK}: pandas.Series.dt.tz_localize(zone, ambiguous=...) tells them apart, "
            f"in a file an offset such as +02:00"
        )
    rows = "1 row repeats" if twice.sum() == 1 else f"{int(twice.sum())} rows repeat"
    raise ValueError(f"{rows} a stamp, such as {when}{where}; {advice}.")


def are_set_back(local: pd.DatetimeIndex, series: np.ndarray) -> bool:
    """Return whether stamps repeat as those of a clock that is set back do.

    Each that repeats is there twice in its series, those of a day lie within two hours, and some of
    them at night; and stamps have times of day.

    Parameters
    ----------
    local : (n,) stamps without a time zone
    series : (n,) number of the series of each
    """
    stamps = pd.DataFrame({"series": series, "when": local})
    again = stamps[stamps.duplicated()]
    by_day = again["when"].groupby([again["series"], again["when"].dt.normalize()])
    within = by_day.max() - by_day.min() <= pd.Timedelta(hours=2)
    timed, at_night = (local != local.normalize()).any(), again["when"].dt.hour.isin(NIGHT).any()
    return bool(timed and at_night and not again.duplicated().any() and within.all())


def static_columns(
    values: np.ndarray, observed: np.ndarray, series: np.ndarray, places: list[int]
) -> tuple[int, ...]:
    """Return the places of the columns that have one value in every series, and several in all."""
    found = []
    for place in places:
        rows = observed[:, place]
        if not rows.any():
            continue
        own = pd.Series(values[rows, place]).groupby(series[rows])
        least, most, count = own.min(), own.max(), own.size()
        if (least == most).all() and (count > 1).sum() > 1 and least.nunique() > 1:
            found.append(place)
    return tuple(found)
