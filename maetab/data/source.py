"""Where rows come from: statistics of all, the cells of some, batches of a shard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import pandas as pd

from maetab.data.cells import Cells
from maetab.data.codec import Encoded
from maetab.data.containers import refuse_duplicates
from maetab.data.kinds import extra_missing
from maetab.data.schema import Column, Schema, infer_column, positions
from maetab.data.windows import take


class Source(Protocol):
    """What training needs of the data. The physical row number is the identity of a row."""

    @property
    def n_rows(self) -> int:
        """Rows of the table."""

    def schema(self) -> Schema:
        """Return what the columns are, from statistics of all rows."""

    def cells(self, rows: np.ndarray | slice | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return the cells of the rows with these numbers.

        Parameters
        ----------
        rows : row numbers of any shape, such as (W, T) of `windows.cut`; a slice; None for all
            -1 stands for no row, which pads a window.

        Returns
        -------
        values : (..., F) float32, as in `codec.Encoded`; 0 for no row
        observed : (..., F) bool; False for no row
        """

    def batches(self, size: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield row numbers (b,), values (b, F) and observed (b, F): each row once, in order.

        Parameters
        ----------
        size : rows b of a batch; the last may be smaller
        """


class FrameSource:
    """A frame in memory as a source. Each of its columns is parsed once, when it is made.

    Parameters
    ----------
    frame : (n, F) as given by `read_frame`
    categorical_features, missing_values, estimator_name : as in `infer_schema`

    Attributes
    ----------
    encoded : Encoded, the cells of all rows
    chosen : places of the columns that the user calls categories
    extra : values that count as missing, see `extra_missing`

    Raises
    ------
    TypeError, ValueError
        As `infer_schema`.

    Examples
    --------
    >>> source = FrameSource(pd.DataFrame({"age": [30.0, None, 50.0]}))
    >>> values, observed = source.cells(np.array([[1, 2], [0, -1]]))
    >>> values[..., 0].tolist(), observed[..., 0].tolist()
    ([[0.0, 1.0], [-1.0, 0.0]], [[False, True], [True, False]])
    """

    def __init__(
        self,
        frame: pd.DataFrame,
        *,
        categorical_features: Any = "auto",
        missing_values: Any = np.nan,
        estimator_name: str = "MAEImputer",
    ) -> None:
        refuse_duplicates(frame.columns)
        self.frame = frame
        self.chosen = positions(categorical_features, frame.columns, estimator_name)
        self.extra = extra_missing(missing_values)
        self.encoded = Encoded.empty(frame.shape)
        self._schema = Schema(tuple(map(self._parse, range(frame.shape[1]))))

    def _parse(self, place: int) -> Column:
        """Return what a column is, after its cells are encoded; they are read once for both."""
        cells = Cells(self.frame.iloc[:, place], self.extra)
        column = infer_column(cells, self.extra, place in self.chosen)
        self.encoded.put(place, cells, column)
        return column

    @property
    def n_rows(self) -> int:
        """Rows of the frame."""
        return len(self.encoded.values)

    def schema(self) -> Schema:
        """Return what the columns are."""
        return self._schema

    def cells(self, rows: np.ndarray | slice | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return values and observed (..., F) of the rows with these numbers, see `Source`."""
        whole = self.encoded.values, self.encoded.observed
        if rows is None:
            return whole
        if isinstance(rows, slice):
            return whole[0][rows], whole[1][rows]
        return take(whole[0], rows), take(whole[1], rows)

    def batches(self, size: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield row numbers, values and observed: each row once, in order, see `Source`."""
        for start in range(0, self.n_rows, size):
            rows = np.arange(start, min(start + size, self.n_rows))
            yield rows, *self.cells(slice(start, start + size))
