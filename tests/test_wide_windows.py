"""Windows of many columns, whose Gaussian is one of groups of columns; and of very many steps."""

import numpy as np
import pandas as pd
import pytest

import maetab
from maetab import MAEAnomalyDetector, MAEEncoder, MAEImputer
from maetab.nn.guess import grouping
from maetab.nn.guess.grouping import GroupedGaussian
from maetab.nn.guess.stack import StackedGuess
from maetab.nn.guess.window_gaussian import WindowGaussian

FAST = {"window": 12, "max_iter": 0, "random_state": 0}


@pytest.fixture
def few(monkeypatch):
    """Take windows for wide that would not be, so that seconds are enough."""
    monkeypatch.setattr(grouping, "MOST_COORDINATES", 100)
    monkeypatch.setattr(grouping, "GROUP", 40)


def courses(n: int = 240, n_columns: int = 12) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return hourly waves of many columns, whole and with holes."""
    rng = np.random.default_rng(0)
    hours = pd.date_range("2024-01-01", periods=n, freq="h")
    course = np.sin(2 * np.pi * np.arange(n) / 24)[:, None] * rng.normal(size=n_columns)
    cells = course + 0.1 * rng.normal(size=(n, n_columns))
    frame = pd.DataFrame(cells, index=hours).add_prefix("x")
    return frame, frame.mask(rng.random(frame.shape) < 0.1)


@pytest.mark.slow
def test_windows_of_many_columns_are_filled_scored_and_encoded(few):
    frame, holes = courses()
    imputer = MAEImputer(**FAST).fit(holes)
    kinds = imputer.model_.guess.gaussians[0]
    assert [len(part.parts) for part in kinds if isinstance(part, GroupedGaussian)] == [4, 4, 4]
    filled, hidden = imputer.transform(holes), holes.isna().to_numpy()
    assert (filled - frame).abs().to_numpy()[hidden].mean() < 0.11
    assert len(imputer.sample(holes.iloc[:40], 1)[0]) == 40
    features = MAEEncoder.from_fitted(imputer, add_raw=False, n_components=4).transform(holes)
    assert features.shape == (240, 4)
    odd = frame.copy()
    odd.iloc[100, 5] += 3.0
    detector = MAEAnomalyDetector.from_fitted(imputer)
    assert detector.score_samples(odd).argmin() == 100
    assert detector.score_cells(odd).iloc[100].idxmax() == "x5"


def test_windows_of_one_phase_may_all_be_in_one_part_of_the_course(few):
    """The last window of a series of 56 hours begins at eight, all others at midnight."""
    frame, holes = courses(96, 3)
    parts = [slice(0, 96), slice(0, 56), slice(0, 96)]
    keys = {"keys": ["a", "b", "c"], "names": ["site", "when"]}
    panel = pd.concat([holes.iloc[part] for part in parts], **keys)
    imputer = MAEImputer(time="when", groups="site", **FAST | {"window": 48}).fit(panel)
    assert imputer.model_.guess.starts.tolist() == [0, 8]
    truth = pd.concat([frame.iloc[part] for part in parts], **keys)
    hidden, filled = panel.isna().to_numpy(), imputer.transform(panel)
    error, of_mean = ((truth - x).abs().to_numpy()[hidden].mean() for x in (filled, panel.mean()))
    assert error < 0.7 * of_mean


@pytest.mark.slow
def test_a_model_of_many_columns_comes_back_from_its_file(few, tmp_path):
    _, holes = courses(120)
    imputer = MAEImputer(**FAST).fit(holes)
    maetab.save(imputer, tmp_path / "model.safetensors")
    again = maetab.load(tmp_path / "model.safetensors")
    pd.testing.assert_frame_equal(again.transform(holes), imputer.transform(holes))


@pytest.mark.slow
def test_windows_of_few_columns_have_one_gaussian():
    _, holes = courses(120)
    guess = MAEImputer(**FAST).fit(holes).model_.guess
    assert isinstance(guess.gaussians[0][0], WindowGaussian)


def test_windows_of_very_many_steps_are_guessed_as_rows(monkeypatch):
    monkeypatch.setattr(grouping, "MOST_COORDINATES", 11)
    _, holes = courses(120, 1)
    imputer = MAEImputer(**FAST).fit(holes)
    assert isinstance(imputer.model_.guess, StackedGuess)
    assert imputer.transform(holes).notna().to_numpy().all()


@pytest.mark.slow
def test_phases_have_gaussians_of_their_own_only_where_groups_stay_as_large(few, monkeypatch):
    _, holes = courses()
    assert len(MAEImputer(**FAST).fit(holes).model_.guess.starts) == 4
    monkeypatch.setattr(grouping, "MOST_ENTRIES", 12 * 12**2 * 3)
    assert len(MAEImputer(**FAST).fit(holes).model_.guess.starts) == 0
