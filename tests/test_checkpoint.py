"""A fit that was stopped goes on where it was, and ends as if nothing had happened."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from models import QUICK

from maetab import MAEAnomalyDetector, MAEEncoder, MAEImputer
from maetab.engine.checkpoint import Checkpoint
from maetab.engine.trainer import Trainer

# On the CPU: sums on CUDA differ in the last bits from one time to the next.
SMALL = {"guess": QUICK, "width": 8, "batch_size": 32, "n_iter_no_change": 99}
SMALL = {**SMALL, "random_state": 0, "device": "cpu"}
RESIZED = {
    **SMALL,
    "guess": replace(QUICK, n_remembered=32, resized=True),
}  # held-out rows say of how many rows
ESTIMATORS = {
    "imputer": lambda **more: MAEImputer(max_iter=6, dropout=0.2, **SMALL, **more),
    "mlp": lambda **more: MAEImputer(max_iter=6, backbone="mlp", **RESIZED, **more),
    "encoder": lambda **more: MAEEncoder(max_iter=6, n_components=3, **SMALL, **more),
    "detector": lambda **more: MAEAnomalyDetector(max_iter=6, n_masks=2, trim=0.1, **SMALL, **more),
    "series": lambda **more: MAEImputer(max_iter=6, window=6, **SMALL, **more),
}


class Killed(BaseException):
    """What stops a fit in these tests."""


def table(n: int = 128) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(n, 2))
    cells = hidden @ rng.normal(size=(2, 4)) + 0.3 * rng.normal(size=(n, 4))
    frame = pd.DataFrame(cells, columns=list("abcd"))
    return frame.assign(e=np.where(frame["a"] > 0, "x", "y")).mask(rng.random((n, 5)) < 0.1)


def stopped_after(monkeypatch: pytest.MonkeyPatch, n_writes: int) -> None:
    """Let the next fit end when it has left something `n_writes` times."""
    left = []

    def write(self, name, state, real=Checkpoint.write):
        real(self, name, state)
        left.append(name)
        if len(left) == n_writes:
            monkeypatch.setattr(Checkpoint, "write", real)
            raise Killed

    monkeypatch.setattr(Checkpoint, "write", write)


def state_of(estimator) -> dict[str, np.ndarray]:
    tensors = {name: x.numpy() for name, x in estimator.model_.state_dict().items()}
    own = {name: x for name, x in vars(estimator).items() if isinstance(x, np.ndarray)}
    return tensors | {name: x for name, x in own.items() if x.dtype != object}


@functools.cache
def undisturbed(kind: str):
    return ESTIMATORS[kind]().fit(table())


@pytest.mark.parametrize("n_writes", [1, pytest.param(2, marks=pytest.mark.slow), 4])
@pytest.mark.parametrize("kind", ESTIMATORS)
def test_a_stopped_fit_ends_at_the_same_model(kind, n_writes, monkeypatch, tmp_path):
    X, make, whole, steps = table(), ESTIMATORS[kind], undisturbed(kind), []
    stopped_after(monkeypatch, n_writes)
    with pytest.raises(Killed):
        make(checkpoint=tmp_path / "work").fit(X)

    def step(self, batch, number, network, real=Trainer.step):
        steps.append(number)
        return real(self, batch, number, network)

    monkeypatch.setattr(Trainer, "step", step)
    again = make(checkpoint=tmp_path / "work").fit(X)
    every = max(1, whole.history_[-1]["step"] // len(whole.history_))
    assert steps[0] == (n_writes - 1) * every and steps[-1] == whole.history_[-1]["step"] - 1
    wanted, got = state_of(whole), state_of(again)
    assert wanted.keys() == got.keys()
    for name, value in wanted.items():
        np.testing.assert_array_equal(got[name], value, err_msg=name)
    without_time = [[record | {"seconds": 0} for record in x.history_] for x in (whole, again)]
    assert without_time[0] == without_time[1]


def test_what_was_left_is_removed_when_the_fit_is_done(monkeypatch, tmp_path):
    (tmp_path / "own.txt").write_text("mine")
    imputer = ESTIMATORS["imputer"](checkpoint=str(tmp_path))
    stopped_after(monkeypatch, 3)
    with pytest.raises(Killed):
        imputer.fit(table())
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"own.txt", "_maetab_fit.json", "guess.maetab.pt", "network.maetab.pt"}
    (tmp_path / ".network.maetab.pt.1234").write_text("half written")
    imputer.fit(table())
    assert [path.name for path in tmp_path.iterdir()] == ["own.txt"]


@pytest.mark.parametrize(
    ("make", "X", "words"),
    [
        (
            lambda to: ESTIMATORS["mlp"](checkpoint=to),
            table(),
            "backbone: 'auto' there, 'mlp' here",
        ),
        (lambda to: ESTIMATORS["encoder"](checkpoint=to), table(), "class: MAEImputer there"),
        (
            lambda to: ESTIMATORS["imputer"](checkpoint=to),
            table().rename(columns={"a": "z"}),
            "schema",
        ),
        (lambda to: ESTIMATORS["imputer"](checkpoint=to), table().iloc[::-1], "data"),
    ],
)
def test_the_work_of_another_fit_is_refused(make, X, words, monkeypatch, tmp_path):
    stopped_after(monkeypatch, 2)
    with pytest.raises(Killed):
        ESTIMATORS["imputer"](checkpoint=tmp_path).fit(table())
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ValueError, match="is of another fit") as error:
        make(tmp_path).fit(X)
    assert words in str(error.value) and str(tmp_path) in str(error.value)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


class Own:
    """A masking of a user's own, which has no text of its own."""

    def __init__(self, ratio):
        self.ratio = ratio

    def __call__(self, observed, generator):
        return observed & (torch.rand(observed.shape, generator=generator) < self.ratio)


