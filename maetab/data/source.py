"""A frame in memory as the source of a fit: its schema and the cells of all rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from maetab.data.cells import Cells
from maetab.data.codec import Encoded
from maetab.data.columns import Column, infer_column
from maetab.data.containers import refuse_duplicates
from maetab.data.kinds import extra_missing
from maetab.data.schema import Schema, positions


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
    """

    def __init__(
        self,
        frame: pd.DataFrame,
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

    def cells(self) -> tuple[np.ndarray, np.ndarray]:
        """Return values and observed (n, F) of all rows, as in `codec.Encoded`."""
        return self.encoded.values, self.encoded.observed
