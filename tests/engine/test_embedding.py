"""Readouts of fitted models: their sizes, their way back, their independence of the batch."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch

from maetab.engine import embed
from maetab.engine.fit import FitOptions, fit_model
from maetab.nn.masking import Bernoulli
from maetab.nn.model import Ensemble, ModelConfig

CPU = torch.device("cpu")
N_LEVELS = (0, 3, 0)


def table(n_rows: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two numbers and a category that go together; a fifth of the cells is missing."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n_rows)
    values = np.stack([x, np.digitize(x, [-0.5, 0.5]), x**2 - 1], 1).astype(np.float32)
    observed = rng.random(values.shape) > 0.2
    return (values * observed)[:, None], observed[:, None]


@pytest.fixture(scope="module")
def model() -> Ensemble:
    config = ModelConfig(N_LEVELS, width=8, n_heads=2, n_estimators=2)
    return fit_model(config, *table(), FitOptions(Bernoulli(0.3), max_iter=3))[0]


def both(model: Ensemble, values, observed, readout: str) -> list[np.ndarray]:
    """The readout and the pieces behind it."""
    found = embed.embed_rows(model, values, observed, CPU, readout, with_pieces=True)
    return np.split(found, [embed.latent_size(model.config, readout)], axis=1)


@pytest.mark.parametrize("readout", embed.READOUTS)
def test_every_readout_has_the_size_it_says_and_is_finite(model, readout):
    latent, pieces = both(model, *table(), readout)
    assert latent.shape == (200, embed.latent_size(model.config, readout))
    assert pieces.shape == (200, sum(embed.piece_sizes(model.prior.support)))
    assert np.isfinite(latent).all() and np.isfinite(pieces).all()


@pytest.mark.parametrize("readout", embed.READOUTS)
def test_readouts_are_means_over_the_completed_rows(model, readout):
    values, observed = table(seed=1)
    latent, pieces = both(model, values, observed, readout)
    there = torch.tensor(observed)
    with torch.inference_mode():
        wholes = embed._complete(model.eval(), torch.tensor(values), there, len(values))
        tokens = torch.stack(
            [
                torch.stack([m.encode(whole, torch.ones_like(there)) for m in model.members], 1)
                for whole in wholes
            ]
        ).mean(0)
        encode = embed.Pieces(model.prior.support)
        encoded = torch.stack([encode(whole[:, 0]) for whole in wholes])
    expected = {
        "concat": tokens.flatten(1),
        "mean": tokens[:, :, 1:].mean(2).flatten(1),
        "cls": tokens[:, :, 0].flatten(1),
    }[readout].numpy()
    assert expected.shape[1] == embed.block_sizes(model.config, readout)[0]
    np.testing.assert_allclose(latent[:, : expected.shape[1]], expected, atol=1e-5)
    np.testing.assert_allclose(pieces, encoded.mean(0), atol=1e-5)


def test_a_missing_cell_takes_each_of_its_quantiles_once(model):
    values, observed = (torch.tensor(x) for x in table(seed=1))
    with torch.inference_mode():
        wholes = embed._complete(model.eval(), values, observed, len(values))
        chances = model(values, observed)[0][:, 0]
    taken = torch.stack(wholes)[:, :, 0].sort(0).values
    n = len(wholes)
    assert n == embed.N_COMPLETIONS
    for i in range(n):
        level = torch.full(observed[:, 0].shape, (i + 0.5) / n)
        expected = torch.where(
            observed[:, 0], values[:, 0], model.prior.support.quantile(chances, level)
        )
        torch.testing.assert_close(taken[i], expected)
    assert not torch.equal(wholes[0], torch.stack(wholes).sort(0).values[0])  # orders differ


def test_complete_rows_are_read_as_they_are(model):
    values, observed = (torch.tensor(x) for x in table(seed=1))
    wholes = embed._complete(model, values, torch.ones_like(observed), len(values))
    assert len(wholes) == 1 and torch.equal(wholes[0], values)


@pytest.mark.parametrize("n_components", [1, 2, 5, 9, 70])
def test_a_row_reads_the_same_alone_and_among_others(model, n_components):
    values, observed = table(700)
    size = embed.latent_size(model.config, "concat")
    rng = np.random.default_rng(0)
    components = rng.normal(size=(n_components, size)).astype(np.float32)
    projection = embed.Projection(np.zeros(size, np.float32), components)
    read = partial(embed.embed_rows, model, device=CPU, readout="concat", projection=projection)
    every = read(values, observed, with_pieces=True)
    for rows in (slice(3, 4), slice(0, 700, 7), slice(None, None, -1)):
        some = read(values[rows], observed[rows], with_pieces=True)
        np.testing.assert_array_equal(every[rows], some)


def test_a_projection_is_the_linear_map_of_the_readout(model):
    size = embed.latent_size(model.config, "cls")
    rng = np.random.default_rng(0)
    mean, components = (rng.normal(size=s).astype(np.float32) for s in (size, (4, size)))
    plain = embed.embed_rows(model, *table(), CPU, "cls")
    mapped = embed.embed_rows(model, *table(), CPU, "cls", embed.Projection(mean, components))
    np.testing.assert_allclose(mapped, (plain - mean) @ components.T, atol=1e-4)


def test_a_missing_cell_is_not_read(model):
    values, observed = table()
    wild = np.where(observed, values, np.float32(1e6))
    read = partial(embed.embed_rows, model, device=CPU, readout="concat", with_pieces=True)
    np.testing.assert_array_equal(read(values, observed), read(wild, observed))


def test_observed_cells_come_back_from_their_pieces(model):
    values, observed = table()
    _, pieces = both(model, values, observed, "cls")
    back, known = embed.decode_pieces(model.prior.support, pieces)
    assert known.all()
    np.testing.assert_array_equal(back[observed[:, 0]], values[:, 0][observed[:, 0]])


def test_a_level_that_is_not_known_has_no_piece_and_comes_back_missing(model):
    values = np.array([[[0.3, 3.0, -0.2]]], np.float32)
    _, pieces = both(model, values, np.ones((1, 1, 3), bool), "cls")
    _, known = embed.decode_pieces(model.prior.support, pieces)
    assert known.tolist() == [[True, False, True]]


def test_a_remembered_row_is_most_similar_to_itself_and_similarities_are_a_kernel(model):
    values, observed = embed.remembered_rows(model)
    latent = embed.embed_rows(model, values, observed, CPU, "concat")
    n_tokens, n = embed.block_sizes(model.config, "concat")
    similar = latent[:, n_tokens:].astype(np.float64)
    assert similar.shape == (len(values), n) and n == 200
    taken = model.prior.memory.visible.numpy().any(1)
    whole = observed.all((1, 2))  # a row that misses something is a mean of several
    own = similar[whole][:, np.flatnonzero(taken)[whole]]
    np.testing.assert_allclose(np.diag(own), 1.0, atol=1e-4)
    np.testing.assert_allclose(own, own.T, atol=1e-4)
    assert np.linalg.eigvalsh(own).min() > -1e-3


def test_similarities_weigh_columns_as_the_first_guess_has_learned(model):
    """Computed from the memory by NumPy: a Gaussian kernel whose width is the median."""
    memory = model.prior.memory
    values, observed = embed.remembered_rows(model)
    latent = embed.embed_rows(model, values, observed, CPU, "concat")
    similar = latent[:, embed.block_sizes(model.config, "concat")[0] :].astype(np.float64)
    whole = np.flatnonzero(observed.all((1, 2)))
    weight = (memory.log_weight.exp() * memory.choice.softmax(0)).sum(0).detach().numpy()
    assert weight.max() > 1.5 * weight.min()  # or no weights would do as well
    number, level = values[whole, 0][:, [0, 2]], values[whole, 0, 1]
    far = (np.square(number[:, None] - number) * weight[[0, 2]]).sum(-1)
    far += 2 * weight[1] * (level[:, None] != level)  # two indicators differ
    taken = np.flatnonzero(memory.visible.numpy().any(1))[whole]
    found = -np.log(similar[np.ix_(whole, taken)])
    far_apart = far > 0.1 * np.median(far)
    ratio = found[far_apart] / far[far_apart]
    np.testing.assert_allclose(ratio, np.median(ratio), rtol=1e-2)


def test_numbers_beyond_the_farthest_are_not_told_apart(model):
    values, observed = table(2)
    observed[:] = True
    values[:, 0, 0] = 1e13, 1e25
    values[:, 0, 1:] = values[0, 0, 1:]
    for readout in embed.READOUTS:
        latent = embed.embed_rows(model, values, observed, CPU, readout)
        assert np.isfinite(latent).all()
        np.testing.assert_array_equal(latent[0], latent[1])


def test_remembered_rows_are_training_rows(model):
    values, observed = table()
    kept, there = embed.remembered_rows(model)
    assert len(kept) == observed.any((1, 2)).sum()
    train = {
        (*v.ravel().tolist(), *o.ravel().tolist()) for v, o in zip(values, observed, strict=True)
    }
    for row, seen in zip(kept, there, strict=True):
        assert (*(row * seen).ravel().tolist(), *seen.ravel().tolist()) in train


def test_pieces_are_those_of_each_cell_computed_by_numpy(model):
    support = model.prior.support
    values = np.concatenate([table(50, seed=2)[0][:, 0], [[1e25, 3, -1e25], [-0.5, 2, 0.0]]])
    values = values.astype(np.float32)
    found = embed.Pieces(support)(torch.tensor(values)).numpy()
    expected = []
    for j, n_levels in enumerate(N_LEVELS):
        column = values[:, j]
        if n_levels:
            expected += [column == level for level in range(n_levels)]
            continue
        expected.append(column)
        center = support.center[j].numpy()[support.share[j].numpy() > 0]
        for n_steps in embed.piece_steps(support, j):
            knots = center[np.linspace(0, len(center) - 1, n_steps + 1).round().astype(int)]
            for a, b in pairwise(knots):
                expected.append(((column - a) / max(b - a, np.float32(1e-9))).clip(0, 1))
    np.testing.assert_array_equal(found, np.stack(expected, 1).astype(np.float32))


def test_how_columns_are_encoded_is_worked_out_once_whatever_the_rows(model, monkeypatch):
    calls, steps = [], embed.piece_steps
    monkeypatch.setattr(embed, "piece_steps", lambda *of: calls.append(of) or steps(*of))
    counts = []
    for n_rows in (20, 2000):
        calls.clear()
        embed.embed_rows(model, *table(n_rows), CPU, "concat", with_pieces=True)
        counts.append(len(calls))
    assert counts[0] == counts[1] > 0
    calls.clear()
    embed.embed_rows(model, *table(2000), CPU, "concat")
    assert calls == []
