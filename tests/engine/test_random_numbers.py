"""Random numbers of rows and of epochs: each row and each epoch has its own."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from maetab.engine.batches import Batches, seed_of
from maetab.engine.row_numbers import uniform


@pytest.mark.parametrize(("n", "n_columns"), [(5, 3), (1, 6)])
def test_no_two_rows_share_numbers(n, n_columns):
    """Neighbours that share some draw alike, though nothing goes together in the data."""
    numbers = uniform(7, np.arange(60), n, n_columns).reshape(60, -1)
    assert len(np.unique(numbers)) == numbers.size
    assert abs(numbers.mean() - 0.5) < 0.05
    np.testing.assert_array_equal(uniform(7, np.array([9]), n, n_columns)[0].ravel(), numbers[9])


def test_batches_that_come_again_do_so_in_another_order_each_epoch():
    batches = object.__new__(Batches)
    batches.n_distinct, batches.per_epoch = 12, 6
    batches.kept, batches.orders = {k: k for k in range(12)}, {}  # type: ignore[dict-item]
    batches.generator = lambda *what: torch.Generator().manual_seed(  # type: ignore[method-assign]
        seed_of(0, *what)
    )
    epochs = [[batches[6 * epoch + i] for i in range(6)] for epoch in range(8)]
    for epoch, seen in enumerate(epochs):
        assert sorted(seen) == [6 * (epoch % 2) + i for i in range(6)]
    assert len({tuple(seen) for seen in epochs[::2]}) == 4
    assert len({tuple(seen) for seen in epochs[1::2]}) == 4
