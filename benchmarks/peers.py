"""Imputers behind one door: `make(method)` gives fit, transform and fit_transform on frames.

Run as `python -m benchmarks.peers FOLDER` it imputes the frames left in FOLDER with one method,
in a process of its own, and leaves the filled frame, the seconds and the memory there. It never
sees the true values.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import pickle
import resource
import sys
import time
import traceback
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.linear_model import BayesianRidge

PACKAGES = {
    "maetab": "maetab",
    "prior": "maetab",
    "mean": "scikit-learn",
    "knn": "scikit-learn",
    "bayesridge": "scikit-learn",
    "extratrees": "scikit-learn",
    "miceforest": "miceforest",
}
METHODS = tuple(PACKAGES)
OURS = ("maetab", "prior")


class FrameImputer(Protocol):
    """What `make` gives: frames in, the same frames without empty cells out."""

    def fit(self, X: pd.DataFrame) -> Any: ...

    def transform(self, X: pd.DataFrame) -> pd.DataFrame: ...

    def fit_transform(self, X: pd.DataFrame) -> pd.DataFrame: ...


def is_number(column: pd.Series) -> bool:
    """Return True for a column of numbers; text, categories and booleans are categories."""
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def levels_of(column: pd.Series) -> list:
    """Return the levels that occur in a column: in declared order, else sorted."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return list(column.cat.remove_unused_categories().cat.categories)
    return sorted(column.dropna().unique())


class Coder:
    """A frame as a matrix of standardised numbers and back; learned from observed cells.

    Parameters
    ----------
    one_hot : bool
        True gives a category one column of 0 and 1 per level; False gives it one column of
        codes, standardised like a number.
    """

    def __init__(self, one_hot: bool) -> None:
        self.one_hot = one_hot

    def fit(self, frame: pd.DataFrame) -> Coder:
        """Learn the levels, and the mean and standard deviation of every numeric block."""
        self.levels = [None if is_number(c) else levels_of(c) for _, c in frame.items()]
        self.center, self.scale = [], []
        for (_, column), levels in zip(frame.items(), self.levels, strict=True):
            block = self._block(column, levels)
            standardised = block.shape[1] == 1 and not (levels is not None and self.one_hot)
            empty = np.isnan(block).all()
            self.center.append(np.nanmean(block) if standardised and not empty else 0.0)
            self.scale.append((np.nanstd(block) if standardised and not empty else 1.0) or 1.0)
        return self

    def _block(self, column: pd.Series, levels: list | None) -> np.ndarray:
        """Return the columns of the matrix that stand for one column of the frame."""
        if levels is None:
            return column.to_numpy(dtype=np.float64, na_value=np.nan)[:, None]
        codes = pd.Index(levels).get_indexer(column.astype(object))
        if not self.one_hot:
            return np.where(codes < 0, np.nan, codes.astype(np.float64))[:, None]
        block = (codes[:, None] == np.arange(max(len(levels), 1))).astype(np.float64)
        block[column.isna().to_numpy()] = np.nan
        return block

    def encode(self, frame: pd.DataFrame) -> np.ndarray:
        """Return the float64 matrix of a frame, NaN where a cell is empty."""
        parts = zip(frame.items(), self.levels, self.center, self.scale, strict=True)
        return np.hstack([(self._block(c, lv) - m) / s for (_, c), lv, m, s in parts])

    def decode(self, matrix: np.ndarray, frame: pd.DataFrame) -> pd.DataFrame:
        """Return `frame` with its empty cells filled from a completed matrix."""
        filled, start = {}, 0
        for (name, column), levels, center, scale in zip(
            frame.items(), self.levels, self.center, self.scale, strict=True
        ):
            width = 1 if levels is None or not self.one_hot else max(len(levels), 1)
            block = matrix[:, start : start + width] * scale + center
            start += width
            if levels is None:
                guess = pd.Series(block[:, 0], index=frame.index)
            elif levels:
                codes = block.argmax(axis=1) if self.one_hot else np.rint(block[:, 0])
                codes = np.clip(codes, 0, len(levels) - 1).astype(int)
                guess = pd.Series([levels[k] for k in codes], index=frame.index, dtype=object)
            else:
                guess = column
            filled[name] = fill_empty(column, guess)
        return pd.DataFrame(filled, index=frame.index)


def fill_empty(column: pd.Series, guess: pd.Series) -> pd.Series:
    """Return `column` with only its empty cells taken from `guess`, in its own dtype."""
    empty = column.isna()
    return column.where(~empty, guess.astype(column.dtype))


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


