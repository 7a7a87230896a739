from __future__ import annotations

import inspect
import logging
import pickle
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
import pytest
import torch
from models import QUICK
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression

from maetab import MAEAnomalyDetector, MAEEncoder, MAEImputer
from maetab.base import BaseMAE
from maetab.data.columns import MAX_LEVELS
from maetab.nn.masking import MASKINGS, Block
from maetab.parameters import seed_of


def tiny(**changes) -> MAEImputer:
    small = {"max_iter": 2, "n_estimators": 1, "width": 16, "random_state": 0}
    return MAEImputer(guess=QUICK, **(small | changes))


def table(n: int = 40, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    a = rng.normal(size=n)
    frame = pd.DataFrame({"a": a, "b": a + rng.normal(size=n), "c": rng.choice(list("xyz"), n)})
    return frame.mask(rng.random(frame.shape) < 0.2)


def test_parameters_are_the_fields_of_the_dataclass():
    names = {field.name for field in fields(MAEImputer)}
    assert set(MAEImputer().get_params()) == names
    assert {field.name for field in fields(BaseMAE)} < names


def test_every_parameter_is_documented():
    for field in fields(MAEImputer):
        assert field.name in MAEImputer.__doc__, field.name


@dataclass(kw_only=True, eq=False, repr=False)
class Louder(MAEImputer):
    volume: int = 11


def test_a_subclass_with_its_decorator_has_its_own_parameters_too():
    louder = Louder(volume=12, width=16)
    assert louder.get_params() == MAEImputer(width=16).get_params() | {"volume": 12}
    assert clone(louder).volume == 12
    assert "Louder" in repr(louder)


def test_estimators_of_the_package_keep_their_decorator():
    import maetab

    for name in maetab.__all__:
        kind = getattr(maetab, name)
        if isinstance(kind, type) and issubclass(kind, BaseMAE):
            own = set(inspect.get_annotations(kind))
            assert own <= {field.name for field in fields(kind)}, name
            assert "__init__" in kind.__dict__, name


def test_parameters_are_stored_as_given_and_checked_in_fit_only():
    strange = MAEImputer(guess=QUICK, width=-3, masking=None, loss=7)
    assert (strange.width, strange.masking, strange.loss) == (-3, None, 7)
    with pytest.raises(ValueError, match="'width' parameter of MAEImputer"):
        strange.fit(table())


@pytest.mark.parametrize("wrong", [-0.1, 1.0, "a", None, True, np.nan])
@pytest.mark.parametrize("name", ["mask_ratio", "dropout", "validation_fraction"])
def test_shares_are_in_0_1(name, wrong):
    with pytest.raises(ValueError, match=rf"'{name}' parameter of MAEImputer must be in \[0, 1\)"):
        tiny(**{name: wrong}).fit(table())


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "a", None, True])
@pytest.mark.parametrize("name", ["width", "n_heads", "n_layers", "batch_size", "n_iter_no_change"])
def test_counts_are_whole_and_at_least_1(name, wrong):
    with pytest.raises(ValueError, match=f"'{name}' parameter of MAEImputer must be an int of"):
        tiny(**{name: wrong}).fit(table())


@pytest.mark.parametrize(
    ("name", "wrong", "words"),
    [
        ("n_estimators", 0, "must be None or an int of at least 1, got 0"),
        ("n_estimators", True, "must be None or an int of at least 1, got True"),
        ("max_iter", -1, "must be None or an int of at least 0, got -1"),
        ("max_iter", 2.5, "must be None or an int of at least 0, got 2.5"),
        ("max_time", 0, "must be None or a positive number of seconds, got 0"),
        ("max_time", "1h", "must be None or a positive number of seconds, got '1h'"),
        ("learning_rate_init", 0, "must be None or a positive number, got 0"),
        ("learning_rate_init", -1.0, "must be None or a positive number"),
        ("weight_decay", -0.1, "must be a number that is not negative"),
        ("visible_weight", -0.1, "must be a number that is not negative"),
        (
            "loss",
            "huber",
            "must be one of 'distribution', 'mse', 'mae', 'cosine' or an object that follows "
            "maetab.nn.losses.Loss, got 'huber'",
        ),
        (
            "backbone",
            "cnn",
            "must be one of 'auto', 'transformer', 'mlp', 'linear' or a class of torch modules, "
            "got 'cnn'",
        ),
        ("masking", "all", "or an object of maetab.nn.masking, got 'all'"),
        ("masking", 0.5, "or an object of maetab.nn.masking, got 0.5"),
        ("width", 18, "must be a multiple of n_heads=4, got 18"),
        ("categorical_features", "c", "must be 'auto' or a list"),
        ("categorical_features", ["zz"], "names 'zz', which is not a column of X"),
        ("missing_values", {}, "must be a scalar or a list of scalars"),
        ("device", "gpu", "must be 'auto' or a device of this machine"),
        ("random_state", -1, "must be None, an int in"),
        ("random_state", "x", "must be None, an int in"),
        ("verbose", "x", "'verbose' parameter"),
    ],
)
def test_wrong_parameters_are_refused_in_one_sentence(name, wrong, words):
    with pytest.raises(ValueError) as error:
        tiny(**{name: wrong}).fit(table())
    assert words in str(error.value) and name in str(error.value)


