from __future__ import annotations

import numpy as np
import pytest
import torch

from maetab import MAEImputer, load, save
from maetab.engine.runtime import pick_device, seeded

CPU = torch.device("cpu")


def test_auto_is_cuda_where_there_is_one():
    assert pick_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu")])
def test_a_device_of_this_machine_is_taken(device):
    assert pick_device(device) == CPU


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "", None, 3.5, ["cpu"]])
def test_another_device_is_refused_in_one_sentence(device):
    with pytest.raises(ValueError, match="'device' parameter must be 'auto' or a device"):
        pick_device(device)


def test_a_device_that_holds_no_numbers_is_refused():
    with pytest.raises(ValueError, match="'device' parameter must be 'auto' or a device"):
        pick_device("meta")


def draws(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    with seeded(seed, CPU) as generator:
        return torch.rand(3), torch.rand(3, generator=generator)


def test_the_same_seed_draws_the_same_and_another_seed_other_numbers():
    for mine, again, other in zip(draws(1), draws(1), draws(2), strict=True):
        assert torch.equal(mine, again) and not torch.equal(mine, other)


def test_the_global_state_comes_back():
    torch.manual_seed(7)
    before = torch.get_rng_state()
    draws(1)
    assert torch.equal(before, torch.get_rng_state())


def test_the_global_state_comes_back_after_an_error():
    before = torch.get_rng_state()
    with pytest.raises(ZeroDivisionError), seeded(3, CPU):
        torch.rand(3)
        raise ZeroDivisionError
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_model_fitted_on_cuda_opens_and_predicts_on_the_cpu(tmp_path):
    X = np.random.default_rng(0).normal(size=(200, 1)) * np.arange(1.0, 4.0)
    holes = np.where(np.random.default_rng(1).random(X.shape) < 0.2, np.nan, X)
    imputer = MAEImputer(device="cuda", max_iter=3, random_state=0).fit(holes)
    save(imputer, tmp_path / "m.safetensors")
    opened = load(tmp_path / "m.safetensors").set_params(device="cpu")
    np.testing.assert_allclose(opened.transform(holes), imputer.transform(holes), atol=1e-4)
