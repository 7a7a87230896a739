"""Series watched: scores per stamp and per cell, stretches, reasons, p-values, trimmed rows."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pandas as pd
import pytest
from series_frames import SMALL, holed, hourly, panel

import maetab
from maetab import MAEAnomalyDetector, MAEImputer, explanation
from maetab.data.codec import encode
from maetab.data.columns import Column
from maetab.data.schema import Schema, infer_schema
from maetab.engine.inference import windows_of
from maetab.reasons import rounded, strangest_first

WATCH = {"window": 12, "random_state": 0, "n_masks": 6}
PANEL = {"time": "when", "groups": "site"} | WATCH


def spoiled() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Hours of a panel, and the same with one wild cell and a stretch that is flat at its level."""
    usual = panel((240, 200)).drop(columns=["kind", "half"])
    odd = usual.copy()
    odd.loc[100, "b"] = -odd.loc[100, "b"]
    odd.loc[300:308, "a"] = odd.loc[300, "a"]
    return usual, odd


@pytest.fixture(scope="module")
def watched() -> tuple[pd.DataFrame, MAEAnomalyDetector]:
    usual, odd = spoiled()
    return odd, MAEAnomalyDetector(**PANEL).fit(usual)


def test_every_stamp_has_a_score_and_those_that_break_the_course_have_the_lowest(watched):
    odd, detector = watched
    scores = detector.score_samples(odd)
    assert scores.shape == (len(odd),) and scores.dtype == np.float64 and np.isfinite(scores).all()
    assert scores[:240].argmin() == 100
    stretch, rest = scores[301:309], np.delete(scores, [*range(88, 112), *range(288, 321)])
    assert np.median(stretch) < np.quantile(rest, 0.05)


def test_a_wild_cell_makes_few_of_the_stamps_beside_it_outliers(watched):
    odd, detector = watched
    flagged = detector.predict(odd) == -1
    assert flagged[100] and flagged[90:111].sum() <= 6


