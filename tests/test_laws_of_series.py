"""The laws of the house for series, on generated panels."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maetab import MAEAnomalyDetector, MAEEncoder, MAEImputer

few = settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
FREQUENCIES = ["h", "D", "15min"]


@st.composite
def panels(draw, keyed: str | None = None) -> pd.DataFrame:
    """Ragged series of mixed columns with missing cells and stamps, keys as columns or index."""
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    lengths = [*draw(st.lists(st.integers(1, 40), min_size=1, max_size=4)), 40, 40]
    frequency, parts = draw(st.sampled_from(FREQUENCIES)), []
    for k, n in enumerate(lengths):
        when = pd.date_range("2024-03-30", periods=n, freq=frequency)
        x = np.cumsum(rng.normal(size=n))
        part = pd.DataFrame({"site": f"s{k}", "when": when, "x": x, "y": x + rng.normal(size=n)})
        part["count"] = pd.array(rng.integers(0, 4, n), dtype="Int64")
        part["level"] = pd.Categorical(rng.choice(list("pqr"), n))
        part["fixed"] = ["north", "south"][k % 2]
        parts.append(part[rng.random(n) < 0.9] if n > 3 else part)
    frame = pd.concat(parts, ignore_index=True)
    for name in ("x", "y", "count", "level", "fixed"):
        frame[name] = frame[name].mask(rng.random(len(frame)) < draw(st.sampled_from([0.0, 0.3])))
    index = keyed or draw(st.sampled_from(["columns", "index"]))
    return frame if index == "columns" else frame.set_index(["site", "when"])


def parameters(frame: pd.DataFrame, window: int) -> dict:
    return {"window": window, "time": "when", "groups": "site", "max_iter": 0, "random_state": 0}


def fitted(kind: type, frame: pd.DataFrame, window: int, **more):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return kind(**parameters(frame, window), **more).fit(frame)


def same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(one, other, check_exact=True)


windows = st.sampled_from([2, 6, 13])


@given(frame=panels(), window=windows, limits=st.sampled_from([{}, {"max_gap": 2}]))
@few
def test_no_observed_cell_row_or_dtype_changes(frame, window, limits):
    imputer = fitted(MAEImputer, frame, window, **limits)
    given_ = frame.copy()
    for out in (imputer.transform(frame), *imputer.sample(frame, 1, 0)):
        same(frame, given_)
        pd.testing.assert_index_equal(out.index, frame.index)
        assert out.dtypes.equals(frame.dtypes)
        assert limits or not out.isna().any(axis=None)
        for name in frame:
            seen = frame[name].notna()
            pd.testing.assert_series_equal(out[name][seen], frame[name][seen], check_exact=True)


@pytest.mark.slow
@given(frame=panels(), window=windows, seed=st.integers(0, 99))
@few
def test_the_order_of_rows_and_series_changes_no_bit(frame, window, seed):
    order = np.random.default_rng(seed).permutation(len(frame))
    imputer = fitted(MAEImputer, frame, window)
    detector = MAEAnomalyDetector.from_fitted(imputer, n_masks=2)
    shuffled = frame.iloc[order]
    same(imputer.transform(shuffled), imputer.transform(frame).iloc[order])
    same(imputer.sample(shuffled, 1, 0)[0], imputer.sample(frame, 1, 0)[0].iloc[order])
    assert (detector.score_samples(shuffled) == detector.score_samples(frame)[order]).all()


@pytest.mark.slow
@given(frame=panels(keyed="columns"), window=windows, place=st.integers(0, 9))
@few
def test_a_series_alone_gives_what_it_gives_among_others(frame, window, place):
    sites = frame["site"].unique()
    own = (frame["site"] == sites[place % len(sites)]).to_numpy()
    imputer = fitted(MAEImputer, frame, window)
    same(imputer.transform(frame[own]), imputer.transform(frame)[own])
    for one, every in zip(imputer.predict_interval(frame[own]), imputer.predict_interval(frame)):
        same(one, every[own])
    encoder = MAEEncoder.from_fitted(imputer, n_components=3)
    same(encoder.transform(frame[own]), encoder.transform(frame)[own])


@pytest.mark.slow
@given(frame=panels(), window=windows)
@few
def test_transform_learns_nothing_and_pickles_give_the_same(frame, window):
    imputer = fitted(MAEImputer, frame, window)
    before = pickle.dumps(imputer)
    out = imputer.transform(frame)
    assert pickle.dumps(imputer) == before
    same(pickle.loads(before).transform(frame), out)


@pytest.mark.slow
@given(frame=panels(keyed="columns"), window=windows)
@few
def test_what_is_missing_is_read_nowhere(frame, window):
    """Whatever stands in cells that count as missing, nothing else changes."""
    marked = frame.copy()
    marked["x"] = marked["x"].fillna(-999.0)
    one = fitted(MAEImputer, frame, window)
    other = fitted(MAEImputer, marked, window, missing_values=-999.0)
    same(one.transform(frame), other.transform(marked))
