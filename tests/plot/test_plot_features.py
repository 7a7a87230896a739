"""Pictures of rows in the plane of their features."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pictures import ODD, TABLE, imputer, legend_of, saved
from sklearn.decomposition import PCA

from maetab import MAEEncoder
from maetab.plot import EmbeddingDisplay


def test_embedding_draws_the_principal_components():
    encoder = MAEEncoder.from_fitted(imputer(), n_components=4)
    display = saved(EmbeddingDisplay.from_estimator(encoder, TABLE, color="color").plot())
    found = PCA(2).fit(encoder.transform(TABLE).astype(float))
    expected = found.transform(encoder.transform(TABLE).astype(float))
    assert np.abs(display.points) == pytest.approx(np.abs(expected), abs=1e-6)
    assert display.shares == pytest.approx(found.explained_variance_ratio_)
    drawn = {points.get_label(): points.get_offsets() for points in display.points_}
    for level, points in drawn.items():
        assert np.array_equal(points, display.points[(TABLE["color"] == level).to_numpy()])


def test_embedding_takes_numbers_categories_or_no_color():
    features = TABLE[["size", "twice"]].to_numpy()
    plain = saved(EmbeddingDisplay.from_frame(features).plot())
    assert len(plain.points_.get_offsets()) == 60
    shaded = saved(EmbeddingDisplay.from_frame(features, TABLE["size"]).plot())
    assert np.array_equal(shaded.points_.get_array(), TABLE["size"])
    many = [f"level {i % 20}" for i in range(60)]
    grouped = EmbeddingDisplay.from_frame(features, many).plot()
    assert grouped.points_[-1].get_label() == "other"
    assert sum(len(points.get_offsets()) for points in grouped.points_) == 60
    with pytest.raises(ValueError, match="60 values"):
        EmbeddingDisplay.from_frame(features, [1, 2])
    with pytest.raises(ValueError, match="'z' is no column"):
        EmbeddingDisplay.from_estimator(None, TABLE, color="z")


def test_embedding_of_a_single_feature_lies_on_a_line():
    display = EmbeddingDisplay.from_frame(np.arange(5.0)[:, None])
    assert display.shares.tolist() == [1.0, 0.0] and not display.points[:, 1].any()


def test_embedding_shades_dates_and_durations():
    frame = TABLE.assign(took=TABLE["day"] - TABLE["day"].min())
    frame.loc[frame.index[3], ["day", "took"]] = None
    features = TABLE[["size", "twice"]]
    for name in ("day", "took"):
        display = EmbeddingDisplay.from_frame(features, color=frame[name]).plot()
        shades = display.points_.get_array()
        start = 0 if name == "took" else (TABLE["day"].iloc[0] - pd.Timestamp(0)).days
        assert np.isnan(float(np.ma.filled(shades, np.nan)[3]))
        expected = np.delete(start + np.arange(60.0), 3)
        np.testing.assert_allclose(np.delete(np.ma.filled(shades, np.nan), 3), expected)


def test_embedding_calls_missing_groups_missing_and_keeps_their_order():
    rank = pd.Categorical(["mid", "low", "high", "high", None] * 12, ["low", "mid", "high"], True)
    features = TABLE[["size", "twice"]]
    for values, words in (
        (pd.Series(rank), ["low", "mid", "high", "missing"]),
        (pd.Series([True, True, False, None] * 15, dtype="boolean"), ["False", "True", "missing"]),
    ):
        display = EmbeddingDisplay.from_frame(features, color=values).plot()
        assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == words
        assert len(display.points_[-1].get_offsets()) == values.isna().sum()


def test_every_level_is_in_the_legend_whatever_its_first_letter():
    points = np.random.default_rng(0).normal(size=(len(ODD), 2))
    words = legend_of(EmbeddingDisplay.from_frame(points, ODD["ward"]).plot())
    assert {word.strip() for word in words} >= {"_none", r"\$_\$", "missing"}
    assert len(words) == ODD["ward"].nunique() + 1
