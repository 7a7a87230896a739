"""Fits that go on from the model of the fit before."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
import torch
from models import QUICK
from sklearn.base import clone

from maetab import MAEAnomalyDetector, MAEClassifier, MAEEncoder, MAEImputer, MAERegressor
from maetab.engine.checkpoint import Checkpoint
from maetab.nn.guess.options import GuessOptions

SMALL = {"guess": QUICK, "width": 8, "max_iter": 2, "random_state": 0}
STILL = SMALL | {"learning_rate_init": 1e-12, "guess": GuessOptions(tuning_steps=1)}
ESTIMATORS = {
    "imputer": MAEImputer(**SMALL),
    "transformer": MAEImputer(backbone="transformer", **SMALL),
    "encoder": MAEEncoder(n_components=2, **SMALL),
    "detector": MAEAnomalyDetector(n_masks=2, trim=0.1, **SMALL),
    "series": MAEImputer(window=4, **SMALL),
}


def table(n: int = 120, share: float = 0.7, seed: int = 0) -> pd.DataFrame:
    """Return rows in which `kind` is "x" where `a` is small, in a share of them."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=n)
    frame = pd.DataFrame({"a": a, "b": a + 0.1 * rng.normal(size=n), "c": rng.normal(size=n)})
    frame["kind"] = np.where(a < np.quantile(a, share), "x", "y")
    return frame.mask(rng.random(frame.shape) < 0.1)


def parameters(estimator) -> dict[str, torch.Tensor]:
    return dict(estimator.model_.named_parameters())


def found(estimator, X):
    ask = "score_samples" if isinstance(estimator, MAEAnomalyDetector) else "transform"
    return np.asarray(getattr(estimator, ask)(X))


@pytest.mark.parametrize("name", ESTIMATORS)
def test_where_nothing_was_fitted_before_a_fit_is_as_without(name):
    X = table()
    cold = clone(ESTIMATORS[name]).fit(X)
    warm = clone(ESTIMATORS[name]).set_params(warm_start=True).fit(X)
    np.testing.assert_array_equal(found(warm, X), found(cold, X))


@pytest.mark.parametrize("name", ESTIMATORS)
def test_without_the_parameter_a_fit_is_as_the_first(name):
    X = table()
    one = clone(ESTIMATORS[name]).fit(X)
    again = clone(ESTIMATORS[name]).fit(table(seed=1)).fit(X)
    np.testing.assert_array_equal(found(again, X), found(one, X))


@pytest.mark.parametrize("name", ESTIMATORS)
def test_learning_begins_where_it_ended(name):
    estimator = clone(ESTIMATORS[name]).set_params(learning_rate_init=0.01, warm_start=True)
    estimator.set_params(validation_fraction=0.0).fit(table())
    before = {k: v.clone() for k, v in parameters(estimator).items()}
    estimator.set_params(**{k: STILL[k] for k in ("learning_rate_init", "guess")})
    cold = clone(estimator).fit(table(seed=1))
    estimator.fit(table(seed=1))
    members = [k for k in before if k.startswith("members.")]
    assert len(members) > 5
    for key in members:
        torch.testing.assert_close(parameters(estimator)[key], before[key], rtol=0, atol=1e-6)
    # One step of row attention is no longer than its rate.
    moved = parameters(estimator)["guess.memory.log_weight"] - before["guess.memory.log_weight"]
    assert moved.abs().max() < 0.11
    other = parameters(cold)["guess.memory.log_weight"] - before["guess.memory.log_weight"]
    assert name == "series" or other.abs().max() > 0.11
    assert any((parameters(cold)[k] - before[k]).abs().max() > 1e-3 for k in members)


def test_a_network_goes_on_from_the_loss_that_it_had():
    X = table(400)
    given = SMALL | {"max_iter": 10, "validation_fraction": 0.0, "weight_decay": 0.0}
    imputer = MAEImputer(warm_start=True, loss="mse", **given).fit(X)
    first = [record["train_loss"] for record in imputer.history_]
    later = [record["train_loss"] for record in imputer.fit(X).history_]
    assert np.mean(later) < np.mean(first)


def test_the_rows_that_are_remembered_are_the_new_ones():
    imputer = MAEImputer(warm_start=True, **SMALL).fit(table(100)).fit(table(60, seed=1))
    fresh = MAEImputer(**SMALL).fit(table(60, seed=1))
    assert imputer.n_samples_fit_ == 60
    for x, y in zip(imputer.schema_.columns[:3], fresh.schema_.columns[:3], strict=True):
        assert x == y
    kept = imputer.model_.guess.memory.values, fresh.model_.guess.memory.values
    assert torch.equal(*kept)


def in_memory(frame: pd.DataFrame) -> object:
    return frame


def in_parts(frame: pd.DataFrame) -> object:
    return ds.dataset(pa.Table.from_pandas(frame, preserve_index=False))


