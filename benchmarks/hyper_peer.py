"""HyperImpute as one of the imputers of `peers`, in an environment of its own.

With pandas 3 it fills nothing but means, without an error, so it is run by another Python, that
which MAETAB_HYPERIMPUTE names, with

    pip install "hyperimpute==0.1.17" "pandas<3" "scikit-learn<1.6"

This file is what that runs, so it imports nothing that is not there.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

NAME = "MAETAB_HYPERIMPUTE"


class HyperImpute:
    """HyperImpute at its defaults, for matrices of standardised numbers.

    Parameters
    ----------
    random_state : int
    """

    def __init__(self, random_state: int) -> None:
        self.random_state = random_state

    def fit_transform(self, matrix: np.ndarray) -> np.ndarray:
        """Return a matrix (n, F) with its NaN filled.

        Raises
        ------
        RuntimeError
            It failed, or gave means alone.
        """
        with tempfile.TemporaryDirectory() as name:
            given, filled = Path(name) / "given.npy", Path(name) / "filled.npy"
            np.save(given, matrix)
            words = [os.environ[NAME], __file__, str(given), str(filled), str(self.random_state)]
            ended = subprocess.run(words, capture_output=True, text=True)
            if ended.returncode:
                raise RuntimeError((ended.stderr.strip() or "no message").splitlines()[-1])
            found = np.load(filled)
        missing = np.isnan(matrix)
        means = np.broadcast_to(np.nanmean(matrix, axis=0), matrix.shape)
        if np.allclose(found[missing], means[missing]):
            raise RuntimeError("HyperImpute gave means alone; it needs a pandas below 3.")
        return found


def version() -> str:
    """Return the version of HyperImpute, or "absent"."""
    if NAME not in os.environ:
        return "absent"
    ask = "import importlib.metadata as m; print(m.version('hyperimpute'))"
    told = subprocess.run([os.environ[NAME], "-c", ask], capture_output=True, text=True, check=True)
    return told.stdout.strip()


def _fill(given: str, filled: str, random_state: str) -> None:
    """Fill a matrix that is left in a file."""
    import pandas as pd
    from hyperimpute.plugins.imputers import Imputers

    frame = pd.DataFrame(np.load(given))
    frame.columns = frame.columns.map(str)
    imputer = Imputers().get("hyperimpute", random_state=int(random_state))
    np.save(filled, np.asarray(imputer.fit_transform(frame), dtype=float))


if __name__ == "__main__":
    _fill(*sys.argv[1:])
