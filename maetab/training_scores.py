"""What the scores of the training rows say of other rows: a threshold, p-values and chances."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from maetab.engine.score_calibration import conformal_p_values
from maetab.parameters import check_contamination

AUTO_ALARMS = 0.05  # what contamination="auto" is


class TrainingScores:
    """An estimator with scores of its training rows, among which those of other rows have a rank.

    Attributes
    ----------
    scores_ : (m,) `score_samples` of the training rows that were looked at, ascending
    row_scores_ : (n,) the same in the order of the rows; None if some were not looked at
    offset_ : threshold of `score_samples`
    """

    scores_: np.ndarray
    row_scores_: np.ndarray | None
    offset_: float

    def score_samples(self, X: Any) -> np.ndarray:
        """Return (n,) float64, higher where a row is more normal."""
        raise NotImplementedError

    def decision_function(self, X: Any) -> np.ndarray:
        """Return (n,) float64, `score_samples` less the threshold `offset_`: negative for outliers.

        Parameters
        ----------
        X : (n, F) table with the columns of fit, or what is read in parts
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray:
        """Return (n,) int, 1 for normal rows and -1 for outliers.

        Parameters
        ----------
        X : (n, F) table with the columns of fit, or what is read in parts
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    def p_values(self, X: Any) -> np.ndarray:
        """Return (n,) in (0, 1]: the share of the training rows that are at least as strange.

        Conformal (Vovk et al. 2005): among rows like those given to fit, whether they were trimmed
        or not, at most a share p has a p-value of p or less. The smallest is one by the number of
        `scores_` and one more. Rows with a p-value up to `contamination` are outliers. Below some
        200 rows, or 1,000 windows of series, p-values come out too small, because the model has
        seen the rows that it is calibrated on.

        Parameters
        ----------
        X : (n, F) table with the columns of fit, or what is read in parts
        """
        return conformal_p_values(self.score_samples(X), self.scores_)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return (n, 2): how likely each row is normal, and an outlier, at most.

        The second column is the largest chance that the p-value p of a row supports, whatever
        outliers look like: by Bayes' rule with the share of the training rows up to the threshold,
        `contamination`, as the chance before the row is seen, and with -e p log p as the least
        factor by which p speaks for a normal row (Sellke, Bayarri and Berger 2001; 1 from p = 1/e
        on). A p-value of 0.05 is weak evidence: where one row in twenty is an outlier, the chance
        is 0.11.

        It ranks rows as `score_samples` does, but for ties. With `contamination` at 0.05 it
        exceeds 0.5 for p-values below 0.0034, which take some 300 training rows. P-values refer to
        all training rows: where there are outliers among these, p-values of outliers are about as
        large as their share, and their chances too small.

        Parameters
        ----------
        X : (n, F) table with the columns of fit, or what is read in parts

        Examples
        --------
        >>> import numpy as np
        >>> from maetab import MAEAnomalyDetector
        >>> normal = np.random.default_rng(0).normal(size=(200, 1)) * [1, 2]
        >>> detector = MAEAnomalyDetector(preset="fast", random_state=0).fit(normal)
        >>> detector.predict_proba([[1.0, 2.0], [1.0, -2.0]]).round(2).tolist()
        [[0.95, 0.05], [0.55, 0.45]]
        """
        p = self.p_values(X)
        prior = float(conformal_p_values(np.array([self.offset_]), self.scores_)[0])
        normal = (1 - prior) * least_bayes_factor(p)
        chance = prior / (prior + normal)
        return np.column_stack([1 - chance, chance])

    def set_threshold(self, contamination: str | float = "auto") -> Self:
        """Move `offset_` as if fitted with another `contamination`; nothing is fitted again.

        Parameters
        ----------
        contamination : "auto" or float, in (0, 0.5]
            Share of the training rows, trimmed or not, that are to be outliers; "auto" is 0.05.

        Raises
        ------
        ValueError
            It is out of range.
        """
        check_is_fitted(self, "scores_")
        check_contamination(contamination)
        share = AUTO_ALARMS if isinstance(contamination, str) else float(contamination)
        self.offset_ = float(np.percentile(self.scores_, 100 * share))
        return self

    @property
    def decision_scores_(self) -> np.ndarray:
        """(n,) scores of the training rows, higher where a row is stranger, as in PyOD.

        They are those that fit calibrates with, in which no row is compared with itself:
        `score_samples` with the other sign. There are none (AttributeError) where fit did not look
        at each row in memory: see `n_calibration`.
        """
        check_is_fitted(self, "scores_")
        found = getattr(self, "row_scores_", None)
        if found is None:
            raise AttributeError(
                f"There are no scores of each training row: fit looked at {len(self.scores_):,} of "
                "them, or read them in parts or from another model. Take -score_samples(X), or fit "
                "with n_calibration=None."
            )
        return -found

    @property
    def labels_(self) -> np.ndarray:
        """(n,) int, 1 for training rows that are outliers by `offset_`, else 0, as in PyOD.

        `maetab.evaluation.sklearn_labels` turns them into those of `predict`. There are none
        (AttributeError) where there are no `decision_scores_`.
        """
        return (-self.decision_scores_ < self.offset_).astype(int)


def least_bayes_factor(p: np.ndarray) -> np.ndarray:
    """Return (n,) in (0, 1] the least factor by which p-values in (0, 1] speak for the null."""
    return np.where(p < 1 / np.e, -np.e * p * np.log(p), 1.0)
