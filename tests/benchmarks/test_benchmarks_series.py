"""The benchmarks of series: masks, measures, tasks and peers, on series made here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from benchmarks import (
    records,
    series,
    series_data,
    series_detect,
    series_peers,
    vus,
)

SHAPE = (30, 48, 7)
# TSB_AD 1.5 on `labelled()`: generate_curve(..., "opt", 250) with buffers of 0, 11 and 40, and of
# 20 with rounded scores; find_length_rank of two waves.
THEIRS = [0.5453650850710758, 0.5662113868033206, 0.6410537863383794, 0.3243327324841821]
LENGTHS = [120, 240]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with small series of the real ones' names and columns."""
    place = tmp_path / "timeseries"
    place.mkdir()
    random = np.random.default_rng(0)
    walk = random.normal(size=(960, 3)).cumsum(0)
    days = pd.date_range("2000-01-01", periods=960, freq="D")
    rates = pd.DataFrame(walk, index=days, columns=["0", "1", "OT"])
    rates.to_csv(place / "exchange_rate.csv", index_label="date")
    whole = 2 + np.sin(np.arange(1440) * 2 * np.pi / 144) + 0.1 * random.normal(size=1440)
    holes = np.where(np.arange(1440) % 50 < 7, np.nan, whole)
    nh4 = pd.DataFrame({"tsNH4": holes, "tsNH4Complete": whole})
    nh4.to_csv(place / "imputeTS_tsNH4.csv", index=False)
    hours = pd.date_range("2016-07-01", periods=600 * 24, freq="h")
    ett = pd.DataFrame({"A": np.sin(np.arange(len(hours)) / 4), "OT": np.arange(len(hours)) * 1.0})
    ett.set_index(hours).to_csv(place / "ETTh1.csv", index_label="date")
    monkeypatch.setenv("MAETAB_DATA", str(tmp_path))
    return tmp_path


# ---- masks and tasks


def masks(seed: int) -> list[np.ndarray]:
    draws = [np.random.RandomState(seed) for _ in range(3)]
    return [
        series_data.points(SHAPE, 0.3, draws[0]),
        series_data.gaps(SHAPE, 0.5, 36, draws[1]),
        series_data.blocks(SHAPE, 0.36, 6, 6, draws[2]),
    ]


def test_masks_are_those_of_pygrinder_bit_for_bit():
    pygrinder = pytest.importorskip("pygrinder")
    whole = np.zeros(SHAPE)
    calls = [
        lambda: pygrinder.mcar(whole, 0.3),
        lambda: pygrinder.seq_missing(whole, 0.5, 36),
        lambda: pygrinder.block_missing(whole, 0.36, 6, 6),
    ]
    for call, ours in zip(calls, masks(3), strict=True):
        np.random.seed(3)
        np.testing.assert_array_equal(np.isnan(call()), ours)


def test_gaps_are_one_run_in_a_window_and_blocks_hide_half():
    random, gaps, blocks = masks(0)
    assert random.mean() == pytest.approx(0.3, abs=0.02)
    runs = gaps.transpose(0, 2, 1).reshape(-1, 48)
    assert set(runs.sum(1)) == {0, 36}
    starts = (np.diff(runs.astype(int), axis=1, prepend=0) == 1).sum(1)
    assert starts.max() == 1 and gaps.mean() == pytest.approx(0.5, abs=0.01)
    assert blocks.mean() == pytest.approx(0.5, abs=0.05)


def test_only_observed_cells_are_hidden_and_a_seed_names_the_same_cells(folder):
    task = series_data.make_task("exchange", "subseq", seed=1)
    for part in (task.train, task.val, task.test):
        assert len(part.truth) % task.window == 0
        assert not (part.hidden & part.truth.isna().to_numpy()).any()
        pd.testing.assert_frame_equal(part.truth.mask(part.hidden), part.missing)
    names = [series_data.digest(series_data.make_task("exchange", "subseq", s)) for s in (1, 1, 2)]
    assert names[0] == names[1] != names[2]
    assert task.train.truth.index[-1] < task.val.truth.index[0] < task.test.truth.index[0]
    assert not set(series_data.CHOOSING) & set(series_data.JUDGING)


def test_units_come_from_the_training_part(folder):
    task = series_data.make_task("exchange", "point10")
    np.testing.assert_allclose(task.train.truth.mean(), 0, atol=1e-9)
    np.testing.assert_allclose(task.train.truth.std(ddof=0), 1)
    assert abs(task.test.truth.mean()).max() > 0.1


