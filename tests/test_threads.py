"""One estimator in several threads, in forked and spawned processes, and in those of joblib."""

from __future__ import annotations

import multiprocessing
import sys
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
import pytest
from joblib import Parallel, delayed
from model_files import table, tiny
from sklearn.base import clone

from maetab import MAEAnomalyDetector, MAEEncoder, MAEImputer

pytestmark = pytest.mark.slow

USES: dict[str, Callable[[Any, pd.DataFrame], Any]] = {
    "transform": lambda imputer, X: imputer.transform(X),
    "predict_interval": lambda imputer, X: pd.concat(imputer.predict_interval(X), axis=1),
    "sample": lambda imputer, X: pd.concat(imputer.sample(X, 3), axis=1),
    "encode": lambda encoder, X: pd.DataFrame(encoder.transform(X)),
    "score_samples": lambda detector, X: pd.DataFrame(detector.score_samples(X)),
    "explain": lambda detector, X: detector.explain(X),
}


def used(use: str, estimator: Any, X: pd.DataFrame) -> pd.DataFrame:
    return USES[use](estimator, X)


def send(pipe: Any, use: str, estimator: Any, X: pd.DataFrame) -> None:
    pipe.send(used(use, estimator, X))


@pytest.fixture(scope="module")
def estimators() -> dict[str, Any]:
    imputer = tiny().fit(table())
    encoder = MAEEncoder.from_fitted(imputer, n_components=3)
    detector = MAEAnomalyDetector(n_masks=2, max_iter=0, random_state=0).fit(table())
    return dict.fromkeys(USES, imputer) | {
        "encode": encoder,
        "score_samples": detector,
        "explain": detector,
    }


@pytest.mark.parametrize("use", USES)
def test_threads_that_share_an_estimator_get_what_one_thread_gets(estimators, use):
    estimator, tables = estimators[use], [table(20 + 7 * i) for i in range(6)]
    alone = [used(use, estimator, X) for X in tables]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # so that threads take turns within a call
    try:
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(lambda X: used(use, estimator, X), tables * 3))
    finally:
        sys.setswitchinterval(before)
    for one, other in zip(alone * 3, together, strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)


@pytest.mark.parametrize("use", ["transform", "encode", "score_samples"])
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_another_process_gets_the_same(estimators, use, method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system has no {method}")
    context, here = multiprocessing.get_context(method), used(use, estimators[use], table())
    ours, theirs = context.Pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks where there are threads
        process = context.Process(target=send, args=(theirs, use, estimators[use], table()))
        process.start()
    theirs.close()
    assert ours.poll(120), "the other process gives no answer"
    pd.testing.assert_frame_equal(ours.recv(), here, check_exact=True)
    process.join()


def fitted_and_used(estimator: Any, X: pd.DataFrame) -> np.ndarray:
    return np.asarray(clone(estimator).fit(X).transform(X))


def test_joblib_fits_and_transforms_as_one_process_does():
    imputers = [MAEImputer(max_iter=0, preset="fast", random_state=seed) for seed in range(2)]
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(40, 3))).rename(columns=str)
    X = X.mask(X > 1)
    work = [delayed(fitted_and_used)(imputer, X) for imputer in imputers]
    found = Parallel(n_jobs=2, backend="loky")(work)
    for imputer, there in zip(imputers, found, strict=True):
        assert np.array_equal(there, fitted_and_used(imputer, X))
