"""Folders on the command line: read part by part, and written to folders."""

from __future__ import annotations

import argparse

import pandas as pd
import pyarrow.dataset as ds
import pytest
from table_in_files import N, mixed, written

from maetab.cli import main as run
from maetab.cli.folders import opened


@pytest.mark.slow
def test_the_command_line_fills_and_encodes_folders(tmp_path, capsys):
    data, out = written(tmp_path / "in", [100]), tmp_path / "out"
    words = [str(tmp_path / "in"), "--preset", "fast", "-o"]
    assert run(["impute", *words, str(out), "--save", str(tmp_path / "m")]) == 0
    assert "240 rows in 2 files written to" in capsys.readouterr().err
    filled = ds.dataset(out).to_table()
    assert filled.num_rows == N and filled.schema.names == data.schema.names
    saved = ["--model", str(tmp_path / "m")]
    assert run(["impute", str(tmp_path / "in"), *saved, "-o", str(out)]) == 0
    assert run(["encode", *words, str(tmp_path / "features")]) == 0
    assert ds.dataset(tmp_path / "features").count_rows() == N
    (tmp_path / "csv").mkdir()
    mixed().to_csv(tmp_path / "csv" / "a.csv", index=False)
    csv = ["impute", str(tmp_path / "csv"), "--preset", "fast", "-o", str(tmp_path / "csv_out")]
    assert run(csv) == 0
    cells = ds.dataset(tmp_path / "csv_out").to_table()
    assert {*cells["kind"].to_pylist()} == {"big", "small"} and not cells["size"].null_count
    (tmp_path / "in" / "more.txt").write_text("x")
    assert run(["impute", *words, str(tmp_path / "new")]) == 1
    assert "must hold .parquet or .csv files alone" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_the_first_file_of_a_folder_does_not_decide_alone_what_columns_are(tmp_path, form):
    frames = pd.DataFrame({"x": [1, 2], "y": None}), pd.DataFrame({"x": [1.5, None], "y": "q"})
    for name, frame in zip("ab", frames, strict=True):
        folder = tmp_path / f"k={name}"
        folder.mkdir()
        getattr(frame, f"to_{form}")(folder / f"part.{form}", index=False)
    cells = opened(argparse.Namespace(input=str(tmp_path))).to_table()
    assert cells["x"].to_pylist() == [1, 2, 1.5, None]
    assert cells["y"].to_pylist() == [None, None, "q", "q"]
    assert cells["k"].to_pylist() == ["a", "a", "b", "b"]


def test_columns_of_other_kinds_in_other_files_are_named(tmp_path, capsys):
    for name, cell in (("a", "1"), ("b", "many")):
        (tmp_path / f"{name}.csv").write_text(f"x,y\n{cell},2\n")
    assert run(["impute", str(tmp_path), "-o", str(tmp_path.parent / "out")]) == 1
    assert "Field x has incompatible types: int64 vs string" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["-o", "-"],
        ["-o", "x", "--columns", "size"],
        ["-o", "x", "--time", "size"],
        ["-o", "x", "--window", "3", "--time", "day,hour"],
    ],
)
def test_options_that_folders_do_not_have_are_refused(tmp_path, words):
    written(tmp_path / "in", [100])
    with pytest.raises(SystemExit):
        run(["impute", str(tmp_path / "in"), *words])


def test_folders_that_cannot_be_written_to_are_refused_before_the_fit(tmp_path):
    folder = tmp_path / "in"
    written(folder, [100])
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x.txt").write_text("x")
    for out in (folder / "filled", folder, folder / "file0.parquet"):
        with pytest.raises(SystemExit):
            run(["impute", str(folder), "-o", str(out)])
    old, out = tmp_path / "full" / "x.txt", tmp_path / "out"
    for model in (old, out / "m", tmp_path / "none" / "m"):
        with pytest.raises(SystemExit):
            run(["impute", str(folder), "-o", str(out), "--save", str(model)])
    assert old.read_text() == "x" and not out.exists()
    for out in (tmp_path / "full", tmp_path / "full" / "x.txt"):
        assert run(["impute", str(folder), "-o", str(out)]) == 1