def test_own_gaps_are_judged_where_the_series_came_without_values(folder):
    task = series_data.make_task("nh4", "own")
    assert task.test.hidden.sum() == sum(i % 50 < 7 for i in range(1440))
    assert task.test.truth.notna().all(axis=None)
    assert not (task.val.hidden & task.test.hidden).any()


def test_settings_are_chosen_on_a_part_that_etth1_does_not_judge(folder):
    judged = series_data.make_task("etth1", "point10").test.truth.index
    chosen = series_data.make_task("etth1-val", "point10")
    seen = [set(part.truth.index) for part in (chosen.train, chosen.val, chosen.test)]
    assert not set(judged) & set.union(*seen)
    assert (judged[0], judged[0].hour) == (pd.Timestamp("2018-02-01"), 0)


# ---- scores


def test_crps_is_the_error_of_a_point_and_at_most_a_little_above_that_of_a_normal():
    quantiles = norm.ppf(series_peers.LEVELS)[:, None] * np.ones(500)
    truth = np.linspace(-2, 2, 500)
    exact = truth * (2 * norm.cdf(truth) - 1) + 2 * norm.pdf(truth) - 1 / np.sqrt(np.pi)
    assert 1 <= series.crps(quantiles, truth) / exact.mean() < 1.06
    point = np.full((19, 500), 0.5)
    assert series.crps(point, truth) == pytest.approx(np.abs(truth - 0.5).mean())


def test_scores_of_hidden_cells_are_those_worked_out_by_hand():
    truth = pd.DataFrame({"x": [0.0, 1.0, 2.0, 3.0]})
    hidden = np.array([[False], [True], [True], [False]])
    part = series_data.Part(truth, truth.mask(hidden), hidden)
    task = series_data.SeriesTask("a", "point50", 0, 2, 0, part, part, part)
    values = np.array([[9.0], [1.5], [0.0], [9.0]])
    found = series.score(task, series_peers.Filled(values))
    assert (found["mae"], found["n_hidden"]) == (1.25, 2) and "coverage" not in found
    assert found["rmse"] == pytest.approx(np.sqrt((0.25 + 4) / 2))
    assert found["crps"] == found["mae"]
    wide = np.stack([values + (level - 0.5) * 2 for level in series_peers.LEVELS])
    assert series.score(task, series_peers.Filled(values, wide))["coverage"] == 0.5
    with pytest.raises(ValueError, match="1 hidden cells were left empty"):
        series.score(task, series_peers.Filled(np.where(values == 0, np.nan, values)))


# ---- peers


def job(method: str, setting: str, test: pd.DataFrame, train: pd.DataFrame) -> series_peers.Job:
    part = series_data.Part(train, train, np.zeros(train.shape, dtype=bool))
    return series_peers.Job(method, "exchange", setting, 48, 0, 0, {}, train, test, part)


@pytest.mark.parametrize("method", ["linear", "spline", "locf", "knn", "extratrees"])
@pytest.mark.parametrize("setting", series.SETTINGS)
def test_a_peer_fills_every_cell_and_keeps_the_observed_ones(folder, method, setting):
    task = series_data.make_task("exchange", "point50")
    test = task.test.missing.iloc[:96]
    filled = series_peers.FILLERS[method](job(method, setting, test, task.train.missing)).values
    assert np.isfinite(filled).all()
    np.testing.assert_allclose(filled[test.notna()], test.to_numpy()[test.notna()])


@pytest.mark.parametrize("method", ["linear", "spline", "locf", "knn", "extratrees"])
def test_a_window_on_its_own_does_not_know_the_next(folder, method):
    task = series_data.make_task("exchange", "point50")
    test = task.test.missing.iloc[:96]
    other = test.copy()
    other.iloc[48:] += 5.0
    fill = series_peers.FILLERS[method]
    before, after = (
        fill(job(method, "windows", frame, task.train.missing)).values[:48]
        for frame in (test, other)
    )
    np.testing.assert_allclose(before, after)


def test_linear_fill_is_in_time_and_an_empty_window_gets_the_training_mean():
    stamps = pd.date_range("2020", periods=96, freq="h")
    train = pd.DataFrame({"x": 2.0}, index=stamps)
    test = pd.DataFrame({"x": np.nan}, index=stamps)
    test.iloc[0], test.iloc[47] = 0.0, 47.0
    filled = series_peers.FILLERS["linear"](job("linear", "windows", test, train)).values
    np.testing.assert_allclose(filled[:48, 0], np.arange(48))
    np.testing.assert_allclose(filled[48:, 0], 2.0)


def test_lagged_columns_stand_beside_their_rows():
    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0]})
    np.testing.assert_array_equal(
        series_peers.lagged(frame, (1,)), [[1, np.nan, 2], [2, 1, 3], [3, 2, np.nan]]
    )