class SlimModels(dict):
    """Models without the training data that LightGBM keeps with them (gigabytes in all)."""

    def __setitem__(self, key: tuple, model: Any) -> None:
        super().__setitem__(key, pickle.loads(pickle.dumps(model)))


class MiceForestPeer:
    """miceforest: `n_datasets` chained fits, pooled by mean (numbers) or mode (categories).

    Parameters
    ----------
    n_datasets, n_iterations : int
    threads : int
        Threads that LightGBM may use.
    random_state : int
    """

    def __init__(self, n_datasets: int, n_iterations: int, threads: int, random_state: int) -> None:
        self.n_datasets = n_datasets
        self.n_iterations = n_iterations
        self.threads = threads
        self.random_state = random_state

    def _prepared(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return numbers as float64 and categories as codes of dtype category, plainly named."""
        ready = {}
        for j, (_, column) in enumerate(X.items()):
            levels = self.levels[j]
            if levels is None:
                ready[f"f{j}"] = column.to_numpy(dtype=np.float64, na_value=np.nan)
            else:
                codes = pd.Index(levels).get_indexer(column.astype(object))
                ready[f"f{j}"] = pd.Categorical.from_codes(codes, categories=range(len(levels)))
        return pd.DataFrame(ready)

    def fit(self, X: pd.DataFrame, keep_models: bool = True) -> MiceForestPeer:
        """Run the chains; `keep_models` is False where no other rows will be filled."""
        import miceforest

        _mend_miceforest()
        self.levels = [None if is_number(c) else levels_of(c) for _, c in X.items()]
        # The likeliest level beats a matched one in accuracy, and log-odds of 0 cannot be matched.
        matched = {f"f{j}": 5 if lv is None else 0 for j, lv in enumerate(self.levels)}
        self.kernel = miceforest.ImputationKernel(
            self._prepared(X),
            num_datasets=self.n_datasets,
            mean_match_candidates=matched,
            save_all_iterations_data=keep_models,
            random_state=self.random_state,
        )
        self.kernel.models = SlimModels()
        self.kernel.mice(self.n_iterations, verbose=False, num_threads=self.threads)
        return self

    def _pooled(self, X: pd.DataFrame, imputed: Any) -> pd.DataFrame:
        """Return `X` filled with the mean or the mode over the completed data sets."""
        draws = [imputed.complete_data(dataset=k) for k in range(self.n_datasets)]
        filled = {}
        for j, (name, column) in enumerate(X.items()):
            drawn = np.column_stack([d[f"f{j}"].to_numpy(dtype=np.float64) for d in draws])
            levels = self.levels[j]
            if levels is None:
                guess = pd.Series(drawn.mean(axis=1), index=X.index)
            else:
                counts = (drawn[:, :, None] == np.arange(len(levels))).sum(axis=1)
                picked = [levels[k] for k in counts.argmax(axis=1)]
                guess = pd.Series(picked, index=X.index, dtype=object)
            filled[name] = fill_empty(column, guess)
        return pd.DataFrame(filled, index=X.index)

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        new = self._prepared(X)
        return self._pooled(X, self.kernel.impute_new_data(new, verbose=False))

    def fit_transform(self, X: pd.DataFrame) -> pd.DataFrame:
        return self._pooled(X, self.fit(X, keep_models=False).kernel)


def _mend_miceforest() -> None:
    """Mend two faults of miceforest 6.0.5 that would make it fail or guess at random.

    LightGBM 4.7 takes the data index of a private method by name only. And `impute_new_data`
    never counts its iterations, so that it gives back its random first guess.
    """
    from lightgbm import Booster
    from miceforest import ImputedData, imputation_kernel

    if imputation_kernel.ImputedData is not ImputedData:
        return
    inner = Booster._Booster__inner_predict

    def by_name(booster: Any, data_idx: int) -> np.ndarray:
        return inner(booster, data_idx=data_idx)

    class Counted(ImputedData):
        def __setitem__(self, cell: tuple, values: pd.Series) -> None:
            super().__setitem__(cell, values)
            variable, iteration, dataset = cell
            self.iteration_tab[variable, dataset] = iteration

    Booster._Booster__inner_predict = by_name
    imputation_kernel.ImputedData = Counted


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
    package = PACKAGES[method]
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
        cost = {"error": f"{type(failure).__name__}: {failure}"[:500], "at": last[1].strip()}
    (folder / "cost.json").write_text(json.dumps(cost), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
