"""Missing numbers filled with values that occur: donors."""

from __future__ import annotations

import pickle
from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone

from maetab import MAEEncoder, MAEImputer, load, save
from maetab.data.columns import Column
from maetab.data.schema import Schema
from maetab.donors import TOGETHER, Donors, donor_points

N = 120


def imputer(**changes) -> MAEImputer:
    return MAEImputer(
        **({"max_iter": 0, "preset": "fast", "donors": 5, "random_state": 0} | changes)
    )


def complete() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    a = rng.normal(size=N)
    stamps = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 10**13, N), unit="us")
    frame = pd.DataFrame(
        {
            "a": a / 3 + 1e-9,
            "b": np.exp(a + rng.normal(size=N) / 3).astype("float32"),
            "count": pd.array(rng.poisson(40, N), dtype="Int64"),
            "huge": pd.array(2**60 + rng.integers(0, 10**6, N), dtype="Int64"),
            "price": [Decimal(int(x)) / 100 for x in rng.integers(100, 9999, N)],
            "day": [date.fromordinal(737000 + int(x)) for x in rng.integers(0, 900, N)],
            "when": stamps,
            "finer": stamps.astype("datetime64[ns]"),
            "local": stamps.tz_localize("UTC").tz_convert("Europe/Rome"),
            "lasts": pd.to_timedelta(rng.integers(0, 10**9, N), unit="us"),
            "color": rng.choice(["red", "blue"], N),
        }
    )
    return frame


@pytest.fixture(scope="module")
def holes() -> pd.DataFrame:
    frame = complete()
    return frame.mask(np.random.default_rng(1).random(frame.shape) < 0.2)


@pytest.fixture(scope="module")
def fitted(holes) -> MAEImputer:
    return imputer().fit(holes)


def occur(filled: pd.DataFrame, holes: pd.DataFrame) -> bool:
    return all(set(filled[name]) <= set(holes[name].dropna()) for name in holes)


def test_points_and_draws_are_values_of_their_column(fitted, holes):
    filled = fitted.transform(holes)
    assert occur(filled, holes) and filled.dtypes.equals(holes.dtypes)
    pd.testing.assert_frame_equal(filled.where(holes.notna()), holes.where(holes.notna()))
    draws = fitted.sample(holes, 2, random_state=3)
    assert all(occur(draw, holes) for draw in draws)
    assert not draws[0].equals(draws[1])


def test_without_donors_other_values_are_filled(fitted, holes):
    plain = clone(fitted).set_params(donors=None).fit(holes)
    assert not occur(plain.transform(holes), holes)
    assert not hasattr(plain, "donor_values_")
    pd.testing.assert_frame_equal(MAEImputer.from_fitted(fitted, donors=None).transform(holes),
                                  plain.transform(holes))  # fmt: skip


def test_intervals_hold_what_is_filled(fitted, holes):
    filled, (low, high) = fitted.transform(holes), fitted.predict_interval(holes)
    for name in holes.columns.drop("color"):
        assert (low[name] <= filled[name]).all() and (filled[name] <= high[name]).all(), name


def test_a_row_alone_is_filled_as_among_others(fitted, holes):
    pd.testing.assert_frame_equal(fitted.transform(holes.iloc[[7]]),
                                  fitted.transform(holes).iloc[[7]])  # fmt: skip


