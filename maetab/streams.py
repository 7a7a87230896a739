"""Tables that are read in parts: what a fit draws from them, and the files that come of them."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn import get_config
from sklearn.utils.validation import check_is_fitted

from maetab.arrow import import_pyarrow
from maetab.data.containers import read_frame
from maetab.data.parts import Drawn, Part, alike, draw, parts_of
from maetab.data.series_parts import SeriesInParts, whole
from maetab.engine.packed import pack
from maetab.engine.processes import place
from maetab.engine.whole_file import whole_file
from maetab.parameters import check_size, seed_of
from maetab.presets import PRESETS

if TYPE_CHECKING:
    from maetab.base import BaseMAE

# Rows that are drawn: as many as the network can see the cells of, once; the first guess is made
# of fewer.
LEAST_ROWS, MOST_ROWS = 20_000, 1_000_000
PLAIN = (str, int, float, list, tuple, type(None))
OF_FIT = ("device", "verbose", "max_time", "max_iter", "preset", "random_state")  # and of no result
MISSING_IN_FOLDER = "__HIVE_DEFAULT_PARTITION__"
NOTE = "_maetab.json"  # of a folder, what its files come from; Arrow passes such names over


def draw_from(X: Any, estimator: BaseMAE) -> Drawn | None:
    """Return what a fit learns from of a table that is read in parts; None if X is in memory."""
    parts = parts_of(X)
    if parts is None:
        return None
    own, name = estimator, type(estimator).__name__
    if not any(part.n_rows for part in parts):
        raise ValueError(f"{type(X).__name__} has no rows; {name} needs at least two.")
    cells, group = PRESETS[own.preset].most_cells, own._group
    seed = group.share(seed_of(own.random_state, name)) if group.size > 1 else None

    def n_rows(n_columns: int) -> int:
        return min(MOST_ROWS, max(LEAST_ROWS, cells // n_columns))

    def random() -> np.random.Generator:
        return np.random.default_rng(seed_of(own.random_state if seed is None else seed, name))

    if own.window is None:
        choose = alike(sum(part.n_rows for part in parts), n_rows, random)
    else:
        choose = SeriesInParts(parts, own.groups, name).some(n_rows, random)
    return draw(
        parts,
        choose,
        own.categorical_features,
        own.missing_values,
        name,
        lambda share: own._report("reading the table", share),
        (group.rank, group.size),
        group.of_all,
    )


def _blocks_of(estimator: BaseMAE, parts: list[Part]) -> Callable[[Part], Iterator[Any]]:
    """Return what yields the rows of a part such that they can be predicted: series as a whole.

    Raises
    ------
    ValueError
        A series lies in several parts.
    """
    timeline = estimator._timeline()
    if timeline is None or timeline.n_steps == 1:
        return _rows
    groups = list(timeline.groups) or None
    SeriesInParts(parts, groups, type(estimator).__name__).refuse_torn(parts)
    return lambda part: iter([whole(part)])


def _rows(part: Part) -> Iterator[Any]:
    return part.read(None)


def missing_in(drawn: Drawn | None) -> np.ndarray | bool:
    """Return (F,) bool: True for columns with a missing cell in any row, drawn or not."""
    if drawn is None:
        return False
    return np.array([column.n_observed < drawn.n_rows for column in drawn.schema.columns])


def joined(estimator: BaseMAE, X: Any, method: Callable[[Any], np.ndarray]) -> np.ndarray | None:
    """Return what a method gives for all rows of a table in parts; None if X is in memory."""
    parts = parts_of(X)
    if parts is None:
        return None
    check_is_fitted(estimator, "model_")
    blocks = _blocks_of(estimator, parts)
    found = [method(block) for part in parts if part.n_rows for block in blocks(part)]
    return np.concatenate(found) if found else np.zeros(0)


def by_parts(method: Callable[..., Any]) -> Callable[..., Any]:
    """Let a method that makes a table of another write what comes of each part to a folder.

    Tables that `set_output` turns into pandas are read as such, for scikit-learn would make columns
    of objects of those of polars, and fail at those of Arrow.
    """

    @functools.wraps(method)
    def either(self: Any, X: Any, to: Any = None) -> Any:
        parts, kind = parts_of(X), output_kind(self, method.__name__)
        if to is None and parts is None:
            in_pandas = kind == "pandas" and hasattr(X, "columns")
            return method(self, read_frame(X)[0] if in_pandas else X)
        if kind != "default":
            raise ValueError(
                f"set_output({method.__name__}={kind!r}) is about tables in memory; what is "
                f"written to a folder is a data set of Arrow: set it to 'default'."
            )
        return write_parts(self, X, parts, to, method)

    return either


def output_kind(estimator: Any, method: str = "transform") -> str:
    """Return "default", or "pandas" or "polars" where `set_output` asks for that."""
    own = getattr(estimator, "_sklearn_output_config", {}).get(method)
    return own or get_config()[f"{method}_output"]


def write_parts(
    estimator: BaseMAE, X: Any, parts: list[Part] | None, to: Any, method: Callable[..., Any]
) -> Any:
    """Write what a method makes of each part of X to a folder; return it as a data set of Arrow.

    A file is there whole or not at all. Files that are there already are not made again, so that
    what was stopped goes on. Of several processes each begins with parts of its own.

    Parameters
    ----------
    X : a table in memory, or what is read in `parts`
    to : folder; one that is not empty must hold what the same method of the same model made of a
        table with the same parts
    method : of tables in memory

    Raises
    ------
    ValueError
        `to` is None, or holds other files.
    TypeError
        `to` is no path.
    """
    check_is_fitted(estimator, "model_")
    blocks: Callable[[Part], Iterator[Any]] = _rows
    if to is None:
        raise ValueError(
            f"X is read in parts, got {type(X).__name__}; pass to='folder', to which what comes of "
            f"each part is written, or a table in memory."
        )
    if not isinstance(to, (str, os.PathLike)):
        raise TypeError(f"'to' must be the path of a folder, got {to!r}.")
    if parts is None:
        frame, _ = read_frame(X)
        check_size(frame.shape, 1, type(estimator).__name__)
        parts = [Part("part-00000.parquet", len(frame), None, "", lambda _: iter([X]))]
    else:
        blocks = _blocks_of(estimator, parts)
    folder = Path(to)
    refuse_others(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rank, size = place()
    _sign(folder, _note(estimator, parts, method.__name__), size == 1)
    others = [part for i, part in enumerate(parts) if i % size != rank]
    for part in [*parts[rank::size], *reversed(others)]:
        path = folder / part.name
        if part.n_rows and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            if size == 1:
                _remove_halves(path)
            _write(path, (method(estimator, block) for block in blocks(part)), _told(part))
    aside = [".", NOTE]
    return import_pyarrow().dataset.dataset(folder, partitioning="hive", ignore_prefixes=aside)


def _digest(part: Part) -> str:
    """Return what tells the cells of a part from others, as far as they can be told."""
    digest = hashlib.sha256()
    for number, block in enumerate(part.read(None)):
        frame, has_index = read_frame(block)[0], isinstance(block, pd.DataFrame)
        digest.update(b"" if number else repr([*frame.columns]).encode())
        with contextlib.suppress(TypeError, NotImplementedError):  # said by whoever reads them
            digest.update(pd.util.hash_pandas_object(frame, has_index).to_numpy().tobytes())
    return digest.hexdigest()


def _note(estimator: BaseMAE, parts: list[Part], method: str) -> str:
    """Return what files come from: a digest of the model, and the names and rows of the parts."""
    digest = hashlib.sha256(json.dumps(estimator.schema_.to_dict(), default=str).encode())
    state = vars(estimator) | pack(estimator.model_)["tensors"]
    for name, value in sorted(state.items()):
        if isinstance(value, np.ndarray) and value.dtype != object:
            digest.update(f"{name} {value.dtype} {value.shape}".encode() + value.tobytes())
        elif isinstance(value, PLAIN) and name.strip("_") == name and name not in OF_FIT:
            digest.update(f"{name} {value!r}".encode())
    made = {"class": type(estimator).__name__, "method": method, "model": digest.hexdigest()}
    each = [[part.name, part.n_rows, part.version or _digest(part)] for part in parts]
    return json.dumps(made | {"parts": each}, indent=1)


def refuse_others(folder: Path) -> None:
    """Raise a ValueError for a file, and for a folder with files that are no parts."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ValueError(f"{folder} is a file; pass a folder.")
    names = [path.name for path in folder.iterdir()]  # once: others may begin to write now
    if names and not any(name.startswith((NOTE, f".{NOTE}.")) for name in names):
        raise ValueError(f"{folder} holds other files; pass an empty folder, or a new one.")


