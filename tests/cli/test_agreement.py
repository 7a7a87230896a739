"""The command line and Python fill the same table alike."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from frames import passengers

from maetab import MAEImputer, cli
from maetab.cli import estimators


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    made = lambda *_, **__: MAEImputer(max_iter=0, random_state=0)  # noqa: E731
    monkeypatch.setattr(estimators, "new_estimator", made)


def mixed() -> pd.DataFrame:
    """As a reader of files makes it: whole numbers with missing cells are floats."""
    frame = passengers()
    rng = np.random.default_rng(1)
    frame["Parch"] = np.where(frame["Age"].isna(), np.nan, (frame["Fare"] // 20).fillna(1.0))
    frame["Price"] = frame["Fare"].round(2)
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 90, 80), unit="D")
    frame["Day"] = pd.Series(days).mask(rng.random(80) < 0.2)
    return frame.drop(columns=["Fare", "Age"])


def through_the_command_line(tmp_path, frame: pd.DataFrame, *options: str) -> pd.DataFrame:
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    frame.to_csv(source, index=False)
    assert cli.main(["impute", str(source), "-o", str(target), *options]) == 0
    return pd.read_csv(target, parse_dates=["Day"])


@pytest.mark.slow
def test_both_fill_the_same_cells_with_the_same_values(tmp_path, capsys):
    frame = mixed()
    by_file = through_the_command_line(tmp_path, frame)
    seen = ["Sex", "Parch", "Price", "Day"]
    alone = MAEImputer(max_iter=0, random_state=0).fit_transform(frame[seen])
    assert frame[seen].isna().sum().min() > 4
    for name in seen:
        assert alone[name].tolist() == by_file[name].astype(alone[name].dtype).tolist(), name
    with pytest.warns(UserWarning, match="'Name' .* different.*'Ticket'"):
        in_python = MAEImputer(max_iter=0, random_state=0).fit_transform(frame)
    assert (in_python["Parch"] % 1 == 0).all() and (by_file["Parch"] % 1 == 0).all()
    assert (in_python["Day"].dt.normalize() == in_python["Day"]).all()
    for name in ("Name", "Ticket"):
        assert in_python[name].isna().equals(by_file[name].isna())
        assert in_python[name].isna().equals(frame[name].isna())
    said = capsys.readouterr().err
    for name in ("Name", "Ticket"):
        (line,) = [line for line in said.splitlines() if repr(name) in line and "free" in line]
        assert f": free text, {frame[name].nunique()} different ones; left as" in line


@pytest.mark.slow
def test_free_text_that_is_named_is_filled_on_the_command_line(tmp_path, capsys):
    for options in (["--columns", "Ticket,Day"], ["--categorical", "Ticket"]):
        by_file = through_the_command_line(tmp_path, mixed(), *options, "--exclude", "Name")
        assert by_file["Ticket"].notna().all() and by_file["Day"].notna().all()
        assert by_file["Name"].isna().any()
        assert "'Ticket': free text" not in capsys.readouterr().err
        (tmp_path / "out.csv").unlink()


def test_describe_notes_free_text_and_the_range_of_large_whole_numbers(tmp_path, capsys):
    frame = pd.DataFrame(
        {"id": [2**59 + i for i in range(30)], "note": [f"n{i}" for i in range(30)]}
    )
    frame.to_csv(tmp_path / "in.csv", index=False)
    assert cli.main(["describe", str(tmp_path / "in.csv")]) == 0
    said = capsys.readouterr().out
    assert f"{2**59} to {2**59 + 29}" in said
    assert "(free text, 30 different ones; left as it is unless in --categorical)" in said
