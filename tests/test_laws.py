"""The nine laws of the house, each as one property."""

from __future__ import annotations

import importlib.util
import pickle
import random
import warnings
from dataclasses import replace

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from frames import assert_same_to_float32, mixed_frames
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from models import QUICK, cut

from maetab import MAEImputer
from maetab.data.codec import decode, encode
from maetab.data.schema import infer_schema
from maetab.engine.draws import draw
from maetab.engine.fit import fit_model
from maetab.engine.inference import (
    predict,
    predict_probabilities,
    predict_quantiles,
    windows_of,
)
from maetab.nn.masking import MASKINGS
from maetab.nn.windows import Windows

CPU = torch.device("cpu")
few = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
many = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@st.composite
def settings_of_an_imputer(draw) -> dict:
    return {
        "guess": QUICK,
        "max_iter": draw(st.sampled_from([0, 1, 2])),
        "n_estimators": 1,
        "width": 8,
        "n_heads": 2,
        "random_state": draw(st.integers(0, 2**32 - 1)),
        "loss": draw(st.sampled_from(["distribution", "mse", "mae", "cosine"])),
        "backbone": draw(st.sampled_from(["transformer", "mlp", "linear"])),
        "masking": draw(st.sampled_from(sorted(MASKINGS))),
        "mask_ratio": draw(st.sampled_from([0.0, 0.3, 0.8])),
        "add_indicator": draw(st.booleans()),
        "keep_empty_features": draw(st.booleans()),
        "keep_grid": draw(st.booleans()),
    }


frames = mixed_frames(min_rows=2, max_rows=16, max_columns=4)


def fitted(frame: pd.DataFrame, parameters: dict) -> MAEImputer:
    schema = infer_schema(frame)  # free text alone is refused
    assume(encode(frame, schema)[1].any() or not schema.is_free_text().any())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return MAEImputer(**parameters).fit(frame)


def everything(imputer: MAEImputer, frame: pd.DataFrame) -> list[pd.DataFrame]:
    """All that does not depend on the other rows."""
    return [
        imputer.transform(frame),
        *imputer.predict_interval(frame, coverage=0.8),
        imputer.predict_proba(frame),
    ]


def assert_same(mine: list[pd.DataFrame], theirs: list[pd.DataFrame]) -> None:
    for one, other in zip(mine, theirs, strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True, check_freq=False)


# 1


@given(frame=mixed_frames())
@many
def test_law_1_decode_gives_back_what_encode_took(frame):
    schema = infer_schema(frame)
    values, observed = encode(frame, schema)
    assert_same_to_float32(decode(values, observed, schema, like=frame), frame, schema)


# 2 and 3 are in test_laws_of_windows.py


# 4


poisoned = given(
    frame=frames,
    parameters=settings_of_an_imputer(),
    poison=st.sampled_from([1e6, np.nan]),
    t=st.sampled_from([1, 3]),
)


def with_steps(imputer: MAEImputer, frame: pd.DataFrame, t: int):
    """Return cells of a frame, and a model of windows of t steps over its rows."""
    values, observed = encode(frame, imputer.schema_)
    if t == 1:
        return values, observed, imputer.model_
    config = replace(imputer._config(), n_steps=t)
    windows = windows_of(values, observed, cut(len(frame), t))
    return values, observed, fit_model(config, windows, imputer._options())[0]


@poisoned
@few
def test_law_4_what_is_not_visible_changes_no_bit(frame, parameters, poison, t):
    imputer = fitted(frame, parameters)
    values, observed, model = with_steps(imputer, frame, t)
    hide = np.random.default_rng(0).random(observed.shape) < 0.4
    visible, rows = observed & ~hide, cut(len(frame), t)
    spoiled = np.where(visible, values, np.float32(poison))
    given_ = [
        windows_of(values, visible, rows),
        windows_of(spoiled, visible, rows),
        Windows(*map(torch.tensor, (spoiled, visible, rows))),
    ]
    columns = list(range(values.shape[1]))
    for apply, more in (
        (predict, {}),
        (predict_probabilities, {"columns": columns}),
        (predict_quantiles, {"levels": [0.1, 0.9]}),
        (draw, {"seed": 3}),
    ):
        found = [apply(model, windows, CPU, **more) for windows in given_]
        if apply is draw:
            found = [np.where(visible, 0, x) for x in found]
        assert found[0].tobytes() == found[1].tobytes() == found[2].tobytes()


@pytest.mark.slow
@poisoned
@few
def test_law_4_what_is_not_observed_changes_no_bit_of_the_model(frame, parameters, poison, t):
    imputer = fitted(frame, parameters)
    values, observed = encode(frame, imputer.schema_)
    spoiled = np.where(observed, values, np.float32(poison))
    config, options = replace(imputer._config(), n_steps=t), imputer._options()
    rows = cut(len(frame), t)
    one, other = (
        fit_model(config, windows_of(x, observed, rows), options)[0].state_dict()
        for x in (values, spoiled)
    )
    assert all(one[k].numpy().tobytes() == other[k].numpy().tobytes() for k in one)  # also NaN


# 5


