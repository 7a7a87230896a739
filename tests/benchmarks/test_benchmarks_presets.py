"""What is told of presets is told beside chained ExtraTrees on the same table."""

from __future__ import annotations

import json

import pytest

from benchmarks import presets, records


@pytest.fixture
def written(tmp_path):
    """A file of runs on two tables for choosing and one for judging."""
    runs = [
        ("wine", "extratrees", 2.0, 10.0, None),
        ("wine", "fast", 1.0, 1.0, None),
        ("letter", "extratrees", 1.0, 40.0, 0.5),
        ("letter", "fast", 2.0, 1.0, 0.75),
        ("beijing", "extratrees", 1.0, 4.0, None),
        ("beijing", "fast", 0.9, 1.0, None),
        ("shoppers", "fast", 0.1, 1.0, None),  # the trees are not there yet
    ]
    file = tmp_path / "presets.jsonl"
    for name, method, rmse, seconds, accuracy in runs:
        line = {"data_set": name, "rows": 2000, "method": method, "version": "1"}
        line |= {"rmse": rmse, "seconds": seconds, "accuracy": accuracy}
        records.append(file, line, 1)
    return file


def test_presets_are_compared_with_the_trees_on_the_same_table(written):
    found = presets.ratios(written)
    fast = found.loc["choosing, fast"]
    assert fast["tables"] == 2
    assert fast["ratio"] == pytest.approx((0.5 * 2.0) ** 0.5)
    assert fast["time"] == pytest.approx((1 / 10 * 1 / 40) ** 0.5)
    assert fast["worst"] == pytest.approx(2.0) and fast["more right"] == pytest.approx(0.25)
    assert found.loc["judging, fast"].tolist()[:2] == [1, pytest.approx(0.9)]


def test_a_newer_version_takes_the_place_of_the_older_one(written):
    line = {"data_set": "wine", "rows": 2000, "method": "fast", "version": "2"}
    records.append(written, line | {"rmse": 1.5, "seconds": 1.0, "accuracy": None}, 1)
    assert presets.ratios(written).loc["choosing, fast", "ratio"] == pytest.approx(0.75)


def test_runs_that_are_made_are_not_made_again(tmp_path, monkeypatch):
    monkeypatch.delenv("MAETAB_DATA", raising=False)
    monkeypatch.setattr(presets, "FROM", 100)
    file = tmp_path / "presets.jsonl"
    words = ["--data-sets", "sklearn-wine", "--methods", "mean", "--output", str(file)]
    presets.main(words)
    made = file.read_text()
    presets.main(words)
    assert file.read_text() == made and len(json.loads(made.splitlines()[1])) > 5


def test_the_picture_is_the_same_each_time_it_is_drawn(written, tmp_path):
    pytest.importorskip("matplotlib")
    for name in ("one.svg", "two.svg"):
        presets.draw(presets.ratios(written), tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
