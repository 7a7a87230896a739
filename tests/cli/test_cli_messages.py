"""What the command line says: errors on one line, help, notes, and streams that are closed."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from command_line import MedianOrMode, fill

from maetab import cli
from maetab.cli import estimators


def stopped(capsys, *words):
    """What a command that cannot be says before it stops."""
    with pytest.raises(SystemExit) as end:
        cli.main(list(words))
    assert end.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["detect", "in.csv", "-o", "out.csv", "--max-time", "0"], "--max-time: must be above 0"),
        (["impute", "in.csv", "-o", os.devnull], f"{os.devnull} exists; pass --force"),
        (["impute"], "required"),
        (["describe", "."], ". is a folder; describe takes one file, impute and encode both"),
        (["detect", ".", "-o", "out.csv", "--format", "csv"], ". is a folder; detect takes one"),
        (
            ["impute", "in.csv", "-o", "no.csv", "--save", "./no.csv"],
            "no.csv is the file of the model as well",
        ),
        (
            ["detect", "in.csv", "-o", "no.csv", "--model", "no.csv", "--force"],
            "no.csv is the file of the model as well",
        ),
        (["impute", "in.csv", "-o", "out.csv", "--presett", "fast"], "arguments: --presett fast"),
        (["evaluate", "in.csv", "--compare", "foo"], "--compare: must be among mean, median, knn"),
        (
            ["impute", "-", "-o", "-", "--model", "m", "--seed", "4"],
            "no --seed, --max-time, --checkpoint or",
        ),
        (
            ["encode", "-", "-o", "-", "--model", "m", "--max-time", "4"],
            "no --seed, --max-time, --checkpoint or",
        ),
        (["detect", "-", "-o", "-", "--model", "m", "--preset", "fast"], "or --preset with it"),
    ],
)
def test_wrong_commands_are_told_in_one_line(capsys, words, said):
    line = stopped(capsys, *words)
    assert line.count("\n") == 1 and said in line
    assert line.startswith(f"maetab {words[0]}: ")
    assert line.endswith(f"(see maetab {words[0]} --help)\n")


@pytest.mark.parametrize("option", ["--output", "--model", "--save", "--checkpoint"])
def test_an_empty_name_of_a_file_is_told_before_anything_is_done(capsys, option):
    said = stopped(capsys, "impute", "in.csv", "--output", "out.csv", option, "")
    assert f"{option}: must be the name of a file or folder, got ''" in said
    assert "IN: must be the name of a file" in stopped(capsys, "describe", " ")


@pytest.mark.parametrize(
    "words",
    [
        ["impute", "-o", "out.csv", "--save", "./in.csv"],
        ["detect", "-o", "in.csv"],
        ["encode", "-o", "../{}/in.csv"],
        ["report", "-o", "in.csv"],
    ],
)
def test_the_input_is_never_lost_not_even_by_force(tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.csv").write_text("a,b\n1,2\n,3\n4,5\n")
    words = [word.format(tmp_path.name) for word in words]
    assert "is the input, which would be lost" in stopped(capsys, *words, "--force", "in.csv")
    assert (tmp_path / "in.csv").read_text() == "a,b\n1,2\n,3\n4,5\n"


def test_a_file_is_filled_in_its_place_by_force(tmp_path, stub):
    assert fill(tmp_path, "a\n1\n?\n3\n", "--force", out="in.csv") == "a\n1\n2\n3\n"


def test_cells_that_stay_are_counted_in_the_columns_to_be_filled(tmp_path, monkeypatch, capsys):
    imputer = MedianOrMode()
    imputer.edges = False
    monkeypatch.setattr(estimators, "new_estimator", lambda *_, **__: imputer)
    fill(tmp_path, "a,b\n1,\n,2\n3,4\n", "--columns", "a")
    said = capsys.readouterr().err
    assert "1 cell filled in " in said and "stay missing" not in said


def test_a_file_that_is_not_there_is_named_in_words(tmp_path, capsys):
    path = str(tmp_path / "nofile.csv")
    assert cli.main(["describe", path]) == 1
    assert capsys.readouterr().err == f"maetab describe: {path}: No such file or directory\n"


def test_help_of_detect_and_encode_says_what_they_do(capsys):
    texts = {}
    for verb in ("detect", "encode"):
        with pytest.raises(SystemExit):
            cli.main([verb, "--help"])
        texts[verb] = " ".join(capsys.readouterr().out.split())
    assert "at most half" not in texts["detect"]
    assert "trimmed ones too, to call anomalies" in texts["detect"]
    assert "auto is 0.05" in texts["detect"]
    assert "beside the encoded input (see --no-add-raw)" in texts["encode"]


def test_cells_unlike_those_of_the_fit_are_counted(tmp_path, monkeypatch, capsys):
    days = pd.date_range("2024-01-01", periods=11)
    fitted = pd.DataFrame({"x": np.arange(11.0), "c": list("abbbbbbbbbb"), "d": days})
    monkeypatch.setattr(estimators, "load_estimator", lambda *_: MedianOrMode().fit(fitted))
    near = "x,c,d\n20,a,2024-01-05\n-10,b,2023-12-25\n,a,2024-01-05\n"
    fill(tmp_path, near, "--model", "m")
    assert "unlike" not in capsys.readouterr().err
    far = near + "21,z,2024-05-05\n-1000,y,\n,z,\n"
    fill(tmp_path, far, "--model", "m", "--force")
    said = [line for line in capsys.readouterr().err.splitlines() if "unlike" in line]
    assert said == [
        "cells unlike those of the fit: levels not seen in 'c' (3); "
        "numbers far outside the range of 'x' (2), 'd' (1)"
    ]


@pytest.mark.parametrize("stderr", ["broken", "closed"])
def test_the_work_is_done_though_nobody_reads_the_messages(tmp_path, stderr):
    (tmp_path / "in.csv").write_text("a;b\n1;x\n2;y\n")
    command = [sys.executable, "-m", "maetab", "impute", "in.csv", "-o", "out.csv"]
    reader, writer = os.pipe()
    os.close(reader)
    if stderr == "closed":
        command = ["sh", "-c", 'exec "$@" 2>&-', "sh", *command]
    done = subprocess.run(command, cwd=tmp_path, stderr=writer, stdout=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stdout) == (0, b"")
    assert (tmp_path / "out.csv").read_text() == "a;b\n1;x\n2;y\n"


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path):
    (tmp_path / "in.csv").write_text("a;b\n" + "1;x\n" * 9)
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "maetab", "describe", str(tmp_path / "in.csv")]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert done.returncode == 0 and done.stderr == "found: cells are separated by ';'\n"


def test_missing_cells_of_columns_that_a_saved_model_does_not_see_are_told(
    tmp_path, monkeypatch, capsys
):
    fitted = pd.DataFrame({"x": [1, 2, 3], "y": [2, 4, 5]})
    monkeypatch.setattr(estimators, "load_estimator", lambda *_: MedianOrMode().fit(fitted))
    assert fill(tmp_path, "x,k,z,y\n1,2,,\n2,,a,4\n", "--model", "m").splitlines()[2] == "2,,a,4"
    said = capsys.readouterr().err
    assert "columns 'k', 'z': the model does not see them; missing cells stay\n" in said
    fill(tmp_path, "x,k,y\n1,2,\n2,3,4\n", "--model", "m", "--force")
    assert "does not see" not in capsys.readouterr().err


@pytest.mark.parametrize(("time", "shop"), [("", "a"), ("2024-01-18", "")])
def test_a_row_without_a_stamp_or_series_is_counted_as_the_other_rows_of_a_file(
    tmp_path, capsys, time, shop
):
    lines = ["when,shop,sold", *(f"2024-01-{day:02d},a,{day}" for day in range(1, 29))]
    lines[18] = f"{time},{shop},18"
    source = tmp_path / "in.csv"
    source.write_text("\n".join(lines) + "\n")
    series = ["--time", "when", "--groups", "shop", "--window", "7", "--preset", "fast"]
    assert cli.main(["impute", str(source), "-o", str(tmp_path / "out.csv"), *series]) == 1
    assert "is missing in row 18;" in capsys.readouterr().err


def test_an_encoding_that_reads_what_windows_writes_is_proposed(tmp_path, capsys):
    """Read as latin-1 its sign of the euro is a control character, and prices are text."""
    source = tmp_path / "in.csv"
    source.write_bytes("price;n\n3 €;1\n4 €;\n".encode("cp1252"))
    assert cli.main(["describe", str(source)]) == 1
    assert "--encoding, for example cp1252" in capsys.readouterr().err
    source.write_bytes(b"a,b\n1,\x81\n2,x\n")  # which cp1252 does not know
    assert cli.main(["impute", str(source), "-o", "-", "--encoding", "cp1252"]) == 1
    assert "--encoding, for example latin-1" in capsys.readouterr().err
