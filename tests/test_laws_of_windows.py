"""Laws 2 and 3 of the house: what is cut or packed comes back; what is hidden was observed."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from models import cut

from maetab.engine.held_out import hold_out
from maetab.engine.inference import merge, windows_of
from maetab.nn.attention import pack, unpack
from maetab.nn.masking import MASKINGS

many = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))

# 2


@given(
    n=st.integers(0, 40),
    window=st.integers(1, 9),
    stride=st.integers(1, 9),
    n_series=st.integers(0, 4),
    seed=st.integers(0, 999),
)
@many
def test_law_2_merge_gives_back_what_cut_took(n, window, stride, n_series, seed):
    rng = np.random.default_rng(seed)
    series = rng.integers(0, n_series, n) if n_series else None
    x = rng.normal(size=(n, 3))
    rows = cut(n, window, min(stride, window), series)
    windows = windows_of(x, np.ones_like(x, dtype=bool), rows)
    inside = windows.rows >= 0
    weight = torch.tensor(rng.uniform(0.1, 9, rows.shape))[torch.as_tensor(inside)]
    found, merged = merge(windows.rows[inside], weight, windows.take(slice(None))[0][inside])
    assert found.tolist() == list(range(n))
    torch.testing.assert_close(merged, windows.values)


@given(
    b=st.integers(1, 6), length=st.integers(1, 9), share=st.floats(0, 1), seed=st.integers(0, 99)
)
@many
def test_law_2_unpack_gives_back_what_pack_took(b, length, share, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(b, length, 4, generator=generator)
    visible = torch.rand(b, length, generator=generator) < share
    back = unpack(*pack(x, visible), length)
    assert torch.equal(back[visible], x[visible]) and (back[~visible] == 0).all()


# 3


@given(
    name=st.sampled_from(sorted(MASKINGS)),
    shape=st.tuples(st.integers(1, 9), st.integers(1, 5), st.integers(1, 7)),
    ratio=st.floats(0, 0.99),
    share=st.floats(0, 1),
    seed=st.integers(0, 999),
)
@many
def test_law_3_hidden_is_a_part_of_observed_and_repeats_with_the_seed(
    name, shape, ratio, share, seed
):
    generator = torch.Generator().manual_seed(seed)
    observed = torch.rand(shape, generator=generator) < share
    drawn = [
        MASKINGS[name](ratio=ratio)(observed, torch.Generator().manual_seed(seed)) for _ in range(2)
    ]
    assert torch.equal(*drawn) and not (drawn[0] & ~observed).any()


@given(
    n=st.integers(1, 30),
    window=st.integers(1, 5),
    stride=st.integers(1, 5),
    n_series=st.integers(0, 3),
    fraction=st.floats(0, 0.99),
    seed=st.integers(0, 999),
)
@many
def test_law_3_a_cell_is_held_out_in_every_window_and_never_the_last_of_a_row_of_a_table(
    n, window, stride, n_series, fraction, seed
):
    rng = np.random.default_rng(seed)
    observed = rng.random((n, 3)) < 0.7
    rows = cut(n, window, min(stride, window), rng.integers(0, n_series, n) if n_series else None)
    windows = windows_of(observed.astype(np.float32), observed, rows)
    table = hold_out(windows, fraction, torch.Generator().manual_seed(seed))
    _, visible, held = (x.numpy() for x in table.cells(torch.arange(len(rows))))
    inside = rows >= 0
    assert (held[inside] == table.held.numpy()[rows[inside]]).all()
    assert (held ^ visible)[inside].tolist() == observed[rows[inside]].tolist()
    assert not (held | visible)[~inside].any()
    assert not (table.held.numpy() & ~observed).any()
    if window == 1:  # gaps of series hide whole steps as well, in windows that share no row
        left = observed & ~table.held.numpy()
        assert (left.any(1) == observed.any(1)).all()
        return
    if table.judged is None:
        assert fraction == 0 and not table.held.any()
        return
    judged = rows[table.judged.numpy()]
    taken = judged[judged >= 0]
    assert len(np.unique(taken)) == len(taken)
    assert not np.delete(table.held.numpy(), taken, axis=0).any()
