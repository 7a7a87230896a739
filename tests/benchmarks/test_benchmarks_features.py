"""The benchmarks of features of windows: where windows lie, probes, and what they may look at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import series_features, series_peers, series_reading, series_windows


@pytest.fixture
def ett(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small series of the name and the length of ETT_h1."""
    hours = pd.date_range("2016-07-01", periods=600 * 24, freq="h")
    frame = pd.DataFrame(
        {"A": np.sin(np.arange(len(hours)) / 4), "OT": np.arange(len(hours)) * 1.0}
    )
    (tmp_path / "timeseries").mkdir()
    frame.set_index(hours).to_csv(tmp_path / "timeseries" / "ETTh1.csv", index_label="date")
    monkeypatch.setenv("MAETAB_DATA", str(tmp_path))


def test_what_is_forecast_lies_within_its_part(ett):
    windows, future, parts = series_windows.forecast_windows(24)
    frame = windows.course
    mean, spread = frame["OT"].mean(), frame["OT"].std(ddof=0)
    assert (abs(mean) < 1e-9, spread == pytest.approx(1)) == (True, True)
    step = windows.values[0, 1, 1] - windows.values[0, 0, 1]  # the second column counts hours
    first = np.rint((future[:, 0, 1] - windows.values[0, 0, 1]) / step).astype(int)
    ends = np.array([12, 16, 20]) * 720
    assert (first + 24 <= ends[parts]).all()
    assert (first[parts == 2] >= ends[1]).all()
    assert first[parts == 2].min() == ends[1]


def test_a_ridge_probe_finds_a_line_and_a_shared_one():
    random = np.random.default_rng(0)
    past = random.normal(size=(300, 8, 2))
    parts = np.repeat([0, 1, 2], 100)
    future = past[:, -1:] * [0.5, 0.5] + past[:, :1]
    last = past[:, -1]
    whole = series_features.ridge_probe(past.reshape(300, -1), last, future, parts)
    shared = series_features.ridge_probe(past.transpose(0, 2, 1), last, future, parts)
    assert whole["mse"] < 1e-3 and shared["mse"] < 1e-3


def test_few_labels_tell_classes_apart_and_noise_does_not():
    random = np.random.default_rng(0)
    labels = np.arange(200) % 2
    teaches = np.arange(200) < 120
    clear = random.normal(size=(200, 4)) + 4 * labels[:, None]
    assert series_features.few_labels(clear, labels, teaches)["accuracy"] > 0.95
    noise = series_features.few_labels(random.normal(size=(200, 4)), labels, teaches)
    assert noise["accuracy"] == pytest.approx(0.5, abs=0.1)


def test_features_are_those_of_the_windows_asked_for():
    stamps = pd.date_range("2020-01-01 05:00", periods=200, freq="h")
    whole = pd.DataFrame({"x": np.arange(200.0), series_peers.GROUP: 0}, index=stamps)
    starts = [(0, stamps[i]) for i in (5, 60, 7)]
    values = np.stack([np.arange(i, i + 48.0)[:, None] for i in (5, 60, 7)])
    windows = series_windows.Windows(whole[:150], whole, 1, values, starts, None, np.ones(3, bool))
    options = {"readout": "mean", "n_components": None, "add_raw": True, "max_iter": 0}
    found = series_features.maetab(windows, options | {"width": 8, "n_heads": 2})
    assert found.attrs["fit_seconds"] > 0
    cells = found.to_numpy()[:, 8:]  # the width of a token, then the cells, standardised
    np.testing.assert_allclose(cells - cells[:, :1], cells[1] - cells[1, 0] + 0 * cells, atol=1e-4)
    assert np.argsort(cells[:, 0]).tolist() == [0, 2, 1]


def test_windows_of_classes_lie_in_their_course():
    frames = [pd.DataFrame({"x": np.arange(100.0)}, pd.date_range("2020", periods=100, freq="h"))]
    windows = series_windows._cut(frames, 24, np.arange(4) % 2)
    assert len(windows.whole) == 96 and len(windows.course) == 72
    for values, (group, stamp) in zip(windows.values, windows.starts, strict=True):
        own = windows.whole[windows.whole[series_peers.GROUP] == group].loc[stamp:]
        np.testing.assert_array_equal(values[:, 0], own["x"][:24])


def test_what_is_read_is_chosen_without_the_parts_that_are_judged(ett):
    windows, future, parts = series_windows.forecast_windows(48)
    judge = series_reading.forecast_judge(windows, future, parts)
    features = np.random.default_rng(0).normal(size=(len(parts), 3))
    spoilt = np.where((parts == 2)[:, None], np.nan, features)
    assert judge(features) == judge(spoilt)
    labels, teaches = np.arange(60) % 2, np.arange(60) < 40
    starts = [(day, None) for day in range(60)]
    windows = windows._replace(labels=labels, teaches=teaches, starts=starts)
    judge = series_reading.classes_judge(windows)
    features = np.random.default_rng(0).normal(size=(60, 3))
    assert judge(features) == judge(np.where(teaches[:, None], features, np.nan))
