"""MAEEncoder: what comes out, in which container, and back."""

from __future__ import annotations

import pickle
import tracemalloc

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from frames import example_frame
from models import QUICK
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from maetab.encoder import MAEEncoder
from maetab.imputer import MAEImputer

SMALL = {
    "width": 8,
    "n_heads": 2,
    "n_estimators": 1,
    "max_iter": 2,
    "guess": QUICK,
    "random_state": 0,
}


def make_frame(n_rows: int = 120, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.normal(10, 3, n_rows)
    frame = pd.DataFrame(
        {
            "size": x,
            "area": x**2 + rng.normal(0, 5, n_rows),
            "count": rng.poisson(4, n_rows),
            "color": np.where(x > 10, "red", np.where(x > 8, "blue", "green")),
        },
        index=pd.RangeIndex(100, 100 + n_rows, name="id"),
    )
    frame["count"] = frame["count"].astype("Int64")
    return frame.mask(rng.random(frame.shape) < 0.15)


@pytest.fixture(scope="module")
def encoder() -> MAEEncoder:
    return MAEEncoder(**SMALL).fit(make_frame())


def test_a_frame_gives_a_frame_with_its_index_and_float32(encoder):
    frame = make_frame(seed=1)
    out = encoder.transform(frame)
    assert out.index.equals(frame.index)
    assert (out.dtypes == np.float32).all()
    assert list(out.columns) == list(encoder.get_feature_names_out())
    assert np.isfinite(out.to_numpy()).all()


def test_other_containers_come_back_as_they_are_with_the_same_numbers():
    frame = make_frame().drop(columns="color").astype("float64")
    encoder = MAEEncoder(**SMALL).fit(frame)
    expected = encoder.transform(frame).to_numpy()
    lazy = encoder.transform(pl.from_pandas(frame))
    assert isinstance(lazy, pl.DataFrame)
    np.testing.assert_array_equal(lazy.to_numpy(), expected)
    array = MAEEncoder(**SMALL).fit_transform(frame.to_numpy())
    assert isinstance(array, np.ndarray) and array.dtype == np.float32
    np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize("kind", ["default", "pandas", "polars"])
def test_set_output_is_obeyed(kind):
    out = MAEEncoder(**SMALL).set_output(transform=kind).fit_transform(make_frame())
    assert isinstance(out, pl.DataFrame if kind == "polars" else pd.DataFrame)


@pytest.mark.slow
@pytest.mark.parametrize("readout", ["concat", "mean", "cls"])
@pytest.mark.parametrize("n_components", [None, 3])
@pytest.mark.parametrize("add_raw", [False, True])
def test_the_output_is_as_wide_as_the_parameters_say(readout, n_components, add_raw):
    frame = make_frame()
    fitted = MAEEncoder(readout=readout, n_components=n_components, add_raw=add_raw, **SMALL).fit(
        frame
    )
    out = fitted.transform(frame)
    assert out.shape == (len(frame), len(fitted.get_feature_names_out()))
    latent = n_components or (2 * len(frame) + 8 * 15 if readout == "concat" else 8)
    assert (out.shape[1] == latent) != add_raw


def test_components_are_the_principal_ones_of_the_readout():
    frame = make_frame()
    whole = MAEEncoder(n_components=None, add_raw=False, **SMALL).fit(frame)
    latent = whole.transform(frame).to_numpy().astype(np.float64)
    fitted = MAEEncoder.from_fitted(whole, n_components=8)
    part, n = fitted.transform(frame).to_numpy(), len(frame)
    n_found = []
    for block in (slice(n), slice(n, 2 * n)):
        of_block = np.abs(fitted.components_[:, block]).sum(1) > 0
        cells, found = latent[:, block], part[:, of_block]
        spread, k = np.linalg.svd(cells - cells.mean(0), compute_uv=False), found.shape[1]
        n_found.append(k)
        np.testing.assert_allclose(found.mean(0), 0, atol=1e-3 * spread[0] / np.sqrt(n))
        np.testing.assert_allclose(found.std(0), spread[:k] / np.sqrt(n), rtol=1e-3)
        np.testing.assert_allclose(np.atleast_2d(np.corrcoef(found.T)), np.eye(k), atol=1e-3)
    assert n_found == [3, 2]  # a third of 8 each; the others are keys


def test_keys_come_as_they_are_and_those_that_vary_most():
    frame = make_frame()
    whole = MAEEncoder(n_components=None, add_raw=False, **SMALL).fit(frame)
    keys = whole.transform(frame).to_numpy()[:, 2 * len(frame) :]
    found = MAEEncoder.from_fitted(whole, n_components=30).transform(frame).to_numpy()[:, 20:]
    most = np.sort(np.argsort(-keys.std(0))[:10])
    np.testing.assert_allclose(found, (keys - keys.mean(0))[:, most], atol=1e-5)


def test_there_are_no_more_components_than_the_rows_span():
    out = MAEEncoder(n_components=64, add_raw=False, **SMALL).fit_transform(make_frame(10))
    assert out.shape[1] <= 2 * 9 + 64 // 3


def test_four_rows_over_and_over_span_three_components_of_each_kind_of_similarity():
    frame = pd.concat([make_frame().dropna().iloc[:4]] * 10, ignore_index=True)
    found = MAEEncoder(n_components=32, **SMALL).fit(frame).components_
    assert [(np.abs(found[:, own]).sum(1) > 0).sum() for own in (slice(40), slice(40, 80))] == [
        3,
        3,
    ]


def test_components_that_missing_cells_move_more_than_they_vary_are_left_out():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(120, 4)), columns=list("abcd"))
    options = SMALL | {"guess": type(QUICK)(tuning_steps=2)}
    few = MAEEncoder(n_components=None, add_raw=False, **options).fit(frame)
    part = MAEEncoder.from_fitted(few, n_components=240)
    assert 0 < part.n_components_ < 240
    whole = few.transform(frame).to_numpy().astype(np.float64)
    moved = np.zeros(len(part.components_))
    for seed in range(1, 21):  # other cells than those that chose the components
        holed = few.transform(frame.mask(np.random.default_rng(seed).random(frame.shape) < 0.3))
        moved += np.square((holed.to_numpy() - whole) @ part.components_.T).mean(0) / 20
    assert (moved < 1.2 * (whole @ part.components_.T).var(0)).all()


