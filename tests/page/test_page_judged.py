"""How well cells are filled, and distributions, by other ways of computing."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from maetab.data.columns import Column
from maetab.data.schema import infer_schema
from maetab.evaluation import amputate
from maetab.page import shapes
from maetab.page.columns import bins_of, counted_in, summary_of
from maetab.page.filled import fill_table, spelled
from maetab.page.gaps import _named, _pairs, _shares
from maetab.page.judged import _coverage, _marked, _rows, judge
from maetab.page.markup import Markup


@pytest.fixture(scope="module")
def done(quick):
    rng = np.random.default_rng(0)
    x = rng.normal(size=120)
    frame = pd.DataFrame({"x": x, "y": 3 * x, "level": np.where(x > 0, "up", "down")})
    frame.loc[:9, "y"] = np.nan
    return fill_table(frame, quick)


def test_the_error_of_the_median_is_that_of_the_median(done):
    judged = judge(done, 0.3, 4)
    frame = done.frame
    holes, hidden = amputate(frame, "mcar", 0.3, random_state=4)
    away = frame["y"][hidden["y"]] - holes["y"].median()
    by_hand = np.sqrt(np.mean(away**2)) / holes["y"].std(ddof=0)
    scores = judged.scores.set_index("column")
    assert scores.loc["y", "median"] == pytest.approx(by_hand, rel=1e-3)
    mode = holes["level"].mode()[0]
    share = (frame["level"][hidden["level"]] == mode).mean()
    assert scores.loc["level", "median"] == pytest.approx(share)
    assert judged.n_hidden == hidden.to_numpy().sum() == scores["n_cells"].sum()
    assert judged.means("rmse")["maetab"] < judged.means("rmse")["median"]


def test_coverage_is_of_numbers_alone(done):
    judged = judge(done, 0.3, 4)
    assert set(judged.coverage) == {"x", "y"}
    assert all(0.5 < share <= 1 for share in judged.coverage.values())


def test_the_ends_of_an_interval_are_inside_it(done):
    truth = np.array([[1.0, 1.0, 0.0], [2.0, 1.0, 0.0], [3.0, 9.0, 0.0]])
    cells = [truth, np.full((3, 3), 1.0), np.full((3, 3), 2.0)]
    hidden = np.ones((3, 3), dtype=bool)
    hidden[2, 1] = False
    assert _coverage(cells, hidden, done.columns) == {"x": pytest.approx(2 / 3), "y": 1.0}


def test_observed_and_filled_cells_are_each_counted_by_their_own_number(done, monkeypatch):
    drawn = []
    monkeypatch.setattr(shapes, "two_histograms", lambda *given: drawn.append(given) or Markup(""))
    shapes.shapes_section(done)
    (seen, filled, *_), column = drawn[0], done.columns[1]
    edges, _ = bins_of(done.before[10:, 1], column)
    assert seen == pytest.approx(counted_in(done.before[10:, 1], edges) / 110)
    assert filled == pytest.approx(counted_in(done.after[:10, 1], edges) / 10)


def test_nothing_is_judged_where_nothing_is_hidden(done, quick):
    assert judge(done, 0, 4) is None
    few = fill_table(pd.DataFrame({"a": [1.0, 3.0, None], "b": [None, 2.0, 5.0]}), quick)
    assert judge(few, 0.01, 4) is None  # none was drawn


def test_of_many_rows_those_that_are_judged_are_drawn_from_all_of_them():
    long = SimpleNamespace(layout=None, frame=range(9000), columns=[None] * 50)
    first, again, other = (_rows(long, seed) for seed in (0, 0, 1))
    assert len(first) == 2000 and (np.diff(first) > 0).all()
    assert (first[[0, -1]] // 100).tolist() == [0, 89]
    assert (first == again).all() and (first != other).any()


@pytest.mark.parametrize(
    "cells",
    [[1, 2, 2, 7], [0.5, 0.25, 1e9], ["b", "a", "a"], [3.0, 3.0], list(range(500))],
)
def test_every_cell_is_in_one_bin(cells):
    column = infer_schema(pd.DataFrame({"x": cells}), ["x"] if cells[0] == "b" else "auto").columns[
        0
    ]
    values = pd.factorize(np.array(cells))[0] if cells[0] == "b" else np.array(cells, float)
    edges, _ = bins_of(values, column)
    counts = counted_in(np.append(values, values.max() + 1e6), edges)
    assert counts.sum() == len(cells) + 1 and len(counts) == len(edges) - 1
    assert (np.diff(edges) > 0).all()


@pytest.mark.parametrize("step", [1, 0.1])
def test_bins_hold_as_many_points_of_the_grid_each(step):
    cells = (17 + np.arange(72)) * step
    cells = cells.astype(int) if step == 1 else cells.round(1)
    column = infer_schema(pd.DataFrame({"x": cells})).columns[0]
    edges, _ = bins_of(cells.astype(float), column)
    assert counted_in(cells, edges).tolist() == [3] * 24


def test_a_cell_at_an_edge_is_in_the_bin_that_begins_there():
    cells, edges = np.array([-5.0, 0.0, 1.0, 1.0, 2.0, 9.0]), np.array([0.0, 1.0, 2.0])
    assert counted_in(cells, edges).tolist() == [2, 4]  # beyond the edges in the outermost


def test_the_outermost_bins_are_named_by_the_numbers_that_they_end_before_and_begin_with():
    cells = np.r_[0, np.repeat(np.arange(100, 120), 30), 900]
    column = infer_schema(pd.DataFrame({"x": cells})).columns[0]
    edges, _ = bins_of(cells.astype(float), column)
    done = SimpleNamespace(columns=[column])
    assert shapes._ends(edges, done, 0) == ("< 101", "≥ 119")
    counts = counted_in(cells, edges)
    assert [counts[0], counts[-1]] == [(cells < 101).sum(), (cells >= 119).sum()]


@pytest.mark.parametrize("cells", [["a", "a", "a"], [3, 3, 3]])
def test_a_single_bar_has_one_name(cells):
    column = infer_schema(pd.DataFrame({"x": cells})).columns[0]
    values = np.zeros(3) if cells[0] == "a" else np.array(cells, float)
    named = shapes._ends(bins_of(values, column)[0], SimpleNamespace(columns=[column]), 0)
    assert named == (str(cells[0]), "")


def test_what_single_precision_makes_of_zero_is_written_as_zero():
    several, one = infer_schema(pd.DataFrame({"x": [0.1, 11.9, 2], "y": 1e-9})).columns
    assert [spelled(x, several) for x in (-3.6e-8, 0.1, -0.5)] == ["0", "0.1", "-0.5"]
    assert spelled(1e-9, one) == "1e-09"


def test_whole_numbers_beyond_double_precision_are_written_as_they_are(quick):
    frame = pd.DataFrame({"id": pd.array([2**60 + i for i in range(30)], dtype="Int64"), "x": 1.5})
    frame["x"] += np.arange(30)
    done = fill_table(frame, quick)
    assert [spelled(x, done.columns[0]) for x in done.before[:3, 0]] == [
        str(2**60 + i) for i in range(3)
    ]


def test_large_numbers_that_differ_little_are_written_apart():
    frame = pd.DataFrame({"id": 10**9 + np.arange(50), "hPa": 1012 + np.arange(50) / 50})
    whole, pressure = infer_schema(frame).columns
    assert [spelled(x, whole) for x in (1e9, 1e9 + 24, 1e9 + 49.0000008)] == [
        "1000000000",
        "1000000024",
        "1000000049",
    ]
    assert [spelled(x, pressure) for x in (1012.02, 1012.25)] == ["1012.02", "1012.25"]


def test_summaries_say_the_median_or_the_commonest_level():
    frame = pd.DataFrame({"x": [1.0, 2.0, 9.0], "level": ["u", "u", "d"]})
    number, level = infer_schema(frame, ["level"]).columns
    told = "median 50, half of them from 25 to 75"
    assert summary_of(np.arange(101.0), number) == told
    assert summary_of(np.array([0.0, 0.0, 1.0]), level) == "u in 67%"


@pytest.mark.parametrize(("less_is_better", "best"), [(True, "0.200"), (False, "0.500")])
def test_the_best_of_a_row_is_bold(less_is_better, best):
    shown = _marked([0.5, 0.2, 0.4], less_is_better)
    assert [str(x) for x in shown if isinstance(x, Markup)] == [f"<b>{best}</b>"]


def test_pairs_are_told_with_the_rows_that_miss_both_those_that_exclude_each_other_too():
    missing = pd.DataFrame(False, index=range(20), columns=list("wabc"))
    missing.loc[:5, "a"] = missing.loc[3:7, "b"] = missing.loc[7:, "c"] = True
    columns = [Column(name, "number", "float64") for name in "wabc"]
    done = SimpleNamespace(missing=missing.to_numpy(), columns=columns)
    told = str(_pairs(done, np.array([1, 2, 3])))
    cell = r"<bdi>(\w)</bdi></t[hd]><td><bdi>(\w)</bdi></td>" + 2 * r'<td class="number">(.*?)</td>'
    found = missing[list("abc")].astype(float).corr()
    pairs = sorted(["ab", "ac", "bc"], key=lambda pair: -abs(found.loc[*pair]))
    assert re.findall(cell, told) == [
        (x, y, f"{found.loc[x, y]:.2f}", str((missing[x] & missing[y]).sum())) for x, y in pairs
    ]
    assert found.min(axis=None) < -0.5 and pairs != ["ab", "ac", "bc"]


def test_columns_stand_with_their_own_share_the_emptiest_first():
    missing = np.arange(20)[:, None] < [0, 3, 8, 5]
    columns = [Column(name, "number", "float64") for name in "wabc"]
    told = _shares(SimpleNamespace(missing=missing, columns=columns), np.array([1, 2, 3]))
    found = re.findall(r"<bdi>(\w)</bdi></t[hd]><td[^>]*>(.*?)</td>", str(told))
    assert found == [("b", "40.0%"), ("c", "25.0%"), ("a", "15.0%")]


def test_a_pattern_of_many_columns_names_the_first_and_counts_the_others():
    columns = [Column(name, "number", "float64") for name in "abcdefghi"]
    told = _named(SimpleNamespace(columns=columns), np.array([False] + 8 * [True]))
    assert re.sub("<.*?>", "", str(told)) == "b, c, d, e, f, g and 2 more"
