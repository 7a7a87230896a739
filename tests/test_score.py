"""Scores of rows and cells, on tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.covariance import MinCovDet

from maetab.engine.embed import remembered_rows
from maetab.engine.fit import FitOptions, fit_model
from maetab.engine.robust import crowd_distances, one_hot, robust_distances, robust_gaussian
from maetab.engine.score import (
    distances,
    hidden_sets,
    rarities,
    remembered_places,
    surprises,
)
from maetab.nn.masking import Bernoulli
from maetab.nn.model import Ensemble, ModelConfig

CPU = torch.device("cpu")
N_LEVELS = (0, 0, 3)


@pytest.fixture(scope="module")
def mixed():
    """A fitted prior, its 90 rows, and which cells of them are observed."""
    random = np.random.default_rng(0)
    values = random.normal(size=(90, 3)).astype(np.float32)
    values[:, 1] = 2 * values[:, 0] + 0.1 * values[:, 1]
    values[:, 2] = (values[:, 0] > 0) + random.integers(2, size=90)
    observed = random.random(values.shape) < 0.9
    values[~observed] = 0
    config = ModelConfig(n_levels=N_LEVELS, n_memory=90, n_estimators=1)
    options = FitOptions(masking=Bernoulli(0.3), max_iter=0)
    model, _ = fit_model(config, values[:, None], observed[:, None], options)
    return model, values, observed


@pytest.mark.parametrize("n_columns", [1, 2, 5, 21])
def test_every_column_is_hidden_about_equally_often_and_never_all_of_them(n_columns):
    sets = hidden_sets(n_columns, 12)
    assert np.ptp(sets.sum(0)) <= 1
    assert sets.any(1).all()
    assert n_columns == 1 or not sets.all(1).any()
    np.testing.assert_array_equal(sets, hidden_sets(n_columns, 12))


def test_training_rows_are_found_in_the_memory_and_others_are_not(mixed):
    model, values, observed = mixed
    places = remembered_places(model, values, observed)
    held, there = (cells[:, 0] for cells in remembered_rows(model))
    np.testing.assert_array_equal(held[places], values)
    np.testing.assert_array_equal(there[places], observed)
    moved = np.where(observed, values + np.float32(0.25), values)
    moved[:, 2] = values[:, 2]
    changed = observed[:, :2].any(1)
    assert (remembered_places(model, moved, observed)[changed] == -1).all()


ALL = np.ones(90, bool)


@pytest.mark.parametrize("k", [1, 4])
def test_distances_are_those_to_other_rows_completed_by_the_first_guess(mixed, k):
    model, values, observed = mixed
    places = remembered_places(model, values, observed)
    spread = one_hot(values, observed, N_LEVELS)
    with torch.inference_mode():  # no row sees itself
        guess = model.prior.guess(
            torch.tensor(np.nan_to_num(spread)).float(),
            torch.tensor(~np.isnan(spread)),
            torch.tensor(places),
        )
    weight = np.where(np.isnan(spread), 0.5, 1.0)
    spread = np.where(np.isnan(spread), guess.mean.numpy(), spread)
    unsure = 2 * 0.2 * np.sqrt(guess.variance.numpy()).sum(1)
    apart = np.abs(spread[:, None] - spread)
    gap = apart.sum(-1) + unsure
    np.fill_diagonal(gap, np.inf)
    near = np.argsort(gap)[:, :k]
    weighed = (apart * weight[:, None]).sum(-1) + unsure + unsure[:, None]
    expected = np.take_along_axis(weighed, near, axis=1).mean(1)
    found = distances(model, values, observed, places, k, ALL, CPU, usual=0.2)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_rows_that_are_not_allowed_are_nobodys_neighbours(mixed):
    model, _, _ = mixed
    held, there = (cells[:, 0] for cells in remembered_rows(model))
    whole = np.flatnonzero(there.all(1))
    only = np.zeros(90, bool)
    only[whole[[3, 7]]] = True
    rows, everywhere = held[whole[:3]], np.ones((3, 3), bool)
    spread = one_hot(held[whole], there[whole], N_LEVELS)
    apart = np.abs(spread[:3, None] - spread[[3, 7]]).sum(-1)
    nowhere = np.full(3, -1)
    found = distances(model, rows, everywhere, nowhere, 1, only, CPU)
    np.testing.assert_allclose(found, apart.min(1), rtol=1e-5)
    np.testing.assert_array_equal(
        distances(model, rows, everywhere, nowhere, 1, ALL, CPU), np.zeros(3)
    )


def test_a_level_that_was_never_seen_is_far_from_all_rows(mixed):
    model, values, _ = mixed
    known, everywhere = values[:8].copy(), np.ones((8, 3), bool)
    strange = known.copy()
    strange[:, 2] = 3
    nowhere = np.full(8, -1)
    near = distances(model, known, everywhere, nowhere, 1, ALL, CPU)
    assert (distances(model, strange, everywhere, nowhere, 1, ALL, CPU) > near).all()
    usual = surprises(model, known, everywhere, nowhere, hidden_sets(3, 6), CPU)
    wrong = surprises(model, strange, everywhere, nowhere, hidden_sets(3, 6), CPU)
    assert (wrong[:, 2] > usual[:, 2]).all()


def test_a_cell_that_contradicts_the_others_surprises_most(mixed):
    model, _, _ = mixed
    rows = np.array([[1.0, 2.0, 1.0], [1.0, -2.0, 1.0]], np.float32)
    wrong = surprises(model, rows, np.ones((2, 3), bool), np.full(2, -1), hidden_sets(3, 8), CPU)
    assert (wrong[1, :2] > 3 * wrong[0, :2]).all()


def test_surprises_do_not_depend_on_the_rows_beside_and_skip_missing_cells(mixed):
    model, values, observed = mixed
    places = remembered_places(model, values, observed)
    sets = hidden_sets(3, 5)
    together = surprises(model, values, observed, places, sets, CPU, scale=np.ones(3))
    alone = [
        surprises(model, values[i], observed[i], places[i], sets, CPU, scale=np.ones(3))[0]
        for i in np.arange(10)[:, None]
    ]
    np.testing.assert_array_equal(together[:10], alone)
    np.testing.assert_array_equal(np.isnan(together), ~observed)


def test_what_is_not_observed_changes_no_score(mixed):
    model, values, observed = mixed
    places = remembered_places(model, values, observed)
    noise = np.where(observed, values, np.float32(77))
    np.testing.assert_array_equal(remembered_places(model, noise, observed), places)
    for score in (
        lambda v: surprises(model, v, observed, places, hidden_sets(3, 3), CPU),
        lambda v: distances(model, v, observed, places, 2, ALL, CPU),
    ):
        np.testing.assert_array_equal(score(values), score(noise))


def test_robust_distances_rank_rows_as_the_minimum_covariance_determinant_does():
    random = np.random.default_rng(0)
    rows = random.normal(size=(300, 4)) @ random.normal(size=(4, 4))
    rows[:60] = 8 + 0.1 * random.normal(size=(60, 4))
    far = robust_distances(rows, *robust_gaussian(rows))
    theirs = MinCovDet(random_state=0).fit(rows).mahalanobis(rows)
    assert np.corrcoef(np.argsort(np.argsort(far)), np.argsort(np.argsort(theirs)))[0, 1] > 0.9
    assert far[:60].min() > far[60:].max()


def test_robust_distances_bear_missing_cells_and_constant_columns():
    rows = np.random.default_rng(0).normal(size=(40, 5))
    rows[::3, 1], rows[:, 2] = np.nan, 4.0
    far = robust_distances(rows, *robust_gaussian(rows))
    assert np.isfinite(far).all() and (far >= 0).all()


def test_crowd_distances_see_through_a_small_group_of_outliers():
    random = np.random.default_rng(0)
    rows = np.vstack([random.normal(size=(190, 2)), 6 + 0.01 * random.normal(size=(10, 2))])
    far = crowd_distances(rows, 0.1)
    assert far[190:].min() > np.quantile(far[:190], 0.95)


def test_crowd_distances_are_means_over_the_nearest_other_rows():
    rows = np.random.default_rng(1).normal(size=(60, 3))
    far = crowd_distances(rows, 0.25)
    for i, row in enumerate(rows):
        others = np.square(np.delete(rows, i, 0) - row).sum(1)
        assert far[i] == pytest.approx(np.sort(others)[:15].mean())


def test_cells_that_surprise_as_much_as_the_usual_ones_are_usual():
    constant = np.full((1, 201), 0.5)
    found = rarities(np.array([[0.5], [0.5 - 1e-9], [9.0], [np.nan]]), constant)[:, 0]
    np.testing.assert_allclose(found[:2], 0)
    assert found[2] > 3
    assert np.isnan(found[3])


def test_shares_above_are_those_of_a_sample_with_ties():
    sample = np.sort(np.random.default_rng(0).choice([0.1, 0.4, 1.0], 4000, p=[0.5, 0.3, 0.2]))
    quantiles = np.quantile(sample, np.linspace(0, 1, 201))[None]
    for value in (0.1, 0.4, 1.0):
        share = 10 ** -rarities(np.array([[value]]), quantiles)[0, 0]
        assert share == pytest.approx((sample >= value).mean(), abs=0.01)


@pytest.mark.parametrize("scale", [None, np.array([0.5, 1.0, 2.0])])
def test_surprises_of_the_first_guess_are_the_errors_of_what_the_model_says(mixed, scale):
    model, values, observed = mixed
    values = values.copy()
    values[5, 2] = 3  # a level never seen
    places, sets = remembered_places(model, values, observed), hidden_sets(3, 5)
    errors = np.full((len(sets), 90, 3), np.nan)
    for i, hidden in enumerate(sets):
        seen = torch.tensor(observed & ~hidden)[:, None]
        with torch.inference_mode():
            cells = (torch.tensor(values)[:, None], seen, torch.tensor(places))
            chances, points = (x[:, 0].numpy() for x in model(*cells))
        for row, column in zip(*np.nonzero(observed & hidden), strict=True):
            truth = values[row, column]
            if N_LEVELS[column]:
                chance = chances[row, column, int(truth)] if truth < 3 else 0
                errors[i, row, column] = -np.log(max(chance, 0.5 / 91))
            else:
                errors[i, row, column] = abs(truth - points[row, column])
    if scale is not None:
        errors = np.log1p(errors / scale)
    expected = [
        [cell[~np.isnan(cell)].mean() if (~np.isnan(cell)).any() else np.nan for cell in row.T]
        for row in errors.transpose(1, 0, 2)
    ]
    found = surprises(model, values, observed, places, sets, CPU, scale=scale)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("n_memory", [1000, 300, 30])
def test_few_rows_score_bit_for_bit_as_among_many(n_memory):
    torch.manual_seed(0)
    model = Ensemble(ModelConfig(n_levels=N_LEVELS, n_memory=n_memory, n_estimators=1))
    values = torch.randn(n_memory, 3)
    values[:, 2] = (values[:, 0] > 0) + torch.randint(2, (n_memory,))
    prior, observed = model.prior, torch.rand(n_memory, 3) < 0.9
    prior.support.fit(values, observed)
    spread, seen = prior.expand(values, observed)
    prior.gaussian.fit(spread, seen)
    prior.memory.fill(spread, seen, prior.gaussian.residuals(spread, seen))
    prior.stack.fill_(0.4)
    random = np.random.default_rng(0)
    rows = random.normal(size=(1100, 3)).astype(np.float32)
    rows[:, 2] = random.integers(4, size=1100)
    there, places = random.random(rows.shape) < 0.8, random.integers(-1, n_memory, 1100)
    allowed = np.ones(n_memory, bool)

    def score(some: slice) -> np.ndarray:
        cells = (model, rows[some], there[some], places[some])
        far = distances(*cells, 2, allowed, CPU)
        return np.column_stack([surprises(*cells, hidden_sets(3, 4), CPU), far])

    together = score(slice(None))
    for some in (slice(7, 8), slice(640, 690), slice(980, 1100)):
        np.testing.assert_array_equal(score(some), together[some])


def test_of_equal_remembered_rows_the_first_is_found(mixed):
    _, values, observed = mixed
    twice = np.vstack([values[:40], values[:40]])
    there = np.vstack([observed[:40], observed[:40]])
    config = ModelConfig(n_levels=N_LEVELS, n_memory=80, n_estimators=1)
    double = Ensemble(config)
    spread, seen = double.prior.expand(torch.tensor(twice), torch.tensor(there))
    double.prior.memory.fill(spread, seen, torch.zeros_like(spread))
    expected = [
        next(i for i in range(80) if (there[i] == one).all() and (twice[i][one] == row[one]).all())
        for row, one in zip(twice, there, strict=True)
    ]
    np.testing.assert_array_equal(remembered_places(double, twice, there), expected)
    negative = np.where(twice == 0, np.float32(-0.0), twice)
    np.testing.assert_array_equal(remembered_places(double, negative, there), expected)
