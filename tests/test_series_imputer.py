"""Series filled: keys and observed cells stay, time tells, static columns, draws, intervals."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from series_frames import SMALL, holed, hourly, panel
from sklearn.base import clone

import maetab
from maetab import MAEImputer

KEYS = ("site", "when")
PANEL = {"window": 12, "time": "when", "groups": "site"} | SMALL


@pytest.fixture(scope="module")
def filled() -> tuple[pd.DataFrame, pd.DataFrame, MAEImputer]:
    """A panel with holes, the same filled, and the imputer."""
    given = holed(panel(), keep=KEYS)
    given.loc[given["site"] == "s2", "kind"] = None
    imputer = MAEImputer(**PANEL).fit(given)
    return given, imputer.transform(given), imputer


def test_nothing_stays_missing_and_nothing_observed_changes(filled):
    given, out, _ = filled
    assert not out.isna().any(axis=None)
    pd.testing.assert_index_equal(out.columns, given.columns)
    for name in given:
        seen = given[name].notna()
        assert out[name].dtype == given[name].dtype
        pd.testing.assert_series_equal(out[name][seen], given[name][seen], check_exact=True)


def test_times_and_groups_are_columns_that_the_model_does_not_see(filled):
    given, _, imputer = filled
    assert imputer.n_features_in_ == 6 and imputer.model_.config.n_levels == (0, 0, 2, 2)
    assert [c.name for c in imputer.schema_.columns if c.key] == ["site", "when"]
    assert imputer.get_feature_names_out().tolist() == list(given.columns)


@pytest.mark.slow
def test_no_warning_speaks_of_times_and_groups():
    frame = panel((96, 96))
    frame["site"] = [f"station {i}" for i in frame["site"]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MAEImputer(**PANEL).fit(frame)
        MAEImputer(window=12, **SMALL).fit(hourly(120))


@pytest.mark.slow
def test_cells_are_filled_from_the_steps_beside_them():
    truth = hourly(360)
    given = holed(truth, 0.2)
    errors = {}
    for window in (None, 24):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            out = MAEImputer(window=window, **SMALL).fit_transform(given)
        hidden = given["a"].isna()
        errors[window] = (out["a"] - truth["a"])[hidden].abs().mean()
    assert errors[24] < 0.13 and errors[24] < 0.7 * errors[None]
    pd.testing.assert_index_equal(out.index, given.index)
    assert out.index.freq == given.index.freq and out.index.name == "when"


def test_a_static_column_of_a_group_is_told_by_any_of_its_rows(filled):
    _, out, _ = filled
    kinds = out.groupby("site")["kind"].unique()
    assert [list(kind) for kind in kinds[:2]] == [["town"], ["field"]]
    assert len(kinds.iloc[2]) == 1  # no row of the group tells: one level for all of them


def test_a_static_number_is_told_bit_for_bit():
    frame = panel((60, 60)).drop(columns="kind")
    frame["height"] = np.where(frame["site"] == "s0", 0.1 + 0.2, 1e9 + 0.125)
    given = frame.copy()
    given.loc[frame.index % 3 > 0, "height"] = np.nan
    out = MAEImputer(**PANEL).fit_transform(given)
    pd.testing.assert_series_equal(out["height"], frame["height"], check_exact=True)


@pytest.mark.slow
def test_a_static_number_that_no_row_tells_is_one_for_its_group():
    frame = panel((60, 60, 60, 60)).drop(columns="kind")
    frame["height"] = frame["site"].map({"s0": 1.03, "s2": 4.01, "s3": 7.9})
    imputer = MAEImputer(**PANEL).fit(frame)
    draws = imputer.sample(frame, 2, random_state=0)
    for out in (imputer.transform(frame), *draws, *imputer.predict_interval(frame)):
        assert out.loc[frame["site"] == "s1", "height"].nunique() == 1
    low, high = imputer.predict_interval(frame)
    assert (low["height"] <= imputer.transform(frame)["height"]).all()
    assert (low["height"] < high["height"])[frame["site"] == "s1"].all()


def test_a_static_column_that_changes_within_a_group_later_is_predicted_row_by_row(filled):
    _, _, imputer = filled
    frame = panel()
    later = frame.copy()
    later.loc[later.index[:48], "kind"] = "field"
    later.loc[later.index[10:14], "kind"] = None
    out = imputer.transform(later)
    assert not out.isna().any(axis=None)
    seen = later["kind"].notna()
    assert (out["kind"][seen] == later["kind"][seen]).all()


def test_probabilities_of_what_a_group_tells_are_one(filled):
    given, _, imputer = filled
    chances = imputer.predict_proba(given)
    np.testing.assert_allclose(chances["half"].sum(axis=1), 1, atol=1e-6)
    assert (chances["kind"]["town"][given["site"] == "s0"] == 1).all()
    untold = chances["kind"][given["site"] == "s2"]
    assert (untold == untold.iloc[0]).all(axis=None) and untold.iloc[0].between(0, 1).all()


def test_the_order_of_the_rows_changes_no_bit(filled):
    given, out, imputer = filled
    shuffled = given.sample(frac=1, random_state=3)
    pd.testing.assert_frame_equal(imputer.transform(shuffled), out.loc[shuffled.index])
    for one, other in zip(imputer.sample(given, 2, 0), imputer.sample(shuffled, 2, 0)):
        pd.testing.assert_frame_equal(one.loc[shuffled.index], other, check_exact=True)


def test_a_series_alone_is_filled_as_among_others(filled):
    given, out, imputer = filled
    for site in ("s0", "s2"):
        own = given["site"] == site
        pd.testing.assert_frame_equal(imputer.transform(given[own]), out[own], check_exact=True)


def test_a_group_that_fit_has_not_seen_is_filled(filled):
    given, out, imputer = filled
    fresh = given[given["site"] == "s0"].assign(site="unheard of")
    again = imputer.transform(fresh)
    assert set(again["site"]) == {"unheard of"}
    one, other = (x.drop(columns="site") for x in (again, out[: len(fresh)]))
    pd.testing.assert_frame_equal(one, other, check_exact=True)


@pytest.mark.parametrize("n", [1, 5])
def test_frames_shorter_than_a_window_are_filled(filled, n):
    given, _, imputer = filled
    short = given.iloc[3 : 3 + n].assign(a=np.nan)
    assert not imputer.transform(short).isna().any(axis=None)
    assert imputer.sample(short, 1, 0)[0].notna().all(axis=None)


def test_missing_stamps_stay_missing_rows(filled):
    given, _, imputer = filled
    thinned = given[given.index % 4 > 0]
    out = imputer.transform(thinned)
    assert out.index.equals(thinned.index) and not out.isna().any(axis=None)


def test_saved_and_pickled_imputers_fill_the_same(filled, tmp_path):
    given, out, imputer = filled
    maetab.save(imputer, tmp_path / "m.safetensors")
    for same in (maetab.load(tmp_path / "m.safetensors"), pickle.loads(pickle.dumps(imputer))):
        assert same.timeline_ == imputer.timeline_ and same.schema_ == imputer.schema_
        pd.testing.assert_frame_equal(same.transform(given), out, check_exact=True)


def test_an_imputer_without_window_has_no_timeline(tmp_path):
    frame = hourly(40).reset_index(drop=True)
    imputer = MAEImputer(**SMALL).fit(frame)
    maetab.save(imputer, tmp_path / "m.safetensors")
    assert imputer.timeline_ is None and maetab.load(tmp_path / "m.safetensors").timeline_ is None


@pytest.mark.slow
def test_windows_of_one_row_fill_as_no_window_does():
    given = holed(hourly(80))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        plain, rows = (MAEImputer(window=w, **SMALL).fit(given) for w in (None, 1))
    assert rows.timeline_.n_steps == 1
    for method in ("transform", "predict_proba"):
        one, other = (getattr(est, method)(given) for est in (plain, rows))
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    for one, other in zip(plain.sample(given, 2, 0), rows.sample(given, 2, 0)):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    states = (est.model_.state_dict() for est in (plain, rows))
    assert all(bool((a == b).all()) for a, b in zip(*(s.values() for s in states)))


@pytest.mark.parametrize("name", ["time", "groups"])
def test_times_and_groups_without_a_window_are_refused(name):
    with pytest.raises(ValueError, match=rf"'{name}' parameter of MAEImputer.*window='auto'"):
        MAEImputer(**{name: "when"}).fit(panel())


def test_one_from_another_shares_its_timeline_and_cannot_change_it(filled):
    given, out, imputer = filled
    same = MAEImputer.from_fitted(imputer)
    assert same.get_params() == imputer.get_params() and same.timeline_ == imputer.timeline_
    pd.testing.assert_frame_equal(same.transform(given), out, check_exact=True)
    with pytest.raises(ValueError, match="cannot change window=24"):
        MAEImputer.from_fitted(imputer, window=24)
    assert clone(imputer).get_params() == imputer.get_params()


def test_intervals_widen_towards_the_middle_of_a_gap():
    frame = hourly(400)[["a"]]
    rng = np.random.default_rng(0)
    frame["a"] = pd.Series(rng.normal(size=400)).cumsum().to_numpy()
    given = frame.copy()
    given.iloc[200:211] = np.nan
    low, high = MAEImputer(window=24, **SMALL).fit(given).predict_interval(given)
    width = (high - low)["a"].iloc[200:211].to_numpy()
    assert width[5] > 1.3 * width[0] and width[5] > 1.3 * width[10]


def test_draws_of_a_series_are_the_same_beside_one_of_fit_and_beside_another():
    def site(name: str, seed: int) -> pd.DataFrame:
        return holed(hourly(96, seed), 0.3, seed + 1).reset_index().assign(site=name)

    known, other, new = site("a", 0), site("a", 7), site("b", 5)
    imputer = MAEImputer(**PANEL).fit(pd.concat([known, site("c", 9)]))
    beside = (pd.concat([x, new], ignore_index=True) for x in (known, other))
    one, two = (imputer.sample(x, 1, random_state=0)[0].iloc[96:] for x in beside)
    pd.testing.assert_frame_equal(one, two, check_exact=True)


@pytest.mark.slow
def test_draws_of_a_gap_hang_together():
    rng = np.random.default_rng(0)
    walk = np.zeros(600)
    for i in range(1, 600):
        walk[i] = 0.95 * walk[i - 1] + rng.normal()
    given = pd.DataFrame({"a": walk}, index=pd.date_range("2024", periods=600, freq="h"))
    given.iloc[300:320] = np.nan
    imputer = MAEImputer(window=48, **SMALL).fit(given)
    draws = np.stack([draw["a"].to_numpy()[300:320] for draw in imputer.sample(given, 60, 0)])
    off = draws - draws.mean(0)
    together = (off[:, 1:] * off[:, :-1]).sum() / np.square(off).sum()
    assert together > 0.7  # independent draws have about 0


@pytest.mark.parametrize("how", ["polars", "pyarrow"])
def test_tables_of_other_libraries_come_back_as_they_are(filled, how):
    given, out, imputer = filled
    library = pytest.importorskip(how)
    table = library.from_pandas(given) if how == "polars" else library.Table.from_pandas(given)
    again = imputer.transform(table)
    assert type(again) is type(table)
    again = again.to_pandas()
    np.testing.assert_allclose(again["a"], out["a"], rtol=1e-6)
    assert (again["kind"].to_numpy() == out["kind"].to_numpy()).all()
    assert (pd.to_datetime(again["when"]) == out["when"]).all()


@pytest.mark.slow
def test_a_series_of_one_window_that_begins_anywhere_is_filled_from_both_its_ends():
    """Windows at multiples of a stride would see one end or the other."""
    course = np.random.default_rng(0).normal(size=600).cumsum()
    stamps = pd.date_range("2020", periods=600, freq="D")
    train = pd.DataFrame({"a": course, "site": 0}, stamps)
    parts = [train.iloc[i : i + 24].assign(site=i) for i in range(107, 507, 50)]
    for part in parts:
        part.iloc[2:22, 0] = np.nan
    imputer = MAEImputer(window=24, groups="site", max_iter=0, random_state=0).fit(train)
    new, lines = pd.concat(parts), pd.concat([part["a"].interpolate() for part in parts])
    beside = (imputer.transform(new)["a"] - lines).abs().to_numpy().reshape(-1, 24)
    assert beside[:, [2, 3, 20, 21]].mean() < 0.1  # one step and two from either end
    assert imputer._windows(imputer._read(new)).rows.shape == (8, 24)
