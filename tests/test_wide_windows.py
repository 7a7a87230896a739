"""Windows of many columns, whose covariance is one of groups of columns; and of very many steps."""

import numpy as np
import pandas as pd

from maetab import MAEAnomalyDetector, MAEEncoder, MAEImputer
from maetab.nn.guess.grouping import GroupedGaussian
from maetab.nn.guess.stack import StackedGuess
from maetab.nn.guess.window_gaussian import WindowGaussian


def test_windows_of_many_columns_are_guessed_as_series():
    rng = np.random.default_rng(0)
    hours = pd.date_range("2024-01-01", periods=300, freq="h")
    course = np.sin(2 * np.pi * np.arange(300) / 24)[:, None] * rng.normal(size=90)
    frame = pd.DataFrame(course + 0.1 * rng.normal(size=(300, 90)), index=hours).add_prefix("x")
    holes = frame.mask(rng.random(frame.shape) < 0.1)
    imputer = MAEImputer(window=12, max_iter=0, random_state=0).fit(holes)
    filled = imputer.transform(holes)
    assert isinstance(imputer.model_.guess.gaussians[0][0], GroupedGaussian)
    hidden = holes.isna().to_numpy()
    assert (filled - frame).abs().to_numpy()[hidden].mean() < 0.15
    assert len(imputer.sample(holes.iloc[:40], 1)[0]) == 40
    scores = MAEAnomalyDetector.from_fitted(imputer).score_samples(holes)
    assert np.isfinite(scores).all()
    features = MAEEncoder.from_fitted(imputer, add_raw=False, n_components=4).transform(holes)
    assert features.shape == (300, 4)
    few = MAEImputer(window=12, max_iter=0, random_state=0).fit(holes.iloc[:, :20])
    assert isinstance(few.model_.guess.gaussians[0][0], WindowGaussian)


def test_windows_of_very_many_steps_are_guessed_by_factors():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"a": np.sin(np.arange(2200) / 9)})
    holes = frame.mask(rng.random(frame.shape) < 0.1)
    imputer = MAEImputer(window=1001, max_iter=0, random_state=0).fit(holes)
    assert isinstance(imputer.model_.guess, StackedGuess)
    assert imputer.transform(holes).notna().to_numpy().all()
