from __future__ import annotations

import contextlib
import csv
import gzip
import io
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from command_line import MedianOrMode, fill, refused

from maetab import cli
from maetab.cli import estimators
from maetab.files.layout import Layout
from maetab.files.text_table import TextTable

WAIT = {"OMP_WAIT_POLICY": "passive"}
SPIN = "GOMP_SPINCOUNT"  # how long a thread of libgomp keeps its core when it has nothing to do


def test_help_imports_neither_torch_nor_sklearn():
    program = (
        "import sys\nfrom maetab import cli\n"
        "try: cli.main(['--help'])\nexcept SystemExit as end: assert end.code == 0\n"
        "print(sorted({'torch', 'sklearn', 'pandas'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr.strip() == "[]"
    assert all(verb in done.stdout for verb in cli.VERBS)


def test_describe_imports_neither_torch_nor_sklearn(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,a\n,b\n")
    program = (
        f"import sys\nfrom maetab import cli\nassert cli.main(['describe', {str(tmp_path)!r}"
        " + '/a.csv']) == 0\nprint(sorted({'torch', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip().endswith("[]"), done.stderr


@pytest.mark.parametrize(
    ("first", "given", "found"),
    [("", {}, "1000"), ("", {SPIN: "77"}, "77"), ("torch", {}, None), ("", WAIT, None)],
)
def test_threads_of_a_command_give_a_busy_core_away_unless_told_otherwise(first, given, found):
    program = (
        f"import os{first and ', '}{first}\nfrom maetab import cli\ncli.main(['info', 'none.pt'])\n"
        f"print(os.environ.get({SPIN!r}))"
    )
    rest = {name: x for name, x in os.environ.items() if name not in (SPIN, *WAIT)}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=rest | given
    )
    assert done.stdout.split() == [str(found)], done.stderr


def test_a_wrong_command_exits_with_2():
    with pytest.raises(SystemExit) as end:
        cli.main(["impute"])
    assert end.value.code == 2


def test_only_missing_cells_of_the_text_change(tmp_path, stub):
    text = (
        '\ufeffid,"size, cm",when,ok,note\r\n'
        '007,1.50,2024-01-31,yes,"said ""hi"""\r\n'
        "008,,2024-02-01,,plain\r\n"
        ",2.50,NA,no,plain\r\n"
        '009, 4.25 ,2024-02-03,yes,"two\nlines"\r\n'
    )
    assert fill(tmp_path, text) == (
        text.replace("008,,2024-02-01,,", "008,2.50,2024-02-01,yes,").replace(
            ",2.50,NA", "007,2.50,2024-02-01"
        )
    )


@pytest.mark.parametrize(
    ("cells", "filled"),
    [
        (["3", "4", ""], "4"),  # whole numbers stay whole
        (["3.0", "5.0", "NA"], "4.0"),  # as pandas writes whole numbers with gaps
        (["0.10", "0.30", ""], "0.20"),  # fixed decimals
        (["0.1", "0.35", ""], "0.22"),  # as many as the longest, zeros left out
        (["1e-5", "3e-5", ""], "2e-5"),
        (["007", "007", "?"], "007"),
        (["true", "true", "false", "null"], "true"),
        (["2024-01-01", "2024-01-03", ""], "2024-01-02"),
        (["2024-01-01T00:00", "2024-01-01T04:00", ""], "2024-01-01T02:00"),
        (["2024-01-01 00:00:00Z", "2024-01-01 00:00:03Z", ""], "2024-01-01 00:00:02Z"),
        (["2024-01-01T00:00:00.000", "2024-01-01T00:00:00.500", ""], "2024-01-01T00:00:00.250"),
        (["12345678901234567890", "12345678901234567890", ""], "12345678901234567890"),
    ],
)
def test_filled_cells_are_written_like_the_others(tmp_path, stub, cells, filled):
    text = "a,b\n" + "".join(f"{cell},1\n" for cell in cells)
    lines = fill(tmp_path, text).splitlines()
    assert lines[-1] == f"{filled},1"
    assert lines[:-1] == text.splitlines()[:-1]


def test_quotes_of_a_column_are_kept_for_its_filled_cells(tmp_path, stub):
    text = '"a","b"\n"x","1"\n"x","3"\n"","3"\n"y",""\n'
    assert fill(tmp_path, text) == '"a","b"\n"x","1"\n"x","3"\n"x","3"\n"y","3"\n'


def test_cells_are_cut_as_the_csv_module_cuts_them(tmp_path):
    from maetab.files.layout import Layout
    from maetab.files.text_table import TextTable

    rng = np.random.default_rng(0)
    alphabet = ["a", '"', ",", "\n", " ", "", "7", "é"]
    rows = [["".join(rng.choice(alphabet, 4)) for _ in range(3)] for _ in range(200)]
    out = io.StringIO(newline="")
    csv.writer(out).writerows([["x", "y", "z"], *rows])
    table = TextTable(out.getvalue(), Layout())
    assert [[table.texts(name)[i] for name in "xyz"] for i in range(200)] == rows
    assert table.to_text(Layout()) == out.getvalue()


def test_a_complete_file_comes_back_byte_for_byte_without_a_fit(tmp_path, stub):
    text = "a;b\n1,5;x\n2,50;y"
    assert fill(tmp_path, text, "--delimiter", ";", "--decimal", ",") == text
    assert stub == []


def test_decimal_comma_is_read_and_written(tmp_path, stub):
    filled = fill(tmp_path, "a;b\n1,50;x\n2,50;y\n;y\n", "--delimiter", ";", "--decimal", ",")
    assert filled == "a;b\n1,50;x\n2,50;y\n2,00;y\n"


def test_excluded_empty_and_free_text_columns_pass_through(tmp_path, stub, capsys):
    rows = [f"{i},name {i},,{i % 3 or ''}" for i in range(40)]
    text = "\n".join(["key,name,void,x", *rows]) + "\n"
    filled = pd.read_csv(io.StringIO(fill(tmp_path, text, "--exclude", "key")), dtype=str)
    before = pd.read_csv(io.StringIO(text), dtype=str)
    pd.testing.assert_frame_equal(filled.drop(columns="x"), before.drop(columns="x"))
    assert filled["x"].notna().all()
    assert stub[0].seen_ == ["x"]
    messages = capsys.readouterr().err
    assert "'void'" in messages and "'name'" in messages


def test_columns_limits_what_is_filled_but_not_what_is_seen(tmp_path, stub):
    assert fill(tmp_path, "a,b\n1,\n,2\n3,2\n", "--columns", "a") == "a,b\n1,\n2,2\n3,2\n"
    assert stub[0].seen_ == ["a", "b"]


def test_na_values_add_to_the_usual_ones_and_only_na_values_replace_them(tmp_path, stub):
    text = "country,x\nNA,1\nFR,-999\nFR,3\n,2\n"
    filled = "country,x\nFR,1\nFR,2\nFR,3\nFR,2\n"
    assert fill(tmp_path, text, "--na-values=-999") == filled
    only = fill(tmp_path, text, "--only-na-values=-999", "--force")
    assert only == "country,x\nNA,1\nFR,2\nFR,3\nFR,2\n"


def test_categorical_keeps_codes_apart(tmp_path, stub):
    assert fill(tmp_path, "a,b\n1,x\n1,x\n9,x\n,x\n", "--categorical", "a").endswith("9,x\n1,x\n")


def test_gzip_and_tsv_and_parquet_go_by_the_suffix(tmp_path, stub):
    tsv = fill(tmp_path, 'a,b\n1,x\n,"p\tq"\n', out="out.tsv")
    assert tsv == 'a\tb\n1\tx\n1\t"p\tq"\n'
    packed = gzip.compress(b"a,b\n1,x\n,y\n")
    source, target = tmp_path / "in.csv.gz", tmp_path / "out.parquet"
    source.write_bytes(packed)
    assert cli.main(["impute", str(source), "-o", str(target)]) == 0
    frame = pd.read_parquet(target)
    assert frame["a"].tolist() == [1, 1] and frame["b"].tolist() == ["x", "y"]


def test_parquet_keeps_its_types_and_untouched_columns(tmp_path, stub):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = pa.table(
        {
            "whole": pa.array([1, None, 3], pa.int16()),
            "real": pa.array([1.5, 2.5, None], pa.float32()),
            "day": pa.array([0, 2, None], pa.date32()),
            "word": pa.array(["a", None, "a"]).dictionary_encode(),
            "text": pa.array(["a", None, "a"], pa.large_string()),
            "yes": pa.array([True, None, True]),
        }
    )
    parquet.write_table(table, tmp_path / "in.parquet")
    code = cli.main(["impute", str(tmp_path / "in.parquet"), "-o", str(tmp_path / "o.parquet")])
    assert code == 0
    filled = parquet.read_table(tmp_path / "o.parquet")
    assert filled.schema.equals(table.schema)
    assert filled.column("whole").to_pylist() == [1, 2, 3]
    assert filled.column("real").to_pylist() == [1.5, 2.5, 2.0]
    assert [day.day for day in filled.column("day").to_pylist()] == [1, 3, 2]
    assert filled.column("word").to_pylist() == filled.column("text").to_pylist() == ["a"] * 3
    assert filled.column("yes").to_pylist() == [True] * 3


def test_parquet_keeps_the_levels_of_categories(tmp_path, stub):
    pytest.importorskip("pyarrow")
    sizes = pd.CategoricalDtype(["small", "big", "huge"], ordered=True)
    frame = pd.DataFrame({"size": pd.Series(["big", None, "small", "big"], dtype=sizes)})
    frame.index = pd.Index([3, 5, 7, 9], name="key")
    frame.to_parquet(tmp_path / "in.parquet")
    out = tmp_path / "o.parquet"
    assert cli.main(["impute", str(tmp_path / "in.parquet"), "-o", str(out)]) == 0
    pd.testing.assert_frame_equal(pd.read_parquet(out), frame.fillna("big"))
    assert stub[0].seen_ == ["size"]  # the index is no column


def test_standard_streams_carry_csv(tmp_path, stub, monkeypatch, capfdbinary):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a,b\n1,x\n,y\n")))
    assert cli.main(["impute", "-", "-o", "-"]) == 0
    out, err = capfdbinary.readouterr()
    assert out == b"a,b\n1,x\n1,y\n"
    assert b"1 cell filled" in err


def test_an_existing_file_is_overwritten_only_by_force(tmp_path, stub, capsys):
    (tmp_path / "out.csv").write_text("mine")
    (tmp_path / "in.csv").write_text("a,b\n1,x\n,y\n")
    command = ["impute", str(tmp_path / "in.csv"), "-o", str(tmp_path / "out.csv")]
    with pytest.raises(SystemExit) as end:
        cli.main(command)
    assert end.value.code == 2 and "--force" in capsys.readouterr().err
    assert (tmp_path / "out.csv").read_text() == "mine"
    assert cli.main([*command, "--force"]) == 0
    assert (tmp_path / "out.csv").read_text() == "a,b\n1,x\n1,y\n"


def test_errors_are_one_line_that_names_the_place(tmp_path, stub, capsys):
    text = "a,b\n" + "".join(f"{i},1\n" for i in range(30)) + "unknown,1\n"
    error = refused(tmp_path, text, capsys)
    assert "'a'" in error and "'unknown'" in error and "row 31" in error and "--na-values" in error
    assert "row 2 has 1 cell," in refused(tmp_path, "a,b\n1,2\n3\n", capsys)
    assert "no column 'z'" in refused(tmp_path, "a,b\n1,2\n", capsys, "--exclude", "z")
    assert "no rows" in refused(tmp_path, "a,b\n", capsys)
    assert "is empty" in refused(tmp_path, "", capsys)


def test_a_mistaken_number_is_read_as_missing_on_request(tmp_path, stub):
    text = "a,b\n" + "1,1\n" * 30 + "unknown,1\n"
    assert fill(tmp_path, text, "--na-values", "unknown").endswith("\n1,1\n")


def test_a_saved_model_decides_the_columns_and_their_types(tmp_path, monkeypatch, capsys):
    fitted = pd.DataFrame(
        {"x": [1.5, 2.5], "y": [True, True], "d": pd.to_datetime(["2024-01-02"] * 2)}
    )
    monkeypatch.setattr(estimators, "load_estimator", lambda *_: MedianOrMode().fit(fitted))
    text = "new,d,x,y\n007,2024-01-01,1,False\n9,,,\n008,2024-01-03,3,True\n"
    filled = fill(tmp_path, text, "--model", "m.safetensors")
    assert filled == text.replace("9,,,", "9,2024-01-02,2,True")
    (tmp_path / "out.csv").unlink()
    capsys.readouterr()
    error = refused(tmp_path, "d,x,y\n,old,\n", capsys, "--model", "m.safetensors")
    assert "'x' holds numbers" in error and "'old'" in error
    error = refused(tmp_path, "x,y\n1,\n", capsys, "--model", "m.safetensors")
    assert "the model m.safetensors needs the column 'd'" in error


def test_describe_lists_kinds_and_missing_cells(tmp_path, capsys):
    (tmp_path / "a.csv").write_text("n,d,c\n1,2024-01-01,x\n,2024-01-03,\n3,,x\n4,,y\n")
    assert cli.main(["describe", str(tmp_path / "a.csv")]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "4 rows, 3 columns"
    assert lines[2].startswith("n whole number") and lines[2].endswith("1 25.0% 1 to 4")
    assert lines[3].startswith("d datetime") and "2 50.0% 2024-01-01" in lines[3]
    assert lines[4].startswith("c category") and lines[4].endswith("1 25.0% x 2, y 1")


def test_the_whole_way_with_a_real_model(tmp_path, capsys):
    rng = np.random.default_rng(0)
    size = rng.normal(size=60)
    lines = [f"{s:.3f},{2 * s:.2f},{'big' if s > 0 else 'small'}" for s in size]
    lines[3], lines[4] = f"{size[3]:.3f},,", f",{2 * size[4]:.2f},NA"
    source, first, second = (str(tmp_path / name) for name in ("in.csv", "1.csv", "2.csv"))
    model = str(tmp_path / "m.safetensors")
    (tmp_path / "in.csv").write_text("size,twice,word\n" + "\n".join(lines) + "\n")
    quick = ["--max-time", "1"]
    assert cli.main(["impute", source, "-o", first, "--save", model, *quick]) == 0
    assert cli.main(["impute", source, "-o", second, "--model", model]) == 0
    filled = (tmp_path / "1.csv").read_text().splitlines()
    assert filled == (tmp_path / "2.csv").read_text().splitlines()
    changed = [i for i, line in enumerate(lines) if filled[i + 1] != line]
    assert changed == [3, 4]
    assert filled[4].split(",")[2] in ("big", "small")
    capsys.readouterr()
    assert cli.main(["info", model]) == 0
    assert "class: MAEImputer" in capsys.readouterr().out
    assert cli.main(["evaluate", source, "--cv", "2", "--compare", "mean", *quick]) == 0
    out = capsys.readouterr().out
    assert "maetab" in out and "mean of the columns" in out
    assert cli.main(["info", source]) == 1


def test_the_demo_writes_the_table_it_filled(tmp_path, capsys):
    target = tmp_path / "filled.csv"
    assert cli.main(["demo", "-o", str(target), "--max-time", "1"]) == 0
    assert pd.read_csv(target).notna().all(axis=None)
    assert "chained regression" in capsys.readouterr().out


def test_version_is_that_of_the_package(capsys):
    import maetab

    with pytest.raises(SystemExit) as end:
        cli.main(["--version"])
    assert end.value.code == 0 and capsys.readouterr().out == f"maetab {maetab.__version__}\n"


@pytest.mark.parametrize(
    ("text", "n_rows"),
    [("a\n1\n\n3\n5\n", 4), ("a,b\n1,2\n\n3,\n5,6\n\n\n7,8\n", 4), ("a\n1\n2\n\n\n", 2)],
)
def test_blank_lines_stay(tmp_path, text, n_rows):
    table = TextTable(text, Layout())
    assert len(table) == n_rows
    assert table.to_text(Layout()) == text


def test_where_a_result_cannot_go_is_said_before_anything_is_fitted(tmp_path, capsys, stub):
    source = tmp_path / "in.csv"
    source.write_text("a,b\n1,2\n,3\n4,5\n")
    for target, said in (("none/out.csv", "there is no folder"), ("out.doc", "unknown suffix")):
        with contextlib.suppress(SystemExit):
            assert cli.main(["impute", str(source), "-o", str(tmp_path / target)]) != 0
        assert said in capsys.readouterr().err
    assert cli.main(["impute", str(source), "-o", "-", "--encoding", "foo"]) == 1
    assert "unknown encoding: foo" in capsys.readouterr().err
    assert not stub
