"""Files with names that stand twice, title lines or two bytes a character; what describe shows."""

from __future__ import annotations

import argparse
import codecs

import numpy as np
import pandas as pd
import pytest
from command_line import fill, refused

from maetab import cli
from maetab.cli import verb_files
from maetab.data.extent import range_of
from maetab.data.schema import infer_schema
from maetab.files.layout import Layout
from maetab.files.tables import read_table
from maetab.files.text_rows import cut_rows
from maetab.files.text_table import TextTable


def test_names_that_stand_twice_are_told_apart_and_stay_in_the_file(tmp_path, stub, capsys):
    text = "age,b,age,age.1,age\n1,x,5,8,9\n,x,,,\n3,y,7,8,9\n"
    assert fill(tmp_path, text) == text.replace("\n,x,,,", "\n2,x,6,8,9")
    from_pandas = pd.read_csv(tmp_path / "in.csv")
    assert stub[0].seen_ == list(from_pandas)
    said = capsys.readouterr().err
    assert "same name" in said and "'age.2' for a further 'age', 'age.3' for a further" in said


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_two_bytes_a_character_are_told_by_their_mark(tmp_path, stub, codec):
    text = "\ufeffnäme,b\r\n1,x\r\n,y\r\n3,x\r\n"
    (tmp_path / "in.csv").write_bytes(text.encode(codec))
    command = ["impute", str(tmp_path / "in.csv"), "-o", str(tmp_path / "out.csv")]
    assert cli.main(command) == 0
    assert (tmp_path / "out.csv").read_bytes() == text.replace("\n,y", "\n2,y").encode(codec)
    assert stub[0].seen_ == ["näme", "b"]


def test_results_from_two_bytes_a_character_have_the_mark(tmp_path):
    from maetab.files.layout import Layout
    from maetab.files.tables import read_table, write_frame

    path = tmp_path / "in.csv"
    path.write_bytes("a,b\n1,ü\n".encode("utf-16"))
    layout = read_table(str(path), "csv", Layout()).layout
    write_frame(pd.DataFrame({"ü": [1]}), str(path), "csv", layout)
    assert path.read_bytes()[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    assert list(pd.read_csv(path, encoding="utf-16")) == ["ü"]


@pytest.mark.parametrize("mark", [";", ",", "\t"])
@pytest.mark.parametrize("titles", ["Report of May\n\n", "Made by us, in May\nRoom 7\n", "x\n"])
def test_titles_before_the_header_are_noticed(tmp_path, stub, capsys, mark, titles):
    text = titles + "\n".join(mark.join(row) for row in ("abc", "123", "4x6", "7x9")) + "\n"
    n_lines = titles.count("\n")
    error = refused(tmp_path, text, capsys)
    assert f"--skip-rows={n_lines} " in error and f"line {n_lines + 1} has 3 cells" in error
    assert fill(tmp_path, text, f"--skip-rows={n_lines}") == text


@pytest.mark.parametrize("titles", ["Report of May;;\n;;\n", ";;\nReport of May;;\n", "May;;\n"])
def test_titles_that_a_spreadsheet_pads_with_empty_cells_are_noticed(
    tmp_path, stub, capsys, titles
):
    text = titles + "a;b;c\n1;2;3\n4;;6\n7;8;9\n"
    n_lines = titles.count("\n")
    error = refused(tmp_path, text, capsys)
    assert f"--skip-rows={n_lines} " in error and f"line {n_lines + 1} has 3 cells" in error
    assert fill(tmp_path, text, f"--skip-rows={n_lines}") == text.replace("4;;6", "4;5;6")


@pytest.mark.parametrize(
    "text", ["a;;\n1;;\n2;;\n", "a;;c\nx;;\n;;2\n", "a;;\nu;v;w\nx;y;z\n;y;z\n"]
)
def test_columns_that_are_empty_make_no_titles(tmp_path, stub, text):
    assert fill(tmp_path, text)


@pytest.mark.parametrize("text", ["text\nwell; so\nno\n", "text\nwell\na; b\nc;d\nend\n", "a\n1\n"])
def test_one_column_of_text_has_no_titles(tmp_path, stub, text):
    assert fill(tmp_path, text) == text


@pytest.mark.parametrize(
    ("cells", "shown"),
    [
        (pd.to_datetime(["2024-01-31", "2024-02-01"]), "2024-01-31 to 2024-02-01"),
        (
            pd.to_datetime(["2024-01-31 12:00", "2024-02-01 00:00"]),
            "2024-01-31 12:00:00 to 2024-02-01 00:00:00",
        ),
        ([1704067200, 1704153600], "1704067200 to 1704153600"),
        ([2**60 + 1, 2**60 + 7], f"{2**60 + 1} to {2**60 + 7}"),
        (np.array([0.25, 1.5e9]), "0.25 to 1500000000"),
        ([0.123456789, 1e20], "0.123457 to 1e+20"),
    ],
)
def test_ranges_are_shown_as_they_are_read(cells, shown):
    assert range_of(infer_schema(pd.DataFrame({"x": cells})).columns[0]) == shown


def test_results_of_a_file_with_decimal_commas_have_points_between_commas(tmp_path):
    source = tmp_path / "in.tsv"
    source.write_text("a\tb\n1,5\tx\n2,5\ty\n")
    told = {"input": str(source), "format": None, "delimiter": None, "decimal": None}
    table = read_table(str(source), "tsv", Layout("\t", ""))
    table.read_types()
    for name, decimal in (("out.csv", "."), ("out.tsv", ",")):
        args = argparse.Namespace(**told, output=name, encoding="utf-8")
        assert verb_files.layout_out(args, table).decimal == decimal


@pytest.mark.parametrize(
    "text", ["a\n1\n\n2\n\n\n", "a\r\n\r\n1", "a\n\n\n", "# no\n\na\n1\n\n#x\n\n"]
)
def test_the_last_lines_of_one_column_are_no_rows_and_nothing_is_lost(text):
    start, rows, ends, _ = cut_rows(text, ",", "#")
    assert start + "".join(row[0] + end for row, end in zip(rows, ends, strict=True)) == text
    assert rows[-1] != [""]


def test_a_format_of_dates_for_one_column_comes_before_one_for_all():
    table = TextTable(
        "from,to\n01/02/2024,01/02/2024\n03/04/2024,03/04/2024\n",
        Layout(date_formats=["%d/%m/%Y", "to=%m/%d/%Y"]),
    )
    table.read_types()
    assert [str(day.date()) for day in table.frame.iloc[0]] == ["2024-02-01", "2024-01-02"]


def test_thousands_are_no_zeros_behind_a_number_that_stands_for_missing():
    layout = Layout(delimiter=";", decimal="", na_values={"-9"})
    table = TextTable("a;b\n-9,000;x\n2,500.5;y\n-9.000;x\n3.25;y\n", layout)
    assert table.missing("a").tolist() == [False, False, True, False]
