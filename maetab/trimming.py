"""What a detector knows of levels, those of rows that it does not learn from as well."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from maetab.data.kinds import level_key
from maetab.data.schema import Schema
from maetab.engine.scoring import Levels


def levels_of(schema: Schema, counts: list[list[int]] | None) -> Levels:
    """Return what is known of the levels of each column.

    Parameters
    ----------
    counts : for each column, how many training rows have each level; None in early models of maetab
        0.1.0, which scored training rows as if each level were known
    """
    columns, n_levels = schema.columns, schema.n_modelled()
    if counts is None:
        counts = [[2 * (count > 0) for count in column.counts] for column in columns]
    n_known = [sum(column.counts[:n]) for column, n in zip(columns, n_levels, strict=True)]
    unknown = 1 - np.array(n_known) / [max(1, column.n_observed) for column in columns]
    n_rows = max((column.n_observed for column in columns), default=0)
    return Levels(~schema.is_number(), counts, unknown, n_rows)


def with_levels_of(schema: Schema, whole: Schema) -> tuple[Schema, list[list[int]]]:
    """Return a schema that knows the levels of all rows, and how many rows have each.

    Levels that only trimmed rows have come behind the others, with a count of 0, so that the model
    of the other rows stays as it is.

    Parameters
    ----------
    schema : of the rows that were learned from
    whole : of these and those trimmed, with the same columns
    """
    columns, counts = [], []
    for column, every in zip(schema.columns, whole.columns, strict=True):
        seen = dict(zip(map(level_key, every.levels), every.counts))
        own = {level_key(level) for level in column.levels}
        if column.kind == every.kind == "category" and not column.free_text:
            more = tuple(level for level in every.levels if level_key(level) not in own)
            column = replace(
                column,
                levels=(*column.levels, *more),
                counts=(*column.counts, *[0] * len(more)),
            )
        columns.append(column)
        pairs = zip(column.levels, column.counts, strict=True)
        counts.append([max(count, seen.get(level_key(level), 0)) for level, count in pairs])
    return Schema(tuple(columns)), counts
