"""A fit that would not find its memory is refused before it begins, in words that help."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from models import QUICK

import maetab.memory_needed
from maetab import MAEAnomalyDetector, MAEEncoder, MAEImputer
from maetab.memory_needed import memory_available, memory_needed

MIB = 2**20


def wide(n_rows: int, n_columns: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, n_columns))
    X[rng.random(X.shape) < 0.1] = np.nan
    return X


@pytest.fixture
def with_little(monkeypatch):
    monkeypatch.setattr(maetab.memory_needed, "memory_available", lambda: 40 * MIB)


@pytest.mark.parametrize("kind", [MAEImputer, MAEEncoder, MAEAnomalyDetector])
def test_a_table_that_is_too_wide_is_refused_before_anything_is_learned(kind, with_little):
    estimator = kind(max_iter=0, random_state=0)
    before = dict(vars(estimator))
    with pytest.raises(MemoryError) as caught:
        estimator.fit(wide(50, 400))
    assert vars(estimator) == before
    text = str(caught.value)
    assert kind.__name__ in text and "50 rows of 400 columns" in text and "0.0 GiB is free" in text
    n_columns = int(text.partition("groups of ")[2].split()[0])
    assert 0.8 * 40 * MIB < memory_needed(50, n_columns) <= 40 * MIB


def test_levels_of_categories_count(with_little):
    rng = np.random.default_rng(0)
    texts = {f"c{j}": rng.choice([f"level {i}" for i in range(20)], 200) for j in range(10)}
    with pytest.raises(MemoryError, match=r"10 columns \(200 with one per level and step\)"):
        MAEImputer(max_iter=0, random_state=0).fit(pd.DataFrame(texts))


def test_rows_beyond_those_looked_at_together_take_no_memory():
    assert memory_needed(10, 5) < memory_needed(6000, 5) < memory_needed(10**5, 5)
    assert memory_needed(10**5, 5) == memory_needed(10**7, 5)


@pytest.mark.slow
def test_a_table_for_which_there_is_memory_is_fitted(with_little, monkeypatch):
    imputer = MAEImputer(guess=QUICK, max_iter=0, random_state=0)
    assert not np.isnan(imputer.fit_transform(wide(50, 20))).any()
    monkeypatch.setattr(maetab.memory_needed, "memory_available", lambda: None)
    imputer.fit(wide(20, 150))  # where nothing is known of the machine, nothing is refused


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="the system tells no free memory")
def test_free_memory_is_less_than_what_there_is_and_more_than_this_takes():
    total = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
    assert 10 * MIB < memory_available() <= total


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="the system tells no free memory")
def test_what_the_system_tells_in_kib_is_read_in_bytes(monkeypatch, tmp_path):
    monkeypatch.setattr(maetab.memory_needed, "CGROUPS", tmp_path)  # no container says less
    told = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    kib = int(told["MemAvailable"].split()[0])
    assert kib * 1024 / 4 < memory_available() < kib * 1024 * 4


@pytest.mark.parametrize(
    "names",
    [
        ("memory.max", "memory.current", "memory.stat", "inactive_file"),
        (
            "memory/memory.limit_in_bytes",
            "memory/memory.usage_in_bytes",
            "memory/memory.stat",
            "total_inactive_file",
        ),
    ],
    ids=["version 2", "version 1"],
)
def test_files_that_a_container_has_read_do_not_count_as_memory_taken(names, tmp_path, monkeypatch):
    limit, used, stat, kept = names
    (tmp_path / stat).parent.mkdir(exist_ok=True)
    (tmp_path / limit).write_text(f"{8 * MIB}\n")
    (tmp_path / used).write_text(f"{7 * MIB}\n")
    monkeypatch.setattr(maetab.memory_needed, "CGROUPS", tmp_path)
    assert memory_available() == MIB
    (tmp_path / stat).write_text(f"anon {2 * MIB}\n{kept} {5 * MIB}\nactive_file 0\n")
    assert memory_available() == 6 * MIB
