"""scikit-learn's own tests of its imputers and outlier detectors, run with ours in their place.

The modules are those of the installed scikit-learn, loaded afresh. Each of their tests stands here
as `<name>__<module>`. Those that docs/scikit_learn_contract.rst names fail or are not run.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from differences import read_differences
from sklearn.datasets import load_iris
from sklearn.impute import MissingIndicator, SimpleImputer

import maetab
from maetab import MAEAnomalyDetector, MAEImputer

SHARED = {"contamination", "random_state"}  # parameters that detectors of any kind have
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:MAE.* (is constant|has no observed cell)"),
]


def imputer(**parameters: Any) -> MAEImputer:
    return MAEImputer(max_iter=0, random_state=0, **parameters)


def detector(**parameters: Any) -> MAEAnomalyDetector:
    shared = {name: value for name, value in parameters.items() if name in SHARED}
    return MAEAnomalyDetector(**({"random_state": 0} | shared))


IMPUTERS = pytest.mark.parametrize(
    "imputer",
    [imputer(), imputer(keep_empty_features=False)],
    ids=["keep_empty", "drop_empty"],
).mark


def fresh(name: str) -> ModuleType:
    """Return a copy of a module of the installed scikit-learn."""
    spec = importlib.util.find_spec(name)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def collect(module: ModuleType) -> None:
    """Make the tests of a copy of a module tests of this one, with our imputers in their lists."""
    file = module.__name__.rpartition("test_")[-1]
    for name, function in vars(module).items():
        if name.startswith("test_"):
            known = DIFFERENCES[file].get(name)
            ours = function if known is None or known.fails else not_run(known.reason)
            ours.pytestmark = [
                IMPUTERS if mark.args[:1] == ("imputer",) else mark
                for mark in getattr(ours, "pytestmark", [])
            ]
            globals()[f"{name}__{file}"] = ours


def not_run(reason: str) -> Callable:
    @pytest.mark.skip(reason=reason)
    def skipped() -> None:
        """Stands for a test that says nothing of ours."""

    return skipped


DIFFERENCES = {file: read_differences(f"test_{file}.py") for file in ("common", "iforest", "lof")}
of_imputers = fresh("sklearn.impute.tests.test_common")
of_forests = fresh("sklearn.ensemble.tests.test_iforest")
of_forests.IsolationForest = detector  # type: ignore[attr-defined]
of_neighbours = fresh("sklearn.neighbors.tests.test_lof")
of_neighbours.neighbors = SimpleNamespace(LocalOutlierFactor=detector)  # type: ignore[attr-defined]
for module in (of_imputers, of_forests, of_neighbours):
    collect(module)


@pytest.fixture(autouse=True)
def difference(request: pytest.FixtureRequest) -> None:
    """Expect a test of scikit-learn to fail where the document says so."""
    test, _, rest = request.node.name.partition("__")
    file, bracket, parameters = rest.partition("[")
    known = DIFFERENCES.get(file, {})
    found = known.get(test + bracket + parameters) or known.get(test)
    if found:
        request.applymarker(pytest.mark.xfail(reason=found.reason, strict=True))


@pytest.fixture
def global_random_seed() -> int:
    return 42


@pytest.fixture(params=[np.float64, np.float32])
def global_dtype(request: pytest.FixtureRequest) -> type:
    return request.param


def test_every_test_that_the_document_names_is_there():
    ours = {name for name in globals() if "__" in name}
    for file, known in DIFFERENCES.items():
        assert {f"{test.partition('[')[0]}__{file}" for test in known} <= ours


# ---- what those tests cannot say of ours


def test_single_and_double_precision_give_the_same_scores_in_double_precision():
    X = np.vstack([load_iris().data[:50], load_iris().data[-5:]]).astype(np.float32)
    for contamination in (0.1, "auto"):
        single = detector(contamination=contamination, random_state=0).fit(X)
        double = detector(contamination=contamination, random_state=0).fit(X.astype(np.float64))
        for method in ("score_samples", "decision_function", "predict"):
            one, other = getattr(single, method)(X), getattr(double, method)(X.astype(np.float64))
            np.testing.assert_allclose(one, other, atol=2e-4)
            assert one.dtype == other.dtype
        assert single.score_samples(X).dtype == np.float64


X_HOLES = np.array(
    [
        [np.nan, 1.0, 5.0, 3.0, np.nan, 1.0],
        [2.0, np.nan, 1.0, 4.0, np.nan, 2.0],
        [6.0, 3.0, 7.0, np.nan, np.nan, 3.0],
        [1.0, 2.0, 9.0, 8.0, np.nan, 4.0],
    ]
)


@pytest.mark.parametrize("marker", [np.nan, -1])
def test_the_indicator_is_that_of_scikit_learns_imputers(marker):
    X = np.where(np.isnan(X_HOLES), marker, X_HOLES)
    options = {"add_indicator": True, "missing_values": marker}
    theirs, ours = SimpleImputer(**options).fit(X), imputer(**options).fit(X)
    mine, other = ours.indicator_, theirs.indicator_
    assert type(mine) is MissingIndicator and mine.get_params() == other.get_params()
    np.testing.assert_array_equal(mine.features_, other.features_)
    np.testing.assert_array_equal(mine.features_, ours.missing_features_)
    assert mine.n_features_in_ == other.n_features_in_ == 6
    new = np.random.default_rng(0).random((5, 6)) < 0.5
    np.testing.assert_array_equal(mine.transform(new), other.transform(new))
    names = [f"x{j}" for j in range(6)]
    added = mine.get_feature_names_out(names)
    np.testing.assert_array_equal(added, other.get_feature_names_out(names))
    np.testing.assert_array_equal(added, ours.get_feature_names_out()[-len(added) :])
    with pytest.raises(ValueError, match="not a mask"):
        mine.transform(X)


def test_there_is_an_indicator_where_one_is_added_and_never_before_fit(tmp_path):
    X = X_HOLES[:, :4]
    assert not hasattr(imputer(), "indicator_") and not hasattr(
        imputer(add_indicator=True), "indicator_"
    )
    assert imputer().fit(X).indicator_ is None
    complete = imputer(add_indicator=True).fit(X_HOLES[:, [5, 5]] + np.arange(2))
    assert complete.indicator_.features_.tolist() == []
    fitted = imputer(add_indicator=True, missing_values=[-1, "?"]).fit(X)
    assert fitted.indicator_.features_.tolist() == [0, 1, 3]
    maetab.save(fitted, tmp_path / "model")
    assert maetab.load(tmp_path / "model").indicator_.features_.tolist() == [0, 1, 3]
    again = MAEImputer.from_fitted(detector().fit(X), add_indicator=True)
    assert again.indicator_.features_.tolist() == [0, 1, 3]
