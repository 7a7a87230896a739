"""A model as plain values and NumPy arrays, and back."""

from __future__ import annotations

from typing import Any

import torch

from maetab.nn.model import Ensemble, ModelConfig


def pack(model: Ensemble) -> dict[str, Any]:
    """Return config and weights of a model, wherever it lives; `unpack` is the way back."""
    tensors = {key: tensor.cpu().numpy().copy() for key, tensor in model.state_dict().items()}
    return {"config": model.config.to_dict(), "tensors": tensors}


def unpack(packed: dict[str, Any]) -> Ensemble:
    """Return the model that `pack` took apart, on the CPU."""
    with torch.random.fork_rng(devices=[]):  # fresh weights would move the global state
        model = Ensemble(ModelConfig.from_dict(packed["config"]))
    model.load_state_dict({key: torch.tensor(value) for key, value in packed["tensors"].items()})
    return model.eval()
