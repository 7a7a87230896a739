"""Columns of text that are meant for numbers or dates: read as such, or refused with a reason."""

from __future__ import annotations

import shlex

import numpy as np
import pandas as pd
import pytest
from command_line import fill, refused

from maetab import cli
from maetab.files.cell_format import Text, infer_format
from maetab.files.layout import Layout
from maetab.files.number_format import Number
from maetab.files.sniffing import far_number, title_rows, totals_in

ANY = Layout(decimal="")


def found(*texts):
    return infer_format(pd.Series(texts, dtype=object), ANY)


@pytest.mark.parametrize(
    ("texts", "numbers", "written"),
    [
        (["299.19", "(1,299.19)"], [299.19, -1299.19], "(1,234.50)"),
        (["51", "(45)"], [51, -45], "(1234)"),
        (["$5.25", "($12.50)"], [5.25, -12.5], "($1234.50)"),
        (["$5.25", "$(12.50)"], [5.25, -12.5], "$(1234.50)"),
        (["\u2212$5", "$12"], [-5, 12], "\u2212$1234"),
        (["$\u22125", "$12"], [-5, 12], "$\u22121234"),
        (["51,257.30-", "12.00"], [-51257.3, 12], "1,234.50-"),
        (["\u221212.5", "7.5"], [-12.5, 7.5], "\u22121234.5"),
        (["12,50- €", "7,50 €"], None, None),
    ],
)
def test_negative_numbers_are_read_and_written_as_accounts_do(texts, numbers, written):
    chosen, doubt = found(*texts)
    if numbers is None:
        assert isinstance(chosen, Text)
        return
    assert doubt is None and isinstance(chosen, Number)
    assert chosen.parse(pd.Series(texts, dtype=object)).tolist() == numbers
    value = -1234 if chosen.whole else -1234.5
    assert chosen.write(pd.Series([value, *numbers])) == [written, *texts]
    assert "for -1234" in chosen.unusual


def test_numbers_that_all_stand_in_brackets_are_not_guessed():
    assert "brackets" in found("(1)", "(2)")[1]


def test_many_numbers_with_a_unit_are_an_error_and_few_a_note(tmp_path, stub, capsys):
    rng = np.random.default_rng(0)
    many = [f"{value:.1f} kg" for value in rng.normal(70, 9, 60)]
    error = refused(tmp_path, "w,x\n" + "".join(f"{c},1\n" for c in many), capsys)
    assert "'w'" in error and "'kg'" in error
    assert "--categorical" in error and "--exclude" in error
    mixed = [cell.replace("kg", "lb") if i % 3 else cell for i, cell in enumerate(many)]
    assert "'lb' or 'kg'" in found(*mixed)[1]
    fill(tmp_path, "w,x\n36 months,1\n60 months,2\n36 months,3\n,4\n")
    said = capsys.readouterr().err
    assert "read as categories, for 'months' stands behind the numbers" in said and "'w'" in said


def test_dates_whose_offsets_differ_are_said_to_be_in_utc():
    summer, winter = "2024-10-27T02:00:00+02:00", "2024-10-27T02:00:00+01:00"
    chosen, _ = found(summer, winter)
    assert chosen.unusual == "dates in UTC, for their offsets differ"
    parsed = chosen.parse(pd.Series([summer, winter]))
    assert chosen.write(parsed) == ["2024-10-27T00:00:00+00:00", "2024-10-27T01:00:00+00:00"]
    assert found(summer, summer)[0].unusual == ""


@pytest.mark.parametrize(
    "texts", [["C85", "C123", "B28"], ["1st", "2nd", "3rd"], ["12a", "3", "x"], ["007a", "7-8b"]]
)
def test_codes_are_no_numbers_with_units(texts):
    assert found(*texts) == (Text(), None)


def test_formats_of_dates_that_are_advised_can_be_pasted_into_a_shell():
    doubt = found("01/02/2024 10:00", "03/04/2024 11:00")[1]
    advised = doubt[doubt.index("pass ") + 5 : doubt.index(", or the column")]
    words = shlex.split(advised)
    assert len(words) == 3 and set(words) == {
        "--date-format=%d/%m/%Y %H:%M",
        "or",
        "--date-format=%m/%d/%Y %H:%M",
    }


def test_dates_in_two_forms_are_refused(tmp_path, capsys):
    days = pd.date_range("2024-01-01", periods=40)
    cells = [f"{day:%Y-%m-%d}" if i % 2 else f"{day:%d.%m.%Y}" for i, day in enumerate(days)]
    error = refused(tmp_path, "when,x\n" + "".join(f"{c},1\n" for c in cells), capsys)
    for words in ("'when'", "several forms", "'2024-01-02'", "'01.01.2024'", "--exclude"):
        assert words in error
    assert "several forms" in found("2024-01-31", "2024-02-01", "1 Feb 2024")[1]