def test_numpy_numbers_are_taken_as_parameters():
    given = {"width": np.int64(16), "mask_ratio": np.float32(0.25), "max_iter": np.int32(1)}
    imputer = tiny(**given).fit(table())
    assert imputer.get_params().items() >= given.items()
    assert imputer.model_.config == tiny(width=16, mask_ratio=0.25).fit(table()).model_.config


def test_a_masking_object_brings_its_own_ratio():
    imputer = tiny(masking=Block(ratio=0.2, length=2), mask_ratio=0.9)
    assert imputer._options().masking == Block(0.2, 2)
    assert tiny(masking="block", mask_ratio=0.4)._options().masking == Block(0.4)
    for name, kind in MASKINGS.items():
        assert isinstance(tiny(masking=name)._options().masking, kind)
    imputer.fit(table())


def test_every_parameter_of_training_and_network_is_passed_on():
    given = {"visible_weight": 0.7, "validation_fraction": 0.3, "n_iter_no_change": 9}
    given |= {"weight_decay": 0.03, "batch_size": 11, "max_iter": 5}
    shapes = {"width": 24, "n_heads": 3, "dropout": 0.4, "backbone": "mlp", "loss": "mae"}
    imputer = tiny(**given, **shapes, learning_rate_init=0.02, n_estimators=2, n_layers=3)
    imputer.schema_ = tiny(max_iter=0).fit(table()).schema_
    options, config = imputer._options(), imputer._config()
    assert {name: getattr(options, name) for name in given} == given
    assert options.learning_rate == 0.02 and options.seed == 0
    assert {name: getattr(config, name) for name in shapes} == shapes
    assert (config.n_members, config.n_encoder_layers, config.n_decoder_layers) == (2, 3, 3)


def test_seeds_come_from_what_random_state_may_be():
    assert seed_of(7, "MAEImputer") == seed_of(np.int64(7), "MAEImputer") == 7
    state = np.random.RandomState(3)
    assert seed_of(state, "MAEImputer") != seed_of(state, "MAEImputer")
    assert seed_of(np.random.RandomState(3), "MAEImputer") == seed_of(
        np.random.RandomState(3), "MAEImputer"
    )
    before = np.random.get_state()[1].tolist()
    assert seed_of(None, "MAEImputer") != seed_of(None, "MAEImputer")
    assert np.random.get_state()[1].tolist() == before


def test_reading_needs_a_fit():
    with pytest.raises(NotFittedError, match="MAEImputer instance is not fitted"):
        tiny().transform(table())
    with pytest.raises(NotFittedError):
        MAEImputer.from_fitted(tiny())


def test_an_estimator_from_a_fitted_one_predicts_the_same():
    fitted, X = tiny().fit(table()), table(seed=1)
    new = MAEImputer.from_fitted(fitted, max_value=0.1)
    assert new.max_value == 0.1 and new.width == 16 and new.model_ is fitted.model_
    new.set_params(max_value=None)
    pd.testing.assert_frame_equal(new.transform(X), fitted.transform(X))
    assert new.n_iter_ == fitted.n_iter_ and new.n_features_in_ == 3


@pytest.mark.parametrize(
    ("kind", "changes", "named"),
    [
        (MAEImputer, {"width": 64}, "width=64 (fitted with 16)"),
        (MAEImputer, {"max_iter": 9, "loss": "mse"}, "max_iter=9 (fitted with 2), loss='mse' (f"),
        (MAEImputer, {"categorical_features": ["c"]}, "categorical_features=['c'] (fitted with '"),
        (MAEImputer, {"masking": Block(ratio=0.2)}, "masking=Block("),
        (MAEEncoder, {"swap_ratio": 0.3}, "swap_ratio=0.3 (fitted with 0.0)"),
        (MAEAnomalyDetector, {"n_layers": 2, "trim": 0.1}, "n_layers=2 (fitted with 1): "),
    ],
)
def test_what_acts_in_fit_alone_cannot_be_changed_afterwards(kind, changes, named):
    with pytest.raises(ValueError) as refused:
        kind.from_fitted(tiny().fit(table()), **changes)
    text = str(refused.value)
    assert text.startswith(f"{kind.__name__}.from_fitted cannot change {named}")
    free = text.partition("change only ")[2].rstrip(".").split(", ")
    assert {"device", "missing_values", "random_state", "verbose"} < set(free)
    assert not {"width", "max_iter", "swap_ratio", "categorical_features"} & set(free)


