"""Gaps that windows do not see across: points lie on the way from one end to the other."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from maetab import MAEImputer
from maetab.engine.bridging import fit_line_weights
from maetab.nn.guess.series_fit import what_lasts

T, N = 8, 400
GAP = slice(150, 230)


def walk(n_columns: int = 1, seed: int = 0) -> pd.DataFrame:
    """Slow courses of their own."""
    steps = np.random.default_rng(seed).normal(size=(N, n_columns))
    return pd.DataFrame(steps.cumsum(0), columns=list("abc")[:n_columns])


def fitted(frame: pd.DataFrame, **parameters) -> MAEImputer:
    return MAEImputer(window=T, max_iter=0, random_state=0, **parameters).fit(frame)


def test_deep_in_a_gap_points_follow_a_line_that_falls_to_the_mean_as_differences_do():
    frame = walk()
    frame.iloc[GAP] = np.nan
    imputer = fitted(frame)
    lasting, column = float(imputer.model_.guess.lasting[0]), imputer.schema_.columns[0]
    filled = imputer.transform(frame)["a"].to_numpy()
    seen = frame["a"].to_numpy()
    usual = float(imputer.model_.guess.season[0, 0]) * column.scale + column.center
    ends = seen[[GAP.start - 1, GAP.stop]]
    for row in range(GAP.start - 1 + T // 2, GAP.stop - T // 2 + 1):
        way = (row - GAP.start + 1) / (GAP.stop - GAP.start + 1)
        line = (1 - way) * ends[0] + way * ends[1]
        near = min(row - GAP.start + 1, GAP.stop - row)
        wanted = usual + lasting ** (near / T) * (line - usual)
        assert filled[row] == pytest.approx(wanted, abs=1e-4 * column.scale)


def test_what_lasts_is_the_least_squares_answer_of_loops():
    frame = walk(2).mask(np.random.default_rng(1).random((N, 2)) < 0.1)
    guess = fitted(frame).model_.guess
    columns = fitted(frame).schema_.columns
    for j, column in enumerate(columns):
        x = (frame.iloc[:, j].to_numpy() - column.center) / column.scale - float(guess.season[0, j])
        pairs = [
            ((x[i - T] + x[i + T]) / 2, x[i])
            for i in range(T, N - T)
            if np.isfinite([x[i - T], x[i], x[i + T]]).all()
        ]
        mean, own = np.array(pairs).T
        wanted = np.clip((mean @ own) / (mean @ mean), 0, 1)
        assert float(guess.lasting[j]) == pytest.approx(wanted, rel=1e-4)


def test_what_is_forgotten_within_a_window_is_told_by_half_of_one_and_noise_by_none():
    noise = np.random.default_rng(1).normal(size=N)
    course = np.zeros(N)
    for i in range(1, N):
        course[i] = 0.6 * course[i - 1] + noise[i]
    apart = torch.tensor(np.stack([course - course.mean(), noise - noise.mean()], 1))
    position = torch.arange(N).double()
    seen = torch.ones(N, 2, dtype=torch.bool)
    found = what_lasts(apart, seen, position, T)
    both = float(what_lasts(apart, seen, position, T // 2)[0])  # ends half a window away
    one = float(found[0]) ** 0.5
    assert both == pytest.approx(2 * one / (1 + one**2)) and one > 0.1 and found[1] == 0


def test_long_gaps_of_walks_are_filled_far_better_than_by_the_mean():
    truth = walk()
    frame = truth.copy()
    frame.iloc[GAP] = np.nan
    wrong = (fitted(frame).transform(frame) - truth).iloc[GAP].abs().mean().item()
    by_mean = (frame.mean() - truth).iloc[GAP].abs().mean().item()
    by_line = (frame.interpolate() - truth).iloc[GAP].abs().mean().item()
    assert wrong < 0.7 * by_mean and wrong < 1.5 * by_line


def without_lines(frame: pd.DataFrame, monkeypatch, **parameters) -> tuple[MAEImputer, np.ndarray]:
    """What is filled, and what windows alone would fill, (2, n) of the first column."""
    imputer = fitted(frame, **parameters)
    filled = [imputer.transform(frame)["a"].to_numpy()]
    monkeypatch.setattr("maetab.engine.bridging.lines", lambda *given: iter(()))
    return imputer, np.stack([*filled, imputer.transform(frame)["a"].to_numpy()])


def same_points(frame: pd.DataFrame, rows: slice, monkeypatch) -> bool:
    """Whether points of some rows are what windows alone predict."""
    one, other = without_lines(frame, monkeypatch)[1]
    return np.array_equal(one[rows], other[rows])


def missed(filled: np.ndarray, truth: pd.DataFrame, rows: slice) -> float:
    return float(np.sqrt(np.mean((filled - truth["a"].to_numpy())[rows] ** 2)))


def test_where_other_columns_tell_nothing_a_line_is_far_better_than_they_are(monkeypatch):
    truth = walk(3)
    frame = truth.copy()
    frame.iloc[GAP, 0] = np.nan
    imputer, (filled, alone) = without_lines(frame, monkeypatch)
    assert imputer.model_.line_weight[0] > 0.8
    assert missed(filled, truth, GAP) < 0.6 * missed(alone, truth, GAP)


def test_where_there_is_no_time_to_learn_what_lines_count_they_count_nothing():
    frame = walk(2)
    frame.iloc[GAP, 0] = np.nan
    imputer = fitted(frame)
    model, windows, _ = imputer._asked(imputer._read(frame))
    assert model.line_weight.max() > 0.5
    fit_line_weights(model, windows, lambda: True)
    assert model.line_weight.max() == 0


@pytest.mark.parametrize("length", [N, N // 2], ids=["one series", "two"])
def test_what_lines_count_is_the_least_squares_answer_of_loops(length):
    series = np.arange(N) // length
    frame = walk(2, 4).assign(group=series)
    imputer = fitted(frame, groups="group")
    model, windows = imputer.model_, imputer._windows(imputer._read(frame), "fitted")
    model.line_variance.zero_()
    model.line_variance[:, 0] = 0.04  # noise alone: as wide wherever ends are
    model.line_windows.fill_(1e9)
    model.line_slope.fill_(torch.nan)
    model.line_beyond.zero_()
    # Windows say nine tenths of the truth, and are as sure of it as lines are.
    model.predicted = lambda values, *_, clock: (None, 0.9 * values, 0.2 + 0 * values)
    fit_line_weights(model, windows.remember(torch.zeros(0, dtype=torch.long)))
    lasting, kept = model.guess.lasting.numpy(), model.line_kept.numpy()
    values, usual = windows.values.numpy(), model.line_season[0].numpy()
    for j in range(2):
        rest, ways = (values - usual)[:, j].astype(float), []
        for rows in windows.rows.numpy():
            ends = [max(rows[0] - 1, 0), min(rows[-1] + 1, N - 1)]
            known = [end not in rows and series[end] == series[rows[0]] for end in ends]
            for row in rows:
                far = [abs(row - end) for end in ends]
                near = min(x for x, there in zip(far, known, strict=True) if there)
                if near <= T / 4:  # there windows decide
                    continue
                if all(known):
                    mean = lasting[j] ** (near / T) * (rest[ends] @ far[::-1]) / sum(far)
                else:
                    mean = kept[j] ** (near / T) * rest[ends[known.index(True)]]
                ways.append((usual[j] + mean - 0.9 * values[row, j], 0.1 * values[row, j]))
        line, missed = np.array(ways).T
        wanted = (line / 2) @ missed / ((line / 2) @ (line / 2))
        assert 0.01 < wanted < 0.9
        assert float(model.line_weight[j]) == pytest.approx(wanted, rel=1e-3)


def test_where_another_column_tells_a_column_windows_are_asked_and_no_line(monkeypatch):
    truth = walk(2)
    truth["a"] = 2 * truth["b"] + 0.1 * np.random.default_rng(1).normal(size=N)
    frame = truth.copy()
    frame.iloc[GAP, 0] = np.nan
    _, (filled, alone) = without_lines(frame, monkeypatch)
    assert missed(filled, truth, GAP) <= 1.01 * missed(alone, truth, GAP)


def test_a_column_that_never_changes_does_not_count_as_seen(monkeypatch):
    frame = walk().assign(still=1.0)
    frame.iloc[GAP, 0] = np.nan
    assert not same_points(frame, GAP, monkeypatch)


@pytest.mark.filterwarnings("ignore:MAEImputer. cells of")
def test_beyond_the_ends_of_a_series_points_stay_near_its_level_as_long_as_levels_last(monkeypatch):
    groups = np.repeat(list("uvwxyz"), 60)
    level = np.repeat([-50.0, 30.0, 0.0, 50.0, -20.0, 10.0], 60)
    truth = pd.DataFrame({"a": level + np.random.default_rng(0).normal(size=360), "group": groups})
    frame, edge = truth.copy(), slice(20, 60)
    frame.loc[frame.index[edge], "a"] = np.nan
    frame.loc[180:219, "a"] = np.nan
    _, (filled, alone) = without_lines(frame, monkeypatch, groups="group")
    for rows in (slice(30, 60), slice(180, 210)):
        assert missed(filled, truth, rows) < 0.4 * missed(alone, truth, rows)


@pytest.mark.filterwarnings("ignore:MAEImputer. cells of")
def test_beyond_the_ends_of_noise_points_are_its_mean(monkeypatch):
    truth = pd.DataFrame({"a": np.random.default_rng(0).normal(size=N)})
    frame = truth.copy()
    frame.iloc[-60:] = np.nan
    filled = fitted(frame).transform(frame)["a"].to_numpy()
    assert np.abs(filled[-50:] - frame["a"].mean()).max() < 0.1


@pytest.mark.filterwarnings("ignore:MAEImputer. cells of")
@pytest.mark.parametrize("seed", range(3))
def test_windows_that_see_nothing_do_not_draw_the_first_cells_of_a_gap_to_the_mean(seed):
    level = 0.1 * np.arange(N)
    frame = pd.DataFrame({"a": level + np.random.default_rng(seed).normal(size=N)})
    frame.iloc[-24:] = np.nan
    filled = fitted(frame).transform(frame)["a"].to_numpy()
    assert abs(filled[-24] - level[-24]) < 2


@pytest.mark.filterwarnings("ignore:MAEImputer. cells of")
@pytest.mark.parametrize("kind", ["walk", "slope"])
def test_intervals_beyond_the_ends_of_a_series_hold_what_goes_on(kind):
    inside = []
    for seed in range(4):
        noise = np.random.default_rng(seed).normal(size=N)
        course = noise.cumsum() if kind == "walk" else 0.1 * np.arange(N) + noise
        frame = pd.DataFrame({"a": course})
        frame.iloc[-24:] = np.nan
        imputer = fitted(frame)
        low, high = (x["a"].to_numpy()[-24:] for x in imputer.predict_interval(frame, 0.9))
        inside.append(((low <= course[-24:]) & (course[-24:] <= high)).mean())
        drawn = np.stack([x["a"].to_numpy()[-24:] for x in imputer.sample(frame, 20)])
        deep = slice(T, None)
        assert 0.7 < ((low <= drawn) & (drawn <= high))[:, deep].mean() < 1
    assert np.mean(inside) > 0.7


def test_lines_lead_from_no_series_to_another():
    frame = pd.concat([walk(seed=1), walk(seed=2)], ignore_index=True)
    frame["group"] = np.repeat(["x", "y"], N)
    frame.iloc[N - 60 : N, 0] = np.nan  # the end of one, and not before a value of the other
    frame.iloc[GAP, 0] = np.nan
    imputer = fitted(frame, groups="group", edges=False)
    filled = imputer.transform(frame)
    assert filled["a"].iloc[N - 60 : N].isna().all()
    alone = imputer.transform(frame.iloc[:N])
    pd.testing.assert_frame_equal(alone, filled.iloc[:N])


@pytest.mark.parametrize("absent", [190, GAP.stop], ids=["inside", "at the end"])
def test_a_row_that_is_absent_does_not_break_the_line(absent):
    frame = walk().set_index(pd.date_range("2024-01-01", periods=N, freq="h"))
    frame.iloc[GAP] = np.nan
    imputer = fitted(frame)
    both = frame, frame.drop(frame.index[absent])
    whole, holed = (imputer.transform(x).iloc[GAP] for x in both)
    apart = (holed - whole).abs().max().item()
    assert apart < 0.5 * (whole - frame.mean()).abs().max().item()  # as far as without a line


def test_intervals_hold_what_is_filled():
    frame = walk()
    frame.iloc[GAP] = np.nan
    imputer = fitted(frame)
    low, high = imputer.predict_interval(frame)
    filled = imputer.transform(frame)
    assert (low <= filled).all(axis=None) and (filled <= high).all(axis=None)


def test_draws_of_a_long_gap_lie_about_the_line_between_its_ends():
    rng, n = np.random.default_rng(0), 60
    frame = pd.DataFrame({"a": 0.5 * np.arange(n) + rng.normal(size=n)})
    truth = frame["a"].iloc[20:45].to_numpy().copy()
    frame.iloc[20:45] = np.nan
    imputer = MAEImputer(window=24, max_iter=0, random_state=0, device="cpu").fit(frame)
    points = imputer.transform(frame)["a"].iloc[20:45]
    drawn = np.stack([x["a"].iloc[20:45] for x in imputer.sample(frame, 30, random_state=0)])
    assert np.abs(drawn.mean(0) - points).mean() < 0.5 * drawn.std(0).mean()
    assert np.abs(drawn.mean(0) - truth).mean() < 2
    assert np.array_equal(imputer.sample(frame, 3, random_state=0)[2]["a"].iloc[20:45], drawn[2])
