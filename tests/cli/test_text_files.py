"""Text files as people have them: what is found out, what passes through, what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import MedianOrMode, fill, refused

from maetab import cli
from maetab.cli import estimators
from maetab.cli.report.model import everything
from maetab.data.schema import infer_schema

AIR = """Date;Time;CO(GT);PT08;Word;;
10/03/2004;18.00.00;2,6;1360;a;;
10/03/2004;19.00.00;;1292;b;;
;;;;;;
31/03/2004;20.00.00;2,2;-200;b;;
;19.00.00;2,2;1402;;;
;;;;;;
;;;;;;
"""


def describe(tmp_path, text, capsys, *options, code=0):
    (tmp_path / "in.csv").write_text(text)
    assert cli.main(["describe", str(tmp_path / "in.csv"), *options]) == code
    return capsys.readouterr()


def rows_of(out):
    table = out.partition("\n\n")[0]  # what a fit will cost stands below it
    return [re.split("  +", line) for line in table.splitlines()[2:] if line]


def test_semicolons_decimal_commas_and_empty_columns_and_lines_pass_through(tmp_path, stub, capsys):
    text = AIR.replace("\n", "\r\n")
    filled = fill(tmp_path, text, "--na-values=-200")
    expected = (
        text.replace("19.00.00;;1292", "19.00.00;2,2;1292")
        .replace(";-200;", ";1360;")
        .replace("\r\n;19.00.00;2,2;1402;;", "\r\n10/03/2004;19.00.00;2,2;1402;b;")
    )
    assert filled == expected
    said = capsys.readouterr().err
    assert "separated by ';', the decimal mark is ','" in said
    assert "3 lines of empty cells only" in said
    assert "%d/%m/%Y: 'Date'" in said and "%H.%M.%S: 'Time'" in said
    assert "'-200' 1 time in 'PT08'" in said
    assert stub[0].seen_ == ["Date", "Time", "CO(GT)", "PT08", "Word"]


def test_nameless_empty_columns_are_no_results(tmp_path, capsys):
    from maetab.files.layout import Layout
    from maetab.files.text_table import TextTable

    table = TextTable(AIR, Layout(delimiter="", decimal=""))
    assert table.nameless == ["Unnamed: 5", "Unnamed: 6"]
    assert list(table.rest(["Date"], typed=False)) == ["Time", "CO(GT)", "PT08", "Word"]
    assert TextTable(",b\n7,1\n8,2\n", Layout()).nameless == []  # numbers of rows, say
    assert table.texts("Time").tolist() == ["18.00.00", "19.00.00", "20.00.00", "19.00.00"]


MARKS = ["#N/A", "n/a", "<NA>", "-", "--", ".", "NULL", "None", "?", "-nan", "#NA"]


def test_foreign_marks_are_missing_whatever_their_share_and_are_counted(tmp_path, stub, capsys):
    for n_marks in (1, 3, 12, 60):
        cells = [str(i) for i in range(100)]
        cells[:n_marks] = (MARKS * 6)[:n_marks]
        (tmp_path / "out.csv").unlink(missing_ok=True)
        filled = fill(tmp_path, "a,b\n" + "".join(f"{cell},x\n" for cell in cells))
        numbers = [int(line.split(",")[0]) for line in filled.splitlines()[1:]]
        assert numbers[n_marks:] == list(range(n_marks, 100))
        said = capsys.readouterr().err
        counts = dict(re.findall(r"'([^']*)' (\d+) times? in 'a'", said))
        assert counts == {m: str((MARKS * 6)[:n_marks].count(m)) for m in (MARKS * 6)[:n_marks]}


def test_a_minus_among_pluses_is_a_sign(tmp_path, stub):
    text = "a,b,c\n+,-,1\n-,x,2\n,x,3\n-,x,4\n"
    assert fill(tmp_path, text) == text.replace("\n,x", "\n-,x").replace("+,-", "+,x")


def test_almost_numbers_and_dates_are_an_error_that_names_the_text(tmp_path, capsys):
    cells = [str(i) for i in range(88)] + ["no idea"] * 12
    error = refused(tmp_path, "a,b\n" + "".join(f"{c},1\n" for c in cells), capsys)
    for words in (
        "'a'",
        "88%",
        "'no idea' is not (row 89",
        "12 cells",
        "--na-values",
        "--categorical",
    ):
        assert words in error
    days = [f"{i:02d}.01.2024" for i in range(1, 20)] + ["soon"]
    error = refused(tmp_path, "a,b\n" + "".join(f"{c},1\n" for c in days), capsys)
    assert "dates" in error and "'soon' is not (row 20; 1 cell)" in error


def test_describe_says_of_doubtful_columns_what_to_do(tmp_path, capsys):
    text = "a,when\n" + "".join(f"{i},0{1 + i % 9}/02/2024\n" for i in range(9)) + "x,\n"
    out = describe(tmp_path, text, capsys).out
    assert "'x' is not (row 10; 1 cell)" in out and "--date-format" in out


def test_a_number_that_stands_for_missing_is_one_in_all_its_spellings(tmp_path, stub):
    text = "a,b\n1.5,x\n2.5,x\n-200,x\n-200.0,x\n-200.5,x\n"
    filled = fill(tmp_path, text, "--na-values=-200")
    assert filled == text.replace("-200,", "1.5,").replace("-200.0,", "1.5,")


def test_a_far_and_frequent_number_gets_a_hint(tmp_path, capsys):
    rng = np.random.default_rng(0)
    values = rng.normal(50, 10, 200).round(1)
    values[::20] = -999
    other = rng.integers(0, 2, 200)
    text = "a,b,c\n" + "".join(f"{v},{w},{v + 1}\n" for v, w in zip(values, other))
    said = describe(tmp_path, text, capsys).err
    assert "hint: -999" in said and "'a', in 10 cells; pass --na-values=-999" in said
    assert "-998" in said and "'b'" not in said
    assert "hint" not in describe(tmp_path, text, capsys, "--na-values=-999,-998").err


def test_zeros_and_single_far_numbers_get_no_hint(tmp_path, capsys):
    far = [str(i) for i in range(20, 60)] + ["9999", "9999"]
    zeros = ["0"] * 10 + [str(i) for i in range(300, 332)]
    text = "a,b\n" + "".join(f"{v},{w}\n" for v, w in zip(far, zeros))
    assert "hint" not in describe(tmp_path, text, capsys).err


US = """day,price,share,took,made
01/16/2024,"$1,082.65",48.7%,01:42:00,20240116
02/28/2024,$982.65,8.7%,00:42:00,20240301
,,,,
x,,,,
03/31/2024,$82.65,18.7%,00:12:00,20240228
"""


def test_written_dates_and_numbers_are_filled_in_their_columns_form(tmp_path, stub):
    text = US.replace("x,,,,", ",,,,20240117").replace(",,,,\n", "", 1)
    filled = fill(tmp_path, text).splitlines()
    assert filled[3] == "02/28/2024,$982.65,18.7%,00:42:00,20240117"
    assert [line for i, line in enumerate(filled) if i != 3] == [
        line for i, line in enumerate(text.splitlines()) if i != 3
    ]


def test_thousands_decimal_and_date_format_can_be_forced(tmp_path, stub, capsys):
    text = 'a,b,c\n"1,250",01/02/2024,05.06.07\n"2,250",03/02/2024,06.06.07\n'
    for options in (["--thousands", ","], []):
        assert "--date-format" in refused(tmp_path, text, capsys, *options)
    marks = ["--date-format", "%d/%m/%Y", "--date-format", "c=%H.%M.%S"]
    text += ",,07.06.07\n"
    assert fill(tmp_path, text, *marks).splitlines()[-1] == '"1,750",02/02/2024,07.06.07'
    decimal = fill(tmp_path, text, *marks, "--decimal", ",", "--force")
    assert decimal.splitlines()[-1] == '"1,750",02/02/2024,07.06.07'
    assert "numbers, such as" in capsys.readouterr().err
    (tmp_path / "out.csv").unlink()
    error = refused(tmp_path, "a\n1\n\n2\n", capsys, "--date-format", "%d/%m/%Y")
    assert "no column is written in the format %d/%m/%Y" in error


@pytest.mark.parametrize(
    "options",
    [
        ["--date-format", "%Q"],
        ["--date-format", "day"],
        ["--decimal", "ab"],
        ["--thousands", ",", "--decimal", ","],
        ["--skip-rows", "-1"],
        ["--comment", "//"],
    ],
)
def test_marks_that_cannot_be_are_refused(tmp_path, capsys, options):
    (tmp_path / "in.csv").write_text("a,b\n1,2\n")
    with pytest.raises(SystemExit) as end:
        cli.main(["describe", str(tmp_path / "in.csv"), *options])
    assert end.value.code == 2 and options[0] in capsys.readouterr().err


def test_rows_with_a_delimiter_too_many_are_refused_and_not_one_column(tmp_path, capsys):
    error = describe(tmp_path, "a;b\n1;2;\n3;4;\n", capsys, code=1).err
    assert "row 1 has 3 cells, the header has 2" in error
    assert describe(tmp_path, "a\nx; y\nz\n", capsys).out.startswith("2 rows, 1 column")


def test_a_filled_level_is_spelled_as_in_the_rest_of_its_column(tmp_path, stub):
    text = 'a,b\n"x",1\n"x",2\ny,3\n,4\n'
    assert fill(tmp_path, text) == text.replace("\n,4", '\n"x",4')


def test_options_of_text_are_refused_for_parquet(tmp_path, capsys):
    pytest.importorskip("pyarrow")
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "in.parquet")
    for option in ("--no-header", "--skip-rows=1", "--na-values=-1", "--date-format=%d.%m.%Y"):
        with pytest.raises(SystemExit) as end:
            cli.main(["describe", str(tmp_path / "in.parquet"), option])
        said = capsys.readouterr().err
        assert end.value.code == 2 and "text files" in said and option.split("=")[0] in said


def test_two_possible_delimiters_are_not_guessed(tmp_path, capsys):
    error = describe(tmp_path, "1,5;2,5\n3,5;4,5\n", capsys, "--no-header", code=1).err
    assert "';'" in error and "','" in error and "--delimiter" in error
    out = describe(tmp_path, "1,5;2,5\n3,5;4,5\n", capsys, "--no-header", "--delimiter", ";").out
    assert out.startswith("2 rows, 2 columns") and "1.5 to 3.5" in out


def test_commas_in_numbers_are_doubtful_unless_commas_separate_the_cells(tmp_path, stub, capsys):
    error = refused(tmp_path, "a;b\n1,360;x\n2,360;y\n;x\n", capsys)
    assert "'1,360'" in error and "--decimal=," in error and "--thousands=," in error
    text = 'a,b\n"1,360",x\n"2,360",y\n,x\n'
    assert fill(tmp_path, text) == text.replace("\n,x", '\n"1,860",x')


def test_a_headerless_file_is_noticed_and_read_on_request(tmp_path, stub, capsys):
    text = "1,2024-01-01,x\n2,2024-01-02,y\n,2024-01-03,x\n3,,x\n"
    error = refused(tmp_path, text, capsys)
    assert "1,2024-01-01,x" in error and "--no-header" in error
    filled = fill(tmp_path, text, "--no-header")
    assert filled == text.replace("\n,2024", "\n2,2024").replace("3,,x", "3,2024-01-02,x")
    assert stub[0].seen_ == ["column1", "column2", "column3"]
    assert "--no-header" in describe(tmp_path, "1;2\n3;4\n5;6\n", capsys, code=1).err
    kept = fill(tmp_path, "1,2\n1,2\n0,3\n,1\n", "--header", "--force")
    assert kept.startswith("1,2\n") and stub[-1].seen_ == ["1", "2"]


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,2\n3,4\n",
        "0,1,2\n5,6,7\n0,1,2\n9,1,2\n",  # as numpy and pandas number columns
        "0,1\n5,6\n0,1\n",
        "land,2019,2020,2021\nX,1,2,3\nY,4,5,6\n",
        "land,2010,2015\nX,0,0\nY,99,99\n",
        "x,1\nx,7\ny,8\n",
        "word,text\nx,a\ny,a\n",
    ],
)
def test_names_are_not_taken_for_data(tmp_path, capsys, text):
    names = text.partition("\n")[0].split(",")
    assert [row[0] for row in rows_of(describe(tmp_path, text, capsys).out)] == names


def test_skipped_lines_and_comments_pass_through(tmp_path, stub):
    text = 'made by a device\n; no, table\n# one, "two\n\na,b\n1,x\n# three\n,y\n3,x\n# , end\n'
    filled = fill(tmp_path, text, "--skip-rows", "2", "--comment", "#")
    assert filled == text.replace("\n,y", "\n2,y")


def test_a_byte_order_mark_stays_before_skipped_lines(tmp_path, stub):
    text = "\ufeffnote\na,b\n1,x\n,x\n"
    assert fill(tmp_path, text, "--skip-rows", "1") == text.replace("\n,x", "\n1,x")
    assert stub[0].seen_ == ["a", "b"]


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path, stub):
    text = '\ufeff"a",b\n1,x\n,x\n'
    assert fill(tmp_path, text) == text.replace("\n,x", "\n1,x")
    assert stub[0].seen_ == ["a", "b"]


def test_a_missing_column_of_a_model_is_the_models(tmp_path, monkeypatch, capsys):
    fitted = pd.DataFrame({"x": [1.5, 2.5], "y": ["a", "b"]})
    monkeypatch.setattr(estimators, "load_estimator", lambda *_: MedianOrMode().fit(fitted))
    error = refused(tmp_path, "x,z\n1,2\n,3\n", capsys, "--model", "m.safetensors")
    assert "the model m.safetensors needs the column 'y'" in error and "'x', 'z'" in error


def test_a_model_fills_a_file_of_another_form(tmp_path, monkeypatch):
    fitted = pd.DataFrame(
        {
            "day": pd.to_datetime(["2024-01-15", "2024-01-17"]),
            "price": [1000.5, 3000.5],
            "took": pd.to_timedelta(["1h", "2h"]),
        }
    )
    monkeypatch.setattr(estimators, "load_estimator", lambda *_: MedianOrMode().fit(fitted))
    text = "price;took;day\n1.250,5 €;01:30;20.01.2024\n-;-;.\n0,5 €;02:15;20.02.2024\n"
    filled = fill(tmp_path, text, "--model", "m.safetensors")
    assert filled == text.replace("-;-;.", "625,5 €;01:53;05.02.2024")
    assert infer_schema(fitted).columns[2].temporal == "timedelta"


def test_tables_that_are_printed_have_a_line_for_each_row(tmp_path, capsys):
    text = 'a,b\n"two\nlines",1\n"two\nlines",2\nother,3\n"\tx\u200b",4\n'
    out = describe(tmp_path, text, capsys).out
    assert len(rows_of(out)) == 2 and "two\\nlines 2" in out and "\\tx\\u200b 1" in out


def test_one_is_singular(tmp_path, stub, capsys):
    fill(tmp_path, "a,b\n1,x\n,y\n")
    assert "1 cell filled" in capsys.readouterr().err
    assert describe(tmp_path, "a\n1\n", capsys).out.startswith("1 row, 1 column\n")
    assert "has 1 cell," in refused_after(tmp_path, capsys, "a,b\n1,2\n3\n")


def refused_after(tmp_path, capsys, text):
    (tmp_path / "out.csv").unlink()
    return refused(tmp_path, text, capsys)


@pytest.mark.slow
def test_info_fits_a_screen_and_all_lists_everything(tmp_path, capsys):
    names = [f"a column with a rather long name {i}" for i in range(60)]
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(30, 60)), columns=names)
    frame.to_csv(tmp_path / "in.csv", index=False)
    model = str(tmp_path / "m.safetensors")
    command = ["detect", str(tmp_path / "in.csv"), "-o", str(tmp_path / "out.csv")]
    assert cli.main([*command, "--save", model]) == 0
    capsys.readouterr()
    assert cli.main(["info", model]) == 0
    short = capsys.readouterr().out
    assert short.count("\n") <= 24 and max(map(len, short.splitlines())) <= 100
    assert "class: MAEAnomalyDetector" in short and "60 (60 number)" in short
    assert cli.main(["info", model, "--all"]) == 0
    long = capsys.readouterr().out
    assert all(f"  {name}: number" in long for name in names)


def test_nothing_is_said_of_excluded_columns(tmp_path, capsys):
    text = "a,b\n16.01.2024,1\n#N/A,2\n"
    assert "'a'" in describe(tmp_path, text, capsys).err
    assert describe(tmp_path, text, capsys, "--exclude", "a").err == ""


def test_the_history_of_a_model_is_not_printed():
    info = {"class": "MAEImputer", "attributes": {"history_": [1, 2], "n_iter_": 3}}
    assert everything(info) == ["class: MAEImputer", "attributes:", "  n_iter_: 3"]


def test_help_names_the_options_of_files(capsys):
    with pytest.raises(SystemExit):
        cli.main(["impute", "--help"])
    text = capsys.readouterr().out
    for option in ("--no-header", "--skip-rows", "--comment", "--date-format", "--only-na-values"):
        assert option in text
    assert Path(cli.__file__).exists()
