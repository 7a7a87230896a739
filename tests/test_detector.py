"""MAEAnomalyDetector: scikit-learn's contract, thresholds, cells and reasons."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_wine

from maetab.detector import MAEAnomalyDetector
from maetab.imputer import MAEImputer


def detector(**parameters):
    return MAEAnomalyDetector(**{"max_iter": 0, "random_state": 0, "n_masks": 4} | parameters)


def mixed(n=160, seed=0):
    """Rows in which size and weight go together, and color goes with both."""
    random = np.random.default_rng(seed)
    size = random.normal(10, 2, n)
    frame = pd.DataFrame(
        {
            "size": size,
            "weight": 3 * size + random.normal(0, 0.3, n),
            "color": np.where(size > 10, "red", "blue"),
            "noise": random.normal(size=n),
        },
        index=[f"row {i}" for i in range(n)],
    )
    return frame.mask(random.random(frame.shape) < 0.05)


@pytest.fixture(scope="module")
def fitted():
    return detector(n_masks=8).fit(mixed())


def test_decisions_are_scores_less_the_offset(fitted):
    X = mixed(seed=1)
    scores, decisions = fitted.score_samples(X), fitted.decision_function(X)
    assert scores.dtype == np.float64
    np.testing.assert_array_equal(decisions, scores - fitted.offset_)
    np.testing.assert_array_equal(fitted.predict(X), np.where(decisions < 0, -1, 1))


@pytest.mark.slow
@pytest.mark.parametrize("trim", [0.0, 0.2])
@pytest.mark.parametrize("contamination", [0.05, 0.25])
def test_the_wanted_share_of_the_training_rows_is_flagged(contamination, trim):
    X = mixed(200)
    found = detector(contamination=contamination, trim=trim).fit_predict(X)
    assert (found == -1).sum() == 200 * contamination


def test_the_threshold_moves_without_refitting(fitted):
    X, moved = mixed(), pickle.loads(pickle.dumps(fitted))
    scores = moved.score_samples(X)
    assert moved.set_threshold(0.1) is moved
    assert (moved.predict(X) == -1).sum() == 16
    moved.offset_ = float(np.sort(scores)[3])
    assert (moved.predict(X) == -1).sum() == 3
    np.testing.assert_array_equal(moved.score_samples(X), scores)
    assert moved.set_threshold("auto").offset_ == fitted.offset_


def test_scores_do_not_depend_on_order_company_or_missing_values_elsewhere(fitted):
    X = mixed(60, seed=2)
    scores = fitted.score_samples(X)
    shuffled = np.random.default_rng(0).permutation(60)
    np.testing.assert_array_equal(fitted.score_samples(X.iloc[shuffled]), scores[shuffled])
    np.testing.assert_array_equal(fitted.score_samples(X.iloc[[7]]), scores[[7]])
    others = np.arange(60) != 7
    X.loc[others, "size"] = np.nan
    np.testing.assert_array_equal(fitted.score_samples(X)[~others], scores[[7]])


def test_rows_that_break_a_dependence_are_stranger_than_those_that_keep_it(fitted):
    normal = mixed(100, seed=3).dropna()
    broken = normal.assign(weight=normal["weight"].to_numpy()[::-1])
    assert np.median(fitted.score_samples(broken)) < np.quantile(fitted.score_samples(normal), 0.1)
    far = normal.assign(size=1e6)
    assert fitted.score_samples(far).max() < fitted.score_samples(normal).min()
    further = normal.assign(size=1e7)
    assert (fitted.score_samples(further) < fitted.score_samples(far)).all()


def test_a_row_without_cells_or_with_an_unknown_level_gets_a_score(fitted):
    X = mixed(3, seed=4)
    X.iloc[0] = None
    X.iloc[1, 2] = "never seen"
    scores = fitted.score_samples(X)
    assert np.isfinite(scores).all()
    known = X.assign(color=["red", "red", "red"])
    assert fitted.score_cells(X).iloc[1, 2] >= fitted.score_cells(known).iloc[1, 2]


@pytest.mark.slow
def test_p_values_of_new_normal_rows_are_about_uniform_and_those_of_outliers_small():
    trained = detector(n_masks=8).fit(mixed(400, seed=100))
    fresh = trained.p_values(mixed(1000, seed=200))
    assert (fresh > 0).all() and (fresh <= 1).all()
    for level in (0.05, 0.1, 0.25, 0.5):
        assert (fresh <= level).mean() <= level + 0.06
    broken = mixed(50, seed=6).assign(size=30.0, weight=0.0)
    assert trained.p_values(broken).max() < 0.01


def test_cells_are_scored_where_observed_and_the_wrong_one_first(fitted):
    X = mixed(60, seed=7)
    clean = X.dropna().copy()
    planted = clean.assign(weight=clean["weight"].to_numpy()[::-1])
    planted = planted[(planted["weight"] - clean["weight"]).abs() > 5]
    cells = fitted.score_cells(X)
    pd.testing.assert_frame_equal(cells.isna(), X.isna())
    assert (cells.min() >= 0).all()
    worst = fitted.score_cells(planted).to_numpy().argmax(1)
    assert np.isin(worst, [0, 1]).mean() > 0.8


@pytest.mark.slow
def test_surprise_is_calibrated_per_column_for_numbers_and_categories():
    trained = detector(n_masks=8).fit(mixed(400))
    cells = trained.score_cells(mixed(1000, seed=8))
    assert ((cells > 1).mean() < 0.16).all()
    assert (cells[["size", "weight", "noise"]] > 1).mean().min() > 0.04


def test_reasons_name_value_expectation_and_interval(fitted):
    X = mixed(40, seed=9).dropna()
    X.loc["row 3", "weight"] = 90.0
    reasons = fitted.explain(X, top=2, n_columns=2)
    names = ["row", "position", "score", "column", "value", "expected", "low", "high"]
    names += ["surprise", "reason"]
    assert reasons.columns.tolist() == names
    first = reasons.iloc[0]
    assert first["row"] == "row 3"
    weight = reasons[(reasons["row"] == "row 3") & (reasons["column"] == "weight")].iloc[0]
    assert weight["value"] == 90.0
    assert weight["low"] <= weight["expected"] <= weight["high"] < 90.0
    colors = reasons[reasons["column"] == "color"]
    assert colors["low"].isna().all()
    assert colors["expected"].isin(["red", "blue"]).all()


@pytest.mark.slow
def test_intervals_of_dates_are_dates():
    X = mixed(80, seed=12)
    X["day"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(X["noise"].fillna(0), unit="D")
    wrong = X.assign(day=X["day"] + pd.Timedelta(5, unit="D"))
    reasons = detector().fit(X).explain(wrong, top=80, n_columns=5)
    days = reasons[reasons["column"] == "day"]
    assert len(days) > 20
    assert all(isinstance(end, pd.Timestamp) for end in (*days["low"], *days["high"]))
    assert (days["low"] <= days["expected"]).all() and (days["expected"] <= days["high"]).all()
    numbers = detector().fit(mixed()).explain(mixed(), n_columns=1)
    assert numbers["low"].dtype == numbers["high"].dtype == np.float64


@pytest.mark.slow
def test_rows_are_trimmed_among_a_thousand_rare_words():
    X = mixed(300)
    X["word"] = [f"word {i // 2}" for i in range(300)]
    with pytest.warns(UserWarning, match="138 levels"):
        trained = detector(trim=0.2, categorical_features=["word"]).fit(X)
    assert len(trained.robust_location_) == sum(max(n, 1) for n in trained.model_.config.n_levels)


@pytest.mark.slow
def test_a_detector_comes_from_a_fitted_imputer_and_shares_its_model():
    X = mixed()
    imputer = MAEImputer(max_iter=2, random_state=0).fit(X)
    made = MAEAnomalyDetector.from_fitted(imputer, n_masks=4, contamination=0.1)
    assert made.model_ is imputer.model_
    fitted = MAEAnomalyDetector(max_iter=2, random_state=0, n_masks=4, contamination=0.1).fit(X)
    np.testing.assert_allclose(made.score_samples(X), fitted.score_samples(X), atol=0.05)
    assert abs((made.predict(X) == -1).sum() - 16) <= 1
    trimmed = MAEAnomalyDetector.from_fitted(imputer, n_masks=4, trim=0.2)
    assert 0.7 < trimmed.trusted_.mean() < 0.9
    assert np.isfinite(trimmed.score_samples(X)).all()


@pytest.mark.slow
def test_trimming_finds_a_group_of_outliers_that_hides_among_the_training_rows():
    random = np.random.default_rng(0)
    X = np.vstack([random.normal(size=(190, 3)), 5 + 0.05 * random.normal(size=(10, 3))])
    trimmed = detector(trim=0.2, contamination=0.05).fit_predict(X)
    assert (trimmed[190:] == -1).mean() > 0.9
    naive = detector(contamination=0.05).fit_predict(X)
    assert (naive[190:] == -1).mean() < 0.5


def test_scoring_leaves_the_estimator_as_it_was_and_pickle_scores_the_same(fitted):
    X = mixed(20, seed=10)
    before = pickle.dumps(fitted)
    for method in ("score_samples", "predict", "p_values", "score_cells", "explain"):
        getattr(fitted, method)(X)
    assert pickle.dumps(fitted) == before
    again = pickle.loads(before)
    np.testing.assert_array_equal(again.score_samples(X), fitted.score_samples(X))
    plain = (np.ndarray, int, float, str, list, type(None), bool)
    kept = {k: v for k, v in vars(fitted).items() if k.endswith("_")}
    odd = {k for k, v in kept.items() if not isinstance(v, plain)}
    assert odd <= {"schema_", "model_"}


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"contamination": 0.6}, "'contamination' .* 'auto' or in"),
        ({"contamination": "some"}, "'contamination' .* got 'some'"),
        ({"trim": 0.9}, "'trim' .* in \\[0, 0.5\\]"),
        ({"n_masks": 0}, "'n_masks' .* at least 1"),
    ],
)
def test_parameters_that_cannot_be_are_named(parameters, words):
    with pytest.raises(ValueError, match=words):
        clone(detector(**parameters)).fit(mixed(20))


def test_polars_and_arrays_are_scored_like_pandas(fitted):
    polars = pytest.importorskip("polars")
    X = mixed(20, seed=11)
    table = polars.from_pandas(X.reset_index(drop=True))
    np.testing.assert_array_equal(fitted.score_samples(table), fitted.score_samples(X))
    assert fitted.score_cells(table).shape == X.shape


@pytest.mark.slow
@pytest.mark.parametrize("factor", [10, 100, 1e6])
def test_a_wild_number_is_blamed_and_not_the_cells_guessed_from_it(factor):
    wine = load_wine(as_frame=True).data
    trained = detector(n_masks=8).fit(wine)
    rows = wine.iloc[::20]
    for column in ("alcohol", "flavanoids", "proline"):
        wild = rows.assign(**{column: rows[column] * factor})
        assert (trained.score_cells(wild).idxmax(axis=1) == column).mean() > 0.85
        reasons = trained.explain(wild, top=3, n_columns=2)
        numbers = reasons[["expected", "low", "high"]].astype(float)
        assert (numbers["low"] <= numbers["expected"]).all()
        assert (numbers["expected"] <= numbers["high"]).all()


@pytest.mark.slow
def test_a_detector_from_a_trimmed_one_decides_alike_and_trims_nothing_again():
    X = mixed(200)
    first = detector(trim=0.2, contamination=0.05).fit(X)
    again = MAEAnomalyDetector.from_fitted(first)
    np.testing.assert_array_equal(again.decision_function(X), first.decision_function(X))
    np.testing.assert_array_equal(again.p_values(X), first.p_values(X))
    more = MAEAnomalyDetector.from_fitted(first, contamination=0.3)
    assert more.offset_ == first.set_threshold(0.3).offset_
    for changed in ({"trim": 0.0}, {"n_masks": 6}):
        with pytest.raises(
            ValueError, match=r"cannot change trim=0.2 or n_masks=\d+ of a detector"
        ):
            MAEAnomalyDetector.from_fitted(first, **changed)


@pytest.mark.slow
def test_scores_hold_the_fit_when_trim_is_changed_after_it():
    X = mixed()
    for fitted, changed in ((0.0, 0.2), (0.2, 0.0)):
        trained = detector(trim=fitted).fit(X)
        scores = trained.score_samples(X)
        np.testing.assert_array_equal(trained.set_params(trim=changed).score_samples(X), scores)


def test_a_table_without_an_observed_cell_is_refused():
    nothing = pd.DataFrame({"a": [np.nan] * 30, "b": [np.nan] * 30})
    with (
        pytest.warns(UserWarning, match="'a' has no observed cell"),
        pytest.raises(ValueError, match="MAEAnomalyDetector cannot learn from X: no cell"),
    ):
        detector().fit(nothing)


@pytest.mark.parametrize("count", ["3", 2.5, 0, True])
def test_counts_of_reasons_are_checked(fitted, count):
    with pytest.raises(ValueError, match=r"^top must be an int of at least 1, got "):
        fitted.explain(mixed(), top=count)
    with pytest.raises(ValueError, match=r"^n_columns must be an int of at least 1, got "):
        fitted.explain(mixed(), n_columns=count)


def test_reasons_tell_the_position_of_rows_that_share_a_label(fitted):
    X = mixed()
    reasons = fitted.explain(X.set_axis(["same"] * len(X)), top=3, n_columns=1)
    assert set(reasons["row"]) == {"same"}
    assert reasons["position"].tolist() == np.argsort(fitted.score_samples(X))[:3].tolist()


@pytest.mark.slow
def test_constant_columns_are_no_reasons():
    X = mixed(300).assign(one=1.0, word="x")
    with pytest.warns(UserWarning, match="'one' is constant"):
        trained = detector().fit(X)
    cells = trained.score_cells(X)
    assert (cells[["one", "word"]] == 0).all(axis=None)


@pytest.mark.slow
@pytest.mark.parametrize("trim", [0.0, 0.2])
def test_rows_without_an_observed_cell_are_not_the_most_normal(trim):
    X = mixed(300)
    trained = detector(trim=trim).fit(X)
    empty = X.iloc[:2].mask(np.ones((2, X.shape[1]), bool))
    scores = trained.score_samples(X)
    assert (trained.score_samples(empty) < np.median(scores)).all()


@pytest.mark.slow
@pytest.mark.parametrize("trim", [0.0, 0.2])
def test_scores_of_huge_cells_are_finite_and_lowest(trim):
    X = mixed(300)
    trained = detector(trim=trim).fit(X)
    wild = X.iloc[:2].assign(size=[1e39, 1e300], weight=[1.0, 1e300])
    scores = trained.score_samples(wild)
    assert np.isfinite(scores).all()
    assert (scores < trained.score_samples(X).min() - 10).all()
    taught = detector(trim=trim, contamination=0.005).fit(pd.concat([X.iloc[2:], wild]))
    assert np.isfinite(taught.offset_)
    assert (taught.predict(wild) == -1).any()


def test_the_number_of_masks_is_that_of_the_fit():
    X = mixed()
    trained = detector().fit(X)
    scores = trained.score_samples(X)
    np.testing.assert_array_equal(trained.set_params(n_masks=9).score_samples(X), scores)


@pytest.mark.slow
@pytest.mark.parametrize("n_levels", [0, 2, 3])
def test_scores_of_narrow_tables_do_not_depend_on_the_rows_beside(n_levels):
    random = np.random.default_rng(0)
    flag = pd.Series(random.choice(list("abc"[: max(n_levels, 1)]), 120), dtype=object)
    X = pd.DataFrame(
        {"x": random.normal(size=120), "flag": flag if n_levels else random.normal(size=120)}
    )
    X = X.mask(random.random(X.shape) < 0.2)
    trained = detector().fit(X)
    together = trained.score_samples(X)
    alone = np.concatenate([trained.score_samples(X.iloc[[i]]) for i in range(40)])
    np.testing.assert_array_equal(alone, together[:40])
