"""pyarrow, which is needed where Parquet files are read or written."""

from __future__ import annotations

from typing import Any


def import_pyarrow() -> Any:
    """Return the package with its parts; a ValueError where it is not installed."""
    try:
        import pyarrow
        import pyarrow.csv
        import pyarrow.dataset
        import pyarrow.parquet
    except ImportError as error:
        raise ValueError("Parquet files need pyarrow: pip install 'maetab[parquet]'") from error
    return pyarrow
