"""`maetab report`: which table and options reach the page, and where it is written."""

from __future__ import annotations

import pytest
from models import QUICK

from maetab import cli
from maetab.page import report as page

ROWS = "".join(f"{i},{'ab'[i % 2]},{i % 5 or ''}\n" for i in range(1, 31))
CSV = f"id,kind,size\n{ROWS}"


@pytest.fixture
def asked(monkeypatch):
    """What the page was asked for, in place of a page."""
    given: dict = {}

    def note(frame, imputer, **options):
        given.update(options, frame=frame, imputer=imputer)
        return "<!DOCTYPE html>\u00e9"

    monkeypatch.setattr(page, "report", note)
    return given


def run(tmp_path, *options, text=CSV):
    source = tmp_path / "in.csv"
    source.write_text(text)
    return cli.main(["report", str(source), "-o", str(tmp_path / "out.html"), *options])


def test_a_page_is_not_written_to_a_file_of_another_kind(tmp_path, asked, capsys):
    with pytest.raises(SystemExit):
        run(tmp_path, "-o", str(tmp_path / "out.pdf"))
    assert "out.pdf: the page is HTML" in capsys.readouterr().err and not asked


def test_the_size_of_a_small_page_is_not_zero(tmp_path, asked, monkeypatch, capsys):
    for n_bytes, told in ((28_186, "28 kB"), (2_340_000, "2.3 MB")):
        monkeypatch.setattr(page, "report", lambda *_, n=n_bytes, **__: "x" * n)
        assert run(tmp_path, "--force") == 0
        assert told in capsys.readouterr().err


def test_the_table_and_the_options_reach_the_page(tmp_path, asked):
    words = ["--exclude", "id", "--top", "4", "--reasons", "2", "--frac", "0.1", "--seed", "7"]
    assert run(tmp_path, *words) == 0
    assert list(asked["frame"]) == ["kind", "size"]
    assert asked["frame"].index.tolist() == list(range(1, 31))
    assert (asked["top"], asked["n_columns"], asked["frac"]) == (4, 2, 0.1)
    assert (asked["random_state"], asked["imputer"].random_state) == (7, 7)
    assert asked["imputer"].preset == "fast" and asked["title"] == "Report on in.csv"
    assert (tmp_path / "out.html").read_text(encoding="utf-8") == "<!DOCTYPE html>\u00e9"


def test_options_of_series_reach_the_imputer(tmp_path, asked):
    days = "".join(f"2024-01-{day:02},{day % 7 or ''}\n" for day in range(1, 31))
    words = ["--time", "when", "--window", "7", "--max-gap", "3", "--no-edges"]
    assert run(tmp_path, *words, text=f"when,load\n{days}") == 0
    imputer = asked["imputer"]
    assert (imputer.window, imputer.time, imputer.max_gap, imputer.edges) == (7, "when", 3, False)
    assert list(asked["frame"]) == ["when", "load"]


@pytest.mark.parametrize("constant", [False, True])
def test_free_text_is_told_once_and_nothing_else_is_lost(tmp_path, monkeypatch, capsys, constant):
    def fit(frame, imputer, **_):
        imputer.set_params(guess=QUICK, max_iter=0).fit(frame)
        return "page"

    monkeypatch.setattr(page, "report", fit)
    lines = [f"n{i}x,{'a' if constant else 'ab'[i % 2]},{i % 5 or ''}\n" for i in range(30)]
    assert run(tmp_path, text="name,kind,size\n" + "".join(lines)) == 0
    said = capsys.readouterr().err
    assert "column 'name': free text, 30 different ones" in said
    assert ("categorical_features" in said) == ("'kind' is constant" in said) == constant


def test_a_page_that_exists_stays_without_force(tmp_path, asked, capsys):
    (tmp_path / "out.html").write_text("old")
    with pytest.raises(SystemExit) as ended:
        run(tmp_path)
    assert ended.value.code == 2 and "--force" in capsys.readouterr().err
    assert (tmp_path / "out.html").read_text() == "old" and not asked
    assert run(tmp_path, "--force") == 0
    assert (tmp_path / "out.html").read_text(encoding="utf-8") != "old"


def test_the_page_can_go_to_standard_output(tmp_path, asked, capsys):
    source = tmp_path / "in.csv"
    source.write_text(CSV)
    assert cli.main(["report", str(source), "-o", "-"]) == 0
    assert capsys.readouterr().out == "<!DOCTYPE html>\u00e9"


@pytest.mark.parametrize(
    "text, words, named",
    [
        ("a,b\n", [], "the file has columns but no rows"),
        ("a,b\n1,\n,2\n", ["--exclude", "c"], "there is no column 'c'"),
        ("a,b\n,\n,\n1,2\n", [], "a minimum of 2 is required by report"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path, capsys, text, words, named):
    assert run(tmp_path, *words, text=text) == 1
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("maetab report: ") and named in last
    assert not (tmp_path / "out.html").exists()


def test_a_file_becomes_a_page(tmp_path, capsys):
    assert run(tmp_path, "--exclude", "id", "--frac", "0.2", "--top", "1", "--max-time", "1") == 0
    text = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>") and "<h1>Report on in.csv</h1>" in text
    assert "6 of 60 cells are missing" in text
    assert "30 rows reported" in capsys.readouterr().err
