"""Readouts of fitted models: their sizes, their way back, their independence of the batch."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from models import CPU, config, fit, fit_options
from models import windows as windows_over

from maetab.components import principal_axes
from maetab.engine import embedding as embed
from maetab.engine.inference import windows_of
from maetab.engine.pieces import Pieces, decode_pieces, piece_sizes, piece_steps
from maetab.engine.reference import remembered
from maetab.nn.ensemble import Ensemble
from maetab.nn.guess.options import GuessOptions
from maetab.nn.windows import Windows

N_LEVELS = (0, 3, 0)
NONE_BLANK = torch.zeros(3, dtype=torch.bool)


def table(n_rows: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two numbers and a category that go together; a fifth of the cells is missing."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n_rows)
    values = np.stack([x, np.digitize(x, [-0.5, 0.5]), x**2 - 1], 1).astype(np.float32)
    observed = rng.random(values.shape) > 0.2
    return values * observed, observed


@pytest.fixture(scope="module")
def model() -> Ensemble:
    return a_model(1)


@pytest.fixture(scope="module")
def keyless() -> Ensemble:
    """A model whose row attention has no keys, as those of the first version."""
    return a_model(1, guess=GuessOptions(key_width=0, tuning_steps=20))


@pytest.fixture(scope="module")
def series() -> Ensemble:
    """A model of windows of two steps."""
    return a_model(2)


def a_model(t: int, **parts: object) -> Ensemble:
    sizes = {"n_bins": 32, "n_pieces": 16, "dropout": 0.1} | parts
    small = config(N_LEVELS, n_steps=t, n_members=2, **sizes)
    return fit(small, table(), fit_options(max_iter=3))[0]


def windows(n_rows: int = 200, t: int = 1, seed: int = 0) -> Windows:
    return windows_over(*table(n_rows, seed), t)


def both(model: Ensemble, windows: Windows, readout: str) -> list[np.ndarray]:
    """The readout and the pieces behind it."""
    found = embed.embed(model, windows, CPU, readout, with_pieces=True)
    return np.split(found, [embed.latent_size(model.config, readout)], axis=1)


@pytest.mark.parametrize("t", [1, 2])
@pytest.mark.parametrize("readout", embed.READOUTS)
def test_every_readout_has_the_size_it_says_and_is_finite(model, series, readout, t):
    model = model if t == 1 else series
    latent, pieces = both(model, windows(t=t), readout)
    assert latent.shape == (201 - t, embed.latent_size(model.config, readout))
    assert pieces.shape == (201 - t, t * sum(piece_sizes(model.support)))
    assert np.isfinite(latent).all() and np.isfinite(pieces).all()


def known_of(model: Ensemble, whole: torch.Tensor) -> tuple:
    """What the encoder is told of completed windows, in series also by the first guess."""
    everywhere = torch.ones_like(whole, dtype=torch.bool)
    return (whole, everywhere, model.guess(whole, everywhere))[: 3 if model.is_series else 2]


@pytest.mark.parametrize("t", [1, 2])
@pytest.mark.parametrize("readout", embed.READOUTS)
def test_readouts_are_means_over_the_completed_rows(keyless, series, readout, t):
    model, given = (keyless if t == 1 else series), windows(t=t, seed=1)
    latent, pieces = both(model, given, readout)
    values, observed = given.take(slice(None))
    with torch.inference_mode():
        wholes = embed._complete(model.eval(), values, observed, len(values), NONE_BLANK)
        tokens = torch.stack(
            [
                torch.stack([m.encode(*known_of(model, whole)) for m in model.members], 1)
                for whole in wholes
            ]
        ).mean(0)
        encode = Pieces(model.support)
        encoded = torch.stack([encode(whole.flatten(0, 1)) for whole in wholes]).mean(0)
    steps = tokens.unflatten(2, (t, -1))  # (B, networks, T, 1 + F, D)
    expected = {
        "concat": tokens.flatten(1),
        "mean": steps[:, :, :, 1:].flatten(2, 3).mean(2).flatten(1),
        "cls": steps[:, :, :, 0].mean(2).flatten(1),
    }[readout].numpy()
    assert expected.shape[1] == embed.blocks_of(model.config, readout).sizes[0]
    np.testing.assert_allclose(latent[:, : expected.shape[1]], expected, atol=1e-5)
    np.testing.assert_allclose(pieces, encoded.reshape(len(values), -1), atol=1e-5)


@pytest.mark.parametrize("t", [1, 2])
def test_a_missing_cell_takes_each_of_its_quantiles_once(model, series, t):
    model = model if t == 1 else series
    values, observed = windows(t=t, seed=1).take(slice(None))
    with torch.inference_mode():
        wholes = embed._complete(model.eval(), values, observed, len(values), NONE_BLANK)
        found = [x.flatten(0, 1) for x in model.predicted(values, observed)]
    quantile = (
        model.quantile if t > 1 else lambda chances, _, __, at: model.support.quantile(chances, at)
    )
    taken = torch.stack(wholes).flatten(1, 2).sort(0).values
    values, observed, n = values.flatten(0, 1), observed.flatten(0, 1), len(wholes)
    assert n == embed.N_COMPLETIONS
    for i in range(n):
        level = torch.full(observed.shape, (i + 0.5) / n)
        expected = torch.where(observed, values, quantile(*found, level))
        torch.testing.assert_close(taken[i], expected)
    assert not torch.equal(wholes[0], torch.stack(wholes).sort(0).values[0])  # orders differ


def test_complete_rows_are_read_as_they_are(model):
    values, observed = windows(seed=1).take(slice(None))
    wholes = embed._complete(model, values, torch.ones_like(observed), len(values), NONE_BLANK)
    assert len(wholes) == 1 and torch.equal(wholes[0], values)


@pytest.mark.parametrize(
    ("n_components", "t"), [(1, 1), (2, 1), (5, 1), (9, 1), (70, 1), (1, 2), (9, 2)]
)
def test_a_row_reads_the_same_alone_and_among_others(model, series, n_components, t):
    model, given = (model if t == 1 else series), windows(700, t)
    size = embed.latent_size(model.config, "concat")
    rng = np.random.default_rng(0)
    components = rng.normal(size=(n_components, size)).astype(np.float32)
    projection = embed.Projection(np.zeros(size, np.float32), components)
    read = partial(embed.embed, model, device=CPU, readout="concat", projection=projection)
    every = read(given, with_pieces=True)
    for chosen in (slice(3, 4), slice(0, 700, 7), slice(None, None, -1)):
        rows = torch.tensor(given.rows.numpy()[chosen].copy())
        some = read(replace(given, rows=rows), with_pieces=True)
        np.testing.assert_array_equal(every[chosen], some)


def test_a_projection_is_the_linear_map_of_the_readout(model):
    size = embed.latent_size(model.config, "cls")
    rng = np.random.default_rng(0)
    mean, components = (rng.normal(size=s).astype(np.float32) for s in (size, (4, size)))
    plain = embed.embed(model, windows(), CPU, "cls")
    mapped = embed.embed(model, windows(), CPU, "cls", embed.Projection(mean, components))
    np.testing.assert_allclose(mapped, (plain - mean) @ components.T, atol=1e-4)


@pytest.mark.parametrize("t", [1, 2])
def test_a_missing_cell_is_not_read(model, series, t):
    model, given = (model if t == 1 else series), windows(t=t)
    wild = replace(given, values=torch.where(given.observed, given.values, 1e6))
    read = partial(embed.embed, model, device=CPU, readout="concat", with_pieces=True)
    np.testing.assert_array_equal(read(given), read(wild))


def test_observed_cells_come_back_from_their_pieces(model):
    values, observed = table()
    _, pieces = both(model, windows(), "cls")
    back, known = decode_pieces(model.support, pieces)
    assert known.all()
    np.testing.assert_array_equal(back[observed], values[observed])


def test_a_level_that_is_not_known_has_no_piece_and_comes_back_missing(model):
    one = windows_over(np.array([[0.3, 3.0, -0.2]]), np.ones((1, 3)))
    _, pieces = both(model, one, "cls")
    _, known = decode_pieces(model.support, pieces)
    assert known.tolist() == [[True, False, True]]


@pytest.mark.parametrize("kind", ["model", "keyless", "series"])
def test_a_remembered_row_is_most_similar_to_itself_and_similarities_are_a_kernel(kind, request):
    model = request.getfixturevalue(kind)
    given = remembered(model)
    steps = embed.Steps.middle(given) if kind == "series" else None
    latent = embed.embed(model, given, CPU, "concat", steps=steps)
    sizes = embed.blocks_of(model.config, "concat", steps is not None).sizes
    blocks = np.split(latent.astype(np.float64), np.cumsum(sizes)[:-1], axis=1)
    taken = model.guess.memory.visible.numpy().any(1)
    # A window that misses something is a mean of several.
    whole = given.take(slice(None))[1].numpy().all((1, 2))
    for similar in blocks[:2] if kind == "model" else blocks[1:]:
        assert similar.shape == (len(given), 199 if kind == "series" else 200)
        own = similar[whole][:, np.flatnonzero(taken)[whole]]
        assert len(own) > 20
        np.testing.assert_allclose(np.diag(own), 1.0, atol=1e-4)
        np.testing.assert_allclose(own, own.T, atol=1e-4)
        assert np.linalg.eigvalsh(own).min() > -1e-3


def test_complete_rows_are_told_by_the_keys_that_row_attention_remembers_of_them(model):
    memory, given = model.guess.memory, remembered(model)
    whole = given.take(slice(None))[1].numpy().all((1, 2))
    latent = embed.embed(model, given, CPU, "concat")[whole]
    sizes = embed.blocks_of(model.config, "concat").sizes
    _, similar, keys = np.split(latent.astype(np.float64), np.cumsum(sizes)[:-1], axis=1)
    place = np.flatnonzero(memory.visible.numpy().any(1))[whole]
    kept = memory.keys.kept.numpy()[:, place, :-1]  # head by head
    np.testing.assert_allclose(keys, np.concatenate(list(kept), 1), rtol=1e-4, atol=1e-5)
    assert keys.std(0).min() > 0
    # A Gaussian kernel of their squared distances, summed over heads.
    far = sum(np.square(head[:, None] - head).sum(-1) for head in kept)
    found = -np.log(similar[:, place])
    apart = far > 0.1 * np.median(far)
    np.testing.assert_allclose(
        (found / np.median(found) - far / np.median(far))[apart], 0, atol=1e-2
    )


def test_without_keys_tokens_and_similarities_by_cells_are_read(keyless, model):
    n_tokens = 2 * 4 * keyless.config.width
    assert embed.blocks_of(keyless.config, "concat").sizes == [n_tokens, 200]
    assert embed.blocks_of(model.config, "concat").sizes == [200, 200, 2 * 4 * 15]


@pytest.mark.slow
def test_windows_are_read_less_their_last_step_and_with_what_is_expected_next():
    small = config((0, 3), n_steps=8, n_estimators=1, n_bins=32, n_pieces=16)
    values, observed = table(300)
    model = fit(small, (values[:, :2], observed[:, :2]), fit_options(max_iter=1))[0]
    given = windows_over(values[:, :2], np.ones((300, 2), bool), 8)
    sizes = embed.blocks_of(model.config, "concat").sizes
    assert sizes[1:] == [8 * 4, 2 * 4]  # one number and three levels; a quarter of the window
    latent = embed.embed(model, given, CPU, "concat")
    _, cells, expected = np.split(latent, np.cumsum(sizes)[:-1], axis=1)
    level = np.eye(3)[values[:, 1].astype(int)]
    course = np.hstack([values[:, :1], level])[given.rows.numpy()]
    np.testing.assert_allclose(cells, (course - course[:, -1:]).reshape(len(cells), -1), atol=1e-5)
    with torch.inference_mode():
        seen = torch.ones(1, 8, 2, dtype=torch.bool)
        seen[:, -2:] = False
        later = torch.cat([torch.tensor(values[None, 2:8, :2]), torch.zeros(1, 2, 2)], 1)
        guess = model.guess(later, seen).mean[:, -2:].numpy()
    np.testing.assert_allclose(expected[0], (guess - course[:1, -1:]).ravel(), atol=1e-5)


def test_similarities_weigh_columns_as_the_first_guess_has_learned(model):
    """Computed from the memory by NumPy: a Gaussian kernel whose width is the median."""
    memory, given = model.guess.memory, remembered(model)
    values, observed = (x[:, 0].numpy() for x in given.take(slice(None)))
    latent = embed.embed(model, given, CPU, "concat")
    similar = latent[:, :200].astype(np.float64)
    whole = np.flatnonzero(observed.all(1))
    weight = (memory.log_weight.exp() * memory.choice.softmax(0)).sum(0).detach().numpy()
    assert weight.max() > 1.5 * weight.min()  # or no weights would do as well
    number, level = values[whole][:, [0, 2]], values[whole, 1]
    far = (np.square(number[:, None] - number) * weight[[0, 2]]).sum(-1)
    far += 2 * weight[1] * (level[:, None] != level)  # two indicators differ
    taken = np.flatnonzero(memory.visible.numpy().any(1))[whole]
    found = -np.log(similar[np.ix_(whole, taken)])
    far_apart = far > 0.1 * np.median(far)
    ratio = found[far_apart] / far[far_apart]
    np.testing.assert_allclose(ratio, np.median(ratio), rtol=1e-2)


def test_numbers_beyond_the_farthest_are_not_told_apart(model):
    values, _ = table(2)
    values[:, 0] = 1e13, 1e25
    values[:, 1:] = values[0, 1:]
    for readout in embed.READOUTS:
        latent = embed.embed(model, windows_over(values, values < np.inf), CPU, readout)
        assert np.isfinite(latent).all()
        np.testing.assert_array_equal(latent[0], latent[1])


@pytest.mark.parametrize("t", [1, 2])
def test_remembered_windows_are_training_windows(model, series, t):
    kept = remembered(model if t == 1 else series)
    trained = windows(t=t)
    seen = trained.take(slice(None))[1].flatten(1).any(1)
    assert len(kept) == int(seen.sum())

    def lines(given: Windows) -> set:
        values, observed = given.take(slice(None))
        both = torch.cat([values * observed, observed], 2).flatten(1)
        return set(map(tuple, both.tolist()))

    assert lines(kept) <= lines(trained)


def test_pieces_are_those_of_each_cell_computed_by_numpy(model):
    support = model.support
    values = np.concatenate([table(50, seed=2)[0], [[1e25, 3, -1e25], [-0.5, 2, 0.0]]])
    values = values.astype(np.float32)
    found = Pieces(support)(torch.tensor(values)).numpy()
    expected = []
    for j, n_levels in enumerate(N_LEVELS):
        column = values[:, j]
        if n_levels:
            expected += [column == level for level in range(n_levels)]
            continue
        expected.append(column)
        center = support.center[j].numpy()[support.share[j].numpy() > 0]
        for n_steps in piece_steps(support, j):
            knots = center[np.linspace(0, len(center) - 1, n_steps + 1).round().astype(int)]
            for a, b in pairwise(knots):
                expected.append(((column - a) / max(b - a, np.float32(1e-9))).clip(0, 1))
    np.testing.assert_array_equal(found, np.stack(expected, 1).astype(np.float32))


def test_how_columns_are_encoded_is_worked_out_once_whatever_the_rows(model, monkeypatch):
    """What it costs is not to be seen in any result."""
    made, make = [], Pieces.__init__
    monkeypatch.setattr(Pieces, "__init__", lambda self, *of: made.append(of) or make(self, *of))
    for n_rows in (20, 2000):
        made.clear()
        embed.embed(model, windows(n_rows), CPU, "concat", with_pieces=True)
        assert len(made) == 1
    made.clear()
    embed.embed(model, windows(2000), CPU, "concat")
    assert made == []


def test_steps_behind_the_end_of_a_series_change_no_other_window(series):
    values, observed = table(21)
    rows = np.concatenate([windows(20, 2).rows.numpy(), [[20, -1]]])
    longer = embed.embed(series, windows_of(values, observed, rows), CPU, "concat")
    assert np.isfinite(longer).all()
    assert (
        longer[:19].tobytes()
        == embed.embed(series, windows_of(values, observed, rows[:19]), CPU, "concat").tobytes()
    )


def test_features_too_small_to_be_squared_have_one_axis_and_no_warning(recwarn):
    tiny = 1e-30 * np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    assert np.array_equal(principal_axes(tiny, 2), np.eye(1, 4))
    assert len(principal_axes(tiny * np.float32(1e30), 2)) == 2
    assert not recwarn.list
