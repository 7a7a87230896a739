"""Imputers behind one door: `make(method)` gives fit, transform and fit_transform on frames.

Run as `python -m benchmarks.peers FOLDER` it imputes the frames left in FOLDER with one method,
in a process of its own, and leaves the filled frame, the seconds and the memory there. It never
sees the true values.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import resource
import sys
import time
import traceback
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.linear_model import BayesianRidge

import maetab
from benchmarks import hyper_peer
from benchmarks.coding import Coder
from benchmarks.mice_peer import MiceForestPeer

PACKAGES = {
    "maetab": "maetab",
    "prior": "maetab",
    "mean": "scikit-learn",
    "knn": "scikit-learn",
    "bayesridge": "scikit-learn",
    "extratrees": "scikit-learn",
    "miceforest": "miceforest",
    "hyperimpute": "hyperimpute",
}
METHODS = tuple(PACKAGES)
USUAL = tuple(m for m in METHODS if m != "hyperimpute")  # that takes an environment of its own
OURS = ("maetab", "prior")


class FrameImputer(Protocol):
    """What `make` gives: frames in, the same frames without empty cells out."""

    def fit(self, X: pd.DataFrame) -> Any: ...

    def transform(self, X: pd.DataFrame) -> pd.DataFrame: ...

    def fit_transform(self, X: pd.DataFrame) -> pd.DataFrame: ...


class MatrixPeer:
    """A scikit-learn imputer behind a `Coder`.

    Parameters
    ----------
    imputer : a scikit-learn imputer of numeric matrices
    one_hot : bool
        How categories are coded; see `Coder`.
    """

    def __init__(self, imputer: Any, one_hot: bool) -> None:
        self.imputer = imputer
        self.coder = Coder(one_hot)

    def fit(self, X: pd.DataFrame) -> MatrixPeer:
        self.imputer.fit(self.coder.fit(X).encode(X))
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        return self.coder.decode(self.imputer.transform(self.coder.encode(X)), X)

    def fit_transform(self, X: pd.DataFrame) -> pd.DataFrame:
        return self.coder.decode(self.imputer.fit_transform(self.coder.fit(X).encode(X)), X)


def make(
    method: str, random_state: int = 0, threads: int = 1, options: dict | None = None
) -> FrameImputer:
    """Return a fresh imputer of the named method.

    Parameters
    ----------
    method : one of METHODS
    random_state : int
    threads : int
        Threads for methods that take a number; the others follow OMP_NUM_THREADS.
    options : dict, optional
        Further parameters of MAEImputer, for "maetab" only.
    """
    if method in OURS:
        from maetab import MAEImputer

        chosen = {"max_iter": 0} if method == "prior" else dict(options or {})
        # The tables are cast to float64 so that no method's score holds the rounding of whole
        # numbers; nor does this one's.
        return MAEImputer(random_state=random_state, **({"keep_grid": False} | chosen))
    if method == "mean":
        return MatrixPeer(SimpleImputer(keep_empty_features=True), one_hot=True)
    if method == "knn":
        neighbours = KNNImputer(n_neighbors=10, weights="distance", keep_empty_features=True)
        return MatrixPeer(neighbours, one_hot=True)
    if method == "bayesridge":
        return MatrixPeer(_chain(BayesianRidge(), 10, random_state), one_hot=True)
    if method == "extratrees":
        trees = ExtraTreesRegressor(
            n_estimators=100, max_features=0.5, n_jobs=threads, random_state=random_state
        )
        return MatrixPeer(_chain(trees, 5, random_state), one_hot=False)
    if method == "miceforest":
        return MiceForestPeer(5, 5, threads, random_state)
    if method == "hyperimpute":
        return MatrixPeer(hyper_peer.HyperImpute(random_state), one_hot=False)
    raise ValueError(f"There is no method {method!r}; there are: {', '.join(METHODS)}.")


def _chain(estimator: Any, max_iter: int, random_state: int) -> IterativeImputer:
    return IterativeImputer(
        estimator,
        max_iter=max_iter,
        skip_complete=True,  # complete columns need no model: only faster
        keep_empty_features=True,
        random_state=random_state,
    )


def version_of(method: str) -> str:
    """Return the version of the package behind a method, or "absent"."""
    return hyper_peer.version() if method == "hyperimpute" else package_version(PACKAGES[method])


def package_version(package: str) -> str:
    """Return the version of a package, or "absent"; of maetab that of the code that runs."""
    if package == "maetab":
        return maetab.__version__
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        if importlib.util.find_spec(package.replace("-", "_")) is None:
            return "absent"
        return str(getattr(importlib.import_module(package), "__version__", "unreleased"))


def peak_memory_mib() -> float:
    """Return the most memory this process has held, in MiB.

    Linux hands the parent's peak down in `ru_maxrss`, so the process's own high-water mark is
    read where there is one.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def run_job(folder: Path) -> dict[str, Any]:
    """Impute the frames in `folder` as its job.json says; return the costs or the error."""
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    frame = pd.read_pickle(folder / "fit.pkl")
    new = folder / "transform.pkl"
    unseen = pd.read_pickle(new) if new.exists() else None
    imputer = make(job["method"], job["random_state"], job["threads"], job["options"])
    before = peak_memory_mib()
    start = time.perf_counter()
    done = imputer.fit_transform(frame) if unseen is None else imputer.fit(frame).transform(unseen)
    seconds = time.perf_counter() - start
    memory = peak_memory_mib()
    done.to_pickle(folder / "filled.pkl")
    return {"seconds": seconds, "peak_mib": memory, "added_mib": memory - before}


def main(folder: Path) -> None:
    """Run the job in `folder` and leave cost.json there, with the error if it failed."""
    try:
        cost = run_job(folder)
    except Exception as failure:  # whatever a method raises is a result to record
        last = traceback.format_exc(limit=-1).strip().splitlines()
        at = last[1].strip().replace(f"{Path.cwd()}/", "")  # records name no folder of a machine
        cost = {"error": f"{type(failure).__name__}: {failure}"[:500], "at": at}
    (folder / "cost.json").write_text(json.dumps(cost), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
