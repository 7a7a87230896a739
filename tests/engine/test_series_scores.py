"""Cells of series beside their neighbours in time."""

from __future__ import annotations

import numpy as np
import pytest

from maetab.engine import series_scores
from maetab.engine.inference import windows_of
from maetab.engine.scoring import Levels
from maetab.engine.series_scores import NEAR, SeriesScorer, beside, neighbour_means

NUMBER, CATEGORY = np.array([True]), np.array([False])


def windows(rows, n):
    return windows_of(np.zeros((n, 1), np.float32), np.ones((n, 1), bool), np.array(rows))


def test_means_of_neighbours_are_those_of_each_cell_looked_up_alone():
    random = np.random.default_rng(0)
    cells = random.normal(size=(60, 2))
    cells[random.random(cells.shape) < 0.3] = np.nan
    run = np.repeat([0, 1, 2], [40, 3, 17])
    means, count = neighbour_means(cells, run)
    for i, j in ((0, 0), (17, 1), (39, 0), (40, 1), (59, 0)):
        near = [
            cells[k, j]
            for k in range(60)
            if k != i and run[k] == run[i] and abs(k - i) <= NEAR and not np.isnan(cells[k, j])
        ]
        assert count[i, j] == len(near)
        assert means[i, j] == pytest.approx(np.mean(near) if near else 0)


def test_rows_that_windows_hold_one_after_the_other_are_one_run():
    overlapping = windows([[0, 1, 2], [2, 3, -1], [4, -1, 5]], 7)
    assert overlapping.runs().tolist() == [0, 0, 0, 0, 1, 1, 2]


def test_a_cell_is_as_strange_as_it_is_among_those_beside_it():
    random = np.random.default_rng(1)
    noise = random.normal(size=(200, 1)) * np.repeat([0.1, 5.0], 100)[:, None]
    noise[50], noise[150] = 1.0, 1.0  # ten deviations there, a fifth of one here
    strange = beside(noise, noise, np.zeros(200, int), NUMBER)[:, 0]
    assert strange.argmax() == 50 and strange[150] < np.median(strange)
    # The unit of a column is nothing to it, but for the little that the whole column counts.
    np.testing.assert_allclose(
        beside(7 * noise, 7 * noise, np.zeros(200, int), NUMBER)[:, 0], strange, rtol=0.01
    )


def test_a_level_is_strange_beside_others_that_were_expected():
    rare = np.full((40, 1), 0.1)
    rare[20] = 3.0
    strange = beside(rare, rare, np.zeros(40, int), CATEGORY)[:, 0]
    assert strange.argmax() == 20
    unrest = np.where(np.arange(40)[:, None] == 20, 3.0, 2.0)
    assert beside(unrest, unrest, np.zeros(40, int), CATEGORY)[20, 0] < strange[20]


def test_cells_out_of_reach_change_nothing_and_cells_alone_are_judged():
    random = np.random.default_rng(2)
    cells, run = random.normal(size=(100, 1)), np.zeros(100, int)
    moved = cells.copy()
    moved[50 + series_scores.SeriesScorer.reach + 1 :] *= 1e9
    one, other = (beside(x, x, run, NUMBER) for x in (cells, moved))
    np.testing.assert_array_equal(one[:51], other[:51])
    alone = beside(np.array([[2.0]]), np.array([[5.0]]), np.zeros(1, int), NUMBER)
    np.testing.assert_allclose(alone, np.log1p(2.0))


def test_a_window_counts_a_little_more_for_the_rows_in_its_middle(monkeypatch):
    cells = windows([[0, 1, 2], [1, 2, 3]], 4)
    energy = np.repeat([[1.0], [3.0]], 3, axis=1)
    found = series_scores.Strange(np.zeros((2, 3, 1)), energy)
    monkeypatch.setattr(series_scores, "strangeness", lambda *_: found)
    monkeypatch.setattr(SeriesScorer, "_cells", lambda *_: np.zeros((4, 1)))
    monkeypatch.setattr(SeriesScorer, "surprisal", lambda self, cells: cells)
    scorer = SeriesScorer(None, None, Levels(CATEGORY, [()], np.zeros(1)), None, None)
    parts = scorer.evidence(cells).parts[:, 0]
    assert parts[0] == 1 and parts[3] == 3
    assert 1.9 < parts[1] < 2 < parts[2] < 2.1
