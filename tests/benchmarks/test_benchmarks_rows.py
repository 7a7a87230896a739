"""The benchmarks of anomalies and features: tasks, judges and reports, at toy size."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import maetab
from benchmarks import (
    detect,
    detect_weights,
    encode,
    encode_halves,
    labels,
    predict,
    probe,
    records,
)
from benchmarks.detectors import TRIM
from maetab import MAEAnomalyDetector


@pytest.fixture
def rows() -> tuple[np.ndarray, np.ndarray]:
    """200 rows of 4 columns, the last 20 of them anomalies, two rows standing twice."""
    random = np.random.default_rng(0)
    X = random.normal(size=(200, 4))
    X[1] = X[0]
    X[180:] += 5
    return X, (np.arange(200) >= 180).astype(int)


@pytest.mark.parametrize("seed", range(4))
def test_one_class_learns_from_normal_rows_and_judges_no_copy_of_them(rows, seed):
    X, y = rows
    task = detect.one_class(X, y, seed)
    assert len(task.train) == 90
    learned = {row.tobytes() for row in task.train}
    assert not learned & {row.tobytes() for row in X[180:]}
    assert not learned & {row.tobytes() for row in task.test}
    assert task.y.sum() == 20
    copies = (task.test == X[0]).all(1).sum()
    assert copies == (0 if X[0].tobytes() in learned else 2)


def test_a_planted_cell_is_the_only_one_that_changes_and_comes_from_its_column(rows):
    X, y = rows
    task = detect.make_task(X, y, "planted", 0)
    clean = detect.one_class(X, y, 0)
    normal = clean.test[clean.y == 0]
    np.testing.assert_array_equal(task.test != normal, task.y)
    assert (task.y.sum(1) == 1).all()
    for i, j in zip(*np.nonzero(task.y), strict=True):
        assert task.test[i, j] in normal[:, j]


def test_a_fifth_of_the_test_cells_is_missing_and_none_of_the_training_cells(rows):
    task = detect.make_task(*rows, "missing", 0)
    assert not np.isnan(task.train).any()
    assert np.isnan(task.test).mean() == pytest.approx(0.2, abs=0.05)
    ready = detect.prepared(task)
    np.testing.assert_allclose(ready.train.mean(0), 0, atol=1e-12)
    assert not np.isnan(ready.test).any()


def test_judges_count_first_places_and_rank_rows(rows):
    X, y = rows
    task = detect.make_task(X, y, "planted", 0)
    assert detect.judge(task, task.y.astype(float))["first"] == 1
    assert detect.judge(task, -task.y.astype(float)) == {"first": 0.0, "top3": 0.0}
    whole = detect.make_task(X, y, "contaminated", 0)
    assert detect.judge(whole, y.astype(float))["auroc"] == 1
    assert detect.judge(whole, -y.astype(float))["auroc"] == 0


def test_a_row_does_not_find_itself_among_its_neighbours(rows):
    X, y = rows
    whole = detect.prepared(detect.make_task(X, y, "contaminated", 0))
    found = detect.METHODS["DTE-NP"](whole, 0)
    square = np.square(whole.train[:, None] - whole.train).sum(-1)
    np.fill_diagonal(square, np.inf)
    np.testing.assert_allclose(found, np.sort(square)[:, :5].mean(1))


def test_of_each_method_the_newest_version_counts_and_of_each_run_the_last_line(tmp_path):
    path = tmp_path / "r.jsonl"
    for method, version, run, value in (
        ("a", "1", 0, 1.0),
        ("a", "2", 0, 2.0),
        ("b", "1", 0, 3.0),
        ("a", "2", 0, 4.0),
        ("a", "2", 1, 5.0),
    ):
        line = {"method": method, "version": version, "run": run, "value": value}
        records.append(path, line, threads=1)
    kept = records.newest(pd.DataFrame(records.read(path)), ["method", "run"])
    assert sorted(kept["value"]) == [3.0, 4.0, 5.0]
    assert records.done(path, ["method", "run"]) == {("a", 0), ("a", 1), ("b", 0)}
    assert records.read(tmp_path / "none.jsonl") == []


def test_where_results_were_made_is_written_once_and_read_with_each(tmp_path):
    path = tmp_path / "r.jsonl"
    for run, threads in enumerate((1, 1, 2)):
        records.append(path, {"run": run, "third": run / 3}, threads)
    assert len(path.read_text().splitlines()) == 5
    found = records.read(path)
    assert [(line["run"], line["threads"]) for line in found] == [(0, 1), (1, 1), (2, 2)]
    assert found[1]["third"] == 0.333333
    assert all(line["numpy"] == np.__version__ for line in found)


def test_tables_of_figures_are_markdown():
    frame = pd.DataFrame({"x": [0.126, np.nan]}, index=["a", "b"])
    shown = records.figures(frame, 2, "method")
    assert shown == "| method | x |\n| --- | ---: |\n| a | 0.13 |\n| b | – |"


def test_scores_are_accuracy_or_r2_and_the_probe_finds_a_line():
    random = np.random.default_rng(0)
    x = random.normal(size=(120, 3))
    y = x @ [1.0, -2.0, 0.5]
    line = probe.linear_probe(x, y, "regression")
    assert probe.judge(line(x), y, "regression").score > 0.999
    assert probe.judge(np.full(120, 1e6), y, "regression").score == -1
    codes = (y > 0).astype(int)
    classes = probe.linear_probe(x, codes, "binary")
    found = probe.judge(classes(x), codes, "binary")
    assert found.score > 0.95 and found.auroc > 0.99


def test_a_benchmark_of_features_is_made_once_and_reported(tmp_path, monkeypatch):
    monkeypatch.delenv("MAETAB_DATA", raising=False)
    toy = ["--data-sets", "sklearn-iris", "--rows", "100", "--seeds", "1"]
    path = tmp_path / "encode.jsonl"
    for _ in range(2):
        encode.main([*toy, "--methods", "raw", "PCA", "--output", str(path)])
    lines = records.read(path)
    assert [(line["method"], line["missing"]) for line in lines] == [
        (method, missing) for method in ("raw", "PCA") for missing in (0.0, 0.2, 0.5)
    ]
    assert lines[0]["score"] > 0.8
    shown = (tmp_path / "encode.md").read_text()
    assert f"| raw | {lines[0]['score']:.4f} |" in shown


def test_trees_that_learned_from_holes_predict_the_target(tmp_path, monkeypatch):
    monkeypatch.delenv("MAETAB_DATA", raising=False)
    path = tmp_path / "predict.jsonl"
    toy = ["--data-sets", "sklearn-iris", "--rows", "150", "--seeds", "1"]
    predict.main([*toy, "--methods", "boosted trees, holes in training", "--output", str(path)])
    lines = records.read(path)
    assert [line["missing"] for line in lines] == list(predict.MISSING)
    assert lines[0]["score"] > 0.8


@pytest.mark.slow
def test_labels_that_come_later_are_measured_beside_a_linear_model(tmp_path, monkeypatch):
    monkeypatch.delenv("MAETAB_DATA", raising=False)
    path, methods = tmp_path / "labels.jsonl", ["maetab, from_fitted", "linear, piecewise"]
    toy = ["--data-sets", "sklearn-iris", "--rows", "100", "--seeds", "1"]
    labels.main([*toy, "--methods", *methods, "--output", str(path)])
    lines = records.read(path)
    assert [line["method"] for line in lines] == [name for name in methods for _ in range(3)]
    assert min(line["score"] for line in lines if line["missing"] == 0) > 0.8
    assert lines[0]["version"] == maetab.__version__ != lines[3]["version"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("experiment", "times", "own"),
    [("one-class", 1, set()), ("one-class", 3, {"local"}), ("contaminated", 1, {"robust"})],
)
def test_weighted_parts_are_the_score_of_the_detector(rows, experiment, times, own):
    X, y = (np.concatenate([part] * times) for part in rows)
    X = X + np.random.default_rng(1).normal(size=X.shape) * (times > 1)
    task = detect.make_task(X, y, experiment, 0)
    trim = TRIM if experiment == "contaminated" else 0.0
    given = detect_weights.ROWS.WEIGHTS | detect_weights.ALONE
    parts = detect_weights.parts_of(task, 0, detect_weights.ROWS.KEY_NEIGHBOURS)
    detector = MAEAnomalyDetector(random_state=0, trim=trim).fit(task.train)
    # Of trimmed rows, and of fewer than a hundred, how dense they lie is no part.
    assert set(parts) == {"cells", "nearest", "keys", "single", "rest"} | own
    assert bool(np.any(parts["single"])) == ("local" in own)
    strange = detect_weights.weighted(parts, tuple(given[name] for name in detect_weights.GRID))
    scores = detector.score_samples(task.test)
    np.testing.assert_allclose(-scores, strange, rtol=1e-9, atol=1e-9)


def test_weights_are_chosen_on_the_other_sets_alone():
    found = {"a": {"x": 1, "y": 2}, "b": {"x": 9, "y": 5}, "c": {"x": 3, "y": 6}}
    columns = pd.MultiIndex.from_product([["ap"], ["one-class"], ["x", "y"]])
    wide = pd.DataFrame([list(ways.values()) for ways in found.values()], list(found), columns)
    wide.columns.names = [None, "experiment", "way"]
    left_out, times = detect_weights.chosen_elsewhere(wide, ["x", "y"])
    # Without "a" x is better (12 to 11), without "b" y (8 to 4), without "c" x (10 to 7).
    assert left_out.tolist() == [(1 + 5 + 3) / 3]
    assert dict(times) == {"x": 2, "y": 1}


@pytest.mark.slow
def test_an_untrained_encoder_stands_beside_the_trained_one_on_the_same_split(monkeypatch):
    monkeypatch.delenv("MAETAB_DATA", raising=False)
    task = encode.make_task("sklearn-iris", 120, 0, encode_halves.MISSING)
    found = dict(encode_halves.encodings(task, 0, trials=True))
    assert {"raw", "maetab", "untrained", "without keys", "untrained: keys"} <= set(found)
    shapes = {name: [len(part) for part in parts] for name, parts in found.items()}
    assert set(map(tuple, shapes.values())) == {(72, 48, 48)}
    trained, untrained = (found[name][0][:, :60] for name in ("keys", "untrained: keys"))
    assert not np.allclose(trained, untrained, rtol=0.1)
    lines = list(encode_halves.probed(task, found["maetab"]))
    assert [(line["labels"], line["missing"]) for line in lines] == [(20, 0.0), (20, 0.2)]
    assert lines[0]["score"] > 0.7


def test_ties_count_half_for_either_method():
    scores = pd.DataFrame({"maetab": [1.0, 2.0, 3.0, 4.0], "other": [1.0, 1.0, 4.0, 4.0]})
    assert encode_halves.ahead(scores).tolist() == [0.5]