def test_whole_numbers_up_to_those_of_64_bits_are_exact():
    texts = [str(2**60 + 1), str(2**63 - 1), str(-(2**63))]
    chosen, doubt = found(*texts)
    assert doubt is None
    values = chosen.parse(pd.Series(texts, dtype=object))
    assert values.dtype == "Int64" and [str(value) for value in values] == texts
    assert chosen.write(values) == texts
    assert found(str(2**63))[0] == Text()


@pytest.mark.parametrize("mark", ["<5", "####", "no idea", "it's", "a,b", '5"'])
def test_advised_options_can_be_pasted_into_a_shell(tmp_path, stub, capsys, mark):
    quoted = '"' + mark.replace('"', '""') + '"'
    text = "a,b\n" + "".join(f"{i},1\n" for i in range(20)) + f"{quoted},1\n"
    error = refused(tmp_path, text, capsys)
    advised = error[error.index("pass --na") + 5 : error.index(" if it means")]
    assert "--exclude" in error
    words = shlex.split(advised)
    assert len(words) == 1
    assert fill(tmp_path, text, *words).splitlines()[-1].split(",")[0] != mark


UNTIL_2262 = pytest.mark.skipif(pd.__version__ < "3", reason="pandas 2 reads no dates after 2262")
FAR = [
    pytest.param("%Y-%m-%d", "9999-12-31", marks=UNTIL_2262),
    ("%d.%m.%Y", "01.01.1970"),
]


@pytest.mark.parametrize(("form", "code"), FAR)
def test_a_date_far_from_all_others_gets_a_hint_in_the_form_of_the_file(
    tmp_path, form, code, capsys
):
    source = tmp_path / "in.csv"
    days = pd.date_range("2021-01-01", periods=40, freq="9D").strftime(form).tolist()
    days[::8] = [code] * 5
    source.write_text("until,x\n" + "".join(f"{day},{i}\n" for i, day in enumerate(days)))
    assert cli.main(["describe", str(source)]) == 0
    said = capsys.readouterr().err
    assert f"hint: {code} stands far from all others in 'until', in 5 cells" in said
    assert cli.main(["describe", str(source), f"--na-values={code}"]) == 0
    said = capsys.readouterr()
    assert "hint" not in said.err and "12.5%" in said.out  # 5 of 40 are missing
    assert cli.main(["impute", str(source), "-o", str(tmp_path / "out.csv")]) == 1
    assert f"but {code} may mean missing" in capsys.readouterr().err


def test_a_code_is_far_by_the_spread_of_the_others_and_in_one_of_200_cells():
    signs, positive = [*range(-5, 20)], [*range(25)]
    assert far_number(pd.Series([*signs, *[-15] * 3])) is None
    assert far_number(pd.Series([*signs, *[-40] * 3])) == (-40, 3)
    assert far_number(pd.Series([*positive, *[-10] * 3])) == (-10, 3)
    many = [*range(30)] * 33
    assert far_number(pd.Series([*many, *[999] * 4])) is None
    assert far_number(pd.Series([*many, *[999] * 5])) == (999, 5)


def test_lines_before_a_line_that_is_too_long_are_no_titles():
    title, names, cells = ["Air"], ["a", "b"], ["1", "2"]
    assert title_rows([title, names, cells, cells]) == 1
    assert title_rows([title, names, ["1", "2", "3"], cells]) == 0


SALES = "shop;sold;cost\na;1,5;20\nb;;10\nc;4;\nd;-0,5;5\n"


@pytest.mark.parametrize("verb", ["describe", "evaluate"])
def test_a_last_row_of_sums_is_told(tmp_path, capsys, verb):
    source = tmp_path / "in.csv"
    source.write_text(SALES + ";5;35\n")
    cli.main([verb, str(source)])
    said = capsys.readouterr().err
    assert "hint: the last row holds the sums of all others in 'sold', 'cost'; leave it out" in said
    source.write_text(SALES + "e;5;36\n")  # one is no sum
    cli.main([verb, str(source)])
    assert "sums of all others" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        ({"x": [1, 2, 4, 7], "y": [0.1, 0.2, 0.3, 0.6]}, ["x", "y"]),
        ({"x": [1, 2, 4, 7], "name": list("abcd")}, []),  # one column, and a row with a name
        ({"x": [1, 2, 4, 7], "y": [1, 1, 1, None]}, ["x"]),
        ({"x": [0, 0, 1, 1], "y": [1, 0, 0, 1]}, []),  # no sum of several
        ({"x": [0, 0, 0, 0], "y": [0, 0, 0, 0]}, []),
        ({"name": [*list("abc"), None]}, []),
        ({"x": [1, 2, 4, 7], "y": pd.to_timedelta([1, 1, 1, None], "h")}, ["x"]),
        ({"x": pd.array([1, 2, None, 3], "Int64"), "y": pd.to_datetime([None] * 4)}, ["x"]),
    ],
)
def test_sums_are_those_of_all_columns_of_numbers(columns, found):
    assert totals_in(pd.DataFrame(columns)) == found
