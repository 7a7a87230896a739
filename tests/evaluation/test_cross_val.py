from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from series_frames import panel
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.model_selection import GroupKFold, KFold, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from maetab import MAEImputer
from maetab.evaluation import cross_val_impute


def people(n: int = 240, seed: int = 0) -> pd.DataFrame:
    """Numbers and categories that say something of each other."""
    rng = np.random.default_rng(seed)
    age = rng.normal(40, 12, n)
    frame = pd.DataFrame(
        {
            "age": age,
            "income": 100 * age + rng.normal(0, 200, n),
            "children": rng.integers(0, 4, n),
            "old": np.where(age > 40, "yes", "no"),
            "color": pd.Categorical(rng.choice(list("xyz"), n, p=[0.7, 0.2, 0.1])),
            "owner": rng.random(n) < 0.3,
        }
    )
    frame.loc[::9, "age"] = np.nan
    frame.loc[::11, "old"] = None
    return frame


class Recorder(TransformerMixin, BaseEstimator):
    """Fill by zeros, and keep what was seen (class attributes outlive clones)."""

    seen: list = []  # noqa: RUF012

    def fit(self, X: np.ndarray, y: object = None) -> Recorder:
        Recorder.seen.append(("fit", X))
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        Recorder.seen.append(("transform", X))
        return np.nan_to_num(X)


class Untouched(TransformerMixin, BaseEstimator):
    """Fill nothing."""

    def fit(self, X: np.ndarray, y: object = None) -> Untouched:
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        return X


def test_the_table_is_long_and_complete() -> None:
    frame = people()
    scores = cross_val_impute(SimpleImputer(), frame, cv=2)
    assert list(scores.columns) == ["fold", "column", "metric", "method", "value", "n_cells"]
    assert set(scores["method"]) == {"SimpleImputer", "median", "knn"}
    assert len(scores) == 2 * 3 * (3 * 3 + 3 * 2)  # folds, methods, numbers and categories
    assert scores["value"].notna().all()
    per_method = scores.groupby(["fold", "column", "metric"])["n_cells"].nunique()
    assert (per_method == 1).all()


@pytest.mark.parametrize("random_state", range(4))
def test_numbers_stay_numbers_where_folds_hide_no_cell(random_state: int) -> None:
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(9, 2)), columns=["a", "b"])
    options = {"cv": 4, "baselines": [], "frac": 0.08, "random_state": random_state}
    scores = cross_val_impute(SimpleImputer(), frame, **options)
    assert scores["fold"].nunique() < 4  # the last seed hides none at all
    assert (scores[["fold", "n_cells"]].dtypes == np.int64).all()
    assert scores["value"].dtype == np.float64


