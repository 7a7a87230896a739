from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes, load_wine
from sklearn.metrics import roc_auc_score

from maetab.engine import fit as fit_module
from maetab.engine.apply import predict
from maetab.engine.fit import FitOptions, fit_model
from maetab.nn import guess as guess_module
from maetab.nn.backbones import BACKBONES
from maetab.nn.masking import MASKINGS, Bernoulli, swap
from maetab.nn.model import ModelConfig
from maetab.nn.objectives import LOSSES

CPU = torch.device("cpu")
OPTIONS = FitOptions(masking=Bernoulli(0.3), max_iter=2, batch_size=32)


@pytest.fixture(autouse=True, scope="module")
def quick_tuning():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guess_module, "N_TUNING", 5)
        yield


def wine(n: int = 70, f: int = 5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Windows (n, 1, f + 1) of a real table; the last column is the cultivar, a category."""
    data = load_wine()
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(data.data))[:n]
    X = data.data[rows][:, :f]
    X = (X - X.mean(0)) / X.std(0)
    values = np.concatenate([X, data.target[rows, None]], 1).astype(np.float32)[:, None]
    observed = rng.random(values.shape) < 0.85
    return np.where(observed, values, 0), observed


def config_of(values: np.ndarray, **changes) -> ModelConfig:
    levels = (*[0] * (values.shape[2] - 1), 3)
    small = {"width": 16, "n_estimators": 1, "n_bins": 8, "n_pieces": 4, "dropout": 0.0}
    return ModelConfig(levels, n_steps=values.shape[1], **(small | changes))


def fitted(options: FitOptions = OPTIONS, table=None, **changes):
    values, observed = table or wine()
    return fit_model(config_of(values, **changes), values, observed, options)


@pytest.fixture
def runs(monkeypatch) -> list[dict]:
    """What went on in each network's training: its batches, and checks before and after."""
    seen: list[dict] = []
    train, step = fit_module._Run.train, fit_module._Run.step

    def spied_train(run, generator):
        seen.append({"run": run, "batches": [], "before": run.check()})
        records = train(run, generator)
        seen[-1] |= {"after": run.check(), "records": records}
        return records

    def spied_step(run, batch, generator):
        seen[-1]["batches"].append(batch)
        return step(run, batch, generator)

    monkeypatch.setattr(fit_module._Run, "train", spied_train)
    monkeypatch.setattr(fit_module._Run, "step", spied_step)
    return seen


@pytest.mark.parametrize("masking", MASKINGS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_combination_trains_on_a_real_table(backbone, loss, masking, runs):
    options = replace(OPTIONS, masking=MASKINGS[masking](ratio=0.3))
    model, history = fitted(options, backbone=backbone, loss=loss)
    assert history and all(np.isfinite(list(record.values())).all() for record in history)
    (run,) = runs
    assert run["after"] <= run["before"]
    assert all(torch.isfinite(t).all() for k, t in model.state_dict().items() if "edges" not in k)
    values, observed = wine()
    assert np.isfinite(predict(model, values, observed, CPU)).all()


def test_with_swap_noise_the_network_learns_which_cells_are_another_rows():
    x = np.random.default_rng(0).normal(size=(400, 1))
    values = (x + 0.1 * np.random.default_rng(1).normal(size=(400, 4))).astype(np.float32)[:, None]
    observed = np.ones(values.shape, bool)
    config = ModelConfig((0,) * 4, width=16, n_estimators=1, n_bins=8, n_pieces=8)
    options = replace(OPTIONS, max_iter=40, learning_rate=1e-2, validation_fraction=0.0)
    areas = []
    for ratio in (0.0, 0.2):
        model, _ = fit_model(config, values, observed, replace(options, swap_ratio=ratio))
        cells, there = torch.tensor(values), torch.tensor(observed)
        read, swapped = swap(cells, there, 0.2, torch.Generator().manual_seed(5))
        with torch.no_grad():
            told = model.members[0].tell(model.members[0].encode(read, there))
        areas.append(roc_auc_score(swapped.flatten(), told.flatten()))
    assert areas[0] == 0.5 and areas[1] > 0.8


@pytest.mark.parametrize("backbone", BACKBONES)
def test_longer_training_lowers_the_training_loss(backbone):
    X = load_diabetes().data[:200, :6]
    values = ((X - X.mean(0)) / X.std(0)).astype(np.float32)[:, None]
    values[:, :, 5] = (values[:, :, 5] > 0) + (values[:, :, 5] > 1)
    options = replace(OPTIONS, max_iter=25, learning_rate=5e-3, n_iter_no_change=99)
    _, history = fitted(options, (values, np.ones(values.shape, bool)), backbone=backbone)
    losses = [record["train_loss"] for record in history]
    assert np.mean(losses[-3:]) < losses[0]


def test_held_out_cells_are_neither_read_nor_learned_while_training(runs):
    fitted(replace(OPTIONS, max_iter=6), n_estimators=2)
    assert len(runs) == 2
    for run in runs:
        table = run["run"].table
        assert (table.held & table.observed).any() and not (table.held & ~table.observed).any()
        for batch in run["batches"]:
            held, observed = table.held[batch.rows], table.observed[batch.rows]
            assert not (held & (batch.visible | batch.hidden)).any()
            assert torch.equal(batch.visible | batch.hidden, observed & ~held)
            assert not (batch.visible & batch.hidden).any()
    assert not torch.equal(runs[0]["run"].table.held, runs[1]["run"].table.held)


def test_what_networks_learn_does_not_depend_on_the_held_out_cells(runs):
    fitted()
    first = runs[0]
    run, batch = first["run"], first["batches"][0]
    gradients = []
    for poison in (0.0, 1e3):
        run.table = replace(run.table, values=torch.where(run.table.held, poison, run.table.values))
        run.member.zero_grad()
        values = run.table.values[batch.rows]
        said = run.member(values, batch.visible, batch.first)
        run._loss(said, values, batch.hidden + 0.2 * batch.visible).backward()
        gradients.append([p.grad.clone() for p in run.member.parameters() if p.grad is not None])
    assert all(torch.equal(mine, other) for mine, other in zip(*gradients))


def test_a_row_keeps_a_cell_when_some_are_held_out():
    observed = torch.rand(500, 1, 3) < 0.5
    held = fit_module.hold_out(observed, 0.6, torch.Generator().manual_seed(0))
    assert not (held & ~observed).any()
    left = (observed & ~held).flatten(1).any(1)
    assert torch.equal(left, observed.flatten(1).any(1))


def test_the_held_out_share_is_the_fraction():
    held = fit_module.hold_out(torch.ones(3000, 1, 5) > 0, 0.2, torch.Generator().manual_seed(0))
    assert abs(float(held.float().mean()) - 0.2) < 0.015


def test_masks_are_new_in_every_batch_of_the_first_epochs(runs):
    fitted(replace(OPTIONS, max_iter=3, n_iter_no_change=99))
    hidden = [tuple(b.hidden[b.rows.argsort()].flatten().tolist()) for b in runs[0]["batches"]]
    assert len(set(hidden)) == len(hidden) == 6


def test_every_row_is_seen_in_an_epoch_when_batches_divide_them(runs):
    values, observed = wine(64)
    fitted(replace(OPTIONS, max_iter=6, n_iter_no_change=99), (values, observed))
    batches = runs[0]["batches"]
    for epoch in range(6):
        rows = torch.cat([b.rows for b in batches[2 * epoch : 2 * epoch + 2]])
        assert sorted(rows.tolist()) == list(range(64))


def test_the_best_weights_are_restored(runs):
    fitted(replace(OPTIONS, max_iter=12, learning_rate=0.05, n_iter_no_change=99))
    (run,) = runs
    scores = [run["before"], *(record["validation_loss"] for record in run["records"])]
    assert run["after"] == pytest.approx(min(scores), abs=1e-6)


def test_training_stops_when_held_out_cells_stop_gaining(runs):
    fitted(replace(OPTIONS, max_iter=500, learning_rate=0.1, n_iter_no_change=2))
    (run,) = runs
    scores = [record["validation_loss"] for record in run["records"]]
    assert len(run["batches"]) < 1000
    best = min([run["before"], *scores[:-2]])
    assert scores[-1] >= best and scores[-2] >= best


def test_history_tells_what_happened(runs):
    _, history = fitted(replace(OPTIONS, max_iter=4, n_iter_no_change=99), n_estimators=2)
    keys = {"network", "step", "epoch", "train_loss", "validation_loss", "learning_rate", "seconds"}
    assert all(set(record) == keys for record in history)
    assert {record["network"] for record in history} == {0, 1}
    mine = [record for record in history if record["network"] == 0]
    assert mine[-1]["step"] == 8 and mine[-1]["epoch"] == 4
    assert np.all(np.diff([record["step"] for record in mine]) > 0)
    assert len(mine) <= 13


def test_no_epochs_leave_the_first_guess_alone():
    model, history = fitted(replace(OPTIONS, max_iter=0))
    assert history == [] and (model.trust == 0).all()
    values, observed = wine()
    flat = torch.tensor(values[:, 0]), torch.tensor(observed[:, 0])
    guess, base = model.prior(*flat)
    said = torch.tensor(predict(model, values, observed, CPU))[:, 0]
    hidden = ~flat[1][:, :5]
    torch.testing.assert_close(said[:, :5][hidden], model.prior.point(guess)[:, :5][hidden])
    assert torch.equal(said[:, 5], base[:, 5].argmax(-1).float())


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
    assert not torch.equal(one["members.0.head"], other["members.0.head"])


def test_networks_of_an_ensemble_differ():
    model, _ = fitted(n_estimators=2)
    assert not torch.equal(model.members[0].head, model.members[1].head)


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
    assert np.isfinite(predict(model, values, observed, CPU)).all()


def test_nothing_held_out_trains_to_the_end_and_keeps_what_was_learned():
    model, history = fitted(replace(OPTIONS, validation_fraction=0.0, max_iter=5))
    values, observed = wine()
    assert np.isfinite(predict(model, values, observed, CPU)).all()
    assert max(record["epoch"] for record in history) == 5
    assert (model.members[0].head != 0).any()


def test_windows_of_three_steps_are_fitted():
    values, observed = wine(72)
    table = tuple(x.reshape(24, 3, -1) for x in (values, observed))
    model, history = fitted(table=table)
    assert np.isfinite(predict(model, *table, CPU)).all()
    assert model.config.n_steps == 3 and model.config.n_memory == 72 and history


def test_the_fitted_model_is_on_the_cpu_and_ready_to_predict():
    model, _ = fitted()
    assert not model.training
    assert {t.device.type for t in model.state_dict().values()} == {"cpu"}


def test_trust_is_a_share_and_intervals_are_calibrated_upwards():
    model, _ = fitted(replace(OPTIONS, validation_fraction=0.3))
    assert ((model.trust >= 0) & (model.trust <= 1)).all()
    assert (model.spread > 0).all()
    assert (model.ranks.diff(dim=1) >= -1e-6).all()
    assert ((model.ranks >= -1e-6) & (model.ranks <= 1 + 1e-6)).all()


@pytest.mark.parametrize(("spare", "epochs_drawn"), [(0, 4), (-1, 6)])
def test_first_guesses_are_kept_while_they_take_no_more_than_so_many_bytes(
    monkeypatch, spare, epochs_drawn
):
    kept, trained = [], fit_module._Run.train

    def train(run, generator):
        records = trained(run, generator)
        kept.append(run.kept)
        return records

    monkeypatch.setattr(fit_module._Run, "train", train)
    options = replace(OPTIONS, max_iter=6, batch_size=64, n_iter_no_change=100)
    values, observed = wine(64)
    fitted(options, (values, observed))
    (epochs,) = kept
    tensors = [
        x
        for batches in epochs
        for b in batches
        for x in (b.visible, b.hidden, *b.first[0], b.first[1])
    ]
    size = sum(x.numel() * x.element_size() for x in tensors)
    assert len(epochs) == 4 and size > 64 * observed[0].size * 4
    monkeypatch.setattr(fit_module, "KEPT_BYTES", size + spare)
    drawn, masking = [], Bernoulli(0.3)
    counted = replace(
        options, masking=lambda *given: drawn.append(len(given[0])) or masking(*given)
    )
    fitted(counted, (values, observed))
    assert drawn == [64] * epochs_drawn
