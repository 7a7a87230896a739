"""Toy-sized runs of the benchmark scripts; they need no data folder and no optional peer."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import coding, datasets, impute, peers, records, report
from maetab.evaluation import amputate

TOY = ["--data-sets", "sklearn-iris", "--mechanisms", "mcar", "--setting", "both"]


@pytest.fixture(autouse=True)
def no_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAETAB_DATA", raising=False)


@pytest.fixture
def mixed() -> pd.DataFrame:
    """A small table of numbers, categories and booleans that hang together."""
    rng = np.random.default_rng(0)
    size = rng.normal(10.0, 3.0, 80)
    frame = pd.DataFrame({"size": size, "weight": 2 * size + rng.normal(0, 0.5, 80)})
    frame["kind"] = pd.Categorical(np.where(size > 10, "large", "small"), ["small", "large", "odd"])
    frame["heavy"] = pd.array(frame["weight"] > 20, dtype="boolean")
    return frame


def run(output: Path, *arguments: str) -> list[dict]:
    impute.run(impute.parse([*TOY, "--output", str(output), *arguments]))
    return records.read(output)


def test_scores_of_maetab_hold_no_rounding_either():
    assert peers.make("maetab").keep_grid is False and peers.make("prior").keep_grid is False
    assert peers.make("maetab", options={"keep_grid": True}).keep_grid is True


def line(method: str, rmse: float, **changes: object) -> dict:
    base = {
        "data_set": "a",
        "rows": 100,
        "mechanism": "mcar",
        "frac": 0.3,
        "seed": 0,
        "cells": "c0",
        "setting": "in-sample",
        "method": method,
        "version": "1",
        "threads": 1,
        "hidden_share": 0.3,
        "rmse": rmse,
        "seconds": 2.0 * rmse,
        "peak_mib": 100.0,
        "machine": "m",
        "cpus": 2,
        "python": "3",
        "date": "2026-01-01T00:00:00",
    }
    return base | changes


def written(path: Path, lines: list[dict]) -> Path:
    path.write_text("".join(json.dumps(entry) + "\n" for entry in lines))
    return path


@pytest.mark.slow
def test_results_are_appended_reported_and_not_made_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "impute.jsonl"
    first = run(output, "--methods", "mean", "knn")
    assert [(r["setting"], r["method"]) for r in first] == [
        ("in-sample", "mean"),
        ("in-sample", "knn"),
        ("out-of-sample", "mean"),
        ("out-of-sample", "knn"),
    ]
    assert all(r["rmse"] > 0 and r["seconds"] > 0 and r["peak_mib"] > 10 for r in first)
    assert len({r["cells"] for r in first}) == 1
    assert first[1]["rmse"] < first[0]["rmse"]
    assert run(output, "--methods", "mean", "knn") == first
    report.main(["--results", str(output), "--output", str(tmp_path / "impute.md")])
    text = (tmp_path / "impute.md").read_text()
    assert f"{first[1]['rmse']:.4f}" in text and "No run failed." in text
    assert "impute.md" in capsys.readouterr().out


@pytest.mark.slow
def test_maetab_runs_in_a_process_of_its_own_under_its_tag(tmp_path: Path) -> None:
    small = json.dumps({"max_iter": 1, "n_estimators": 1})
    arguments = ["--setting", "in-sample", "--methods", "maetab", "prior"]
    found = run(tmp_path / "r.jsonl", *arguments, "--tag", "toy", "--options", small)
    assert [r.get("error") for r in found] == [None, None]
    assert all(r["version"].endswith("+toy") and r["rmse"] < 0.9 for r in found)
    assert found[0]["options"] == {"max_iter": 1, "n_estimators": 1}


def test_a_failed_run_is_recorded_and_made_again_only_on_request(tmp_path: Path) -> None:
    output = tmp_path / "r.jsonl"
    arguments = ["--setting", "in-sample", "--methods", "mean"]
    failed = run(output, *arguments, "--timeout", "0.01")
    assert "stopped after" in failed[0]["error"]
    assert run(output, *arguments) == failed
    text = report.report(*report.read(output))
    assert "1 of 1 runs failed" in text and "stopped after" in text
    again = run(output, *arguments, "--retry-errors")
    assert len(again) == 2 and again[1]["rmse"] > 0
    assert "No run failed." in report.report(*report.read(output))


def test_an_absent_package_is_named_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(impute, "version_of", lambda method: "absent")
    with pytest.raises(SystemExit):
        impute.parse(["--methods", "miceforest"])
    assert "miceforest: not installed" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("method", ["mean", "knn", "bayesridge", "extratrees", "miceforest"])
def test_a_peer_fills_every_empty_cell_and_no_other(method: str, mixed: pd.DataFrame) -> None:
    if method == "miceforest":
        pytest.importorskip("miceforest")
    missing, hidden = amputate(mixed, "mcar", 0.3, random_state=0)
    peer = peers.make(method)
    for filled in (peer.fit_transform(missing), peer.fit(missing).transform(missing)):
        assert filled.notna().all(axis=None)
        assert list(filled.dtypes) == list(missing.dtypes)
        pd.testing.assert_frame_equal(filled.mask(hidden), missing)


@pytest.mark.parametrize("one_hot", [False, True])
def test_a_coder_gives_back_what_it_was_given(one_hot: bool, mixed: pd.DataFrame) -> None:
    coder = coding.Coder(one_hot).fit(mixed)
    matrix = coder.encode(mixed)
    assert matrix[:, 0].mean() == pytest.approx(0) and matrix[:, 0].std() == pytest.approx(1)
    emptied = mixed.mask(np.ones(mixed.shape, dtype=bool))
    decoded = coder.decode(matrix, emptied.astype(mixed.dtypes))
    pd.testing.assert_frame_equal(decoded, mixed)


def test_scores_are_those_worked_out_by_hand() -> None:
    truth = pd.DataFrame({"x": [0.0, 2.0, 4.0, 10.0], "k": pd.Categorical(list("aabb"))})
    hidden = np.array([[False, True], [False, False], [False, True], [True, False]])
    missing = truth.mask(hidden)
    filled = truth.copy()
    filled.loc[3, "x"] = 7.0
    filled.loc[2, "k"] = "a"
    task = impute.split(truth, missing, hidden, "in-sample", 0)
    found = impute.score(task, filled)
    scale = np.std([0.0, 2.0, 4.0])
    assert found["rmse"] == pytest.approx(3 / scale)
    assert found["mae"] == found["wasserstein"] == pytest.approx(3 / scale)
    assert found["accuracy"] == 0.5 and found["f1_macro"] == pytest.approx((2 / 3 + 0) / 2)
    assert found["n_hidden"] == 3 and found["n_hidden_numbers"] == 1
    with pytest.raises(ValueError, match="1 hidden cells of 'x' were left empty"):
        impute.score(task, filled.assign(x=missing["x"]))


def test_units_come_from_the_training_rows_alone(mixed: pd.DataFrame) -> None:
    missing, hidden = amputate(mixed[["size"]], "mcar", 0.3, random_state=0)
    task = impute.split(mixed[["size"]], missing, hidden, "out-of-sample", 0)
    assert len(task.train) == 56 and not set(task.train) & set(task.test)
    filled = task.truth.iloc[task.test].reset_index(drop=True) + 1.0
    observed = missing["size"].iloc[task.train].dropna()
    assert impute.score(task, filled)["rmse"] == pytest.approx(1 / observed.std(ddof=0))


def test_a_seed_names_the_same_hidden_cells_each_time(mixed: pd.DataFrame) -> None:
    names = [impute.digest(*amputate(mixed, "mar", random_state=s)) for s in (0, 0, 1)]
    assert names[0] == names[1] != names[2]


def test_without_a_data_folder_the_variable_is_named() -> None:
    with pytest.raises(RuntimeError, match=r"MAETAB_DATA is not set.*sklearn-iris"):
        datasets.load("yacht")
    assert datasets.list_tables() == sorted(datasets.BUNDLED)


def test_tables_and_anomaly_sets_are_read_from_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mixed: pd.DataFrame
) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "tabular").mkdir()
    (tmp_path / "anomaly").mkdir()
    mixed.to_parquet(tmp_path / "tabular" / "toy.parquet")
    about = {"toy": {"file": "toy.parquet", "target": "heavy", "task": "binary"}}
    (tmp_path / "tabular" / "index.json").write_text(json.dumps(about))
    np.savez(tmp_path / "anomaly" / "3_few.npz", X=np.eye(3, dtype=np.float32), y=[[0], [1], [0]])
    monkeypatch.setenv("MAETAB_DATA", str(tmp_path))
    features, target, task = datasets.load("toy")
    pd.testing.assert_frame_equal(features, mixed.drop(columns="heavy"))
    assert target.name == "heavy" and task == "binary"
    assert datasets.list_anomaly_sets() == ["3_few"]
    X, y = datasets.load_anomaly("few")
    assert X.dtype == np.float64 and y.tolist() == [0, 1, 0]
    with pytest.raises(ValueError, match="no table 'yacht'"):
        datasets.load("yacht")
    with pytest.raises(ValueError, match="no anomaly set 'many'"):
        datasets.load_anomaly("many")


def test_ratios_are_paired_by_seed_and_averaged_geometrically(tmp_path: Path) -> None:
    lines = [line("maetab", 0.5), line("prior", 1.0), line("maetab", 0.9, seed=1)]
    lines += [line(m, v, data_set="b") for m, v in (("maetab", 0.6), ("prior", 0.3))]
    runs, older = report.read(written(tmp_path / "r.jsonl", lines))
    assert older == 0
    found = report.ratios(runs, "maetab", "prior", "rmse")
    assert found.to_dict() == {"a (100)": 0.5, "b (100)": 2.0}
    assert report.geometric_mean(found) == pytest.approx(1.0)
    shown = report.ratio_table(runs, "rmse")
    assert "| prior | 1.000 (better on 1 of 2) | 2.000 (b (100), mcar) |" in shown


def test_the_report_leaves_out_older_results_and_says_so(tmp_path: Path) -> None:
    lines = [line("maetab", 0.8), line("mean", 1.0), line("maetab", 0.7, version="2")]
    lines.append(line("maetab", 0.1, version="2", seed=1) | {"error": "no memory", "rmse": None})
    runs, older = report.read(written(tmp_path / "r.jsonl", lines))
    assert older == 1
    text = report.report(runs, older)
    assert "| a (100) | **0.7000** (1 of 2 failed) | 1.0000 |" in text
    assert "1 lines of older versions" in text and "seed 1, in-sample: no memory" in text


def test_results_on_other_hidden_cells_are_not_compared(tmp_path: Path) -> None:
    lines = [line("mean", 1.0), line("maetab", 0.7, cells="c1")]
    runs, older = report.read(written(tmp_path / "r.jsonl", lines))
    assert older == 1 and set(runs["method"]) == {"maetab"}
