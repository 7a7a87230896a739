from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from frames import CELLS, WHOLE_ONLY, example_frame, make_column
from models import QUICK

from maetab import MAEImputer


def tiny(**changes) -> MAEImputer:
    small = {"max_iter": 2, "n_estimators": 1, "width": 16, "random_state": 0}
    return MAEImputer(guess=QUICK, **(small | changes))


def table(n: int = 50, seed: int = 0, missing: float = 0.2) -> pd.DataFrame:
    """Two numbers that go together, whole numbers, a category."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=n)
    frame = pd.DataFrame(
        {
            "a": a,
            "b": 10 + a + 0.3 * rng.normal(size=n),
            "k": pd.array(rng.poisson(5, n), dtype="Int64"),
            "c": rng.choice(list("xyz"), n),
        }
    )
    return frame.mask(rng.random(frame.shape) < missing)


def gaussian(n: int, rho: float, seed: int = 0, f: int = 4) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.multivariate_normal(np.zeros(f), rho + (1 - rho) * np.eye(f), n)


def holes(X: np.ndarray, share: float, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    hidden = np.random.default_rng(seed).random(X.shape) < share
    return np.where(hidden, np.nan, X), hidden


def assert_observed_cells_are_unchanged(filled: pd.DataFrame, frame: pd.DataFrame) -> None:
    """The same columns, dtypes, index and attrs, and every observed cell bit for bit."""
    assert list(filled.columns) == list(frame.columns) and filled.attrs == frame.attrs
    pd.testing.assert_index_equal(filled.index, frame.index, exact=True)
    for place in range(frame.shape[1]):
        new, old = filled.iloc[:, place], frame.iloc[:, place]
        assert new.dtype == old.dtype
        seen = old.notna().to_numpy()
        for mine, theirs in zip(new[seen].astype(object), old[seen].astype(object), strict=True):
            assert type(mine) is type(theirs) and mine == theirs
        if isinstance(old.dtype, np.dtype) and old.dtype.kind == "f":
            assert new.to_numpy()[seen].tobytes() == old.to_numpy()[seen].tobytes()


@pytest.fixture(scope="module")
def every_dtype() -> tuple[pd.DataFrame, MAEImputer]:
    frame = example_frame(40)
    return frame, tiny().fit(frame)


# ---- filling


def test_every_dtype_is_filled_and_kept(every_dtype):
    frame, imputer = every_dtype
    before = frame.copy(deep=True)
    filled = imputer.transform(frame)
    assert not filled.isna().any().any()
    assert_observed_cells_are_unchanged(filled, frame)
    pd.testing.assert_frame_equal(frame, before)


def test_imputed_cells_are_inside_the_observed_range_and_among_the_levels(every_dtype):
    frame, imputer = every_dtype
    filled = imputer.transform(frame)
    for column in imputer.schema_.columns:
        new, old = filled[column.name], frame[column.name]
        if column.kind == "category":
            assert set(map(str, new)) <= set(map(str, old.dropna()))
        else:
            seen = old.dropna()
            values = new.astype(object)
            if column.dtype == "float16":
                continue  # a thousandth is one step of it
            assert min(values) >= seen.min() and max(values) <= seen.max()


@pytest.mark.parametrize("dtype", [d for d in [*CELLS, *WHOLE_ONLY] if d != "float16"])
def test_each_dtype_works_alone(dtype):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": make_column(dtype, 20, rng, 0.3)})
    filled = tiny(max_iter=1).fit_transform(frame)
    assert not filled.isna().any().any()
    assert_observed_cells_are_unchanged(filled, frame)


def test_whole_numbers_stay_whole():
    frame = table().assign(o=lambda d: d["k"].astype(object))
    imputer = tiny(max_iter=1).fit(frame)
    for filled in (
        imputer.transform(frame),
        *imputer.sample(frame, 2),
        *imputer.predict_interval(frame),
    ):
        assert str(filled["k"].dtype) == "Int64"
        assert all(isinstance(value, (int, np.integer)) for value in filled["o"])


def test_filling_uses_the_other_columns():
    X, hidden = holes(gaussian(300, 0.9), 0.2)
    filled = tiny(max_iter=5).fit_transform(X)
    truth = gaussian(300, 0.9)
    error = np.mean((filled - truth)[hidden] ** 2)
    assert error < 0.3 * np.mean(truth[hidden] ** 2)


def test_fit_transform_is_fit_then_transform():
    frame = table()
    pd.testing.assert_frame_equal(tiny().fit_transform(frame), tiny().fit(frame).transform(frame))


def test_a_table_without_holes_comes_back_as_it_is():
    frame = table(missing=0.0)
    pd.testing.assert_frame_equal(tiny().fit_transform(frame), frame)
    imputer = tiny().fit(table())
    pd.testing.assert_frame_equal(imputer.transform(frame), frame)


def test_a_row_without_any_cell_is_filled():
    frame = table()
    frame.iloc[3] = pd.NA
    filled = tiny().fit_transform(frame)
    assert filled.iloc[3].notna().all()


def test_bounds_of_the_user_hold_in_the_units_of_the_columns():
    frame = table()[["a", "b"]]
    low, high = [-0.1, 10.2], [0.1, 10.3]
    imputer = tiny(min_value=low, max_value=high).fit(frame)
    gaps = frame.isna().to_numpy()
    for filled in (imputer.transform(frame), *imputer.sample(frame, 3)):
        for j in range(2):
            cells = filled.to_numpy()[gaps[:, j], j]
            assert (cells >= low[j] - 1e-6).all() and (cells <= high[j] + 1e-6).all()
    one = tiny(max_value=0.05).fit_transform(frame[["a"]])
    assert (one["a"][gaps[:, 0]] <= 0.05 + 1e-6).all()


def test_a_minimum_above_all_that_was_observed_is_kept():
    frame = table()[["a", "b"]]
    gaps = frame.isna().to_numpy()
    assert (tiny(min_value=100).fit_transform(frame).to_numpy()[gaps] >= 100 - 1e-3).all()
    assert (tiny(max_value=-100).fit_transform(frame).to_numpy()[gaps] <= -100 + 1e-3).all()


@pytest.mark.parametrize("bounds", ["observed", "given"])
def test_no_bound_is_passed_by_rounding(bounds):
    rng = np.random.default_rng(0)
    shared = rng.exponential(size=(60, 1))
    X, hidden = holes(shared @ rng.uniform(0.5, 2, (1, 4)) + rng.exponential(size=(60, 4)), 0.3)
    low, high = np.nanmin(X, 0), np.nanmax(X, 0)
    if bounds == "given":
        low, high = np.nanquantile(X, 0.45, 0), np.nanquantile(X, 0.55, 0)
        imputer = tiny(min_value=low, max_value=high).fit(X)
    else:
        imputer = tiny().fit(X)
    for filled in (*imputer.predict_interval(X, 0.99), *imputer.sample(X, 3)):
        assert (~hidden | (filled >= low)).all() and (~hidden | (filled <= high)).all()


def test_infinite_bounds_lift_the_observed_range():
    x = np.linspace(0, 10, 60)
    X = np.stack([x, 2 * x], 1)
    X[-5:, 1] = np.nan
    free = tiny(max_iter=0, max_value=np.inf).fit_transform(X)
    assert free[-1, 1] > np.nanmax(X[:, 1])
    assert tiny(max_iter=0).fit_transform(X)[-1, 1] <= np.nanmax(X[:, 1])


# ---- indicators, empty columns, names


def test_indicators_say_what_was_missing():
    frame = table().assign(whole=np.arange(50))
    imputer = tiny(add_indicator=True).fit(frame)
    other = table(seed=2).assign(whole=np.arange(50))
    filled = imputer.transform(other)
    names = [f"missingindicator_{name}" for name in "abkc"]
    assert list(filled.columns) == [*frame.columns, *names]
    assert imputer.get_feature_names_out().tolist() == list(filled.columns)
    for name in "abkc":
        said = filled[f"missingindicator_{name}"]
        assert said.dtype == bool and (said == other[name].isna()).all()


def test_indicators_stand_by_their_own_columns_behind_a_complete_one():
    frame = pd.concat([table(missing=0.0)[["k"]], table()[["a"]], table(seed=3)[["b"]]], axis=1)
    filled = tiny(add_indicator=True).fit_transform(frame)
    said = filled.filter(like="missingindicator_")
    assert list(said.columns) == ["missingindicator_a", "missingindicator_b"]
    assert np.array_equal(said.to_numpy(), frame[["a", "b"]].isna().to_numpy())
    assert (frame["a"].isna() != frame["b"].isna()).any()


def test_indicators_of_arrays_are_columns_behind_the_others():
    X, hidden = holes(gaussian(30, 0.5, f=3), 0.3)
    filled = tiny(add_indicator=True).fit_transform(X)
    assert filled.shape == (30, 6)
    assert np.array_equal(filled[:, 3:].astype(bool), hidden)
    names = tiny(add_indicator=True).fit(X).get_feature_names_out()
    assert names.tolist() == ["x0", "x1", "x2", *(f"missingindicator_x{j}" for j in range(3))]


def with_empty_column() -> pd.DataFrame:
    return table().assign(empty=np.nan)


def test_an_empty_column_stays_missing_and_is_named_in_one_warning():
    frame = with_empty_column()
    with pytest.warns(UserWarning) as said:
        imputer = tiny().fit(frame)
    assert len(said) == 1 and "column 'empty' has no observed cell" in str(said[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        filled = imputer.transform(frame)
        imputer.sample(frame, 1)
        imputer.predict_interval(frame)
    assert filled["empty"].isna().all() and not filled.drop(columns="empty").isna().any().any()
    assert filled["empty"].dtype == frame["empty"].dtype


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_an_empty_column_can_be_dropped():
    imputer = tiny(keep_empty_features=False).fit(with_empty_column())
    assert list(imputer.transform(with_empty_column()).columns) == list("abkc")
    assert imputer.get_feature_names_out().tolist() == list("abkc")


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_cells_that_appear_in_an_empty_column_are_kept():
    imputer = tiny().fit(with_empty_column())
    frame = with_empty_column()
    frame.loc[4, "empty"] = 7.5
    filled = imputer.transform(frame)["empty"]
    assert filled[4] == 7.5 and filled.isna().sum() == 49


@pytest.mark.parametrize("method", ["fit", "fit_transform"])
def test_the_warning_points_at_the_line_of_the_user(method):
    with pytest.warns(UserWarning) as said:
        getattr(tiny(), method)(with_empty_column())
    assert len(said) == 1 and said[0].filename == __file__


def test_a_table_without_any_observed_cell_stays_missing():
    frame = pd.DataFrame({"a": [np.nan] * 5, "b": [np.nan] * 5})
    with pytest.warns(UserWarning, match="no observed cell"):
        assert tiny().fit_transform(frame).isna().all().all()


def test_a_constant_column_is_filled_with_its_constant():
    frame = table().assign(k=3.0, c="same")
    frame.loc[:5, ["k", "c"]] = np.nan
    with pytest.warns(UserWarning, match=r"column 'k' is constant.*column 'c' is constant"):
        filled = tiny().fit_transform(frame)
    assert (filled["k"] == 3.0).all() and (filled["c"] == "same").all()


def test_a_warning_of_many_columns_names_the_first():
    frame = table().assign(**{f"k{i}": 1.0 for i in range(30)})
    with pytest.warns(UserWarning, match="'k9' is constant; so it is with 20 more columns"):
        tiny(max_iter=0).fit(frame)


def test_nothing_is_warned_of_an_ordinary_table():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        imputer = tiny().fit(table())
        imputer.transform(table())
        imputer.sample(table(), 1)
        imputer.score(table())


# ---- containers


def test_polars_in_polars_out_with_the_same_values():
    frame = table()
    imputer = tiny().fit(pl.from_pandas(frame))
    filled = imputer.transform(pl.from_pandas(frame))
    assert isinstance(filled, pl.DataFrame)
    assert filled.schema == pl.from_pandas(frame).schema
    assert filled.null_count().sum_horizontal().item() == 0
    assert filled.to_pandas()["a"].tolist() == tiny().fit_transform(frame)["a"].tolist()
    low, high = imputer.predict_interval(pl.from_pandas(frame))
    assert isinstance(low, pl.DataFrame) and isinstance(high, pl.DataFrame)
    assert isinstance(imputer.sample(pl.from_pandas(frame), 1)[0], pl.DataFrame)
    assert imputer.predict_proba(pl.from_pandas(frame)).columns == ["c=x", "c=y", "c=z"] or (
        set(imputer.predict_proba(pl.from_pandas(frame)).columns) == {"c=x", "c=y", "c=z"}
    )


def test_pyarrow_in_pyarrow_out_with_the_same_values():
    frame = table()
    given = pa.Table.from_pandas(frame, preserve_index=False)
    filled = tiny().fit(given).transform(given)
    assert isinstance(filled, pa.Table)
    assert filled.schema.equals(given.schema)
    assert filled.column("b").to_pylist() == tiny().fit_transform(frame)["b"].tolist()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arrays_keep_their_dtype_and_observed_bits(dtype):
    X, hidden = holes(gaussian(40, 0.5), 0.2)
    X = X.astype(dtype)
    filled = tiny().fit_transform(X)
    assert isinstance(filled, np.ndarray) and filled.dtype == dtype
    assert filled[~hidden].tobytes() == X[~hidden].tobytes() and np.isfinite(filled).all()


def test_an_array_may_be_fortran_ordered_read_only_or_reversed():
    X, _ = holes(gaussian(40, 0.5), 0.2)
    wanted = tiny().fit_transform(X)
    frozen = X.copy()
    frozen.setflags(write=False)
    for odd in (np.asfortranarray(X), frozen, X[:, ::-1].copy()[:, ::-1], X.tolist()):
        assert np.array_equal(np.asarray(tiny().fit_transform(odd), float), wanted)


def test_a_row_alone_is_filled_as_among_others():
    frame = table()
    imputer = tiny().fit(frame)
    whole = imputer.transform(frame)
    for row in range(len(frame)):
        alone = imputer.transform(frame.iloc[[row]])
        pd.testing.assert_frame_equal(alone, whole.iloc[[row]], check_exact=True)
