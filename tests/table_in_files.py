"""A table of mixed columns, in memory and in files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

N = 240
FAST = {"max_iter": 0, "random_state": 0}


def mixed(n: int = N) -> pd.DataFrame:
    """Numbers, whole numbers, dates and categories that depend on each other, with holes."""
    rng = np.random.default_rng(0)
    size = rng.normal(size=n)
    frame = pd.DataFrame(
        {
            "size": size.round(2),
            "weight": 3 * size + rng.normal(size=n),
            "kind": np.where(size > 0, "big", "small"),
            "count": pd.array(rng.poisson(np.exp(size / 2)), "Int64"),
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 99, n), "D"),
        }
    )
    return frame.mask(rng.random(frame.shape) < 0.15)


def table() -> pa.Table:
    return pa.Table.from_pandas(mixed(), preserve_index=False)


def written(folder: Path, cuts: list[int]) -> ds.Dataset:
    """The table in files that begin at some rows."""
    folder.mkdir(parents=True)
    for i, (a, b) in enumerate(zip([0, *cuts], [*cuts, N], strict=True)):
        pq.write_table(table().slice(a, b - a), folder / f"file{i}.parquet", row_group_size=50)
    return ds.dataset(folder)
