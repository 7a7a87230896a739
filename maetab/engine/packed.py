"""A model as plain values and NumPy arrays, and back; also what earlier versions wrote."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import torch

from maetab.nn.config import ModelConfig
from maetab.nn.ensemble import Ensemble

# Names of tensors in models of 0.1.0, in whose networks the guess stood as well, and now.
FORMER = (
    (r"members\.\d+\.prior\..*", ""),
    (r"prior\.support\.", "support."),
    (r"prior\.gaussian\.", "guess.base."),
    (r"prior\.memory\.", "guess.memory."),
    (r"prior\.stack$", "guess.stack_weights"),
    (r"prior\.inflate$", "guess.variance_weights"),
    (r"trust$", "network_weight"),
    (r"spread$", "residual_std"),
    # Of what only training reads, and of kinds of column that a table lacks.
    (r"members\.\d+\.swap(_bias)?$", ""),
)


def pack(model: Ensemble) -> dict[str, Any]:
    """Return config and weights of a model, wherever it lives; `unpack` is the way back."""
    tensors = {key: tensor.cpu().numpy().copy() for key, tensor in model.state_dict().items()}
    return {"config": model.config.to_dict(), "tensors": tensors}


def unpack(packed: dict[str, Any]) -> Ensemble:
    """Return the model that `pack` took apart, on the CPU."""
    config, tensors = as_written_now(packed["config"], packed["tensors"])
    with torch.random.fork_rng(devices=[]):  # fresh weights would move the global state
        model = Ensemble(ModelConfig.from_dict(config))
    model.load_state_dict({key: torch.tensor(value) for key, value in tensors.items()})
    return model.eval()


def as_written_now(
    config: dict[str, Any], tensors: dict[str, np.ndarray]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return config and tensors of any version as `pack` gives them now."""
    config = {"n_phases": 1, "n_starts": 0, "n_calendar": 0} | config
    if "residual_quantiles" not in tensors and "value_share" not in tensors:
        shape = len(tensors["ranks"]), _length(tensors, "memory.log_weight")
        tensors = tensors | {"value_share": np.zeros(shape, np.float32)}
    if "residual_quantiles" not in tensors and "sure_ranks" not in tensors:
        tensors = tensors | {"sure_ranks": tensors["ranks"]}
    if "residual_quantiles" not in tensors and "guess.slope" not in tensors:
        n = _length(tensors, "guess.variance_weights", "prior.inflate")
        tensors = tensors | {"guess.slope": np.ones(n, np.float32)}
    if "support.lift" not in tensors and "prior.support.lift" not in tensors:
        tensors = tensors | {"support.lift": np.ones(len(tensors["ranks"]), np.float32)}
    if "guess" in config:
        return config | {"guess": {"key_width": 0, "n_metrics": 1} | config["guess"]}, tensors
    config = config | {
        "guess": {"base": "gaussian", "key_width": 0, "n_metrics": 1},
        "learns_swaps": False,
    }
    renamed = {}
    for key, tensor in tensors.items():
        for former, now in FORMER:
            if re.match(former, key):
                key = re.sub(former, now, key)
                break
        empty = not tensor.size and ".tokens." in key and ".pieces." not in key
        if key and not empty:
            renamed[key] = tensor
    return config, renamed


def _length(tensors: dict[str, np.ndarray], *names: str) -> int:
    """Return the length of the tensor that has one of some names; without it a KeyError tells."""
    for key, tensor in tensors.items():
        if key.endswith(names):
            return len(tensor)
    raise KeyError(names[0])
