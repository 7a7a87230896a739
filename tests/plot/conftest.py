"""Tables that are drawn, and models of them."""

from __future__ import annotations

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from pictures import LONG, WARDS, history

from maetab import MAEAnomalyDetector, MAEImputer
from maetab.plot import (
    EmbeddingDisplay,
    HistoryDisplay,
    ImputationDisplay,
    MissingnessDisplay,
    ReconstructionDisplay,
    ScoreDisplay,
    SurpriseDisplay,
)

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def closed_figures():
    """Pictures are closed after each test."""
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    size = rng.normal(size=60)
    return pd.DataFrame(
        {
            "size": size,
            "twice": 2 * size + 0.1 * rng.normal(size=60),
            "count": rng.integers(0, 5, 60),
            "color": np.where(size > 0, "red", "blue"),
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(60), unit="D"),
        },
        index=pd.RangeIndex(100, 160),
    )


@pytest.fixture(scope="module")
def hidden(table):
    return pd.DataFrame(
        np.random.default_rng(1).random(table.shape) < 0.2, table.index, table.columns
    )


@pytest.fixture(scope="module")
def holes(table, hidden):
    return table.mask(hidden)


@pytest.fixture(scope="module")
def imputer(holes):
    return MAEImputer(max_iter=2, n_estimators=2, width=8, random_state=0).fit(holes)


@pytest.fixture(scope="module")
def detector(table):
    return MAEAnomalyDetector(n_masks=3, random_state=0).fit(table)


@pytest.fixture
def saved(tmp_path):
    """Save the figure of a drawn display; it must hold more than paper."""

    def save(display):
        path = tmp_path / "picture.png"
        display.figure_.savefig(path, dpi=50)
        picture = plt.imread(path)
        assert np.unique(picture.reshape(-1, picture.shape[-1]), axis=0).shape[0] > 5
        return display

    return save


@pytest.fixture(scope="module")
def odd():
    """A table with everything that is hard to draw: long and strange names, all kinds of cells."""
    rng, n = np.random.default_rng(0), 200
    size = rng.normal(size=n)
    table = pd.DataFrame(
        {
            f"{LONG}a": size,
            f"{LONG}b": 2 * size + rng.normal(size=n),
            "cost_in_$_per_m$": np.exp(size),
            "a_b^{c\n日本": rng.integers(0, 6, n).astype(float),
            "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(n), unit="D"),
            "took": pd.to_timedelta(rng.integers(0, 9000, n), unit="s"),
            "flag": pd.Series(size > 0, dtype="boolean"),
            "ward": np.array([*WARDS, "$_$", "_none"])[rng.integers(0, 4, n)],
            "code": [f"code {k}" for k in rng.integers(0, 12, n)],
        }
    )
    table = table.mask(rng.random(table.shape) < 0.15)
    seen, lost = np.full(n, np.nan), size.copy()
    seen[57], lost[100] = 3.5, np.nan
    return table.assign(**{"empty": np.nan, "one seen": seen, "one lost": lost, "complete": size})


@pytest.fixture(scope="module")
def odd_filled(odd):
    return odd.ffill().bfill()


@pytest.fixture(scope="module")
def odd_hidden(odd):
    drawn = np.random.default_rng(1).random(odd.shape) < 0.3
    return odd.notna() & drawn & (odd.notna().sum() > 1)


@pytest.fixture(scope="module")
def displays(odd, odd_filled, odd_hidden):
    """Every kind of picture of the odd table, not yet drawn."""
    guess = odd.apply(lambda column: column.sample(frac=1, random_state=0).to_numpy())
    rng, names = np.random.default_rng(2), [*odd.columns[:4], *odd.columns[-3:]]
    surprises = pd.DataFrame(rng.exponential(size=(9, 7)), WARDS * 4 + ["$x$"], names)
    surprises.iloc[2, 1] = np.nan
    features, colours = rng.normal(size=(len(odd), 3)), odd.columns[[2, 4, 5, 7]]
    return [
        MissingnessDisplay.from_frame(odd),
        ImputationDisplay.from_frames(odd, odd_filled),
        ReconstructionDisplay.from_frames(odd, guess.fillna(odd_filled), odd_hidden),
        SurpriseDisplay(surprises),
        ScoreDisplay(rng.normal(size=500), threshold=-1.6),
        *(EmbeddingDisplay.from_frame(features, odd[name]) for name in colours),
        HistoryDisplay.from_frame(history([0.9, 0.7, 0.8, 0.85])),
    ]
