"""How a file is read: what a saved model remembers of it, codes for missing, and what is said."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from maetab import cli, load

N = 24 * 14
HOURS = pd.date_range("2024-03-01", periods=2 * N, freq="h")
QUICK = ["--window", "24", "--time", "Date,Time", "--max-time", "1"]


def _file(hours, decimal=",", sep=";"):
    """A series of which a tenth is missing, written as -200."""
    day = np.sin(2 * np.pi * hours.hour.to_numpy() / 24)
    numbers = [f"{x:.1f}".replace(".", decimal) for x in 20 + 5 * day]
    gaps = [place % 70 in range(10, 17) for place in range(len(hours))]
    cells = ["-200" if gap else number for gap, number in zip(gaps, numbers)]
    lines = [sep.join(parts) for parts in zip(hours.strftime("%d/%m/%Y"), _clock(hours), cells)]
    return "\n".join([sep.join(["Date", "Time", "x"]), *lines]) + "\n"


def _clock(hours):
    return hours.strftime("%H.%M.%S")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "march.csv").write_text(_file(HOURS[:N]))
    (tmp_path / "april.csv").write_text(_file(HOURS[N:]))
    (tmp_path / "week.csv").write_text(_file(pd.date_range("2024-05-01", periods=168, freq="h")))
    return tmp_path


def run(*words):
    assert cli.main([*words]) == 0


def refused(capsys, *words):
    assert cli.main([*words]) == 1
    return capsys.readouterr().err.splitlines()[-1]


def test_a_saved_model_reads_codes_for_missing_as_its_fit_did(folder, capsys):
    run("impute", "march.csv", *QUICK, "--na-values=-200", "-o", "a.csv", "--save", "m")
    capsys.readouterr()
    run("impute", "april.csv", "--model", "m", "-o", "b.csv")
    said = capsys.readouterr().err
    assert "read as in the fit of m: --na-values=-200" in said
    assert "-200" not in (folder / "b.csv").read_text()
    run("impute", "april.csv", "--model", "m", "--na-values=-200", "-o", "c.csv")
    assert (folder / "b.csv").read_bytes() == (folder / "c.csv").read_bytes()
    run("info", "m")
    assert "read with: --na-values=-200" in capsys.readouterr().out


@pytest.mark.slow
def test_every_verb_remembers_and_the_command_goes_before_the_model(folder, capsys):
    run("detect", "march.csv", *QUICK, "--na-values=-200", "-o", "a.csv", "--save", "m")
    assert load("m").reading_["na_values"] == ["-200"]
    run("impute", "april.csv", "--model", "m", "-o", "b.csv")
    assert "-200" not in (folder / "b.csv").read_text()
    run("encode", "april.csv", "--model", "m", "-o", "c.csv", "--components", "2")
    run("impute", "april.csv", "--model", "m", "--na-values=NA", "-o", "d.csv")
    assert (folder / "d.csv").read_bytes() == (folder / "april.csv").read_bytes()


def test_dates_that_can_be_read_in_two_ways_are_read_as_in_the_fit(folder, capsys):
    run("impute", "march.csv", *QUICK, "--na-values=-200", "-o", "a.csv", "--save", "m")
    again = [*QUICK, "--na-values=-200", "-o", "b.csv"]
    assert "can be read as" in refused(capsys, "impute", "week.csv", *again)
    run("impute", "week.csv", "--model", "m", "-o", "b.csv")
    assert "-200" not in (folder / "b.csv").read_text()
    frame = pd.read_csv(folder / "april.csv", sep=";", decimal=",")
    frame["Date"] = pd.to_datetime(frame["Date"], format="%d/%m/%Y").dt.strftime("%Y-%m-%d")
    frame.to_csv("iso.csv", index=False, sep=";", decimal=",")
    run("impute", "iso.csv", "--model", "m", "-o", "c.csv")  # other formats do as well


def test_parquet_has_no_codes_and_that_is_said(folder, capsys):
    run("impute", "march.csv", *QUICK, "--na-values=-200", "-o", "a.csv", "--save", "m")
    frame = pd.read_csv("april.csv", sep=";", decimal=",")
    stamps = pd.to_datetime(frame["Date"] + frame["Time"], format="%d/%m/%Y%H.%M.%S")
    frame = pd.DataFrame({"Date Time": stamps, "x": frame["x"].replace(-200, np.nan)})
    frame.to_parquet("april.parquet")
    capsys.readouterr()
    run("impute", "april.parquet", "--model", "m", "-o", "b.parquet")
    assert pd.read_parquet("b.parquet")["x"].notna().all()
    assert "--na-values=-200 is for text files; april.parquet is read as it is" in (
        capsys.readouterr().err
    )


def test_a_file_whose_only_gaps_are_codes_is_not_passed_through_as_complete(folder, capsys):
    message = refused(capsys, "impute", "march.csv", *QUICK, "-o", "a.csv", "--save", "m")
    assert "no cell is missing, but -200 may mean missing" in message
    assert "pass --na-values=-200 if so, --na-values=NA if not" in message
    assert not (folder / "a.csv").exists() and not (folder / "m").exists()
    run("impute", "march.csv", *QUICK, "--na-values=NA", "-o", "a.csv")
    assert (folder / "a.csv").read_bytes() == (folder / "march.csv").read_bytes()


def test_describe_gives_the_command_that_reads_codes(folder, capsys):
    run("describe", "march.csv")
    line = capsys.readouterr().out.splitlines()[-1]
    start = "as a series, if -200 means missing: maetab "
    assert line.startswith(start + "impute march.csv --na-values=-200 --time=Date,Time")
    run(*line.removeprefix(start).split(), "--max-time", "1")
    assert "-200" not in (folder / "filled.csv").read_text()


def test_marks_that_the_command_names_are_not_doubted(folder, capsys):
    run("describe", "march.csv", "--na-values=-200")
    said = capsys.readouterr().err
    assert "read as missing: '-200' 35 times in 'x'" in said and "--only-na-values" not in said
    text = (folder / "march.csv").read_text().replace(";-200\n", ";-\n")
    (folder / "march.csv").write_text(text)
    run("describe", "march.csv")
    said = capsys.readouterr().err
    assert "read as missing: '-' 35 times in 'x' (if one of these is a value, name those " in said
    assert "that do mean missing in --only-na-values)" in said


def test_what_stays_missing_is_told_with_its_reason(folder, capsys):
    options = [*QUICK, "--na-values=-200", "--max-gap", "3h"]
    run("impute", "march.csv", *options, "-o", "a.csv", "--save", "m")
    assert "35 cells stay missing, in gaps longer than 3h" in capsys.readouterr().err
    run("impute", "march.csv", "--model", "m", "--no-edges", "-o", "b.csv")
    assert "in gaps longer than 3h or at an end of a series" in capsys.readouterr().err


def test_a_column_that_the_next_file_lacks_all_cells_of_is_filled_as_it_was_written(folder):
    lines = [f"{x};{3.27 * x:.2f};{x}".replace(".", ",") for x in np.arange(N) % 7]
    (folder / "all.csv").write_text("\n".join(["whole;real;x", *lines, ";;1"]) + "\n")
    run("impute", "all.csv", "--max-time", "1", "-o", "a.csv", "--save", "m")
    (folder / "next.csv").write_text("whole;real;x\n;;1\n;;2\n")
    run("impute", "next.csv", "--model", "m", "-o", "b.csv")
    rows = [line.split(";") for line in (folder / "b.csv").read_text().splitlines()[1:]]
    assert all(whole.isdigit() and "," in real and "." not in real for whole, real, _ in rows)


def test_columns_left_for_one_reason_are_named_on_one_line(folder, capsys):
    rows = (folder / "march.csv").read_text().splitlines()
    (folder / "march.csv").write_text("\n".join(f"{row};;" for row in rows) + "\n")
    run("impute", "march.csv", *QUICK, "--na-values=-200", "-o", "a.csv")
    said = capsys.readouterr().err
    assert "columns 'Unnamed: 3', 'Unnamed: 4': no observed cell; left as they are\n" in said
