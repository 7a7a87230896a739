from __future__ import annotations

import random
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from models import CPU, config, fit, fit_options, train, windows
from sklearn.datasets import load_diabetes, load_wine
from sklearn.metrics import roc_auc_score

from maetab.engine.inference import predict
from maetab.nn.backbones import BACKBONES
from maetab.nn.losses import LOSSES
from maetab.nn.masking import MASKINGS, Bernoulli, swap

OPTIONS = fit_options(max_iter=2, batch_size=32)


def wine(n: int = 70, f: int = 5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows (n, f + 1) of a real table; the last column is the cultivar, a category."""
    data = load_wine()
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(data.data))[:n]
    X = data.data[rows][:, :f]
    X = (X - X.mean(0)) / X.std(0)
    values = np.concatenate([X, data.target[rows, None]], 1).astype(np.float32)
    observed = rng.random(values.shape) < 0.85
    return np.where(observed, values, 0), observed


def config_of(values: np.ndarray, **changes):
    levels = (*[0] * (values.shape[1] - 1), 3)
    return config(levels, **({"width": 16, "n_heads": 4} | changes))


def fitted(options=OPTIONS, table=None, **changes):
    values, observed = table or wine()
    return fit(config_of(values, **changes), (values, observed), options)


def trained(options=OPTIONS, table=None, **changes):
    """Return what went on in the training."""
    values, observed = table or wine()
    return train(config_of(values, **changes), (values, observed), options)


USUAL = {"distribution", "bernoulli"}
COMBINATIONS = [
    pytest.param(*each, marks=() if USUAL & {*each} else pytest.mark.slow)
    for each in product(BACKBONES, LOSSES, MASKINGS)
]


@pytest.mark.parametrize(("backbone", "loss", "masking"), COMBINATIONS)
def test_every_combination_trains_on_a_real_table(backbone, loss, masking):
    options = replace(OPTIONS, masking=MASKINGS[masking](ratio=0.3))
    run = trained(options, backbone=backbone, loss=loss)
    model, history = run.model, run.records
    assert history and all(np.isfinite(list(record.values())).all() for record in history)
    assert run.after <= run.before
    assert all(torch.isfinite(t).all() for k, t in model.state_dict().items() if "edges" not in k)
    values, observed = wine()
    assert np.isfinite(predict(model, windows(values, observed), CPU)).all()


@pytest.mark.slow
def test_with_swap_noise_the_network_learns_which_cells_are_another_rows():
    x = np.random.default_rng(0).normal(size=(400, 1))
    values = (x + 0.1 * np.random.default_rng(1).normal(size=(400, 4))).astype(np.float32)
    observed = np.ones(values.shape, bool)
    small = config((0,) * 4, width=16, n_heads=4, n_pieces=8, dropout=0.1, learns_swaps=True)
    options = replace(OPTIONS, max_iter=40, learning_rate=1e-2, validation_fraction=0.0)
    areas = []
    for ratio in (0.0, 0.2):
        model, _ = fit(small, (values, observed), replace(options, swap_ratio=ratio))
        cells = torch.tensor(values)[:, None], torch.tensor(observed)[:, None]
        read, swapped = swap(*cells, 0.2, torch.Generator().manual_seed(5))
        with torch.no_grad():
            guess = model.guess(read, cells[1])
            logits = model.members[0](read, cells[1], guess).swap_logits
        areas.append(roc_auc_score(swapped.flatten(), logits.flatten()))
    assert areas[0] == 0.5 and areas[1] > 0.8


@pytest.mark.parametrize("backbone", BACKBONES)
def test_longer_training_lowers_the_training_loss(backbone):
    X = load_diabetes().data[:200, :6]
    values = ((X - X.mean(0)) / X.std(0)).astype(np.float32)
    values[:, 5] = (values[:, 5] > 0) + (values[:, 5] > 1.0)
    options = replace(OPTIONS, max_iter=25, learning_rate=5e-3, n_iter_no_change=99)
    _, history = fitted(options, (values, np.ones(values.shape, bool)), backbone=backbone)
    losses = [record["train_loss"] for record in history]
    assert np.mean(losses[-3:]) < losses[0]


@pytest.mark.parametrize("t", [1, 3])
def test_held_out_cells_are_neither_read_nor_learned_while_training(t):
    run = trained(replace(OPTIONS, max_iter=6), n_members=2, n_steps=t)
    table, observed = run.table, run.table.windows.observed
    assert (table.held & observed).any() and not (table.held & ~observed).any()
    assert torch.equal(table.shown, observed & ~table.held)
    assert run.batches_seen
    for batch in run.batches_seen:
        rows = table.windows.rows[batch.rows]  # windows that start at every row are full
        held, observed = table.held[rows], table.windows.observed[rows]
        assert not (held & (batch.visible | batch.hidden)).any()
        assert torch.equal(batch.visible | batch.hidden, observed & ~held)
        assert not (batch.visible & batch.hidden).any()


@pytest.mark.parametrize("t", [1, 3])
def test_what_networks_learn_does_not_depend_on_the_held_out_cells(t):
    run = trained(n_steps=t)
    batch, gradients = run.batches_seen[0], []
    table = run.table
    for poison in (0.0, 1e3):
        values = torch.where(table.held, poison, table.windows.values)
        run.table = replace(table, windows=replace(table.windows, values=values))
        run.network.zero_grad()
        values, *_ = run.table.cells(batch.rows)
        prediction = run.model.predict(run.network, values, batch.visible, batch.guess)
        run.model.loss(
            prediction, values, batch.hidden + 0.2 * batch.visible, run.model.support
        ).backward()
        gradients.append([p.grad.clone() for p in run.network.parameters() if p.grad is not None])
    assert gradients[0] and all(torch.equal(*pair) for pair in zip(*gradients, strict=True))


def test_masks_are_new_in_every_batch_of_the_first_epochs():
    run = trained(replace(OPTIONS, max_iter=3, n_iter_no_change=99))
    hidden = [tuple(b.hidden[b.rows.argsort()].flatten().tolist()) for b in run.batches_seen]
    assert len(set(hidden)) == len(hidden) == 6


def test_every_row_is_seen_in_an_epoch_when_batches_divide_them():
    values, observed = wine(64)
    run = trained(replace(OPTIONS, max_iter=6, n_iter_no_change=99), (values, observed))
    batches = run.batches_seen
    for epoch in range(6):
        rows = torch.cat([b.rows for b in batches[2 * epoch : 2 * epoch + 2]])
        assert sorted(rows.tolist()) == list(range(64))


def test_the_best_weights_are_restored():
    run = trained(replace(OPTIONS, max_iter=12, learning_rate=0.05, n_iter_no_change=99))
    scores = [run.before, *(record["validation_loss"] for record in run.records)]
    assert run.after == pytest.approx(min(scores), abs=1e-6)


def test_training_stops_when_held_out_cells_stop_gaining():
    run = trained(replace(OPTIONS, max_iter=500, learning_rate=0.1, n_iter_no_change=2))
    scores = [record["validation_loss"] for record in run.records]
    assert len(run.batches_seen) < 1000
    best = min([run.before, *scores[:-2]])
    assert scores[-1] >= best and scores[-2] >= best


def test_history_tells_what_happened():
    _, history = fitted(replace(OPTIONS, max_iter=4, n_iter_no_change=99), n_members=2)
    keys = {"network", "step", "epoch", "train_loss", "validation_loss", "learning_rate", "seconds"}
    assert all(set(record) == keys for record in history)
    assert {record["network"] for record in history} == {0}
    assert history[-1]["step"] == 8 and history[-1]["epoch"] == 4
    assert np.all(np.diff([record["step"] for record in history]) > 0)
    assert len(history) <= 13


@pytest.mark.parametrize("t", [1, 3])
def test_no_epochs_leave_the_first_guess_alone(t):
    model, history = fitted(replace(OPTIONS, max_iter=0), n_steps=t)
    assert history == [] and not model.uses_networks
    table = windows(*wine(), t, t)
    values, visible = table.take(slice(None))
    guess = model.first_guess(values, visible)
    found = torch.tensor(predict(model, table, CPU))[table.rows]
    hidden, cultivar = ~visible[..., :5], guess.logits[..., 5, :].argmax(-1).float()
    whole = (torch.bincount(table.rows.flatten(), minlength=70) == 1)[table.rows]
    hidden &= whole[..., None]
    torch.testing.assert_close(found[..., :5][hidden], guess.point[..., :5][hidden])
    assert torch.equal(found[..., 5][whole], cultivar[whole])


def test_global_random_states_are_left_as_they_were():
    torch.manual_seed(3), np.random.seed(3), random.seed(3)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    fitted()
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1:] == (np.random.get_state()[1].tolist(), random.getstate())


def test_global_random_states_do_not_matter():
    models = []
    for seed in (1, 2):
        torch.manual_seed(seed), np.random.seed(seed), random.seed(seed)
        models.append(fitted(dropout=0.2)[0].state_dict())
    assert all(torch.equal(models[0][k], models[1][k]) for k in models[0])


def test_the_same_seed_gives_the_same_model_and_another_seed_another():
    one, again, other = (fitted(replace(OPTIONS, seed=s))[0].state_dict() for s in (1, 1, 2))
    assert all(torch.equal(one[k], again[k]) for k in one)
    assert not torch.equal(one["members.0.tokens.number"], other["members.0.tokens.number"])


def test_members_share_weights_and_differ_in_what_they_predict():
    options = replace(OPTIONS, max_iter=20, validation_fraction=0.0)  # the last state is kept
    model, _ = fitted(options, n_members=3)
    assert model.members[0].tokens.number.shape == fitted()[0].members[0].tokens.number.shape
    values, visible = windows(*wine()).take(slice(None))
    guess = model.first_guess(values, visible)
    raw = model.members[0](values, visible, guess.coordinates).raw.unflatten(0, (3, -1))
    assert all(not torch.allclose(raw[i], raw[j]) for i, j in ((0, 1), (0, 2), (1, 2)))


def test_cells_that_are_not_observed_are_never_read():
    values, observed = wine()
    models = [
        fitted(table=(np.where(observed, values, poison).astype(np.float32), observed))[0]
        for poison in (0.0, 1e6, np.nan)
    ]
    states = [model.state_dict() for model in models]
    assert all(torch.equal(states[0][k], s[k]) for s in states[1:] for k in states[0])


def test_the_input_is_left_as_it_was():
    values, observed = wine()
    before = values.copy(), observed.copy()
    fitted(table=(values, observed))
    assert np.array_equal(values, before[0]) and np.array_equal(observed, before[1])


def test_a_listener_hears_each_record_and_can_stop_a_network():
    heard = []
    _, history = fitted(replace(OPTIONS, max_iter=6, on_record=heard.append))
    assert heard == history
    _, short = fitted(replace(OPTIONS, max_iter=50, on_record=lambda record: True))
    assert len(short) == 1


@pytest.mark.parametrize("n", [2, 3])
def test_tiny_tables_are_fitted(n):
    values, observed = wine(n)
    model, history = fitted(table=(values, observed))
    assert all(np.isfinite(list(record.values())).all() for record in history)
    assert np.isfinite(predict(model, windows(values, observed), CPU)).all()


def test_nothing_held_out_trains_to_the_end_and_keeps_what_was_learned():
    model, history = fitted(replace(OPTIONS, validation_fraction=0.0, max_iter=5))
    values, observed = wine()
    assert np.isfinite(predict(model, windows(values, observed), CPU)).all()
    assert max(record["epoch"] for record in history) == 5
    assert (model.members[0].head != 0).any()


@pytest.mark.parametrize("backbone", BACKBONES)
def test_windows_of_three_steps_are_fitted(backbone):
    values, observed = wine(72)
    model, history = fitted(table=(values, observed), n_steps=3, backbone=backbone)
    assert np.isfinite(predict(model, windows(values, observed, 3), CPU)).all()
    assert model.config.n_steps == 3 and model.config.n_memory == 70 and history


def test_the_fitted_model_is_on_the_cpu_and_ready_to_predict():
    model, _ = fitted()
    assert not model.training
    assert {t.device.type for t in model.state_dict().values()} == {"cpu"}


def test_the_weight_of_networks_is_a_share_and_intervals_are_calibrated_upwards():
    model, _ = fitted(replace(OPTIONS, validation_fraction=0.3))
    assert ((model.network_weight >= 0) & (model.network_weight <= 1)).all()
    assert (model.residual_std > 0).all()
    assert (model.ranks.diff(dim=1) >= -1e-6).all()
    assert ((model.ranks >= -1e-6) & (model.ranks <= 1 + 1e-6)).all()


@pytest.mark.parametrize(("spare", "epochs_drawn"), [(0, 4), (-1, 6)])
def test_first_guesses_are_kept_while_they_take_no_more_than_so_many_bytes(spare, epochs_drawn):
    options = replace(OPTIONS, max_iter=6, batch_size=64, n_iter_no_change=100)
    values, observed = wine(64)
    run = trained(options, (values, observed))
    tensors = [
        x
        for b in run.batches.kept.values()
        for x in (b.visible, b.hidden, *b.guess.coordinates[:3], b.guess.logits, b.guess.point)
    ]
    size = sum(x.numel() * x.element_size() for x in tensors)
    assert len(run.batches.kept) == 4 and size > 64 * observed[0].size * 4
    counts = run.model.support.share.numel() + 5 * run.model.guess.coordinates.size
    allowed = 4 * 64 * (4 * counts + 2 * observed.shape[1])
    drawn, masking = [], Bernoulli(0.3)
    counted = replace(
        options,
        masking=lambda *given: drawn.append(len(given[0])) or masking(*given),
        kept_bytes=allowed + spare,
    )
    fitted(counted, (values, observed))
    assert drawn == [64] * epochs_drawn