@pytest.mark.parametrize("given", [in_memory, in_parts])
def test_levels_are_those_of_before_though_others_are_frequent_now(given):
    imputer = MAEImputer(warm_start=True, **SMALL).fit(given(table()))
    assert imputer.schema_.columns[3].levels == ("x", "y")
    rows = table(share=0.2, seed=1)
    imputer.fit(given(rows))
    column = imputer.schema_.columns[3]
    counts = rows["kind"].value_counts()
    assert column.levels == ("x", "y") and column.counts == (counts["x"], counts["y"])
    whole = table(200, 0.2, seed=2)
    asked = whole[["a", "kind"]].dropna().index
    hidden = whole.loc[asked].assign(b=np.nan, c=np.nan, kind=pd.NA)[[*"abc", "kind"]]
    filled = imputer.transform(hidden.astype({"b": float, "c": float, "kind": "str"}))
    assert (filled["kind"] == whole.loc[asked, "kind"]).mean() > 0.9


def test_a_level_that_is_gone_is_still_told_apart():
    imputer = MAEImputer(warm_start=True, **SMALL).fit(table())
    rows = table(seed=1)
    imputer.fit(rows[rows["kind"] != "y"])
    assert imputer.schema_.columns[3].levels == ("x", "y")
    assert imputer.schema_.columns[3].n_modelled == 2


def test_a_level_that_is_new_and_rare_is_as_other_rare_ones():
    rows = table(seed=1)
    rows.loc[0, "kind"] = "z"
    imputer = MAEImputer(warm_start=True, **SMALL).fit(table()).fit(rows)
    column = imputer.schema_.columns[3]
    assert column.levels == ("x", "y", "z") and column.n_modelled == 2
    filled = imputer.transform(rows)
    assert filled.loc[0, "kind"] == "z" and filled["kind"].isin(["x", "y", "z"]).all()


def test_an_order_of_levels_stays():
    kinds = pd.CategoricalDtype(["x", "y"], ordered=True)
    one, two = (table(share=s).astype({"kind": kinds}) for s in (0.7, 0.2))
    imputer = MAEImputer(warm_start=True, **SMALL).fit(one).fit(two)
    column = imputer.schema_.columns[3]
    assert [column.levels[i] for i in column.order] == ["x", "y"]
    assert imputer.transform(two)["kind"].dtype == kinds


@pytest.mark.parametrize(
    ("change", "given", "words"),
    [
        ({}, {"kind": ["z", "y"] * 60}, "column 'kind' has the level 'z' more than once now"),
        ({}, {"a": ["u", "v"] * 60}, "column 'a' is a category now, and was a number"),
        ({}, {"d": 1.0}, "Feature names unseen at fit time:\n- d"),
        ({"width": 16}, {}, r"width \(8 there, 16 here\)"),
        ({"window": 4}, {}, r"rows of a window \(1 there, 4 here\)"),
        ({"n_estimators": 3}, {}, r"members \(n_estimators, preset\) \(4 there, 3 here\)"),
        ({"loss": "mse"}, {}, r"loss \(distribution there, mse here\)"),
        ({"warm_start": "yes"}, {}, "'warm_start' parameter of MAEImputer must be True or False"),
    ],
)
def test_what_a_fit_cannot_go_on_with_is_refused_and_nothing_changes(change, given, words):
    X = table()
    imputer = MAEImputer(warm_start=True, **SMALL).fit(X)
    before = imputer.transform(X)
    with pytest.raises(ValueError, match=words):
        imputer.set_params(**change).fit(X.assign(**given))
    imputer.set_params(window=None)
    pd.testing.assert_frame_equal(imputer.transform(X), before)
    imputer.set_params(**{k: v for k, v in MAEImputer(**SMALL).get_params().items() if k in change})
    imputer.set_params(warm_start=False).fit(X.assign(**given))


def test_a_model_of_other_shapes_that_no_parameter_tells_of_is_refused(monkeypatch):
    imputer = MAEImputer(warm_start=True, **SMALL).fit(table())
    monkeypatch.setattr("maetab.parts.N_PIECES", 8)  # as if it were of another version
    with pytest.raises(ValueError, match="which differs in the shapes of its parts"):
        imputer.fit(table())


def test_other_classes_are_refused():
    X = table()
    y = np.where(X["a"] > 0, "p", "q")
    classifier = MAEClassifier(warm_start=True, **SMALL).fit(X, y)
    for other in (np.where(y == "p", "r", "q"), np.full(len(y), "p")):
        with pytest.raises(ValueError, match=r"y has other classes now: .*, not \['p', 'q'\]"):
            classifier.fit(X, other)
    assert classifier.fit(X, y[::-1]).classes_.tolist() == ["p", "q"]


def test_a_regressor_goes_on_with_another_target():
    X = table()
    regressor = MAERegressor(warm_start=True, **SMALL).fit(X, X["c"])
    assert regressor.fit(X, 100 + X["b"]).score(X, 100 + X["b"]) > 0.5


def test_a_checkpoint_of_a_fit_that_began_elsewhere_is_refused(monkeypatch, tmp_path):
    given = SMALL | {"warm_start": True, "checkpoint": tmp_path}
    imputer, X = MAEImputer(**given).fit(table(seed=1)), table()

    def write(self, name, state, real=Checkpoint.write):
        real(self, name, state)
        raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "write", write)
    with pytest.raises(KeyboardInterrupt):
        imputer.fit(X)
    monkeypatch.undo()
    with pytest.raises(ValueError, match="of another fit: model before"):
        MAEImputer(**given).fit(X)
    imputer.fit(X)
