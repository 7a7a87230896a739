"""Series in files: which columns are time and groups, and the table that an estimator reads."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from maetab.cli.report.output import listed

if TYPE_CHECKING:
    import pandas as pd

    from maetab.files.tables import TableFile

ASK_WINDOW = (
    "needs --window, the length of the windows in which rows are seen: a number of rows, a "
    "duration such as 24h, or auto"
)
DATE_AND_TIME = (
    "one column of stamps, two of dates and of times of day, such as Date,Time, or numbers in "
    "columns named year, month, day and, if need be, hour, minute and second"
)
PARTS = ("year", "month", "day", "hour", "minute", "second")


class Keys(NamedTuple):
    """The columns of a file that are no values of a series.

    time : none, one with stamps, two with dates and times of day, or several of `PARTS`
    groups : those that tell series apart
    """

    time: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    def names(self) -> list[str]:
        """Return all of them."""
        return [*self.time, *self.groups]

    def stamp(self) -> str | None:
        """Return the column of stamps of the table that an estimator reads; None without one."""
        return " ".join(self.time) or None

    def parameters(self) -> dict[str, Any]:
        """Return `time` and `groups` of an estimator."""
        groups: Any = list(self.groups) if len(self.groups) > 1 else None
        return {"time": self.stamp(), "groups": groups or next(iter(self.groups), None)}


def check(args: argparse.Namespace, asks_window: bool = True) -> None:
    """Refuse options of series that do not go together; without a window if one is asked for."""
    named = {
        f"--{option.replace('_', '-')}": getattr(args, option, None)
        for option in ("time", "groups", "max_gap", "edges", "level", "stride")
    }
    used = [name for name, value in named.items() if value not in (None, [], "row")]
    if getattr(args, "edges", None) is False:
        used[used.index("--edges")] = "--no-edges"
    if getattr(args, "model", None):
        used = [name for name in ("--window", "--time", "--groups") if getattr(args, name[2:])]
        if used:
            args.fail(f"--model decides windows, times and groups: no {used[0]} with it")
        return
    if asks_window and args.window is None and used:
        args.fail(f"{used[0]} {ASK_WINDOW}")
    n_columns = len(args.time or ())
    if args.time is not None and n_columns not in (1, 2) and not are_parts(args.time):
        args.fail(f"--time must name {DATE_AND_TIME}; got {n_columns} columns")
    both = [name for name in args.time or () if name in args.groups]
    if both:
        args.fail(f"{both[0]!r} is both in --time and in --groups")


def keys_of(args: argparse.Namespace, model: Any = None) -> Keys:
    """Return the keys that the command names, or those of a saved model."""
    if model is None:
        return Keys(tuple(getattr(args, "time", None) or ()), tuple(getattr(args, "groups", ())))
    timeline = getattr(model, "timeline_", None)
    if timeline is None:
        return Keys()
    time = () if timeline.time is None else (str(timeline.time),)
    return Keys(time, tuple(map(str, timeline.groups)))


def in_file(keys: Keys, names: list[str]) -> Keys:
    """Return keys whose time is in the file: "Date Time" of a saved model may be two columns."""
    if len(keys.time) != 1 or keys.time[0] in names:
        return keys
    pairs: list[tuple[str, ...]] = [
        (a, b) for a in names for b in names if f"{a} {b}" == keys.time[0]
    ]
    parts = tuple(keys.time[0].split(" "))
    pairs += [parts] if are_parts(parts) else []
    return keys._replace(time=pairs[0]) if pairs else keys


def are_parts(names: Sequence[str]) -> bool:
    """Return whether columns are named year, month, day, and smaller parts of a stamp."""
    found = tuple(name.lower() for name in names)
    return len(found) >= 3 and found == PARTS[: len(found)]


def frame_of(table: TableFile, columns: list[str], keys: Keys) -> pd.DataFrame:
    """Return what an estimator reads of a file: stamps and groups, and the columns of values.

    They are in the order of the file; of several columns of time one is made, in the first place.

    Raises
    ------
    ValueError
        A column of time holds no dates, or no times of day where there are two, or cells of time
        or groups are missing.
    """
    wanted = {*columns, *keys.names()}
    frame = table.frame[[name for name in table.names if name in wanted]]
    for name in keys.names():
        numbers = name in keys.time and frame[name].dtype.kind in "iuf"
        if frame[name].isna().any() and not numbers:  # of those it is asked whether they are time
            row = frame.index[frame[name].isna()][0] + 1  # as rows are counted here
            option = "--time" if name in keys.time else "--groups"
            raise ValueError(
                f"{option}: {name!r} is missing in row {row}; fill it in, drop the row, or name "
                "another column"
            )
    if len(keys.time) > 1:
        stamps = _of_parts(frame, keys) if len(keys.time) > 2 else _of_day(frame, keys)
        place = min(map(list(frame.columns).index, keys.time))
        rest = frame.drop(columns=list(keys.time))
        rest.insert(place, keys.stamp(), stamps)
        return rest
    for name in keys.time:
        if frame[name].dtype.kind == "O":
            raise ValueError(
                f"--time: the cells of {name!r} are neither dates, durations nor numbers, such as "
                f"{listed(frame[name].dropna().unique(), 2)}; see --date-format"
            )
    return frame


def refuse_days_alone(frame: pd.DataFrame, keys: Keys) -> None:
    """Raise a ValueError for days that repeat where another column holds the times of day."""
    from maetab.files.layout import option

    if len(keys.time) != 1 or frame[keys.time[0]].dtype.kind != "M":
        return
    (name,) = keys.time
    clock = next((str(other) for other in frame if is_clock(frame[other])), None)
    repeats = frame.duplicated([name, *keys.groups]).any()
    if clock is not None and repeats and has_days_only(frame[name]):
        raise ValueError(
            f"days of {name!r} repeat, and {clock!r} holds times of day; pass "
            f"{option('--time', [name, clock])}"
        )


def is_clock(cells: pd.Series) -> bool:
    """Return whether a column holds times of day."""
    return cells.dtype.kind == "m" and bool(cells.between("0s", "24h").all())


def has_days_only(cells: pd.Series) -> bool:
    """Return whether dates have no time of day."""
    return bool((cells == cells.dt.normalize()).all())


def _of_parts(frame: pd.DataFrame, keys: Keys) -> pd.Series:
    """Return the stamps of years, months, days and smaller parts."""
    import pandas as pd

    parts = frame[list(keys.time)].set_axis(PARTS[: len(keys.time)], axis=1)
    try:
        return pd.to_datetime(parts)
    except (ValueError, TypeError) as error:
        raise ValueError(f"--time: {listed(keys.time, 6)} are no dates: {error}") from error


def _of_day(frame: pd.DataFrame, keys: Keys) -> pd.Series:
    """Return the stamps of dates and times of day."""
    import pandas as pd

    date, clock = (frame[name] for name in keys.time)
    if date.dtype.kind != "M":
        raise ValueError(f"--time: {date.name!r} must hold dates, {clock.name!r} times of day")
    if clock.dtype.kind in "iuf" and clock.dropna().between(0, 24).all():  # hours
        clock = pd.to_timedelta(clock, unit="h")
    if clock.dtype.kind != "m":
        raise ValueError(
            f"--time: the cells of {clock.name!r} are no times of day, such as "
            f"{listed(clock.dropna().unique(), 2)}; see --date-format"
        )
    return date + clock


def rows_or_time(text: str, other: str = "") -> Any:
    """Return a number of rows as an int, a duration or `other` as the text it is."""
    if text.isdecimal() and int(text) > 0:
        return int(text)
    if (other and text == other) or re.fullmatch(r"\d+(\.\d+)?\s*[A-Za-z]+", text):
        return text
    words = f", or {other}" if other else ""
    raise argparse.ArgumentTypeError(
        f"must be a number of rows or a duration such as 24h{words}, got {text}"
    )
