"""What the head of a labelled model weighs beside the target's own column."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from models import QUICK

from maetab import MAEClassifier, MAERegressor
from maetab.head import losses, share_of_head
from maetab.labelled import LabelledMAE

QUICKLY = {"guess": QUICK, "max_iter": 0, "random_state": 0}


def noisy(noise: float, seed: int, n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Return y and what is told of it in two copies of the rows, so much beside it."""
    y = np.random.default_rng(0).normal(size=n)
    return y, y + noise * np.random.default_rng(seed).normal(size=(2, n))


def share(column: np.ndarray, head: np.ndarray, y: np.ndarray) -> float:
    """Return what the head weighs where all copies weigh the same."""
    return share_of_head(column, head, y, np.ones(len(head)))


def test_copies_count_by_their_weights():
    y, good = noisy(0.05, 1)
    bad = noisy(2.0, 2)[1]
    column, head = np.concatenate([good, bad]), np.concatenate([bad, good])
    found = [share_of_head(column, head, y, np.repeat(w, 2)) for w in ([2, 0], [1, 1], [0, 2])]
    assert found == [0.0, 0.5, 1.0]


def test_losses_are_squared_errors_and_minus_logarithms_of_probabilities():
    assert losses(np.array([[1.0, 3.0]]), np.array([1.0, 1.0])).tolist() == [[0.0, 4.0]]
    chances = np.array([[[0.25, 0.75], [1.0, 0.0]]])
    found = losses(chances, np.array([1, 1]))[0]
    assert np.allclose(found, [-np.log(0.75), -np.log(1e-6)])


def test_who_is_far_better_weighs_all_and_of_equals_each_weighs_half():
    y, good = noisy(0.05, 1)
    bad, same = noisy(2.0, 2)[1], noisy(0.05, 3)[1]
    assert share(bad, good, y) == 1.0 and share(good, bad, y) == 0.0
    assert share(good, same, y) == 0.5 == share(good, good, y)


def test_a_weight_far_from_a_half_takes_more_than_a_standard_error():
    y, good = noisy(0.3, 1, n=2000)
    bad = noisy(0.6, 2, n=2000)[1]
    found = share(bad, good, y)
    inside = [x.clip(y.min(), y.max()) for x in (bad, good)]
    each = {w: np.square((1 - w) * inside[0] + w * inside[1] - y).mean(0) for w in (0.7, 0.8, 0.9)}
    best = min(each, key=lambda w: each[w].mean())  # 0.8 = 0.6^2 / (0.6^2 + 0.3^2)
    more = each[0.7] - each[best]
    nearer = more.mean() <= more.std() / np.sqrt(2000)
    assert best == 0.8 and found == (0.7 if nearer else 0.8)


def test_numbers_beyond_the_labels_count_as_the_last_of_them():
    y, good = noisy(0.05, 1)
    y[0], far = y.max(), good.copy()
    far[:, 0] = 1e6
    good[:, 0] = y[0]
    assert share(good, far, y) == 0.5


@given(st.integers(0, 10**6), st.booleans())
def test_the_share_lies_in_0_to_1_and_that_of_the_other_is_the_rest(seed: int, of_classes: bool):
    rng = np.random.default_rng(seed)
    if of_classes:
        y, told = rng.integers(0, 3, 30), rng.dirichlet(np.ones(3), (2, 2, 30))
    else:
        y, told = rng.normal(size=30), rng.normal(size=(2, 2, 30))
    found = share(*told, y)
    assert 0 <= found <= 1
    assert np.isclose(share(*told[::-1], y), 1 - found)


@pytest.mark.parametrize("cls", [MAERegressor, MAEClassifier])
def test_the_column_says_of_training_rows_nothing_that_their_own_label_told(cls, monkeypatch):
    # Half of the labels is noise: who tells it has seen them.
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=(150, 4)), rng.normal(size=150)
    y, held_out = x[:, 0] + noise, []
    y = y if cls is MAERegressor else (y > 0).astype(int)
    x = np.where(rng.random(x.shape) < 0.1, np.nan, x)
    whole = LabelledMAE._held_out_column

    def watched(self, *given):
        held_out.append(whole(self, *given))
        assert len(self.model_.guess.folds) > 0
        return held_out[0]

    monkeypatch.setattr(LabelledMAE, "_held_out_column", watched)
    guess = replace(QUICK, cross_fitted=True)
    model = cls(guess=guess, max_iter=0, random_state=0).fit(x, y)
    assert model.model_.guess.folds == []
    order = np.random.default_rng(0).permutation(150)  # in which the head takes labelled rows
    told = held_out[0][..., 1] if cls is MAEClassifier else held_out[0]
    assert told.shape == (3, 150) and all(np.ptp(each) > 0.01 for each in told)
    assert all(abs(np.corrcoef(each, noise[order])[0, 1]) < 0.2 for each in told)


def test_a_target_that_similar_rows_tell_is_left_to_its_column_and_a_bent_one_to_the_head():
    x = np.random.default_rng(0).normal(size=(200, 10))
    shares = [
        MAERegressor(max_iter=0, preset="fast", random_state=0).fit(x, y).head_["share"]
        for y in (x[:, 0] * x[:, 1], np.abs(x[:, 0]))
    ]
    assert shares[0] < 0.5 < shares[1]
