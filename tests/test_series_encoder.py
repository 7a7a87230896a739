"""Features of series: of rows in their context, and of windows that do not overlap."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from series_frames import holed, hourly, panel
from sklearn.linear_model import LogisticRegression

import maetab
from maetab import MAEEncoder, MAEImputer
from maetab.components import even_rotation
from maetab.data.window_steps import stride_steps
from maetab.engine.embedding import Steps
from maetab.engine.inference import windows_of

SMALL = {"max_iter": 1, "random_state": 0, "width": 8, "n_heads": 2, "n_components": 12}
PANEL = {"window": 12, "time": "when", "groups": "site"} | SMALL


@pytest.fixture(scope="module")
def encoded() -> tuple[pd.DataFrame, MAEEncoder]:
    given = holed(panel((144, 96)), keep=("site", "when"))
    return given, MAEEncoder(**PANEL).fit(given)


def test_a_row_has_components_of_its_context_and_its_own_encoded_cells(encoded):
    given, encoder = encoded
    features = encoder.transform(given)
    names = encoder.get_feature_names_out().tolist()
    assert features.columns.tolist() == names and features.index.equals(given.index)
    assert names[: encoder.n_components_] == [f"component{i}" for i in range(encoder.n_components_)]
    assert not any(name.startswith(("site", "when")) for name in names)
    assert np.isfinite(features).all(axis=None)
    seen, column = given["b"].notna(), encoder.schema_.columns[3]
    scaled = (given["b"] - column.center) / column.scale
    np.testing.assert_allclose(features["b"][seen], scaled[seen], atol=1e-6)


def test_the_context_of_a_row_changes_its_components_and_not_its_encoded_cells(encoded):
    _, encoder = encoded
    frame = panel((144, 96))
    moved = frame.copy()
    moved.loc[71, "a"] += 3.0
    before, after = (encoder.transform(x).loc[70] for x in (frame, moved))
    n = encoder.n_components_
    assert np.abs(before[:n] - after[:n]).max() > 1e-3
    pd.testing.assert_series_equal(before[n:], after[n:])


def test_rows_come_back_from_their_features(encoded):
    given, encoder = encoded
    back = encoder.inverse_transform(encoder.transform(given))
    assert back.columns.tolist() == given.columns.tolist()
    seen = given["a"].notna()
    np.testing.assert_allclose(back["a"][seen], given["a"][seen], atol=1e-5)
    assert (back["half"][given["half"].notna()] == given["half"][given["half"].notna()]).all()


@pytest.mark.slow
def test_rows_come_near_without_the_encoded_input():
    frame = panel((144, 96))
    encoder = MAEEncoder(**PANEL | {"add_raw": False, "n_components": 64}).fit(frame)
    back = encoder.inverse_transform(encoder.transform(frame))
    assert np.corrcoef(back["a"], frame["a"])[0, 1] > 0.8


def test_order_and_company_of_rows_change_no_feature(encoded):
    given, encoder = encoded
    features = encoder.transform(given)
    shuffled = given.sample(frac=1, random_state=0)
    own = given["site"] == "s1"
    pd.testing.assert_frame_equal(encoder.transform(shuffled), features.loc[shuffled.index])
    pd.testing.assert_frame_equal(encoder.transform(given[own]), features[own])


@pytest.fixture(scope="module")
def of_windows(encoded) -> MAEEncoder:
    return MAEEncoder.from_fitted(encoded[1], level="window", add_raw=True)


def test_windows_are_indexed_by_group_and_start(encoded, of_windows):
    given, _ = encoded
    features = of_windows.transform(given)
    assert features.index.names == ["site", "when"] and len(features) == 12 + 8
    starts = given.groupby("site")["when"].apply(lambda when: when.iloc[::12].tolist())
    assert features.loc["s0"].index.tolist() == starts["s0"]
    names = of_windows.get_feature_names_out().tolist()
    assert features.columns.tolist() == names and len(set(names)) == len(names)
    assert {"a[0]", "a[11]", "half[3]=day"} < set(names)
    scaled = features.loc["s0"].iloc[0][["a[0]", "a[1]"]].to_numpy()
    column = encoded[1].schema_.columns[2]
    seen = given["a"].iloc[:2].notna().to_numpy()
    wanted = ((given["a"].iloc[:2] - column.center) / column.scale).to_numpy()
    np.testing.assert_allclose(scaled[seen], wanted[seen], atol=1e-6)


@pytest.mark.slow
def test_a_stride_gives_windows_that_end_at_any_stamp(encoded, of_windows):
    given, encoder = encoded
    wide = {"level": "window", "stride": 1, "add_raw": True}
    every = MAEEncoder.from_fitted(encoder, **wide).transform(given)
    assert len(every) == (144 - 11) + (96 - 11) and every.index.is_unique
    first = given["when"].iloc[0]
    assert every.loc["s0"].index.tolist() == given["when"].iloc[: 144 - 11].tolist()
    apart = of_windows.transform(given)
    pd.testing.assert_frame_equal(every.loc[apart.index], apart)
    alone = given.iloc[7 : 7 + 12]  # a window that begins at seven o'clock
    own = MAEEncoder.from_fitted(encoder, **wide).transform(alone)
    pd.testing.assert_frame_equal(own, every.loc[[("s0", first + pd.Timedelta("7h"))]])
    third = MAEEncoder.from_fitted(encoder, level="window", stride="4h").transform(given)
    assert (third.loc["s0"].index.hour % 4 == 0).all() and len(third.loc["s0"]) == 34


@pytest.mark.slow
def test_what_is_expected_next_comes_true_whenever_a_window_begins():
    hour = np.arange(24 * 40)
    stamps = pd.date_range("2024-01-01", periods=len(hour), freq="h")
    day = np.select([hour % 24 == 8, hour % 24 == 20], [2.0, -1.0], 0.0)  # two peaks
    frame = pd.DataFrame(
        {"a": day + 0.01 * np.random.default_rng(0).normal(size=len(hour))}, stamps
    )
    raw = {"n_components": None, "add_raw": False, "max_iter": 0, "random_state": 0}
    encoder = MAEEncoder(window=24, level="window", stride=1, **raw).fit(frame)
    expected = encoder.transform(frame).to_numpy()[:, -6:]
    scaled = (frame["a"].to_numpy() - encoder.schema_.columns[0].center) / (
        encoder.schema_.columns[0].scale
    )
    first = np.arange(len(expected) - 6)
    truth = scaled[first[:, None] + 24 + np.arange(6)] - scaled[first + 23][:, None]
    assert np.abs(expected[:-6] - truth).mean() < 0.1 * np.abs(truth).mean()


def test_windows_that_begin_in_a_pause_come_once(encoded):
    given, encoder = encoded
    holed = given.drop(index=range(40, 45))
    every = MAEEncoder.from_fitted(encoder, level="window", stride=1).transform(holed)
    assert every.index.is_unique
    starts = every.loc["s0"].index.tolist()
    assert starts == [when for when in holed["when"].iloc[: 144 - 11 - 5]]


@pytest.mark.parametrize(
    ("stride", "words"),
    [(0, "got 0"), (13, "12 steps of a window"), ("90min", "no whole number"), (True, "got True")],
)
def test_a_stride_that_cannot_be_is_refused_before_anything_is_learned(stride, words):
    with pytest.raises(ValueError, match=rf"'stride' parameter of MAEEncoder.*{words}"):
        MAEEncoder(**PANEL, level="window", stride=stride).fit(panel((48, 36)))


def test_a_stride_may_be_off_whole_steps_by_the_rounding_of_fractions_of_a_second():
    assert stride_steps("300ms", 5, 0.1, "second") == 3  # 0.3 / 0.1 is a little less
    assert stride_steps("100ms", 5, 0.033333, "second") == 3
    with pytest.raises(ValueError, match="no whole number of steps"):
        stride_steps("333ms", 5, 0.1, "second")


def test_a_stride_of_rows_is_refused():
    with pytest.raises(ValueError, match="level='row' gives features of rows"):
        MAEEncoder(**PANEL, stride=1).fit(panel((48, 36)))


def test_the_encoded_input_stands_behind_features_of_rows_and_not_of_windows(encoded):
    given, encoder = encoded
    rows = encoder.transform(given)
    windows = MAEEncoder.from_fitted(encoder, level="window").transform(given)
    assert encoder.add_raw is None and rows.shape[1] > encoder.n_components_
    assert windows.columns.str.startswith("component").all()


def test_windows_of_other_tables_have_their_keys_as_first_columns(encoded, of_windows):
    pl = pytest.importorskip("polars")
    given, _ = encoded
    features = of_windows.transform(pl.from_pandas(given))
    assert features.columns[:2] == ["site", "when"]
    wanted = of_windows.transform(given)
    np.testing.assert_array_equal(features.drop("site", "when").to_numpy(), wanted.to_numpy())


def test_tensors_are_the_windows_that_networks_read(encoded, of_windows):
    given, encoder = encoded
    values, visible = of_windows.to_tensors(given)
    assert values.shape == visible.shape == (20, 12, 4)
    assert visible.dtype == torch.bool and bool((values[~visible] == 0).all())
    assert encoder.to_tensors(given)[0].shape[1:] == (12, 4)


def test_features_of_windows_are_not_inverted(encoded, of_windows):
    with pytest.raises(ValueError, match="use level='row'"):
        of_windows.inverse_transform(of_windows.transform(encoded[0]))


def test_features_of_windows_without_a_window_are_refused():
    with pytest.raises(ValueError, match=r"level='window' of MAEEncoder.*window=None"):
        MAEEncoder(level="window").fit(hourly(40))
    with pytest.raises(ValueError, match="'level' parameter of MAEEncoder must be one of"):
        MAEEncoder(level="column").fit(hourly(40))


@pytest.mark.slow
def test_a_level_changed_after_fit_is_refused(encoded):
    given, _ = encoded
    encoder = MAEEncoder(**PANEL).fit(given).set_params(level="window")
    with pytest.raises(ValueError, match="'level' to 'window', after fit"):
        encoder.transform(given)


@pytest.mark.slow
def test_windows_of_two_courses_are_told_apart_with_few_labels():
    rng, hour = np.random.default_rng(0), np.arange(24 * 80)
    odd = rng.permutation(80) < 40
    course = np.where(odd[hour // 24], np.sin(hour / 24 * 4 * np.pi), np.sin(hour / 24 * 2 * np.pi))
    stamps = pd.date_range("2024-01-01", periods=len(hour), freq="h")
    frame = pd.DataFrame({"a": course + 0.5 * rng.normal(size=len(hour))}, stamps)
    encoder = MAEEncoder(window=24, level="window", add_raw=False, **SMALL).fit(frame)
    features = encoder.transform(frame)
    few = np.r_[np.flatnonzero(odd)[:5], np.flatnonzero(~odd)[:5]]
    found = LogisticRegression(max_iter=1000).fit(features.iloc[few], odd[few])
    rest = np.delete(np.arange(80), few)
    assert found.score(features.iloc[rest], odd[rest]) > 0.85


def test_each_row_is_read_where_it_is_nearest_to_a_middle():
    rows = np.array([[0, 1, 2, 3], [2, 3, 4, 5], [4, 5, -1, -1]])
    steps = Steps.nearest_middle(windows_of(np.zeros((6, 1)), np.ones((6, 1), bool), rows))
    found = {int(rows[w, t]): (int(w), int(t)) for w, t in zip(*steps)}
    assert found == {0: (0, 0), 1: (0, 1), 2: (0, 2), 3: (1, 1), 4: (1, 2), 5: (2, 1)}
    assert (np.diff(steps.window) >= 0).all()


@pytest.mark.slow
def test_one_made_from_an_imputer_and_one_that_was_saved_read_the_same(tmp_path):
    frame = panel((144, 96))
    imputer = MAEImputer(**{k: v for k, v in PANEL.items() if k != "n_components"}).fit(frame)
    encoder = MAEEncoder.from_fitted(imputer, n_components=4)
    features = encoder.transform(frame)
    maetab.save(encoder, tmp_path / "m.safetensors")
    same = maetab.load(tmp_path / "m.safetensors").transform(frame)
    pd.testing.assert_frame_equal(same, features, check_exact=True)


@pytest.mark.parametrize("k", [1, 2, 7, 30])
def test_an_even_rotation_gives_all_the_mean_variance(k):
    variance = np.random.default_rng(k).exponential(size=k) ** 3
    turned = even_rotation(variance)
    np.testing.assert_allclose(turned @ turned.T, np.eye(k), atol=1e-9)
    found = (turned * variance) @ turned.T
    np.testing.assert_allclose(found.diagonal(), variance.mean(), rtol=1e-6)


@pytest.mark.slow
def test_components_vary_alike_over_the_windows_that_are_learned_from():
    frame = panel((240, 240))
    encoder = MAEEncoder(**PANEL | {"window": 6}, level="window", stride=3, add_raw=False)
    spread = encoder.fit_transform(frame).var(axis=0)
    assert len(spread) > 8 and spread.max() < 1.001 * spread.min()


@pytest.mark.slow
def test_windows_of_one_row_are_encoded_as_no_window():
    rows = hourly(60).reset_index(drop=True)
    plain, single = (MAEEncoder(window=w, **SMALL).fit_transform(rows) for w in (None, 1))
    pd.testing.assert_frame_equal(plain, single, check_exact=True)


@pytest.mark.parametrize("convert", [pl.from_pandas, pa.Table.from_pandas])
def test_set_output_makes_features_of_windows_of_tables_of_others(convert):
    given = panel((24, 24))
    encoder = MAEEncoder(**(PANEL | {"max_iter": 0}), level="window").fit(convert(given))
    alike = MAEEncoder(**(PANEL | {"max_iter": 0}), level="window").fit_transform(given)
    out = encoder.set_output(transform="pandas").transform(convert(given))
    pd.testing.assert_frame_equal(out, alike)
    named = encoder.set_output(transform="polars").transform(convert(given))
    assert named.columns == encoder.get_feature_names_out().tolist() == list(alike)
