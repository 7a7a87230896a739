"""Two threads on shared cores wait for each other far longer than one works alone."""

from __future__ import annotations

import pytest
import torch

from maetab.nn import guess

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def quick_tuning():
    """Two steps of tuning in each fit of a module, where its quality does not matter."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guess, "N_TUNING", 2)
        yield
