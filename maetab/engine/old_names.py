"""What models of maetab 0.1.0 call their parts, and what these are called now.

Files (files/models.py) and pickles are read through these tables, so that old models open. A part
that is renamed gets a line here; a new name must not look like an old one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

T = TypeVar("T")
Renamed = Mapping[str, str | None]

# Pattern at the start of a tensor's name, and what stands there now; None where it is gone.
TENSORS: Sequence[tuple[str, str | None]] = ()
# Keys of the config and fitted attributes of the estimators; None where they are gone.
CONFIG: Renamed = {}
ATTRIBUTES: Renamed = {}


def present_tensors(
    tensors: Mapping[str, T], table: Sequence[tuple[str, str | None]] = TENSORS
) -> dict[str, T]:
    r"""Return tensors by their present names, without those that are gone.

    Examples
    --------
    >>> present_tensors({"prior.stack": 1, "head": 2}, [(r"prior\.", "guess.")])
    {'guess.stack': 1, 'head': 2}
    """
    names = {old: _present_name(old, table) for old in tensors}
    return {name: tensors[old] for old, name in names.items() if name is not None}


def present_config(config: Mapping[str, Any], table: Renamed = CONFIG) -> dict[str, Any]:
    """Return the fields of a config by their present names, without those that are gone."""
    named = {table.get(key, key): value for key, value in config.items()}
    return {key: value for key, value in named.items() if key is not None}


def present_attributes(attributes: Mapping[str, T], table: Renamed = ATTRIBUTES) -> dict[str, T]:
    """Return fitted attributes by their present names, without those that are gone."""
    return present_config(attributes, table)


def _present_name(name: str, table: Sequence[tuple[str, str | None]]) -> str | None:
    for pattern, present in table:
        if re.match(pattern, name):
            return None if present is None else re.sub(pattern, present, name, count=1)
    return name
