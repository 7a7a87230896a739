"""Windows of several steps: what they remember, what they may not read, what they gain."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from models import (
    CPU,
    LEVELS,
    QUICK,
    config,
    cut,
    first_guess,
    fit,
    fit_options,
    random_rows,
    train,
    windows,
)

from maetab import MAEImputer
from maetab.engine import batches
from maetab.engine.draws import draw
from maetab.engine.fit import fit_model
from maetab.engine.inference import predict, windows_of
from maetab.nn.backbones import BACKBONES
from maetab.nn.guess.gaussian import Gaussian
from maetab.nn.guess.options import GuessOptions
from maetab.nn.support import Support
from maetab.nn.windows import Windows


def noise(seed: int, n: int = 60, f: int = 5) -> Windows:
    values = np.random.default_rng(seed).normal(size=(n, f))
    return windows(values, np.ones(values.shape), 3)


@pytest.mark.slow
def test_a_memory_of_noise_has_no_weight_in_windows_as_in_single_rows():
    sums = {1: [], 3: []}
    for seed in range(3):
        for t in sums:
            cells = replace(noise(seed), rows=torch.tensor(cut(60, t)))
            guess, _ = first_guess(cells, (0,) * 5, 4096, seed, tuning_steps=30)
            assert int(guess.memory.visible.any(1).sum()) == 61 - t
            sums[t].append(float(guess.stack_weights.sum(1).mean()))
    # Windows that read themselves, or copies of their rows, get weights of more than 1.
    assert max(sums[1]) < 0.2 and max(sums[3]) < 0.2


def categories(seed: int = 0) -> Windows:
    values, observed = (x[:, 0] for x in random_rows(40, seed=seed))
    return windows(values, observed, 3)


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_the_remembered_windows_that_share_a_row_are_those_found_by_comparing_rows(stride):
    cells = replace(categories(), rows=torch.tensor(cut(40, 3, stride)))
    guess, cells = first_guess(cells, LEVELS, 25, tuning_steps=2)
    remembered = [set() for _ in range(25)]
    for row, places in enumerate(cells.holders.tolist()):
        for place in places:
            if place >= 0:
                remembered[place].add(row)
    assert all(len(rows) == 3 for rows in remembered[: min(25, len(cells))])
    index = cells.memory_index(slice(None))
    for rows, places in zip(cells.rows.tolist(), index.tolist(), strict=True):
        shares = {place for place in range(25) if remembered[place] & set(rows)}
        assert set(places) - {-1} == shares
    found = guess.memory.overlapping(torch.arange(min(25, len(cells))))
    for place, others in enumerate(found.tolist()):
        shares = {other for other in range(25) if remembered[other] & remembered[place]}
        assert set(others) - {-1} == shares


OF_ROWS = GuessOptions(base=Gaussian, tuning_steps=5)  # a class: similar windows are compared


@pytest.mark.parametrize("name", ["first guess", "model"])
def test_no_window_reads_a_remembered_one_that_shares_a_row(name):
    cells, table = categories(), categories()
    options = fit_options(max_iter=2, batch_size=16)
    model, _ = fit_model(config(LEVELS, n_steps=3, guess=OF_ROWS), cells, options)
    model.network_weight.fill_(0.0 if name == "first guess" else 0.7)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        table = model.guess.fit(table, torch.Generator().manual_seed(0), 16)
    values, observed = table.take(slice(None))
    hidden = torch.rand(observed.shape, generator=torch.Generator().manual_seed(1)) < 0.4
    visible, index = observed & ~hidden, table.memory_index(slice(None))
    memory = model.guess.memory
    kept = [x.clone() for x in (memory.values, memory.residuals)]
    for window in (0, 7, 20, 37):
        own = slice(window, window + 1)
        given = values[own], visible[own]
        before, open_ = model(*given, index[own]), model(*given)
        places = index[window][index[window] >= 0].unique()
        assert len(places) == {0: 3, 37: 3}.get(window, 5)
        memory.values[places] = 1e3 * memory.visible[places]
        memory.residuals[places] = -1e3 * memory.visible[places]
        after, read = model(*given, index[own]), model(*given)
        for store, before_ in zip((memory.values, memory.residuals), kept, strict=True):
            store.copy_(before_)
        assert all(torch.equal(*pair) for pair in zip(before, after, strict=True))
        assert not torch.equal(open_[0], read[0])  # without an index they would be read


def test_training_reads_no_remembered_window_that_shares_a_row():
    """Whatever is written into the memory for them, first guesses at training windows stay."""
    cells = categories().values.numpy(), categories().observed.numpy()
    small = config(LEVELS, n_steps=3, guess=OF_ROWS)
    run = train(small, cells, fit_options(max_iter=2, batch_size=16))
    batch, memory = run.batches_seen[0], run.model.guess.memory
    index = run.table.windows.memory_index(batch.rows)
    own = index[0][index[0] >= 0]
    memory.values[own], memory.residuals[own] = 1e3 * memory.visible[own], 1e3
    again = batches.first_guess(run.model, run.table, batch.rows, batch.visible)
    assert torch.equal(again.logits[0], batch.guess.logits[0])
    assert not torch.equal(again.logits, batch.guess.logits)  # others read them


# ---- windows are cut before rows are chosen


def test_complete_rows_do_not_make_distant_rows_neighbours():
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 2)))
    frame.iloc[[2, 11, 12, 19], [0, 1, 0, 1]] = np.nan
    imputer = MAEImputer(window=3, guess=QUICK, max_iter=0, random_state=0).fit(frame)
    table = imputer._read(frame)
    found = imputer._asked(table)[1].rows.numpy()
    assert (np.diff(found, axis=1) == 1).all()
    wanted = [rows for rows in cut(20, 3) if set(rows) & {2, 11, 12, 19}]
    assert found.tolist() == np.array(wanted).tolist() and len(found) == 8


@pytest.mark.parametrize("missing", [0, 3])
def test_padded_steps_are_not_taken_for_incomplete_rows(missing):
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(4, 2)), columns=["a", "b"])
    frame.iloc[missing, 1] = np.nan
    frame["series"] = [0, 0, 0, 1]
    imputer = MAEImputer(window=3, groups="series", max_iter=0, random_state=0).fit(frame)
    rows = imputer._asked(imputer._read(frame))[1].rows.tolist()
    assert rows == {0: [[0, 1, 2]], 3: [[3, -1, -1]]}[missing]


# ---- steps that hold no row


def short_series(n: int = 90) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A number far from 0 and a category that is seldom 0, in series of 1 to 5 steps."""
    rng = np.random.default_rng(0)
    series = np.repeat(np.arange(n), rng.integers(1, 6, n))[:n]
    level = np.where(rng.random(n) < 0.02, 0, rng.integers(1, 3, n))
    values = np.stack([100 + rng.normal(size=n), level], 1).astype(np.float32)
    return values, rng.random(values.shape) < 0.8, cut(n, 4, 1, series)


