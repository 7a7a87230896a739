"""MAEClassifier: classes of rows, from few labels and with cells missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import softmax
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.class_weight import compute_class_weight

from maetab.data.columns import MAX_LEVELS
from maetab.engine.inference import predict_probabilities
from maetab.engine.runtime import pick_device
from maetab.labelled import LabelledMAE
from maetab.nn.windows import Windows
from maetab.parameters import ATTRIBUTES, PARAMETERS
from maetab.table import Table
from maetab.targets import of_labelled, read_classes

LEAST = 1e-6  # probability of a class that the model cannot predict, for no log of it is infinite


@dataclass(kw_only=True, eq=False, repr=False)
class MAEClassifier(ClassifierMixin, LabelledMAE):
    __doc__ = f"""Predict classes of rows whose cells may be missing, from few labels or many.

    The classes are one more column of the table that a masked autoencoder learns, hidden in rows
    without a label: such rows say how the other columns go together. Cells of all columns are
    hidden while it learns, so that any of them may be missing in the rows that are predicted.
    Probabilities are a weighted mean of what the model says of that column and of a logistic
    regression (the head) on the features that the same model gives the rows, as `MAEEncoder` does,
    learned from labelled rows as they are and with cells hidden; their weights are chosen at
    labels that were held out of both. `from_fitted` learns that head alone, on the model of
    another estimator, and then it alone predicts.

    Parameters
    ----------
    unlabelled : None or a value of y
        What marks a row without a label, such as -1, beside None, NaN and NA, which always do. -1
        is no such value unless it is named: it may be a class.
    class_weight : None, "balanced" or dict of class to weight
        What the probabilities of the classes are multiplied by, before they are made to add up to
        1; "balanced" is n / (classes * labels of the class), as in scikit-learn. Missing classes of
        a dict have weight 1.
    {PARAMETERS}

    Attributes
    ----------
    classes_ : (K,) classes, sorted
    class_weight_ : (K,) their weights
    head_ : dict of arrays, the head, the projection of its features, its share in what is
        predicted, and its losses, ascending, at labels that cross-validation held out, of rows as
        they are and with cells hidden, by the share of cells that are missing there; None of
        series, of labels of one class only, and where `max_time` left no time for it
    {ATTRIBUTES}

    ``schema_`` and ``model_`` know the target as the last column, except after `from_fitted`.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[1.0, 0.0], [1.1, np.nan], [5.0, 1.0], [np.nan, 1.0], [4.9, 1.0], [1.0, 0.0]])
    >>> y = ["low", "low", "high", "high", None, None]
    >>> model = MAEClassifier(max_iter=0, random_state=0).fit(X, y)
    >>> model.predict_proba([[5.0, np.nan]]).shape
    (1, 2)
    """

    class_weight: str | dict | None = None

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return (n, K) float64 probabilities of `classes_`.

        Parameters
        ----------
        X : (n, F) table with the columns of fit
        """
        table = self._read(X)
        if len(self.classes_) == 1:
            return np.ones((len(table.values), 1))
        chances = self._blended(table) * self.class_weight_
        return chances / chances.sum(1, keepdims=True)

    def _told_by_column(self, table: Table) -> np.ndarray:
        place = len(self.schema_.columns) - 1
        return self._of_classes(table.shared(place, self._probabilities(table, [place])[:, 0]))

    def _told_by_windows(self, windows: Windows, memory_index: np.ndarray) -> np.ndarray:
        place, device = len(self.schema_.columns) - 1, pick_device(self.device)
        found = predict_probabilities(self.model_, windows, device, [place], memory_index)
        return self._of_classes(found[:, 0])

    def _of_classes(self, levels: np.ndarray) -> np.ndarray:
        """Return (n, K) probabilities of the classes, from those of the levels of the column."""
        column = self.schema_.columns[-1]
        chances = np.full((len(levels), len(self.classes_)), LEAST)
        places = [int(level) for level in column.levels[: column.n_modelled]]
        chances[:, places] = np.maximum(levels[:, : len(places)], LEAST)
        return chances / chances.sum(1, keepdims=True)

    def _of_head(self, told: np.ndarray) -> np.ndarray:
        return softmax(told, axis=1)

    def predict(self, X: Any) -> np.ndarray:
        """Return (n,) the likeliest class of each row.

        Parameters
        ----------
        X : (n, F) table with the columns of fit
        """
        likeliest = self.predict_proba(X).argmax(1)
        return self.classes_[likeliest]

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return (n, K) logarithms of the probabilities of `classes_`.

        Parameters
        ----------
        X : (n, F) table with the columns of fit
        """
        return np.log(np.maximum(self.predict_proba(X), np.finfo(float).tiny))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy in the rows that have a label.

        Parameters
        ----------
        X : (n, F) table with the columns of fit
        y : (n,) classes; rows without a label, as in `fit`, are left out
        sample_weight : (n,) weights of rows
        """
        found = self.predict(X)
        classes, codes, known = read_classes(y, len(found), self.unlabelled, type(self).__name__)
        return of_labelled(accuracy_score, classes[codes], found, known, sample_weight)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        weights = self.class_weight
        fits = weights is None or (isinstance(weights, str) and weights == "balanced")
        if isinstance(weights, Mapping):
            fits = all(isinstance(x, Real) and 0 < float(x) < np.inf for x in weights.values())
        words = "None, 'balanced' or a dict of class to positive number"
        self._refuse_unless(fits, "class_weight", words)

    def _read_y(self, y: Any, frame: pd.DataFrame) -> pd.Series:
        name = type(self).__name__
        classes, codes, labelled = read_classes(y, len(frame), self.unlabelled, name)
        before = getattr(self, "classes_", classes) if self.warm_start else classes
        if before.tolist() != classes.tolist():
            raise ValueError(
                f"warm_start=True goes on from the model that was fitted before, and y has other "
                f"classes now: {classes[:10].tolist()}, not {before[:10].tolist()}. Pass "
                f"warm_start=False to fit anew."
            )
        self.classes_ = classes
        if len(self.classes_) > MAX_LEVELS:
            raise ValueError(
                f"{name} tells at most {MAX_LEVELS} classes apart, and y has {len(self.classes_)}; "
                f"merge rare ones."
            )
        weights = self.class_weight if isinstance(self.class_weight, Mapping) else {}
        unknown = [x for x in weights if x not in self.classes_.tolist()]
        # Of a part of the rows y may lack a class that has a weight; then all others have one.
        if unknown and not set(self.classes_.tolist()) <= set(weights):
            raise ValueError(
                f"The 'class_weight' parameter names {unknown}, which y has not; its classes are "
                f"{self.classes_[:10].tolist()}."
            )
        known = self.classes_[codes[labelled]]
        self.class_weight_ = compute_class_weight(self.class_weight, classes=self.classes_, y=known)
        return self._coded(frame, codes)

    def _labels_of(self, target: pd.Series) -> tuple[np.ndarray, int]:
        return target.cat.codes.to_numpy(), len(self.classes_)

    def _hidden_target(self, frame: pd.DataFrame) -> pd.Series:
        return self._coded(frame, np.full(len(frame), -1))

    def _coded(self, frame: pd.DataFrame, codes: np.ndarray) -> pd.Series:
        """Return a column of categories, which are named by their places among the classes."""
        names = [f"{k:05d}" for k in range(len(self.classes_))]
        return pd.Series(pd.Categorical.from_codes(codes, pd.Index(names)), index=frame.index)
