"""Models as plain values: packed and unpacked, and as 0.1.0 wrote them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from models import random_model, random_rows

from maetab.engine.packed import as_written_now, pack, unpack
from maetab.nn.guess.options import GuessOptions

# What tensors of a model were called in 0.1.0, by what they are called now.
NAMES = {
    "support.": "prior.support.",
    "guess.base.": "prior.gaussian.",
    "guess.memory.": "prior.memory.",
    "guess.stack_weights": "prior.stack",
    "guess.variance_weights": "prior.inflate",
    "network_weight": "trust",
    "residual_std": "spread",
}


def former(model) -> dict:
    """Return a model of one step as 0.1.0 packed it."""
    packed = pack(model)
    tensors = {}
    for key, tensor in packed["tensors"].items():
        new = next((name for name in NAMES if key.startswith(name)), None)
        tensors[NAMES[new] + key.removeprefix(new) if new else key] = tensor
    # Every network held the guess once more.
    shared = {k: v for k, v in tensors.items() if k.startswith("prior.")}
    for i in range(packed["config"]["n_estimators"]):
        tensors |= {f"members.{i}.{k}": v for k, v in shared.items()}
        tensors[f"members.{i}.swap"] = np.ones(8, np.float32)
        tensors[f"members.{i}.swap_bias"] = np.ones(4, np.float32)
    for name in ("value_share", "guess.slope", "sure_ranks"):
        tensors.pop(name, None)
    config = {k: v for k, v in packed["config"].items() if k not in ("guess", "learns_swaps")}
    return {"config": config, "tensors": tensors}


@pytest.mark.parametrize("t", [1, 3])
@pytest.mark.parametrize("n_estimators", [1, 2])
def test_unpack_gives_back_what_pack_took(t, n_estimators):
    model, (values, visible) = random_model(t, n_estimators=n_estimators), random_rows(20, t, 1)
    packed = pack(model)
    assert json.loads(json.dumps(packed["config"])) == packed["config"]
    before = torch.get_rng_state()
    again = unpack(packed)
    assert torch.equal(before, torch.get_rng_state()) and not again.training
    for mine, theirs in zip(model(values, visible), again(values, visible), strict=True):
        assert torch.equal(mine, theirs)


def test_what_is_packed_does_not_change_with_the_model():
    model = random_model()
    packed = pack(model)
    before = packed["tensors"]["network_weight"].copy()
    model.network_weight.fill_(0.123)
    np.testing.assert_array_equal(packed["tensors"]["network_weight"], before)


@pytest.mark.parametrize("n_estimators", [1, 2])
def test_a_model_of_0_1_0_predicts_as_it_did(n_estimators):
    options = GuessOptions(tuning_steps=5, key_width=0, n_metrics=1)  # there were no keys
    model = random_model(n_estimators=n_estimators, guess=options)
    values, visible = random_rows(20, seed=1)
    again = unpack(former(model))
    for mine, theirs in zip(model(values, visible), again(values, visible), strict=True):
        assert torch.equal(mine, theirs)
    index = torch.arange(20)[:, None] % 5
    for mine, theirs in zip(
        model(values, visible, index), again(values, visible, index), strict=True
    ):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("n_estimators", [1, 2])
def test_a_model_from_before_values_of_similar_rows_weighed_anything_gives_them_no_weight(
    n_estimators,
):
    model = random_model(n_estimators=n_estimators)
    packed = pack(model)
    del packed["tensors"]["value_share"]
    again, rows = unpack(packed), random_rows(20, seed=1)
    assert not again.value_share.any()
    for mine, theirs in zip(model.predicted(*rows), again.distribution(*rows), strict=True):
        assert torch.equal(mine, theirs)


def test_a_model_from_before_sure_cells_had_ranks_of_their_own_gives_them_those_of_others():
    model = random_model()
    model.ranks.copy_(torch.linspace(0, 1, 101).square().expand_as(model.ranks))
    packed = pack(model)
    del packed["tensors"]["sure_ranks"]
    assert torch.equal(unpack(packed).sure_ranks, model.ranks)


def test_names_of_0_1_0_become_those_of_now_and_nothing_else_is_left():
    model = random_model(n_estimators=2)
    old, now = former(model), pack(model)
    config, tensors = as_written_now(**old)
    assert config["guess"]["base"] == "gaussian" and config["learns_swaps"] is False
    assert set(tensors) == set(now["tensors"])
    for key, tensor in tensors.items():
        np.testing.assert_array_equal(tensor, now["tensors"][key])


def test_what_is_written_now_is_left_as_it_is():
    packed = pack(random_model(3))
    config, tensors = as_written_now(**packed)
    assert config == packed["config"] and tensors is packed["tensors"]


def test_empty_tensors_of_kinds_of_column_that_a_table_lacks_are_left_out():
    numbers = random_model()
    old = former(numbers)
    old["tensors"]["members.0.tokens.none"] = np.zeros((0, 3, 8), np.float32)
    _, tensors = as_written_now(**old)
    assert "members.0.tokens.none" not in tensors
