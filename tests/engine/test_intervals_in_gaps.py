"""Intervals and draws of gaps that windows do not see across, beside what is known of them."""

from __future__ import annotations

import copy

import numpy as np
import pandas as pd
import pytest

from maetab import MAEImputer
from maetab.engine.bridging import lines
from maetab.engine.inference import predict_moments
from maetab.nn.ensemble import Ensemble

T, N, GAP = 12, 200, slice(80, 130)
LEVEL = 1.6449  # of a normal, for intervals of 90 %


def course(kind: str, seed: int = 0) -> pd.DataFrame:
    rng, t = np.random.default_rng(seed), np.arange(N)
    noise = rng.normal(size=N)
    made = {
        "slope": 0.5 * t + noise,
        "walk": 100 + noise.cumsum(),
        "shift": noise + 40.0 * (t >= 100),
    }
    return pd.DataFrame({"a": made[kind]})


def fitted(truth: pd.DataFrame) -> tuple[MAEImputer, pd.DataFrame]:
    holes = truth.copy()
    holes.iloc[GAP] = np.nan
    return MAEImputer(window=T, max_iter=0, random_state=0).fit(holes), holes


@pytest.fixture(scope="module")
def slope() -> tuple[MAEImputer, pd.DataFrame]:
    return fitted(course("slope"))


@pytest.fixture(scope="module")
def walk() -> tuple[MAEImputer, pd.DataFrame]:
    return fitted(course("walk"))


def ends(given: tuple[MAEImputer, pd.DataFrame], coverage: float = 0.9) -> np.ndarray:
    """The ends of intervals in the gap, (2, 50)."""
    imputer, holes = given
    return np.stack([x["a"].iloc[GAP] for x in imputer.predict_interval(holes, coverage)])


def test_intervals_about_a_slope_are_of_the_size_of_its_noise_and_hold_the_truth(slope):
    low, high = ends(slope)
    truth, width = course("slope")["a"].iloc[GAP], high - low
    deep = slice(T, -T)
    assert (width[deep] > 2 * LEVEL).all() and (width[deep] < 7).all()  # 4 for cell and ends
    assert ((low <= truth) & (truth <= high)).mean() >= 0.8


def test_intervals_of_a_walk_are_about_as_wide_as_those_of_bridges(walk):
    low, high = ends(walk)
    since = np.arange(1, len(low) + 1)
    bridge = np.sqrt(since * (len(low) + 1 - since) / (len(low) + 1))
    width = (high - low) / (2 * LEVEL * bridge)
    assert (width[T:-T] > 0.7).all() and (width[T:-T] < 2).all()
    truth = course("walk")["a"].iloc[GAP]
    assert ((low <= truth) & (truth <= high)).mean() >= 0.8


def test_a_gap_whose_ends_are_at_different_levels_holds_both():
    low, high = ends(fitted(course("shift")))
    middle = slice(20, 30)
    assert (low[middle] < 0).all() and (high[middle] > 40).all() and (high - low)[0] < 20


def test_deep_in_a_gap_ends_are_so_many_deviations_from_the_line(walk):
    imputer, holes = walk
    table = imputer._read(holes)
    asked = imputer._asked(table)
    [line] = lines(*asked[:2], predict_moments(*asked)[1])
    deep = line.at(line.share == 1)
    column, (low, high) = imputer.schema_.columns[0], ends(walk, 0.5)
    places = deep.rows - GAP.start
    for side, end in ((-1, low), (1, high)):
        wanted = (deep.mean + side * 0.67449 * deep.std) * column.scale + column.center
        np.testing.assert_allclose(end[places], wanted, rtol=1e-5)


def test_lines_are_less_sure_the_fewer_windows_they_were_learned_from(walk):
    imputer, holes = walk
    model, windows, device = imputer._asked(imputer._read(holes))
    deviation = predict_moments(model, windows, device)[1]
    known = float(model.line_windows[0])
    few = copy.deepcopy(model)
    few.line_windows[0] = 2.0
    one, other = (next(iter(lines(x, windows, deviation))).std for x in (model, few))
    length = (GAP.stop - GAP.start + 1) / T
    wanted = np.sqrt((1 + length / 2) / (1 + length / known))
    np.testing.assert_allclose(other / one, wanted, rtol=1e-5)


def test_a_jump_that_the_ends_show_counts_whole_whatever_other_gaps_tell():
    imputer, holes = fitted(course("shift"))
    model, windows, device = imputer._asked(imputer._read(holes))
    deviation = predict_moments(model, windows, device)[1]
    model.line_variance[0, -1] = 0.01
    [line] = lines(model, windows, deviation)
    way = line.since / (line.since + line.until)
    jumps = np.sqrt(way * (1 - way)) * np.abs(line.apart)
    assert np.abs(line.apart).min() > 1 and (line.std > jumps).all()


def test_draws_are_as_wide_as_intervals_and_reach_both_ends(slope, walk):
    for imputer, holes in (slope, walk):
        drawn = imputer.sample(holes, 40, random_state=0)
        drawn = np.stack([x["a"].iloc[GAP] for x in drawn])
        low, high = ends((imputer, holes), 0.5)
        inside = ((low <= drawn) & (drawn <= high))[:, T:-T].mean()
        assert 0.4 < inside < 0.6
        edge = holes["a"].iloc[[GAP.start - 1, GAP.stop]].to_numpy()
        usual = holes["a"].diff().abs().mean()
        assert np.abs(drawn[:, [0, -1]] - edge).mean() < 2.5 * usual


def test_draws_of_what_is_forgotten_within_a_window_go_up_and_down_as_it_does():
    """Of this course the cells a window before and behind tell nothing, those nearer a lot."""
    noise, course = np.random.default_rng(2).normal(size=600), np.zeros(600)
    for i in range(1, 600):
        course[i] = 0.8 * course[i - 1] + noise[i]
    holes = pd.DataFrame({"a": course})
    holes.iloc[250:350] = np.nan
    imputer = MAEImputer(window=24, max_iter=0, random_state=0).fit(holes)
    points = imputer.transform(holes)
    away = [(x - points)["a"].iloc[250:350].to_numpy() for x in imputer.sample(holes, 10)]
    assert np.mean([np.corrcoef(x[1:], x[:-1])[0, 1] for x in away]) > 0.5


def test_columns_are_drawn_together_as_their_changes_go():
    steps = np.random.default_rng(0).normal(size=(N, 1)) + 0.2 * np.random.default_rng(1).normal(
        size=(N, 2)
    )
    imputer, holes = fitted(pd.DataFrame(steps.cumsum(0), columns=["a", "b"]))
    drawn = np.stack([x.iloc[105] for x in imputer.sample(holes, 60, random_state=0)])
    assert np.corrcoef(drawn.T)[0, 1] > 0.7


def test_windows_are_looked_at_once_for_intervals_and_their_points(walk, monkeypatch):
    imputer, holes = walk
    asked, ask = [], Ensemble.predicted

    def predicted(self, *args, **keywords):
        asked.append(1)
        return ask(self, *args, **keywords)

    monkeypatch.setattr(Ensemble, "predicted", predicted)
    imputer.transform(holes)
    once = len(asked)
    low, high = imputer.predict_interval(holes, 1e-9)
    assert len(asked) == 2 * once > 0
    points = imputer.transform(holes)
    assert (low <= points).all(axis=None) and (points <= high).all(axis=None)