def test_padded_steps_are_in_no_statistic_of_the_model():
    values, observed, rows = short_series()
    assert (rows == -1).mean() > 0.2
    cells = windows_of(values, observed, rows)
    model, _ = fit_model(config((0, 3), n_steps=4), cells, fit_options(max_iter=3))
    plain = Support((0, 3), 8)
    plain.fit(cells.values, cells.observed)
    for mine, theirs in zip(model.support.buffers(), plain.buffers(), strict=True):
        assert torch.equal(mine, theirs)
    season = model.guess.season[0]  # a number and three levels
    assert float(season[0]) == pytest.approx(values[observed[:, 0], 0].mean(), rel=1e-6)
    share = [(values[observed[:, 1], 1] == level).mean() for level in range(3)]
    np.testing.assert_allclose(season[1:], share, atol=1e-6)
    for gaussian in model.guess.gaussians[0]:
        location = gaussian.location.view(4, 4)
        # EM also fills what is missing; zeros would pull it by tens.
        assert location[:, 0].abs().max() < 1.0 and location[:, 1:].abs().max() < 0.1
        assert gaussian.covariance.view(4, 4, 4, 4)[0, 0, 0, 0] < 12.0  # 1 and that of the level
    filled = predict(model, cells, CPU)
    assert (filled[:, 0] > 90).all() and (draw(model, cells, CPU, 0)[:, 0] > 90).all()


@pytest.mark.parametrize("backbone", BACKBONES)
def test_padded_windows_change_no_prediction_of_other_rows(backbone):
    values, observed, rows = short_series()
    small = config((0, 3), n_steps=4, backbone=backbone)
    model, _ = fit_model(small, windows_of(values, observed, rows), fit_options(max_iter=2))
    model.network_weight.fill_(0.6)
    full = rows[(rows >= 0).all(1)]
    held = np.unique(full)
    mine, theirs = (
        predict(model, windows_of(values, observed, some), CPU) for some in (full, rows)
    )
    assert len(held) > 20 and mine[held].tobytes() == theirs[held].tobytes()


# ---- what time tells


def walk(n: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A column of which each cell has a correlation of .95 with that before it."""
    rng, x = np.random.default_rng(seed), np.zeros(n)
    for i in range(1, n):
        x[i] = 0.95 * x[i - 1] + rng.normal() * np.sqrt(1 - 0.95**2)
    x = (x - x.mean()) / x.std()
    return x.astype(np.float32)[:, None], rng.random((n, 1)) < 0.8


def test_a_cell_is_guessed_from_the_steps_beside_it():
    values, observed = walk()
    errors = {}
    for t in (1, 5):
        cells = np.where(observed, values, 0), observed
        model, _ = fit(config((0,), n_steps=t), cells, fit_options(max_iter=0))
        filled = predict(model, windows(*cells, t), CPU)
        errors[t] = np.square(filled - values)[~observed].mean()
    assert errors[1] > 0.8 and errors[5] < 0.2


@pytest.mark.parametrize("backbone", BACKBONES)
def test_what_networks_predict_depends_on_the_step_before(backbone):
    small = config(LEVELS, n_steps=3, backbone=backbone)
    cells = categories()
    model, _ = fit_model(small, cells, fit_options(max_iter=4, validation_fraction=0.0))
    values, visible = cells.take(slice(None))
    visible[:, 0, 0], visible[:, 1, 0] = True, False
    changed = values.clone()
    changed[:, 0, 0] += 1.0
    guess = model.first_guess(values, visible)  # the same for both
    before, after = (
        model.predict(model.members[0], x, visible, guess).point[:, 1, 0] for x in (values, changed)
    )
    assert (before != after).all()
