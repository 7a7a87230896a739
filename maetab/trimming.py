"""What is known of the rows that a detector does not learn from."""

from __future__ import annotations

from dataclasses import replace

from maetab.data.kinds import level_key
from maetab.data.schema import Schema


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