def test_what_acts_after_fit_can_be_changed_and_what_is_as_fitted_may_be_named():
    fitted = tiny(masking=Block(ratio=0.2)).fit(table())
    same = {"width": 16, "masking": Block(ratio=0.2), "categorical_features": "auto"}
    new = MAEImputer.from_fitted(fitted, random_state=7, missing_values=-1, keep_grid=False, **same)
    assert (new.random_state, new.missing_values, new.keep_grid) == (7, -1, False)
    assert MAEEncoder.from_fitted(fitted, n_components=2, swap_ratio=0.0).n_components == 2
    assert MAEAnomalyDetector.from_fitted(fitted, n_masks=4, trim=0.1).trim == 0.1


def test_fitted_attributes_are_those_promised():
    imputer, X = tiny().fit(table()), table()
    assert imputer.n_features_in_ == 3 and imputer.feature_names_in_.tolist() == ["a", "b", "c"]
    assert imputer.schema_.names() == ["a", "b", "c"]
    assert imputer.n_iter_ == 2 == max(record["epoch"] for record in imputer.history_)
    assert not hasattr(tiny().fit(X[["a", "b"]].to_numpy()), "feature_names_in_")
    assert tiny().fit(X).fit(X[["a"]]).n_features_in_ == 1


def test_no_epoch_is_counted_where_no_network_is_trained():
    imputer = tiny(max_iter=0).fit(table())
    assert imputer.n_iter_ == 0 and imputer.history_ == []


def test_the_pass_that_calibrates_a_detector_counts_as_one():
    assert MAEAnomalyDetector(guess=QUICK, max_iter=0, random_state=0).fit(table()).n_iter_ == 1
    assert MAEAnomalyDetector.from_fitted(tiny().fit(table())).n_iter_ == 3


def test_levels_seen_once_share_a_token_and_at_most_64_are_modelled():
    rng = np.random.default_rng(0)
    many = [f"l{i}" for i in range(100)] * 2
    frame = pd.DataFrame({"x": rng.normal(size=200), "many": many, "two": ["a", "b"] * 100})
    frame.loc[0, "two"] = "once"
    with pytest.warns(UserWarning, match="'many' has 100 levels; the 64 most frequent"):
        imputer = tiny().fit(frame)
    assert imputer.model_.config.n_levels == (0, MAX_LEVELS, 2)
    frame.loc[:, "many"] = frame["many"].mask(rng.random(200) < 0.2)
    filled = imputer.transform(frame)["many"]
    levels = set(imputer.schema_.columns[1].levels[:64])
    assert set(filled[frame["many"].isna()]) <= levels


def test_the_state_holds_arrays_instead_of_tensors():
    imputer = tiny().fit(table())
    state = imputer.__getstate__()

    def parts(value):
        if isinstance(value, dict):
            return [p for v in value.values() for p in parts(v)]
        return [value]

    assert not any(isinstance(p, (torch.Tensor, torch.nn.Module)) for p in parts(state))
    assert isinstance(imputer.model_, torch.nn.Module)
    again = pickle.loads(pickle.dumps(imputer))
    assert not again.model_.training
    pd.testing.assert_frame_equal(again.transform(table()), imputer.transform(table()))


def test_opening_a_pickle_leaves_the_random_state_of_torch():
    pickled = pickle.dumps(tiny(max_iter=0).fit(table()))
    torch.manual_seed(4)
    before = torch.get_rng_state()
    pickle.loads(pickled)
    assert torch.equal(before, torch.get_rng_state())


def test_an_unfitted_estimator_can_be_pickled():
    assert repr(pickle.loads(pickle.dumps(tiny(loss="mae")))) == repr(tiny(loss="mae"))


def test_verbose_reports_through_the_logger_and_prints_nothing(caplog, capsys):
    with caplog.at_level(logging.INFO, logger="maetab"):
        tiny(verbose=1).fit(table())
    assert any("epoch" in record.getMessage() for record in caplog.records)
    assert capsys.readouterr().out == ""
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="maetab"):
        tiny().fit(table())  # who listens hears it without `verbose`, too
    assert any("epoch" in record.getMessage() for record in caplog.records)
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="maetab"):
        tiny().fit(table())
    assert not caplog.records and capsys.readouterr() == ("", "")


def test_categorical_features_are_named_or_counted():
    frame = table().assign(d=[1, 2] * 20)
    for chosen in (["d"], [3], [-1]):
        imputer = tiny(categorical_features=chosen).fit(frame)
        assert [c.kind for c in imputer.schema_.columns] == [
            "number",
            "number",
            "category",
            "category",
        ]


def test_values_that_stand_for_missing_are_missing():
    frame = table().fillna({"a": -999.0, "b": -999.0, "c": "?"})
    filled = tiny(missing_values=[-999.0, "?"]).fit_transform(frame)
    assert not (filled == -999.0).any().any() and not (filled["c"] == "?").any()
    gaps = (frame == -999.0) | (frame == "?")
    pd.testing.assert_frame_equal(filled[~gaps], frame[~gaps])


def test_a_model_is_taken_from_estimators_of_maetab_only():
    with pytest.raises(TypeError, match="estimators of maetab, got LinearRegression"):
        MAEImputer.from_fitted(LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0]))