def test_the_median_baseline_is_the_train_median_and_the_most_frequent_level() -> None:
    frame = people().drop(columns=["children"]).dropna().reset_index(drop=True)
    folds = [(np.arange(100), np.arange(100, len(frame)))]
    scores = cross_val_impute([], frame, cv=folds, baselines=["median"], metrics=["mae"], frac=0.4)
    by_hand = cross_val_impute({"hand": ByHand()}, frame, cv=folds, baselines=[], frac=0.4)
    merged = scores.merge(by_hand, on=["fold", "column", "metric"])
    assert merged["value_x"].to_numpy() == pytest.approx(merged["value_y"].to_numpy(), rel=1e-5)
    freq = SimpleImputer(strategy="most_frequent")
    frame["shift"] = [*"aabcde"] * (len(frame) // 6) + ["a"] * (len(frame) % 6)  # mean code: c
    several = cross_val_impute(freq, frame, cv=2, baselines=["median", "mean"], metrics="accuracy")
    wide = several.pivot(index=["fold", "column"], columns="method", values="value")
    assert (wide["median"] == wide["SimpleImputer"]).all()
    assert (wide["mean"] == wide["SimpleImputer"]).all()


class ByHand(TransformerMixin, BaseEstimator):
    def fit(self, X: np.ndarray, y: object = None) -> ByHand:
        self.median_ = np.nanmedian(X, axis=0)
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        return np.where(np.isnan(X), self.median_, X)


def test_a_column_without_a_cell_in_the_train_rows_does_not_move_the_others() -> None:
    frame = pd.DataFrame({"a": np.arange(60.0), "late": np.arange(60.0), "b": np.arange(60.0) % 7})
    frame.loc[:39, "late"] = np.nan
    options = {"cv": [(np.arange(40), np.arange(40, 60))], "metrics": "mae", "frac": 0.4}
    scores = cross_val_impute([], frame, **options).set_index(["method", "column"])["value"]
    scale = frame[:40].std(ddof=0)
    for method in ("median", "knn"):
        assert scores[method].index.tolist() == ["a", "late", "b"]
        assert scores[method]["b"] <= 6 / scale["b"]
        assert scores[method]["a"] > 10 / scale["a"]  # rows 40 to 59, filled from those before


def test_indicators_of_missing_cells_are_not_taken_for_columns() -> None:
    methods = {"plain": SimpleImputer(), "more": SimpleImputer(add_indicator=True)}
    scores = cross_val_impute(methods, people(60)[["age", "old"]], cv=2, baselines=[])
    values = dict(list(scores.groupby("method")["value"]))
    assert values["plain"].tolist() == values["more"].tolist()


def test_imputers_learn_from_the_train_rows_and_never_see_a_hidden_cell() -> None:
    Recorder.seen.clear()
    frame = pd.DataFrame({"a": np.arange(100.0), "b": np.arange(100.0) % 7})
    cross_val_impute(Recorder(), frame, cv=KFold(4), baselines=[], frac=0.25)
    assert [(call, len(X)) for call, X in Recorder.seen] == [("fit", 75), ("transform", 25)] * 4
    for call, X in Recorder.seen:
        assert np.isnan(X).mean() == pytest.approx(0.25, abs=0.15)
        if call == "fit":  # standardised by the visible train cells
            assert np.nanmean(X, axis=0) == pytest.approx(0, abs=1e-5)
            assert np.nanstd(X, axis=0) == pytest.approx(1, abs=1e-5)


def test_estimators_are_cloned_and_not_fitted() -> None:
    imputer = KNNImputer()
    cross_val_impute(imputer, people(), cv=2, baselines=[])
    assert not hasattr(imputer, "n_features_in_")


def test_errors_are_in_standard_deviations_of_the_train_rows() -> None:
    frame = people()[["age", "income"]]
    scores = cross_val_impute(KNNImputer(), frame, cv=2, metrics=["rmse"])
    same = cross_val_impute(KNNImputer(), frame * 1000 + 5, cv=2, metrics=["rmse"])
    assert scores["value"].to_numpy() == pytest.approx(same["value"].to_numpy(), rel=1e-4)


def test_numbers_of_a_wider_test_part_have_errors_in_the_unit_of_the_train_part() -> None:
    size = np.random.default_rng(0).normal(size=200) * np.repeat([1.0, 10.0], 100)
    folds = [(np.arange(100), np.arange(100, 200))]
    options = {"cv": folds, "baselines": ["median"], "metrics": ["rmse"]}
    scores = cross_val_impute([], pd.DataFrame({"size": size}), **options)
    assert scores["value"].item() == pytest.approx(10, rel=0.3)


def test_levels_that_are_not_among_the_train_rows_are_missing_to_other_imputers() -> None:
    frame = pd.DataFrame({"level": [*"abab" * 10, *"accb" * 5], "size": np.arange(60.0)})
    Recorder.seen.clear()
    folds = [(np.arange(40), np.arange(40, 60))]
    cross_val_impute(Recorder(), frame, cv=folds, baselines=[], metrics=["mae"], frac=0.0)
    shown = Recorder.seen[1][1][:, 0]
    assert (np.isnan(shown) == (frame["level"][40:] == "c")).all()


def test_cells_left_missing_are_reported_as_nan_or_as_wrong() -> None:
    scores = cross_val_impute(Untouched(), people(), cv=2, baselines=[])
    numbers = scores["metric"].isin(["rmse", "mae", "wasserstein"])
    assert scores.loc[numbers, "value"].isna().all()
    assert (scores.loc[~numbers, "value"] == 0).all()


def test_the_same_seed_gives_the_same_table() -> None:
    first, again, other = (
        cross_val_impute([], people(), cv=2, baselines=["iterative"], random_state=s)
        for s in (0, 0, 1)
    )
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)