def _sign(folder: Path, note: str, alone: bool) -> None:
    """Leave a note of what the files come from; refuse those of other models and tables.

    alone : whether no other process may be at the same
    """
    path = folder / NOTE
    if path.exists():
        if path.read_text(encoding="utf-8") == note:
            return
        if not alone or any(file.is_file() and file != path for file in folder.rglob("*")):
            raise ValueError(
                f"{folder} holds what another model, or another table, was written to; pass an "
                f"empty folder, or remove its files."
            )
    if alone:
        _remove_halves(path)
    with whole_file(path) as beside:
        beside.write_text(note, encoding="utf-8")


def _remove_halves(path: Path) -> None:
    """Remove what somebody who was killed has left of a file."""
    for left in path.parent.iterdir():
        if left.name.startswith(f".{path.name}."):
            left.unlink()


def _told(part: Part) -> set[str]:
    """Return the columns that the folders of a part tell, such as year in year=2020.

    Raises
    ------
    ValueError
        They tell that a value is missing, which a folder cannot tell once it is filled.
    """
    folders = [x.split("=", 1) for x in PurePosixPath(part.name).parts[:-1] if "=" in x]
    for name, value in folders:
        if value == MISSING_IN_FOLDER:
            raise ValueError(
                f"the folders of {part.name!r} tell that {name!r} is missing, and cannot hold what "
                f"is filled; write the table without that partitioning first."
            )
    return {name for name, _ in folders}.difference(part.columns or ())


def _write(path: Path, tables: Iterator[Any], told: set[str]) -> None:
    """Write tables with the same columns to one Parquet file, whole or not at all.

    told : columns that are not written, for the folder tells them
    """
    arrow, rows = import_pyarrow(), map(_as_arrow, tables)
    first = next(rows)
    schema = arrow.schema(
        [
            field.with_type(arrow.string()) if arrow.types.is_null(field.type) else field
            for field in first.schema
            if field.name not in told
        ],
        first.schema.metadata,
    )
    with whole_file(path) as beside, arrow.parquet.ParquetWriter(beside, schema) as writer:
        for some in itertools.chain([first], rows):
            writer.write_table(some.select(schema.names).cast(schema))


def _as_arrow(table: Any) -> Any:
    """Return a table of any kind as one of Arrow."""
    arrow = import_pyarrow()
    if isinstance(table, arrow.RecordBatch):
        return arrow.Table.from_batches([table])
    if isinstance(table, arrow.Table):
        return table
    if hasattr(table, "to_arrow"):
        return table.to_arrow()
    if isinstance(table, np.ndarray):
        return arrow.table({f"x{j}": column for j, column in enumerate(table.T)})
    return arrow.Table.from_pandas(table)