def test_a_masking_of_the_users_own_is_told_by_what_it_holds(monkeypatch, tmp_path):
    def make(ratio):
        return ESTIMATORS["imputer"](checkpoint=tmp_path).set_params(masking=Own(ratio))

    stopped_after(monkeypatch, 2)
    with pytest.raises(Killed):
        make(0.3).fit(table())
    with pytest.raises(ValueError, match=r"masking: Own\({'ratio': 0.3}\) there, Own\({'ratio'"):
        make(0.9).fit(table())
    make(0.3).fit(table())


def test_a_shorter_limit_does_not_lose_what_was_trained(monkeypatch, tmp_path):
    stopped_after(monkeypatch, 4)
    with pytest.raises(Killed):
        ESTIMATORS["imputer"](checkpoint=tmp_path).fit(table())
    again = ESTIMATORS["imputer"](checkpoint=tmp_path, max_time=1e-3).fit(table())
    assert len(again.history_) >= 3 and len(again.model_.members)


def test_where_and_how_long_a_fit_runs_may_change(monkeypatch, tmp_path):
    stopped_after(monkeypatch, 2)
    with pytest.raises(Killed):
        ESTIMATORS["imputer"](checkpoint=tmp_path).fit(table())
    elsewhere = ESTIMATORS["imputer"](checkpoint=tmp_path, max_time=600).set_params(device="auto")
    elsewhere.fit(table())


@pytest.mark.parametrize("name", ["guess.maetab.pt", "network.maetab.pt", "_maetab_fit.json"])
def test_broken_files_are_refused_by_name(name, monkeypatch, tmp_path):
    stopped_after(monkeypatch, 2)
    imputer = ESTIMATORS["imputer"](checkpoint=tmp_path)
    with pytest.raises(Killed):
        imputer.fit(table())
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    words = "note cannot be read" if name.endswith("json") else f"{name} cannot be read"
    with pytest.raises(ValueError, match=words):
        imputer.fit(table())