def test_imputers_may_come_alone_in_a_list_or_with_names() -> None:
    frame = people()[["age", "income"]]
    options = {"cv": 2, "metrics": ["mae"], "baselines": []}
    pair = [KNNImputer(n_neighbors=1), KNNImputer(n_neighbors=9)]
    listed = cross_val_impute(pair + pair[:1], frame, **options)
    named = cross_val_impute({"one": pair[0], "nine": pair[1], "1": pair[0]}, frame, **options)
    assert list(listed["method"].unique()) == ["KNNImputer", "KNNImputer-2", "KNNImputer-3"]
    assert (listed["value"] == named["value"]).all()
    beside = cross_val_impute(pair[0], frame, **{**options, "baselines": [SimpleImputer()]})
    assert list(beside["method"].unique()) == ["KNNImputer", "SimpleImputer"]


def test_categories_in_arrays_can_be_named() -> None:
    rng = np.random.default_rng(0)
    array = np.column_stack([rng.normal(size=200), rng.integers(0, 3, 200)])
    scores = cross_val_impute([], array, cv=2, categorical_features=[1], baselines=["median"])
    assert set(scores.loc[scores["column"] == "x1", "metric"]) == {"accuracy", "f1_macro"}


@pytest.mark.slow
@pytest.mark.parametrize("mechanism", ["mcar", "mar", "mnar", "block", "observed"])
def test_an_imputer_of_maetab_is_compared_on_the_frame_as_it_is(mechanism: str) -> None:
    imputer = MAEImputer(max_iter=0, n_estimators=1, width=16, random_state=0)
    frame = people()
    scores = cross_val_impute(imputer, frame, cv=2, mechanism=mechanism, baselines=["median"])
    assert scores["value"].notna().all()
    income = scores[(scores["column"] == "income") & (scores["metric"] == "rmse")]
    if mechanism == "mcar":
        means = income.groupby("method")["value"].mean()
        assert means["MAEImputer"] < means["median"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"metrics": ["r2"]}, ValueError, "'metrics' must be among .* got 'r2'"),
        ({"baselines": ["magic"]}, ValueError, "'baselines' must be among .* got 'magic'"),
        ({"estimators": "knn"}, TypeError, "must be an imputer instance, got 'knn'"),
        ({"estimators": KNNImputer}, TypeError, "must be an imputer instance"),
        ({"estimators": [], "baselines": []}, ValueError, "no method to compare"),
        ({"mechanism": "x"}, ValueError, "'mechanism' must be one of"),
    ],
)
def test_bad_options_are_refused(options: dict, error: type, message: str) -> None:
    options = {"estimators": KNNImputer(), **options}
    with pytest.raises(error, match=message):
        cross_val_impute(options.pop("estimators"), people(60), **options)


def folds_seen(cv: object, groups: object, mechanism: str = "mcar") -> list[tuple]:
    """Train and test rows (positions) of each fold that an imputer was shown."""
    n = 60
    frame = pd.DataFrame({"row": np.arange(n, dtype=float), "other": np.arange(n) % 7.0})
    Recorder.seen.clear()
    options = {"baselines": [], "metrics": ["mae"], "frac": 0.0, "mechanism": mechanism}
    cross_val_impute(Recorder(), frame, cv=cv, groups=groups, **options)
    shown = [X for _, X in Recorder.seen]
    found = []
    for train, test in zip(shown[::2], shown[1::2], strict=True):
        # Columns come standardised by the training rows; ranks among both tell the row.
        ranks = np.argsort(np.argsort(np.r_[train[:, 0], test[:, 0]]))
        found.append((ranks[: len(train)], ranks[len(train) :]))
    return found


