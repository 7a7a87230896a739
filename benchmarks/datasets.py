"""The benchmark tables: features without their target, and the labelled anomaly sets."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn import datasets as bundled

BUNDLED = {
    "sklearn-breast_cancer": (bundled.load_breast_cancer, "binary"),
    "sklearn-diabetes": (bundled.load_diabetes, "regression"),
    "sklearn-iris": (bundled.load_iris, "multiclass"),
    "sklearn-wine": (bundled.load_wine, "multiclass"),
}

# Tables are halved once and for all: what is chosen on the first half is judged on the second. The
# first holds every table that a choice was ever made on, before the halves were fixed.
CHOOSING = (
    "abalone", "adult", "airfoil", "autompg", "autos", "compression", "heart", "letter",
    "magic", "obesity", "raisin", "spam", "wdbc", "wine", "yacht",
)  # fmt: skip
JUDGING = (
    "beijing", "breast_w", "car", "climate", "communities", "credit_scoring", "default",
    "horse_colic", "mushroom", "nyc_weather", "pbc", "penguins", "pima", "shoppers", "titanic",
)  # fmt: skip
HALVES = {"choosing": CHOOSING, "judging": JUDGING}
# Those with some ten thousand rows: figures of 20,000 rows, or all that there are.
LARGE_CHOOSING, LARGE_JUDGING = ("adult", "letter", "magic"), ("beijing", "default", "shoppers")


def half_of(names: pd.Series) -> pd.Series:
    """Return the half of each table, "neither" for others."""
    halves = {name: half for half, tables in HALVES.items() for name in tables}
    return names.map(halves).fillna("neither")


def folder() -> Path:
    """Return the folder of the benchmark data, named by MAETAB_DATA.

    Raises
    ------
    RuntimeError
        The variable is not set, or names no folder.
    """
    named = os.environ.get("MAETAB_DATA")
    if not named:
        raise RuntimeError(
            "The environment variable MAETAB_DATA is not set; it must name the folder that "
            "holds tabular/index.json and anomaly/. Without it only these data sets can be "
            f"used: {', '.join(sorted(BUNDLED))}."
        )
    path = Path(named).expanduser()
    if not path.is_dir():
        raise RuntimeError(f"MAETAB_DATA names {named!r}, which is not a folder.")
    return path


@cache
def _index(data: Path) -> dict[str, dict]:
    """Return what is known of each table, by name."""
    return json.loads((data / "tabular" / "index.json").read_text(encoding="utf-8"))


def list_tables() -> list[str]:
    """Return the names that `load` takes; the bundled ones need no data folder."""
    recorded = sorted(_index(folder())) if os.environ.get("MAETAB_DATA") else []
    return recorded + sorted(BUNDLED)


def load(name: str) -> tuple[pd.DataFrame, pd.Series, str]:
    """Return the features, the target and the task of one table.

    Parameters
    ----------
    name : one of `list_tables()`

    Returns
    -------
    features : DataFrame
        Every column but the target, with the dtypes of the file.
    target : Series
    task : "regression", "binary" or "multiclass"
    """
    if name in BUNDLED:
        read, task = BUNDLED[name]
        features, target = read(return_X_y=True, as_frame=True)
        return features, target, task
    about = _index(folder()).get(name)
    if about is None:
        raise ValueError(f"There is no table {name!r}; there are: {', '.join(list_tables())}.")
    table = pd.read_parquet(folder() / "tabular" / about["file"])
    return table.drop(columns=about["target"]), table[about["target"]], about["task"]


def list_anomaly_sets() -> list[str]:
    """Return the names that `load_anomaly` takes, such as "6_cardio"."""
    return sorted(path.stem for path in (folder() / "anomaly").glob("*.npz"))


def load_anomaly(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return one labelled anomaly set.

    Parameters
    ----------
    name : one of `list_anomaly_sets()`, with or without its leading number

    Returns
    -------
    X : float64 array (n, F)
    y : int64 array (n,)
        1 where the row is an anomaly, 0 where it is normal.
    """
    fitting = [s for s in list_anomaly_sets() if name in (s, s.split("_", 1)[1])]
    if len(fitting) != 1:
        known = ", ".join(list_anomaly_sets())
        raise ValueError(f"There is no anomaly set {name!r}; there are: {known}.")
    with np.load(folder() / "anomaly" / f"{fitting[0]}.npz") as held:
        return held["X"].astype(np.float64), held["y"].astype(np.int64).ravel()
