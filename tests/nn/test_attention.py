from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import scaled_dot_product_attention

from maetab.nn.attention import Block, _attend, pack, unpack


@st.composite
def tokens_and_visible(draw):
    b, length = draw(st.integers(1, 6)), draw(st.integers(1, 9))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 999)))
    share = draw(st.sampled_from([0.0, 0.3, 0.8, 1.0]))
    visible = torch.rand(b, length, generator=generator) < share
    return torch.randn(b, length, 3, generator=generator), visible


@given(tokens_and_visible())
@settings(max_examples=100, deadline=None)
def test_unpack_gives_back_what_pack_took_where_visible(drawn):
    tokens, visible = drawn
    packed, kept, place = pack(tokens, visible)
    wanted = torch.where(visible[..., None], tokens, 0.0)
    assert torch.equal(unpack(packed, kept, place, tokens.shape[1]), wanted)


@given(tokens_and_visible())
@settings(max_examples=100, deadline=None)
def test_packed_rows_are_the_visible_tokens_in_order(drawn):
    tokens, visible = drawn
    packed, kept, _ = pack(tokens, visible)
    assert packed.shape[1] == max(int(visible.sum(1).max()), 1)
    for row, seen, mine, mine_kept in zip(tokens, visible, packed, kept, strict=True):
        assert torch.equal(mine[mine_kept], row[seen])
        assert (mine[~mine_kept] == 0).all()


@pytest.mark.parametrize("with_hidden", [True, False])
def test_attention_is_that_of_torch(with_hidden):
    query, key, value = torch.randn(3, 5, 2, 7, 4).unbind(0)
    visible = (torch.rand(5, 7) < 0.6) if with_hidden else None
    allowed = None
    if visible is not None:
        visible[:, 0] = True
        allowed = visible[:, None, None, :]
    wanted = scaled_dot_product_attention(query, key, value, attn_mask=allowed)
    torch.testing.assert_close(_attend(query, key, value, visible), wanted, atol=1e-5, rtol=1e-5)


def test_attention_stays_finite_for_wild_scores():
    query, key, value = (100 * torch.randn(2, 1, 5, 4) for _ in range(3))
    assert torch.isfinite(_attend(query, key, value, None)).all()


def test_a_block_is_that_of_torch():
    torch.manual_seed(0)
    block = Block(8, 2, 0.0).eval()
    tokens, visible = torch.randn(6, 7, 8), torch.rand(6, 7) < 0.6
    visible[:, 0] = True
    reference = torch.nn.TransformerEncoderLayer(
        8, 2, dim_feedforward=16, dropout=0.0, norm_first=True, batch_first=True
    ).eval()
    reference.self_attn.in_proj_weight.data = block.qkv.weight.data
    reference.self_attn.in_proj_bias.data = block.qkv.bias.data
    reference.self_attn.out_proj.load_state_dict(block.out.state_dict())
    for mine, theirs in (("up", "linear1"), ("down", "linear2")):
        getattr(reference, theirs).load_state_dict(getattr(block, mine).state_dict())
    with torch.no_grad():
        wanted = reference(tokens, src_key_padding_mask=~visible)[visible]
        found = block(tokens, visible)[visible]
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
