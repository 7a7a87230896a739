"""Callbacks of scikit-learn see the tasks of a fit, may stop it, and change nothing else."""

from __future__ import annotations

import importlib
import logging
import pickle
import sys

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from models import QUICK
from pyarrow import feather
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

import maetab
from maetab import (
    MAEAnomalyDetector,
    MAEClassifier,
    MAEEncoder,
    MAEImputer,
    MAERegressor,
    load,
    save,
)

SMALL = {"guess": QUICK, "width": 8, "max_iter": 2, "random_state": 0}
ESTIMATORS = {
    "imputer": (MAEImputer(**SMALL), None),
    "donors": (MAEImputer(donors=1, **SMALL), "donors"),
    "encoder": (MAEEncoder(n_components=2, **SMALL), "components"),
    "detector": (MAEAnomalyDetector(n_masks=2, **SMALL), "calibration of the scores"),
    "trimmed": (MAEAnomalyDetector(n_masks=2, trim=0.2, **SMALL), "calibration of the scores"),
    "classifier": (MAEClassifier(**SMALL), "head"),
    "regressor": (MAERegressor(**SMALL), "head"),
    "series": (MAEImputer(window=4, **SMALL), None),
}
rng = np.random.default_rng(0)
X = rng.normal(size=(60, 3)) + np.arange(60)[:, None] / 20
y = (X[:, 0] > X[:, 1]).astype(int)
X[::7, 1] = np.nan


class Recording:
    """Keeps what it is told; asks to stop, or fails, at the end of a task: its name and number."""

    max_propagation_depth = None

    def __init__(self, stop=None, fail=None):
        self.seen, self.stop, self.fail = [], stop, fail

    def setup(self, estimator, context):
        self.seen.append(("setup", type(estimator).__name__))

    def teardown(self, estimator, context):
        self.seen.append(("teardown", type(estimator).__name__))

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None):
        names, task = [], context
        while task.parent is not None:
            names, task = [task.task_name, *names], task.parent
        assert context.parent is None or context.task_id < (context.parent.max_subtasks or 0)
        self.seen.append(("begin", *names))
        self.given = X, y

    def on_fit_task_end(self, estimator, context):
        self.seen.append(("end", context.task_name))
        self.losses = [x["validation_loss"] for x in getattr(estimator, "history_", [])]
        if self.fail == (context.task_name, context.task_id):
            raise RuntimeError("of a callback")
        return self.stop in ("all", (context.task_name, context.task_id))


class Copying(Recording):
    """Asks for what is fitted at the end of each task."""

    def __init__(self):
        super().__init__()
        self.copies = {}

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        self.copies[context.task_name] = fitted_estimator


def of_callbacks(estimator, *callbacks):
    pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from 1.9 on")
    return clone(estimator).set_callbacks(*callbacks)


def outcome(fitted):
    """Return what an estimator makes of X."""
    for name in ("transform", "score_samples", "predict_proba", "predict"):
        if hasattr(fitted, name):
            return getattr(fitted, name)(X)
    raise AssertionError(fitted)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_stages_and_checks_are_tasks_in_their_order_and_change_no_bit(name):
    estimator, last = ESTIMATORS[name]
    callback = Recording()
    mine = of_callbacks(estimator, callback).fit(X, y)
    check = [("begin", "network", "check"), ("end", "check")]
    expected = [("setup", type(estimator).__name__), ("begin",)]
    for stage in filter(None, ["reading the table", "first guess", "network", "calibration", last]):
        within = check * len(mine.history_) * (stage == "network")
        expected += [("begin", stage), *within, ("end", stage)]
    expected += [("end", "fit"), ("teardown", type(estimator).__name__)]
    assert callback.seen == expected and len(mine.history_) > 1
    assert callback.losses == [record["validation_loss"] for record in mine.history_]
    assert callback.given[0] is X and callback.given[1] is y
    plain = clone(estimator).fit(X, y)
    np.testing.assert_array_equal(outcome(mine), outcome(plain))
    assert set(vars(mine.set_callbacks())) == set(vars(plain))


def test_a_callback_ends_the_training_and_what_was_learned_is_kept():
    whole = MAEImputer(**SMALL | {"max_iter": 6, "n_iter_no_change": 99}).fit(X)
    callback = Recording(stop=("check", 1))
    short = of_callbacks(whole, callback).fit(X)
    losses = [record["validation_loss"] for record in whole.history_]
    assert callback.losses == losses[:2] and len(losses) == 6
    assert [record["step"] for record in short.history_] == [1, 2]
    assert ("end", "calibration") in callback.seen[-3:]
    assert np.isfinite(short.transform(X)).all() and short.n_iter_ == 2


def test_a_last_check_after_fewer_steps_than_between_the_others_is_a_task_as_well():
    settings = SMALL | {"max_iter": 25, "n_iter_no_change": 99}  # a check in two steps, and one
    mine = of_callbacks(MAEImputer(**settings), Recording()).fit(X)
    assert [record["step"] for record in mine.history_] == [*range(2, 26, 2), 25]


def test_stages_cannot_be_left_out():
    mine = of_callbacks(MAEImputer(**SMALL), Recording(stop="all")).fit(X)
    assert len(mine.history_) == 1 and np.isfinite(mine.transform(X)).all()


