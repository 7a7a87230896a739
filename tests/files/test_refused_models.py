"""Model files that are cut, changed or forged are refused, with the file and the reason named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model_files import contents
from safetensors.numpy import save_file

from maetab.files.models import _digest, load, read_info


def forge(path: Path, content: Any, tensors: dict) -> None:
    """Write what a stranger who knows the format could, digest included."""
    if isinstance(content, dict) and "sha256" in content:
        content["sha256"] = _digest(content, tensors)
    save_file(tensors, path, metadata={"maetab": json.dumps(content)})


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
    "levels": (
        lambda c, t: c["config"]["n_levels"].__setitem__(0, 10**9),
        "does not fit its weights",
    ),
    "steps": (lambda c, t: c["config"].update(n_steps=10**9), "does not fit its weights"),
    "text": (lambda c, t: c.update({"class": "x" * 10**6}), r"^.{,900}\.\.\.\.$"),
    "many": (lambda c, t: c["config"].update(n_estimators=10**12), "does not fit its weights"),
    "lost": (lambda c, t: t.pop("model/ranks"), "lacks the weights 'ranks'"),
    "lost heads": (
        lambda c, t: [t.pop(f"model/{key}") for key in ("guess.memory.log_weight", "value_share")],
        "lacks 'memory.log_weight'",
    ),
    "lost weights": (
        lambda c, t: [t.pop(f"model/guess.{key}") for key in ("variance_weights", "slope")],
        "lacks 'guess.variance_weights'",
    ),
    "added": (lambda c, t: t.update({"model/x": np.zeros(2)}), "unknown weights 'x'"),
    "shape": (lambda c, t: t.update({"model/ranks": np.zeros((9, 9), "float32")}), r"\(9, 9\)"),
    "type": (
        lambda c, t: t.update({"model/ranks": t["model/ranks"].astype("float64")}),
        "'ranks' should be .*float32.* not .*float64",
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
