"""Masks, losses, backbones and guesses of the user's own, which the package does not know."""

from __future__ import annotations

import pickle
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from models import QUICK
from torch import nn

from maetab import MAEEncoder, MAEImputer, load, save
from maetab.nn.backbones import Linear
from maetab.nn.guess.gaussian import Normal
from maetab.nn.guess.options import GuessOptions
from maetab.nn.losses import PointLoss, SquaredError
from maetab.nn.masking import Bernoulli


@dataclass
class HalfOfTheFirst:
    """Hides half of the first column and a fifth of the others."""

    def __call__(self, observed, generator):
        share = torch.full(observed.shape, 0.2, device=observed.device)
        share[..., 0] = 0.5
        drawn = torch.rand(observed.shape, generator=generator, device=observed.device)
        return observed & (drawn < share)


class Huber(PointLoss):
    def of_numbers(self, point, truth, weight, total):
        return (nn.functional.huber_loss(point, truth, reduction="none") * weight).sum() / total


class Averages(nn.Module):
    """Adds to each token the mean of the visible ones of its step."""

    def __init__(self, shape):
        super().__init__()
        self.mix = nn.Linear(shape.width, shape.width)

    def forward(self, tokens, visible):
        shown = tokens if visible is None else tokens * visible[..., None]
        out = shown + self.mix(shown.mean(2, keepdim=True))
        return out if visible is None else out * visible[..., None]


class Means(nn.Module):
    """The mean of each coordinate, whatever is visible."""

    def __init__(self, n_coordinates):
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_coordinates))
        self.register_buffer("variance", torch.ones(n_coordinates))

    def fit(self, values, visible, should_stop):
        count = visible.sum(0).clamp_min(1)
        self.mean.copy_(torch.where(visible, values, 0.0).sum(0) / count)
        apart = torch.where(visible, values - self.mean, 0.0).square().sum(0)
        self.variance.copy_(apart / count)

    def forward(self, values, visible):
        mean = torch.where(visible, values, self.mean)
        return Normal(mean, torch.where(visible, 0.0, self.variance).expand_as(mean))


OWN = {
    "masking": HalfOfTheFirst(),
    "loss": Huber(),
    "backbone": Averages,
    "guess": Means,
}


def table(n: int = 90) -> np.ndarray:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 1)) + 0.4 * rng.normal(size=(n, 3))
    x = np.concatenate([x, rng.integers(0, 3, (n, 1))], 1)
    x[rng.random(x.shape) < 0.15] = np.nan
    return x


def small(kind=MAEImputer, **changes):
    plain = {"guess": QUICK, "max_iter": 4, "width": 8, "n_heads": 2, "random_state": 0}
    return kind(**(plain | {"categorical_features": [3]} | changes))


@pytest.mark.slow
@pytest.mark.parametrize("what", OWN)
def test_a_part_of_ones_own_is_used_and_pickled(what):
    X = table()
    own, plain = (small(**given).fit(X) for given in ({what: OWN[what]}, {}))
    filled = own.transform(X)
    assert np.isfinite(filled).all() and np.array_equal(filled[~np.isnan(X)], X[~np.isnan(X)])
    losses = [[record["train_loss"] for record in model.history_] for model in (own, plain)]
    assert losses[0] and losses[0] != losses[1]
    again = pickle.loads(pickle.dumps(own))
    assert again.transform(X).tobytes() == filled.tobytes()
    assert again.sample(X, 1)[0].tobytes() == own.sample(X, 1)[0].tobytes()
    # A clone of the pickle is fitted to the same model.
    refitted = pickle.loads(pickle.dumps(own)).fit(X)
    assert refitted.transform(X).tobytes() == filled.tobytes()


@pytest.mark.slow
def test_all_parts_of_ones_own_at_once_also_make_features():
    X = table()
    encoder = small(MAEEncoder, n_components=3, **OWN)
    features = encoder.fit_transform(X)
    assert np.isfinite(features).all()
    assert pickle.loads(pickle.dumps(encoder)).transform(X).tobytes() == features.tobytes()


def test_a_base_guess_of_ones_own_is_what_the_first_guess_is_made_of():
    X = table()
    model = small(guess=GuessOptions(base=Means, tuning_steps=2), max_iter=0).fit(X).model_
    assert isinstance(model.guess.base, Means)
    values, visible = torch.zeros(5, 1, 4), torch.zeros(5, 1, 4, dtype=torch.bool)
    parts = model.guess(values, visible).parts[:, 0, :, 0]
    assert torch.equal(parts, model.guess.base.mean.expand(5, -1))


