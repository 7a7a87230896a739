"""Pictures of tables, fits and results, as display objects in scikit-learn's form.

A display holds the numbers of one picture. It is made from frames, arrays or a fitted estimator,
and drawn by `plot`, which imports matplotlib: pip install 'maetab[plot]'.
"""

from __future__ import annotations

from maetab.plot.features import EmbeddingDisplay
from maetab.plot.filled_series import FilledSeriesDisplay
from maetab.plot.filling import ImputationDisplay
from maetab.plot.gaps import GapDisplay
from maetab.plot.missing_together import MissingCorrelationDisplay, MissingTreeDisplay
from maetab.plot.missingness import MissingnessDisplay
from maetab.plot.reconstruction import ReconstructionDisplay
from maetab.plot.scores import ScoreDisplay, SurpriseDisplay
from maetab.plot.training import HistoryDisplay
from maetab.plot.watched_series import SeriesAnomalyDisplay, SeriesSurpriseDisplay

__all__ = [
    "EmbeddingDisplay",
    "FilledSeriesDisplay",
    "GapDisplay",
    "HistoryDisplay",
    "ImputationDisplay",
    "MissingCorrelationDisplay",
    "MissingTreeDisplay",
    "MissingnessDisplay",
    "ReconstructionDisplay",
    "ScoreDisplay",
    "SeriesAnomalyDisplay",
    "SeriesSurpriseDisplay",
    "SurpriseDisplay",
]
