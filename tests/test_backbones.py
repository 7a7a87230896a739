from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import scaled_dot_product_attention

from maetab.nn.backbones import BACKBONES, Transformer, _attend, make_backbone, pack, unpack


def a_backbone(name: str, length: int = 7) -> torch.nn.Module:
    torch.manual_seed(0)
    return make_backbone(name, length=length, width=8, n_heads=2, n_layers=2, dropout=0.0)


def some_tokens(n: int = 6, length: int = 7) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    visible = torch.rand(n, length, generator=generator) < 0.6
    visible[:, 0] = True  # as the row's own token is
    return torch.randn(n, length, 8, generator=generator), visible


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


def test_packed_and_unpacked_transformer_agree():
    transformer, (tokens, visible) = a_backbone("transformer"), some_tokens()
    packed = transformer.train()(tokens, visible)
    plain = transformer.eval()(tokens, visible)
    torch.testing.assert_close(packed, plain, atol=1e-5, rtol=1e-5)


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


def test_a_transformer_block_is_that_of_torch():
    transformer = Transformer(8, 2, 1, 0.0).eval()
    block, (tokens, visible) = transformer.blocks[0], some_tokens()
    reference = torch.nn.TransformerEncoderLayer(
        8, 2, dim_feedforward=16, dropout=0.0, norm_first=True, batch_first=True
    ).eval()
    reference.self_attn.in_proj_weight.data = block.qkv.weight.data
    reference.self_attn.in_proj_bias.data = block.qkv.bias.data
    reference.self_attn.out_proj.load_state_dict(block.out.state_dict())
    for mine, theirs in (("up", "linear1"), ("down", "linear2")):
        getattr(reference, theirs).load_state_dict(getattr(block, mine).state_dict())
    with torch.no_grad():
        wanted = reference(tokens, src_key_padding_mask=~visible) * visible[..., None]
        torch.testing.assert_close(transformer(tokens, visible), wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", BACKBONES)
def test_what_is_not_visible_is_never_read_and_comes_out_as_zero(name, training):
    backbone, (tokens, visible) = a_backbone(name).train(training), some_tokens()
    said = backbone(tokens, visible)
    spoiled = backbone(torch.where(visible[..., None], tokens, 1e6), visible)
    assert torch.equal(said, spoiled)
    assert (said[~visible] == 0).all()


@pytest.mark.parametrize("name", BACKBONES)
def test_everything_visible_is_the_same_as_no_visibility(name):
    backbone, (tokens, visible) = a_backbone(name).eval(), some_tokens()
    everything = backbone(tokens, torch.ones_like(visible))
    torch.testing.assert_close(everything, backbone(tokens, None), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("name", BACKBONES)
def test_every_visible_token_is_read_and_every_parameter_learns(name):
    backbone, (tokens, _) = a_backbone(name), some_tokens()
    tokens.requires_grad_()
    backbone(tokens, None)[:, 0].square().sum().backward()
    assert (tokens.grad.abs().sum(-1) > 0).all()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in backbone.parameters())


def test_transformer_works_for_rows_of_any_length():
    transformer = a_backbone("transformer").eval()
    for length in (1, 3, 20):
        tokens, visible = some_tokens(length=length)
        assert transformer(tokens, visible).shape == tokens.shape


def test_dropout_drops_only_while_training():
    transformer, (tokens, visible) = Transformer(8, 2, 1, 0.5), some_tokens()
    first, second = transformer.train()(tokens, visible), transformer(tokens, visible)
    assert not torch.equal(first, second)
    transformer.eval()
    assert torch.equal(transformer(tokens, visible), transformer(tokens, visible))
