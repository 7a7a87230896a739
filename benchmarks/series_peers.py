"""Imputers of series behind one door: a part that teaches, a part to stop by, a part to fill.

Run as `python -m benchmarks.series_peers FOLDER` it fills what was left in FOLDER with one method,
in a process of its own, and leaves the filled values and the costs there. It never sees the true
values of the part that is judged. In the setting "windows" every window of that part is filled on
its own, as in TSI-Bench; in "course" its whole course is known to the method.
"""

from __future__ import annotations

import json
import pickle
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer

from benchmarks.peers import package_version, peak_memory_mib
from benchmarks.series_data import Part

LEVELS = tuple(round(0.05 * k, 2) for k in range(1, 20))  # of the quantiles behind a CRPS
GROUP = "window_id"  # the column that names a window, where a method must not see beyond it
MAX_ROWS = 10_000  # the latest rows that KNN and the chained trees learn from
PACKAGES = {
    "maetab": "maetab",
    "prior": "maetab",
    "linear": "pandas",
    "spline": "pandas",
    "locf": "pandas",
    "knn": "scikit-learn",
    "extratrees": "scikit-learn",
    "saits": "pypots",
    "saits-small": "pypots",
    "helix": "pypots",
}
METHODS = tuple(PACKAGES)
OURS = ("maetab", "prior")
NETWORKS = ("saits", "saits-small", "helix")
WINDOWS_ONLY = NETWORKS

# Published settings: milaogou/HELIX, benchmark_code/hpo_results/ett_h1.py and italy_air.py, which
# carries those of TSI-Bench on. There is none for the others: they get ETT_h1's. `saits-small` is
# the example of PyPOTS' README, for machines on which 88 million weights are too many.
SETTINGS: dict[str, dict[str, dict[str, Any]]] = {
    "saits": {
        "italian": {
            "n_layers": 3, "d_model": 64, "d_ffn": 64, "n_heads": 8, "d_k": 128, "d_v": 32,
            "dropout": 0.1, "attn_dropout": 0.2, "epochs": 100, "patience": 10,
            "lr": 7.565260478606772e-05,
        },
        "": {
            "n_layers": 3, "d_model": 64, "d_ffn": 512, "n_heads": 8, "d_k": 256, "d_v": 128,
            "dropout": 0, "attn_dropout": 0.1, "epochs": 100, "patience": 10,
            "lr": 0.00013619330183926336,
        },
    },
    "saits-small": {
        "": {
            "n_layers": 2, "d_model": 256, "d_ffn": 128, "n_heads": 4, "d_k": 64, "d_v": 64,
            "dropout": 0.1, "epochs": 100, "patience": 10, "lr": 0.001,
        },
    },
    "helix": {
        "italian": {
            "d_pe": 6, "d_feature_embed": 6, "d_model": 32, "n_heads": 2, "n_layers": 3,
            "dropout": 0.2, "batch_size": 8, "epochs": 1000, "patience": 10,
            "lr": 0.000635711172076294,
        },
        "": {
            "d_pe": 24, "d_feature_embed": 12, "d_model": 128, "n_heads": 4, "n_layers": 2,
            "dropout": 0.0, "batch_size": 8, "epochs": 1000, "patience": 10,
            "lr": 0.0005752473163560674,
        },
    },
}  # fmt: skip


@dataclass(frozen=True)
class Job:
    """What a method gets.

    Parameters
    ----------
    method, name, setting : str
        `setting` is "windows" or "course".
    window, period : int
    random_state : int
    options : dict
        Parameters of MAEImputer for "maetab", of the network for a network.
    train, test : DataFrame, missing cells empty
    val : Part
        With its truth, which networks stop by; nothing else looks at it.
    """

    method: str
    name: str
    setting: str
    window: int
    period: int
    random_state: int
    options: dict[str, Any]
    train: pd.DataFrame
    test: pd.DataFrame
    val: Part


class Filled(NamedTuple):
    """Filled values (n, F), where a method has them quantiles (19, n, F), CPU seconds."""

    values: np.ndarray
    quantiles: np.ndarray | None = None
    seconds: tuple[float, float] = (0.0, 0.0)


