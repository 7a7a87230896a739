"""A fit that is broken off leaves the whole old model, or none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from models import QUICK
from sklearn.exceptions import NotFittedError

import maetab.base
import maetab.detector
import maetab.encoder
import maetab.engine.row_scores
import maetab.engine.score_calibration
import maetab.imputer
import maetab.nn.guess.stack
from maetab import MAEAnomalyDetector, MAEEncoder, MAEImputer
from maetab.base import BaseMAE
from maetab.nn.guess.gaussian import Gaussian
from maetab.nn.network import Network
from maetab.nn.tokens import Tokens

ESTIMATORS = {
    "imputer": lambda: MAEImputer(guess=QUICK, max_iter=1, width=8, random_state=0),
    "encoder": lambda: MAEEncoder(guess=QUICK, max_iter=1, width=8, n_components=4, random_state=0),
    "detector": lambda: MAEAnomalyDetector(guess=QUICK, n_masks=2, random_state=0),
    "trimming detector": lambda: MAEAnomalyDetector(
        guess=QUICK, trim=0.2, n_masks=2, max_iter=1, width=8, random_state=0
    ),
}
SHARED = [
    (maetab.base, "read_frame"),
    (maetab.base, "validate_data"),
    (maetab.base, "FrameSource"),
    (maetab.base, "fit_model"),
    (maetab.base, "advise"),
    (Gaussian, "fit"),
    (maetab.nn.guess.stack, "tune"),
    (maetab.nn.guess.stack, "fit_weights"),
]
NETWORKS = [(Tokens, "fit"), (Network, "_encode")]
STAGES = {
    "imputer": [*SHARED, *NETWORKS, (maetab.imputer, "check_range")],
    "encoder": [
        *SHARED,
        *NETWORKS,
        (MAEEncoder, "_fit_components"),
        (maetab.encoder, "remembered"),
        (maetab.components, "principal_axes"),
    ],
    "detector": [
        *SHARED,
        (MAEAnomalyDetector, "_calibrate"),
        (maetab.engine.row_scores, "surprises"),
        (maetab.engine.row_scores, "distances"),
        (MAEAnomalyDetector, "set_threshold"),
    ],
    "trimming detector": [
        *SHARED,
        *NETWORKS,
        (maetab.detector, "kept_rows"),
        (maetab.engine.score_calibration, "robust_gaussian"),
        (MAEAnomalyDetector, "_calibrate"),
        (maetab.engine.row_scores, "distances"),
    ],
}
CASES = [
    pytest.param(name, where, what, id=f"{name}-{what}")
    for name, stages in STAGES.items()
    for where, what in stages
]


def line(n: int, down: bool = False) -> pd.DataFrame:
    x = np.random.default_rng(n).normal(size=n)
    frame = pd.DataFrame({"x": x, "y": 50 - x if down else x, "z": np.where(x > 0, "a", "b")})
    return frame.mask(np.random.default_rng(0).random(frame.shape) < 0.1)


def other_table() -> pd.DataFrame:
    """A table with other names, levels and columns than `line`, so that a mix of both shows."""
    new = line(60, down=True).rename(columns={"x": "u", "z": "w"})
    return new.assign(v=range(60), more=list("cd") * 30)


def answer(estimator: BaseMAE, X: pd.DataFrame) -> np.ndarray | pd.DataFrame:
    detects = isinstance(estimator, MAEAnomalyDetector)
    return estimator.score_samples(X) if detects else estimator.transform(X)


def breaking(error: type[BaseException]):
    def broken(*_: object, **__: object) -> None:
        raise error("broken off")

    return broken


@pytest.fixture(scope="module")
def fitted() -> dict[str, BaseMAE]:
    return {name: make().fit(line(40)) for name, make in ESTIMATORS.items()}


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt, pytest.param(MemoryError, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize(("name", "where", "what"), CASES)
def test_a_second_fit_that_breaks_off_leaves_the_first(
    name, where, what, error, fitted, monkeypatch
):
    estimator = fitted[name]
    before, parameters = answer(estimator, line(40)), estimator.get_params()
    with monkeypatch.context() as patch:
        patch.setattr(where, what, breaking(error))
        with pytest.raises(error, match="broken off"):
            estimator.fit(other_table())
    assert estimator.get_params() == parameters
    after = answer(estimator, line(40))
    pd.testing.assert_frame_equal(pd.DataFrame(before), pd.DataFrame(after), check_exact=True)
    assert estimator.n_features_in_ == 3 and list(estimator.feature_names_in_) == list("xyz")


@pytest.mark.parametrize(("name", "where", "what"), CASES)
def test_a_first_fit_that_breaks_off_leaves_nothing(name, where, what, monkeypatch):
    estimator = ESTIMATORS[name]()
    with monkeypatch.context() as patch:
        patch.setattr(where, what, breaking(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            estimator.fit(line(40))
    assert vars(estimator) == estimator.get_params()
    with pytest.raises(NotFittedError):
        answer(estimator, line(40))


@pytest.mark.parametrize("name", ["imputer", "encoder"])
def test_fit_transform_that_breaks_off_leaves_the_first_model(name, fitted, monkeypatch):
    estimator = fitted[name]
    before = estimator.transform(line(40))
    with monkeypatch.context() as patch:
        patch.setattr(maetab.base, "fit_model", breaking(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            estimator.fit_transform(other_table())
    pd.testing.assert_frame_equal(estimator.transform(line(40)), before, check_exact=True)


def test_a_threshold_that_cannot_be_set_leaves_the_old_one(fitted):
    detector = fitted["detector"]
    before = detector.offset_
    with pytest.raises(ValueError, match="contamination"):
        detector.set_threshold(0.7)
    assert detector.offset_ == before


def test_a_second_fit_does_not_touch_what_was_taken_from_the_first(fitted):
    imputer = ESTIMATORS["imputer"]().fit(line(40))
    encoder = MAEEncoder.from_fitted(imputer, n_components=2)
    before = encoder.transform(line(40))
    imputer.fit(other_table())
    pd.testing.assert_frame_equal(encoder.transform(line(40)), before, check_exact=True)
