"""The mean of similar windows, against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from maetab.nn.guess.similar import FALL, N_NEAREST, similar


def drawn(seed: int, b: int = 5, m: int = 30, t: int = 6, c: int = 3):
    rng = np.random.default_rng(seed)
    values, remembered = rng.normal(size=(b, t, c)), rng.normal(size=(m, t, c))
    return values, rng.random((b, t, c)) < 0.6, remembered, rng.random((b, m)) < 0.2


def by_hand(values, visible, remembered, barred, number):
    """Return the mean of the nearest, each column moved by the mean difference, shrunk by one."""
    out = np.zeros_like(values)
    for i, (own, seen) in enumerate(zip(values, visible, strict=True)):
        found = []
        for m in np.flatnonzero(~barred[i]):
            moved = remembered[m].copy()
            for j in range(values.shape[2]):
                gap = own[seen[:, j], j] - moved[seen[:, j], j]
                moved[:, j] += number[j] * gap.sum() / (seen[:, j].sum() + 1)
            far = np.mean((own - moved)[seen] ** 2) if seen.any() else 0.0
            found.append((max(far, 1e-9), m, moved))
        found = sorted(found, key=lambda one: one[:2])[:N_NEAREST]
        far = np.array([one[0] for one in found])
        weight = np.exp(-FALL * far / far[-1])
        out[i] = sum(w * one[2] for w, one in zip(weight / weight.sum(), found, strict=True))
    return out


@pytest.mark.parametrize("number", [[1, 1, 1], [1, 0, 0]])
@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_mean_of_the_nearest_moved_to_the_level_of_each_column(seed, number):
    given = drawn(seed)
    wanted = by_hand(*given, number)
    values, visible, remembered, barred = map(torch.tensor, given)
    found = similar(values, visible, remembered, barred, torch.tensor(number).double())
    np.testing.assert_allclose(found, wanted, atol=1e-9)


def test_a_course_that_comes_back_at_another_level_is_found():
    values, visible, remembered, barred = map(torch.tensor, drawn(7, m=40))
    remembered[:N_NEAREST] = values[0] + 1 + 0.01 * remembered[:N_NEAREST]
    visible[0], barred[:] = torch.arange(6)[:, None] < 4, False
    found = similar(values, visible, remembered, barred, torch.ones(3).double())
    # Four cells of a column move it by four fifths of the difference.
    np.testing.assert_allclose(found[0], values[0] + 1 / 5, atol=0.03)


def test_hidden_cells_and_barred_windows_are_never_read():
    values, visible, remembered, barred = map(torch.tensor, drawn(3))
    one = torch.ones(3).double()
    clean = similar(values, visible, remembered, barred, one)
    assert torch.equal(
        clean, similar(torch.where(visible, values, torch.nan), visible, remembered, barred, one)
    )
    barred[:, 4] = True
    clean = similar(values, visible, remembered, barred, one)
    remembered[4] = 1e3
    torch.testing.assert_close(similar(values, visible, remembered, barred, one), clean)


def test_a_window_that_may_read_none_or_shows_nothing_has_finite_guesses():
    values, visible, remembered, barred = map(torch.tensor, drawn(3))
    visible[0], barred[1] = False, True
    assert similar(values, visible, remembered, barred, torch.ones(3).double()).isfinite().all()


def test_nothing_is_as_large_as_pairs_of_windows_times_columns():
    b, m, t, c = 20, 300, 2, 50
    sizes = []

    class Sizes(TorchDispatchMode):
        def __torch_dispatch__(self, op, types, args=(), kwargs=None):
            out = op(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor):
                sizes.append(out.numel())
            return out

    given = map(torch.tensor, drawn(0, b=b, m=m, t=t, c=c))
    with Sizes():
        similar(*given, torch.ones(c).double())
    assert max(sizes) <= max(m * t * c, b * N_NEAREST * t * c, b * m)