@given(frame=frames, parameters=settings_of_an_imputer())
@few
def test_law_5_no_observed_cell_changes(frame, parameters):
    imputer = fitted(frame, parameters)
    for filled in (
        imputer.transform(frame),
        *imputer.sample(frame, 2),
        *imputer.predict_interval(frame),
    ):
        assert filled.index.equals(frame.index) and filled.attrs == frame.attrs
        for name in frame.columns.intersection(filled.columns):
            seen = frame[name].notna()
            assert filled[name].dtype == frame[name].dtype
            pd.testing.assert_series_equal(filled[name][seen], frame[name][seen], check_exact=True)


@given(frame=frames, parameters=settings_of_an_imputer(), seed=st.integers(0, 999))
@few
def test_law_5_rows_are_independent_bit_for_bit(frame, parameters, seed):
    imputer = fitted(frame, parameters)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(frame))
    some = order[: rng.integers(1, len(frame) + 1)]
    whole = everything(imputer, frame)
    for rows in (order, some, order[:1]):
        assert_same(everything(imputer, frame.iloc[rows]), [x.iloc[rows] for x in whole])


@pytest.mark.slow
@given(
    frame=frames,
    parameters=settings_of_an_imputer(),
    t=st.sampled_from([1, 2, 3]),
    seed=st.integers(0, 999),
)
@few
def test_law_5_windows_are_independent_bit_for_bit(frame, parameters, t, seed):
    imputer, rng = fitted(frame, parameters), np.random.default_rng(seed)
    values, observed, model = with_steps(imputer, frame, t)
    rows = cut(len(frame), t, t)
    order = rng.permutation(len(rows))
    for apply, more in (
        (predict, {}),
        (predict_quantiles, {"levels": [0.1, 0.9]}),
        (draw, {"seed": 3}),
    ):
        whole = apply(model, windows_of(values, observed, rows), CPU, **more)
        for some in (order, order[:1], np.concatenate([order, order])):
            if apply is not draw and len(some) > len(order):
                continue  # the mean of a window and itself
            mine = apply(model, windows_of(values, observed, rows[some]), CPU, **more)
            once = np.unique(rows[some][rows[some] >= 0])
            held = np.bincount(rows[rows >= 0])
            once = once[held[once] == 1]
            if apply is draw:  # a window is drawn after those before it that share a row with it
                linked = rows[(held[rows.clip(0)] * (rows >= 0) > 1).any(1)]
                once = np.setdiff1d(once, linked)
            assert mine[..., once, :].tobytes() == whole[..., once, :].tobytes()


# 6


@given(frame=frames, parameters=settings_of_an_imputer())
@few
def test_law_6_transform_learns_nothing(frame, parameters):
    imputer = fitted(frame, parameters)
    before, kept = joblib.hash(imputer.__getstate__()), frame.copy(deep=True)
    everything(imputer, frame)
    imputer.sample(frame, 1)
    imputer.score(frame)
    imputer.get_feature_names_out()
    assert joblib.hash(imputer.__getstate__()) == before
    pd.testing.assert_frame_equal(frame, kept)


# 7


@given(frame=frames, parameters=settings_of_an_imputer())
@few
def test_law_7_a_pickle_predicts_the_same(frame, parameters):
    imputer = fitted(frame, parameters)
    again = pickle.loads(pickle.dumps(imputer))
    assert_same(everything(again, frame), everything(imputer, frame))
    assert_same(again.sample(frame, 2), imputer.sample(frame, 2))


@pytest.mark.skipif(
    importlib.util.find_spec("maetab.files.models") is None, reason="no persist yet"
)
@given(frame=frames, parameters=settings_of_an_imputer())
@few
def test_law_7_a_saved_model_predicts_the_same(frame, parameters, tmp_path_factory):
    from maetab.files.models import load, save

    imputer, path = fitted(frame, parameters), tmp_path_factory.mktemp("saved") / "m.safetensors"
    save(imputer, path)
    again = load(path)
    assert_same(everything(again, frame), everything(imputer, frame))
    assert_same(again.sample(frame, 2), imputer.sample(frame, 2))


# 8


@given(frame=frames, parameters=settings_of_an_imputer())
@few
def test_law_8_a_table_is_a_series_of_windows_of_length_one(frame, parameters):
    imputer = fitted(frame, parameters)
    values, observed = encode(frame, imputer.schema_)
    rows = cut(len(frame), window=1, series=np.zeros(len(frame)))
    windows = windows_of(values, observed, rows)
    model, _ = fit_model(imputer._config(), windows, imputer._options())
    mine, theirs = model.state_dict(), imputer.model_.state_dict()
    assert all(torch.equal(mine[k], theirs[k]) for k in theirs)
    gaps, points = ~observed, predict(model, windows, CPU)
    assert points[gaps].tobytes() == imputer._points(imputer._read(frame))[gaps].tobytes()
    # Also where every row is a series of its own, in windows that could be longer.
    alone = cut(len(frame), window=1, series=np.arange(len(frame)))
    assert predict(model, windows_of(values, observed, alone), CPU).tobytes() == points.tobytes()


# 9


@given(frame=frames, parameters=settings_of_an_imputer(), seed=st.integers(0, 999))
@few
def test_law_9_global_random_states_are_left_as_they_were(frame, parameters, seed):
    torch.manual_seed(seed), np.random.seed(seed), random.seed(seed)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    imputer = fitted(frame, parameters)
    everything(imputer, frame)
    imputer.sample(frame, 1)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1:] == (np.random.get_state()[1].tolist(), random.getstate())
