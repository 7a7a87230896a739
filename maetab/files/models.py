"""Fitted estimators in files: one safetensors file each, with JSON in its metadata.

Loading never runs code from the file: the class and its parts are looked up by name among those
of maetab, everything else is plain values and arrays, and what does not fit is refused.
"""

from __future__ import annotations

import errno
import hashlib
import importlib
import json
import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError
from safetensors.numpy import load as from_bytes
from safetensors.numpy import save as to_bytes
from sklearn.utils.validation import check_is_fitted

from maetab.data.schema import Schema
from maetab.data.timeline import Timeline
from maetab.files.packing import Arrays, masking_of, masking_text, pack, unpack_all
from maetab.files.writing import replace_file

if TYPE_CHECKING:  # `read_info` does without torch
    from torch import Tensor, nn

    from maetab.base import BaseMAE
    from maetab.nn.config import ModelConfig

__all__ = ["load", "read_info", "save"]

FORMAT = 2  # 1, of maetab 0.1.0, differs in names only: see engine/packed.py
READABLE = (1, 2)
ESTIMATORS = (*("MAEImputer", "MAEEncoder", "MAEAnomalyDetector", "MAEClassifier", "MAERegressor"),)
KEYS = {"format", "class", "versions", "parameters", "schema", "config", "attributes", "sha256"}
OPTIONAL = {"timeline"}  # of models of series
PARTS = ("model_", "schema_", "timeline_")  # attributes that are no plain values
ATTRIBUTE_NAME = re.compile(r"[a-z][a-z0-9_]*_|_sklearn_output_config")
PACKAGES = ("maetab", "torch", "numpy", "pandas", "sklearn")
SIZES = (
    *("n_steps", "n_phases", "n_starts", "n_calendar", "width", "n_heads", "n_bins", "n_pieces"),
    *("n_memory", "n_members"),
)
LONGEST_REASON = 500  # characters, for names and texts in a file may be of any length
# What reading may raise where the values are not those that were written.
BROKEN = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


def save(est: BaseMAE, path: str | os.PathLike) -> None:
    """Write a fitted estimator to one file, which `load` reads.

    A file that exists is replaced, all at once or not at all.

    Parameters
    ----------
    est : fitted estimator of maetab
    path : file, by custom with the suffix .safetensors

    Raises
    ------
    TypeError
        For other estimators, subclasses of maetab's too, and for parameters that are more than
        plain values, such as a RandomState or a masking of your own.
    sklearn.exceptions.NotFittedError
        For an estimator without a fit.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> from maetab import MAEImputer
    >>> X = np.array([[1.0, 2.0], [2.0, 4.0], [3.0, np.nan]])
    >>> imputer = MAEImputer(max_iter=2, random_state=0).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.safetensors")
    ...     save(imputer, path)
    ...     same = load(path)
    >>> bool((same.transform(X) == imputer.transform(X)).all())
    True
    """
    from maetab.callbacks import without_callbacks

    name = type(est).__name__
    versions = {package: str(importlib.import_module(package).__version__) for package in PACKAGES}
    if name not in ESTIMATORS or type(est) is not _estimator_class(name):
        raise TypeError(f"Only {', '.join(ESTIMATORS)} can be saved, got {type(est)}.")
    check_is_fitted(est, "model_")
    weights = est.model_.state_dict().items()
    tensors = {f"model/{key}": weight.cpu().numpy() for key, weight in weights}
    parameters, attributes = {}, {}
    for key, value in est.get_params(deep=False).items():
        value = None if key == "checkpoint" else value  # a folder of this machine
        parameters[key] = pack(value, f"The {key!r} parameter of {name}", tensors)
    for key, value in vars(without_callbacks(est)).items():
        if key in parameters or key in PARTS:
            continue
        _check_attribute(key, type(est), TypeError)
        attributes[key] = pack(value, f"The attribute {key!r} of {name}", tensors)
    content = {
        "format": FORMAT,
        "class": name,
        "versions": {"python": platform.python_version()} | versions,
        "parameters": parameters,
        "schema": est.schema_.to_dict(),
        "config": _plain_config(est.model_.config.to_dict(), name),
        "attributes": attributes,
    }
    timeline = getattr(est, "timeline_", None)
    if timeline is not None:
        content["timeline"] = timeline.to_dict()
    content["sha256"] = _digest(content, tensors)
    replace_file(Path(path), to_bytes(tensors, metadata={"maetab": _dump(content)}))


