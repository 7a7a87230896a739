"""Names of columns: those of what a column is encoded as, and names made distinct."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import count

from maetab.data.columns import Column


def piece_names(name: str, column: Column, steps: Sequence[int]) -> list[str]:
    """Return the names of what one column is encoded as, in the order of `Pieces`.

    Parameters
    ----------
    name : of the column, as text
    column : as it was in fit
    steps : numbers of steps of a number, finest first; () for a category

    Examples
    --------
    >>> piece_names("age", Column("age", "number", "int64"), [2, 1])
    ['age', 'age_step1of2', 'age_step2of2', 'age_step1of1']
    >>> sex = Column("sex", "category", "str", levels=("f", "m", "x"), counts=(9, 8, 1))
    >>> piece_names("sex", sex, [])
    ['sex=f', 'sex=m']
    """
    if column.kind == "number":
        return [name, *(f"{name}_step{i + 1}of{n}" for n in steps for i in range(n))]
    levels = [str(level) for level in column.levels[: column.n_modelled]]
    return [f"{name}={level}" for level in levels or ["none"]]  # no level in an empty column


def step_names(names: Sequence[str], columns: Sequence[Column], n_steps: int) -> list[str]:
    """Return the names of the numbers and levels of all steps of a window, step by step.

    Examples
    --------
    >>> step_names(["age"], [Column("age", "number", "int64")], 2)
    ['age[0]', 'age[1]']
    """
    steps = ((step, *own) for step in range(n_steps) for own in zip(names, columns, strict=True))
    return [x for step, name, column in steps for x in piece_names(f"{name}[{step}]", column, ())]


def distinct_names(names: Iterable[str], mark: str = "_", first: int = 2) -> list[str]:
    """Return the names, those that came before numbered from `first`, behind `mark`.

    A number that makes a name of the list is passed over.

    Examples
    --------
    >>> distinct_names(["a", "a", "a_2", "b", "a"])
    ['a', 'a_3', 'a_2', 'b', 'a_4']
    """
    names = list(names)
    used, numbers, out = set(names), dict[str, Iterator[int]](), []
    for name in names:
        new = name
        if name in numbers:
            new = next(one for i in numbers[name] if (one := f"{name}{mark}{i}") not in used)
        numbers.setdefault(name, count(first))
        used.add(new)
        out.append(new)
    return out
