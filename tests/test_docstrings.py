"""What the docstrings of the estimators say of their parameters."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, fields

import pytest

from maetab import MAEAnomalyDetector, MAEEncoder, MAEImputer
from maetab.base import BaseMAE

ESTIMATORS = [MAEImputer, MAEEncoder, MAEAnomalyDetector, BaseMAE]


def entries(text: str) -> dict[str, str]:
    """Names of the section Parameters, and the lines that they stand in."""
    section = text.split("Parameters\n----------\n")[1].split("\n\n")[0]
    lines = re.findall(r"^(\w[\w, ]*) : (.*)$", section, re.MULTILINE)
    return {name: what for names, what in lines for name in names.split(", ")}


@pytest.mark.parametrize("kind", ESTIMATORS, ids=lambda kind: kind.__name__)
def test_each_parameter_says_its_default(kind):
    told = entries(inspect.getdoc(kind))
    assert set(told) == {field.name for field in fields(kind)}
    for field in fields(kind):
        assert told[field.name].endswith(f", default={field.default!r}"), field.name


def test_attributes_have_no_default():
    section = inspect.getdoc(MAEImputer).split("Attributes\n----------\n")[1]
    assert "history_ : list of dict" in section and "default=" not in section


def test_a_subclass_says_its_own_defaults():
    @dataclass(kw_only=True, eq=False, repr=False)
    class Louder(MAEImputer):
        """Fills loudly.

        Parameters
        ----------
        width : int
            Of it.
        volume : int
            At most 11.
        told : bool, default=True
            As it stands here.

        Notes
        -----
        volume : nothing is said here
        """

        width: int = 16
        volume: int = 11
        told: bool = False

    text = inspect.getdoc(Louder)
    assert entries(text) == {
        "width": "int, default=16",
        "volume": "int, default=11",
        "told": "bool, default=True",
    }
    assert text.endswith("volume : nothing is said here")


def test_a_subclass_without_a_docstring_is_left_without_one():
    class Plain(MAEImputer):
        pass

    assert Plain.__doc__ is None
