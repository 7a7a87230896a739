"""Tables larger than memory, read part by part: data sets of Arrow, lazy frames, frames of Dask.

A part is a file of a data set, a lazy frame of polars, or a partition of a frame of Dask; its rows
are read in blocks. Rows are numbered through all parts, in order.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from maetab.data.cells import Cells
from maetab.data.containers import as_table, read_frame
from maetab.data.kinds import extra_missing
from maetab.data.schema import Schema, positions
from maetab.data.tally import Tally, merged, tally_of

BLOCK = 65_536  # rows that are read together


class Part(NamedTuple):
    """A part of a table.

    Parameters
    ----------
    name : of the file that what comes of it is written to
    n_rows : of it
    columns : names of those that the file has, where the table has more: those that its folders
        tell; None for all
    version : what tells it from another of the same name and size; empty where only its cells do
    read : yields its rows as tables in memory, in order; of some columns, or None for all
    """

    name: str
    n_rows: int
    columns: tuple[str, ...] | None
    version: str
    read: Callable[[list[Any] | None], Iterator[Any]]


Choose = Callable[[int], Callable[[pd.DataFrame, int], np.ndarray]]


class Drawn(NamedTuple):
    """Rows drawn from a table, and what all of its rows say.

    Parameters
    ----------
    table : the drawn rows, in order, in memory
    schema : of all rows
    n_rows : of all parts
    """

    table: Any
    schema: Schema
    n_rows: int


def parts_of(X: Any) -> list[Part] | None:
    """Return the parts of a table that is not in memory; None for all others.

    Parameters
    ----------
    X : pyarrow.dataset.Dataset without a filter, polars.LazyFrame or dask.dataframe.DataFrame
    """
    module = type(X).__module__.split(".")[0]
    if module == "pyarrow" and hasattr(X, "get_fragments"):
        return _files(X)
    if module == "polars" and hasattr(X, "collect"):
        return _slices(X)
    is_frame = hasattr(X, "columns") and getattr(X, "ndim", 0) == 2  # and no array or series
    return _partitions(X) if module.startswith("dask") and is_frame else None


def _files(dataset: Any) -> list[Part]:
    """Return the files of a data set of Arrow."""

    def read(fragment: Any, columns: list[Any] | None) -> Iterator[Any]:
        how = {"batch_readahead": 1, "fragment_readahead": 1, "batch_size": BLOCK}
        batches = fragment.to_batches(schema=dataset.schema, columns=columns, **how)
        yield from (batch for batch in batches if batch.num_rows)

    fragments = list(dataset.get_fragments())
    names = _names([getattr(fragment, "path", None) for fragment in fragments])
    return [
        Part(
            name,
            fragment.count_rows(),
            tuple(fragment.physical_schema.names),
            _version(fragment),
            lambda columns, fragment=fragment: read(fragment, columns),  # type: ignore[misc]
        )
        for name, fragment in zip(names, fragments, strict=True)
    ]


def _names(paths: list[str | None]) -> list[str]:
    """Return the name that each file is written to, below the innermost folder of all of them."""
    if None in paths:
        return [_numbered(i) for i in range(len(paths))]
    found = [PurePosixPath(path) for path in paths if path is not None]
    shared = [set(path.parents) for path in found]
    folder = max(set.intersection(*shared), key=lambda x: len(x.parts)) if shared else None
    names = [str(path.relative_to(folder) if folder else path) for path in found]
    names = [
        str(PurePosixPath(name).with_suffix(".parquet"))
        if name.endswith((".parquet", ".pq", ".csv"))
        else f"{name}.parquet"
        for name in names
    ]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(
            f"files of X would be written to the same name, {twice[0]!r}; rename them, or list "
            f"each once."
        )
    return names


def _version(fragment: Any) -> str:
    """Return size and time of change of the file of a fragment."""
    if getattr(fragment, "path", None) is None:
        return ""
    found = fragment.filesystem.get_file_info(fragment.path)
    return f"{found.size} {found.mtime_ns}"


def _slices(lazy: Any) -> list[Part]:
    """Return a lazy frame of polars as one part: what it computes has an order of its own each
    time.
    """
    n_rows = lazy.select(sys.modules["polars"].len()).collect().item()

    def read(columns: list[Any] | None) -> Iterator[Any]:
        asked = lazy if columns is None else lazy.select(columns)
        in_batches = hasattr(lazy, "collect_batches")
        whole = {"chunk_size": BLOCK, "maintain_order": True}
        for batch in asked.collect_batches(**whole) if in_batches else [asked.collect()]:
            yield from (x for x in batch.iter_slices(BLOCK) if len(x))

    return [Part(_numbered(0), n_rows, None, "", read)]


def _partitions(frame: Any) -> list[Part]:
    """Return the partitions of a frame of Dask."""
    counts = frame.map_partitions(len).compute()

    def read(i: int, columns: list[Any] | None) -> Iterator[Any]:
        asked = frame.partitions[i]
        whole = (asked if columns is None else asked[columns]).compute()
        names = zip_longest(frame.columns if columns is None else columns, whole.columns)
        for said, found in names:
            if said != found:
                raise ValueError(
                    f"partition {i} of X has the column {found!r} where X says {said!r}; give all "
                    f"partitions the same columns, in the same order."
                )
        yield from (whole.iloc[a : a + BLOCK] for a in range(0, len(whole), BLOCK))

    return [
        Part(_numbered(i), int(count), None, "", lambda columns, i=i: read(i, columns))  # type: ignore[misc]
        for i, count in enumerate(counts)
    ]


def _numbered(i: int) -> str:
    return f"part-{i:05}.parquet"


def alike(
    total: int, n_rows: Callable[[int], int], random: Callable[[], np.random.Generator]
) -> Choose:
    """Return what chooses rows, all alike likely.

    Parameters
    ----------
    total : rows that there are
    n_rows : of a number of columns, how many rows are drawn at most
    random : makes what draws, if not all rows are drawn; the draw depends on it and on the number
        of rows, not on how they are split
    """

    def choose(n_columns: int) -> Callable[[pd.DataFrame, int], np.ndarray]:
        wanted = n_rows(n_columns)
        if wanted >= total:
            return lambda frame, start: np.arange(len(frame))
        drawn = np.sort(random().choice(total, wanted, replace=False, shuffle=False))

        def within(frame: pd.DataFrame, start: int) -> np.ndarray:
            return drawn[slice(*np.searchsorted(drawn, [start, start + len(frame)]))] - start

        return within

    return choose


def draw(
    parts: list[Part],
    choose: Choose,
    categorical_features: Any,
    missing_values: Any,
    estimator_name: str,
    progress: Callable[[float], None],
    share: tuple[int, int] = (0, 1),
    of_all: Callable[[Callable[[], Any]], list[Any]] = lambda work: [work()],
) -> Drawn:
    """Read all rows once; return what they say, and some of them.

    Parameters
    ----------
    choose : of a number of columns makes what returns the places of the rows that are drawn, of a
        block and the number of its first row in the table
    categorical_features, missing_values, estimator_name : as in `infer_schema`
    progress : is called with the share of the rows that is read
    share : number of this process, and of all that read: it reads each of so many parts
    of_all : does work in all of them, and returns what each gives, in their order

    Raises
    ------
    TypeError, ValueError
        As `read_frame` and `infer_schema`, and if a column is of other kinds in other parts.
    """
    total, (first, every) = sum(part.n_rows for part in parts), share
    starts = np.cumsum([0, *(part.n_rows for part in parts)])
    extra = extra_missing(missing_values)

    def read() -> dict[int, tuple[list[Tally], Any]]:
        drawn, found, done = None, dict[int, tuple[list[Tally], Any]](), 0
        for number in range(first, len(parts), every):
            tallies, tables, start = list[Tally](), list[Any](), int(starts[number])
            for block in parts[number].read(None):
                frame, _ = read_frame(block)
                drawn = drawn or choose(frame.shape[1])
                chosen = positions(categorical_features, frame.columns, estimator_name)
                columns = (Cells(frame.iloc[:, place], extra) for place in range(frame.shape[1]))
                now = [tally_of(cells, extra, at in chosen) for at, cells in enumerate(columns)]
                tallies = _merged([tallies, now])
                own = drawn(frame, start).tolist()
                tables.append(nw.from_native(as_table(block), eager_only=True)[own])
                start, done = start + len(frame), done + len(frame)
                progress(min(1.0, every * done / total))
            if tables:
                found[number] = tallies, nw.concat(tables).to_native()
        return found

    found = {number: one for own in of_all(read) for number, one in own.items()}
    ordered = [found[number] for number in sorted(found)]
    tallies = _merged([one for one, _ in ordered])
    tables = [nw.from_native(table, eager_only=True) for _, table in ordered]
    table = nw.concat(tables).to_native() if tables else None
    return Drawn(table, Schema(tuple(tally.infer() for tally in tallies)), total)


def _merged(parts: list[list[Tally]]) -> list[Tally]:
    """Return what all parts say, column by column."""
    return [merged(column) for column in zip(*(part for part in parts if part), strict=True)]