def test_one_fit_serves_imputer_and_encoder():
    frame = make_frame()
    imputer = MAEImputer(**SMALL).fit(frame)
    encoder = MAEEncoder.from_fitted(imputer)
    assert encoder.model_ is imputer.model_
    assert encoder.transform(frame).shape[0] == len(frame)
    assert encoder.score(frame) == imputer.score(frame)


@pytest.mark.slow
def test_every_dtype_is_encoded_and_decoded():
    frame = example_frame(80)
    encoder = MAEEncoder(**SMALL).fit(frame)
    out = encoder.transform(frame)
    assert np.isfinite(out.to_numpy()).all()
    back = encoder.inverse_transform(out)
    assert back.shape == frame.shape
    before = frame.dtypes.astype(str).replace("decimal128(10, 2)[pyarrow]", "object")
    assert back.dtypes.astype(str).equals(before)


def test_categories_come_back_with_their_order():
    rank = pd.Categorical(["mid", "low", None, "high"] * 20, ["low", "mid", "high", "never"], True)
    frame = pd.DataFrame({"rank": rank, "bin": pd.cut(np.arange(80.0), [-1, 20, 50, 90])})
    frame["plain"] = pd.Categorical(["b", "a", "b", "a"] * 20)
    encoder = MAEEncoder(**SMALL).fit(frame)
    back = encoder.inverse_transform(encoder.transform(frame))
    for name in frame:
        assert back[name].dtype == frame[name].dtype
    assert back["bin"].equals(frame["bin"])
    assert back["rank"].min() == "low"


def test_observed_cells_come_back_from_the_encoded_input(encoder):
    frame = make_frame(seed=2)
    back = encoder.inverse_transform(encoder.transform(frame))
    assert back.index.equals(frame.index)
    assert not back.isna().any().any()
    for name in frame:
        seen = frame[name].notna()
        if name == "color":
            assert (back[name][seen] == frame[name][seen]).all()
        else:
            np.testing.assert_allclose(
                back[name][seen].astype(float), frame[name][seen].astype(float), rtol=1e-5
            )


@pytest.mark.parametrize("n_components", [None, 20])
def test_tokens_alone_reconstruct_the_table(n_components):
    frame, other = make_frame(400), make_frame(200, seed=1)
    encoder = MAEEncoder(n_components=n_components, add_raw=False, **SMALL).fit(frame)
    back = encoder.inverse_transform(encoder.transform(other))
    seen = other["size"].notna()
    assert np.corrcoef(back["size"][seen], other["size"][seen])[0, 1] > 0.95
    seen = other["color"].notna()
    assert (back["color"][seen] == other["color"][seen]).mean() > 0.9


def test_an_array_comes_back_as_an_array():
    x = make_frame()[["size", "area"]].to_numpy()
    encoder = MAEEncoder(**SMALL).fit(x)
    back = encoder.inverse_transform(encoder.transform(x))
    assert isinstance(back, np.ndarray)
    np.testing.assert_allclose(back[~np.isnan(x)], x[~np.isnan(x)], rtol=1e-5)


def test_features_of_another_width_are_refused(encoder):
    with pytest.raises(ValueError, match="Z has 3 features, but MAEEncoder gives"):
        encoder.inverse_transform(np.zeros((2, 3)))


def test_levels_that_were_never_seen_and_empty_rows_are_encoded(encoder):
    frame = make_frame(6, seed=3)
    frame["color"] = "violet"
    frame.iloc[0] = None
    assert np.isfinite(encoder.transform(frame).to_numpy()).all()


def test_numbers_far_out_stay_finite(encoder):
    frame = make_frame(4).astype({"size": "float64"})
    frame["size"] = [1e30, -1e30, 1e12, 3.0]
    assert np.isfinite(encoder.transform(frame).to_numpy()).all()


