"""Tables in files whose cells are values: kept as texts, as those of a CSV file are."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from typing import Generic, TypeVar

from maetab.files.layout import Layout
from maetab.files.text_table import TextTable

Cell = TypeVar("Cell")


class ValueTable(TextTable, Generic[Cell]):
    """A file of values, each with a text by which it is read and its column is recognised.

    Parameters
    ----------
    names : of the columns
    texts : rows of texts, empty where a cell is
    layout : what the user says of marks, dates and numbers

    Attributes
    ----------
    given_raw : (n, F) the raw texts as they were read
    """

    def __init__(self, names: Sequence[str], texts: Sequence[Sequence[str]], layout: Layout):
        out = io.StringIO(newline="")
        if len(names) == 1:  # in quotes, so that no mark in its cells is taken for a delimiter
            writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
        else:
            writer = csv.writer(out, lineterminator="\n")
        writer.writerows([names, *texts])
        plain = replace(layout, delimiter=",", header=True, skip_rows=0, comment=None)
        super().__init__(out.getvalue(), plain)
        self.given_raw = self.raw.copy()

    def cells_put(self) -> dict[tuple[int, int], str]:
        """Return the texts that were put, by the places of their row in the file and column."""
        rows, columns = (self.raw != self.given_raw).nonzero()
        texts = {name: self.texts(name) for name in self.names}
        return {
            (int(self.index[row]), int(column)): texts[self.names[column]].iloc[row]
            for row, column in zip(rows, columns, strict=True)
        }
