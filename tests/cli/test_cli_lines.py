"""Lines of empty cells: what the verbs about rows write for them, and how rows are numbered."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from command_line import fill

import maetab
from maetab import cli
from maetab.files.layout import Layout
from maetab.files.text_table import TextTable

rng = np.random.default_rng(0)
SIZE = rng.normal(size=40)
ROWS = [f"k{i:02d},{s:.3f},{2 * s:.2f},{s / 2:.3f}" for i, s in enumerate(SIZE)]
ROWS[30] = "k30,1.500,-9.00,0.750"
FULL = "\n".join(["id,size,twice,half", *ROWS]) + "\n"
LINES = [*ROWS[:5], ",,,", *ROWS[5:12], ",,,", ",,,", *ROWS[12:]]
GAPS = "\n".join(["id,size,twice,half", ",,,", *LINES, ",,,", ",,,"]) + "\n"
PLACES = [i + 1 for i, line in enumerate([",,,", *LINES]) if line != ",,,"]  # of the rows


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("lines") / "m.safetensors"
    frame = pd.read_csv(io.StringIO(FULL)).drop(columns="id")
    maetab.save(maetab.MAEAnomalyDetector(max_iter=0, random_state=0).fit(frame), path)
    return str(path)


def run(tmp_path, text, model, verb, *options):
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text(text)
    command = [verb, str(source), "-o", str(target), "--force", "--model", model, *options]
    assert cli.main(command) == 0
    return pd.read_csv(target, dtype=str, skip_blank_lines=False)


@pytest.mark.parametrize("verb", ["detect", "encode"])
def test_a_line_of_empty_cells_has_a_row_without_results(tmp_path, model, capsys, verb):
    full, gaps = (run(tmp_path, text, model, verb) for text in (FULL, GAPS))
    assert len(full) == 40 and len(gaps) == 44
    if verb == "detect":
        assert gaps.pop("row").tolist() == [str(i + 1) for i in range(44)]
        assert full.pop("row").tolist() == [str(i + 1) for i in range(40)]
    rows = gaps.iloc[[place - 1 for place in PLACES]].reset_index(drop=True)
    pd.testing.assert_frame_equal(rows, full)
    assert gaps.isna().all(axis=1).sum() == 4
    said = capsys.readouterr().err
    assert "6 lines of empty cells only: 4 between the rows, written without results; 2 at" in said


def test_printed_rows_have_the_numbers_of_the_lines(tmp_path, model, capsys):
    run(tmp_path, GAPS, model, "detect", "--top", "1")
    assert capsys.readouterr().out.splitlines()[2].split()[0] == str(PLACES[30])


def test_lines_of_empty_cells_among_the_rows_are_left_unfilled_and_counted(tmp_path, stub, capsys):
    (tmp_path / "in.csv").write_text("a,b\n1,x\n,\n,x\n,\n,\n")
    assert cli.main(["impute", str(tmp_path / "in.csv"), "-o", str(tmp_path / "out.csv")]) == 0
    assert (tmp_path / "out.csv").read_text() == "a,b\n1,x\n,\n1,x\n,\n,\n"
    said = capsys.readouterr().err
    assert "1 between the rows, left unfilled; 2 at the end of the file, passed through" in said


def test_lines_of_empty_cells_stay_in_a_file_of_another_form(tmp_path, stub):
    text = "a,b\n1,x\n,\n,x\n,\n,\n"
    assert fill(tmp_path, text, out="out.tsv") == "a\tb\n1\tx\n\t\n1\tx\n\t\n\t\n"
    pytest.importorskip("pyarrow")
    assert cli.main(["impute", str(tmp_path / "in.csv"), "-o", str(tmp_path / "o.parquet")]) == 0
    frame = pd.read_parquet(tmp_path / "o.parquet")
    assert frame["b"].isna().tolist() == frame["a"].isna().tolist() == [False, True, False]


def test_errors_name_the_row_by_its_line():
    with pytest.raises(ValueError, match="row 3 has 1 cell,"):
        TextTable("a,b\n1,2\n,\n3\n", Layout())
    table = TextTable("a,b\n" + "1,2\n,\n" * 12 + "x,2\n", Layout())
    table.read_types()
    assert "'x' is not (row 25; 1 cell)" in table.doubts["a"]
    assert "limit" not in table.doubts["a"]


def test_a_limit_of_detection_is_not_only_proposed_as_a_mark_of_missing():
    table = TextTable("a,b\n" + "1,2\n3,4\n" * 12 + "x,2\n> 90,2\n", Layout())
    table.read_types()
    assert table.doubts["a"].endswith(
        "'> 90' tells a limit, and as a missing cell is filled with usual values: put a number in "
        "its place first"
    )


def test_lines_before_the_header_are_no_rows_and_before_the_first_row_they_are():
    assert TextTable(",\na,b\n,\n1,2\n", Layout()).index.tolist() == [1]
    assert TextTable(",\n1,2\n", Layout(header=False)).index.tolist() == [1]
    assert TextTable("a,b\n\n1,2\n\n3,4\n", Layout()).index.tolist() == [0, 1]  # blank: no line
