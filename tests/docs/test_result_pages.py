"""Result pages and reports are what the records give."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from benchmarks import (
    detect,
    detect_weights,
    encode,
    encode_halves,
    markup,
    pages,
    predict,
    records,
    report,
)

HOW = "the records or the writers changed: make report"


@pytest.mark.parametrize("name", pages.WRITERS)
def test_a_result_page_is_what_the_records_give(name):
    committed = (pages.PAGES / f"{name}.rst").read_text(encoding="utf-8")
    assert committed == pages.WRITERS[name](), HOW


def test_there_is_no_result_page_without_a_writer():
    assert {path.stem for path in Path(pages.PAGES).glob("*.rst")} == set(pages.WRITERS)


def test_a_table_quotes_its_cells_and_shows_dashes_for_what_is_missing():
    frame = pd.DataFrame({"a": [1.25, float("nan")]}, index=["x, y", "z"])
    lines = markup.figures(frame, 1, "name").splitlines()
    assert lines[5:] == ['   "name","a"', '   "x, y","1.2"', '   "z","–"']


def test_results_name_their_version_machine_and_days():
    lines = pd.DataFrame(
        {"method": ["mean", "maetab"], "version": ["1.9", "0.1.0"], "date": ["2026-01-02"] * 2,
         "machine": "x86_64", "cpus": 2, "threads": 1}
    )  # fmt: skip
    words = markup.origin(lines)
    assert words == "Made by maetab 0.1.0 on x86_64, 2 CPUs, 1 thread(s); 2026-01-02."


def note_of(text: str) -> str:
    """The paragraph that a report of benchmarks.report was given by hand."""
    return text.partition("No run failed.\n\n")[2].partition("\n\n## ")[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["impute", "time"])
def test_a_report_on_filling_is_what_the_records_give(name):
    committed = (records.RESULTS / f"{name}.md").read_text(encoding="utf-8")
    runs = report.read(records.RESULTS / f"{name}.jsonl")
    assert committed == report.report(*runs, note_of(committed))


def test_a_report_on_anomalies_is_what_the_records_give(tmp_path):
    detect.report(records.RESULTS / "detect.jsonl", tmp_path / "detect.md")
    committed = (records.RESULTS / "detect.md").read_text(encoding="utf-8")
    assert committed == (tmp_path / "detect.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("encode", encode.report),
        ("encode_large", encode.report),
        ("encode_halves", encode_halves.report),
        ("detect_weights", detect_weights.report),
        ("predict", predict.report),
    ],
)
def test_a_report_on_rows_is_what_the_records_give(name, write):
    committed = (records.RESULTS / f"{name}.md").read_text(encoding="utf-8")
    assert committed == write(records.RESULTS / f"{name}.jsonl")
