"""Two threads on shared cores wait for each other far longer than one works alone."""

from __future__ import annotations

import ipaddress
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import MedianOrMode
from model_files import table, tiny

from maetab import MAEImputer, save
from maetab.cli import estimators

torch.set_num_threads(1)

# Checks of scikit-learn that fit many times, and what some estimators that are checked are told.
LONG_CHECKS = ("class_weight_classifiers", "methods_subset_invariance", "outliers_")
LONG_CHECKS += ("dtype_object", "estimators_dtypes", "pipeline_consistency")
TOLD = ("loss='mse'", "masking='block'", "trim=0.2", "n_components=None")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Count the long checks of scikit-learn, and those of such estimators, among the slow tests."""
    for item in items:
        is_long = any(f"check_{name}" in item.name for name in LONG_CHECKS)
        if is_long or ("-check_" in item.name and any(told in item.name for told in TOLD)):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True, scope="session")
def no_network() -> Iterator[None]:
    """Nothing in a test process connects to another machine; processes of this one may talk."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, only_here(getattr(socket.socket, name)))
        yield


def only_here(connect: Callable[..., Any]) -> Callable[..., Any]:
    """Return `connect` of sockets, which raises for addresses that are not of this machine."""

    def connected(self: socket.socket, address: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            host = str(address[0]).partition("%")[0]
            if host != "localhost" and not _is_loopback(host):
                raise PermissionError(f"tests use no network, and this connects to {address!r}")
        return connect(self, address)

    return connected


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name, which would be asked for elsewhere
        return False


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
