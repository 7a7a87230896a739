"""Windows of many columns, which no full covariance is made of."""

import numpy as np
import pandas as pd

from maetab import MAEAnomalyDetector, MAEEncoder, MAEImputer
from maetab.nn.guess.series import SeriesGuess
from maetab.nn.guess.stack import StackedGuess


def test_windows_of_many_columns_are_guessed_by_factors():
    rng = np.random.default_rng(0)
    hours = pd.date_range("2024-01-01", periods=300, freq="h")
    course = np.sin(2 * np.pi * np.arange(300) / 24)[:, None] * rng.normal(size=90)
    frame = pd.DataFrame(course + 0.1 * rng.normal(size=(300, 90)), index=hours).add_prefix("x")
    holes = frame.mask(rng.random(frame.shape) < 0.1)
    imputer = MAEImputer(window=12, max_iter=0, random_state=0).fit(holes)
    filled = imputer.transform(holes)
    assert isinstance(imputer.model_.guess, StackedGuess)
    hidden = holes.isna().to_numpy()
    assert (filled - frame).abs().to_numpy()[hidden].mean() < 0.15
    assert len(imputer.sample(holes.iloc[:40], 1)[0]) == 40
    scores = MAEAnomalyDetector.from_fitted(imputer).score_samples(holes)
    assert np.isfinite(scores).all()
    features = MAEEncoder.from_fitted(imputer, add_raw=False, n_components=4).transform(holes)
    assert features.shape == (300, 4)
    few = MAEImputer(window=12, max_iter=0, random_state=0).fit(holes.iloc[:, :20])
    assert isinstance(few.model_.guess, SeriesGuess)