@pytest.mark.slow
def test_results_are_appended_and_not_made_twice(folder, tmp_path):
    output = tmp_path / "series.jsonl"
    arguments = ["--data-sets", "nh4", "--patterns", "point50", "--methods", "linear", "knn"]
    for _ in range(2):
        series.run(series.parse([*arguments, "--output", str(output)]))
    lines = records.read(output)
    made = [(r["pattern"], r["setting"], r["method"]) for r in lines]
    assert made == [
        ("point50", "windows", "linear"),
        ("point50", "windows", "knn"),
        ("point50", "course", "linear"),
        ("own", "course", "linear"),
    ]
    assert all(0 < r["mae"] <= r["rmse"] and r["fit_seconds"] >= 0 for r in lines)
    failed = series.parse([*arguments, "--output", str(output), "--timeout", "0.01", "--seed", "1"])
    series.run(failed)
    assert "stopped after" in records.read(output)[-1]["error"]


# ---- anomalies


def labelled() -> tuple[np.ndarray, np.ndarray]:
    n = np.arange(400)
    labels = (n % 130 > 115).astype(int)
    return labels, np.sin(0.7 * n) + 1.5 * labels * np.cos(n / 3.0) ** 2


def test_vus_pr_is_that_of_tsb_ad():
    labels, scores = labelled()
    found = [vus.vus_pr(labels, scores, width) for width in (0, 11, 40)]
    found.append(vus.vus_pr(labels, np.round(scores), 20))
    assert found == pytest.approx(THEIRS, rel=1e-9)
    assert vus.vus_pr(labels, labels.astype(float), 0) == pytest.approx(1, abs=0.01)


def test_the_length_of_a_window_is_that_of_tsb_ad():
    steps = np.arange(2000)
    waves = np.sin(steps * 2 * np.pi / 24) + np.sin(steps * 2 * np.pi / 60)
    assert [vus.window_length(waves, rank) for rank in (1, 2)] == LENGTHS
    assert vus.window_length(steps.astype(float) ** 2) == 125
    assert vus.window_length(np.ones(500)) == 125


def test_one_planted_value_is_the_only_one_that_changes():
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"v": random.normal(size=400)})
    labels = np.arange(400) < 200
    changed, place = series_detect.plant(frame, labels, 8.0, seed=1)
    moved = (changed - frame)["v"].to_numpy()
    assert list(np.flatnonzero(moved)) == [place] and not labels[place]
    assert abs(moved[place]) == pytest.approx(8.0, rel=0.4)  # the noise is 1
    assert series_detect.plant(frame * 0, labels, 8.0, seed=1) is None


def test_ranks_count_ties_against_and_leave_labelled_stretches_out():
    scores = np.array([9.0, 1.0, 3.0, 3.0])
    labels = np.array([True, False, False, False])
    assert series_detect.judge_planted(labels, scores, 2) == {"rank": 2, "first": 0.0, "top5": 1.0}
    scores[2] = 4
    assert series_detect.judge_planted(labels, scores, 2)["first"] == 1.0


def test_labelled_series_are_scored_by_peers_and_recorded(folder, tmp_path):
    nab = folder / "timeseries" / "nab"
    nab.mkdir()
    stamps = pd.date_range("2014-01-01", periods=600, freq="5min")
    values = np.sin(np.arange(600) * 2 * np.pi / 48)
    values[300:330] += np.random.default_rng(0).normal(size=30) * 3
    frame = pd.DataFrame({"timestamp": stamps, "value": values})
    frame.to_csv(nab / "one.csv", index=False)
    stretch = [[str(stamps[300]), str(stamps[329])]]
    (nab / "windows.json").write_text(json.dumps({"one.csv": stretch}))
    read, labels = series_detect.load("one.csv")
    assert labels.sum() == 30 and labels[300] and len(read) == 600
    output = tmp_path / "d.jsonl"
    peers = ["moving variance", "Sub-PCA", "kNN", "IsolationForest", "rolling z"]
    for _ in range(2):
        series_detect.run(series_detect.parse(["--methods", *peers, "--output", str(output)]))
    lines = pd.DataFrame(records.read(output))
    found = lines[lines["experiment"] == "stretches"].set_index("method")
    assert set(found.index) == set(peers[:4]) and (found["vus_pr"] > 0.4).all()
    assert (lines["experiment"] == "planted").sum() == 2 * 5
    means = series_detect.summary(found.reset_index(), ("vus_pr",))
    assert means["vus_pr rank"].tolist() == [1, 2, 3, 4]
