"""Every estimator under the checks of scikit-learn.

One check may fail, and only where a transformer is told to train no network: see
docs/scikit_learn_contract.rst.
"""

from __future__ import annotations

import copy
import pickle
from dataclasses import fields

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from differences import read_differences
from models import QUICK
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

import maetab
from maetab import MAEAnomalyDetector, MAEEncoder, MAEImputer
from maetab.base import BaseMAE
from maetab.labelled import LabelledMAE

SMALL = {"guess": QUICK, "max_iter": 2, "n_estimators": 1, "width": 8, "random_state": 0}
CONFIGURATIONS = [
    {},
    {"loss": "mse"},
    {"backbone": "mlp"},
    {"masking": "block"},
    {"max_iter": 0},
]
CLASSES = [
    kind
    for kind in (getattr(maetab, name) for name in maetab.__all__)
    if isinstance(kind, type) and issubclass(kind, BaseMAE)
]
LABELLED = [kind for kind in CLASSES if issubclass(kind, LabelledMAE)]  # see test_labelled.py
# What the configurations change is the core, which all estimators share: one of them runs them all.
ESTIMATORS = [
    kind(**(SMALL | changes))
    for kind in CLASSES
    if kind not in LABELLED
    for changes in (CONFIGURATIONS if kind is MAEImputer else CONFIGURATIONS[:1])
] + [
    MAEAnomalyDetector(guess=QUICK, n_masks=2, max_iter=0, trim=0.2, random_state=0),
    MAEEncoder(**(SMALL | {"max_iter": 1, "n_components": None, "add_raw": False})),
]
TRANSFORMERS = [e for e in ESTIMATORS if hasattr(e, "transform")]
# What returns one row for each row of X, and depends on no other row.
BY_ROW = ("transform", "score_samples", "decision_function", "predict", "predict_proba")
# Checks that scikit-learn runs on its own estimators only.
EXTRA_CHECKS = [
    "check_dataframe_column_names_consistency",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
    "check_get_feature_names_out_error",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_set_output_transform_polars",
    "check_global_output_transform_pandas",
    "check_global_set_output_transform_polars",
    "check_inplace_ensure_writeable",
]


def name_of(estimator) -> str:
    usual = type(estimator)(**SMALL).get_params()
    changed = [f"{k}={v}" for k, v in estimator.get_params().items() if v is not usual[k]]
    return "-".join([type(estimator).__name__, *changed])


