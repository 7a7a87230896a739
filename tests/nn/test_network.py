from __future__ import annotations

import copy
import pickle

import pytest
import torch
from models import config, random_model, random_rows

from maetab.nn.backbones import BACKBONES
from maetab.nn.network import Network


def predictions(model, values, visible) -> list[torch.Tensor]:
    """What the first network gives, and what is read from it."""
    network, guess = model.members[0], model.first_guess(values, visible)
    output = network(values, visible, guess.coordinates)
    return [output.raw, *model.predict(network, values, visible, guess)]


@pytest.mark.parametrize("t", [1, 3])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("poison", [pytest.param(1e6, marks=pytest.mark.slow), float("nan")])
def test_no_output_changes_by_a_bit_when_a_hidden_cell_does(backbone, training, t, poison):
    values, visible = random_rows(n_steps=t, seed=1)
    model = random_model(t, backbone=backbone, learns_swaps=True)
    spoiled = torch.where(visible, values, poison)
    guess, network = model.guess(values, visible), model.members[0].train(training)
    assert torch.equal(network.encode(values, visible), network.encode(spoiled, visible))
    mine, theirs = (network(x, visible, guess) for x in (values, spoiled))
    assert all(torch.equal(one, other) for one, other in zip(mine, theirs, strict=True))


@pytest.mark.parametrize("t", [1, 3])
def test_shapes_are_those_documented(t):
    model, (values, visible) = random_model(t), random_rows(n_steps=t, seed=1)
    network = model.members[0]
    assert network.encode(values, visible).shape == (30, (1 + 4) * t, 8)
    assert network(values, visible, model.guess(values, visible)).raw.shape == (30, t, 4, 8)


def test_what_is_not_visible_has_no_token_and_every_step_has_that_of_its_row():
    model, (values, visible) = random_model(3), random_rows(n_steps=3, seed=1)
    tokens = model.members[0].encode(values, visible).unflatten(1, (3, 5))
    assert (tokens[:, :, 1:][~visible] == 0).all()
    assert (tokens[:, :, 0] != 0).any(-1).all() and (tokens[:, :, 1:][visible] != 0).any(-1).all()


@pytest.mark.parametrize("t", [1, 3])
def test_an_untrained_network_adds_nothing(t):
    network, (values, visible) = Network(config(n_steps=t), 8), random_rows(n_steps=t, seed=1)
    guess = random_model(t).guess(values, visible)
    assert (network.eval()(values, visible, guess).raw == 0).all()


@pytest.mark.parametrize("backbone", BACKBONES)
def test_steps_of_a_window_read_each_other(backbone):
    model, (values, visible) = random_model(3, backbone=backbone), random_rows(n_steps=3, seed=1)
    network, guess = model.members[0], model.guess(values, visible)  # of the cells before
    visible[:, 0, 0] = True
    changed = values.clone()
    changed[:, 0, 0] += 1.0
    before, after = (network(v, visible, guess).raw for v in (values, changed))
    for step in (1, 2):
        assert (before[:, step] != after[:, step]).any(-1).any(-1).all()


def test_steps_are_told_apart():
    model = random_model(3)
    values, visible = random_rows(n_steps=3, seed=1)
    values, visible = values[:, :1].expand(-1, 3, -1), visible[:, :1].expand(-1, 3, -1)
    latent = model.members[0].encode(values, visible).unflatten(1, (3, 5))[:, :, 1:]
    seen = visible[:, 0]
    assert not torch.allclose(latent[:, 0][seen], latent[:, 2][seen])


def test_a_network_reads_the_guess_it_is_given_and_no_other():
    model, (values, visible) = random_model(), random_rows(seed=1)
    network, guess = model.members[0], model.guess(values, visible)
    before = network(values, visible, guess).raw
    model.guess.stack_weights.fill_(7.0)
    model.guess.base.location.fill_(7.0)
    assert torch.equal(network(values, visible, guess).raw, before)
    other = guess._replace(mean=guess.mean + 1.0)
    assert (network(values, visible, other).raw != before).any()


def test_a_network_owns_its_weights_alone():
    network = random_model(n_members=2).members[0]
    kinds = {name.partition(".")[0] for name in network.state_dict()}
    assert kinds == {"tokens", "row", "encoder", "decoder", "norm", "head", "bias", "signs"}
    size = sum(t.numel() for t in network.state_dict().values())
    assert len(pickle.dumps(copy.deepcopy(network).state_dict())) < 8 * size + 20_000


def test_only_a_network_that_learns_swaps_has_what_that_takes():
    plain, (values, visible) = random_model().members[0], random_rows(seed=1)
    model = random_model(learns_swaps=True)
    telling, guess = model.members[0], model.guess(values, visible)
    assert plain(values, visible, guess).swap_logits is None
    assert telling(values, visible, guess).swap_logits.shape == visible.shape
    names = set(telling.state_dict()) - set(plain.state_dict())
    assert names == {"swap", "swap_bias"}


@pytest.mark.slow
@pytest.mark.parametrize("t", [1, 3])
def test_a_member_is_a_network_of_its_own_with_the_shared_weights(t):
    """Without signs, and with one head for all, each says what a network without members says."""
    model, (values, visible) = random_model(t, n_members=3), random_rows(n_steps=t, seed=1)
    one, guess = random_model(t).members[0], model.guess(values, visible)
    several = model.members[0]
    state = one.state_dict()
    state |= {"head": one.head.repeat(3, 1, 1), "bias": one.bias.repeat(3, 1)}
    several.load_state_dict(state | {"signs": torch.ones_like(several.signs)})
    alike = one(values, visible, guess).raw
    for raw in several(values, visible, guess).raw.unflatten(0, (3, -1)):
        torch.testing.assert_close(raw, alike)
    latent = one.encode(values, visible)
    torch.testing.assert_close(several.encode(values, visible), latent.repeat(1, 1, 3))
    several.signs.data[1] *= -1
    raw = several(values, visible, guess).raw.unflatten(0, (3, -1))
    torch.testing.assert_close(raw[[0, 2]], torch.stack([alike, alike]))
    assert not torch.allclose(raw[1], alike)
