"""What `maetab describe` says of the time and memory of a fit."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from maetab import cli
from maetab.memory_needed import memory_needed
from maetab.time_needed import seconds_needed

# Rows, coordinates and recorded seconds of tables that the rule was not fitted to.
MEASURED = [
    (2000, 14, 5.91),
    (1728, 21, 4.41),
    (2000, 75, 10.43),
    (12_330, 75, 139.51),
    (20_000, 33, 188.15),
    (20_000, 14, 116.55),
]


@pytest.mark.parametrize(("n_rows", "n_coordinates", "seconds"), MEASURED)
def test_recorded_times_lie_well_within_the_range(n_rows, n_coordinates, seconds):
    low, high = seconds_needed(n_rows, n_coordinates)
    assert 1.5 * low < seconds < high / 1.5


def test_more_rows_than_a_fit_learns_from_take_no_longer():
    assert seconds_needed(20_000, 20) == seconds_needed(2_000_000, 20)
    assert seconds_needed(10_000, 20) < seconds_needed(20_000, 20)


def test_describe_tells_both_of_the_columns_that_a_model_would_see(tmp_path, capsys):
    rng, n = np.random.default_rng(0), 300
    frame = pd.DataFrame(rng.normal(size=(n, 2)), columns=["a", "b"])
    frame["color"] = rng.choice(list("xyzuvw"), n)
    frame["name"] = [f"person number {k}" for k in range(n)]
    wide = pd.concat([frame] * 40, ignore_index=True)
    wide["name"] = [f"person number {k}" for k in range(len(wide))]
    wide.to_csv(tmp_path / "in.csv", index=False)
    assert cli.main(["describe", str(tmp_path / "in.csv")]) == 0
    (line,) = [x for x in capsys.readouterr().out.splitlines() if x.startswith("a fit of its rows")]
    found = re.search(
        r"about (\d+) (s|min) to (\d+) (s|min) on one core .* some ([\d.]+) GiB", line
    )
    low, high = (int(found[k]) * {"s": 1, "min": 60}[found[k + 1]] for k in (1, 3))
    expected = seconds_needed(12_000, 2 + 6)  # two numbers and six levels; names are not seen
    assert low == pytest.approx(expected[0], rel=0.3)
    assert high == pytest.approx(expected[1], rel=0.3)
    assert float(found[5]) == pytest.approx(max(0.1, memory_needed(12_000, 8) / 2**30), abs=0.06)
