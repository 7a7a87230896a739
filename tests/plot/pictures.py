"""Tables that are drawn, models of them, and the texts that stand in a drawn picture."""

from __future__ import annotations

import io
from functools import cache

import matplotlib
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.text import Text

from maetab import MAEAnomalyDetector, MAEImputer
from maetab.plot import (
    EmbeddingDisplay,
    HistoryDisplay,
    ImputationDisplay,
    MissingCorrelationDisplay,
    MissingnessDisplay,
    MissingTreeDisplay,
    ReconstructionDisplay,
    ScoreDisplay,
    SurpriseDisplay,
)

matplotlib.use("Agg")

LONG = "Durchschnittliche_Größe_der_Übergangsbevölkerung_je_Straße_"
WARDS = [f"Zentralkrankenhaus für Ältere, Station {letter}" for letter in "AB"]


def _table():
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


def _odd():
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


TABLE, ODD = _table(), _odd()
HIDDEN = pd.DataFrame(
    np.random.default_rng(1).random(TABLE.shape) < 0.2, TABLE.index, TABLE.columns
)
HOLES = TABLE.mask(HIDDEN)
ODD_FILLED = ODD.ffill().bfill()
ODD_HIDDEN = np.random.default_rng(1).random(ODD.shape) < 0.3
ODD_HIDDEN = ODD.notna() & ODD_HIDDEN & (ODD.notna().sum() > 1)


@cache
def imputer():
    return MAEImputer(max_iter=2, n_estimators=2, width=8, random_state=0).fit(HOLES)


@cache
def detector():
    return MAEAnomalyDetector(n_masks=3, random_state=0).fit(TABLE)


@cache
def displays():
    """Every kind of picture of the odd table, not yet drawn."""
    guess = ODD.apply(lambda column: column.sample(frac=1, random_state=0).to_numpy())
    rng, names = np.random.default_rng(2), [*ODD.columns[:4], *ODD.columns[-3:]]
    surprises = pd.DataFrame(rng.exponential(size=(9, 7)), WARDS * 4 + ["$x$"], names)
    surprises.iloc[2, 1] = np.nan
    features, colours = rng.normal(size=(len(ODD), 3)), ODD.columns[[2, 4, 5, 7]]
    return [
        MissingnessDisplay.from_frame(ODD),
        ImputationDisplay.from_frames(ODD, ODD_FILLED),
        ReconstructionDisplay.from_frames(ODD, guess.fillna(ODD_FILLED), ODD_HIDDEN),
        SurpriseDisplay(surprises),
        ScoreDisplay(rng.normal(size=500), threshold=-1.6),
        *(EmbeddingDisplay.from_frame(features, ODD[name]) for name in colours),
        HistoryDisplay.from_frame(history([0.9, 0.7, 0.8, 0.85])),
        MissingCorrelationDisplay.from_frame(ODD),
        MissingTreeDisplay.from_frame(ODD),
    ]


def saved(display):
    """Save the figure of a drawn display; it must hold more than paper."""
    file = io.BytesIO()
    display.figure_.savefig(file, dpi=50)
    file.seek(0)
    picture = plt.imread(file)
    assert np.unique(picture.reshape(-1, picture.shape[-1]), axis=0).shape[0] > 5
    return display


def history(held_out, rates=None, network=0):
    """A training with these losses at held-out cells."""
    rates = [0.1 / (1 + k) for k in range(len(held_out))] if rates is None else rates
    return [
        {
            "network": network,
            "step": 5 * (k + 1),
            "train_loss": 1.0 - 0.1 * k,
            "validation_loss": loss,
            "learning_rate": rate,
        }
        for k, (loss, rate) in enumerate(zip(held_out, rates))
    ]


def texts_of(figure):
    """Visible texts of a drawn figure; labels of ticks beyond the ends of an axis are not drawn."""
    beyond = set()
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        ticks = zip(axis.get_ticklocs(), axis.get_ticklabels())
        beyond |= {label for place, label in ticks if not low <= place <= high}
    found = set(figure.findobj(Text)) - beyond
    return [text for text in found if text.get_visible() and text.get_text().strip()]


def legend_of(display):
    """Texts of all legends of a picture."""
    figure = display.figure_
    legends = [*figure.legends, *filter(None, (axes.get_legend() for axes in figure.axes))]
    return [text.get_text() for legend in legends for text in legend.get_texts()]
