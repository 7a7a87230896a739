"""What lines through gaps miss: processes between known ends, and how much there is of each."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from maetab import MAEImputer
from maetab.engine.line_errors import MEMORIES, _shares, jump, on_line, parts, weights

T, N = 8, 300


def fitted(frame: pd.DataFrame, **parameters) -> MAEImputer:
    return MAEImputer(window=T, max_iter=0, random_state=0, **parameters).fit(frame)


@pytest.fixture(scope="module")
def two() -> tuple[pd.DataFrame, MAEImputer]:
    """Noise about a slope, and a walk."""
    rng = np.random.default_rng(0)
    slope, walk = 0.5 * np.arange(N) + rng.normal(size=N), rng.normal(size=N).cumsum()
    frame = pd.DataFrame({"slope": slope, "walk": walk})
    return frame, fitted(frame)


def missed(imputer: MAEImputer, column: int, since: float, until: float, apart: float) -> float:
    """The standard deviation that a column's lines miss by, in its own unit."""
    share = imputer.model_.line_variance[column].numpy()
    found = parts(np.array(since), np.array(until), np.array(apart)) @ share
    return float(np.sqrt(found)) * imputer.schema_.columns[column].scale


@pytest.mark.parametrize("since, until", [(0.5, 0.5), (0.25, 3.0), (6.0, 2.0)])
def test_variances_between_two_ends_are_those_of_conditional_normals(since, until):
    place = np.array([0.0, since, since + until])
    found = parts(np.array(since), np.array(until), np.array(0.0))
    for memory, got in zip(MEMORIES, found, strict=False):
        if memory == 0:
            covariance = np.eye(3)
        elif np.isinf(memory):
            covariance = 1e6 + np.minimum(place[:, None], place)  # the start is anywhere
        else:
            covariance = np.exp(-np.abs(place[:, None] - place) / memory)
        known = covariance[np.ix_([0, 2], [0, 2])]
        across = covariance[1, [0, 2]]
        wanted = covariance[1, 1] - across @ np.linalg.solve(known, across)
        assert got == pytest.approx(wanted, rel=1e-3)
        place_of = MEMORIES.index(memory)
        both = [x[place_of] for x in weights(np.array(since), np.array(until))]
        np.testing.assert_allclose(both, np.linalg.solve(known, across), rtol=1e-3)


def test_a_jump_somewhere_on_the_way_misses_what_jumps_at_random_places_do():
    """A line from 0 to 3, where the level jumps at a place that is evenly spread."""
    jump = np.linspace(0, 1, 20_001)[1:-1]
    truth = np.where(jump < 0.3, 3.0, 0.0)  # at 0.3 of the way
    wanted = np.mean((truth - 0.3 * 3.0) ** 2)
    found = parts(np.array(0.6), np.array(1.4), np.array(3.0))[-1]
    assert found == pytest.approx(wanted, rel=1e-2)


def test_only_a_way_that_no_usual_slope_tells_is_a_jump():
    apart, usual = np.array([0.5, 3.0, -50.0]), np.array(0.04)
    found = jump(apart, usual, np.array([1.0, 5.0, 5.0]))
    assert found[:2].tolist() == [0, 0]  # three times the usual way over a window is 0.6
    assert found[2] == pytest.approx(-np.sqrt(50**2 - 3.0**2))
    assert jump(apart, np.array(np.nan), np.array(1.0)).tolist() == [0, 0, 0]


def test_what_is_learned_is_what_lines_between_observed_cells_miss(two):
    """Compared with loops."""
    frame, imputer = two
    for j, column in enumerate(imputer.schema_.columns):
        cells = frame.iloc[:, j].to_numpy()
        usual = float(imputer.model_.line_season[0, j]) * column.scale + column.center
        rest, lasting = cells - usual, float(imputer.model_.guess.lasting[j])
        for length in (8, 24):
            way = (rest[: N - length] + rest[length:]) / 2
            truth = rest[length // 2 : N - length // 2]
            wanted = np.sqrt(np.mean((truth - lasting ** (length / 2 / T) * way) ** 2))
            got = missed(imputer, j, length / 2 / T, length / 2 / T, 0.0)
            assert 0.7 < got / wanted < 1.4, (column.name, length)


def test_what_one_end_misses_one_and_two_windows_away_is_counted_both_ways(two):
    frame, imputer = two
    model = imputer.model_
    for j, column in enumerate(imputer.schema_.columns):
        cells = (frame.iloc[:, j].to_numpy() - column.center) / column.scale
        rest, kept = cells - float(model.line_season[0, j]), float(model.line_kept[j])
        for k in (1, 2):
            one, other = rest[: -k * T], rest[k * T :]
            ahead, back = other - kept**k * one, one - kept**k * other
            wanted = (np.mean(ahead**2) + np.mean(back**2)) / 2
            assert float(model.line_beyond[j, k - 1]) == pytest.approx(wanted, rel=1e-3)
        assert kept < 0.995


def test_noise_does_not_grow_with_the_gap_and_walks_do(two):
    imputer = two[1]
    short, long = ([missed(imputer, j, x, x, 0.0) for j in range(2)] for x in (1.0, 4.0))
    assert long[0] == pytest.approx(short[0], rel=0.1) and long[1] > 1.4 * short[1]
    assert short[0] == pytest.approx(np.sqrt(1.5), rel=0.2)  # of the cell and of both ends


def test_lines_between_observed_cells_lead_from_no_series_to_another():
    rng, n = np.random.default_rng(2), 80
    frame = pd.DataFrame({"a": rng.normal(size=n), "group": np.repeat(["x", "y"], n // 2)})
    frame.loc[n // 2 :, "a"] += 1000.0
    own = missed(fitted(frame, groups="group"), 0, 2.0, 2.0, 0.0)
    assert own < 3


def test_how_much_there_is_of_a_process_is_the_mean_over_lines_of_which_more_hardly_count():
    about, square = np.array([[1.0], [2.0], [4.0]]), np.array([3.0, 2.0, 12.0])
    count = np.array([100.0, 4.0, 1.0])
    wanted = np.average(square / about[:, 0], weights=count / (1 + count / 4))
    np.testing.assert_allclose(_shares(about, square, count), wanted, rtol=1e-6)


def test_changes_go_together_as_numpy_says_whatever_their_trend_and_not_from_series_to_series():
    rng, n = np.random.default_rng(4), 60
    steps = rng.normal(size=(2 * n, 2)) + 3.0  # both grow
    steps[:, 1] += 0.5 * steps[:, 0]
    courses = [steps[:n].cumsum(0), 1000 + steps[n:].cumsum(0)]
    wanted = np.corrcoef(np.concatenate([np.diff(x, axis=0) for x in courses]).T)
    frame = pd.DataFrame(np.concatenate(courses), columns=["a", "b"])
    model = fitted(frame.assign(group=np.repeat(["x", "y"], n)), groups="group").model_
    np.testing.assert_allclose(model.change_correlation, wanted, atol=1e-4)


def test_a_line_falls_to_the_season_by_how_little_lasts():
    found = on_line(np.array(4.0), np.array(8.0), np.array(1.0), np.array(3.0), np.array(0.5))
    assert found == 0.5 * (0.75 * 4 + 0.25 * 8)


def test_a_column_of_categories_and_one_that_never_changes_have_no_lines():
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"a": rng.normal(size=60), "still": 1.0})
    frame["c"] = pd.Categorical(rng.choice(["x", "y"], 60))
    with pytest.warns(UserWarning, match="constant"):
        imputer = fitted(frame)
    known = imputer.model_.line_variance.any(1)
    assert known.tolist() == [True, False, False]
