"""Filled numbers obey what the user says of them; observed cells are never changed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from maetab import MAEImputer
from maetab.constraints import _settle, obeying, read_constraints
from maetab.data.columns import Column
from maetab.data.schema import Schema
from maetab.ranges import Range

FREE = np.array([[-np.inf], [np.inf]])
LAWS = [
    "low <= high",
    "i + j == `the total`",
    "start <= end",
    "p + q == 100",
    "start + lasts <= end",
]


def schema_of(*columns: str, **more) -> Schema:
    return Schema(
        tuple(Column(name, "number", "float64", n_observed=9, **more) for name in columns)
    )


def table(seed: int = 0, n: int = 100) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    low, i, j = rng.normal(size=n), rng.poisson(5, n), rng.poisson(9, n)
    start = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 99, n), unit="D")
    lasts = pd.to_timedelta(rng.integers(0, 30, n), unit="D")
    part = rng.integers(0, 10000, n)
    return pd.DataFrame(
        {
            "low": low,
            "high": low + rng.exponential(size=n) / 5,
            "i": pd.array(i, dtype="Int64"),
            "j": pd.array(j, dtype="Int64"),
            "the total": pd.array(i + j, dtype="Int64"),
            "start": start,
            "lasts": lasts,
            "end": start + lasts,
            "p": part / 100,
            "q": (10000 - part) / 100,
            "kind": rng.choice(["a", "b"], n),
        }
    )


def obeys(frame: pd.DataFrame) -> dict[str, bool]:
    return {
        "order": bool((frame["low"] <= frame["high"]).all()),
        "whole": bool((frame["i"] + frame["j"] == frame["the total"]).all()),
        "dates": bool((frame["start"] <= frame["end"]).all()),
        "hundred": bool((abs(frame["p"] + frame["q"] - 100) < 1e-9).all()),
        "lasts": bool((frame["start"] + frame["lasts"] <= frame["end"]).all()),
    }


@pytest.fixture(scope="module")
def holes() -> pd.DataFrame:
    frame = table()
    return frame.mask(np.random.default_rng(1).random(frame.shape) < 0.35)


@pytest.fixture(scope="module")
def fitted(holes) -> MAEImputer:
    few = {"max_iter": 0, "preset": "fast", "random_state": 0}
    return MAEImputer(constraints=LAWS, donors=5, **few).fit(holes)


@pytest.mark.parametrize("donors", [None, 5])
def test_points_and_draws_obey_and_observed_cells_stay(fitted, holes, donors):
    imputer = MAEImputer.from_fitted(fitted, donors=donors)
    for filled in (imputer.transform(holes), imputer.sample(holes, 1, random_state=2)[0]):
        assert all(obeys(filled).values()), obeys(filled)
        pd.testing.assert_frame_equal(filled.where(holes.notna()), holes.where(holes.notna()))
        assert filled.notna().all(axis=None) and filled.dtypes.equals(holes.dtypes)


def test_without_constraints_they_are_broken(fitted, holes):
    plain = MAEImputer.from_fitted(fitted, constraints=None)
    broken = [not all(obeys(x).values()) for x in (plain.transform(holes), *plain.sample(holes, 1))]
    assert all(broken)


def test_cells_of_columns_that_no_constraint_names_stay_as_predicted(fitted, holes):
    plain = MAEImputer.from_fitted(fitted, constraints="low <= high").transform(holes)
    free = MAEImputer.from_fitted(fitted, constraints=None).transform(holes)
    others = holes.columns.drop(["low", "high"])
    pd.testing.assert_frame_equal(plain[others], free[others])


def test_intervals_hold_what_is_filled(fitted, holes):
    filled, (low, high) = fitted.transform(holes), fitted.predict_interval(holes)
    for name in holes.columns.drop("kind"):
        assert (low[name] <= filled[name]).all() and (filled[name] <= high[name]).all(), name


def test_rows_whose_observed_cells_leave_no_way_are_told_and_filled_as_predicted(fitted, holes):
    wrong = holes.copy()
    wrong.loc[0, ["i", "j", "the total"]] = [30, pd.NA, 20]  # j may not be negative by its minimum
    limited = MAEImputer.from_fitted(fitted, min_value={"j": 0})
    with pytest.warns(UserWarning, match=r"in 1 of 100 rows no filled cells obey"):
        filled = limited.transform(wrong)
    free = MAEImputer.from_fitted(limited, constraints=None).transform(wrong)
    pd.testing.assert_frame_equal(filled.iloc[[0]], free.iloc[[0]])


def test_observed_cells_that_break_a_constraint_among_themselves_are_left(fitted, holes):
    wrong = holes.copy()
    wrong.loc[0, ["low", "high"]] = [3.0, 1.0]
    filled = fitted.transform(wrong)
    assert filled.loc[0, ["low", "high"]].tolist() == [3.0, 1.0]
    assert filled.loc[0, "p"] + filled.loc[0, "q"] == pytest.approx(100)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
@example(264958)
def test_filled_cells_are_the_nearest_that_obey(seed):
    """As a general solver finds them."""
    rng = np.random.default_rng(seed)
    scales = rng.uniform(0.5, 3, 4)
    columns = [Column(n, "number", "float64", scale=s) for n, s in zip("abcd", scales, strict=True)]
    schema = Schema(tuple(columns))
    laws = read_constraints(["a <= b", "a + b + c == d", "c >= 0"], schema)
    row, free = rng.normal(size=(1, 4)), rng.random((1, 4)) < 0.7
    free[0, rng.integers(2, 4)] = free[0, 1] = True
    found = obeying(laws, row, free, schema, np.tile(FREE, 4), tell=False)
    assert (found[~free] == row[~free]).all()

    def whole(x: np.ndarray) -> np.ndarray:
        full = row[0].copy()
        full[free[0]] = x
        return full

    kinds = {True: "eq", False: "ineq"}
    rules = [
        {"type": kinds[c.equal], "fun": lambda x, c=c: c.most - c.signs @ whole(x)}
        for c in laws
        if (free[0] & (c.signs != 0)).any()
    ]
    best = minimize(
        lambda x: (((whole(x) - row[0]) / scales) ** 2).sum(),
        row[0][free[0]],
        constraints=rules,
        options={"ftol": 1e-14},
    )
    if best.success:
        np.testing.assert_allclose(found[0], whole(best.x), atol=1e-4)


def test_a_sum_is_kept_by_a_cell_that_no_order_holds():
    """What orders leave of a sum is put into the one cell that may move, wherever it stands."""
    row = np.array([[1.0, 1.0 - 1e-7, 0.0, 2.0 - 3e-7]])
    schema = schema_of("a", "b", "c", "d")
    laws = read_constraints(["a <= b", "a + b + c == d", "c >= 0"], schema)
    free = np.array([[False, True, True, True]])
    _settle(laws, np.ones((3, 1), bool), row, free, schema.columns)
    assert row[0, 1] >= 1.0 and row[0, 2] >= 0.0
    assert not any(law.broken(row).any() for law in laws)


def test_a_row_obeys_in_the_same_way_whatever_stands_beside_it():
    schema = schema_of("a", "b", "c", "d")
    laws = read_constraints(["a <= b", "a + b == c", "c <= d + a"], schema)
    rng = np.random.default_rng(0)
    numbers, free = rng.normal(size=(80, 4)), rng.random((80, 4)) < 0.7
    together = obeying(laws, numbers, free, schema, FREE.repeat(4, 1), tell=False)
    assert (together != numbers).any(1).sum() > 20
    for i in range(80):
        alone = obeying(laws, numbers[[i]], free[[i]], schema, FREE.repeat(4, 1), tell=False)
        assert np.array_equal(alone[0], together[i])


def test_series_obey_beside_what_their_static_columns_say():
    """A capacity that one row of a station tells is that of all its rows."""
    rng = np.random.default_rng(0)
    station = np.repeat(["x", "y"], 30)
    capacity = np.where(station == "x", 5.0, 2.5)
    used = np.minimum(capacity, capacity * rng.uniform(0.8, 1.3, 60))
    frame = pd.DataFrame({"station": station, "capacity": capacity, "used": used})
    holes = frame.assign(
        capacity=frame["capacity"].where(rng.random(60) < 0.5),
        used=frame["used"].where(rng.random(60) < 0.6),
    )
    few = {"max_iter": 0, "preset": "fast", "random_state": 0, "max_value": {"used": 6.0}}
    imputer = MAEImputer(window=4, groups="station", constraints="used >= capacity", **few)
    filled, missing = imputer.fit_transform(holes), holes["used"].isna()
    assert filled["capacity"].tolist() == capacity.tolist()
    assert (filled["used"] >= filled["capacity"])[missing].all()


@pytest.mark.parametrize(
    ("law", "wanted"),
    [
        ("a <= b", [2.0, 2.0]),
        ("a >= b", [3.0, 1.0]),
        ("b >= a", [2.0, 2.0]),
        ("a - b == 5", [4.5, -0.5]),
        ("b >= 2", [3.0, 2.0]),
        ("2 >= a", [2.0, 1.0]),
        ("-a + b <= -4", [4.0, 0.0]),
    ],
)
def test_each_sign_means_what_it_says(law, wanted):
    schema, rows = schema_of("a", "b"), np.array([[3.0, 1.0]])
    found = obeying(read_constraints(law, schema), rows, rows > 0, schema, np.tile(FREE, 2))
    np.testing.assert_allclose(found, [wanted], atol=1e-9)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([1.0, 0.01]))
def test_sums_on_grids_are_exact(seed, step):
    rng = np.random.default_rng(seed)
    schema = schema_of("a", "b", "c", "d", step=step, lower=-1e9, upper=1e9)
    laws = read_constraints("a + b + c == d", schema)
    rows = np.round(rng.normal(size=(30, 4)) * 50) * step
    free = rng.random((30, 4)) < 0.6
    found = obeying(laws, rows, free, schema, np.tile(FREE, 4))
    some = free.any(1)
    assert (np.rint(found[some, :3] / step).sum(1) == np.rint(found[some, 3] / step)).all()
    assert (found[~free] == rows[~free]).all()
    on_grid = np.rint(found / step) * step
    np.testing.assert_allclose(found, on_grid, rtol=0, atol=1e-9)


def test_rounding_is_undone_by_as_few_steps_as_it_takes():
    schema = schema_of("a", "b", step=1.0, lower=-1e9, upper=1e9)
    law = read_constraints("a + a + a + a <= b", schema)
    row, both = np.array([[5.6, 5.4]]), np.array([[True, True]])
    # The nearest are 1.6 and 6.4; 2 and 6 break the law by two, which one step of a mends.
    assert obeying(law, row, both, schema, np.tile(FREE, 2)).tolist() == [[1, 6]]


def test_whole_numbers_stay_whole_where_no_grid_is_kept():
    whole = Column("a", "number", "int64", integer=True, lower=-99, upper=99)
    schema = Schema((whole, *schema_of("b", "c").columns))
    law = read_constraints("a + b == c", schema)
    row, free = np.array([[1.0, 1.0, 7.3]]), np.array([[True, True, False]])
    found = obeying(law, row, free, schema, np.tile(FREE, 3))
    np.testing.assert_allclose(found, [[4, 3.3, 7.3]], rtol=1e-12)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("lo <= low", "names 'lo', which is no column of X; its columns are [^;]*$"),
        ("low <= hi + `the high`", "names 'hi', which is no column of X; its columns are [^;]*$"),
        ("low <= the high", "names 'the', which .*; `the high` stands in backticks"),
        ("low < high", "cannot be read at '< high'"),
        ("low high", "cannot be read at 'high'"),
        ("low", "is not complete"),
        ("low <=", "is not complete"),
        ("low <= high <= p", "has two of"),
        ("1 <= 2", "says nothing about a column"),
        ("kind <= low", "names 'kind', which holds no numbers"),
        ("start <= low", "compares times with numbers; .* min_value"),
        ("lasts <= end", "adds dates to each other"),
        ("low <= 1e400", "has a number too large"),
        (7, "must be None, text or a list of texts"),
    ],
)
def test_a_constraint_that_cannot_be_is_refused_by_name(holes, wrong, words):
    with pytest.raises(ValueError, match=words):
        MAEImputer(constraints=wrong, max_iter=0).fit(holes.assign(**{"the high": holes["high"]}))


def test_ends_by_names_hold_for_their_columns_alone(fitted, holes):
    day = pd.Timestamp("2020-02-15")
    low, high = {"start": day, "high": 0.5}, {"p": 40.0, "lasts": pd.Timedelta("5D")}
    limited = MAEImputer.from_fitted(
        fitted, min_value=low, max_value=high, constraints=None, donors=None
    )
    filled, missing = limited.transform(holes), holes.isna()
    assert filled["start"][missing["start"]].min() == day
    assert filled["high"][missing["high"]].min() == 0.5
    assert filled["p"][missing["p"]].max() == 40.0
    assert filled["lasts"][missing["lasts"]].max() == pd.Timedelta("5D")
    plain = MAEImputer.from_fitted(fitted, constraints=None, donors=None).transform(holes)
    others = holes.columns.drop(["start", "high", "p", "lasts"])
    pd.testing.assert_frame_equal(filled[others], plain[others])


@pytest.mark.parametrize("one_per_column", [False, True])
def test_ends_without_names_are_those_of_numbers_not_of_dates_or_durations(
    fitted, holes, one_per_column
):
    top = [0.5] * holes.shape[1] if one_per_column else 0.5
    free = {"constraints": None, "donors": None}
    filled = MAEImputer.from_fitted(fitted, max_value=top, **free).transform(holes)
    plain = MAEImputer.from_fitted(fitted, **free).transform(holes)
    pd.testing.assert_frame_equal(filled[["start", "lasts"]], plain[["start", "lasts"]])
    assert filled["p"][holes["p"].isna()].max() <= 0.5 < plain["p"][holes["p"].isna()].min()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"hi": 1.0}, "names 'hi', which is no column of X"),
        ({"kind": 1.0}, "cannot limit column 'kind' by 1.0: that is a category"),
        ({"start": 1.0}, "must limit column 'start' by a datetime, got 1.0"),
        ({"low": "1"}, "must limit column 'low' by a number, got '1'"),
        ({"low": np.nan}, "must limit column 'low' by a number, got nan"),
        ({"low": 10**400}, "must limit column 'low' by a number, got 1000"),
        ([1, [2]], r"must be None, a number, one number for each.* got \[1, \[2\]\]"),
    ],
)
def test_ends_that_cannot_be_name_the_column(fitted, wrong, words):
    with pytest.raises(ValueError, match=rf"'min_value' parameter of MAEImputer {words}"):
        MAEImputer.from_fitted(fitted, min_value=wrong)
    with pytest.raises(ValueError, match="it does in column 'low'"):
        MAEImputer.from_fitted(fitted, min_value={"low": 2}, max_value=1.0)


def test_an_end_beyond_all_that_was_observed_moves_the_other_one_there():
    schema = Schema((Column("x", "number", "float64", lower=1.0, upper=2.0, n_observed=2),))
    assert Range(schema, 5.0, None, True).ends().tolist() == [[5.0], [5.0]]
    assert Range(schema, None, -3.0, True).ends().tolist() == [[-3.0], [-3.0]]
    assert Range(schema, 1.5, None, True).ends().tolist() == [[1.5], [2.0]]


def test_where_more_columns_are_there_than_an_error_names_it_says_so():
    frame = pd.DataFrame(np.arange(55.0).reshape(5, 11), columns=list("abcdefghijk"))
    for limits in ({"min_value": {"z": 0}}, {"constraints": ["a <= z"]}):
        with pytest.raises(ValueError, match=r"'z', which is no column of X; .*'j', \.\.\."):
            MAEImputer(max_iter=0, **limits).fit(frame)


def test_columns_that_no_constraint_names_are_not_looked_at():
    rng = np.random.default_rng(0)
    numbers, free = rng.normal(size=(300, 3)), rng.random((300, 3)) < 0.5
    found = []
    for more in ([], [np.nan, np.inf]):  # no row would have come to rest beside them
        schema = schema_of("a", "b", "c", *(f"rest {j}" for j in range(len(more))))
        wide = np.hstack([numbers, np.tile(more, (300, 1))])
        to_fill = np.hstack([free, np.ones((300, len(more)), bool)])
        laws = read_constraints(["a <= b", "b <= c"], schema)
        ends = np.tile(FREE, len(schema.columns))
        found.append(obeying(laws, wide, to_fill, schema, ends, tell=False))
    np.testing.assert_array_equal(found[1], np.hstack([found[0], np.tile(more, (300, 1))]))
    assert (found[0] != numbers).any()
