"""Interpolation along time, against pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from maetab.nn.guess.interpolation import Interpolated, interpolate


def by_pandas(values: np.ndarray, visible: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Cells (T,) of one column from the others: linear in time, the nearest beyond both ends."""
    out = np.zeros(len(values))
    for i in range(len(values)):
        others = pd.Series(np.where(visible, values, np.nan), index=position)
        others.iloc[i] = np.nan  # a cell does not read itself
        filled = others.interpolate("index", limit_direction="both")
        out[i] = 0.0 if others.isna().all() else filled.iloc[i]
    return out


def columns(n: int = 8, t: int = 12, seed: int = 0):
    """Values, visible (n, T, 3) and irregular positions (n, T)."""
    rng = np.random.default_rng(seed)
    values, visible = rng.normal(size=(n, t, 3)), rng.random((n, t, 3)) < 0.5
    position = 100 + rng.uniform(0.1, 5, (n, t)).cumsum(1)
    return values, visible, position


def found(values, visible, position) -> Interpolated:
    return interpolate(torch.tensor(values), torch.tensor(visible), torch.tensor(position))


@given(seed=st.integers(0, 10_000), share=st.floats(0, 1), t=st.integers(1, 9))
@settings(max_examples=40, deadline=None)
def test_it_is_what_pandas_interpolates_from_the_other_cells(seed, share, t):
    rng = np.random.default_rng(seed)
    values, _, position = columns(2, t, seed)
    visible = rng.random(values.shape) < share
    mean = found(values, visible, position).mean
    for b, j in np.ndindex(2, 3):
        wanted = by_pandas(values[b, :, j], visible[b, :, j], position[b])
        np.testing.assert_allclose(mean[b, :, j], wanted, atol=1e-9)


def test_times_and_steps_to_the_neighbours_are_those_found_by_looking():
    values, visible, position = columns(seed=3)
    got = found(values, visible, position)
    for b, i, j in np.ndindex(*values.shape):
        before = [k for k in range(i) if visible[b, k, j]]
        after = [k for k in range(i + 1, values.shape[1]) if visible[b, k, j]]
        since = position[b, i] - position[b, before[-1]] if before else np.inf
        until = position[b, after[0]] - position[b, i] if after else np.inf
        step = values[b, after[0], j] - values[b, before[-1], j] if before and after else 0.0
        assert float(got.since[b, i, j]) == pytest.approx(since)
        assert float(got.until[b, i, j]) == pytest.approx(until)
        assert float(got.step[b, i, j]) == pytest.approx(step)


@pytest.mark.parametrize("poison", [1e9, np.nan, np.inf])
def test_what_is_not_visible_is_never_read(poison):
    values, visible, position = columns(seed=4)
    clean = found(values, visible, position)
    spoiled = found(np.where(visible, values, poison), visible, position)
    for mine, theirs in zip(clean, spoiled, strict=True):
        assert torch.equal(mine, theirs)


def test_a_cell_does_not_read_itself():
    values, visible, position = columns(seed=5)
    mean = found(values, visible, position).mean
    for i in range(values.shape[1]):
        changed = values.copy()
        changed[:, i] += 100
        assert torch.equal(found(changed, visible, position).mean[:, i], mean[:, i])


def test_a_column_of_which_nothing_is_visible_is_0_and_infinitely_far():
    values, visible, position = columns()
    visible[:, :, 1] = False
    got = found(values, visible, position)
    assert (got.mean[..., 1] == 0).all() and (got.step[..., 1] == 0).all()
    assert got.since[..., 1].isinf().all() and got.until[..., 1].isinf().all()
