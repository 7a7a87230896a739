from __future__ import annotations

import math

import numpy as np
import torch

from maetab.nn.guess.coordinates import Coordinates
from maetab.nn.guess.stack import Guess
from maetab.nn.tokens import PiecewiseLinear, Tokens, per_column, time_identity

LEVELS = (0, 3, 0, 2)


def some_tokens(seed: int = 0) -> Tokens:
    torch.manual_seed(seed)
    tokens = Tokens(LEVELS, 4, 8)
    tokens.parts.data.normal_()
    tokens.pieces.fit(torch.randn(50, 2), torch.ones(50, 2, dtype=torch.bool))
    return tokens


def a_guess(n: int = 5) -> Guess:
    c = Coordinates(LEVELS, 1).size
    return Guess(torch.randn(n, 1, c), torch.rand(n, 1, c), torch.randn(n, 1, c, 3))


def test_pieces_are_those_computed_by_hand():
    pieces = PiecewiseLinear(1, 4)
    # Five values, four pieces: the edges are 0 | 1 | 3 | 7 | 8.
    column = torch.tensor([[7.0], [0.0], [3.0], [8.0], [1.0]])
    pieces.fit(column, torch.ones(5, 1, dtype=torch.bool))
    found = pieces(torch.tensor([[-2.0], [0.25], [2.0], [8.0], [100.0]]))[:, 0]
    assert found[:, :4].tolist() == [
        [0.0, 0.0, 0.0, 0.0],
        [0.25, 0.0, 0.0, 0.0],
        [1.0, 0.5, 0.0, 0.0],
        [1.0, 1.0, 1.0, 1.0],
        [1.0, 1.0, 1.0, 1.0],
    ]
    wanted = [-math.log(3), math.log(1.25), math.log(3), math.log(9), math.log(101)]
    np.testing.assert_allclose(found[:, 4], wanted, rtol=1e-6)


def test_pieces_are_fitted_to_observed_cells_only():
    values, observed = torch.randn(40, 2), torch.rand(40, 2) < 0.6
    one, other = PiecewiseLinear(2, 5), PiecewiseLinear(2, 5)
    one.fit(values, observed)
    other.fit(torch.where(observed, values, float("nan")), observed)
    assert torch.equal(one.start, other.start) and torch.equal(one.inverse, other.inverse)


def test_a_column_with_few_values_or_none_leaves_pieces_unused():
    pieces = PiecewiseLinear(3, 4)
    values = torch.tensor([[1.0, 0.0, 5.0], [1.0, 1.0, 5.0]])
    observed = torch.tensor([[True, True, False], [True, True, False]])
    pieces.fit(values, observed)
    found = pieces(torch.tensor([[1.0, 0.5, 9.0]]))
    assert torch.isfinite(found).all()
    assert found[0, 0, :4].tolist() == [0.0] * 4
    assert found[0, 1, :4].tolist() == [0.5, 0.0, 0.0, 0.0]
    assert found[0, 2, :4].tolist() == [0.0] * 4


def test_pieces_grow_with_the_value():
    pieces = PiecewiseLinear(1, 6)
    pieces.fit(torch.randn(100, 1), torch.ones(100, 1, dtype=torch.bool))
    found = pieces(torch.linspace(-4, 4, 50)[:, None])
    assert (found.diff(dim=0) >= 0).all()


def test_the_token_of_a_cell_depends_on_that_cell_alone():
    tokens = some_tokens()
    values = torch.tensor([[0.3, 1.0, -0.7, 0.0]])
    before = tokens.visible(values)
    for j in range(4):
        changed = values.clone()
        changed[0, j] = 2.0
        differs = (tokens.visible(changed) != before)[0].any(-1)
        assert differs.tolist() == [i == j for i in range(4)]


def test_equal_cells_of_two_columns_have_different_tokens():
    found = some_tokens().visible(torch.zeros(1, 4))
    assert len({tuple(token.tolist()) for token in found[0].detach()}) == 4


