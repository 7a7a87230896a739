"""Scores of imputers: hide observed cells, have them filled, compare with the truth.

And what is made of results: estimates pooled over draws, labels of outliers for other packages.
"""

from __future__ import annotations

from maetab.evaluation.amputation import amputate
from maetab.evaluation.cross_val import cross_val_impute
from maetab.evaluation.metrics import cell_scores
from maetab.evaluation.outlier_labels import pyod_labels, sklearn_labels
from maetab.evaluation.pooling import pool

__all__ = ["amputate", "cell_scores", "cross_val_impute", "pool", "pyod_labels", "sklearn_labels"]
