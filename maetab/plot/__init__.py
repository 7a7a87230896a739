"""Pictures of tables, fits and results, as display objects in scikit-learn's form.

A display holds the numbers of one picture. It is made from frames, arrays or a fitted estimator,
and drawn by `plot`, which imports matplotlib: pip install 'maetab[plot]'.
"""

from __future__ import annotations

from maetab.plot.features import EmbeddingDisplay
from maetab.plot.filling import ImputationDisplay
from maetab.plot.missingness import MissingnessDisplay
from maetab.plot.reconstruction import ReconstructionDisplay
from maetab.plot.scores import ScoreDisplay, SurpriseDisplay
from maetab.plot.training import HistoryDisplay

__all__ = [
    "EmbeddingDisplay",
    "HistoryDisplay",
    "ImputationDisplay",
    "MissingnessDisplay",
    "ReconstructionDisplay",
    "ScoreDisplay",
    "SurpriseDisplay",
]
