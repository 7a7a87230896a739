"""What each of several processes does in the tests of fits that they share."""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.dataset as ds
import torch

from maetab import MAEAnomalyDetector, MAEEncoder, MAEImputer
from maetab.nn.guess.options import GuessOptions

QUICK = GuessOptions(tuning_steps=20)
FEW = GuessOptions(tuning_steps=20, n_remembered=32, resized=True)
GIVEN = {"guess": QUICK, "width": 8, "batch_size": 31, "random_state": 0, "max_iter": 3}
ESTIMATORS = {
    "imputer": lambda: MAEImputer(backbone="transformer", **GIVEN),
    "cosine": lambda: MAEImputer(loss="cosine", **GIVEN | {"guess": FEW}),
    "encoder": lambda: MAEEncoder(n_components=3, **GIVEN),
    "detector": lambda: MAEAnomalyDetector(n_masks=2, **GIVEN),
    "series": lambda: MAEImputer(window=6, **GIVEN),
    "limited": lambda: MAEImputer(max_time=600, **GIVEN),
}


def table(n: int = 200) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(n, 2))
    cells = np.abs(hidden) @ rng.normal(size=(2, 4)) + 0.3 * rng.normal(size=(n, 4))
    frame = pd.DataFrame(cells, columns=list("abcd"))
    return frame.assign(e=np.where(frame["a"] > 0, "x", "y")).mask(rng.random((n, 5)) < 0.15)


def found(estimator, X: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return what a fitted estimator is and gives."""
    ask = "score_samples" if isinstance(estimator, MAEAnomalyDetector) else "transform"
    given = getattr(estimator, ask)(X)
    if isinstance(given, pd.DataFrame):
        given = given.select_dtypes("number").to_numpy(float)
    names = "validation_loss", "train_loss"
    losses = [record[name] for record in estimator.history_ for name in names]
    weights = np.concatenate([p.detach().flatten() for p in estimator.model_.members.parameters()])
    return {"given": given, "losses": np.array(losses), "weights": weights}


def fit_all(folder: Path) -> dict[str, dict[str, np.ndarray]]:
    """Return what is found of estimators of the table, and of its parts in files."""
    results = {name: found(make().fit(table()), table()) for name, make in ESTIMATORS.items()}
    data = ds.dataset(folder / "parts")
    imputer = MAEImputer(**GIVEN).fit(data)
    imputer.transform(data, to=folder / "filled")
    return results | {"parts": found(imputer, table())}


def main(what: str, folder: Path) -> None:
    torch.set_num_threads(1)
    rank = int(os.environ["RANK"])
    if what == "fit":
        (folder / f"rank{rank}.pickle").write_bytes(pickle.dumps(fit_all(folder)))
    elif what == "wrong":
        fail_once(folder / f"rank{rank}.txt")
    elif what == "die" and rank == 1:
        fit_until_death()
    elif what == "differ":
        MAEImputer(**GIVEN | {"batch_size": 30 + rank}).fit(table())
    else:
        MAEImputer(**GIVEN).fit(table())


def fail_once(said: Path) -> None:
    """Fit where the first process fails, tell what was raised, and fit again."""
    import maetab.engine.fit as engine

    real, imputer = engine.calibrate, MAEImputer(**GIVEN | {"max_iter": 0})

    def fail(*given) -> None:
        raise ValueError("no luck")

    engine.calibrate = fail
    try:
        imputer.fit(table())
    except (ValueError, RuntimeError) as error:
        said.write_text(f"{type(error).__name__}: {error}")
    engine.calibrate = real
    imputer.set_params(masking=lambda observed, generator: observed & False).fit(table())


def fit_until_death() -> None:
    from maetab.engine.trainer import Trainer

    def step(self, batch, number, network, real=Trainer.step):
        if number == 3:
            os._exit(7)
        return real(self, batch, number, network)

    Trainer.step = step
    MAEImputer(**GIVEN).fit(table())


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