def test_clones_and_pickles_encode_the_same_bit_for_bit(encoder):
    frame = make_frame(seed=4)
    expected = encoder.transform(frame)
    pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(encoder)).transform(frame), expected)
    pd.testing.assert_frame_equal(clone(encoder).fit(make_frame()).transform(frame), expected)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("readout", "sum"),
        ("n_components", 0),
        ("n_components", 2.5),
        ("add_raw", "yes"),
        ("swap_ratio", 1.0),
    ],
)
def test_parameters_that_cannot_be_are_named(parameter, value):
    with pytest.raises(ValueError, match=f"The '{parameter}' parameter of MAEEncoder must be"):
        MAEEncoder(**{parameter: value}).fit(make_frame())


def test_it_stands_in_a_pipeline_before_a_classifier():
    frame = make_frame(200)
    y = (make_frame(200).fillna({"size": 10})["size"] > 10).to_numpy()
    model = make_pipeline(MAEEncoder(**SMALL), LogisticRegression(max_iter=500))
    assert model.fit(frame, y).score(frame, y) > 0.85


def test_the_network_can_be_trained_further_with_labels(encoder):
    frame = make_frame(60, seed=5)
    values, visible = encoder.to_tensors(frame)
    assert values.shape == visible.shape == (60, 1, 4)
    assert torch.equal(visible[:, 0], torch.tensor(frame.notna().to_numpy()))
    member = pickle.loads(pickle.dumps(encoder)).model_.members[0]
    head = torch.nn.Linear(8, 1)
    target = (frame["size"].fillna(10).to_numpy() > 10).astype(np.float32)
    optimizer = torch.optim.Adam([*member.parameters(), *head.parameters()], lr=1e-2)
    losses = []
    for _ in range(20):
        tokens = member.encode(values, visible)
        assert tokens.shape == (60, 5, 8)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(
            head(tokens.mean(1))[:, 0], torch.tensor(target)
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_features_with_other_names_or_in_another_order_are_refused(encoder):
    features = encoder.transform(make_frame())
    turned = features[features.columns[::-1]]
    last = features.columns[-1]
    with pytest.raises(ValueError, match=f"column 0 should be 'component0', got '{last}'"):
        encoder.inverse_transform(turned)
    pd.testing.assert_frame_equal(
        encoder.inverse_transform(turned[features.columns]), encoder.inverse_transform(features)
    )


def test_a_readout_changed_after_fit_is_refused():
    frame = make_frame(60)
    encoder = MAEEncoder(n_components=4, **SMALL).fit(frame)
    with pytest.raises(ValueError, match="'readout' parameter of MAEEncoder was changed to 'cls'"):
        encoder.set_params(readout="cls").transform(frame)


@pytest.mark.parametrize("size", [1e12, 1e38, 1e300, -1e300])
def test_features_of_a_huge_cell_are_far_from_all_others(size):
    frame = make_frame(100).fillna({"size": 0.0, "area": 0.0, "color": "red"})
    encoder = MAEEncoder(n_components=4, add_raw=False, **SMALL).fit(frame)
    usual = encoder.transform(frame).to_numpy()
    wild = frame.iloc[:1].assign(size=size)
    for row in (wild, wild.assign(area=np.nan)):
        far = encoder.transform(row).to_numpy()[0]
        assert np.isfinite(far).all()
        assert abs(far[0] - usual[0, 0]) > abs(usual[:, 0] - usual[0, 0]).max() / 4


def test_the_encoded_input_of_a_huge_cell_beside_a_missing_one_is_finite():
    frame = make_frame(100).fillna({"size": 0.0, "area": 0.0, "color": "red"})
    encoder = MAEEncoder(n_components=4, **SMALL).fit(frame)
    out = encoder.transform(frame.iloc[:1].assign(size=1e300, area=np.nan))
    assert np.isfinite(out.to_numpy()).all() and out["size"].iloc[0] > 1e38


def test_a_constant_table_has_features_without_a_warning(recwarn):
    frame = pd.DataFrame({"a": [1.0] * 30, "b": [2.0] * 30})
    out = MAEEncoder(n_components=2, **SMALL).fit_transform(frame)
    assert np.isfinite(out.to_numpy()).all()
    assert not [w for w in recwarn if w.category is RuntimeWarning]


def test_a_frame_with_numbered_columns_comes_back_as_a_frame():
    frame = make_frame()[["size", "area"]].set_axis([0, 1], axis=1)
    encoder = MAEEncoder(**SMALL).fit(frame)
    back = encoder.inverse_transform(encoder.transform(frame))
    assert back.columns.equals(frame.columns)
    assert back.index.equals(frame.index)


def test_features_of_many_rows_take_little_more_memory_than_they_are():
    X = np.random.default_rng(0).normal(size=(20_000, 6))
    encoder = MAEEncoder(max_iter=0, n_components=32, random_state=0).fit(X[:200])
    encoder.transform(X[:600])  # what the first call of a process loads is not counted
    tracemalloc.start()
    features = encoder.transform(X)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert features.dtype == np.float32
    assert peak < 1.25 * features.nbytes + 8 * X.nbytes
