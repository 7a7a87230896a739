"""The benchmark of draws: each distance against an answer computed another way; toy runs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from benchmarks import draw_peers, draws, metrics, pages_draws, records, small_tables
from maetab.evaluation import amputate


def test_crps_of_many_draws_of_a_normal_is_the_formula_of_the_normal():
    random = np.random.default_rng(0)
    truth = np.array([-1.0, 0.0, 2.5])
    found = metrics.crps(random.normal(size=(1500, 3)), truth)
    wanted = truth * (2 * norm.cdf(truth) - 1) + 2 * norm.pdf(truth) - 1 / np.sqrt(np.pi)
    np.testing.assert_allclose(found, wanted, atol=0.05)


def test_crps_of_few_draws_has_no_bias_and_of_one_is_the_absolute_error():
    random = np.random.default_rng(0)
    few = np.mean([metrics.crps(random.normal(size=(3, 1)), np.zeros(1)) for _ in range(4000)])
    assert few == pytest.approx(2 * norm.pdf(0) - 1 / np.sqrt(np.pi), abs=0.02)
    assert metrics.crps(np.array([[1.5, -2.0]]), np.zeros(2)).tolist() == [1.5, 2.0]


def test_crps_of_levels_is_half_the_brier_score():
    drawn = np.array(list("aab"), object)[:, None]
    found = metrics.crps(drawn, np.array(["a"], object))[0]
    assert found == pytest.approx(1 / 3 - 2 / 6)  # a third is wrong; two of three pairs differ


def test_marginal_distances_are_zero_for_the_same_cells_and_known_for_moved_ones():
    x = pd.Series(np.arange(10.0))
    assert metrics.marginal(x, x, 2.0) == {"wasserstein": 0, "shape": 0}
    assert metrics.marginal(x, x + 3, 2.0)["wasserstein"] == pytest.approx(1.5)
    assert metrics.marginal(x, x + 20, 2.0)["shape"] == 1
    levels = pd.Series(list("aabb"))
    assert metrics.marginal(levels, pd.Series(list("aaab")), 1.0) == {
        "variation": 0.25,
        "shape": 0.25,
    }


def test_trend_is_half_the_difference_of_correlations_where_one_of_both_was_hidden():
    random = np.random.default_rng(0)
    truth = pd.DataFrame(random.normal(size=(200, 2)) @ [[1, 0.8], [0, 0.6]], columns=["a", "b"])
    drawn, hidden = truth.copy(), np.zeros((200, 2), bool)
    hidden[:80, 1] = True
    drawn.loc[:79, "b"] = random.normal(size=80)
    a, b = (x[:80].corr().iloc[0, 1] for x in (truth, drawn))
    assert metrics.trend(truth, drawn, hidden) == pytest.approx(abs(a - b) / 2)
    assert metrics.trend(truth, truth, hidden) == 0


def test_trend_of_a_category_and_a_number_is_the_variation_of_both_together():
    truth = pd.DataFrame({"c": list("ab") * 30, "x": [0.0, 1.0] * 30})
    drawn = truth.assign(c=list("ba") * 30)
    hidden = np.array([[True, False]]).repeat(60, 0)
    assert metrics.trend(truth, drawn, hidden) == 1
    assert metrics.trend(truth, truth, hidden) == 0


def test_rows_are_told_apart_by_what_is_off_and_not_otherwise():
    random = np.random.default_rng(0)
    rows = random.normal(size=(300, 3))
    assert metrics.energy(rows, rows) == 0
    assert metrics.told_apart(rows, rows, 0) == pytest.approx(0.5, abs=0.02)
    assert metrics.told_apart(rows, rows + 4, 0) > 0.99
    shift = metrics.energy(random.normal(size=(2000, 1)), random.normal(2, 1, size=(2000, 1)))
    assert shift == pytest.approx(np.sqrt(2 * _apart(2) - 2 * _apart(0)), abs=0.05)


def _apart(shift: float) -> float:
    """E|X - Y| of two normals of variance 1 whose means differ by `shift`."""
    s = np.sqrt(2)
    return s * 2 * norm.pdf(shift / s) + shift * (2 * norm.cdf(shift / s) - 1)


def test_pooled_intervals_cover_as_often_as_they_say_where_draws_are_right():
    random = np.random.default_rng(0)
    # Draws and truth have the same distribution around what is known.
    covered = [
        metrics.pooled_cover(random.normal(size=(5, 40)), random.normal(size=40)).mean()
        for _ in range(100)
    ]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.015)
    off = metrics.pooled_cover(random.normal(size=(5, 400)), np.full(400, 6.0))
    assert off.mean() < 0.3


def test_columns_of_many_values_are_told_by_how_often_two_cells_are_equal():
    random = np.random.default_rng(0)
    assert metrics.many_values(pd.Series(random.normal(size=40)))
    assert metrics.many_values(pd.Series(random.integers(0, 1000, 500)))
    assert not metrics.many_values(pd.Series(random.integers(0, 20, 500)))
    assert not metrics.many_values(
        pd.Series(np.where(random.random(500) < 0.2, 0.0, random.random(500)))
    )


@pytest.mark.parametrize("method", ["extratrees", "bayesridge", "miceforest", "prior points"])
def test_every_method_fills_all_cells_and_leaves_those_that_are_given(method):
    if method == "miceforest":
        pytest.importorskip("miceforest")
    random = np.random.default_rng(0)
    truth = pd.DataFrame({"x": random.normal(size=80), "c": random.choice(list("ab"), 80)})
    truth["y"] = truth["x"] + random.normal(size=80)
    missing, _ = amputate(truth, "mcar", 0.2, random_state=0)
    drawn = draw_peers.sample(method, missing, 2, 0)
    assert len(drawn) == (1 if method == "prior points" else 2)
    for one in drawn:
        assert not one.isna().any().any() and set(one["c"]) <= set("ab")
        pd.testing.assert_frame_equal(one.where(missing.notna()), missing, check_dtype=False)
    if len(drawn) > 1:
        assert not drawn[0].equals(drawn[1])


def test_trees_draw_values_that_were_observed():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(100, 2)), random.normal(size=100)
    trees = draw_peers.DrawingTrees(10, bootstrap=True, random_state=0).fit(x, y)
    assert np.isin(trees.predict(x).round(9), y.round(9)).all()


def test_a_benchmark_of_draws_is_made_once_and_reported(tmp_path, monkeypatch):
    monkeypatch.delenv("MAETAB_DATA", raising=False)
    monkeypatch.setattr(draw_peers, "MAEImputer", lambda **_: Given())
    path = tmp_path / "draws.jsonl"
    toy = ["--data-sets", "sklearn-iris", "--mechanisms", "mcar", "--output", str(path)]
    for _ in range(2):
        draws.main([*toy, "--methods", "prior", "prior points"])
    lines = records.read(path)
    assert [line["method"] for line in lines] == ["prior", "prior points"]
    assert lines[0]["crps"] < lines[1]["crps"]  # draws from the column beat its mean
    assert lines[0]["wasserstein"] < lines[1]["wasserstein"]
    line = records.read(path)[0]
    with path.open("a") as more:  # what ratios are taken to
        more.write(pd.Series(line | {"method": "miceforest", "tag": ""}).to_json() + "\n")
    draws.main(["--report", "--output", str(path)])
    assert f"{line['crps']:.3f}" in path.with_suffix(".md").read_text()


class Given:
    """An imputer that draws from the observed cells of a column."""

    def fit(self, table: pd.DataFrame) -> Given:
        return self

    def transform(self, table: pd.DataFrame) -> pd.DataFrame:
        return table.fillna(table.mean())

    def sample(self, table: pd.DataFrame, n: int, random_state: int = 0) -> list[pd.DataFrame]:
        random = np.random.default_rng(random_state)
        return [
            table.apply(lambda x: x.where(x.notna(), random.choice(x.dropna(), len(x))))
            for _ in range(n)
        ]


def test_small_tables_count_cells_inside_intervals_by_kind_of_column(monkeypatch):
    monkeypatch.delenv("MAETAB_DATA", raising=False)
    truth = pd.DataFrame({"a": np.arange(100.0), "b": np.arange(100) % 2.0})
    missing, hidden = amputate(truth, "mcar", 0.3, random_state=0)
    task = small_tables.split(truth, missing, hidden, "in-sample", 0)

    class Wide:
        def predict_interval(self, table, coverage):
            low = truth.assign(a=truth["a"] - (truth["a"] < 50), b=0.0)
            return low, truth.assign(a=truth["a"] - (truth["a"] >= 50), b=1.0)

    found = small_tables.covered(task, Wide(), missing)
    lost = (np.asarray(hidden)[:, 0] & (truth["a"] >= 50)).sum() / np.asarray(hidden)[:, 0].sum()
    assert found["covers_80_many"] == pytest.approx(1 - lost)
    assert found["covers_50_few"] == 1
    drawn = [truth + 1, truth + 1]
    scored = small_tables.scored(task, drawn)
    assert scored["crps_many"] == pytest.approx(1 / missing["a"].std(ddof=0))


def test_coverage_of_a_group_is_that_of_all_its_cells():
    group = {
        "half": "judging",
        "setting": "in-sample",
        "size": "300",
        "method": "prior",
        "tag": "a",
    }
    runs = [
        {"cells_many": 100, "covers": 0.5, "cells_few": 10},
        {"cells_many": 300, "covers": 0.9},
        {"covers": np.nan, "cells_few": 30},
    ]
    lines = pd.DataFrame([group | run for run in runs])
    for kind in small_tables.KINDS:
        lines[f"crps_{kind}"] = lines[f"crps_{kind} ratio"] = 0.0
        for coverage in small_tables.COVERAGES:
            lines[f"covers_{100 * coverage:.0f}_{kind}"] = (
                lines["covers"] if kind == "many" else 0.25
            )
    found = small_tables.coverage(lines).iloc[0]
    assert found["80 many"] == pytest.approx(0.8)
    assert found["80 few"] == pytest.approx(0.25)


def test_the_page_on_draws_shows_what_is_recorded():
    lines = pages_draws.newest(draws.lines(records.RESULTS / "draws.jsonl"))
    asked = (lines["half"] == "judging") & (lines["mechanism"] == "mcar")
    wanted = lines[asked & (lines["method"] == "prior")]["crps"]
    assert len(wanted) == len(draws.HALVES["judging"])
    shown = pages_draws.distances(lines, "judging", "mcar")
    assert f'"{draw_peers.METHODS["prior"]}","{wanted.mean():.3f}"' in shown
