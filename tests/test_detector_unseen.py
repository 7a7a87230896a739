"""Levels never seen, p-values that hold, and reasons that are reasons."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

from maetab.detector import MAEAnomalyDetector
from maetab.files.models import load, save

pytestmark = pytest.mark.slow


def detector(**parameters):
    return MAEAnomalyDetector(**{"random_state": 0, "n_masks": 4} | parameters)


def people(n=300, seed=0):
    """Rows of three words that go together with a number, some rare, and heavy-tailed numbers."""
    random = np.random.default_rng(seed)
    age = random.normal(40, 10, n)
    return pd.DataFrame(
        {
            "age": age,
            "pay": random.lognormal(3, 1, n),
            "place": random.choice(["north", "south", "west"], n, p=[0.55, 0.4, 0.05]),
            "class": np.where(age > 40, "a", "b"),
            "home": random.choice(["own", "rent"], n),
        }
    )


WORDS = ["place", "class", "home"]


@pytest.fixture(scope="module", params=[0.0, 0.05, 0.2])
def fitted(request):
    return detector(trim=request.param, contamination=0.05).fit(people())


def test_rows_of_levels_never_seen_are_flagged_whatever_is_trimmed(fitted):
    fresh = people(100, seed=1)
    assert (fitted.predict(fresh) == -1).mean() < 0.13
    strange = fresh.assign(**dict.fromkeys(WORDS, "never seen"))
    assert (fitted.predict(strange) == -1).mean() > 0.95
    assert (fitted.predict(fresh.assign(home="never seen")) == -1).mean() > 0.9


@pytest.mark.parametrize("column", WORDS)
def test_a_level_never_seen_is_stranger_than_the_rarest_known_in_every_part(fitted, column):
    fresh = people(40, seed=2)
    parts = []
    rarest = fitted.schema_.columns[list(fresh).index(column)].levels[-1]
    for level in (rarest, "never seen"):
        table = fitted._read(fresh.assign(**{column: level}))
        parts.append(fitted._scorer().evidence(fitted._windows(table)).parts)
    known, unknown = parts
    assert (unknown.mean(0) >= known.mean(0)).all()
    scores = [fitted.score_samples(fresh.assign(**{column: x})) for x in (rarest, "never seen")]
    assert (scores[1] < scores[0]).all()


def test_levels_that_are_always_new_are_not_strange():
    X = people().assign(word=[f"w{i}" for i in range(300)])
    with pytest.warns(UserWarning, match="300 levels"):
        trained = detector(categorical_features=["word"]).fit(X)
    assert trained.unseen_cost_[-1] == 0 < trained.unseen_cost_[2]
    fresh = people(100, seed=3).assign(word="never seen")
    assert (trained.predict(fresh) == -1).mean() < 0.13


def test_numbers_cost_nothing_however_far():
    X = people()[["age", "pay"]]
    assert detector().fit(X).unseen_cost_.tolist() == [0, 0]


@pytest.mark.parametrize("trim", [0.05, 0.2])
def test_p_values_of_new_rows_hold_with_trimmed_rows(trim):
    trained = detector(trim=trim).fit(people(500, seed=4))
    fresh = trained.p_values(people(1500, seed=5))
    for level in (0.01, 0.05, 0.1, 0.25):
        error = 3 * np.sqrt(level * (1 - level) * (1 / 1500 + 1 / 500))
        assert (fresh <= level).mean() <= level + error


@pytest.mark.parametrize("trim", [0.0, 0.2])
@pytest.mark.parametrize("contamination", [0.05, 0.11, 0.5])
def test_rows_with_a_p_value_up_to_the_contamination_are_outliers(trim, contamination):
    X = people(150)
    trained = detector(trim=trim, contamination=contamination).fit(X)
    rows = pd.concat([X, people(150, seed=6)])
    small, flagged = trained.p_values(rows) <= contamination, trained.predict(rows) == -1
    assert flagged[small].all()
    assert (trained.p_values(rows)[flagged] <= contamination + 2 / 150).all()


def test_a_p_value_counts_the_row_itself_among_those_as_strange():
    X = people(60)
    trained = detector(trim=0.2).fit(X)
    strange = X.iloc[:3].assign(**dict.fromkeys(WORDS, "never seen"), pay=1e9)
    assert trained.p_values(strange).tolist() == [1 / 61] * 3
    rows = pd.concat([X, people(40, seed=7)])
    scores = trained.score_samples(rows)
    known = trained.score_samples(X)
    counted = [sum(other <= one for other in known) for one in scores]
    np.testing.assert_allclose(trained.p_values(rows), [(1 + c) / 61 for c in counted])


def test_files_of_detectors_without_the_cost_of_unseen_levels_still_score(tmp_path):
    X = people()
    trained = detector(trim=0.2, contamination=0.05).fit(X)
    place = trained.schema_.columns[2]
    known = X["place"].isin([x for x, n in zip(place.levels, place.counts) if n])
    scores, labels = trained.score_samples(X)[known], trained.predict(X)[known]
    del trained.unseen_cost_, trained.level_counts_
    save(trained, tmp_path / "old.safetensors")
    old = load(tmp_path / "old.safetensors")
    np.testing.assert_allclose(old.score_samples(X)[known], scores)
    np.testing.assert_array_equal(old.predict(X)[known], labels)
    strange = people(50, seed=8).assign(**dict.fromkeys(WORDS, "never seen"))
    assert (old.predict(strange) == -1).all()
    assert MAEAnomalyDetector.from_fitted(old).p_values(strange).max() < 0.05


REFERENCE = ("completed_rows_", "completed_std_", "memory_keys_", "memory_places_")


def test_what_does_not_depend_on_the_rows_is_made_in_fit_and_saved(tmp_path):
    X = people().mask(np.random.default_rng(0).random((300, 5)) < 0.1)
    trained = detector(trim=0.2).fit(X)
    made = {name: getattr(trained, name) for name in REFERENCE}
    assert made["completed_std_"].any()
    save(trained, tmp_path / "model.safetensors")
    for again in (load(tmp_path / "model.safetensors"), pickle.loads(pickle.dumps(trained))):
        for name, array in made.items():
            np.testing.assert_array_equal(getattr(again, name), array)
    trained.score_samples(X)
    assert all(getattr(trained, name) is array for name, array in made.items())


def test_models_without_it_make_it_once_and_score_the_same():
    X = people().mask(np.random.default_rng(0).random((300, 5)) < 0.1)
    trained = detector().fit(X)
    scores = trained.score_samples(X)
    for name in REFERENCE:
        delattr(trained, name)
    old = pickle.loads(pickle.dumps(trained))
    np.testing.assert_array_equal(old.score_samples(X), scores)
    made = old.completed_rows_
    np.testing.assert_array_equal(old.score_samples(X.iloc[:1]), scores[:1])
    assert old.completed_rows_ is made


def test_reasons_say_in_what_way_a_cell_is_strange():
    X = people()
    X.loc[0, "place"] = "once"
    trained = detector(n_masks=8).fit(X)
    odd = people(3, seed=9).assign(home="own")
    odd.loc[0, "place"], odd.loc[1, "pay"], odd.loc[2, "place"] = "never seen", 1e6, "once"
    odd.loc[2, "age"], odd.loc[2, "class"] = 60.0, "b"
    found = trained.explain(odd, top=3, n_columns=5).set_index(["position", "column"])["reason"]
    assert found[0, "place"] == "never seen level"
    assert found[1, "pay"] == "outside the observed range"
    assert found[2, "place"] == "level seen once"
    assert found[2, "class"] == "unexpected given the others"


def test_a_level_of_trimmed_rows_alone_is_not_called_never_seen():
    X = people()
    trained = detector(trim=0.2).fit(X)
    place = trained.schema_.columns[2]
    only = [level for level, count in zip(place.levels, place.counts) if count == 0]
    rows = X[X["place"].isin(only)]
    found = trained.explain(rows, top=50)
    assert 5 < len(rows) == (found["reason"] == "level of trimmed rows only").sum()
    new = trained.explain(people(20, seed=3).assign(place="nowhere"), top=20)
    assert (new.loc[new["column"] == "place", "reason"] == "never seen level").sum() == 20


def test_a_number_of_trimmed_rows_alone_is_not_said_to_be_outside_the_observed_range():
    X = people()
    X.loc[0, "pay"] = 1e6
    trained = detector(trim=0.2).fit(X)
    found = trained.explain(X.iloc[:1], top=1, n_columns=5).set_index("column")["reason"]
    assert found["pay"] == "outside the range of rows not trimmed"


def test_cells_that_are_as_expected_or_usual_are_no_reasons():
    X = people()
    trained = detector(n_masks=8).fit(X)
    found = trained.explain(X, top=300, n_columns=5)
    weak = found["reason"] == "nothing stands out"
    telling = found[~weak]
    assert 20 < len(telling) < 5 * 300
    assert (telling["surprise"] >= 1).all()
    assert (telling["value"].astype(str) != telling["expected"].astype(str)).all()
    numbers = telling[telling["low"].notna()]
    assert len(numbers) > 10
    assert ((numbers["value"] < numbers["low"]) | (numbers["value"] > numbers["high"])).all()
    alone = found.groupby("position").size()
    assert set(found["position"]) == set(range(300))
    assert (alone[found.loc[weak, "position"]] == 1).all()


def test_three_columns_give_three_reasons_where_all_are_strange():
    X = people()[["age", "place", "home"]]
    trained = detector(trim=0.2).fit(X)
    odd = X.iloc[:1].assign(age=500.0, place="never seen", home="never seen")
    assert sorted(trained.explain(odd, n_columns=3)["column"]) == ["age", "home", "place"]


def test_whole_numbers_in_reasons_are_whole_and_others_rounded_by_their_spread():
    random = np.random.default_rng(0)
    X = pd.DataFrame({"year": random.integers(1900, 2000, 200).astype(float)})
    X["tiny"] = X["year"] * 1e-6 + random.normal(0, 1e-6, 200)
    found = detector().fit(X).explain(X.assign(year=2300.0), top=5, n_columns=1)
    assert [type(x) for x in found["value"]] == [int] * 5
    assert {round(x, 1) for x in found["expected"]} == set(found["expected"])
    other = detector().fit(X).explain(X.assign(tiny=0.5), top=1, n_columns=1)
    assert other.loc[0, "expected"] == round(other.loc[0, "expected"], 7) > 0.0018


def test_the_distance_to_other_rows_counts_three_times_what_each_other_part_counts(fitted):
    table = fitted._read(people(20, seed=10))
    scorer = fitted._scorer()
    parts = scorer.evidence(fitted._windows(table)).parts
    parts = np.maximum(parts, np.exp(fitted.part_center_ - fitted.part_scale_))  # none is too usual
    usual = scorer.normality(parts)
    moved = []
    for i in range(parts.shape[1]):
        strange = np.log(parts[:, i] + fitted.part_floor_[i]) + fitted.part_scale_[i]
        more = parts.copy()
        more[:, i] = np.exp(strange) - fitted.part_floor_[i]  # stranger by a standard deviation
        moved.append(usual - scorer.normality(more))
    counts = np.array([1, 3, 1, 1][: len(moved)])  # cells, distance, keys, robust
    np.testing.assert_allclose(np.array(moved).T, np.tile(counts / counts.sum(), (20, 1)))
