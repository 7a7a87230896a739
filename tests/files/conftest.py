"""A fitted model and its file, for the tests of model files."""

from __future__ import annotations

from pathlib import Path

import pytest
from model_files import table, tiny

from maetab import MAEImputer, save


@pytest.fixture(scope="session")
def fitted() -> MAEImputer:
    return tiny().fit(table())


@pytest.fixture
def path(tmp_path: Path, fitted: MAEImputer) -> Path:
    save(fitted, tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"