def gaps(n: int = 60, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    X = rng.multivariate_normal(np.zeros(4), 0.7 + 0.3 * np.eye(4), n)
    return np.where(rng.random(X.shape) < 0.2, np.nan, X)


def mixed(n: int = 60, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(gaps(n, seed), columns=list("abcd"), index=rng.permutation(n))
    color = pd.Categorical(rng.choice(list("xyz"), n))
    return frame.assign(color=color).mask(rng.random((n, 5)) < 0.1)


def by_row(estimator) -> list[str]:
    return [name for name in BY_ROW if hasattr(estimator, name)]


def results(estimator, X) -> dict[str, np.ndarray]:
    return {name: np.asarray(getattr(estimator, name)(X)) for name in by_row(estimator)}


def assert_same_bits(mine: dict, theirs: dict) -> None:
    assert mine.keys() == theirs.keys()
    for name in mine:
        assert mine[name].dtype == theirs[name].dtype
        if mine[name].dtype == object:
            assert pd.DataFrame(mine[name]).equals(pd.DataFrame(theirs[name])), name
        else:
            assert np.array_equal(mine[name], theirs[name], equal_nan=True), name


def expected_failures(estimator) -> dict[str, str]:
    known = read_differences("check_estimator")
    untrained = estimator.max_iter == 0 and hasattr(estimator, "transform")
    return {test: known[test].reason for test in known if untrained}


@parametrize_with_checks(
    ESTIMATORS + [kind(**(SMALL | {"max_iter": 1})) for kind in LABELLED],
    expected_failed_checks=expected_failures,
)
def test_checks_of_scikit_learn_pass(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore:X (does not have valid|has) feature names")
@pytest.mark.parametrize(
    "estimator",
    [*TRANSFORMERS[:1], pytest.param(TRANSFORMERS[-1], marks=pytest.mark.slow)],
    ids=name_of,
)
@pytest.mark.parametrize("check", EXTRA_CHECKS)
def test_checks_that_scikit_learn_keeps_for_itself_pass(estimator, check):
    getattr(estimator_checks, check)(type(estimator).__name__, clone(estimator))


# ---- the checks above feed complete tables; these do not

every = pytest.mark.parametrize("estimator", ESTIMATORS, ids=name_of)
every_class = pytest.mark.parametrize("kind", CLASSES)


@every
@pytest.mark.parametrize("X", [gaps(), mixed()], ids=["array", "frame"])
def test_rows_are_independent_bit_for_bit(estimator, X):
    fitted = clone(estimator).fit(X)
    pick = X.iloc if isinstance(X, pd.DataFrame) else X
    whole, order = results(fitted, X), np.random.default_rng(0).permutation(60)
    assert_same_bits(results(fitted, pick[order]), {k: v[order] for k, v in whole.items()})
    for rows in (slice(7, 8), slice(0, 11)):
        assert_same_bits(results(fitted, pick[rows]), {k: v[rows] for k, v in whole.items()})


@pytest.mark.slow
@every
def test_two_fits_agree_bit_for_bit(estimator):
    X = mixed()
    assert_same_bits(results(clone(estimator).fit(X), X), results(clone(estimator).fit(X), X))
    fitted = clone(estimator).fit(X)
    first = results(fitted, X)
    assert_same_bits(first, results(fitted.fit(X), X))


@every
def test_results_leave_the_estimator_and_the_table_as_they_were(estimator):
    X = mixed()
    kept, fitted = X.copy(deep=True), clone(estimator).fit(X)
    before, names = joblib.hash(fitted.__getstate__()), set(vars(fitted))
    results(fitted, X)
    assert set(vars(fitted)) == names and joblib.hash(fitted.__getstate__()) == before
    pd.testing.assert_frame_equal(X, kept)


@every
@pytest.mark.parametrize("way", ["pickle", "deepcopy", "joblib"])
def test_copies_say_the_same_bit_for_bit(estimator, way, tmp_path):
    X, fitted = mixed(), clone(estimator).fit(mixed())
    if way == "pickle":
        again = pickle.loads(pickle.dumps(fitted))
    elif way == "deepcopy":
        again = copy.deepcopy(fitted)
    else:
        joblib.dump(fitted, tmp_path / "model")
        again = joblib.load(tmp_path / "model", mmap_mode="r")
    assert again.model_ is not fitted.model_
    assert_same_bits(results(fitted, X), results(again, X))


@every
def test_a_clone_is_unfitted_and_has_the_parameters(estimator):
    fitted = clone(estimator).fit(gaps())
    again = clone(fitted)
    assert not hasattr(again, "model_")
    assert repr(again) == repr(fitted)


@every_class
def test_parameters_are_the_fields_and_init_is_not_written_by_hand(kind):
    assert set(kind().get_params()) == {field.name for field in fields(kind)}
    assert kind.__init__.__qualname__.startswith(("__create_fn__", kind.__name__))
    default = kind()
    assert all(getattr(default, f.name) is f.default for f in fields(kind))


@every_class
def test_parameters_can_be_set_and_unknown_ones_cannot(kind):
    assert kind().set_params(width=64).width == 64
    with pytest.raises(ValueError, match="Invalid parameter 'depth'"):
        kind().set_params(depth=3)
    with pytest.raises(TypeError):
        kind(16)
    with pytest.raises(TypeError, match="depth"):
        kind(depth=3)


@every_class
def test_new_estimators_are_found(kind):
    assert issubclass(kind, BaseMAE) and kind.__doc__ and "Parameters" in kind.__doc__


# ---- in company


def imputer(**changes) -> MAEImputer:
    return MAEImputer(**(SMALL | changes))


def test_the_score_of_an_imputer_can_be_cross_validated():
    scores = cross_val_score(imputer(), gaps(300), cv=3)
    assert scores.shape == (3,) and np.isfinite(scores).all() and scores.min() > 0.2


def test_grid_search_chooses_a_mask_ratio():
    search = GridSearchCV(imputer(), {"mask_ratio": [0.1, 0.5]}, cv=KFold(2)).fit(gaps())
    assert search.best_params_["mask_ratio"] in (0.1, 0.5)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert not np.isnan(search.transform(gaps())).any()


def test_it_is_a_step_of_a_pipeline():
    X, y = load_diabetes(return_X_y=True)
    X, y = X[:150, :5], y[:150]
    X = np.where(np.random.default_rng(0).random(X.shape) < 0.2, np.nan, X)
    pipeline = make_pipeline(imputer(), StandardScaler(), Ridge())
    assert np.isfinite(cross_val_score(pipeline, X, y, cv=2)).all()
    pipeline.set_params(maeimputer__mask_ratio=0.5).fit(X, y)
    assert pipeline[:-1].get_feature_names_out().tolist() == [f"x{j}" for j in range(5)]


@pytest.mark.parametrize("block", [torch.no_grad, torch.inference_mode])
def test_fit_learns_the_same_where_torch_is_told_to_track_no_gradients(block):
    frame, fitted = mixed(), imputer().fit(mixed())
    with block():
        found = imputer().fit(frame)
        assert not torch.is_grad_enabled()
    pd.testing.assert_frame_equal(found.transform(frame), fitted.transform(frame))


def test_it_is_a_part_of_a_column_transformer():
    frame = mixed()
    columns = make_column_transformer(
        (imputer(), ["a", "color"]), remainder="passthrough", verbose_feature_names_out=False
    ).set_output(transform="pandas")
    out = columns.fit_transform(frame)
    assert list(out.columns) == ["a", "color", "b", "c", "d"]
    assert not out[["a", "color"]].isna().any().any()
    assert out["color"].dtype == frame["color"].dtype
    pd.testing.assert_frame_equal(out[["b", "c", "d"]], frame[["b", "c", "d"]])


def test_dates_that_a_step_made_objects_of_are_refused_with_what_keeps_them():
    frame = mixed().assign(day=pd.date_range("2024-01-01", periods=60))
    columns = make_column_transformer(("passthrough", ["a", "color", "day"]))
    steps = make_pipeline(columns, imputer(max_iter=0))
    with pytest.raises(TypeError, match=r"holds a Timestamp; .*set_output\(transform='pandas'\)"):
        steps.fit(frame)
    filled = steps.set_output(transform="pandas").fit_transform(frame)
    assert filled.iloc[:, 2].dtype == frame["day"].dtype


@pytest.mark.parametrize("container", ["array", "pandas", "polars"])
def test_set_output_decides_the_container(container):
    frame = mixed().drop(columns="color").reset_index(drop=True)
    X = {"array": frame.to_numpy(), "pandas": frame, "polars": pl.from_pandas(frame)}[container]
    plain = imputer().fit(X).transform(X)
    assert type(plain) is type(X)
    names = ["x0", "x1", "x2", "x3"] if container == "array" else list("abcd")
    for kind, wanted in (("pandas", pd.DataFrame), ("polars", pl.DataFrame)):
        out = imputer(add_indicator=True).set_output(transform=kind).fit_transform(X)
        assert isinstance(out, wanted)
        assert list(out.columns) == names + [f"missingindicator_{name}" for name in names]
        assert np.array_equal(np.asarray(out[names]), np.asarray(plain))
        back = imputer().set_output(transform="default").fit_transform(X)
        assert type(back) is type(X)


def test_set_output_keeps_the_index_and_dtypes_of_a_frame():
    frame = mixed()
    out = imputer().set_output(transform="pandas").fit_transform(frame)
    assert out.index.equals(frame.index) and (out.dtypes == frame.dtypes).all()


@pytest.mark.parametrize("convert", [pl.from_pandas, pa.Table.from_pandas])
def test_set_output_keeps_the_dtypes_of_tables_of_others(convert):
    frame = pd.DataFrame({"n": [1, 2, 3, 4], "x": [0.5, None, 1.5, 2.0], "k": list("abba")})
    out = imputer().set_output(transform="pandas").fit_transform(convert(frame))
    assert [out[name].dtype.kind for name in frame] == ["i", "f", "O"]
    with config_context(transform_output="pandas"):  # the same for all estimators
        pd.testing.assert_frame_equal(imputer().fit_transform(convert(frame)), out)
    pd.testing.assert_frame_equal(out, imputer().fit_transform(frame), check_dtype=False)
