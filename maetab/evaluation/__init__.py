"""Scores of imputers: hide observed cells, have them filled, compare with the truth."""

from __future__ import annotations

from maetab.evaluation.amputation import amputate
from maetab.evaluation.cross_val import cross_val_impute
from maetab.evaluation.metrics import cell_scores

__all__ = ["amputate", "cell_scores", "cross_val_impute"]
