from __future__ import annotations

import json

import pytest
import torch
from models import LEVELS, config, random_model, random_rows

from maetab.nn.backbones import BACKBONES
from maetab.nn.config import ModelConfig
from maetab.nn.ensemble import Ensemble
from maetab.nn.guess.options import GuessOptions
from maetab.nn.losses import LOSSES
from maetab.nn.network import Network

NUMBERS = torch.tensor([n == 0 for n in LEVELS])


def test_a_config_survives_json():
    one = config((0, 3), loss="mae", guess=GuessOptions(n_remembered=7))
    assert ModelConfig.from_dict(json.loads(json.dumps(one.to_dict()))) == one


@pytest.mark.parametrize("t", [1, 3])
def test_an_empty_model_of_the_same_config_takes_the_weights(t):
    model, (values, visible) = random_model(t), random_rows(n_steps=t, seed=1)
    twin = Ensemble(ModelConfig.from_dict(model.config.to_dict()))
    twin.load_state_dict(model.state_dict())
    for mine, theirs in zip(model(values, visible), twin.eval()(values, visible), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("t", [1, 3])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("poison", [pytest.param(1e6, marks=pytest.mark.slow), float("nan")])
def test_no_output_changes_by_a_bit_when_a_hidden_cell_does(backbone, loss, t, poison):
    model = random_model(t, backbone=backbone, loss=loss)
    values, visible = random_rows(n_steps=t, seed=1)
    spoiled = torch.where(visible, values, poison)
    for training in (False, True):
        model.train(training)
        for mine, theirs in zip(model(values, visible), model(spoiled, visible), strict=True):
            assert torch.equal(mine, theirs)
        mine, theirs = (model.first_guess(x, visible) for x in (values, spoiled))
        assert torch.equal(mine.logits, theirs.logits) and torch.equal(mine.point, theirs.point)
        assert torch.equal(mine.std, theirs.std)
        assert (mine.coordinates.evidence is None) == (t == 1)
        for one, other in zip(mine.coordinates[:4], theirs.coordinates[:4], strict=True):
            assert one is other is None or torch.equal(one, other)


@pytest.mark.parametrize("t", [1, 3])
def test_shapes_are_those_documented(t):
    model, (values, visible) = random_model(t), random_rows(n_steps=t, seed=1)
    probabilities, point = model(values, visible)
    assert probabilities.shape == (30, t, 4, 8) and point.shape == (30, t, 4)


@pytest.mark.parametrize("t", [1, 3])
@pytest.mark.parametrize("loss", LOSSES)
def test_probabilities_are_distributions_over_what_is_possible(loss, t):
    model, (values, visible) = random_model(t, loss=loss), random_rows(n_steps=t, seed=1)
    probabilities, point = model(values, visible)
    torch.testing.assert_close(probabilities.sum(-1), torch.ones(30, t, 4))
    assert (probabilities >= 0).all()
    assert (probabilities[:, :, 1, 3:] == 0).all() and (probabilities[:, :, 3, 2:] == 0).all()
    assert torch.equal(point[..., 1], probabilities[..., 1, :].argmax(-1).float())


@pytest.mark.parametrize("t", [1, 3])
@pytest.mark.parametrize("loss", LOSSES)
def test_an_untrained_network_predicts_what_the_first_guess_does(loss, t):
    model, (values, visible) = random_model(t, loss=loss), random_rows(n_steps=t, seed=1)
    untouched, guess = Network(model.config, 8).eval(), model.first_guess(values, visible)
    found = model.predict(untouched, values, visible, guess)
    torch.testing.assert_close(found.logits, guess.logits)
    hidden = ~visible & NUMBERS
    torch.testing.assert_close(found.point[hidden], guess.point[hidden])


@pytest.mark.parametrize("t", [1, 3])
def test_without_weight_of_the_networks_the_first_guess_stands_alone(t):
    model, (values, visible) = random_model(t), random_rows(n_steps=t, seed=1)
    model.network_weight.zero_()
    assert not model.uses_networks
    probabilities, point = model(values, visible)
    guess = model.first_guess(values, visible)
    torch.testing.assert_close(probabilities, guess.logits.softmax(-1))
    assert torch.equal(point[..., NUMBERS], guess.point[..., NUMBERS])
    assert torch.equal(model.points(values, visible), point)


@pytest.mark.parametrize("t", [1, 3])
def test_the_ensemble_is_the_blend_written_out(t):
    model, (values, visible) = random_model(t, n_estimators=3), random_rows(n_steps=t, seed=1)
    guess = model.first_guess(values, visible)
    parts = [model.predict(network, values, visible, guess) for network in model.networks]
    mean = sum(part.logits.softmax(-1) for part in parts) / 3
    probabilities, point = model(values, visible)
    torch.testing.assert_close(probabilities, 0.5 * guess.logits.softmax(-1) + 0.5 * mean)
    mixed = 0.5 * guess.point + 0.5 * (sum(part.point for part in parts) / 3)
    torch.testing.assert_close(point[..., NUMBERS], mixed[..., NUMBERS])
    assert torch.equal(model.points(values, visible), point)


def test_rows_that_see_nothing_and_unknown_levels_have_finite_answers():
    model, (values, visible) = random_model(), random_rows(seed=1)
    visible[:] = False
    values[5:, 0, 1], visible[5:, 0, 1] = 3.0, True
    for found in model(values, visible):
        assert torch.isfinite(found).all()


def test_a_prediction_follows_the_columns_it_reads():
    model, (values, visible) = random_model(), random_rows(seed=1)
    visible[:, 0, 0], visible[:, 0, 2] = True, False
    changed = values.clone()
    changed[:, 0, 0] += 1.0
    assert (model(values, visible)[1][:, 0, 2] != model(changed, visible)[1][:, 0, 2]).all()


def test_a_prediction_follows_the_steps_before_and_behind():
    model, (values, visible) = random_model(3), random_rows(n_steps=3, seed=1)
    visible[:, :, 0] = torch.tensor([True, False, True])
    before = model(values, visible)[1][:, 1, 0]
    for step in (0, 2):
        changed = values.clone()
        changed[:, step, 0] += 1.0
        assert (model(changed, visible)[1][:, 1, 0] != before).all()


def test_without_networks_the_first_guess_is_what_is_predicted():
    model, (values, visible) = random_model(n_estimators=3), random_rows(seed=1)
    model.drop_networks()
    assert not model.members and model.config.n_estimators == 0
    model.network_weight.zero_()
    guess, hidden = model.first_guess(values, visible), ~visible & model.support.is_number
    torch.testing.assert_close(model(values, visible)[1][hidden], guess.point[hidden])