def _plain_config(config: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a config as it is, after a TypeError if it holds a part of the user's own."""
    own = {"loss": config["loss"], "backbone": config["backbone"], "guess": config["guess"]["base"]}
    for key, value in own.items():
        pack(value, f"The {key!r} that {name} was fitted with", {})
    return config


def load(path: str | os.PathLike) -> Any:
    """Return the estimator that `save` wrote; it predicts the same, bit for bit.

    No code from the file is run, so files of strangers can be opened.

    Parameters
    ----------
    path : file written by `save`

    Raises
    ------
    ValueError
        For files that are cut, changed, of another kind or from a later format. The message
        names the file and what is wrong with it.
    FileNotFoundError
    """
    with _opened(Path(path)) as (tensors, content, _):
        if content["sha256"] != _digest(content, tensors):
            raise ValueError("its content is not what was saved (SHA-256 differs)")
        est = _build(content, tensors)
    return est


def read_info(path: str | os.PathLike) -> dict[str, Any]:
    """Return what a saved model is, without its weights and without torch.

    Parameters
    ----------
    path : file written by `save`

    Returns
    -------
    info : dict
        class, format, versions, parameters, columns (name -> kind), attributes, the number
        of weights and bytes, and of models of series the timeline. Whether the file is whole is
        checked by `load` only.
    """
    with _opened(Path(path)) as (tensors, content, n_bytes):
        arrays = {key: array for key, array in tensors.items() if key.startswith("array/")}
        columns = Schema.from_dict(content["schema"]).columns
        info = {key: content[key] for key in ("class", "format", "versions")} | {
            "parameters": unpack_all(content["parameters"], arrays, masking_text),
            "columns": {column.name: column.kind for column in columns},
            "attributes": unpack_all(content["attributes"], arrays, masking_text),
            "n_weights": sum(x.size for key, x in tensors.items() if key not in arrays),
            "n_bytes": n_bytes,
        }
        if content.get("timeline") is not None:
            info["timeline"] = content["timeline"]
    return info


def _dump(content: dict[str, Any]) -> str:
    return json.dumps(content, allow_nan=False, separators=(",", ":"))


def _digest(content: dict[str, Any], tensors: Arrays) -> str:
    """Return the SHA-256 of everything but the digest itself."""
    digested = {key: value for key, value in content.items() if key != "sha256"}
    digest = hashlib.sha256(_dump(digested).encode())
    for key in sorted(tensors):
        array = tensors[key]
        digest.update(f"{key} {array.dtype.name} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Arrays, dict[str, Any], int]]:
    """Yield tensors, metadata and size of a model file; a ValueError tells what does not fit.

    The file is read at once: one that is mapped into memory and cut meanwhile ends the process.
    """
    if not path.is_file():
        raise FileNotFoundError(errno.ENOENT, "There is no such model file", str(path))
    written = path.read_bytes()
    try:
        yield _tensors(written), _metadata(written), len(written)
    except (*BROKEN, SafetensorError) as error:
        reason = f"it lacks {error}" if isinstance(error, LookupError) else str(error)
        if len(reason) > LONGEST_REASON:
            reason = f"{reason[:LONGEST_REASON]}..."
        raise ValueError(f"The model file '{path}' cannot be loaded: {reason}.") from error


def _tensors(written: bytes) -> Arrays:
    try:
        return from_bytes(written)
    except SafetensorError as error:
        raise ValueError(f"it is cut or no safetensors file ({error})") from error


def _metadata(written: bytes) -> dict[str, Any]:
    n_bytes = int.from_bytes(written[:8], "little")  # of the header, which has been checked
    header = json.loads(written[8 : 8 + n_bytes])
    text = (header.get("__metadata__") or {}).get("maetab")
    if text is None:
        raise ValueError("it holds no model of maetab")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError("its metadata are not JSON") from error
    found = content.get("format") if isinstance(content, dict) else None
    if found not in READABLE:
        wanted = f"this version of maetab reads format 1 to {FORMAT}"
        raise ValueError(f"it has format {found!r}, and {wanted}")
    if wrong := (set(content) - OPTIONAL) ^ KEYS:
        raise ValueError(f"it lacks or has unknown entries: {sorted(wrong)}")
    return content


def _estimator_class(name: Any) -> Any:
    if name not in ESTIMATORS:
        raise ValueError(f"{name!r} is not an estimator of maetab")
    found = getattr(importlib.import_module("maetab"), name, None)
    if found is None:
        raise ValueError(f"this version of maetab has no {name}")
    return found


def _check_attribute(name: str, cls: type, error: type[Exception]) -> None:
    if not ATTRIBUTE_NAME.fullmatch(name) or hasattr(cls, name) or name in PARTS:
        raise error(f"{name!r} is not an attribute that fitting gives to a {cls.__name__}")


def _build(content: dict[str, Any], tensors: Arrays) -> Any:
    from maetab.series import modelled

    cls = _estimator_class(content["class"])
    arrays = {key: value for key, value in tensors.items() if key.startswith("array/")}
    parameters = unpack_all(content["parameters"], arrays, masking_of)
    unknown = set(parameters) - set(cls._get_param_names())
    if unknown:
        raise ValueError(f"{cls.__name__} has no parameter {', '.join(sorted(unknown))}")
    est = cls(**parameters)
    est.schema_ = Schema.from_dict(content["schema"])
    written = content.get("timeline")
    est.timeline_ = None if written is None else Timeline.from_dict(written)
    weights = {k.removeprefix("model/"): v for k, v in tensors.items() if k not in arrays}
    est.model_ = _build_model(content["config"], weights)
    if len(modelled(est.schema_, est.timeline_)) != len(est.model_.config.n_levels):
        raise ValueError("its schema and its model differ in the number of columns")
    if (est.timeline_.n_steps if est.timeline_ else 1) != est.model_.config.n_steps:
        raise ValueError("its timeline and its model differ in the steps of a window")
    for key, value in unpack_all(content["attributes"], arrays, masking_of).items():
        _check_attribute(key, cls, ValueError)
        setattr(est, key, value)
    return est


def _build_model(fields: dict[str, Any], arrays: Arrays) -> nn.Module:
    """Return the model of a config with these weights; nothing is allocated before they fit."""
    import torch

    from maetab.engine.packed import as_written_now
    from maetab.engine.packed import unpack as as_model
    from maetab.nn.config import ModelConfig
    from maetab.nn.ensemble import Ensemble

    fields, arrays = as_written_now(fields, arrays)
    config = ModelConfig.from_dict(fields)
    for key in ("n_estimators", "n_encoder_layers", "n_decoder_layers"):
        if not 0 <= getattr(config, key) <= len(arrays):
            raise ValueError(f"{key}={getattr(config, key)!r} does not fit its weights")
    _check_sizes(config, sum(array.size for array in arrays.values()))
    with torch.device("meta"):
        outline = Ensemble(config).state_dict()
    _check_shapes(outline, arrays)
    return as_model({"config": fields, "tensors": arrays})


def _check_sizes(config: ModelConfig, n_weights: int) -> None:
    """Refuse sizes that no model of so many weights has, before lists of these are made."""
    sizes = {key: getattr(config, key) for key in SIZES}
    sizes |= {"n_metrics": config.guess.n_metrics, "key_width": config.guess.key_width}
    sizes["coordinates of a window"] = config.n_coordinates * config.n_steps
    for key, size in sizes.items():
        if not 0 <= size <= n_weights:
            raise ValueError(f"{key}={size!r} does not fit its weights")


def _check_shapes(outline: dict[str, Tensor], arrays: Arrays) -> None:
    for key in [*outline, *arrays]:
        if key not in outline or key not in arrays:
            problem = "lacks the weights" if key in outline else "has unknown weights"
            raise ValueError(f"it {problem} {key!r}")
        wanted = (tuple(outline[key].shape), str(outline[key].dtype).removeprefix("torch."))
        found = (arrays[key].shape, arrays[key].dtype.name)
        if wanted != found:
            raise ValueError(f"the weights {key!r} should be {wanted}, not {found}")
