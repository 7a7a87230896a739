"""What presets decide, and what they leave to parameters that are given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from models import QUICK
from sklearn.base import clone

import maetab
from maetab import MAEAnomalyDetector, MAEEncoder, MAEImputer
from maetab.cli import estimators
from maetab.cli.command import make_parser
from maetab.nn.guess.gaussian import Gaussian
from maetab.presets import PRESETS, backbone_of, guess_of, learning_rate_of, n_members

NAMES = tuple(PRESETS)
X = np.random.default_rng(0).normal(size=(40, 3))


class Own(Gaussian):
    """A base guess of one's own."""


@pytest.mark.parametrize("preset", NAMES)
def test_a_preset_says_how_the_first_guess_is_made_whatever_its_base(preset):
    named, own = MAEImputer(preset=preset), MAEImputer(preset=preset, guess=Own)
    assert guess_of(named) == PRESETS[preset].guess
    assert guess_of(own).base is Own
    assert guess_of(own).tuning_steps == PRESETS[preset].guess.tuning_steps


@pytest.mark.parametrize("preset", NAMES)
def test_options_of_a_guess_that_are_given_count(preset):
    assert guess_of(MAEImputer(preset=preset, guess=QUICK)) is QUICK


@pytest.mark.parametrize("is_series", [True, False])
@pytest.mark.parametrize("backbone", ["auto", "transformer"])
@pytest.mark.parametrize("preset", NAMES)
def test_numbers_of_members_that_are_given_count(preset, backbone, is_series):
    cheap = backbone == "auto" and not is_series
    usual = PRESETS[preset].members if cheap else PRESETS[preset].dear_members
    expected = {
        (None, None): usual,
        (5, None): 5,
        (None, 0): 0,
        (5, 0): 0,
        (None, 7): max(1, usual),  # epochs of a network ask for one
        (5, 7): 5,
    }
    for (n_estimators, max_iter), wanted in expected.items():
        given = {"preset": preset, "n_estimators": n_estimators, "max_iter": max_iter}
        assert n_members(MAEImputer(backbone=backbone, **given), is_series) == wanted


def test_what_is_left_open_follows_the_table_and_the_estimator():
    for kind, is_series, backbone, rate in (
        (MAEImputer, False, "mlp", 6e-3),
        (MAEAnomalyDetector, False, "mlp", 6e-3),
        (MAEImputer, True, "transformer", 3e-3),
        (MAEEncoder, False, "transformer", 3e-3),
    ):
        assert backbone_of(kind(), is_series) == backbone
        assert learning_rate_of(kind(), is_series) == rate
        assert learning_rate_of(kind(learning_rate_init=0.5), is_series) == 0.5
        assert backbone_of(kind(backbone="linear"), is_series) == "linear"


def test_a_preset_without_networks_gives_the_first_guess_without_warning(recwarn):
    assert PRESETS["fast"].members == 0
    fast = MAEImputer(preset="fast", guess=QUICK, random_state=0).fit(X)
    alone = MAEImputer(max_iter=0, guess=QUICK, random_state=0).fit(X)
    assert fast.history_ == [] and fast.n_iter_ == 0 and not recwarn
    holes = np.where(np.eye(40, 3) > 0, np.nan, X)
    np.testing.assert_array_equal(fast.transform(holes), alone.transform(holes))


def test_a_network_that_is_asked_for_is_trained_by_the_fastest_preset_too():
    given = {"preset": "fast", "guess": QUICK, "width": 8, "random_state": 0}
    for more, members in (({"max_iter": 1}, 1), ({"max_iter": 1, "n_estimators": 2}, 2)):
        fitted = MAEImputer(**given, **more).fit(X)
        assert fitted.history_ and fitted.model_.config.n_members == members


@pytest.mark.parametrize("kind", [MAEImputer, MAEEncoder, MAEAnomalyDetector])
def test_presets_are_parameters_as_scikit_learn_has_them(kind):
    one = kind(preset="best")
    assert one.get_params()["preset"] == "best" and one.n_estimators is None
    assert clone(one).set_params(preset="fast").preset == "fast" and one.preset == "best"
    assert kind().preset == "balanced"


def test_presets_are_not_changed_in_what_is_fitted_but_saved_with_it(tmp_path: Path):
    fitted = MAEImputer(preset="fast", guess=QUICK, random_state=0).fit(X)
    with pytest.raises(ValueError, match=r"cannot change preset='best' \(fitted with 'fast'\)"):
        MAEEncoder.from_fitted(fitted, preset="best")
    maetab.save(fitted, tmp_path / "model.safetensors")
    assert maetab.load(tmp_path / "model.safetensors").preset == "fast"


@pytest.mark.parametrize("preset", ["quick", None, 3])
def test_a_preset_of_another_name_is_refused(preset):
    words = "'preset' parameter of MAEImputer must be one of 'fast', 'balanced', 'best', got"
    with pytest.raises(ValueError, match=f"{words} {preset!r}"):
        MAEImputer(preset=preset).fit(X)


@pytest.mark.parametrize("preset", NAMES)
def test_the_command_line_takes_the_same_names(preset):
    words = ["impute", "in.csv", "-o", "out.csv"]
    args = make_parser().parse_args([*words, "--preset", preset])
    assert estimators.new_estimator(args, "MAEImputer").preset == preset
    usual = make_parser().parse_args(words)
    assert estimators.new_estimator(usual, "MAEImputer").preset == "balanced"


def test_the_command_line_takes_no_other_names(capsys):
    with pytest.raises(SystemExit):
        make_parser().parse_args(["detect", "a.csv", "-o", "b.csv", "--preset", "quick"])
    assert "'quick'" in capsys.readouterr().err
