"""Surprises of cells and distances of rows, on tensors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scoring_models import CPU, N_LEVELS, empty_model, fitted_model, rows_of

from maetab.engine.distances import distances
from maetab.engine.reference import (
    N_REMEMBERED,
    make_reference,
    remembered,
    remembered_places,
)
from maetab.engine.robust import one_hot
from maetab.engine.surprises import _at_least, hidden_sets, surprises


@pytest.fixture(scope="module")
def mixed():
    """A fitted first guess, its reference, its 90 rows, and which cells of them are observed."""
    random = np.random.default_rng(0)
    values = random.normal(size=(90, 3)).astype(np.float32)
    values[:, 1] = 2 * values[:, 0] + 0.1 * values[:, 1]
    values[:, 2] = (values[:, 0] > 0) + random.integers(2, size=90)
    observed = random.random(values.shape) < 0.9
    values[~observed] = 0
    model = fitted_model(rows_of(values, observed))
    return model, make_reference(model), values, observed


def cells_of(model):
    """Values and observed (n, F) of the rows that a model remembers."""
    return (x[:, 0].numpy() for x in remembered(model).take(slice(None)))


def far(model, reference, values, observed, places, k, trusted, usual_gap=0.0):
    cells = rows_of(values, observed), places[:, None]
    return distances(model, reference, *cells, k, trusted, CPU, usual_gap).mean[:, 0]


def wrong(model, values, observed, places, sets, scale=None):
    return surprises(model, rows_of(values, observed), places[:, None], sets, CPU, scale)[:, 0]


@pytest.mark.parametrize("n_columns", [1, 2, 5, 21])
def test_every_column_is_hidden_about_equally_often_and_never_all_of_them(n_columns):
    sets = hidden_sets(n_columns, 12)
    assert np.ptp(sets.sum(0)) <= 1
    assert sets.any(1).all()
    assert n_columns == 1 or not sets.all(1).any()
    np.testing.assert_array_equal(sets, hidden_sets(n_columns, 12))


def test_training_rows_are_found_in_the_memory_and_others_are_not(mixed):
    model, reference, values, observed = mixed
    places = remembered_places(model, reference, rows_of(values, observed))
    held, there = cells_of(model)
    np.testing.assert_array_equal(held[places], values)
    np.testing.assert_array_equal(there[places], observed)
    moved = np.where(observed, values + np.float32(0.25), values)
    moved[:, 2] = values[:, 2]
    changed = observed[:, :2].any(1)
    assert (remembered_places(model, reference, rows_of(moved, observed))[changed] == -1).all()


ALL = np.ones(90, bool)


@pytest.mark.parametrize("k", [1, 4])
def test_distances_are_those_to_other_rows_completed_by_the_first_guess(mixed, k):
    model, reference, values, observed = mixed
    places = remembered_places(model, reference, rows_of(values, observed))
    spread = one_hot(values, observed, N_LEVELS)
    with torch.inference_mode():  # no row sees itself
        guess = model.guess.guess(
            torch.tensor(np.nan_to_num(spread)).float(),
            torch.tensor(~np.isnan(spread)),
            torch.tensor(places)[:, None],
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
    found = far(model, reference, values, observed, places, k, ALL, 0.2)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_rows_that_are_not_allowed_are_nobodys_neighbours(mixed):
    model, reference, _, _ = mixed
    held, there = cells_of(model)
    whole = np.flatnonzero(there.all(1))
    only = np.zeros(90, bool)
    only[whole[[3, 7]]] = True
    rows, everywhere = held[whole[:3]], np.ones((3, 3), bool)
    spread = one_hot(held[whole], there[whole], N_LEVELS)
    apart = np.abs(spread[:3, None] - spread[[3, 7]]).sum(-1)
    nowhere = np.full(3, -1)
    found = far(model, reference, rows, everywhere, nowhere, 1, only)
    np.testing.assert_allclose(found, apart.min(1), rtol=1e-5)
    np.testing.assert_array_equal(
        far(model, reference, rows, everywhere, nowhere, 1, ALL), np.zeros(3)
    )


def test_a_level_that_was_never_seen_is_far_from_all_rows(mixed):
    model, reference, values, _ = mixed
    known, everywhere = values[:8].copy(), np.ones((8, 3), bool)
    strange = known.copy()
    strange[:, 2] = 3
    nowhere = np.full(8, -1)
    near = far(model, reference, known, everywhere, nowhere, 1, ALL)
    assert (far(model, reference, strange, everywhere, nowhere, 1, ALL) > near).all()
    usual = wrong(model, known, everywhere, nowhere, hidden_sets(3, 6))
    found = wrong(model, strange, everywhere, nowhere, hidden_sets(3, 6))
    assert (found[:, 2] > usual[:, 2]).all()


def test_a_cell_that_contradicts_the_others_surprises_most(mixed):
    model, _, _, _ = mixed
    rows = np.array([[1.0, 2.0, 1.0], [1.0, -2.0, 1.0]], np.float32)
    found = wrong(model, rows, np.ones((2, 3), bool), np.full(2, -1), hidden_sets(3, 8))
    assert (found[1, :2] > 3 * found[0, :2]).all()


def test_surprises_do_not_depend_on_the_rows_beside_and_skip_missing_cells(mixed):
    model, reference, values, observed = mixed
    places = remembered_places(model, reference, rows_of(values, observed))
    sets = hidden_sets(3, 5)
    together = wrong(model, values, observed, places, sets, np.ones(3))
    alone = [
        wrong(model, values[i], observed[i], places[i], sets, np.ones(3))[0]
        for i in np.arange(10)[:, None]
    ]
    np.testing.assert_array_equal(together[:10], alone)
    np.testing.assert_array_equal(np.isnan(together), ~observed)


def test_what_is_not_observed_changes_no_score(mixed):
    model, reference, values, observed = mixed
    places = remembered_places(model, reference, rows_of(values, observed))
    noise = np.where(observed, values, np.float32(77))
    np.testing.assert_array_equal(
        remembered_places(model, reference, rows_of(noise, observed)), places
    )
    for score in (
        lambda v: wrong(model, v, observed, places, hidden_sets(3, 3)),
        lambda v: far(model, reference, v, observed, places, 2, ALL),
    ):
        np.testing.assert_array_equal(score(values), score(noise))


@pytest.mark.parametrize("scale", [None, np.array([0.5, 1.0, 2.0])])
def test_surprises_of_the_first_guess_are_the_errors_of_what_the_model_says(mixed, scale):
    model, reference, values, observed = mixed
    values = values.copy()
    values[5, 2] = 3  # a level never seen
    places, sets = remembered_places(model, reference, rows_of(values, observed)), hidden_sets(3, 5)
    errors = np.full((len(sets), 90, 3), np.nan)
    for i, hidden in enumerate(sets):
        seen = torch.tensor(observed & ~hidden)[:, None]
        with torch.inference_mode():
            cells = (torch.tensor(values)[:, None], seen, torch.tensor(places)[:, None])
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
    found = wrong(model, values, observed, places, sets, scale)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("n_memory", [1000, 300, 30])
def test_few_rows_score_bit_for_bit_as_among_many(n_memory):
    torch.manual_seed(0)
    model = empty_model(n_memory)
    values = torch.randn(n_memory, 3)
    values[:, 2] = (values[:, 0] > 0) + torch.randint(2, (n_memory,))
    guess, observed = model.guess, torch.rand(n_memory, 3) < 0.9
    model.support.fit(values, observed)
    cells, visible = guess.coordinates.expand(values[:, None], observed[:, None])
    guess.base.fit(cells, visible)
    own = torch.arange(n_memory)[:, None]
    guess.memory.fill(cells, visible, guess.residuals(cells, visible), own)
    guess.stack_weights.fill_(0.4)
    reference = make_reference(model)
    random = np.random.default_rng(0)
    rows = random.normal(size=(1100, 3)).astype(np.float32)
    rows[:, 2] = random.integers(4, size=1100)
    there, places = random.random(rows.shape) < 0.8, random.integers(-1, n_memory, 1100)
    allowed = np.ones(n_memory, bool)

    def score(some: slice) -> np.ndarray:
        cells = (rows[some], there[some], places[some])
        apart = far(model, reference, *cells, 2, allowed)
        return np.column_stack([wrong(model, *cells, hidden_sets(3, 4)), apart])

    together = score(slice(None))
    for some in (slice(7, 8), slice(640, 690), slice(980, 1100)):
        np.testing.assert_array_equal(score(some), together[some])


def test_of_equal_remembered_rows_the_first_is_found(mixed):
    _, _, values, observed = mixed
    twice = np.vstack([values[:40], values[:40]])
    there = np.vstack([observed[:40], observed[:40]])
    double, rows = empty_model(80), rows_of(twice, there)
    cells, visible = double.guess.coordinates.expand(*rows.take(slice(None)))
    double.guess.memory.fill(cells, visible, torch.zeros_like(cells), torch.arange(80)[:, None])
    reference = make_reference(double)
    expected = [
        next(i for i in range(80) if (there[i] == one).all() and (twice[i][one] == row[one]).all())
        for row, one in zip(twice, there, strict=True)
    ]
    np.testing.assert_array_equal(remembered_places(double, reference, rows), expected)
    negative = np.where(twice == 0, np.float32(-0.0), twice)
    np.testing.assert_array_equal(
        remembered_places(double, reference, rows_of(negative, there)), expected
    )


def test_few_rows_of_a_wide_table_score_bit_for_bit_as_among_many():
    random = np.random.default_rng(0)
    values = (random.normal(size=(600, 4)) @ random.normal(size=(4, 60))).astype(np.float32)
    rows, places = rows_of(values, random.random(values.shape) < 0.9), np.full((600, 1), -1)
    model = fitted_model(rows, (0,) * 60)
    assert model.guess.base.n_factors  # a factor model
    sets, reference, allowed = hidden_sets(60, 4), make_reference(model), np.ones(600, bool)

    def score(some):
        cells = replace(rows, rows=rows.rows[some]), places[some]
        apart = distances(model, reference, *cells, 2, allowed, CPU).mean
        return np.column_stack([surprises(model, *cells, sets, CPU)[:, 0], apart])

    together = score(slice(None))
    for some in (slice(7, 8), slice(300, 350), slice(500, 600)):
        np.testing.assert_array_equal(score(some), together[some])


@pytest.mark.parametrize("n_memory", [5, 40])
def test_a_level_is_no_less_likely_than_one_seen_half_a_time_in_one_row_more(n_memory):
    place = torch.tensor([0, 1, -1])
    found = _at_least(empty_model(n_memory), torch.tensor([0.0, 0.9, 0.9]), place)
    held = min(N_REMEMBERED, empty_model(n_memory).config.n_memory)
    torch.testing.assert_close(found, torch.tensor([0.5 / (held + 1), 0.9, 0.5 / (held + 1)]))
