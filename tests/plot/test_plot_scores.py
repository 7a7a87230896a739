"""Pictures of scores of rows and surprises of cells."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pictures import HOLES, TABLE, detector, displays, legend_of, saved
from sklearn.ensemble import IsolationForest

from maetab import MAEAnomalyDetector
from maetab.plot import ScoreDisplay, SurpriseDisplay


def test_surprise_shows_the_strangest_rows_in_order():
    odd = HOLES.copy()
    odd.loc[130, ["size", "twice"]] = [3.0, -6.0]
    display = saved(SurpriseDisplay.from_estimator(detector(), odd, top=7).plot())
    strangest = np.argsort(detector().score_samples(odd))[:7]
    assert display.surprises.index.tolist() == odd.index[strangest].tolist()
    assert display.surprises.index[0] == 130
    drawn = np.ma.filled(display.image_.get_array(), np.nan)
    cells = detector().score_cells(odd).iloc[strangest].to_numpy()
    assert np.array_equal(drawn, cells, equal_nan=True)


def test_surprise_of_a_series_is_that_of_its_cells_among_all_rows():
    series = np.sin(np.arange(80) / 4)[:, None] * [1.0, 2.0]
    series[40, 0] = 4.0
    series = pd.DataFrame(series, columns=["a", "b"])
    detector = MAEAnomalyDetector(window=8, n_masks=2, max_iter=0, random_state=0).fit(series)
    shown = SurpriseDisplay.from_estimator(detector, series, top=9).surprises
    assert shown.index.tolist() == np.argsort(detector.score_samples(series))[:9].tolist()
    assert shown.index[0] == 40 and shown["a"].iloc[0] == shown.max(axis=None)
    pd.testing.assert_frame_equal(shown, detector.score_cells(series).loc[shown.index])


def test_surprise_of_one_column_has_room_beside_long_names_of_rows():
    days = pd.date_range("2024-01-01 00:00:01", periods=20)
    display = SurpriseDisplay(pd.DataFrame({"a name that is long": 1.0}, index=days)).plot()
    display.figure_.draw_without_rendering()  # warns where the axes have no room
    assert display.ax_.get_window_extent().width > 30


def test_scores_are_split_at_the_threshold():
    display = saved(ScoreDisplay.from_estimator(detector(), TABLE).plot())
    labels = detector().predict(TABLE)
    normal, strange = display.bars_
    assert sum(bar.get_height() for bar in normal) == (labels == 1).sum()
    assert sum(bar.get_height() for bar in strange) == (labels == -1).sum()
    assert set(display.line_.get_xdata()) == {detector().offset_}
    ends = np.array([[bar.get_x(), bar.get_x() + bar.get_width()] for bar in normal])
    assert np.abs(ends - detector().offset_).min() < 1e-9  # no bar straddles the threshold


def test_scores_of_any_detector_can_be_drawn():
    X = np.random.default_rng(0).normal(size=(50, 2))
    forest = IsolationForest(n_estimators=5, random_state=0).fit(X)
    one, other = (
        ScoreDisplay.from_estimator(forest, X),
        ScoreDisplay.from_predictions(forest.score_samples(X), forest.offset_),
    )
    assert np.array_equal(one.scores, other.scores) and one.threshold == other.threshold
    same = ScoreDisplay.from_predictions([1.0, 1.0], 1.0).plot()
    assert sum(bar.get_height() for bar in same.bars_[0]) == 2


def test_scores_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="scores must be finite"):
        ScoreDisplay.from_predictions([0.0, np.nan], threshold=0.0)


def test_surprise_reads_as_one_in_so_many():
    display = displays()[3].plot()
    display.figure_.draw_without_rendering()
    ticks = [label.get_text() for label in display.colorbar_.ax.get_yticklabels()]
    assert {"1 (1 in 10)", "2 (1 in 100)", "3 (1 in 1,000)"} <= set(ticks)
    assert "-log10 of the share" in display.colorbar_.ax.get_ylabel()


@pytest.mark.slow
def test_scores_have_counts_on_their_bars_and_a_named_threshold():
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 2)), columns=["a", "b"])
    detector = MAEAnomalyDetector(n_masks=2, random_state=0).fit(frame)
    display = ScoreDisplay.from_estimator(detector, frame).plot()
    written = [int(text.get_text()) for text in display.ax_.texts if text.get_text()]
    assert sum(written) == len(frame) and 0 not in written
    strange = (detector.predict(frame) == -1).sum()
    assert set(legend_of(display)) == {
        f"{60 - strange} normal",
        f"{strange} anomalies",
        f"threshold {detector.offset_:.3g}",
    }
