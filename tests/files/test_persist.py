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
from safetensors import safe_open
from safetensors.numpy import save_file
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer

from maetab import MAEImputer
from maetab.files.models import _digest, load, read_info, save
from maetab.files.packing import masking_of, pack, unpack
from maetab.nn.masking import Block


def table(n: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "size": rng.normal(size=n),
            "rooms": pd.array(rng.integers(0, 9, n), dtype="Int64"),
            "color": pd.Categorical(rng.choice(list("xyz"), n)),
            "owned": pd.array(rng.random(n) < 0.5, dtype="boolean"),
            "day": pd.date_range("2024", periods=n),
        }
    )
    return frame.mask(rng.random(frame.shape) < 0.2)


def tiny(**parameters: Any) -> MAEImputer:
    options: dict[str, Any] = {"max_iter": 2, "n_estimators": 1, "width": 16, "random_state": 0}
    return MAEImputer(**(options | parameters))


@pytest.fixture(scope="module")
def fitted() -> MAEImputer:
    return tiny().fit(table())


@pytest.fixture
def path(tmp_path: Path, fitted: MAEImputer) -> Path:
    save(fitted, tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def contents(path: Path) -> tuple[dict, dict]:
    with safe_open(path, framework="numpy") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        return json.loads(file.metadata()["maetab"]), tensors


def forge(path: Path, content: Any, tensors: dict) -> None:
    """Write what a stranger who knows the format could, digest included."""
    if isinstance(content, dict) and "sha256" in content:
        content["sha256"] = _digest(content, tensors)
    save_file(tensors, path, metadata={"maetab": json.dumps(content)})


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


def test_what_the_networks_share_is_stored_once(path: Path) -> None:
    _, tensors = contents(path)
    assert not [key for key in tensors if key.startswith("model/members.0.prior")]


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


def test_a_missing_file_is_file_not_found(tmp_path: Path) -> None:
    for read in (load, read_info):
        with pytest.raises(FileNotFoundError, match="no such model file"):
            read(tmp_path / "nothing")
        with pytest.raises(FileNotFoundError):
            read(tmp_path)


@pytest.mark.parametrize("n_bytes", [0, 5, 8, 100, -1, -1000])
def test_files_cut_short_are_refused(path: Path, n_bytes: int) -> None:
    path.write_bytes(path.read_bytes()[:n_bytes])
    with pytest.raises(ValueError, match=r"model\.safetensors' cannot be loaded: it is cut or no"):
        load(path)


def test_foreign_files_are_refused(path: Path) -> None:
    path.write_text("age,size\n1,2\n" * 99)
    with pytest.raises(ValueError, match="no safetensors file"):
        load(path)
    save_file({"a": np.zeros(3)}, path)
    with pytest.raises(ValueError, match="holds no model of maetab"):
        load(path)
    for text, reason in [("{", "not JSON"), ("[" * 99999, "not JSON"), ("[]", "format None")]:
        save_file({"a": np.zeros(3)}, path, metadata={"maetab": text})
        with pytest.raises(ValueError, match=reason):
            load(path)


def test_every_changed_byte_that_changes_a_value_is_noticed(path: Path) -> None:
    whole, n_noticed, saved = path.read_bytes(), 0, contents(path)[0]
    for place in np.linspace(0, len(whole) - 1, 200).astype(int):
        changed = bytearray(whole)
        changed[place] ^= 1
        path.write_bytes(changed)
        try:
            load(path)
        except ValueError as error:
            assert "cannot be loaded" in str(error)
            n_noticed += 1
        else:  # the 17th digit of a number may stand for the same float
            assert contents(path)[0] == saved
    assert n_noticed >= 198


FORGERIES: dict[str, tuple[Any, str]] = {
    "later format": (
        lambda c, t: c.update(format=3),
        "format 3, and .* reads format 1 to 2",
    ),
    "unknown entry": (lambda c, t: c.update(code="print(1)"), "unknown entries: .'code'"),
    "missing entry": (lambda c, t: c.pop("schema"), "'schema'"),
    "class": (lambda c, t: c.update({"class": "Pipeline"}), "'Pipeline' is not an estimator"),
    "class of os": (lambda c, t: c.update({"class": ["os"]}), "is not an estimator"),
    "parameter": (lambda c, t: c["parameters"].update(evil=1), "has no parameter evil"),
    "method": (lambda c, t: c["attributes"].update(transform=1), "'transform' is not an attribute"),
    "dunder": (lambda c, t: c["attributes"].update(__class__="x"), "'__class__' is not"),
    "tag": (lambda c, t: c["attributes"].update(n_iter_={"pickle": ""}), "unknown kind 'pickle'"),
    "masking": (
        lambda c, t: c["parameters"].update(masking={"masking": ["Tensor", {"dict": []}]}),
        "'Tensor' is not a masking",
    ),
    "masking field": (
        lambda c, t: c["parameters"].update(masking={"masking": ["Block", {"dict": [["x", 1]]}]}),
        "unexpected keyword",
    ),
    "array": (lambda c, t: c["attributes"].update(a_={"array": "array/77"}), "lacks 'array/77'"),
    "dtype": (lambda c, t: c["attributes"].update(a_={"texts": ["M", ["x"]]}), "lacks 'M'"),
    "schema": (lambda c, t: c["schema"]["columns"][0].update(evil=1), "unexpected keyword"),
    "columns": (lambda c, t: c["schema"]["columns"].pop(), "number of columns"),
    "config": (lambda c, t: c["config"].update(evil=1), "unexpected keyword"),
    "huge": (lambda c, t: c["config"].update(width=2**16), "should be"),
    "many": (lambda c, t: c["config"].update(n_estimators=10**12), "does not fit its weights"),
    "lost": (lambda c, t: t.pop("model/trust"), "lacks the weights 'trust'"),
    "added": (lambda c, t: t.update({"model/x": np.zeros(2)}), "unknown weights 'x'"),
    "shape": (lambda c, t: t.update({"model/trust": np.zeros((9, 9), "float32")}), r"\(9, 9\)"),
    "type": (
        lambda c, t: t.update({"model/trust": t["model/trust"].astype("float64")}),
        "'trust' should be .*float32.* not .*float64",
    ),
}


@pytest.mark.parametrize("kind", FORGERIES)
def test_forged_files_with_a_right_digest_are_refused(path: Path, kind: str) -> None:
    change, reason = FORGERIES[kind]
    content, tensors = contents(path)
    change(content, tensors)
    forge(path, content, tensors)
    with pytest.raises(ValueError, match=reason) as caught:
        load(path)
    assert str(path) in str(caught.value)


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


def test_loading_works_in_a_process_that_knows_nothing_yet(path: Path) -> None:
    code = "import sys; from maetab.files.models import load; print(load(sys.argv[1]).n_iter_)"
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, cwd=root
    )
    assert done.stdout.strip() == "2", done.stderr
