"""`maetab.report`: the page as a whole, read back from its HTML."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from maetab import MAEImputer, report
from maetab.page import judged, methods, strange
from maetab.page.filled import fill_table

NO_NETWORK = re.compile(r"https?:|//\w|@import|url\(|src=|javascript:", re.IGNORECASE)


def test_the_page_is_well_formed_and_ids_are_unique(hostile_page, read_page):
    page = read_page(hostile_page)
    ids = [given["id"] for _, given in page.elements if "id" in given]
    assert len(ids) == len(set(ids))
    links = {given["href"][1:] for given in page.all("a")}
    assert links <= set(ids)
    labels = {given["aria-labelledby"] for given in page.all("section")}
    assert labels <= set(ids) and len(labels) == 6


def test_nothing_of_the_users_becomes_an_element_and_nothing_is_loaded(hostile_page, read_page):
    page = read_page(hostile_page)
    assert not {"script", "img", "i", "link", "iframe"} & {name for name, _ in page.elements}
    assert not [key for _, given in page.elements for key in given if key.startswith("on")]
    markup = hostile_page.replace("&lt;/", "")
    assert not NO_NETWORK.search(markup)
    assert "default-src 'none'" in page.all("meta")[1]["content"]
    assert page.of("h1") == "<script>title</script>"
    assert "👩\u200d🔬 emoji" in page.text
    assert "n" * 100 not in page.text


def test_the_page_can_be_heard(hostile_page, read_page):
    page = read_page(hostile_page)
    assert page.all("html")[0]["lang"] == "en"
    shown = [given for given in page.all("svg") if given.get("aria-hidden") != "true"]
    assert shown and all(given["role"] == "img" and given["aria-label"] for given in shown)
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(given["scope"] in ("col", "row") for given in page.all("th"))
    levels = [int(name[1]) for name, _ in page.elements if re.fullmatch(r"h\d", name)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_the_same_call_gives_the_same_page(hostile_page, hostile, quick):
    with pytest.warns(UserWarning, match="free text"):
        again = report(hostile, quick, title="<script>title</script>", top=3)
    assert again == hostile_page


def test_the_page_counts_what_pandas_counts(hostile_page, hostile, read_page):
    text = read_page(hostile_page).text
    n_missing = int(hostile.isna().to_numpy().sum())
    complete = int(hostile.notna().all(axis=1).sum())
    assert f"{n_missing} of {hostile.size} cells are missing" in text
    assert f"{complete} of 60 rows are complete" in text
    # Free text, which misses nothing, is no cell of the model.
    assert f"Of 240 cells {n_missing} ({n_missing / 240:.1%}) were missing; all were" in text
    first = hostile_page.split("Patterns: which")[-1].split("<tbody>")[1].split("</tr>")[0]
    patterns = hostile.isna().value_counts()
    assert f">{patterns.iloc[0]}<" in first and f">{patterns.iloc[0] / 60:.1%}<" in first


def test_the_row_with_a_wild_cell_is_named_the_strangest(hostile_page):
    first = hostile_page.split('id="strange"')[1].split("<tbody>")[1].split("</tr>")[0]
    assert "<bdi>7</bdi>" in first and "<bdi>900</bdi>" in first


@pytest.mark.parametrize(
    ("cell", "told"),
    [(2.5, "2.5"), (3.0, "3"), (2**62 + 1, str(2**62 + 1)), (-1 / 3, "-0.3333333"), (True, "True")],
)
def test_cells_of_strange_rows_are_told_as_they_are(cell, told):
    assert str(strange._cell(cell)) == f"<bdi>{told}</bdi>"


def test_the_score_of_a_strange_row_is_told_once_beside_its_first_cell():
    facts = {"value": 1.0, "expected": 2.0, "surprise": 3.0, "reason": ""}
    lines = [(4, -7.0, "a"), (4, -7.0, "b"), (9, -2.0, "a")]
    reasons = pd.DataFrame([{"row": f"no. {i}", "position": i, "score": score, "column": name}
                            | facts for i, score, name in lines])  # fmt: skip
    told = re.findall(r"no. (\d)</bdi></t[hd]><td[^>]*>(.*?)</td>", str(strange._reasons(reasons)))
    assert told == [("4", "-7.00"), ("4", ""), ("9", "-2.00")]


def test_a_complete_table_has_nothing_missing_and_nothing_filled(quick, read_page):
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.normal(size=(40, 2)), columns=["a", "b"])
    before = frame.copy()
    text = read_page(report(frame, quick, frac=0, top=0)).text
    assert "No cell is missing." in text and "No cell was filled." in text
    assert "Not measured" in text and "Not looked for." in text
    pd.testing.assert_frame_equal(frame, before)


def test_a_bin_of_all_larger_numbers_is_named_so(quick, read_page):
    cells = [*range(300), 5000, None]
    page = read_page(report(pd.DataFrame({"x": cells, "y": range(302)}), quick, frac=0, top=0))
    ends = re.findall(r"([<≥]) (\d+)", page.of("text"))
    assert [sign for sign, _ in ends] == ["<", "≥"]
    assert 250 < int(ends[1][1]) < 300


def test_a_table_without_any_cell_has_a_page(quick, read_page):
    with pytest.warns(UserWarning, match="no observed cell"):
        text = read_page(report(pd.DataFrame({"a": [np.nan] * 5}), quick)).text
    assert "5 of 5 cells are missing" in text and "Not looked for." in text


def test_wide_tables_are_judged_by_fewer_rows_and_the_page_says_so(quick, read_page, monkeypatch):
    monkeypatch.setattr(judged, "MOST_CELLS", 100)
    monkeypatch.setattr(judged, "LEAST_ROWS", 10)
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 4)), columns=list("abcd"))
    text = read_page(report(frame, quick, top=0)).text
    assert "In 25 rows of 60 (drawn at random) 20%" in text


def test_zones_of_times_long_numbers_and_long_parameters_are_told(quick, read_page):
    when = pd.date_range("2024-01-01", periods=30, freq="h", tz="Europe/Berlin")
    frame = pd.DataFrame({"when": when, "far": np.r_[np.arange(29) * 1e300, 1e302]})
    text = read_page(report(frame, quick, frac=0, top=30)).text
    assert "2023-12-31 23:00:00 to 2024-01-02 04:00:00 UTC" in text
    assert "1e+302" in text and not re.search(r"\d{30}", text)
    assert repr(quick.guess) in text


def test_the_file_holds_the_page_and_is_replaced(quick, tmp_path):
    path = tmp_path / "page.html"
    path.write_text("old")
    frame = pd.DataFrame({"a": [1.0, 2.0, np.nan] * 8, "b": list("xyz") * 8})
    page = report(frame, quick, to=path, frac=0, top=0)
    assert path.read_text(encoding="utf-8") == page
    assert [x.name for x in tmp_path.iterdir()] == ["page.html"]


@pytest.mark.parametrize(("name", "error"), [("a.pdf", ValueError), ("no/a.html", OSError)])
def test_a_file_that_cannot_be_the_page_is_refused_before_a_fit(tmp_path, name, error):
    with pytest.raises(error, match="'to'"):
        report(pd.DataFrame(), to=tmp_path / name)


def test_the_imputer_that_is_given_stays_unfitted(quick):
    frame = pd.DataFrame({"a": [1.0, 2.0, np.nan] * 8, "b": list("xyz") * 8})
    report(frame, quick, frac=0, top=0)
    assert not hasattr(quick, "model_")


@pytest.mark.parametrize(
    "wrong, named",
    [
        ({"frac": 1.0}, "'frac' must be a number in"),
        ({"top": -1}, "'top' must be an int of at least 0"),
        ({"n_columns": 0}, "'n_columns' must be an int of at least 1"),
        ({"random_state": "x"}, "random_state"),
        ({"imputer": MAEImputer(missing_values=-1)}, "missing_values=-1"),
        ({"imputer": MAEImputer(add_indicator=True)}, "add_indicator=False"),
    ],
)
def test_parameters_that_cannot_be_are_named(wrong, named):
    with pytest.raises(ValueError, match=named):
        report(pd.DataFrame({"a": [1.0, 2.0]}), **wrong)


def test_another_kind_of_estimator_is_refused():
    with pytest.raises(TypeError, match="'imputer' must be an MAEImputer, got str"):
        report(pd.DataFrame({"a": [1.0, 2.0]}), "mean")  # type: ignore[arg-type]


def test_what_is_filled_is_what_the_imputer_fills(hostile, quick):
    with pytest.warns(UserWarning, match="free text"):
        done = fill_table(hostile, quick)
        filled = clone(quick).fit_transform(hostile)
    pd.testing.assert_frame_equal(done.filled, filled)
    at = done.missing & ~done.left
    assert at.sum() == hostile.isna().to_numpy().sum() and not done.left.any()
    column = hostile.columns[0]
    np.testing.assert_allclose(done.after[:, 0], filled[column], rtol=1e-6)
    np.testing.assert_array_equal(np.isnan(done.before[:, 0]), hostile[column].isna())


def test_what_was_done_is_told_without_the_columns_that_no_model_reads(hostile, quick):
    frame = hostile.copy()
    frame.loc[:3, "note"] = None
    with pytest.warns(UserWarning, match="free text"):
        done = fill_table(frame, quick)
    n_missing = int(frame.drop(columns="note").isna().to_numpy().sum())
    told = methods._data(done)
    assert told.startswith("The data had 60 rows and 4 columns that were modelled")
    assert f"Of 240 cells {n_missing} ({n_missing / 240:.1%}) were missing; all were" in told


def test_what_was_done_tells_whether_networks_were_trained_and_what_was_changed(hostile):
    frame = hostile.iloc[:, :3]
    for max_iter, words in ((0, "no network was trained"), (1, "a residual network trained")):
        done = fill_table(frame, MAEImputer(preset="fast", max_iter=max_iter, random_state=7))
        assert words in methods._model(done) and "seed 7" in methods._model(done)
        wanted = {"preset": "fast", "max_iter": max_iter, "random_state": 7}
        assert methods._changed(done) == wanted
