"""A model without cost for the tests of the command line."""

from __future__ import annotations

import pytest
from command_line import MedianOrMode

from maetab.cli import estimators


@pytest.fixture
def stub(monkeypatch):
    """The models that the command line fits, each in place of a real one."""
    made = []

    def make(args, name, **parameters):
        made.append(MedianOrMode())
        return made[-1]

    monkeypatch.setattr(estimators, "new_estimator", make)
    return made
