"""miceforest as one of the imputers of `peers`."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.coding import fill_empty, is_number, levels_of


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
    drawn : bool
        Draw levels by their probabilities, for `sample`, instead of taking the likeliest.
    """

    def __init__(
        self,
        n_datasets: int,
        n_iterations: int,
        threads: int,
        random_state: int,
        drawn: bool = False,
    ) -> None:
        self.n_datasets = n_datasets
        self.n_iterations = n_iterations
        self.threads = threads
        self.random_state = random_state
        self.drawn = drawn

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
        # The likeliest level beats a matched one in accuracy, and log-odds of 0 cannot be matched;
        # "fast" draws a level by its probability.
        of_levels = 5 if self.drawn else 0
        matched = {f"f{j}": 5 if lv is None else of_levels for j, lv in enumerate(self.levels)}
        how = {f"f{j}": "fast" for j, lv in enumerate(self.levels) if self.drawn and lv is not None}
        self.kernel = miceforest.ImputationKernel(
            self._prepared(X),
            num_datasets=self.n_datasets,
            mean_match_candidates=matched,
            mean_match_strategy=how,
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

    def sample(self, X: pd.DataFrame) -> list[pd.DataFrame]:
        """Return `X`, which the chains are fitted to, filled by each of them."""
        imputed = self.fit(X, keep_models=False).kernel
        return [self._decoded(X, imputed.complete_data(dataset=k)) for k in range(self.n_datasets)]

    def sample_new(self, X: pd.DataFrame) -> list[pd.DataFrame]:
        """Return other rows filled by each of the chains that are fitted."""
        imputed = self.kernel.impute_new_data(self._prepared(X), verbose=False)
        return [self._decoded(X, imputed.complete_data(dataset=k)) for k in range(self.n_datasets)]

    def _decoded(self, X: pd.DataFrame, drawn: pd.DataFrame) -> pd.DataFrame:
        """Return `X` filled from one completed data set."""
        filled = {}
        for j, (name, column) in enumerate(X.items()):
            guess, levels = drawn[f"f{j}"], self.levels[j]
            if levels is not None:
                guess = pd.Series([levels[k] for k in guess.astype(int)], dtype=object)
            filled[name] = fill_empty(column, guess.set_axis(X.index))
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
