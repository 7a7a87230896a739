"""How well cells are filled, and distributions, by other ways of computing."""

from __future__ import annotations

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
from maetab.page.gaps import _pairs
from maetab.page.judged import _coverage, _marked, judge
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


def test_nothing_is_judged_where_nothing_is_hidden(done):
    assert judge(done, 0, 4) is None


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


def test_what_single_precision_makes_of_zero_is_written_as_zero():
    several, one = infer_schema(pd.DataFrame({"x": [0.1, 11.9, 2], "y": 1e-9})).columns
    assert [spelled(x, several) for x in (-3.6e-8, 0.1, -0.5)] == ["0", "0.1", "-0.5"]
    assert spelled(1e-9, one) == "1e-09"


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
    assert summary_of(np.array([1.0, 2.0, 9.0]), number).startswith("median 2, half")
    assert summary_of(np.array([0.0, 0.0, 1.0]), level) == "u in 67%"


@pytest.mark.parametrize(("less_is_better", "best"), [(True, "0.200"), (False, "0.500")])
def test_the_best_of_a_row_is_bold(less_is_better, best):
    shown = _marked([0.5, 0.2, 0.4], less_is_better)
    assert [str(x) for x in shown if isinstance(x, Markup)] == [f"<b>{best}</b>"]


def test_pairs_are_told_with_the_rows_that_miss_both():
    missing = np.zeros((20, 2), bool)
    missing[:6, 0] = missing[3:8, 1] = True
    columns = [Column(name, "number", "float64") for name in "ab"]
    told = _pairs(SimpleNamespace(missing=missing, columns=columns), np.arange(2))
    found = np.corrcoef(missing, rowvar=False)[0, 1]
    assert f'{found:.2f}</td><td class="number">3</td>' in told
