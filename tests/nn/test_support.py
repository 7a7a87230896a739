from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from maetab.nn.support import Support

LEVELS = (0, 3, 0)


def a_table(n: int = 200, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """A skewed number, a category and a number of five values."""
    rng = np.random.default_rng(seed)
    columns = [rng.exponential(size=n), rng.integers(0, 3, n), rng.integers(0, 5, n) / 2]
    observed = torch.tensor(rng.random((n, 3)) < 0.9)
    return torch.tensor(np.stack(columns, 1), dtype=torch.float32), observed


def fitted(n_bins: int = 8, seed: int = 0) -> Support:
    support = Support(LEVELS, n_bins)
    support.fit(*a_table(seed=seed))
    return support


def chances(n: int, support: Support, seed: int = 0) -> torch.Tensor:
    """Random distributions (n, F, K) over what is possible."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.rand(n, *support.share.shape, generator=generator) * (support.share > 0)
    return drawn / drawn.sum(-1, keepdim=True)


columns = st.lists(
    st.floats(-1e3, 1e3, width=32, allow_subnormal=False) | st.integers(-3, 3).map(float),
    min_size=1,
    max_size=80,
)


@given(column=columns, n_bins=st.integers(1, 40))
@settings(max_examples=100, deadline=None)
def test_bins_are_sorted_apart_and_hold_every_value(column, n_bins):
    values = torch.tensor(column)[:, None]
    support = Support((0,), n_bins)
    support.fit(values, torch.ones_like(values, dtype=torch.bool))
    k = int((support.share[0] > 0).sum())
    lower, upper, center = (getattr(support, n)[0, :k] for n in ("lower", "upper", "center"))
    assert 1 <= k <= n_bins
    assert (lower <= center).all() and (center <= upper).all()
    assert (upper[:-1] < lower[1:]).all()
    assert float(support.share.sum()) == pytest.approx(1, abs=1e-5)
    index = support.index(values)
    counts = torch.bincount(index[:, 0], minlength=k) / len(column)
    torch.testing.assert_close(counts, support.share[0, :k])
    x = values[:, 0]
    assert (support.lower[0, index[:, 0]] <= x).all() and (x <= support.upper[0, index[:, 0]]).all()


def test_centers_are_the_means_of_their_bins():
    support, (values, observed) = fitted(), a_table()
    column = values[observed[:, 0], 0]
    index = support.index(values)[observed[:, 0], 0]
    for k in range(8):
        assert float(support.center[0, k]) == pytest.approx(float(column[index == k].mean()), 1e-4)


def test_few_values_get_a_bin_each():
    support = fitted()
    assert support.center[2, :5].tolist() == [0.0, 0.5, 1.0, 1.5, 2.0]
    assert torch.equal(support.lower[2, :5], support.upper[2, :5])


def test_levels_are_counted_and_unknown_ones_have_no_index():
    values, observed = a_table()
    support = Support((0, 2, 0), 8)  # the third level is not modelled
    support.fit(values, observed)
    seen = values[observed[:, 1], 1]
    count = np.array([(seen == 0).sum(), (seen == 1).sum()])
    np.testing.assert_allclose(support.share[1, :2], (count + 0.5) / (count + 0.5).sum(), rtol=1e-5)
    assert support.index(torch.tensor([[0.0, 2.0, 0.0]]))[0, 1] == -1


def test_only_observed_cells_are_fitted():
    values, observed = a_table()
    support = Support(LEVELS, 8)
    support.fit(torch.where(observed, values, float("nan")), observed)
    for mine, theirs in zip(fitted().buffers(), support.buffers(), strict=True):
        assert torch.equal(mine, theirs)


def test_a_column_without_a_cell_stands_at_the_mean():
    support = Support((0, 2), 4)
    support.fit(torch.zeros(5, 2), torch.zeros(5, 2, dtype=torch.bool))
    torch.testing.assert_close(support.share.sum(1), torch.ones(2))
    assert (support.share * support.center)[0].sum() == 0


@given(seed=st.integers(0, 999))
@settings(max_examples=25, deadline=None)
def test_quantile_of_the_rank_is_the_value_inside_bins(seed):
    support = fitted()
    generator = torch.Generator().manual_seed(seed)
    probabilities = chances(20, support, seed).clamp_min(1e-3) * (support.share > 0)
    probabilities = probabilities / probabilities.sum(-1, keepdim=True)
    bins = torch.randint(8, (20,), generator=generator)
    part = torch.rand(20, generator=generator)
    lower, upper = support.lower[0, bins], support.upper[0, bins]
    x = torch.zeros(20, 3)
    x[:, 0] = lower + part * (upper - lower)
    level = torch.zeros(20, 3)
    level[:, 0] = support.rank(torch.zeros(20).long(), probabilities[:, 0], x[:, 0], part)
    back = support.quantile(probabilities, level)
    inside = (part > 0.01) & (part < 0.99)
    wide = (upper - lower) > 1e-3
    torch.testing.assert_close(back[inside & wide, 0], x[inside & wide, 0], atol=2e-3, rtol=2e-3)


def test_quantile_is_that_of_a_histogram():
    support, probabilities = fitted(), chances(1, fitted())
    levels = np.linspace(0.01, 0.99, 40)
    p = probabilities[0, 0].double().numpy()
    ends = np.concatenate([[0], p.cumsum()])
    for level in levels:
        k = np.searchsorted(ends[1:], level)
        part = (level - ends[k]) / p[k]
        wanted = float(support.lower[0, k]) + part * float(
            support.upper[0, k] - support.lower[0, k]
        )
        got = support.quantile(probabilities, torch.full((1, 3), float(level)))[0, 0]
        assert float(got) == pytest.approx(wanted, abs=1e-4)


def test_quantiles_rise_with_the_level_and_stay_in_the_range():
    support, probabilities = fitted(), chances(10, fitted())
    levels = torch.linspace(0, 1, 51)
    found = torch.stack([support.quantile(probabilities, level.expand(10, 3)) for level in levels])
    assert (found.diff(dim=0) >= -1e-6).all()
    values, observed = a_table()
    seen = values[observed[:, 0], 0]
    assert found[..., 0].min() >= seen.min() and found[..., 0].max() <= seen.max()
    assert set(found[..., 1].unique().tolist()) <= {0.0, 1.0, 2.0}


def test_uniform_levels_give_draws_with_the_probabilities():
    support, probabilities = fitted(), chances(1, fitted())
    generator = torch.Generator().manual_seed(0)
    drawn = support.quantile(
        probabilities.expand(20_000, -1, -1), torch.rand(20_000, 3, generator=generator)
    )
    for j in range(3):
        index = support.index(drawn)[:, j]
        share = torch.bincount(index, minlength=8)[:8] / 20_000
        assert (share - probabilities[0, j]).abs().max() < 0.02


@pytest.mark.parametrize("column", [0, 2])  # of many values, and of five
def test_ranks_of_truths_are_uniform_under_their_own_distribution(column):
    values, _ = a_table(5000)
    support = Support(LEVELS, 32)
    support.fit(values, torch.ones(5000, 3, dtype=torch.bool))
    spread = torch.rand(5000, generator=torch.Generator().manual_seed(0))
    own = support.share[column].expand(5000, -1)
    rank = support.rank(torch.full((5000,), column), own, values[:, column], spread).sort().values
    assert (rank - torch.linspace(0, 1, 5000)).abs().max() < 0.02


def test_an_end_of_an_interval_takes_a_number_whole_where_half_of_it_is_inside():
    support = fitted()
    share = torch.tensor([0.1, 0.2, 0.4, 0.2, 0.1])  # of 0, 0.5, 1, 1.5 and 2
    chances = torch.zeros(1, 3, 8)
    chances[..., 0] = 1
    chances[0, 2] = nnf_pad(share)
    for low, high, wanted in (
        (0.04, 0.96, (0.0, 2.0)),  # more than half of the outermost is inside
        (0.06, 0.94, (0.5, 1.5)),  # less
        (0.21, 0.79, (1.0, 1.0)),
        (0.19, 0.94, (0.5, 1.5)),
        (0.49, 0.51, (1.0, 1.0)),  # no number lies halfway inside: the one that holds both
    ):
        ends = support.ends(chances, *(torch.full((1, 3), x) for x in (low, high)))
        assert tuple(float(end[0, 2]) for end in ends) == wanted, (low, high)


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.95])
def test_ends_of_intervals_cover_nearer_to_what_they_say_than_all_that_they_touch(coverage):
    generator = torch.Generator().manual_seed(0)
    support, off = fitted(), []
    for _ in range(300):
        share = torch.rand(5, generator=generator).square()
        share = share / share.sum()
        chances = torch.zeros(1, 3, 8)
        chances[..., 0] = 1
        chances[0, 2] = nnf_pad(share)
        levels = [torch.full((1, 3), (1 + side * coverage) / 2) for side in (-1, 1)]
        touched = [support.quantile(chances, level) for level in levels]
        for low, high in (support.ends(chances, *levels), touched):
            values = support.center[2, :5]
            inside = (low[0, 2] <= values) & (values <= high[0, 2])
            off.append(float(share[inside].sum()) - coverage)
    mine, theirs = np.array(off).reshape(-1, 2).T
    assert 0 <= mine.mean() < 0.9 * theirs.mean()
    assert np.abs(mine).mean() < np.abs(theirs).mean()


def nnf_pad(share: torch.Tensor) -> torch.Tensor:
    """Return shares (5,) of the values of the third column as those of its eight bins."""
    return torch.nn.functional.pad(share, (0, 3))


def test_number_logits_integrate_the_normal_over_the_bins():
    support = fitted()
    mean, variance = torch.tensor([[0.7, 0.0, 1.2]]), torch.tensor([[0.4, 0.0, 0.01]])
    got = support.number_logits(mean, variance)[0].exp().numpy()
    for j in (0, 2):
        edges = np.concatenate([[-np.inf], support.edges[j].numpy(), [np.inf]])
        mass = np.diff(norm.cdf(edges, float(mean[0, j]), np.sqrt(float(variance[0, j]) + 1e-4)))
        wanted = 0.95 * mass + 0.05 * support.share[j].numpy()
        np.testing.assert_allclose(got[j], wanted, atol=1e-6)
        assert got[j].sum() == pytest.approx(1, abs=1e-5)


def test_level_logits_are_the_clipped_guesses_mixed_with_the_marginal():
    support = fitted()
    got = support.level_logits(1, torch.tensor([[0.5, -0.2, 1.5], [-1.0, -1.0, -1.0]])).softmax(-1)
    share = support.share[1, :3]
    wanted = 0.9 * torch.tensor([0.25, 0.0, 0.75]) + 0.1 * share
    torch.testing.assert_close(got[0, :3], wanted)
    torch.testing.assert_close(got[1, :3], share)
    assert (got[:, 3:] == 0).all()


def test_bins_of_numbers_that_all_differ_hold_as_many_each():
    support = Support((0,), 4)
    support.fit(torch.arange(40.0)[:, None], torch.ones(40, 1, dtype=torch.bool))
    assert support.share[0].tolist() == [0.25] * 4
    assert support.lower[0].tolist() == [0, 10, 20, 30]


def test_the_end_of_a_distribution_lies_where_its_share_ends():
    support = Support((0,), 4)
    support.fit(torch.arange(40.0)[:, None], torch.ones(40, 1, dtype=torch.bool))
    chances = torch.tensor([[[0.5, 0.5, 0.0, 0.0]]])
    ends = [support.quantile(chances, torch.tensor([[x]])).item() for x in (0.0, 0.5, 1.0)]
    assert ends == [0, 9, 19]


def test_equal_numbers_lie_at_their_spread_of_the_share_of_their_bin():
    support = Support((0,), 4)
    support.fit(torch.arange(4.0)[:, None], torch.ones(4, 1, dtype=torch.bool))
    spread = torch.tensor([0.0, 0.25, 1.0])
    chances = torch.tensor([[0.25, 0.5, 0.125, 0.125]] * 3)
    rank = support.rank(torch.zeros(3, dtype=torch.long), chances, torch.ones(3), spread)
    assert rank.tolist() == [0.25, 0.375, 0.75]
