"""How often rows are called outliers, and what p-values are worth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_wine
from test_detector import detector, mixed

from maetab.data.columns import Column
from maetab.data.schema import Schema, infer_schema
from maetab.trimming import levels_of, with_levels_of


@pytest.mark.slow
def test_auto_calls_a_twentieth_of_new_rows_outliers_whatever_is_trimmed():
    fresh = mixed(1000, seed=200)
    for trim in (0.0, 0.2):
        trained = detector(trim=trim).fit(mixed(400))
        assert 0.02 < (trained.predict(fresh) == -1).mean() < 0.1
        assert trained.offset_ == trained.set_threshold(0.05).offset_


@pytest.mark.slow
def test_p_values_after_few_training_rows_are_too_small():
    wine, shares = load_wine(as_frame=True).data, []
    for seed in range(6):
        order = np.random.default_rng(seed).permutation(len(wine))
        trained = detector().fit(wine.iloc[order[:80]])
        shares.append((trained.p_values(wine.iloc[order[80:]]) <= 0.1).mean())
    assert 0.11 < np.mean(shares) < 0.25


def test_levels_are_counted_among_the_rows_learned_from_where_all_rows_make_free_text():
    few = Schema((Column("a", "category", "object", levels=("x", "y"), counts=(5, 2)),))
    text = Schema((Column("a", "category", "object", free_text=99),))
    more = Column("a", "category", "object", levels=("x", "z", "y"), counts=(6, 3, 2))
    assert with_levels_of(few, text)[1] == [[5, 2]]
    schema, counts = with_levels_of(few, Schema((more,)))
    assert schema.columns[0].levels == ("x", "y", "z") and counts == [[6, 2, 3]]
    assert schema.columns[0].counts == (5, 2, 0)


def test_levels_that_are_seen_once_and_missing_cells_are_told_from_those_that_a_model_knows():
    words = ["a"] * 6 + ["b"] * 2 + [*"uvwxyz"] + [None] * 5
    schema = infer_schema(pd.DataFrame({"word": words, "number": np.arange(19.0)}))
    levels = levels_of(schema, None)
    assert levels.unknown_share[0] == pytest.approx(6 / 14)  # of numbers without meaning
    assert levels.is_category.tolist() == [True, False] and levels.n_rows == 19
