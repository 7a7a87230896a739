"""Models in files: what comes back is what was saved."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from model_files import contents, table, tiny
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer

from maetab import MAEImputer
from maetab.files.models import load, read_info, save
from maetab.files.packing import masking_of, pack, unpack
from maetab.nn.masking import Block


def test_a_loaded_model_predicts_the_same_bit_for_bit(fitted: MAEImputer, path: Path) -> None:
    same, frame = load(path), table()
    assert type(same) is MAEImputer
    pd.testing.assert_frame_equal(same.transform(frame), fitted.transform(frame), check_exact=True)
    for one, other in zip(
        (*same.predict_interval(frame), *same.sample(frame, 2, 0), same.predict_proba(frame)),
        (*fitted.predict_interval(frame), *fitted.sample(frame, 2, 0), fitted.predict_proba(frame)),
        strict=True,
    ):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    assert same.score(frame) == fitted.score(frame)


def test_state_parameters_and_schema_survive(fitted: MAEImputer, path: Path) -> None:
    same = load(path)
    assert repr(same.get_params()) == repr(fitted.get_params())
    assert same.schema_ == fitted.schema_
    assert same.history_ == fitted.history_
    assert vars(same).keys() == vars(fitted).keys()
    assert same.feature_names_in_.dtype == object
    assert list(same.feature_names_in_) == list(fitted.feature_names_in_)
    assert not same.model_.training
    state, wanted = same.model_.state_dict(), fitted.model_.state_dict()
    assert state.keys() == wanted.keys()
    for key in wanted:
        assert state[key].dtype == wanted[key].dtype
        assert torch.equal(state[key], wanted[key]), key


@pytest.mark.slow
@pytest.mark.parametrize(
    "parameters",
    [
        {"masking": Block(ratio=0.4, length=2)},
        {"missing_values": [np.nan, -1, "?"]},
        {"missing_values": pd.NA},
        {"max_time": np.float64(60), "max_iter": np.int64(1)},
        {"categorical_features": ("rooms",)},
        {"categorical_features": table().columns[[1]]},
        {"max_value": np.array([1.0, 5, 0, 0, 1e12]), "min_value": -np.inf},
        {"n_estimators": 2, "backbone": "mlp", "loss": "mse"},
        {"add_indicator": True},
    ],
    ids=lambda parameters: ", ".join(parameters),
)
def test_every_kind_of_parameter_survives(parameters: dict, tmp_path: Path) -> None:
    frame = table()
    imputer = tiny(**parameters).fit(frame)
    save(imputer, tmp_path / "m")
    same = load(tmp_path / "m")
    for name, value in parameters.items():
        found = getattr(same, name)
        if isinstance(value, np.generic | pd.Index):
            value = value.tolist()
        assert repr(found) == repr(value)
        assert type(found) is type(value)
    pd.testing.assert_frame_equal(same.transform(frame), imputer.transform(frame))


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        -(2**70),
        0.1,
        float("nan"),
        float("-inf"),
        "é\n\ud800",
        (1, (2.5, "a"), []),
        {"a": [1, {"b": None}], 2: (3,), (4, 5): "x"},
        {"dict": 1},
        {1, 2},
        pd.NA,
        pd.Timestamp("2024-01-02T03:04:05.000000006"),
        Block(0.25, 3),
    ],
    ids=repr,
)
def test_values_come_back_as_they_were(value: Any) -> None:
    text = json.dumps(pack(value, "x", {}), allow_nan=False)
    found = unpack(json.loads(text), {}, masking_of)
    assert repr(found) == repr(value)
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "array",
    [
        np.array([[1.5, np.nan], [np.inf, -0.0]]),
        np.arange(6, dtype=">i4").reshape(2, 3)[:, ::2],
        np.array(3, dtype="uint8"),
        np.array([True, False]),
        np.zeros((0, 3), dtype="float32"),
        np.array(["a", "longer"]),
        np.array(["a", "b"], dtype=object),
    ],
    ids=lambda array: f"{array.dtype} {array.shape}",
)
def test_arrays_come_back_as_they_were(array: np.ndarray) -> None:
    arrays: dict[str, np.ndarray] = {}
    found = unpack(pack(array, "x", arrays), arrays, lambda name, fields: None)
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype.newbyteorder("=")
    assert found.shape == array.shape
    assert found.flags.writeable


def test_set_output_is_remembered(tmp_path: Path) -> None:
    imputer = tiny().set_output(transform="default").fit(table())
    save(imputer, tmp_path / "m")
    assert load(tmp_path / "m")._sklearn_output_config == imputer._sklearn_output_config


def test_loading_leaves_the_global_random_states_alone(path: Path) -> None:
    before, numbers = torch.get_rng_state(), np.random.get_state()[1].copy()
    load(path)
    assert torch.equal(torch.get_rng_state(), before)
    assert (np.random.get_state()[1] == numbers).all()


def test_a_file_saved_again_from_the_loaded_model_is_the_same(path: Path, tmp_path: Path) -> None:
    save(load(path), tmp_path / "again")
    assert contents(tmp_path / "again")[0] == contents(path)[0]


def test_the_first_guess_is_stored_once_and_not_with_the_networks(path: Path) -> None:
    _, tensors = contents(path)
    assert [key for key in tensors if key.startswith("model/guess.memory.values")]
    assert not [key for key in tensors if "members" in key and "memory" in key]


def test_saving_replaces_the_file_at_once_and_leaves_nothing_beside_it(
    fitted: MAEImputer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = path.read_bytes()

    def fail(*_: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        save(fitted, path)
    assert path.read_bytes() == before
    monkeypatch.undo()
    save(fitted, path)
    assert os.listdir(path.parent) == [path.name]


def test_a_folder_that_does_not_exist_is_named_when_saving(
    fitted: MAEImputer, tmp_path: Path
) -> None:
    folder = tmp_path / "none" / "deeper"
    with pytest.raises(FileNotFoundError) as caught:
        save(fitted, folder / "model.safetensors")
    assert caught.value.filename == str(folder)
    assert str(caught.value).endswith(f"There is no such folder: '{folder}'")
    assert os.listdir(tmp_path) == []


def test_a_file_that_cannot_be_written_is_named_and_no_other(
    fitted: MAEImputer, tmp_path: Path
) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError) as caught:
        save(fitted, tmp_path / "taken")
    assert (caught.value.filename, caught.value.filename2) == (str(tmp_path / "taken"), None)
    assert str(tmp_path / ".taken") not in str(caught.value)
    assert os.listdir(tmp_path) == ["taken"]


def test_only_fitted_estimators_of_maetab_are_saved(tmp_path: Path) -> None:
    with pytest.raises(NotFittedError):
        save(tiny(), tmp_path / "m")
    with pytest.raises(TypeError, match="Only MAEImputer"):
        save(SimpleImputer().fit([[1.0]]), tmp_path / "m")

    class MAEImputerOfMine(MAEImputer):
        pass

    with pytest.raises(TypeError, match="Only MAEImputer"):
        save(MAEImputerOfMine(), tmp_path / "m")
    assert os.listdir(tmp_path) == []


def test_what_json_cannot_hold_is_refused_by_name(fitted: MAEImputer, tmp_path: Path) -> None:
    imputer = tiny(random_state=np.random.RandomState(0)).fit(table())
    with pytest.raises(TypeError, match="'random_state' parameter of MAEImputer is a RandomState"):
        save(imputer, tmp_path / "m")
    imputer.set_params(random_state=1)
    imputer.extra_ = object()
    with pytest.raises(TypeError, match="attribute 'extra_' of MAEImputer is a object"):
        save(imputer, tmp_path / "m")
    del imputer.extra_
    imputer.note = "mine"
    with pytest.raises(TypeError, match="'note' is not an attribute"):
        save(imputer, tmp_path / "m")
    with pytest.raises(TypeError, match="array of complex128"):
        pack(np.array([1j]), "The 'x' parameter", {})


def test_info_tells_what_the_model_is(fitted: MAEImputer, path: Path) -> None:
    info = read_info(path)
    assert info["class"] == "MAEImputer"
    assert info["format"] == 2
    assert info["versions"]["torch"] == torch.__version__
    assert info["parameters"]["width"] == 16
    assert info["columns"] == {column.name: column.kind for column in fitted.schema_.columns}
    assert info["attributes"]["n_iter_"] == fitted.n_iter_
    unique = {id(w): w.numel() for w in fitted.model_.state_dict(keep_vars=True).values()}
    assert info["n_weights"] == sum(unique.values())
    assert info["n_bytes"] == path.stat().st_size


def test_info_writes_maskings_as_text(tmp_path: Path) -> None:
    save(tiny(masking=Block(0.5, 3)).fit(table()), tmp_path / "m")
    assert read_info(tmp_path / "m")["parameters"]["masking"] == "Block(ratio=0.5, length=3)"


@pytest.mark.slow
def test_loading_works_in_a_process_that_knows_nothing_yet(path: Path) -> None:
    code = "import sys; from maetab.files.models import load; print(load(sys.argv[1]).n_iter_)"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, cwd=root
    )
    assert done.stdout.strip() == "2", done.stderr
