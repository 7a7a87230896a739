"""Two threads on shared cores wait for each other far longer than one works alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from command_line import MedianOrMode
from model_files import table, tiny

from maetab import MAEImputer, save
from maetab.cli import estimators

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def closed_figures() -> Iterator[None]:
    """Pictures are closed after each test that drew any."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture
def stub(monkeypatch):
    """The models that the command line fits, each in place of a real one."""
    made = []

    def make(args, name, **parameters):
        made.append(MedianOrMode())
        return made[-1]

    monkeypatch.setattr(estimators, "new_estimator", make)
    return made


@pytest.fixture(scope="session")
def fitted() -> MAEImputer:
    return tiny().fit(table())


@pytest.fixture
def path(tmp_path: Path, fitted: MAEImputer) -> Path:
    save(fitted, tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"