@dataclass
class Wrong:
    how: str

    def __call__(self, observed, generator):
        return {
            "outside": torch.ones_like(observed),
            "floats": Bernoulli(0.3)(observed, generator).float(),
            "shape": observed[:, :, :1],
            "array": observed.cpu().numpy(),
            "device": torch.zeros(observed.shape, dtype=torch.bool, device="meta"),
            "nothing": None,
        }[self.how]


@pytest.mark.parametrize("how", ["outside", "floats", "shape", "array", "device", "nothing"])
def test_a_masking_that_gives_no_mask_is_refused_in_one_sentence(how):
    with pytest.raises(ValueError, match=r"The 'masking' parameter must give a bool tensor") as got:
        small(masking=Wrong(how)).fit(table())
    assert f"Wrong(how='{how}')" in str(got.value) and "only where these are" in str(got.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("masking", "other"),
        ("masking", Bernoulli),
        ("masking", 3),
        ("masking", None),
        ("loss", "other"),
        ("loss", SquaredError),
        ("loss", 3),
        ("loss", torch.nn.functional.mse_loss),
        ("backbone", "other"),
        ("backbone", 3),
        ("backbone", nn.Identity()),
        ("guess", "other"),
        ("guess", 3),
        ("guess", None),
    ],
)
def test_what_is_no_part_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of MAEImputer must be one of"):
        small(**{name: value}).fit(table())


def test_a_class_of_the_package_is_the_same_as_its_name():
    X = table()
    names, objects = (
        small(**given).fit(X).transform(X)
        for given in (
            {"loss": "mse", "backbone": "linear", "mask_ratio": 0.4},
            {"loss": SquaredError(), "backbone": Linear, "masking": Bernoulli(0.4)},
        )
    )
    assert names.tobytes() == objects.tobytes()


def test_options_of_the_guess_are_saved_with_the_model(tmp_path):
    X = table()
    imputer = small(guess=GuessOptions(n_remembered=20, tuning_steps=3)).fit(X)
    save(imputer, tmp_path / "model.maetab")
    again = load(tmp_path / "model.maetab")
    assert again.guess == imputer.guess and again.model_.config == imputer.model_.config
    assert again.transform(X).tobytes() == imputer.transform(X).tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("what", OWN)
def test_a_model_with_a_part_of_ones_own_is_not_saved_and_says_why(what, tmp_path):
    imputer = small(**{what: OWN[what]}).fit(table())
    with pytest.raises(TypeError, match=f"{what}.*a model file cannot hold"):
        save(imputer, tmp_path / "model.maetab")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("base", "x", "'base' of GuessOptions must be one of 'gaussian'"),
        ("base", int, "'base' of GuessOptions must be one of 'gaussian'"),
        ("n_remembered", 0, "'n_remembered' of GuessOptions must be an int of at least 1, got 0"),
        ("tuning_steps", True, "'tuning_steps' of GuessOptions must be an int of at least 1"),
        ("tuning_rows", 1.5, "'tuning_rows' of GuessOptions must be an int of at least 1"),
        ("least_gain", 1.0, "'least_gain' of GuessOptions must be in \\[0, 1\\), got 1.0"),
        ("hidden_ratio", 3, "'hidden_ratio' of GuessOptions must be in \\(0, 1\\), got 3"),
    ],
)
def test_options_of_the_guess_are_checked(field, value, words):
    with pytest.raises(ValueError, match=words):
        GuessOptions(**{field: value})


@pytest.mark.parametrize("parameter", ["guess", "backbone"])
def test_a_class_that_is_no_module_is_refused_by_name(parameter):
    with pytest.raises(ValueError, match=f"'{parameter}' parameter of MAEImputer .* torch modules"):
        MAEImputer(**{parameter: int}).fit(np.eye(4))


def test_a_model_fitted_with_an_own_loss_is_not_saved_after_the_parameter_is_changed(tmp_path):
    model = MAEImputer(guess=QUICK, loss=Huber(), max_iter=1, random_state=0).fit(np.eye(12))
    model.set_params(loss="mse")
    with pytest.raises(TypeError, match="The 'loss' that MAEImputer was fitted with is a Huber"):
        save(model, tmp_path / "m.safetensors")
