from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest

from maetab.evaluation.amputation import MECHANISMS, amputate

FRAC = 0.3


def mixed(n: int = 2000, seed: int = 0) -> pd.DataFrame:
    """Columns of many dtypes, some cells missing."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "height": rng.normal(size=n),
            "weight": rng.normal(size=n).astype("float32"),
            "rooms": rng.integers(0, 9, n),
            "small": rng.integers(0, 9, n).astype("uint8"),
            "owned": rng.random(n) < 0.4,
            "color": pd.Categorical(rng.choice(list("xyz"), n, p=[0.6, 0.3, 0.1])),
            "city": rng.choice(["Bonn", "Ulm"], n),
            "day": pd.date_range("2020", periods=n, freq="h"),
            "nullable": pd.array(rng.integers(0, 5, n), dtype="Int16"),
        }
    )
    frame.loc[rng.random(n) < 0.2, "height"] = np.nan
    frame.loc[rng.random(n) < 0.1, "city"] = None
    return frame


def numbers(n: int = 4000, n_columns: int = 6, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, n_columns)) @ rng.normal(size=(n_columns, n_columns))
    return pd.DataFrame(values, columns=[f"c{j}" for j in range(n_columns)])


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_only_observed_cells_are_ever_hidden_and_all_others_stay(mechanism: str) -> None:
    frame = mixed()
    before = frame.copy(deep=True)
    missing, hidden = amputate(frame, mechanism, FRAC, random_state=3)
    pd.testing.assert_frame_equal(frame, before)
    assert hidden.to_numpy().any()
    assert not (hidden & frame.isna()).any(axis=None)
    assert ((frame.isna() | hidden) == missing.isna()).all(axis=None)
    for name in frame:
        kept = ~hidden[name]
        assert (missing.loc[kept, name].dropna() == frame.loc[kept, name].dropna()).all()


@pytest.mark.parametrize("mechanism", ["mcar", "mar", "mnar"])
def test_the_realised_share_of_each_column_is_frac_within_binomial_error(mechanism: str) -> None:
    frame = mixed(4000)
    _, hidden = amputate(frame, mechanism, FRAC, random_state=1)
    n_observed = frame.notna().sum()
    losing = hidden.any()
    share = hidden.sum()[losing] / n_observed[losing]
    error = np.sqrt(FRAC * (1 - FRAC) / n_observed[losing])
    assert (np.abs(share - FRAC) < 4 * error).all()
    assert losing.sum() == (len(losing) - round(0.3 * len(losing)) if mechanism == "mar" else 9)


def test_under_block_the_share_is_exact_and_gaps_are_runs_of_about_ten_rows() -> None:
    names = ["c1", "c3", "c4"]
    hidden = amputate(numbers(), "block", FRAC, columns=names, random_state=0)[1][names]
    assert (hidden.sum() == round(FRAC * len(hidden))).all()
    starts = hidden & ~hidden.shift(1, fill_value=False)
    length = (hidden.sum() / starts.sum()).mean()
    assert 9.5 < length < 10.5


def test_mar_does_not_look_at_the_values_it_hides() -> None:
    frame = numbers()
    _, hidden = amputate(frame, "mar", FRAC, driven_by=["c0", "c1"], random_state=5)
    shuffled = frame.copy()
    order = np.random.default_rng(0).permutation(len(frame))
    for name in ["c2", "c3", "c4", "c5"]:
        shuffled[name] = frame[name].to_numpy()[order]
    _, again = amputate(shuffled, "mar", FRAC, driven_by=["c0", "c1"], random_state=5)
    pd.testing.assert_frame_equal(hidden, again)
    assert not hidden[["c0", "c1"]].any(axis=None)


def test_mar_depends_on_its_drivers() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(4000, 2)), columns=["driver", "lost"])
    _, hidden = amputate(frame, "mar", FRAC, driven_by=["driver"], random_state=0)
    gap = frame["driver"][hidden["lost"]].mean() - frame["driver"][~hidden["lost"]].mean()
    assert abs(gap) > 0.5


def test_the_share_is_that_of_the_observed_cells_where_these_are_not_like_the_others() -> None:
    """The lost column is there only in rows whose driver is large, and in the last of a series."""
    frame = numbers(n_columns=3)
    frame.loc[frame["c0"] < 1, "c1"] = np.nan
    frame.loc[:1999, "c2"] = np.nan
    observed = frame.notna().sum()
    hidden = amputate(frame, "mar", FRAC, driven_by=["c0"], random_state=0)[1].sum()
    assert hidden["c1"] / observed["c1"] == pytest.approx(FRAC, abs=0.06)
    for groups in (None, np.arange(4000) % 10):
        _, gone = amputate(frame, "block", 1 / 3, columns=["c2"], random_state=0, groups=groups)
        assert gone["c2"].sum() == 667


def test_mnar_depends_on_the_own_value_and_mcar_does_not() -> None:
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(4000, 5)))
    for mechanism, depends in [("mnar", True), ("mcar", False)]:
        _, hidden = amputate(frame, mechanism, FRAC, random_state=0)
        gaps = frame[hidden].mean() - frame[~hidden].mean()
        assert ((gaps.abs() > 0.5) == depends).all()
        assert depends or (gaps.abs() < 0.15).all()
        assert not depends or gaps.min() < 0 < gaps.max()  # a sign of its own for each column


def test_mnar_hides_some_levels_of_a_category_more_than_others() -> None:
    frame = mixed(4000)
    _, hidden = amputate(frame, "mnar", FRAC, random_state=0)
    rate = hidden["color"].groupby(frame["color"], observed=True).mean()
    assert rate.max() - rate.min() > 0.2


def test_observed_gives_rows_the_gaps_of_incomplete_rows() -> None:
    frame = numbers(1000)
    frame.loc[::5, ["c0", "c1"]] = np.nan
    frame.loc[1::5, ["c2"]] = np.nan
    missing, hidden = amputate(frame, "observed", 0.5, random_state=0)
    complete = frame.notna().all(axis=1)
    patterns = set(map(tuple, missing.isna()[complete].to_numpy().tolist()))
    first, second, none = [True, True, False], [False, False, True], [False] * 3
    assert patterns == {tuple([*part, False, False, False]) for part in (first, second, none)}
    share = hidden[complete].any(axis=1).mean()
    assert abs(share - 0.5) < 4 * 0.5 / np.sqrt(complete.sum())


def test_observed_gives_an_incomplete_row_the_gaps_of_another_and_not_its_own() -> None:
    frame = numbers(6)
    frame = frame.mask(np.eye(*frame.shape, dtype=bool))  # each row lacks another column
    for seed in range(20):
        hidden = amputate(frame, "observed", 1 - 1e-9, random_state=seed)[1]
        assert hidden.sum(axis=1).max() == 1 and hidden.any(axis=1).sum() >= 5


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_dtypes_are_kept_where_they_can_hold_a_missing_cell(mechanism: str) -> None:
    frame = mixed()
    missing, hidden = amputate(frame, mechanism, FRAC, random_state=0)
    nullable = {"rooms": "Int64", "small": "UInt8", "owned": "boolean"}
    for name in frame:
        lost = hidden[name].any()
        expected = nullable.get(name, frame[name].dtype) if lost else frame[name].dtype
        assert missing[name].dtype == expected, name
    assert missing.index.equals(frame.index)
    assert missing.columns.equals(frame.columns)


def test_polars_and_arrays_come_back_as_what_they_were() -> None:
    table = pl.DataFrame({"a": [1, 2, 3, 4] * 50, "b": ["u", "v"] * 100, "c": [0.5] * 200})
    missing, hidden = amputate(table, random_state=0)
    assert missing.schema == table.schema
    assert (missing.to_pandas().isna() == hidden.to_pandas()).all(axis=None)
    for dtype, expected in [("float32", "float32"), ("int64", "float64"), ("object", "object")]:
        array = np.arange(600).reshape(200, 3).astype(dtype)
        missing, hidden = amputate(array, random_state=0)
        assert missing.dtype == expected
        assert (pd.isna(missing) == hidden).all()
        assert (missing[~hidden] == array[~hidden]).all()


def test_arrays_of_text_lose_cells_and_not_only_letters() -> None:
    array = np.array([["red", "round"], ["blue", "square"]] * 50)
    missing, hidden = amputate(array, random_state=0)
    assert (pd.isna(missing) == hidden).all()


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_the_same_seed_hides_the_same_cells_and_another_seed_others(mechanism: str) -> None:
    frame = mixed()
    first, again, other = (amputate(frame, mechanism, random_state=s)[1] for s in (0, 0, 1))
    assert first.equals(again)
    assert not first.equals(other)


def test_the_global_random_state_is_neither_moved_nor_read() -> None:
    before = np.random.get_state()[1].copy()
    first = amputate(numbers(), "mnar")[1]
    assert (np.random.get_state()[1] == before).all()
    assert not first.equals(amputate(numbers(), "mnar")[1])


def test_a_random_state_object_moves_on() -> None:
    state = np.random.RandomState(0)
    first = amputate(numbers(), random_state=state)[1]
    assert not first.equals(amputate(numbers(), random_state=state)[1])


@pytest.mark.parametrize("mechanism", ["mcar", "mar", "mnar", "block"])
def test_every_row_and_column_keeps_a_visible_cell(mechanism: str) -> None:
    frame = numbers(60, 4)
    frame.iloc[1:, 0] = np.nan
    frame.iloc[7] = np.nan
    missing, _ = amputate(frame, mechanism, 0.95, random_state=0)
    assert missing.notna().any(axis=0).all()
    assert (missing.notna().any(axis=1) == frame.notna().any(axis=1)).all()


def test_a_single_column_can_lose_cells() -> None:
    _, hidden = amputate(numbers(400)[["c0"]], "block", 0.25, random_state=0)
    assert hidden["c0"].sum() == 100


def test_only_the_named_columns_lose_cells() -> None:
    _, hidden = amputate(numbers(), columns=["c1", "c4"], random_state=0)
    assert list(hidden.columns[hidden.any()]) == ["c1", "c4"]
    _, hidden = amputate(numbers().to_numpy(), "mar", columns=[0], random_state=0)
    assert list(np.flatnonzero(hidden.any(axis=0))) == [0]


def test_a_number_is_the_name_of_a_column_before_it_is_a_place() -> None:
    frame = numbers(100, 3).set_axis([2, 0, 1], axis=1)
    assert amputate(frame, columns=[2], random_state=0)[1].any().tolist() == [True, False, False]


def test_nothing_is_hidden_when_frac_is_zero() -> None:
    frame = mixed()
    for mechanism in MECHANISMS:
        missing, hidden = amputate(frame, mechanism, 0, random_state=0)
        assert not hidden.any(axis=None)
        pd.testing.assert_frame_equal(missing, frame)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mechanism": "random"}, "'mechanism' must be one of .* got 'random'"),
        ({"frac": 1.0}, r"'frac' must be a number in \[0, 1\), got 1.0"),
        ({"frac": True}, "'frac' must be a number"),
        ({"frac": float("nan")}, "'frac' must be a number"),
        ({"columns": ["age"]}, "'columns': 'age' is not a column"),
        ({"columns": [True, False]}, "'columns': True is not a column"),
        ({"columns": []}, "'columns': it names no column"),
        ({"driven_by": ["c0"]}, "for mechanism='mar' only"),
        ({"mechanism": "mar", "columns": ["c0"], "driven_by": ["c0"]}, "in both"),
        ({"mechanism": "mar", "columns": list(range(6))}, "others that decide which"),
        ({"mechanism": "observed"}, "X has no missing cell"),
        ({"random_state": -1}, "'random_state' must be"),
        ({"random_state": "seed"}, "'random_state' must be"),
    ],
)
def test_bad_options_are_refused_with_what_was_got(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        amputate(numbers(50), **options)


def test_a_bare_name_is_not_a_list_of_columns() -> None:
    with pytest.raises(TypeError, match="'columns' must be a list of column names"):
        amputate(numbers(50), columns="c0")


def runs_of(hidden: np.ndarray) -> list[tuple[int, int]]:
    """First row and the row after the last of each run of True."""
    edges = np.flatnonzero(np.diff(np.pad(hidden.astype(int), 1)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def test_a_gap_lies_in_one_series_and_the_share_is_exact() -> None:
    """Series of 40 rows, interleaved: row by row a gap is seen only within its own series."""
    names, groups = ["c0", "c1", "c2"], np.arange(4000) % 100
    options = {"columns": names, "random_state": 0, "groups": groups}
    hidden = amputate(numbers(), "block", FRAC, **options)[1][names]
    assert (hidden.sum() == round(FRAC * 4000)).all()
    per_series = hidden.groupby(groups).sum().to_numpy()
    assert set(np.unique(per_series)) <= {11, 12, 13}
    lengths = [
        end - start
        for _, part in hidden.groupby(groups)
        for name in part
        for start, end in runs_of(part[name].to_numpy())
    ]
    assert np.mean(lengths) == pytest.approx(12, abs=0.5)  # one gap in each series


def test_gaps_of_a_single_series_run_over_what_would_be_an_end() -> None:
    ends = np.arange(40, 4000, 40)
    crossed = []
    for groups in (None, np.repeat(np.arange(100), 40)):
        _, hidden = amputate(numbers(), "block", 0.1, random_state=0, groups=groups)
        crossed.append((hidden.to_numpy()[ends] & hidden.to_numpy()[ends - 1]).sum())
    assert crossed[0] > 40  # of 594, each with a chance of about .1
    assert crossed[1] < 15  # where one gap ends a series and another begins the next


def test_series_of_one_row_lose_cells_as_often_wherever_they_stand() -> None:
    """Rounding in the order of the table would always spare the same rows."""
    n_hidden = np.zeros(50)
    for seed in range(240):
        options = {"columns": ["c0"], "random_state": seed, "groups": range(50)}
        hidden = amputate(numbers(50), "block", FRAC, **options)[1]["c0"]
        assert hidden.sum() == 15
        n_hidden += hidden.to_numpy()
    assert np.abs(n_hidden / 240 - FRAC).max() < 4 * np.sqrt(FRAC * (1 - FRAC) / 240)


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_one_series_by_name_is_the_same_as_no_groups(mechanism: str) -> None:
    frame = mixed()
    plain = amputate(frame, mechanism, random_state=0)[1]
    named = amputate(frame, mechanism, random_state=0, groups=["a"] * len(frame))[1]
    pd.testing.assert_frame_equal(plain, named)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([1, 2], r"'groups' must hold 50 labels, got shape \(2,\)"),
        ([None, *"a" * 49], "'groups' must name the series of every row"),
    ],
)
def test_groups_that_do_not_name_every_row_are_refused(groups: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        amputate(numbers(50), "block", groups=groups)
