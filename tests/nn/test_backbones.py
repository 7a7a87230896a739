from __future__ import annotations

import pytest
import torch

from maetab.nn.backbones import BACKBONES, Shape, Transformer

SHAPE = {"width": 8, "n_heads": 2, "n_layers": 2, "dropout": 0.0}


def a_backbone(name: str, length: int = 7, n_steps: int = 1, **changes) -> torch.nn.Module:
    torch.manual_seed(0)
    return BACKBONES[name](Shape(n_tokens=length, n_steps=n_steps, **(SHAPE | changes)))


def some_tokens(n: int = 6, length: int = 7, n_steps: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens (n, T, L, 8) and which are visible; each step's first is, as the row's own token."""
    generator = torch.Generator().manual_seed(1)
    visible = torch.rand(n, n_steps, length, generator=generator) < 0.6
    visible[..., 0] = True
    return torch.randn(n, n_steps, length, 8, generator=generator), visible


def test_packed_and_unpacked_transformer_agree():
    transformer, (tokens, visible) = a_backbone("transformer"), some_tokens()
    packed = transformer.train()(tokens, visible)
    plain = transformer.eval()(tokens, visible)
    torch.testing.assert_close(packed, plain, atol=1e-5, rtol=1e-5)


def test_a_transformer_of_one_step_is_its_blocks_along_the_columns():
    transformer, (tokens, visible) = a_backbone("transformer").eval(), some_tokens()
    x = tokens[:, 0]
    for block in transformer.blocks:
        x = block(x, visible[:, 0])
    assert torch.equal(transformer(tokens, visible)[:, 0], x * visible[:, 0, :, None])


def test_a_transformer_of_several_steps_attends_to_columns_and_to_steps_in_turn():
    transformer = a_backbone("transformer", n_steps=3).eval()
    tokens, visible = some_tokens(n_steps=3)
    visible[:, 0] = True  # so that every column has a step to read
    x = tokens
    for block, time_block in zip(transformer.blocks, transformer.time_blocks, strict=True):
        x = torch.stack([block(x[:, t], visible[:, t]) for t in range(3)], 1)
        columns = [time_block(x[:, :, j], visible[:, :, j]) for j in range(7)]
        x = torch.stack(columns, 2)
    found = transformer(tokens, visible)
    torch.testing.assert_close(found, x * visible[..., None], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("n_steps", [1, 3])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", BACKBONES)
def test_what_is_not_visible_is_never_read_and_comes_out_as_zero(name, training, n_steps):
    backbone = a_backbone(name, n_steps=n_steps).train(training)
    tokens, visible = some_tokens(n_steps=n_steps)
    visible[0, :, 3] = False  # a column without a visible step
    found = backbone(tokens, visible)
    spoiled = backbone(torch.where(visible[..., None], tokens, 1e6), visible)
    assert torch.equal(found, spoiled)
    assert (found[~visible] == 0).all()


@pytest.mark.parametrize("n_steps", [1, 3])
@pytest.mark.parametrize("name", BACKBONES)
def test_everything_visible_is_the_same_as_no_visibility(name, n_steps):
    backbone = a_backbone(name, n_steps=n_steps).eval()
    tokens, visible = some_tokens(n_steps=n_steps)
    everything = backbone(tokens, torch.ones_like(visible))
    torch.testing.assert_close(everything, backbone(tokens, None), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("n_steps", [1, 3])
@pytest.mark.parametrize("name", BACKBONES)
def test_every_visible_token_is_read_and_every_parameter_learns(name, n_steps):
    backbone, (tokens, _) = a_backbone(name, n_steps=n_steps), some_tokens(n_steps=n_steps)
    tokens.requires_grad_()
    backbone(tokens, None)[:, 0, 0].square().sum().backward()
    assert (tokens.grad.abs().sum(-1) > 0).all()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in backbone.parameters())


@pytest.mark.parametrize("name", BACKBONES)
def test_what_comes_out_at_a_step_depends_on_the_other_steps(name):
    backbone = a_backbone(name, n_steps=3).eval()
    tokens, visible = some_tokens(n_steps=3)
    changed = tokens.clone()
    changed[:, 0] += 1.0
    before, after = backbone(tokens, visible), backbone(changed, visible)
    moved = (before != after)[:, 2].any(-1)
    assert moved.any(1).all() and torch.equal(moved, moved & visible[:, 2])


def test_transformer_works_for_rows_of_any_length():
    transformer = a_backbone("transformer").eval()
    for length in (1, 3, 20):
        tokens, visible = some_tokens(length=length)
        assert transformer(tokens, visible).shape == tokens.shape


def test_a_transformer_of_several_steps_works_for_windows_of_any_length():
    transformer = a_backbone("transformer", n_steps=2).eval()
    for n_steps in (1, 2, 9):
        tokens, visible = some_tokens(n_steps=n_steps)
        assert transformer(tokens, visible).shape == tokens.shape


def test_dropout_drops_only_while_training():
    transformer = Transformer(Shape(n_tokens=7, n_steps=1, **(SHAPE | {"dropout": 0.5})))
    tokens, visible = some_tokens()
    first, second = transformer.train()(tokens, visible), transformer(tokens, visible)
    assert not torch.equal(first, second)
    transformer.eval()
    assert torch.equal(transformer(tokens, visible), transformer(tokens, visible))