def pieces(job: Job) -> list[pd.DataFrame]:
    """Return what is filled on its own: the windows of the judged part, or its whole course."""
    step = job.window if job.setting == "windows" else len(job.test)
    return [job.test.iloc[i : i + step] for i in range(0, len(job.test), step)]


def window_ids(n_rows: int, window: int) -> np.ndarray:
    """Return the number of the window that each row belongs to."""
    return np.arange(n_rows) // window


# ---- interpolation


def _linear(piece: pd.DataFrame) -> pd.DataFrame:
    return piece.interpolate(method="time", limit_direction="both")


def _spline(piece: pd.DataFrame) -> pd.DataFrame:
    """Cubic between the observed cells of a column with four or more, else linear."""
    enough = piece.columns[piece.notna().sum() >= 4]
    smooth = piece.copy()
    steps = piece[enough].reset_index(drop=True)
    for label in enough:
        smooth[label] = steps[label].interpolate(method="cubic").to_numpy()
    return _linear(smooth)


def _locf(piece: pd.DataFrame) -> pd.DataFrame:
    return piece.ffill().bfill()


def _by_piece(fill: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[Job], Filled]:
    """Return a filler that looks at one piece at a time; empty columns get the training mean."""

    def run(job: Job) -> Filled:
        start = time.process_time()
        filled = pd.concat([fill(piece) for piece in pieces(job)]).fillna(job.train.mean())
        return Filled(filled.to_numpy(), seconds=(0.0, time.process_time() - start))

    return run


# ---- scikit-learn's imputers


def _knn(job: Job) -> Filled:
    """Return windows (or, over the course, rows) filled by the ten nearest of the training part."""
    shape = job.test.shape
    width = job.window * shape[1] if job.setting == "windows" else shape[1]
    train = job.train.to_numpy().reshape(-1, width)[-MAX_ROWS:]
    return _timed(
        KNNImputer(n_neighbors=10, weights="distance", keep_empty_features=True),
        train,
        job.test.to_numpy().reshape(-1, width),
        lambda filled: filled.reshape(shape),
    )


def _extratrees(job: Job) -> Filled:
    """Return cells filled by chained trees on the columns and their neighbours in time."""
    train = lagged(job.train, lags(job))[-MAX_ROWS:]
    test = np.concatenate([lagged(piece, lags(job)) for piece in pieces(job)])
    trees = ExtraTreesRegressor(
        n_estimators=20, max_features=0.5, min_samples_leaf=2, random_state=job.random_state
    )
    chain = IterativeImputer(
        trees, max_iter=3, keep_empty_features=True, random_state=job.random_state
    )
    return _timed(chain, train, test, lambda filled: filled[:, : job.test.shape[1]])


def lags(job: Job) -> tuple[int, ...]:
    """Return the distances in steps at which the chained trees look."""
    reach = job.window if job.setting == "windows" else len(job.test)
    return (1, 2, job.period) if 0 < job.period < reach else (1, 2)


def lagged(frame: pd.DataFrame, steps: tuple[int, ...]) -> np.ndarray:
    """Return the columns, and beside them those of the rows so many steps before and after."""
    moved = [frame.shift(sign * step) for step in steps for sign in (1, -1)]
    return np.hstack([frame.to_numpy(), *(m.to_numpy() for m in moved)])


def _timed(
    imputer: Any, train: np.ndarray, test: np.ndarray, back: Callable[[np.ndarray], np.ndarray]
) -> Filled:
    """Return what a scikit-learn imputer fills, with the CPU seconds of fit and of fill."""
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # three rounds have not converged, and need not
        imputer.fit(train)
    middle = time.process_time()
    filled = back(imputer.transform(test))
    return Filled(filled, seconds=(middle - start, time.process_time() - middle))


# ---- networks of PyPOTS


