"""Two threads on shared cores wait for each other far longer than one works alone."""

from __future__ import annotations

import pytest
import torch
from command_line import MedianOrMode

from maetab import cli

torch.set_num_threads(1)


@pytest.fixture
def stub(monkeypatch):
    """The models that the command line fits, each in place of a real one."""
    made = []

    def make(args, name, **parameters):
        made.append(MedianOrMode())
        return made[-1]

    monkeypatch.setattr(cli, "_estimator", make)
    return made