@pytest.mark.parametrize("where", [("check", 0), ("fit", 0)])
def test_a_fit_that_raises_is_torn_down_and_leaves_the_old_model(where):
    callback = Recording(fail=where)
    old = of_callbacks(MAEImputer(**SMALL)).fit(X)
    before = vars(old).copy()
    with pytest.raises(RuntimeError, match="of a callback"):
        old.set_callbacks(callback).fit(X)
    assert [event for event in callback.seen if event[0] == "teardown"] == callback.seen[-1:]
    assert vars(old.set_callbacks()) == before


def test_copies_keep_callbacks_and_files_do_not(tmp_path):
    callback = Recording()
    mine = of_callbacks(MAEImputer(**SMALL), callback).fit(X)
    told = len(callback.seen)
    again = pickle.loads(pickle.dumps(mine))
    np.testing.assert_array_equal(again.transform(X), mine.transform(X))
    clone(mine).fit(X)
    assert len(callback.seen) == 2 * told
    save(mine, tmp_path / "model.safetensors")
    read = load(tmp_path / "model.safetensors")
    assert set(vars(read)) == set(vars(mine.set_callbacks()))
    np.testing.assert_array_equal(read.transform(X), mine.transform(X))


def test_another_estimator_around_the_same_model_has_no_callbacks():
    mine = of_callbacks(MAEAnomalyDetector(n_masks=2, **SMALL | {"max_iter": 0}), Recording())
    mine.fit(X)
    for made in (MAEAnomalyDetector.from_fitted(mine), MAEClassifier.from_fitted(mine, X, y)):
        assert [name for name in vars(made) if name.startswith("_")] == []


def test_pipelines_hand_callbacks_down_and_take_them_back():
    callback = Recording()
    steps = make_pipeline(MAEImputer(**SMALL), MAEEncoder(**SMALL))
    of_callbacks(steps, callback).fit(X, y)
    tasks = [event[1:] for event in callback.seen if event[0] == "begin"]
    assert tasks[:3] == [(), ("fit",), ("fit", "reading the table")]
    assert tasks.count(("fit", "network", "check")) == 4
    assert callback.seen[0] == ("setup", "Pipeline") and callback.seen[-1][0] == "teardown"
    plain = clone(steps).fit(X, y)
    fitted = of_callbacks(steps, Recording()).fit(X, y)
    assert set(vars(fitted[0])) == set(vars(plain[0]))
    np.testing.assert_array_equal(fitted.transform(X), plain.transform(X))


def test_a_grid_search_hands_callbacks_down():
    callback = Recording()
    search = GridSearchCV(MAEImputer(**SMALL | {"max_iter": 0}), {"mask_ratio": [0.2, 0.3]}, cv=2)
    of_callbacks(search, callback).fit(X)
    stages = [event[-1] for event in callback.seen if event[0] == "begin" and len(event) > 1]
    assert stages.count("first guess") == 5  # four folds and the refit


def test_a_callback_may_have_a_copy_of_what_is_fitted():
    callback = Copying()
    mine = of_callbacks(MAEClassifier(**SMALL), callback).fit(X, y)
    copy = callback.copies.pop("fit")
    np.testing.assert_array_equal(copy.predict_proba(X), mine.predict_proba(X))
    assert "check" in callback.copies and set(callback.copies.values()) == {None}


def test_a_scoring_monitor_has_the_score_of_the_fitted_estimator():
    callback = pytest.importorskip("sklearn.callback", reason="from 1.9 on")
    monitor = callback.ScoringMonitor(scoring="neg_log_loss")
    mine = of_callbacks(MAEClassifier(**SMALL), monitor).fit(X, y)
    (entry,) = monitor.get_logs().data
    chances = mine.predict_proba(X)[np.arange(len(y)), y]
    assert entry["neg_log_loss"] == pytest.approx(np.log(chances).mean())


def test_a_progress_bar_shows_the_network(capsys):
    pytest.importorskip("rich")
    callback = pytest.importorskip("sklearn.callback", reason="from 1.9 on")
    of_callbacks(MAEImputer(**SMALL), callback.ProgressBar()).fit(X)
    said = capsys.readouterr().out
    assert "MAEImputer - fit" in said and "MAEImputer - network" in said and "100%" in said


def test_files_of_parts_do_not_depend_on_callbacks(tmp_path):
    table = pa.table({name: X[:, j] for j, name in enumerate("abc")})
    (tmp_path / "in").mkdir()
    feather.write_feather(table, tmp_path / "in" / "part.arrow")
    parts = ds.dataset(tmp_path / "in", format="ipc")
    mine = of_callbacks(MAEImputer(**SMALL), Recording()).fit(table)
    first = mine.transform(parts, to=tmp_path / "out").to_table()
    again = mine.set_callbacks(Recording()).transform(parts, to=tmp_path / "out").to_table()
    assert again.equals(first)


def test_where_scikit_learn_has_no_callbacks_all_else_is_there(monkeypatch, caplog):
    callback = pytest.importorskip("sklearn.callback", reason="then all tests are of this")
    monkeypatch.delattr(callback, "CallbackSupportMixin")
    for name in ("callbacks", "base", "imputer"):  # imported again, and put back afterwards
        monkeypatch.setattr(maetab, name, getattr(maetab, name))
        monkeypatch.delitem(sys.modules, f"maetab.{name}")
    without = importlib.import_module("maetab.imputer").MAEImputer(**SMALL)
    with caplog.at_level(logging.INFO, logger="maetab"):
        filled = without.fit(X).transform(X)
    assert not hasattr(without, "set_callbacks") and len(without.history_) == 2
    assert "held-out loss" in caplog.text  # progress is told
    monkeypatch.undo()
    np.testing.assert_array_equal(filled, MAEImputer(**SMALL).fit(X).transform(X))
