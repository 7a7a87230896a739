"""A small model, and what its file holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors import safe_open

from maetab import MAEImputer


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


def contents(path: Path) -> tuple[dict, dict]:
    with safe_open(path, framework="numpy") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        return json.loads(file.metadata()["maetab"]), tensors