@pytest.mark.parametrize("mechanism", ["mcar", "block"])
@pytest.mark.parametrize("cv", [3, GroupKFold(3)])
def test_folds_hold_whole_series(cv: object, mechanism: str) -> None:
    groups = np.arange(60) % 6
    folds = folds_seen(cv, groups, mechanism)
    assert len(folds) == 3
    for train, test in folds:
        assert len(train) + len(test) == 60
        assert not set(groups[train]) & set(groups[test])


def test_the_rows_of_a_series_are_in_several_folds_without_groups() -> None:
    groups = np.arange(60) % 6
    assert all(set(groups[train]) & set(groups[test]) for train, test in folds_seen(3, None))


def test_folds_are_stretches_of_rows_where_gaps_are_hidden_and_drawn_at_random_elsewhere() -> None:
    parts = [test for _, test in folds_seen(3, None, "block")]
    assert [part.tolist() for part in parts] == [[*range(i, i + 20)] for i in (0, 20, 40)]
    assert all(np.ptp(test) > 20 for _, test in folds_seen(3, None))


def test_a_split_in_time_tests_the_later_part_of_each_series() -> None:
    groups = np.repeat(["b", "a"], 30)
    first, *_, last = folds_seen(TimeSeriesSplit(2), groups)
    # Ranks, as rows that are in neither part were not seen: 10 train, 10 test, of each series.
    assert first[0].tolist() == [*range(10), *range(20, 30)]
    assert first[1].tolist() == [*range(10, 20), *range(30, 40)]
    assert last[0].tolist() == [*range(20), *range(30, 50)]
    assert last[1].tolist() == [*range(20, 30), *range(50, 60)]


@pytest.mark.parametrize("seed", range(3))
def test_gaps_lie_in_one_series_in_each_fold(seed: int) -> None:
    """Six interleaved series of ten rows lose three cells each; a run of rows would lose others."""
    groups, everything = np.arange(60) % 6, np.arange(60)
    frame = pd.DataFrame({"x": np.arange(60.0)})
    Recorder.seen.clear()
    options = {"mechanism": "block", "baselines": [], "metrics": ["mae"], "random_state": seed}
    cross_val_impute(Recorder(), frame, cv=[(everything, everything)], groups=groups, **options)
    assert (np.bincount(groups, np.isnan(Recorder.seen[0][1][:, 0])) == 3).all()


def test_groups_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="'groups' must hold 60 labels"):
        cross_val_impute(KNNImputer(), people(60), groups=[1, 2])


@pytest.mark.parametrize("groups", ["site", ["site"]])
def test_columns_of_times_and_series_lose_no_cells(groups: object) -> None:
    frame = panel((16, 16))
    imputer = MAEImputer(
        window=4, time="when", groups=groups, preset="fast", max_iter=0, random_state=0
    )
    methods = {"alone": imputer, "piped": make_pipeline("passthrough", imputer)}
    scores = cross_val_impute(methods, frame, cv=2, groups=frame["site"], baselines=["mean"])
    assert not {"when", "site"} & set(scores["column"])
    values = dict(list(scores.groupby("method")["value"]))
    assert set(values) == {"alone", "piped", "mean"}
    assert values["alone"].tolist() == values["piped"].tolist()


def test_a_pipeline_that_begins_with_an_imputer_of_maetab_sees_the_frame_as_it_is() -> None:
    imputer = MAEImputer(preset="fast", max_iter=0, random_state=0)
    methods = {
        "alone": imputer,
        "piped": make_pipeline(make_pipeline(imputer), FunctionTransformer()),
    }
    scores = cross_val_impute(methods, people(60)[["age", "old"]], cv=2, baselines=[])
    values = dict(list(scores.groupby("method")["value"]))
    assert values["alone"].tolist() == values["piped"].tolist()