def _network(job: Job) -> Filled:
    """Return windows filled by a network of PyPOTS at its published settings."""
    from pypots.imputation import HELIX, SAITS
    from pypots.optim import Adam
    from pypots.utils.random import set_random_seed

    set_random_seed(job.random_state)
    known = SETTINGS[job.method]
    chosen = known.get(job.name, known[""]) | job.options
    kind = HELIX if job.method == "helix" else SAITS
    model = kind(
        n_steps=job.window,
        n_features=job.test.shape[1],
        device="cpu",
        verbose=True,
        optimizer=Adam(lr=chosen["lr"]),
        **{name: value for name, value in chosen.items() if name != "lr"},
    )
    cut = (-1, job.window, job.test.shape[1])
    start = time.process_time()
    model.fit(
        {"X": job.train.to_numpy(np.float32).reshape(cut)},
        {
            "X": job.val.missing.to_numpy(np.float32).reshape(cut),
            "X_ori": job.val.truth.to_numpy(np.float32).reshape(cut),
        },
    )
    middle = time.process_time()
    filled = model.predict({"X": job.test.to_numpy(np.float32).reshape(cut)})["imputation"]
    ended = time.process_time()
    return Filled(filled.reshape(job.test.shape), seconds=(middle - start, ended - middle))


# ---- maetab


def _maetab(job: Job) -> Filled:
    """Return cells filled by `MAEImputer` on windows, with the ends of its intervals."""
    from maetab import MAEImputer

    chosen = {"max_iter": 0} if job.method == "prior" else {}
    imputer = MAEImputer(
        window=job.window,
        groups=GROUP if job.setting == "windows" else None,
        edges=True,  # the ends of a window are judged like the rest
        random_state=job.random_state,
        **(chosen | {"keep_grid": False} | job.options),
    )
    train, test = _framed(job)
    start = time.process_time()
    imputer.fit(train)
    middle = time.process_time()
    values = imputer.transform(test)
    ended = time.process_time()
    columns = job.test.columns
    return Filled(
        values[columns].to_numpy(),
        _quantiles(imputer, test, values)[:, :, [test.columns.get_loc(c) for c in columns]],
        (middle - start, ended - middle),
    )


def _quantiles(imputer: Any, test: pd.DataFrame, values: pd.DataFrame) -> np.ndarray:
    """Return the quantiles at LEVELS: the ends of central intervals, and the point as median."""
    half = len(LEVELS) // 2
    ends = [imputer.predict_interval(test, coverage=1 - 2 * level) for level in LEVELS[:half]]
    lower = [low.to_numpy(float) for low, _ in ends]
    upper = [high.to_numpy(float) for _, high in reversed(ends)]
    return np.stack([*lower, values.to_numpy(float), *upper])


def _framed(job: Job) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the frames that maetab gets: among windows each of the judged is its own group."""
    if job.setting == "course":
        return job.train, job.test
    own = 1 + window_ids(len(job.test), job.window)
    return job.train.assign(**{GROUP: 0}), job.test.assign(**{GROUP: own})


FILLERS: dict[str, Callable[[Job], Filled]] = {
    "linear": _by_piece(_linear),
    "spline": _by_piece(_spline),
    "locf": _by_piece(_locf),
    "knn": _knn,
    "extratrees": _extratrees,
    **dict.fromkeys(NETWORKS, _network),
    **dict.fromkeys(OURS, _maetab),
}


def version_of(method: str) -> str:
    """Return the version of the package behind a method, or "absent"."""
    return package_version(PACKAGES[method])


def main(folder: Path) -> None:
    """Run the job in `folder`; leave filled.pkl and cost.json, with the error if it failed."""
    job: Job = pickle.loads((folder / "job.pkl").read_bytes())
    start = time.perf_counter()
    try:
        filled = FILLERS[job.method](job)
        (folder / "filled.pkl").write_bytes(pickle.dumps(filled._asdict()))
        fit, fill = filled.seconds
        cost: dict[str, Any] = {"fit_seconds": fit, "fill_seconds": fill}
    except Exception as failure:  # whatever a method raises is a result to record
        last = traceback.format_exc(limit=-1).strip().splitlines()
        cost = {"error": f"{type(failure).__name__}: {failure}"[:500], "at": last[1].strip()}
    cost |= {"seconds": time.perf_counter() - start, "peak_mib": peak_memory_mib()}
    (folder / "cost.json").write_text(json.dumps(cost), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
