"""The command line on series: columns of time and groups, windows, gaps, and what is told."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from maetab import MAEImputer, cli, load
from maetab.cli.series import Keys, frame_of
from maetab.files.layout import Layout
from maetab.files.text_table import TextTable

N = 24 * 12
HOURS = pd.date_range("2004-03-10 18:00", periods=N, freq="h")
QUICK = ["--max-time", "1"]


def _air():
    """As published: decimal comma, codes for missing, date and time apart, empty ends."""
    rng = np.random.default_rng(0)
    day = np.sin(2 * np.pi * HOURS.hour.to_numpy() / 24)
    co = (3 + day + 0.1 * rng.normal(size=N)).round(1)
    no = (200 + 60 * day + rng.normal(size=N)).round()
    co[40:46] = co[100:140] = no[41:60] = -200
    no[:3] = no[-5:] = -200
    lines = ["Date;Time;CO;NO;;"]
    for stamp, one, other in zip(HOURS, co, no):
        number = f"{one:.1f}".replace(".", ",").replace("-200,0", "-200")
        lines.append(f"{stamp:%d/%m/%Y;%H.%M.%S};{number};{other:.0f};;")
    return "\r\n".join([*lines, *[";;;;;"] * 4]) + "\r\n"


AIR = _air()


@pytest.fixture
def air(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "air.csv").write_bytes(AIR.encode())
    return tmp_path


def run(*words):
    assert cli.main([*words]) == 0


def cells_of(text):
    return [line.split(";") for line in text.split("\r\n")]


def refused(capsys, code, *words):
    if code == 2:
        with pytest.raises(SystemExit) as end:
            cli.main([*words])
        assert end.value.code == 2
    else:
        assert cli.main([*words]) == 1
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.slow
def test_the_air_as_published_is_filled_and_nothing_else_changes(air, capsys):
    options = ["--time", "Date,Time", "--na-values=-200", "--window", "24h", "--max-gap", "12h"]
    run("impute", "air.csv", *options, "-o", "filled.csv", "--save", "m.safetensors", *QUICK)
    after = cells_of((air / "filled.csv").read_bytes().decode())
    before = cells_of(AIR)
    assert len(after) == len(before)
    changed = {
        (row, column)
        for row, (old, new) in enumerate(zip(before, after))
        for column, pair in enumerate(zip(old, new))
        if pair[0] != pair[1]
    }
    short = {(1 + row, 2) for row in range(40, 46)}
    ends = {(1 + row, 3) for row in (*range(3), *range(N - 5, N))}
    assert changed == short | ends  # gaps of 40 and of 19 hours stay as a whole
    assert all("," in after[row][2] for row, _ in short)
    assert "stay missing" in capsys.readouterr().err
    run("impute", "air.csv", *options, "--no-edges", "-o", "inner.csv", *QUICK)
    inner = cells_of((air / "inner.csv").read_bytes().decode())
    assert all(inner[row][3] == "-200" for row, _ in ends)
    model = load("m.safetensors")
    assert model.timeline_.time == "Date Time" and model.timeline_.n_steps == 24


def test_a_saved_model_finds_its_two_columns_of_time(air, capsys):
    options = ["--time", "Date,Time", "--na-values=-200", "--window", "24"]
    run("impute", "air.csv", *options, "-o", "a.csv", "--save", "m.safetensors", *QUICK)
    again = ["--na-values=-200", "--model", "m.safetensors"]
    run("impute", "air.csv", *again, "-o", "b.csv")
    assert (air / "a.csv").read_bytes() == (air / "b.csv").read_bytes()
    assert "-200" not in (air / "a.csv").read_text()
    run("impute", "air.csv", *again, "--max-gap", "3", "-o", "c.csv")
    assert "-200" in (air / "c.csv").read_text()
    capsys.readouterr()
    run("info", "m.safetensors")
    said = " ".join(capsys.readouterr().out.split())
    assert (
        "series: windows of 24 steps of 1h, period 24 steps, time 'Date Time', one series" in said
    )


def test_describe_tells_time_gaps_and_the_command(air, capsys):
    run("describe", "air.csv", "--na-values=-200")
    said = capsys.readouterr().out
    assert "time: 'Date' and 'Time', 2004-03-10 18:00:00 to 2004-03-22 17:00:00" in said
    assert "a step of 1h, no stamp without a row, a period of 24 steps (24h)" in said
    rows = {line.split()[0]: line.split()[1:] for line in said.splitlines() if line.strip()}
    shares = [f"{3 / N:.1%}", f"{5 / N:.1%}"]
    assert rows["NO"] == ["3", "19", *shares] and rows["CO"] == ["2", "40", "0.0%", "0.0%"]
    (command,) = [line for line in said.splitlines() if line.startswith("as a series: maetab ")]
    words = command.removeprefix("as a series: maetab ").split()
    assert "--time=Date,Time" in words and "--na-values=-200" in words
    run(*words, *QUICK)
    assert "-200" not in (air / "filled.csv").read_text()


def panel(tmp_path):
    parts = [
        pd.DataFrame({"site": site, "when": HOURS[start:], "x": np.arange(N - start) % 24 + level})
        for site, start, level in (("n", 0, 0.0), ("s", 48, 50.0), ("w", 100, 20.0))
    ]
    frame = pd.concat(parts, ignore_index=True).sample(frac=1, random_state=0)
    frame.loc[frame.index[::7], "x"] = np.nan
    frame["kind"] = frame["site"].map({"n": "old", "s": "new", "w": "old"})
    frame.to_csv(tmp_path / "panel.csv", index=False)
    return frame.reset_index(drop=True)


def test_groups_are_told_and_found(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame = panel(tmp_path)
    run("describe", "panel.csv")
    said = capsys.readouterr().out
    assert "series: 3 by 'site', of 188 to 288 rows" in said
    assert "--time=when --groups=site --window=48h" in said
    options = ["--time", "when", "--groups", "site", "--window", "24"]
    run("impute", "panel.csv", *options, "-o", "filled.csv", *QUICK)
    filled = pd.read_csv("filled.csv", parse_dates=["when"])
    assert filled["x"].notna().all()
    pd.testing.assert_frame_equal(
        filled[["site", "when", "kind"]], frame[["site", "when", "kind"]], check_dtype=False
    )
    level = filled["site"].map({"n": 11.5, "s": 61.5, "w": 31.5})
    assert (filled["x"] - level).abs().max() < 20


def test_detect_writes_stamps_beside_scores_and_reasons(air, capsys):
    text = AIR.replace("-200", "3")
    row = 1 + 150
    lines = text.split("\r\n")
    cells = lines[row].split(";")
    lines[row] = ";".join([*cells[:2], "55,5", *cells[3:]])
    (air / "odd.csv").write_bytes("\r\n".join(lines).encode())
    options = ["--time", "Date,Time", "--window", "24", "--top", "2", "--exclude", "NO"]
    run("detect", "odd.csv", *options, "-o", "scores.csv", *QUICK)
    said = capsys.readouterr().out
    found = pd.read_csv(air / "scores.csv", sep=";", decimal=",")
    assert found["Date"].iloc[150] == cells[0] and found["Time"].iloc[150] == cells[1]
    assert found["score"].idxmin() == 150 and found["value_1"].iloc[150] == 55.5
    head, first = said.splitlines()[1:3]
    assert head.split()[:4] == ["row", "score", "time", "length"]
    assert f"{HOURS[150]}" in first and "55,5" in first


@pytest.mark.slow
def test_encode_writes_rows_or_windows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame = panel(tmp_path)
    options = ["--time", "when", "--groups", "site", "--window", "24", "--components", "2", *QUICK]
    run("encode", "panel.csv", *options, "--no-add-raw", "-o", "rows.csv")
    rows = pd.read_csv("rows.csv", parse_dates=["when"])
    assert list(rows)[:2] == ["site", "when"] and len(rows) == len(frame)
    assert rows["when"].tolist() == frame["when"].tolist()
    run("encode", "panel.csv", *options, "--level", "window", "--no-add-raw", "-o", "windows.csv")
    windows = pd.read_csv("windows.csv", parse_dates=["when"])
    assert list(windows)[:2] == ["site", "when"]
    expected = sum(group["when"].dt.floor("24h").nunique() for _, group in frame.groupby("site"))
    assert abs(len(windows) - expected) <= 3 and not windows.duplicated(["site", "when"]).any()
    run("encode", "panel.csv", *options, "--level", "window", "--stride", "6h", "-o", "more.csv")
    more = pd.read_csv("more.csv", parse_dates=["when"])
    later = more[more["site"].duplicated()]  # the first window of a series begins with its rows
    assert set(later["when"].dt.hour % 6) == {0} and len(more) > 3 * len(windows)


@pytest.mark.slow
def test_evaluate_hides_runs_and_compares_with_lines(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    panel(tmp_path)
    options = ["--time", "when", "--groups", "site", "--window", "24", "--cv", "2", *QUICK]
    run("evaluate", "panel.csv", *options, "--exclude", "kind")
    said = capsys.readouterr().out
    head, values = said.splitlines()[1:3]
    assert head.split() == ["column", "maetab", "linear", "median"]
    maetab, linear, median = map(float, values.split()[1:])
    assert maetab < linear and maetab < median


@pytest.mark.slow
def test_evaluate_speaks_only_of_what_it_measures(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    days = pd.date_range("2024-01-01", periods=60)
    rng = np.random.default_rng(0)
    season = np.sin(2 * np.pi * np.arange(60) / 7)
    parts = [
        pd.DataFrame({"day": days, "shop": shop, "temp": season + rng.normal(size=60) / 9})
        for shop in "abc"
    ]
    frame = pd.concat(parts, ignore_index=True)
    frame["area"], frame["kind"] = frame["shop"].map({"a": 1.5, "b": 2, "c": 7}), frame["shop"]
    frame.to_csv("shops.csv", index=False)
    options = ["--time", "day", "--groups", "shop", "--window", "4D", *QUICK]
    run(
        "evaluate",
        "shops.csv",
        *options,
        "--compare",
        "linear,median",
        "--cv",
        "2",
        "--frac",
        "0.5",
    )
    said, told = capsys.readouterr()
    assert "more than a window" not in told
    assert "not measured: 'area', 'kind', of which each series has one value" in said
    rows = [line.split() for line in said.splitlines()]
    scores = {words[0]: words[-3:] for words in rows if words}
    assert "area" not in scores and "kind" not in scores
    assert scores["mean"] == scores["temp"]


def test_options_that_do_not_go_together_are_refused(air, capsys):
    fill = ["impute", "air.csv", "-o", "o.csv"]
    for options, words in (
        (["--groups", "Date"], "--groups needs --window"),
        (["--time", "Date"], "--time needs --window"),
        (["--max-gap", "3"], "--max-gap needs --window"),
        (["--no-edges"], "--no-edges needs --window"),
        (["--window", "long"], "must be a number of rows or a duration such as 24h, or auto"),
        (["--window", "24h", "--time", "a,b,c"], "must name one column of stamps, two"),
        (["--window", "24h", "--time", "Date", "--groups", "Date"], "both in --time and"),
        (["--model", "m", "--window", "24h"], "--model decides windows, times and groups"),
    ):
        assert words in refused(capsys, 2, *fill, *options)
    evaluate = ["evaluate", "air.csv", "--compare", "linear"]
    assert "it needs --window" in refused(capsys, 2, *evaluate)
    for options, words in (
        (["--time", "When"], "there is no column 'When'"),
        (["--time", "CO,NO"], "'CO' must hold dates, 'NO' times of day"),
        (["--time", "Date,NO"], "the cells of 'NO' are no times of day"),
        (["--time", "Date"], "days of 'Date' repeat, and 'Time' holds times of day; pass --time="),
        (["--na-values=-200"], "so give an int, or name the column of stamps in 'time'"),
        (["--time", "Date,Time", "--exclude", "CO,NO"], "can use beside times and groups"),
    ):
        assert words in refused(capsys, 1, *fill, "--window", "24h", *options)


def _typed(text, keys):
    table = TextTable(text, Layout())
    table.read_types()
    return frame_of(table, ["x"], keys)


def test_stamps_are_made_of_dates_and_hours_or_of_years_months_and_days():
    for day, hour in (("2024-02-01", 0), ("2024-01-31", 24)):
        text = f"x,day,hour\n1.5,2024-01-31,23\n2.5,{day},{hour}\n"
        frame = _typed(text, Keys(("day", "hour")))
        expected = ["2024-01-31 23:00", "2024-02-01 00:00"]
        assert frame["day hour"].tolist() == [pd.Timestamp(stamp) for stamp in expected]
    assert list(frame) == ["x", "day hour"]
    text = "Year,month,day,hour,x\n2024,1,31,23,1.5\n2024,2,1,0,2.5\n"
    frame = _typed(text, Keys(("Year", "month", "day", "hour")))
    assert frame.iloc[:, 0].tolist() == [pd.Timestamp(stamp) for stamp in expected]
    with pytest.raises(ValueError, match="are no dates"):
        _typed(text.replace("2024,2,1", "2024,2,31"), Keys(("Year", "month", "day", "hour")))


def test_tables_without_time_are_described_as_before(tmp_path, capsys):
    rng = np.random.default_rng(0)
    born = pd.Timestamp("1990-01-01") + pd.to_timedelta(rng.integers(0, 30, 80), unit="D")
    people = pd.DataFrame({"size": rng.normal(size=80), "born": born, "sex": ["f", "m"] * 40})
    people.to_csv(tmp_path / "people.csv", index=False)
    run("describe", str(tmp_path / "people.csv"))
    assert "time:" not in capsys.readouterr().out


def test_days_and_hours_that_repeat_are_described_as_a_table(tmp_path, capsys):
    rng = np.random.default_rng(0)
    when = HOURS[rng.integers(0, N, 100)]
    visits = {"day": when.strftime("%Y-%m-%d"), "hour": when.strftime("%H:%M:%S")}
    pd.DataFrame(visits | {"x": rng.normal(size=100)}).to_csv(tmp_path / "v.csv", index=False)
    run("describe", str(tmp_path / "v.csv"))
    said = capsys.readouterr().out
    assert "100 rows, 3 columns" in said and "time:" not in said


def test_a_file_of_one_column_may_be_a_series_in_order(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    values = np.sin(np.arange(480) * 2 * np.pi / 24) + 3
    texts = ["NA" if 100 <= place < 110 else f"{x:.3f}" for place, x in enumerate(values)]
    (tmp_path / "one.csv").write_text("\n".join(["level", *texts]) + "\n")
    run("describe", "one.csv")
    said = capsys.readouterr().out
    assert "time: the order of the rows, a period of 24 steps\n" in said
    assert "as a series: maetab impute one.csv --window=48 -o filled.csv" in said
    run("impute", "one.csv", "--window=48", "-o", "filled.csv", *QUICK)
    filled = pd.read_csv("filled.csv")["level"]
    assert np.abs(filled - values)[100:110].max() < 0.1


@pytest.mark.slow
def test_gaps_of_one_column_as_pandas_writes_them_are_rows(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    level = pd.Series(np.sin(np.arange(480) * 2 * np.pi / 24).round(3) + 3, name="level")
    level[100:110] = level[470:] = np.nan
    level.to_frame().to_csv("one.csv", index=False)
    assert (tmp_path / "one.csv").read_text().count('""') == 20
    run("describe", "one.csv")
    said = capsys.readouterr().out
    assert "480 rows, 1 column" in said and "level   2     10       0.0%              2.1%" in said
    run("impute", "one.csv", "--window=48", "-o", "filled.csv", *QUICK)
    filled = pd.read_csv("filled.csv")["level"]
    assert len(filled) == 480 and filled.notna().all()
    run("detect", "one.csv", "--window=48", "-o", "scores.csv", "--top", "2", *QUICK)
    head = capsys.readouterr().out.splitlines()[1]
    assert head.split()[:4] == ["row", "score", "length", "column"]  # the row says when
    run("encode", "one.csv", "--window=48", "--level=window", "-o", "windows.csv", *QUICK)
    assert pd.read_csv("windows.csv")["row"].tolist() == list(range(1, 480, 48))


def test_python_fills_the_same_cells_with_the_same_values(air):
    options = ["--time", "Date,Time", "--na-values=-200", "--window", "24h"]
    run("impute", "air.csv", *options, "-o", "o.csv", "--save", "m.safetensors", *QUICK)
    frame = pd.read_csv("air.csv", sep=";", decimal=",", na_values=-200).dropna(how="all")
    stamps = pd.to_datetime(frame["Date"] + frame["Time"], format="%d/%m/%Y%H.%M.%S")
    frame = frame[["CO", "NO"]].set_axis(["CO", "NO"], axis=1)
    frame.insert(0, "Date Time", stamps)
    frame["NO"] = frame["NO"].astype("Int64")
    model = load("m.safetensors")
    assert isinstance(model, MAEImputer)
    filled = model.transform(frame)
    written = pd.read_csv("o.csv", sep=";", decimal=",").dropna(how="all")
    assert np.allclose(filled["CO"], written["CO"], atol=0.051)
    assert filled["NO"].astype(float).tolist() == written["NO"].tolist()
