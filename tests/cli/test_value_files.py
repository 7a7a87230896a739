"""The command line on JSON lines and Excel files: what is observed comes back as it was."""

from __future__ import annotations

import datetime
import io
import json
import sys

import pandas as pd
import pytest
from command_line import fill

from maetab import cli
from maetab.files import workbook
from maetab.files.json_lines import JsonTable
from maetab.files.layout import Layout
from maetab.files.workbook import WorkbookTable, _texts_of

JSON = """\
{"age": 31, "city": "Bonn", "when": "2024-01-05", "on": true, "price": 1.50}

{"age":null,"city":"K\\u00f6ln","when":"2024-01-06","on":false,"price":2.25,"tags":["a", 1] }
  {"city": "Bonn", "age": 3.3e1, "when": "2024-01-07", "on": true , "price": 1.75 }
{"age": 35, "city": null, "when": null, "on": null, "price": 1.0}
{}
{"age": 30, "city": "Bonn", "when": "2024-01-09", "on": true, "price": 1.50}"""


pytestmark = pytest.mark.usefixtures("stub")


def test_only_missing_values_of_json_lines_change(tmp_path):
    before = JSON.splitlines()
    after = fill(tmp_path, JSON, name="in.jsonl", out="out.ndjson").split("\n")
    assert len(after) == len(before)
    assert [after[1], after[5]] == [before[1], before[5]]  # nothing to learn from
    more = ', "tags": ["a", 1]}'
    for k in (0, 3, 6):
        assert after[k] == before[k][:-1] + more
    assert after[2] == before[2].replace("null", "32")
    filled = json.loads(after[4])
    known = {"age": 35, "city": "Bonn", "on": True, "price": 1.0, "tags": ["a", 1]}
    assert filled == known | {"when": filled["when"]}
    assert "2024-01-05" <= filled["when"] <= "2024-01-09"
    assert after[4].endswith(', "price": 1.0' + more)


def test_a_key_that_is_absent_is_added_at_the_end_of_its_object(tmp_path):
    text = '{"a": 1, "b": 10}\n{"b": 20 }\n{"a": 3, "b": 30}\n'
    after = fill(tmp_path, text, name="in.jsonl", out="out.jsonl")
    assert after == '{"a": 1, "b": 10}\n{"b": 20 , "a": 2}\n{"a": 3, "b": 30}\n'


def test_json_lines_become_text_and_text_becomes_json_lines(tmp_path):
    text = '{"a": 1.5, "b": "x, y"}\n{"a": null, "b": "z"}\n{"a": 2.5, "b": "x, y"}\n'
    assert fill(tmp_path, text, name="in.jsonl") == 'a,b\n1.5,"x, y"\n2.0,z\n2.5,"x, y"\n'
    made = fill(tmp_path, "a;d\n0.1;2024-01-05\n;2024-01-06\n0.3;\n", out="out.jsonl")
    rows = [json.loads(line) for line in made.splitlines()]
    assert [row["a"] for row in rows] == [0.1, 0.2, 0.3]
    assert rows[0]["d"].startswith("2024-01-05")


def test_json_lines_are_written_in_one_pass_over_the_cells_that_were_put(monkeypatch):
    passes = []

    class Counted(dict):
        def __iter__(self):
            passes.append(1)
            return super().__iter__()

        def items(self):
            passes.append(1)
            return super().items()

    put = JsonTable.cells_put
    monkeypatch.setattr(JsonTable, "cells_put", lambda table: Counted(put(table)))
    rows = [{"a": k, "b": None if k % 2 else k, "c": None} for k in range(20)]
    table = JsonTable("".join(json.dumps(row) + "\n" for row in rows), Layout(delimiter=""))
    table.read_types()
    table.put("b", table.frame["b"].fillna(7))
    found = [json.loads(line) for line in table.to_lines().splitlines()]
    assert found == [row | {"b": 7 if row["b"] is None else row["b"]} for row in rows]
    assert len(passes) == 1


@pytest.mark.parametrize("end", ["\u2028", "\x85"])
def test_only_ends_of_lines_end_a_row(tmp_path, end):
    """Texts in JSON may hold other characters that str.splitlines takes for ends of lines."""
    rows = [f'"{end}x", "a": {a}}}' for a in ("1", "null", "3")]
    text = "".join(f'{{"t": {row}\r\n' for row in rows)
    (tmp_path / "in.jsonl").write_bytes(text.encode())
    assert cli.main(["impute", str(tmp_path / "in.jsonl"), "-o", str(tmp_path / "o.jsonl")]) == 0
    assert (tmp_path / "o.jsonl").read_bytes().decode() == text.replace("null", "2")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1}\n[2]\n', "line 2 is no JSON object"),
        ('{"a": 1}\n{"a": 2\n', "line 2 is no JSON"),
        ('{"a": 1, "a": 2}\n', "line 1 has the key 'a' twice"),
        ("\n\n", "no JSON object with a key"),
        ('{"": 1}\n{"": null}\n{" ": 3}\n', "no JSON object with a key"),
    ],
)
def test_lines_that_are_no_objects_are_named(tmp_path, capsys, text, said):
    (tmp_path / "in.jsonl").write_text(text)
    assert cli.main(["describe", str(tmp_path / "in.jsonl")]) == 1
    assert said in capsys.readouterr().err


