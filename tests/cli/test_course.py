"""What `maetab describe` says of time: the command to run, and stamps that repeat."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from maetab import cli

N = 24 * 20
HOURS = pd.date_range("2023-10-20", periods=N, freq="h")


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def hourly():
    """Return two columns with a daily period, and a column of stamps."""
    day = np.sin(2 * np.pi * HOURS.hour.to_numpy() / 24)
    noise = np.random.default_rng(0).normal(size=(2, N))
    a, b = day + 0.1 * noise
    return pd.DataFrame({"when": HOURS, "a": a.round(3) + 5, "b": b.round(3) + 9})


def described(frame, capsys, *options):
    frame.to_csv("in.csv", index=False)
    assert cli.main(["describe", "in.csv", *options]) == 0
    return capsys.readouterr().out


def command_of(said):
    (line,) = [x for x in said.splitlines() if x.startswith("as a series: maetab ")]
    return line.removeprefix("as a series: maetab ").split()


@pytest.mark.slow
@pytest.mark.parametrize("empty", [slice(100, 250), slice(N - 150, N)])
def test_the_command_leaves_gaps_that_are_longer_than_a_window(empty, capsys):
    frame = hourly()
    frame.loc[frame.index[empty], "a"] = np.nan
    frame.loc[20:25, "b"] = np.nan
    said = described(frame, capsys)
    words = command_of(said)
    assert "--window=48h" in words and "--max-gap=48h" in words
    why = said.splitlines()[-1]
    assert why.startswith("--max-gap leaves gaps of 'a' missing that are longer than a window")
    assert cli.main([*words, "--max-time", "1"]) == 0
    filled = pd.read_csv("filled.csv")
    assert filled["a"].isna().tolist() == frame["a"].isna().tolist() and filled["b"].notna().all()


def test_the_command_fills_all_where_no_gap_is_longer_than_a_window(capsys):
    frame = hourly().assign(empty=np.nan)
    frame.loc[100:130, "a"] = frame.loc[N - 40 :, "b"] = np.nan
    said = described(frame, capsys)
    assert "--window=48h" in command_of(said) and "--max-gap" not in said


def test_a_value_that_a_series_always_has_is_in_no_gap(capsys):
    parts = [hourly().assign(site=site, height=height) for site, height in (("n", 3), ("s", 5))]
    frame = pd.concat(parts, ignore_index=True)
    frame.loc[frame.index % N > 10, "height"] = np.nan
    said = described(frame, capsys)
    assert "--groups=site" in command_of(said) and "--max-gap" not in said


def panel():
    """Return a year of days of three shops."""
    days = pd.date_range("2024-01-01", periods=60)
    rng = np.random.default_rng(0)
    parts = [
        pd.DataFrame({"shop": f"shop0{i}", "day": days, "sold": rng.integers(0, 40, 60)})
        for i in range(1, 4)
    ]
    return pd.concat(parts, ignore_index=True)


def line_of_time(said):
    return next((line for line in said.splitlines() if line.startswith("time: ")), "")


def test_of_a_panel_in_which_days_are_doubled_these_are_told(capsys):
    frame = panel()
    doubled = pd.concat([frame, frame.iloc[[47 + 120, 50]]])
    said = described(doubled, capsys)
    assert line_of_time(said) == (
        "time: 2 stamps repeat in 'day' by 'shop', such as 2024-02-17 of 'shop03'; "
        "drop one row of each or correct it"
    )
    assert "as a series" not in said
    said = described(doubled.iloc[:-1], capsys, "--groups", "shop")
    assert line_of_time(said).startswith("time: 1 stamp repeats in 'day' by 'shop', such as 2024")
    assert "series: 3 by 'shop'" in described(frame, capsys)


def test_doubled_days_are_told_by_the_column_that_leaves_fewest_of_them(capsys):
    """A small shop shares its floor with another, so that few days repeat by floor, too."""
    floors = {"shop01": 0, "shop02": 1, "shop03": 1}
    frame = panel().assign(floor=lambda x: x["shop"].map(floors))
    frame = frame[(frame["shop"] != "shop03") | (frame["day"] < "2024-01-06")]
    frame = pd.concat([frame, frame.iloc[[50]]])[["floor", "shop", "day", "sold"]]
    assert "1 stamp repeats in 'day' by 'shop'" in line_of_time(described(frame, capsys))
    frame["shop"] = frame["shop"].str[-1].astype(int)
    assert "such as 2024-02-20 of 1; drop" in line_of_time(described(frame, capsys))


def test_of_local_times_that_repeat_the_clock_is_told(capsys):
    frame = hourly()
    berlin = HOURS.tz_localize("UTC").tz_convert("Europe/Berlin")
    frame["when"] = berlin.tz_localize(None)
    frame["n"] = np.arange(N) % 24  # differs where hours repeat, and tells no series apart
    said = line_of_time(described(frame, capsys))
    assert said == (
        "time: 1 stamp repeats in 'when', such as 2023-10-29 02:00:00; drop one row of each or "
        "correct it, or name in --groups what tells series apart; local times repeat where clocks "
        "are set back: write them in UTC, or with an offset such as +02:00"
    )
    frame["when"] = berlin
    assert "a step of 1h" in line_of_time(described(frame, capsys))
    doubled = pd.concat([frame, frame.iloc[[24]]])  # at midnight
    said = line_of_time(described(doubled, capsys))
    assert "1 stamp repeats" in said and "clocks" not in said
    doubled.assign(when=doubled["when"].dt.tz_localize(None)).to_parquet("in.parquet")
    assert cli.main(["describe", "in.parquet"]) == 0
    assert "clocks" in line_of_time(capsys.readouterr().out)


def test_of_dates_that_repeat_often_nothing_is_told(capsys):
    rng = np.random.default_rng(0)
    born = pd.Timestamp("1990-01-01") + pd.to_timedelta(rng.integers(0, 300, 180), unit="D")
    cities = rng.choice([f"city{i}" for i in range(90)], 180)
    people = pd.DataFrame({"born": born, "city": cities, "size": rng.normal(size=180)})
    twin = people.iloc[[3]].assign(size=0.0)
    assert line_of_time(described(pd.concat([people, twin]), capsys)) == ""


def test_numbers_of_which_some_are_missing_may_be_the_wrong_column_of_time(capsys):
    frame = hourly()
    frame.loc[7:8, "a"] = np.nan
    frame.to_csv("in.csv", index=False)
    assert cli.main(["describe", "in.csv", "--time", "a"]) == 1
    said = capsys.readouterr().err
    assert "2 rows without a stamp in 'a'; it holds numbers (float64): is it the column" in said