def test_no_donor_is_predicted_from_its_own_cell():
    """Noise cannot be predicted, unless a row sees its own cell, here or in the memory."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(N, 4))
    X = 5 * rng.normal(size=(8, 4))[np.arange(N) % 8] + noise  # groups, which rows alike tell
    found = imputer().fit(X)
    apart = [np.corrcoef(found.donor_points_[:, j], noise[:, j])[0, 1] for j in range(4)]
    assert np.mean(apart) < 0.1 and (found.donor_points_.std(0) > 0.1).all()
    np.testing.assert_array_equal(found.donor_values_, X)


def test_where_no_time_is_left_the_first_rows_alone_are_donors():
    X = np.random.default_rng(0).normal(size=(TOGETHER + 20, 2))
    found = imputer(donors=None).fit(X)
    windows = found._windows(found._read(X))
    rows, points = donor_points(found.model_, windows, torch.device("cpu"), lambda: 0.0)
    assert len(rows) == len(points) == TOGETHER


def test_no_donors_cell_has_a_say_in_its_own_prediction():
    """What cannot be told from the others is predicted near the mean of the others."""
    X = np.random.default_rng(0).normal(size=(N, 3))
    X[5, 1] = 60.0
    found = imputer().fit(X)
    assert (
        abs(found.donor_points_[np.argmax(found.donor_values_[:, 1]), 1]) < 2.0
    )  # standardised it is 10.8


def by_hand(points, values, wanted, k) -> list[np.ndarray]:
    """Values of the k donors whose points are nearest, ascending, for each wanted point."""
    return [np.sort(values[np.argsort(np.abs(points - one))[:k]]) for one in wanted]


@pytest.mark.parametrize("k", [1, 4, 5, 500])
def test_the_donors_are_those_with_the_nearest_points(fitted, holes, k):
    schema, ends = fitted.schema_, fitted._range().ends()
    rng = np.random.default_rng(2)
    F = len(schema.columns)
    points, wanted = (rng.normal(size=(n, F)).astype("f4") for n in (60, 40))
    values = fitted.donor_values_[:60]
    donors = Donors(schema, k, points, values, ends)
    level = rng.random((40, F)).astype("f4")
    middle, drawn = donors.exact(donors.chosen(wanted)), donors.exact(donors.chosen(wanted, level))
    for j, column in enumerate(schema.columns):
        if column.kind == "number":
            usable = ~np.isnan(values[:, j])
            near = by_hand(points[usable, j], values[usable, j], wanted[:, j], k)
            n = min(k, usable.sum())
            assert [x[(n - 1) // 2] for x in near] == middle[:, j].tolist()
            places = (level[:, j] * n).astype(int)
            assert [x[i] for x, i in zip(near, places, strict=True)] == drawn[:, j].tolist()


def test_all_donors_with_the_same_point_take_part():
    X = np.append(np.arange(50.0) ** 2, np.full(50, np.nan))[:, None]
    found = imputer(donors=3).fit(X)
    found.donor_points_ = np.zeros_like(found.donor_points_)
    drawn = {x for draw in found.sample(X, 4) for x in draw[50:, 0]}
    assert len(drawn) > 30 and found.transform(X)[50:].tolist() == [[24.0**2]] * 50


def test_a_bound_near_zero_is_a_donors_value_but_for_rounding_at_the_center():
    schema = Schema((Column("a", "number", "float64", center=1e6, scale=3e5, n_observed=2),))
    ends, known = np.array([[-np.inf], [np.inf]]), np.array([[0.1], [2e6]])
    donors = Donors(schema, 1, known.astype("f4"), known, ends)
    scaled = (known - 1e6) / 3e5
    assert (scaled * 3e5 + 1e6 != known).any()
    np.testing.assert_array_equal(donors.exact(scaled, bounds=True), known)
    assert np.isnan(donors.exact(np.zeros((1, 1)), bounds=True)).all()


def test_donors_outside_the_users_range_are_left_out(holes):
    low = imputer(min_value=0.1).fit(holes[["a", "b"]])
    filled = low.transform(holes[["a", "b"]])
    assert filled["a"][holes["a"].isna()].min() >= 0.1 > holes["a"].median()
    assert occur(filled, holes[["a", "b"]])


def test_donors_survive_files_pickles_and_other_estimators(fitted, holes, tmp_path):
    wanted = fitted.transform(holes)
    save(fitted, tmp_path / "m.safetensors")
    for same in (
        load(tmp_path / "m.safetensors"),
        pickle.loads(pickle.dumps(fitted)),
        MAEImputer.from_fitted(fitted),
    ):
        pd.testing.assert_frame_equal(same.transform(holes), wanted)
        pd.testing.assert_frame_equal(same.sample(holes, 1)[0], fitted.sample(holes, 1)[0])
    assert occur(MAEImputer.from_fitted(fitted, donors=1).transform(holes), holes)


def test_a_column_with_a_mark_of_its_own_for_missing_has_donors(holes):
    marked = holes[["a", "b"]].astype({"a": object}).fillna({"a": "?"})
    same = imputer().fit(holes[["a", "b"]]).transform(holes[["a", "b"]])
    filled = imputer(missing_values="?").fit(marked).transform(marked)
    assert (marked["a"] == "?").any()
    assert filled["a"].tolist() == same["a"].tolist()


def test_donors_that_were_not_kept_are_asked_for_in_vain(holes):
    encoder = MAEEncoder(max_iter=0, preset="fast", random_state=0).fit(holes[["a", "b"]])
    with pytest.raises(ValueError, match=r"donors=5 .* fit again"):
        MAEImputer.from_fitted(encoder, donors=5)
    later = MAEImputer.from_fitted(encoder).set_params(donors=2)
    with pytest.raises(ValueError, match=r"donors=2 .* fit again"):
        later.transform(holes[["a", "b"]])


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "5"])
def test_donors_are_counted(wrong, holes):
    with pytest.raises(ValueError, match="'donors' parameter of MAEImputer must be None or an int"):
        imputer(donors=wrong).fit(holes)


def test_series_have_no_donors(holes):
    with pytest.raises(ValueError, match=r"'donors' parameter .* with a window"):
        imputer(window=3).fit(holes[["a"]])
