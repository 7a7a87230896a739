"""Two threads on shared cores wait for each other far longer than one works alone."""

from __future__ import annotations

import pytest
import torch

torch.set_num_threads(1)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "thread_unsafe: stands in scikit-learn's tests")