def test_options_of_lines_are_refused_for_other_files(tmp_path, capsys):
    (tmp_path / "in.jsonl").write_text('{"a": 1}\n{"a": 2}\n')
    with pytest.raises(SystemExit):
        cli.main(["describe", str(tmp_path / "in.jsonl"), "--skip-rows", "1"])
    assert "--skip-rows is for text files" in capsys.readouterr().err


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_the_delimiter_of_a_txt_file_is_found_and_stays(tmp_path, mark):
    text = mark.join("ab") + "\n" + "".join(f"{mark.join(row)}\n" for row in ("13", "5", "57"))
    text = text.replace("5\n5", f"{mark}5\n5")
    after = fill(tmp_path, text, name="in.txt", out="out.txt")
    assert after == text.replace(f"\n{mark}5", f"\n3{mark}5")


def book() -> bytes:
    openpyxl = pytest.importorskip("openpyxl")
    made = openpyxl.Workbook()
    sheet = made.active
    sheet.append(["age", "day", "city", "on", "twice"])
    rows = [(31, 5, "Bonn", True), (None, 6, "Köln", False), (33.5, None, None, True)]
    for age, day, city, on in [*rows, (35, 9, "Bonn", None)]:
        when = None if day is None else datetime.datetime(2024, 1, day)
        sheet.append([age, when, city, on, "=1+1"])
    for row in range(2, 6):
        sheet.cell(row, 2).number_format = "DD.MM.YYYY"
    sheet["A2"].font = openpyxl.styles.Font(bold=True)
    made.create_sheet("notes")["A1"] = "kept"
    out = io.BytesIO()
    made.save(out)
    return out.getvalue()


