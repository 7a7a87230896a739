from __future__ import annotations

import json

import pytest
import torch

from maetab.nn import guess as guess_module
from maetab.nn.backbones import BACKBONES
from maetab.nn.model import Ensemble, MaskedAutoencoder, ModelConfig
from maetab.nn.objectives import LOSSES

LEVELS = (0, 3, 0, 2)


def rows(n: int = 30, t: int = 1, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(n, t, 4, generator=generator)
    values[..., 1] = torch.randint(3, (n, t), generator=generator).float()
    values[..., 3] = torch.randint(2, (n, t), generator=generator).float()
    visible = torch.rand(n, t, 4, generator=generator) < 0.7
    return torch.where(visible, values, 0.0), visible


def a_model(t: int = 1, **changes) -> Ensemble:
    """A model whose networks say more than nothing: every weight is moved off its start."""
    torch.manual_seed(0)
    config = ModelConfig(
        LEVELS,
        n_steps=t,
        width=8,
        n_heads=2,
        n_bins=8,
        n_pieces=4,
        dropout=0.0,
        n_memory=30 * t,
        **changes,
    )
    model = Ensemble(config)
    values, visible = rows(t=t)
    flat = values.flatten(0, 1), visible.flatten(0, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guess_module, "N_TUNING", 3)
        model.prior.fit(*flat, torch.Generator().manual_seed(0))
    for member in model.members:
        member.head.data.normal_(0, 0.3)
        member.tokens.parts.data.normal_()
    model.trust.fill_(0.5)
    return model.eval()


def test_a_config_survives_json():
    config = ModelConfig((0, 3), width=8, loss="mae")
    assert ModelConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_an_empty_model_of_the_same_config_takes_the_weights():
    model, (values, visible) = a_model(), rows(seed=1)
    twin = Ensemble(ModelConfig.from_dict(model.config.to_dict()))
    twin.load_state_dict(model.state_dict())
    for mine, theirs in zip(model(values, visible), twin.eval()(values, visible), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("t", [1, 3])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("poison", [1e6, float("nan")])
def test_no_output_changes_by_a_bit_when_a_hidden_cell_does(backbone, loss, t, poison):
    model, (values, visible) = a_model(t, backbone=backbone, loss=loss), rows(t=t, seed=1)
    spoiled = torch.where(visible, values, poison)
    for mine, theirs in zip(model(values, visible), model(spoiled, visible), strict=True):
        assert torch.equal(mine, theirs)
    for member in model.members:
        member.train()
        assert torch.equal(member.encode(values, visible), member.encode(spoiled, visible))
        for mine, theirs in zip(member(values, visible), member(spoiled, visible), strict=True):
            assert torch.equal(mine, theirs)


@pytest.mark.parametrize("t", [1, 3])
def test_shapes_are_those_documented(t):
    model, (values, visible) = a_model(t), rows(t=t, seed=1)
    probabilities, point = model(values, visible)
    assert probabilities.shape == (30, t, 4, 8) and point.shape == (30, t, 4)
    member = model.members[0]
    assert member.encode(values, visible).shape == (30, 1 + 4 * t, 8)
    assert member(values, visible).logits.shape == (30, t, 4, 8)


@pytest.mark.parametrize("loss", LOSSES)
def test_probabilities_are_distributions_over_what_is_possible(loss):
    model, (values, visible) = a_model(loss=loss), rows(seed=1)
    probabilities, point = model(values, visible)
    torch.testing.assert_close(probabilities.sum(-1), torch.ones(30, 1, 4))
    assert (probabilities >= 0).all()
    assert (probabilities[:, :, 1, 3:] == 0).all() and (probabilities[:, :, 3, 2:] == 0).all()
    assert torch.equal(point[..., 1], probabilities[..., 1, :].argmax(-1).float())


def test_an_untrained_network_says_what_the_prior_says():
    torch.manual_seed(0)
    model = a_model()
    untouched = MaskedAutoencoder(model.config, model.prior)
    values, visible = rows(seed=1)
    _, base = model.prior(values[:, 0], visible[:, 0])
    said = untouched.eval()(values, visible)
    torch.testing.assert_close(said.logits[:, 0], base)
    point = MaskedAutoencoder(ModelConfig(**(vars(model.config) | {"loss": "mse"})), model.prior)
    guess, _ = model.prior(values[:, 0], visible[:, 0])
    hidden = ~visible[:, 0] & model.prior.support.is_number
    start = point.eval()(values, visible).point[:, 0]
    torch.testing.assert_close(start[hidden], model.prior.point(guess)[hidden])


def test_without_trust_the_prior_speaks_alone():
    model, (values, visible) = a_model(), rows(seed=1)
    model.trust.zero_()
    probabilities, point = model(values, visible)
    guess, base = model.prior(values[:, 0], visible[:, 0])
    torch.testing.assert_close(probabilities[:, 0], base.softmax(-1))
    numbers = model.prior.support.is_number
    assert torch.equal(point[:, 0][:, numbers], model.prior.point(guess)[:, numbers])


def test_the_ensemble_is_the_blend_written_out():
    model, (values, visible) = a_model(n_estimators=3), rows(seed=1)
    guess, base = model.prior(values[:, 0], visible[:, 0])
    said = [member(values, visible) for member in model.members]
    mean = sum(s.logits.softmax(-1) for s in said) / 3
    probabilities, point = model(values, visible)
    torch.testing.assert_close(probabilities[:, 0], 0.5 * base.softmax(-1) + 0.5 * mean[:, 0])
    mixed = 0.5 * model.prior.point(guess) + 0.5 * (sum(s.point for s in said) / 3)[:, 0]
    torch.testing.assert_close(point[:, 0, [0, 2]], mixed[:, [0, 2]])


def test_given_first_guesses_change_nothing():
    model, (values, visible) = a_model(), rows(seed=1)
    member = model.members[0]
    first = model.prior(values[:, 0], visible[:, 0])
    for mine, theirs in zip(member(values, visible), member(values, visible, first), strict=True):
        assert torch.equal(mine, theirs)


def test_steps_of_a_window_read_each_other():
    model, (values, visible) = a_model(3), rows(t=3, seed=1)
    visible[:, 0, 0] = True
    changed = values.clone()
    changed[:, 0, 0] += 1.0
    before, after = (model.members[0](v, visible).logits for v in (values, changed))
    assert (before[:, 2] != after[:, 2]).any()


def test_steps_are_told_apart():
    model = a_model(3)
    values, visible = rows(t=3, seed=1)
    values, visible = values[:, :1].expand(-1, 3, -1), visible[:, :1].expand(-1, 3, -1)
    latent = model.members[0].encode(values, visible)[:, 1:].unflatten(1, (3, 4))
    seen = visible[:, 0]
    assert not torch.allclose(latent[:, 0][seen], latent[:, 2][seen])


def test_rows_that_see_nothing_and_unknown_levels_have_finite_answers():
    model, (values, visible) = a_model(), rows(seed=1)
    visible[:] = False
    values[5:, 0, 1], visible[5:, 0, 1] = 3.0, True
    for said in model(values, visible):
        assert torch.isfinite(said).all()


def test_a_prediction_follows_the_columns_it_reads():
    model, (values, visible) = a_model(), rows(seed=1)
    visible[:, 0, 0], visible[:, 0, 2] = True, False
    changed = values.clone()
    changed[:, 0, 0] += 1.0
    assert (model(values, visible)[1][:, 0, 2] != model(changed, visible)[1][:, 0, 2]).all()