def test_rows_around_gaps_are_no_stranger_than_others():
    """Means of few squares are larger and vary more than those of a whole window."""
    rng, n = np.random.default_rng(0), 3000
    rows = pd.DataFrame(rng.normal(size=(n, 3)), columns=list("abc"))
    detector = MAEAnomalyDetector(window=30, contamination=0.05, random_state=0).fit(rows[: n // 2])
    new = rows[n // 2 :].reset_index(drop=True)
    starts = np.arange(20, len(new) - 60, 60)
    gone = (starts[:, None] + np.arange(28)).ravel()  # two rows of a window are left, at most
    missing = new.copy()
    missing.iloc[gone] = np.nan
    flagged = [(detector.predict(x)[gone] == -1).mean() for x in (new, missing)]
    assert flagged[1] <= flagged[0] + 0.02


def test_cells_of_series_surprise_alone_as_much_as_with_others(watched):
    """Which calibration takes for granted."""
    odd, detector = watched
    scorer, windows = detector._scorer(), detector._windows(detector._read(odd))
    assert scorer.always_alone
    alone, beside = (scorer.surprises(windows, alone=flag) for flag in (True, False))
    np.testing.assert_array_equal(alone, beside)


def test_scores_of_cells_name_the_column_and_leave_times_and_groups_out(watched):
    odd, detector = watched
    cells = detector.score_cells(odd)
    assert cells.shape == odd.shape and cells[["site", "when"]].isna().all(axis=None)
    assert cells.loc[100, "b"] == np.nanmax(cells[:240]) > cells.loc[100, "a"] + 1
    assert cells.loc[100, "b"] > cells.loc[90:110, "b"].drop(100).max() + 1


def test_reasons_name_stamp_series_value_and_what_was_expected(watched):
    odd, detector = watched
    first = detector.explain(odd[:240], top=3).iloc[0]
    assert (first["row"], first["position"], first["series"]) == (100, 100, "s0")
    assert first["time"] == odd.loc[100, "when"] and first["column"] == "b"
    assert first["value"] == pytest.approx(odd.loc[100, "b"], abs=0.1)
    assert first["low"] < -odd.loc[100, "b"] < first["high"]
    assert first["low"] < first["expected"] < first["high"]


def test_a_stretch_of_outliers_is_one_entry_with_its_length(watched):
    odd, detector = watched
    flagged = detector.predict(odd) == -1
    told = detector.explain(odd, top=len(odd)).drop_duplicates("position")
    outliers = told[told["length"] > 0]
    runs = flagged & ~(np.r_[False, flagged[:-1]] & (odd["site"] == odd["site"].shift()))
    assert len(outliers) == runs.sum() and outliers["length"].sum() == flagged.sum()
    assert (told["score"].diff().dropna() >= 0).all()


def test_no_row_beside_a_stretch_or_a_stranger_row_is_told_again(watched):
    odd, detector = watched
    n_steps, site = detector.timeline_.n_steps, odd["site"].to_numpy()
    scores, flagged = detector.score_samples(odd), detector.predict(odd) == -1
    told = detector.explain(odd, top=len(odd)).drop_duplicates("position")["position"].to_numpy()
    begins = ~flagged | np.r_[True, ~flagged[:-1]] | np.r_[True, site[1:] != site[:-1]]
    stretch, rows = begins.cumsum(), np.arange(len(odd))
    for row in np.flatnonzero(~flagged):
        stranger = told[scores[told] < scores[row]]
        by_them = np.isin(stretch, stretch[stranger]) & (site == site[row])
        assert (np.abs(rows - row)[by_them] < n_steps).any() != (row in told)


def test_the_order_of_the_rows_changes_no_score(watched):
    odd, detector = watched
    order = np.random.default_rng(0).permutation(len(odd))
    scores = detector.score_samples(odd)
    assert (detector.score_samples(odd.iloc[order]) == scores[order]).all()
    own = (odd["site"] == "s1").to_numpy()
    assert (detector.score_samples(odd[own]) == scores[own]).all()


@pytest.mark.slow
def test_p_values_of_usual_series_are_rarely_small():
    usual = hourly(1200)[["a", "b"]]
    detector = MAEAnomalyDetector(window=6, random_state=0, n_masks=6).fit(usual[:800])
    p = detector.p_values(usual[800:])
    assert 0.01 < (p <= 0.1).mean() < 0.25
    assert 0.03 < (detector.predict(usual[:800]) == -1).mean() < 0.08


@pytest.mark.slow
def test_trimmed_stamps_keep_their_place_in_time_and_their_levels():
    _, odd = spoiled()
    detector = MAEAnomalyDetector(trim=0.1, **PANEL).fit(odd)
    assert detector.schema_.columns[2].n_observed == round(0.9 * len(odd))
    assert len(detector.scores_) == len(odd)
    assert abs(detector.score_samples(odd)[:240].argmin() - 100) < 12
    assert detector.score_cells(odd).loc[100, "b"] > 1


@pytest.mark.slow
def test_one_made_from_an_imputer_finds_the_same(tmp_path):
    usual, odd = spoiled()
    imputer = MAEImputer(window=12, time="when", groups="site", **SMALL).fit(
        holed(usual, 0.05, keep=("site", "when"))
    )
    detector = MAEAnomalyDetector.from_fitted(imputer, n_masks=6)
    assert detector.score_samples(odd)[:240].argmin() == 100
    maetab.save(detector, tmp_path / "m.safetensors")
    same = maetab.load(tmp_path / "m.safetensors")
    assert (same.score_samples(odd) == detector.score_samples(odd)).all()
    pd.testing.assert_frame_equal(same.explain(odd), detector.explain(odd))


@pytest.mark.slow
def test_windows_of_one_row_score_as_no_window_does():
    rows = hourly(80).reset_index(drop=True)
    plain, single = (
        MAEAnomalyDetector(window=w, random_state=0, n_masks=4, trim=0.1).fit(rows)
        for w in (None, 1)
    )
    assert (plain.score_samples(rows) == single.score_samples(rows)).all()
    assert (plain.scores_ == single.scores_).all()


@pytest.mark.slow
def test_one_wrong_value_in_noise_that_comes_and_goes_is_first_more_often_than_by_a_rolling_z():
    first = {"cells": 0, "z": 0}
    for seed in range(8):
        rng = np.random.default_rng(seed)
        noise = rng.normal(size=600) * np.repeat(rng.choice([0.2, 1.0], 12), 50)
        values = np.sin(2 * np.pi * np.arange(600) / 24) * 3 + noise
        place = int(rng.integers(30, 570))
        values[place] += 6 * np.repeat(noise.reshape(12, 50).std(1), 50)[place]
        frame = pd.DataFrame({"x": values}, index=pd.date_range("2024", periods=600, freq="h"))
        rolled = frame["x"].rolling(25, center=True, min_periods=2)
        z = ((frame["x"] - rolled.mean()) / rolled.std()).abs().to_numpy()
        detector = MAEAnomalyDetector(window=24, random_state=0).fit(frame)
        cells = detector.score_cells(frame)["x"].to_numpy()
        first["cells"] += cells.argmax() == place
        first["z"] += z.argmax() == place
    assert first["cells"] > first["z"] and first["cells"] >= 4


@pytest.mark.slow
@pytest.mark.parametrize("trim", [0.0, 0.1])
def test_six_spikes_in_a_thousand_rows_are_the_first_in_cells_and_rows(trim):
    rng = np.random.default_rng(0)
    usual = hourly(1000)[["a", "b"]]
    odd, places = usual.copy(), rng.choice(np.arange(20, 980), 6, replace=False)
    odd.iloc[places, 0] += 0.6 * rng.choice([-1, 1], 6)
    detector = MAEAnomalyDetector(window=24, trim=trim, random_state=0).fit(odd)
    cells, scores = detector.score_cells(odd)["a"].to_numpy(), detector.score_samples(odd)
    assert len({*np.argsort(-cells)[:6]} & {*places}) >= 5
    assert len({*np.argsort(scores)[:6]} & {*places}) >= 4


@pytest.mark.slow
@pytest.mark.parametrize("contamination", [0.003, 0.01, 0.05, 0.2])
def test_as_many_rows_are_flagged_as_were_asked_for(contamination):
    rows = hourly(1000)[["a", "b"]]
    detector = MAEAnomalyDetector(window=24, contamination=contamination, random_state=0).fit(rows)
    assert abs((detector.predict(rows) == -1).sum() - 1000 * contamination) <= 1
    assert len(np.unique(detector.score_samples(rows))) > 990


@pytest.mark.slow
def test_a_stretch_in_which_no_cell_stands_out_says_what_is_odd_and_when():
    odd = hourly(1000)[["a", "b"]]
    odd.iloc[500:560, 0] += 0.8
    detector = MAEAnomalyDetector(window=48, contamination=0.06, random_state=0).fit(odd)
    told = detector.explain(odd, top=1).iloc[0]
    assert told["column"] == "a" and told["length"] > 40
    assert told["value"] > told["high"] > told["expected"]
    begin, end, rest = re.fullmatch(
        r"from (.{16,19}) to (.{16,19}) up to (.*)", told["reason"]
    ).groups()
    flagged = odd.index[detector.predict(odd) == -1]
    assert {pd.Timestamp(begin), pd.Timestamp(end)} <= {*flagged}
    far, side = rest.split()[:2]
    assert side == "above" and 0.6 < float(far) < 1.4


@pytest.mark.slow
def test_one_made_from_an_imputer_scores_as_one_that_was_fitted():
    rows = holed(panel((120, 90, 20)), 0.05, keep=("site", "when"))
    settings = {"window": 12, "time": "when", "groups": "site"} | SMALL
    fitted = MAEAnomalyDetector(**settings).fit(rows)
    made = MAEAnomalyDetector.from_fitted(MAEImputer(**settings).fit(rows))
    assert len(made.scores_) == len(rows) == 230
    np.testing.assert_array_equal(made.scores_, fitted.scores_)
    np.testing.assert_array_equal(made.cell_quantiles_, fitted.cell_quantiles_)


def test_reasons_name_no_missing_cell_of_a_static_column():
    frame = panel((120, 120)).drop(columns=["kind", "half"])
    frame["height"] = np.where(frame["site"] == "s0", 3.0, 5.0)
    detector = MAEAnomalyDetector(**PANEL).fit(frame)
    assert detector.timeline_.static
    odd = frame.copy()
    odd.loc[odd["site"] == "s0", "height"] = 400.0
    odd.loc[odd.index[:100], "height"] = np.nan  # what the other rows of the series tell
    told = detector.explain(odd, top=len(odd), n_columns=3)
    of_height = told[told["column"] == "height"]
    assert len(of_height) and (of_height["position"] >= 100).all()
    assert not told["value"].isna().any()


def test_a_wild_number_does_not_make_the_categories_beside_it_strange():
    rng = np.random.default_rng(0)
    hours = np.arange(240)
    load = np.sin(2 * np.pi * hours / 24) + 0.1 * rng.normal(size=240)
    when = pd.date_range("2024-01-01", periods=240, freq="h")
    frame = pd.DataFrame(
        {"load": load, "coin": rng.random(240) < 0.5, "day": hours % 24 < 12}, when
    )
    detector = MAEAnomalyDetector(window=24, **SMALL).fit(frame)
    odd = frame.copy()
    odd.loc[when[100], "load"] = 40.0
    odd.loc[when[180], "day"] ^= True  # a level that the hour forbids
    before, cells = detector.score_cells(frame), detector.score_cells(odd)
    near = slice(when[70], when[130])
    assert cells["coin"][near].max() < before["coin"].max() + 1
    assert cells["load"].idxmax() == when[100] and cells["day"].idxmax() == when[180]


def test_a_wild_number_is_told_before_the_numbers_beside_it_that_do_not_go_with_it():
    rng = np.random.default_rng(0)
    hours = pd.date_range("2024-03-01", periods=400, freq="h")
    load = np.clip(np.sin(2 * np.pi * (hours.hour - 6) / 24), 0, None) + rng.normal(0, 0.05, 400)
    own = {"temperature": (15, 0.6), "vibration": (1.5, 0.12), "current": (8, 0.3)}
    courses = {name: a * load + rng.normal(0, noise, 400) for name, (a, noise) in own.items()}
    pump = pd.DataFrame(courses, index=hours)
    detector = MAEAnomalyDetector(window=12, random_state=0).fit(pump[:300])
    for column, hour in itertools.product(own, hours[[330, 347]]):  # at dusk and near noon
        odd = pump[300:].copy()
        odd.loc[hour : hour + pd.Timedelta("1h"), column] += 6 * pump[column].std()
        first = detector.explain(odd, top=1).iloc[0]
        assert first["column"] == column and first["reason"] == "outside the observed range"


def test_columns_of_a_stretch_come_by_how_far_the_cells_that_it_has_go(monkeypatch):
    schema = infer_schema(pd.DataFrame({"a": [-1.0, 1.0], "b": [-1.0, 1.0]}))  # center 0, scale 1
    frame = pd.DataFrame({"a": [1.0] * 4, "b": [1.5, np.nan, np.nan, np.nan]})
    windows = windows_of(*encode(frame, schema), np.arange(4)[None])
    around = np.zeros((3, 4, 2), np.float32) + np.array([0.0, -0.5, 0.5])[:, None, None]
    monkeypatch.setattr(explanation, "_from_around", lambda *_: around)
    monkeypatch.setattr(explanation, "surprisals_at", lambda *_: np.zeros((1, 2)))
    seen = explanation._Seen(None, schema, frame, frame.notna().to_numpy(), windows, frame.index)
    told = explanation._of_stretch(seen, np.arange(4), 0)
    assert [line["column"] for line in told] == ["b", "a"]
    assert "up to 1.5 above" in told[0]["reason"] and "up to 1.0 above" in told[1]["reason"]


def test_rare_numbers_far_outside_come_first_the_farthest_of_them_before_all():
    numbers = (Column(x, "number", "float64", lower=-2.0, upper=2.0, n_observed=9) for x in "abcd")
    surprise, values = [5.0, 3.5, 4.0, 2.0], [0.0, 9.0, -4.0, 99.0]
    found = strangest_first(np.array([surprise]), np.array([values]), Schema(tuple(numbers)))
    assert found.tolist() == [[1, 2, 0, 3]]


def test_numbers_of_a_narrow_column_are_told_with_more_digits():
    told = {
        scale: rounded(12.3456789, Column("a", "number", "float64", scale=scale))
        for scale in (0.02, 5.0, 300.0)
    }
    assert told == {0.02: 12.3457, 5.0: 12.35, 300.0: 12.0}