def test_cells_styles_and_other_sheets_of_an_excel_file_stay(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    given = openpyxl.load_workbook(io.BytesIO(book()))
    for row in range(2, 6):
        given.active.cell(row, 5).value = row
    given.save(tmp_path / "in.xlsx")
    fill_file(tmp_path, "in.xlsx", "out.xlsx")
    after = openpyxl.load_workbook(tmp_path / "out.xlsx")
    assert after["notes"]["A1"].value == "kept" and after.active["A2"].font.bold
    n_filled = 0
    for mine, theirs in zip(after.active.iter_rows(), given.active.iter_rows()):
        for cell, before in zip(mine, theirs):
            assert cell.number_format == before.number_format
            if before.value is None:
                n_filled += cell.value is not None
            else:
                assert cell.value == before.value and type(cell.value) is type(before.value)
    assert n_filled == 4
    filled = {name: after.active[name].value for name in ("A3", "B4", "C4", "D5")}
    assert filled["A3"] == 33.5 and filled["C4"] == "Bonn" and filled["D5"] is True
    assert isinstance(filled["B4"], datetime.datetime) and filled["B4"].year == 2024


def test_filled_times_of_an_excel_file_look_like_the_others_of_their_column(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    forms = {"when": "DD.MM.YYYY hh:mm", "at": "hh:mm", "took": "[h]:mm"}
    made = openpyxl.Workbook()
    made.active.append(list(forms))
    for hour in range(8):
        when = datetime.datetime(2024, 1, 2, hour)
        made.active.append([when, when.time(), datetime.timedelta(hours=20 + hour)])
    for row in made.active.iter_rows(min_row=2):
        for cell, form in zip(row, forms.values()):
            cell.number_format = form
    for place in ("A4", "B5", "C6"):
        made.active[place].value, made.active[place].number_format = None, "General"
    made.save(tmp_path / "in.xlsx")
    fill_file(tmp_path, "in.xlsx", "out.xlsx")
    after = openpyxl.load_workbook(tmp_path / "out.xlsx").active
    for place, beside, form in zip(("A4", "B5", "C6"), ("A5", "B6", "C7"), forms.values()):
        assert after[place].number_format == form
        assert type(after[place].value) is type(after[beside].value)


def test_the_usual_format_of_a_column_is_looked_for_once_however_many_cells_are_filled(monkeypatch):
    pytest.importorskip("openpyxl")
    asked = []
    usual = workbook.example_format
    monkeypatch.setattr(
        workbook,
        "example_format",
        lambda sheet, column: asked.append(column) or usual(sheet, column),
    )
    frame = pd.DataFrame({"a": [1.5, 2.5, None] * 20, "b": [None, 0.5, 0.25] * 20})
    table = WorkbookTable(workbook.workbook_bytes(frame), Layout(delimiter=""))
    table.read_types()
    for name in frame:
        table.put(name, table.frame[name].fillna(7.5))
    found = pd.read_excel(io.BytesIO(table.content()))
    assert found.equals(frame.fillna(7.5)) and sorted(asked) == [1, 2]


def fill_file(tmp_path, source: str, target: str) -> None:
    assert cli.main(["impute", str(tmp_path / source), "-o", str(tmp_path / target)]) == 0


def test_negative_durations_of_an_excel_file_are_read_as_what_they_are():
    openpyxl = pytest.importorskip("openpyxl")
    made = openpyxl.Workbook()
    minutes = (-30, 45, None, -90, 60, -1.5)
    for row in [["a"], *([None if x is None else datetime.timedelta(minutes=x)] for x in minutes)]:
        made.active.append(row)
    out = io.BytesIO()
    made.save(out)
    table = WorkbookTable(out.getvalue(), Layout(delimiter=""))
    table.read_types()
    found = table.frame["a"].dropna()
    assert (found / pd.Timedelta(minutes=1)).tolist() == [x for x in minutes if x is not None]


def test_tables_are_written_to_excel_and_read_from_it(tmp_path):
    pytest.importorskip("openpyxl")
    (tmp_path / "in.csv").write_text("a,b\n1.25,x\n,y\n3.75,x\n")
    fill_file(tmp_path, "in.csv", "out.xlsx")
    found = pd.read_excel(tmp_path / "out.xlsx")
    assert found["a"].tolist() == [1.25, 2.5, 3.75] and found["b"].tolist() == ["x", "y", "x"]
    fill_file(tmp_path, "out.xlsx", "again.csv")
    assert (tmp_path / "again.csv").read_text() == "a,b\n1.25,x\n2.5,y\n3.75,x\n"


def test_formulas_without_values_and_files_that_are_no_workbooks_are_refused(tmp_path, capsys):
    (tmp_path / "in.xlsx").write_bytes(book())
    assert cli.main(["describe", str(tmp_path / "in.xlsx")]) == 1
    assert "cell E2 holds a formula without a value" in capsys.readouterr().err
    (tmp_path / "in.xlsx").write_bytes(b"a,b\n1,2\n")
    assert cli.main(["describe", str(tmp_path / "in.xlsx")]) == 1
    assert "no" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("merged", "above", "said"),
    [
        ("A3:A4", 0, "the cells A3:A4 of the first sheet are merged"),
        ("A1:B1", 0, ""),
        ("", 1, "the first row of the first sheet is empty"),
    ],
)
def test_sheets_that_are_no_plain_tables_are_refused(tmp_path, capsys, merged, above, said):
    """Cells may be merged among the names, where a name is missing then, and nowhere below."""
    openpyxl = pytest.importorskip("openpyxl")
    made = openpyxl.Workbook()
    for row in [[None]] * above + [["a", "b"], [1, 2], [3, 4], [None, 6], [5, 7]]:
        made.active.append(row)
    if merged:
        made.active.merge_cells(merged)
    made.save(tmp_path / "in.xlsx")
    ran = cli.main(["impute", str(tmp_path / "in.xlsx"), "-o", str(tmp_path / "out.xlsx")])
    assert (ran == 0) == (not said) and said in capsys.readouterr().err


def test_without_openpyxl_one_line_names_it(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    (tmp_path / "in.xlsx").write_bytes(b"PK")
    assert cli.main(["describe", str(tmp_path / "in.xlsx")]) == 1
    said = capsys.readouterr().err.strip()
    assert "maetab[excel]" in said and "\n" not in said


def test_titles_above_the_names_of_a_sheet_are_noticed(tmp_path, capsys):
    openpyxl = pytest.importorskip("openpyxl")
    made = openpyxl.Workbook()
    for row in (["Report"], [], ["a", "b"], [1, 2], [None, 3], [4, 5]):
        made.active.append(row)
    made.save(tmp_path / "in.xlsx")
    assert cli.main(["describe", str(tmp_path / "in.xlsx")]) == 1
    assert "row 3 of the first sheet seems to hold the names" in capsys.readouterr().err


def test_numbers_that_json_lines_hold_as_texts_are_filled_as_texts():
    lines = '{"a": "1", "b": 1}\n{"a": null, "b": null, "c": 0}\n{"a": "3", "b": 3}\n'
    table = JsonTable(lines, Layout())
    table.read_types()
    for name in "ab":
        table.put(name, table.frame[name].fillna(2))
    assert table.to_lines() == lines.replace('"a": null, "b": null', '"a": "2", "b": 2')


def test_cells_of_workbooks_are_read_to_the_second_and_days_only_where_all_are():
    noon, midnight = (datetime.datetime(2024, 1, 2, hour) for hour in (12, 0))
    assert _texts_of([midnight, None, midnight]) == ["2024-01-02", "", "2024-01-02"]
    assert _texts_of([midnight, noon]) == ["2024-01-02 00:00:00", "2024-01-02 12:00:00"]
    nearly = datetime.timedelta(hours=30, seconds=59, microseconds=999_999)
    assert _texts_of([nearly]) == ["30:01:00"]
