"""Series in tables that are read in parts: which series lie where, and which are learned from."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from maetab.data.containers import as_table, labels_in, read_frame
from maetab.data.panel import group_labels
from maetab.data.parts import Choose, Part

ONE = ()  # the label of rows that are one series


class SeriesInParts:
    """The series of a table that is read in parts; their columns are read when it is made.

    Parameters
    ----------
    groups : as of the estimators
    name : of the estimator, for errors

    Raises
    ------
    ValueError
        `groups` names what is no column.
    """

    def __init__(self, parts: list[Part], groups: Any, name: str) -> None:
        self.labels = _labels(parts, groups, name)
        self.name, self.first = name, dict[Hashable, int]()
        self.rows: dict[Hashable, int] = {}
        self.torn: tuple[Hashable, int, int] | None = None  # a series that lies in two parts
        for number, part in enumerate(parts):
            for label, count in self._counts(part).items():
                first = self.first.setdefault(label, number)
                self.rows[label] = self.rows.get(label, 0) + count
                if first != number and self.torn is None:
                    self.torn = label, first, number

    def _counts(self, part: Part) -> dict[Hashable, int]:
        """Return how many rows each series has in a part."""
        if not self.labels:
            return {ONE: part.n_rows} if part.n_rows else {}
        counts = dict[Hashable, int]()
        for block in part.read(list(self.labels)):
            for label, count in self._keys(read_frame(block)[0]).value_counts().items():
                counts[label] = counts.get(label, 0) + count
        return counts

    def _keys(self, frame: pd.DataFrame) -> pd.Index:
        """Return the label of the series of each row."""
        own = frame[list(self.labels)]
        if own.isna().any(axis=None):
            label = next(x for x in self.labels if own[x].isna().any())
            raise ValueError(f"{label!r} tells series apart, but a row has none; fill or drop it.")
        if len(self.labels) == 1:
            return labels_in(own, self.labels[0])
        return pd.MultiIndex.from_frame(own)

    def refuse_torn(self, parts: list[Part]) -> None:
        """Raise a ValueError if a series lies in more than one part."""
        if self.torn is None:
            return
        label, one, other = self.torn
        which = f"the series {label!r} of {', '.join(map(str, self.labels))}"
        raise ValueError(
            f"{self.name}: {which if self.labels else 'one series'} lies in several parts, "
            f"{parts[one].name} and {parts[other].name}. What is predicted of a row depends on the "
            f"rows around it, so write the table such that each series lies in one part, name "
            f"'groups' that do, or pass a table in memory."
        )

    def some(
        self, n_rows: Callable[[int], int], random: Callable[[], np.random.Generator]
    ) -> Choose:
        """Return what chooses rows: whole series in random order, each that there is room for; rows
        that follow each other of one series, if each is longer.
        """

        def choose(n_columns: int) -> Callable[[pd.DataFrame, int], np.ndarray]:
            wanted, total = n_rows(n_columns), sum(self.rows.values())
            if wanted >= total:
                return lambda frame, start: np.arange(len(frame))
            if not self.labels:
                first = int(random().integers(total - wanted + 1))
                return lambda frame, start: _within(first - start, wanted, len(frame))
            labels, left, chosen = list(self.rows), wanted, set[Hashable]()
            for i in random().permutation(len(labels)):
                if self.rows[labels[i]] <= left:
                    chosen.add(labels[i])
                    left -= self.rows[labels[i]]
            if not chosen:  # each is longer
                return self._stretch(labels[int(random().integers(len(labels)))], wanted, random())
            return lambda frame, start: np.flatnonzero(
                [label in chosen for label in self._keys(frame)]
            )

        return choose

    def _stretch(
        self, label: Hashable, wanted: int, random: np.random.Generator
    ) -> Callable[[pd.DataFrame, int], np.ndarray]:
        """Return what chooses rows of one series that follow each other."""
        first, seen = int(random.integers(self.rows[label] - wanted + 1)), 0

        def rows(frame: pd.DataFrame, start: int) -> np.ndarray:
            nonlocal seen
            own = np.flatnonzero([x == label for x in self._keys(frame)])
            place = seen + np.arange(len(own))
            seen += len(own)
            return own[(place >= first) & (place < first + wanted)]

        return rows


def whole(part: Part) -> Any:
    """Return all rows of a part as one table."""
    blocks = [nw.from_native(as_table(block), eager_only=True) for block in part.read(None)]
    return nw.concat(blocks).to_native()


def _within(first: int, count: int, length: int) -> np.ndarray:
    """Return the places below `length` of so many rows from `first` on."""
    return np.arange(max(0, first), max(0, min(length, first + count)))


def _labels(parts: list[Part], groups: Any, name: str) -> tuple[Hashable, ...]:
    """Return the columns that tell series apart, checked in the first rows that there are."""
    for block in (block for part in parts for block in part.read(None)):
        frame, _ = read_frame(block)
        labels = group_labels(frame, groups, name)
        for label in labels:
            if label not in frame.columns:
                raise ValueError(
                    f"The 'groups' parameter of {name} must name columns of a table that is read "
                    f"in parts, got the index level {label!r}."
                )
        return labels
    return ()
