"""How long a fit and filling take, by rows and coordinates: the rule that `maetab describe` uses.

The rule, seconds = a * coordinates^b * rows^c, is fitted to recorded times of the choosing half of
the tables and judged on those of the other half: CPU seconds of one thread, preset "balanced", 30 %
of the cells missing. Records are those of `benchmarks.presets` and of `benchmarks.impute` on large
tables.

    python -m benchmarks.fit_time
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.datasets import CHOOSING, load

RESULTS = Path(__file__).parent / "results"
RECORDS = (("presets.jsonl", "balanced"), ("impute_large.jsonl", "maetab"))
MOST_ROWS = 20_000  # from which on a fit takes no longer: see `benchmarks.scale`


def recorded() -> pd.DataFrame:
    """Return table, rows, coordinates and seconds of each record."""
    found = []
    for name, method in RECORDS:
        for line in (RESULTS / name).read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            if record.get("method") == method:
                found.append({key: record[key] for key in ("data_set", "rows", "seconds")})
    records = pd.DataFrame(found)
    records["coordinates"] = [coordinates(name) for name in records["data_set"]]
    return records


def coordinates(name: str) -> int:
    """Return a number per column of numbers and one per level of a category."""
    frame = load(name)[0]
    numbers = frame.select_dtypes(["number", "datetime"]).shape[1]
    return numbers + int(frame.select_dtypes(exclude=["number", "datetime"]).nunique().sum())


def design(records: pd.DataFrame) -> np.ndarray:
    """Return what the logarithm of the seconds is linear in."""
    rows = np.minimum(records["rows"], MOST_ROWS)
    return np.column_stack([np.ones(len(records)), np.log(records["coordinates"]), np.log(rows)])


def main() -> None:
    """Print the rule, and by which factors it errs on either half."""
    records = recorded()
    chosen = records["data_set"].isin(CHOOSING).to_numpy()
    rule = np.linalg.lstsq(design(records[chosen]), np.log(records["seconds"][chosen]), rcond=None)[
        0
    ]
    print(f"seconds = {np.exp(rule[0]):.3g} * coordinates^{rule[1]:.2f} * rows^{rule[2]:.2f}")
    records["ratio"] = records["seconds"] / np.exp(design(records) @ rule)
    for half, part in (("choosing", records[chosen]), ("judging", records[~chosen])):
        low, high = part["ratio"].min(), part["ratio"].max()
        print(f"{half}: {len(part)} tables take {low:.2f} to {high:.2f} times as long as it says")
    print(records.round(2).to_string(index=False))


if __name__ == "__main__":
    main()