def test_files_of_a_checkpoint_run_no_code(monkeypatch, tmp_path):
    class Bad:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    stopped_after(monkeypatch, 1)
    imputer = ESTIMATORS["imputer"](checkpoint=tmp_path)
    with pytest.raises(Killed):
        imputer.fit(table())
    torch.save(Bad(), tmp_path / "guess.maetab.pt")
    with pytest.raises(ValueError, match=r"guess\.maetab\.pt cannot be read"):
        imputer.fit(table())
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("random_state", [None, np.random.RandomState(0)])
def test_a_checkpoint_needs_a_seed(random_state, tmp_path):
    with pytest.raises(ValueError, match="needs an int as random_state"):
        MAEImputer(checkpoint=tmp_path, random_state=random_state).fit(table())


def test_a_checkpoint_is_a_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="is a file; pass a folder"):
        MAEImputer(checkpoint=tmp_path / "file", random_state=0).fit(table())
    with pytest.raises(ValueError, match="'checkpoint' parameter of MAEImputer must be None or a"):
        MAEImputer(checkpoint=3, random_state=0).fit(table())


KILLED = """
import os, signal, sys
import pandas as pd
from maetab import MAEImputer
real, left = os.replace, []
def replace(*paths):
    left.append(paths)
    if len(left) == 4:  # the note, the first guess, the network: then in the middle of a write
        os.kill(os.getpid(), signal.SIGKILL)
    real(*paths)
os.replace = replace
MAEImputer(max_iter=6, batch_size=32, width=8, random_state=0, n_iter_no_change=99,
           checkpoint=sys.argv[2]).fit(pd.read_csv(sys.argv[1]))
"""


@pytest.mark.slow
def test_a_killed_process_leaves_what_another_goes_on_from(tmp_path):
    X = table()
    X.to_csv(tmp_path / "x.csv", index=False)
    X = pd.read_csv(tmp_path / "x.csv")
    script = [sys.executable, "-c", KILLED, tmp_path / "x.csv", tmp_path / "work"]
    assert subprocess.run(script, capture_output=True, text=True).returncode == -9
    left = {path.name for path in (tmp_path / "work").iterdir()}
    assert len(left) == 4 and sum(name.startswith(".network") for name in left) == 1
    given = {"max_iter": 6, "batch_size": 32, "width": 8, "random_state": 0}
    given["n_iter_no_change"] = 99
    again = MAEImputer(checkpoint=tmp_path / "work", **given).fit(X)
    pd.testing.assert_frame_equal(again.transform(X), MAEImputer(**given).fit(X).transform(X))
    assert not any((tmp_path / "work").iterdir())


def interrupted(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def step(self, batch, at, network, real=Trainer.step):
        if at == number:
            raise KeyboardInterrupt
        return real(self, batch, at, network)

    monkeypatch.setattr(Trainer, "step", step)


def test_an_interrupt_is_raised_where_time_is_not_limited(monkeypatch):
    interrupted(monkeypatch, 5)
    imputer = ESTIMATORS["imputer"]()
    with pytest.raises(KeyboardInterrupt):
        imputer.fit(table())
    assert not hasattr(imputer, "model_")


def test_an_interrupt_ends_the_training_where_a_limit_would(monkeypatch):
    interrupted(monkeypatch, 5)
    imputer = ESTIMATORS["imputer"](max_time=600).fit(table())
    assert imputer.history_ and imputer.history_[-1]["step"] <= 5
    assert not imputer.transform(table()).isna().any(axis=None)


def test_the_note_tells_what_the_fit_is(monkeypatch, tmp_path):
    stopped_after(monkeypatch, 1)
    with pytest.raises(Killed):
        ESTIMATORS["imputer"](checkpoint=tmp_path).fit(table())
    note = json.loads((tmp_path / "_maetab_fit.json").read_text())
    assert note["class"] == "MAEImputer" and note["max_iter"] == "6"
    assert "checkpoint" not in note and len(note["data"]) == 64
