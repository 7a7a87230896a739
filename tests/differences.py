"""Where maetab differs from scikit-learn's tests: the tables of docs/scikit_learn_contract.rst."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "scikit_learn_contract.rst"


class Difference(NamedTuple):
    fails: bool  # else it is not run
    reason: str


def read_differences(section: str) -> dict[str, Difference]:
    """Return what the table under a heading says of each test, named with or without parameters."""
    text = DOCUMENT.read_text(encoding="utf-8")
    sections = re.split(r"\n\n(?=.+\n-+\n)", text)
    (body,) = [part for part in sections if section in part.partition("\n")[0]]
    found: dict[str, Difference] = {}
    for row in body.split("\n   * - ")[2:]:  # behind the header
        tests, here, difference, reason = row.strip().split("\n     - ")
        if not here.startswith(("fails", "not run")):
            raise ValueError(f"{tests} must fail or not be run, got {here!r}")
        for name in re.findall(r"``([^`]+)``", tests):
            assert name not in found, name
            found[name] = Difference(here.startswith("fails"), f"{difference} {reason}")
    return found
