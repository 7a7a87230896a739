"""Batches on several threads of the CPU: the same results, in order, whatever their number."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
import torch
from models import QUICK

from maetab import MAEAnomalyDetector, MAEEncoder, MAEImputer
from maetab.engine.inference import each_batch, windows_of

CPU = torch.device("cpu")


@contextmanager
def threads(n: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def table(n: int = 700) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    cells = rng.normal(size=(n, 2)) @ rng.normal(size=(2, 4)) + 0.3 * rng.normal(size=(n, 4))
    frame = pd.DataFrame(cells, columns=list("abcd"))
    return frame.assign(e=np.where(frame["a"] > 0, "x", "y")).mask(rng.random((n, 5)) < 0.15)


def windows(n: int):
    values = np.arange(n, dtype=np.float32)[:, None]
    return windows_of(values, np.ones((n, 1), bool), np.arange(n)[:, None])


SMALL = {"guess": QUICK, "width": 8, "max_iter": 1, "random_state": 0}
USES = {
    "transform": (lambda: MAEImputer(**SMALL), lambda x, X: x.transform(X).select_dtypes("number")),
    "intervals": (lambda: MAEImputer(**SMALL), lambda x, X: x.predict_interval(X)[0]["a"]),
    "draws": (lambda: MAEImputer(**SMALL), lambda x, X: x.sample(X, 1, random_state=0)[0]["a"]),
    "features": (lambda: MAEEncoder(**SMALL), lambda x, X: x.transform(X)),
    "scores": (lambda: MAEAnomalyDetector(n_masks=2, **SMALL), lambda x, X: x.score_samples(X)),
}


@pytest.mark.parametrize("name", USES)
def test_results_are_bit_for_bit_those_of_one_thread(name):
    make, use = USES[name]
    fitted, X = make().fit(table(80)), table()
    one = np.asarray(use(fitted, X))
    for n in (2, 5):
        with threads(n):
            np.testing.assert_array_equal(np.asarray(use(fitted, X)), one)
            np.testing.assert_array_equal(np.asarray(use(fitted, X[:1])), one[:1])
            assert torch.get_num_threads() == n


def test_batches_come_in_order_and_each_is_worked_on_by_one_thread():
    seen, gate = set(), threading.Barrier(3, timeout=60)

    def work(found, values, visible):
        if found.start < 24:
            gate.wait()  # only if three are worked on at once does this end
        seen.add((threading.get_ident(), torch.get_num_threads()))
        return values.sum(), torch.is_inference_mode_enabled()

    with threads(3):
        results = list(each_batch(work, windows(100), CPU, 8))
        assert torch.get_num_threads() == 3
    starts = [found.start for found, _ in results]
    assert starts == list(range(0, 100, 8))
    sums = [sum(range(i, min(i + 8, 100))) for i in starts]
    assert [float(total) for _, (total, _) in results] == sums
    assert all(inside for _, (_, inside) in results)
    assert {n for _, n in seen} == {1} and threading.get_ident() not in {i for i, _ in seen}


def test_what_goes_wrong_in_a_thread_is_raised_and_threads_are_as_before():
    def work(found, values, visible):
        if found.start == 16:
            raise ZeroDivisionError
        return values

    with threads(2):
        with pytest.raises(ZeroDivisionError):
            list(each_batch(work, windows(100), CPU, 8))
        assert torch.get_num_threads() == 2


def test_one_thread_works_on_batches_itself():
    seen = []

    def work(found, values, visible):
        seen.append(threading.get_ident())

    with threads(1):
        assert len(list(each_batch(work, windows(20), CPU, 8))) == 3
    assert set(seen) == {threading.get_ident()}