def test_levels_behind_the_last_share_the_unseen_token():
    tokens = some_tokens()
    one, other = (tokens.visible(torch.tensor([[0.0, code, 0.0, 0.0]])) for code in (3.0, 7.0))
    assert torch.equal(one, other)
    torch.testing.assert_close(one[0, 1], tokens.level[0, 3] + tokens.feature[1])
    last = tokens.visible(torch.tensor([[0.0, 0.0, 0.0, 5.0]]))
    torch.testing.assert_close(last[0, 3], tokens.level[1, 2] + tokens.feature[3])


def test_mask_tokens_are_the_sum_written_out_by_hand():
    tokens, guess = some_tokens(), a_guess()
    found = tokens.hidden(guess)
    mean, variance, parts = (part[:, 0] for part in guess[:3])
    pieces = tokens.pieces(mean[:, [0, 4]])
    for i, (j, c) in enumerate([(0, 0), (2, 4)]):
        rest = torch.cat([parts[:, c].clamp(-8, 8), variance[:, c, None].sqrt()], 1)
        wanted = pieces[:, i] @ tokens.number_guess[i] + rest @ tokens.parts[i]
        torch.testing.assert_close(found[:, j], wanted + tokens.feature[j] + tokens.mask)
    for i, (j, levels) in enumerate([(1, slice(1, 4)), (3, slice(5, 7))]):
        wanted = mean[:, levels] @ tokens.level[i, : LEVELS[j]]
        torch.testing.assert_close(found[:, j], wanted + tokens.feature[j] + tokens.mask)


def test_guesses_beyond_eight_deviations_give_the_mask_token_of_eight():
    tokens, guess = some_tokens(), a_guess()
    found = [
        tokens.hidden(guess._replace(parts=torch.full_like(guess.parts, far)))
        for far in (8.0, 500.0, -8.0, -500.0)
    ]
    assert torch.equal(found[0], found[1]) and torch.equal(found[2], found[3])
    assert not torch.equal(found[0], found[2])


def test_tables_of_one_kind_of_column_have_tokens():
    for levels in ((0, 0), (2, 5), (0,), (1,)):
        tokens = Tokens(levels, 4, 8)
        n = sum(max(k, 1) for k in levels)
        guess = Guess(torch.zeros(3, 1, n), torch.ones(3, 1, n), torch.zeros(3, 1, n, 3))
        assert tokens.visible(torch.zeros(3, len(levels))).shape == (3, len(levels), 8)
        assert tokens.hidden(guess).shape == (3, len(levels), 8)


def test_per_column_is_one_product_for_each_column():
    values, weight = torch.randn(6, 3, 4), torch.randn(3, 4, 5)
    wanted = torch.stack([values[:, j] @ weight[j] for j in range(3)], 1)
    torch.testing.assert_close(per_column(values, weight), wanted)


def test_steps_are_told_apart_by_sines_and_cosines():
    found = time_identity(6, 8, torch.zeros(1)).numpy()
    for step, place in np.ndindex(6, 4):
        angle = step / 10_000 ** (2 * place / 8)
        np.testing.assert_allclose(found[step, place], math.sin(angle), atol=1e-6)
        np.testing.assert_allclose(found[step, 4 + place], math.cos(angle), atol=1e-6)
    assert time_identity(4, 7, torch.zeros(1)).shape == (4, 7)


def test_mask_tokens_of_several_steps_are_those_of_each_step():
    tokens, steps = some_tokens(), [a_guess(), a_guess()]
    both = Guess(*(torch.cat(parts, 1) for parts in zip(*(x[:3] for x in steps), strict=True)))
    found = tokens.hidden(both).unflatten(0, (5, 2))
    for step, guess in enumerate(steps):
        torch.testing.assert_close(found[:, step], tokens.hidden(guess))
