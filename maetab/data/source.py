"""A frame in memory as fit learns from it: what its columns are, and its cells."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from maetab.data.cells import Cells
from maetab.data.codec import Encoded
from maetab.data.columns import Column
from maetab.data.containers import refuse_duplicates
from maetab.data.kinds import extra_missing
from maetab.data.schema import Schema, positions
from maetab.data.tally import tally_of


class FrameSource:
    """A frame in memory. Each of its columns is parsed once, when it is made.

    Parameters
    ----------
    frame : (n, F) as given by `read_frame`
    categorical_features, missing_values, estimator_name : as in `infer_schema`
    schema : of the table that the frame is a part of; None if it is the whole table

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
        schema: Schema | None = None,
    ) -> None:
        refuse_duplicates(frame.columns)
        self.frame = frame
        self.chosen = positions(categorical_features, frame.columns, estimator_name)
        self.extra = extra_missing(missing_values)
        self.encoded = Encoded.empty(frame.shape)
        known = (None,) * frame.shape[1] if schema is None else schema.columns
        self._schema = Schema(tuple(map(self._parse, range(frame.shape[1]), known)))

    def _parse(self, place: int, column: Column | None) -> Column:
        """Return what a column is, after its cells are encoded; they are read once for both."""
        cells = Cells(self.frame.iloc[:, place], self.extra)
        column = column or tally_of(cells, self.extra, place in self.chosen).infer()
        self.encoded.put(place, cells, column)
        return column

    def take_as_keys(self, places: Iterable[int]) -> None:
        """Take columns for times or groups of the rows: no model sees them, as with free text."""
        columns = list(self._schema.columns)
        for place in places:
            column = columns[place]
            n_different = max(1, self.frame.iloc[:, place].nunique())
            columns[place] = replace(column, levels=(), counts=(), free_text=n_different, key=True)
            self.encoded.free_text.setdefault(place, self.encoded.observed[:, place].copy())
            self.encoded.values[:, place], self.encoded.observed[:, place] = 0, False
        self._schema = Schema(tuple(columns))

    def tell_apart(self, place: int) -> None:
        """Let a model tell all levels of a category apart, those that were seen once as well."""
        columns = list(self._schema.columns)
        counts = tuple(max(2, count) for count in columns[place].counts)
        columns[place] = replace(columns[place], counts=counts)
        self._schema = Schema(tuple(columns))

    def schema(self) -> Schema:
        """Return what the columns are."""
        return self._schema
