"""The table of probabilities of levels that `MAEImputer.predict_proba` returns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from maetab.data.schema import Schema
from maetab.table import Table


def categories(schema: Schema) -> list[int]:
    """Return the places of the columns that have levels."""
    return [j for j, c in enumerate(schema.columns) if c.kind == "category" and c.levels]


def levels_table(
    table: Table, schema: Schema, predicted: np.ndarray, left: np.ndarray, in_pandas: bool
) -> pd.DataFrame:
    """Return (n, all levels) the probability of every level of every categorical column.

    Parameters
    ----------
    predicted : (n, C, K) of the columns that `categories` names
    left : (n, F) bool, cells that are not filled, whose probabilities are missing
    in_pandas : whether columns are named (column, level) rather than "column=level"
    """
    labels, parts = [], [np.zeros((len(table.values), 0))]
    values, known = table.visible()
    for i, j in enumerate(categories(schema)):
        column = schema.columns[j]
        chance = np.zeros((len(values), len(column.levels)))
        n_modelled, seen = column.n_modelled, known[:, j]
        chance[:, :n_modelled] = table.shared(j, predicted[:, i, :n_modelled])
        chance[seen] = values[seen, j][:, None] == np.arange(len(column.levels))
        chance[left[:, j]] = np.nan
        labels += [(column.name, level) for level in column.levels]
        parts.append(chance)
    names: Any = [f"{name}={level}" for name, level in labels]
    if in_pandas and labels:
        names = _in_levels(table.frame.columns, labels)
    return pd.DataFrame(np.concatenate(parts, 1), index=table.frame.index, columns=names)


def _in_levels(columns: pd.Index, labels: list[tuple[Any, Any]]) -> pd.MultiIndex:
    """Return an index of (column, level), in which names of several levels keep these."""
    if isinstance(columns, pd.MultiIndex):
        split = [(*name, level) for name, level in labels]
        return pd.MultiIndex.from_tuples(split, names=[*columns.names, "level"])
    return pd.MultiIndex.from_tuples(labels, names=["column", "level"])
