"""MAEImputer: draws, intervals, probabilities and the score."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from frames import example_frame
from models import QUICK
from sklearn.datasets import load_diabetes
from test_imputer import assert_observed_cells_are_unchanged, gaussian, holes, table, tiny

from maetab import MAEImputer
from maetab.engine.draws import N_ROUNDS, _rounds
from maetab.evaluation import amputate


@pytest.fixture(scope="module")
def every_dtype() -> tuple[pd.DataFrame, MAEImputer]:
    frame = example_frame(40)
    return frame, tiny().fit(frame)


def test_draws_differ_from_each_other_and_repeat_with_the_seed():
    frame = table()
    imputer = tiny().fit(frame)
    draws = imputer.sample(frame, n_draws=4)
    assert len(draws) == 4
    for i in range(4):
        for j in range(i):
            assert not draws[i].equals(draws[j])
    for mine, again in zip(draws, imputer.sample(frame, n_draws=4), strict=True):
        pd.testing.assert_frame_equal(mine, again)
    assert not imputer.sample(frame, 1, random_state=5)[0].equals(draws[0])


def test_draws_keep_observed_cells_dtypes_and_range(every_dtype):
    frame, imputer = every_dtype
    for filled in imputer.sample(frame, 2):
        assert not filled.isna().any().any()
        assert_observed_cells_are_unchanged(filled, frame)
        for column in imputer.schema_.columns:
            if column.kind == "category":
                assert set(map(str, filled[column.name])) <= set(map(str, column.levels))


def test_draws_have_the_distribution_of_the_data():
    truth = gaussian(600, 0.8, f=2)
    hidden = np.random.default_rng(1).random(600) < 0.3
    X = truth.copy()
    X[hidden, 1] = np.nan
    imputer = tiny(max_iter=5).fit(X)
    drawn = np.stack([one[hidden, 1] for one in imputer.sample(X, 10)])
    assert abs(drawn.mean() - truth[hidden, 1].mean()) < 0.15
    assert 0.85 < drawn.std() / truth[hidden, 1].std() < 1.15
    together = [np.corrcoef(truth[hidden, 0], one)[0, 1] for one in drawn]
    assert abs(np.mean(together) - 0.8) < 0.1
    points = imputer.transform(X)[hidden, 1]
    assert points.std() < 0.95 * truth[hidden, 1].std()  # which is why there are draws
    within = drawn.std(0).mean()  # 0.6 is what is left of the spread, given the other column
    assert 0.4 < within < 0.8


def test_two_numbers_that_are_missing_together_are_drawn_as_they_go_together():
    truth, nothing = gaussian(200, 0.95, f=2), np.full((200, 2), np.nan)
    imputer = MAEImputer(max_iter=0, random_state=0).fit(truth)
    together = [np.corrcoef(*one.T)[0, 1] for one in imputer.sample(nothing, 5)]
    assert np.mean(together) > 0.85


@pytest.mark.slow
def test_draws_lie_where_similar_rows_do_and_not_between_them():
    """On a circle each number has two likely values given the other, and a mean between them."""
    random = np.random.default_rng(0)
    angle = random.uniform(0, 2 * np.pi, 600)
    truth = pd.DataFrame({"x": np.cos(angle), "y": np.sin(angle)})
    few = truth.assign(y=truth["y"].mask(random.random(600) < 0.3))
    imputer = MAEImputer(max_iter=0, random_state=0).fit(few)
    hidden = few["y"].isna()

    def off() -> float:
        drawn = [one[hidden] for one in imputer.sample(few, 5)]
        return float(np.median([np.abs(np.hypot(one["x"], one["y"]) - 1) for one in drawn]))

    assert off() < 0.03
    imputer.model_.value_share.zero_()
    assert off() > 0.15  # a normal alone


def test_draws_of_a_category_have_its_frequencies():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"x": rng.normal(size=400), "c": rng.choice(list("abc"), 400, p=[0.6, 0.3, 0.1])}
    )
    frame.loc[:200, "c"] = np.nan
    imputer = tiny().fit(frame)
    drawn = pd.concat([one["c"][:200] for one in imputer.sample(frame, 5)])
    share = drawn.value_counts(normalize=True)
    seen = frame["c"].value_counts(normalize=True)
    assert (share.reindex(list("abc")).fillna(0) - seen).abs().max() < 0.12


def test_a_sum_is_as_uncertain_as_its_parts_where_these_are_missing():
    """In the rows of fit the sum is known but for rounding, in later ones half of it is not."""
    rng = np.random.default_rng(0)
    truth = pd.DataFrame(rng.normal(size=(600, 3)), columns=list("abc"))
    truth["sum"] = truth["a"] + truth["b"]
    known, new = truth.iloc[:200], truth.iloc[200:]
    missed = known["sum"].mask(rng.random(200) < 0.2)
    imputer = MAEImputer(max_iter=0, random_state=0).fit(known.assign(sum=missed))

    def ends(frame: pd.DataFrame) -> tuple[float, float]:
        low, high = (x["sum"] for x in imputer.predict_interval(frame, coverage=0.8))
        return new["sum"].between(low, high).mean(), (high - low).mean()

    covered, width = ends(new.assign(a=np.nan, sum=np.nan))
    assert covered > 0.65 and width > 1.5
    covered, width = ends(new.assign(sum=np.nan))
    assert covered > 0.75 and width < 0.5


@pytest.mark.parametrize("loss", ["distribution", "mse"])
def test_intervals_cover_what_they_promise(loss):
    truth = gaussian(600, 0.7)
    X, hidden = holes(truth, 0.25)
    imputer = tiny(loss=loss, max_iter=5).fit(X)
    low, high = imputer.predict_interval(X, coverage=0.9)
    inside = (truth >= low) & (truth <= high)
    assert 0.8 <= inside[hidden].mean() <= 0.97
    assert np.array_equal(low[~hidden], truth[~hidden]) and np.array_equal(low, high) is False
    narrow = np.subtract(*imputer.predict_interval(X, coverage=0.5)[::-1])
    assert narrow[hidden].mean() < 0.7 * (high - low)[hidden].mean()
    assert (low <= high).all()
    # Told by the other columns: narrower than the spread of the column itself.
    assert (high - low)[hidden].mean() < 0.85 * 2 * 1.645


def test_intervals_hold_the_middle_and_leave_categories_missing():
    frame = table()
    imputer = tiny().fit(frame)
    low, high = imputer.predict_interval(frame)
    for bound in (low, high):
        assert_observed_cells_are_unchanged(bound.drop(columns="c"), frame.drop(columns="c"))
        assert (bound["c"].isna() == frame["c"].isna()).all()
        assert not bound[["a", "b", "k"]].isna().any().any()
    assert (low[["a", "b", "k"]] <= high[["a", "b", "k"]]).all().all()


def test_probabilities_sum_to_one_and_observed_cells_are_certain():
    frame = table(80).assign(flag=lambda d: pd.array(d["a"] > 0, dtype="boolean"))
    frame.loc[::4, "flag"] = pd.NA
    chances = tiny().fit(frame).predict_proba(frame)
    assert set(chances.columns.get_level_values(0)) == {"c", "flag"}
    pd.testing.assert_index_equal(chances.index, frame.index)
    for name in ("c", "flag"):
        mine, seen = chances[name], frame[name].notna()
        np.testing.assert_allclose(mine.sum(axis=1), 1, atol=1e-5)
        assert ((mine >= 0) & (mine <= 1)).all().all()
        wanted = pd.get_dummies(frame.loc[seen, name].astype(object), dtype=float)
        said = mine[seen].reindex(columns=wanted.columns).to_numpy()
        assert np.array_equal(said, wanted.to_numpy())
        assert (mine[~seen].max(axis=1) < 1).all()


def test_the_likeliest_level_is_the_imputed_one():
    frame = table(80)
    imputer = tiny().fit(frame)
    gaps = frame["c"].isna()
    best = imputer.predict_proba(frame)["c"].idxmax(axis=1)
    assert (imputer.transform(frame)["c"][gaps] == best[gaps]).all()


def test_probabilities_of_columns_with_names_of_two_levels_are_found_by_name():
    frame = table(80).set_axis(pd.MultiIndex.from_product([["m"], table().columns]), axis=1)
    chances = tiny().fit(frame).predict_proba(frame)
    plain = tiny().fit(table(80)).predict_proba(table(80))
    assert chances["m", "c"].equals(plain["c"]) and chances.columns.names == [None, None, "level"]


def test_tables_without_categories_have_no_probabilities():
    frame = table()[["a", "b"]]
    chances = tiny().fit(frame).predict_proba(frame)
    assert chances.shape == (50, 0) and chances.index.equals(frame.index)


@pytest.mark.parametrize(("n_missing", "size"), [(3, 1), (4, 1), (8, 2)])
def test_missing_cells_are_spread_evenly_over_the_rounds_whatever_is_visible(n_missing, size):
    generator = torch.Generator().manual_seed(0)
    rank = torch.rand(50, 1, 20, generator=generator)
    missing = torch.rand(50, 1, 20, generator=generator).argsort(2).argsort(2) < n_missing
    for found, own in zip(_rounds(rank, ~missing), missing, strict=True):
        assert torch.bincount(found[own]).tolist() == [size] * min(n_missing, N_ROUNDS)


# ---- score


def test_score_is_a_skill_that_repeats():
    frame = table(200)
    imputer = tiny().fit(frame)
    score = imputer.score(table(200, seed=3))
    assert isinstance(score, float) and -0.2 < score <= 1
    assert score == imputer.score(table(200, seed=3))


def test_score_is_higher_for_columns_that_go_together():
    scores = {}
    for rho in (0.0, 0.5, 0.95):
        X, Y = (holes(gaussian(300, rho, seed=s), 0.1)[0] for s in (0, 7))
        scores[rho] = tiny().fit(X).score(Y)
    assert scores[0.0] < 0.1 and scores[0.0] < scores[0.5] < scores[0.95] <= 1
    assert scores[0.95] > 0.8


def test_score_compares_with_a_computation_by_hand():
    frame = table(120)
    imputer, new = tiny().fit(frame), table(120, seed=4)
    drawn = np.random.default_rng(0).random(new.shape)
    hidden = new.notna().to_numpy() & (drawn < 0.2)
    filled = imputer.transform(new.mask(hidden))
    missed = worst = 0.0
    for j, name in enumerate("abk"):
        seen = frame[name].astype(float)
        truth, guess = (d.loc[hidden[:, j], name].astype(float) for d in (new, filled))
        missed += (((truth - guess) / seen.std(ddof=0)) ** 2).sum()
        worst += (((truth - seen.mean()) / seen.std(ddof=0)) ** 2).sum()
    truth, guess = (d.loc[hidden[:, 3], "c"] for d in (new, filled))
    common = frame["c"].mode()[0]
    category = 1 - (truth != guess).sum() / (truth != common).sum()
    wanted = (3 * (1 - missed / worst) + category) / 4
    # Not exact: the score sees the expected whole numbers before they are rounded.
    assert imputer.score(new) == pytest.approx(wanted, abs=0.02)


def test_draws_of_a_column_of_few_numbers_are_numbers_that_were_seen():
    random = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "price": random.choice([0.1, 0.7, 2.3], 80),
            "flag": random.choice([0.0, 1.0], 80),
            "size": random.normal(size=80),
        }
    )
    holes = table.mask(random.random(table.shape) < 0.2)
    imputer = MAEImputer(guess=QUICK, max_iter=0, random_state=0).fit(holes)
    for draw in imputer.sample(holes, 3, random_state=0):
        assert set(draw["price"]) == {0.1, 0.7, 2.3} and set(draw["flag"]) == {0.0, 1.0}
    low, high = imputer.predict_interval(holes, coverage=0.999)
    assert (low["flag"] <= table["flag"]).all() and (table["flag"] <= high["flag"]).all()
    assert low["price"].min() == 0.1 and high["price"].max() == 2.3


def test_intervals_hold_what_is_filled_in():
    frame = example_frame(60)
    imputer = tiny().fit(frame)
    filled = imputer.transform(frame)
    for coverage in (0.05, 0.9):
        low, high = imputer.predict_interval(frame, coverage)
        for name in filled.select_dtypes("number", exclude="timedelta"):
            point = filled[name].astype(float)
            seen = low[name].notna()
            assert (low[name][seen].astype(float) <= point[seen]).all()
            assert (point[seen] <= high[name][seen].astype(float)).all()


def test_intervals_of_a_few_hundred_rows_cover_about_what_they_say():
    people = load_diabetes(as_frame=True).data
    few, hidden = amputate(people, frac=0.3, random_state=0)
    imputer = MAEImputer(guess=QUICK, max_iter=0, random_state=0).fit(few)
    for coverage in (0.8, 0.9, 0.95):
        low, high = imputer.predict_interval(few, coverage)
        held = (low <= people) & (people <= high)
        found = held.to_numpy()[hidden.to_numpy()].mean()
        assert -0.03 < found - coverage < 0.05, (coverage, found)
