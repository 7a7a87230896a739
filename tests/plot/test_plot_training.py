"""Pictures of losses in training."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pictures import detector, history, imputer, legend_of, saved

from maetab.plot import HistoryDisplay


def test_history_draws_two_lines_for_each_network():
    display = saved(HistoryDisplay.from_estimator(imputer()).plot())
    history = pd.DataFrame(imputer().history_)
    assert len(display.lines_) == 2 * history["network"].nunique()
    first = history[history["network"] == history["network"].iloc[0]]
    assert display.lines_[0].get_xdata().tolist() == first["step"].tolist()
    assert display.lines_[0].get_ydata().tolist() == first["train_loss"].tolist()
    assert display.lines_[1].get_ydata().tolist() == first["validation_loss"].tolist()


def test_history_of_a_single_look_can_be_seen():
    record = {"network": 0, "step": 7, "train_loss": 1.0, "validation_loss": 2.0}
    display = HistoryDisplay.from_frame([record]).plot()
    assert [line.get_marker() for line in display.lines_] == [".", "."]  # a line has no length
    assert display.lines_[1].get_xydata().tolist() == [[7.0, 2.0]]


def test_keywords_reach_both_lines_of_a_training():
    display = HistoryDisplay.from_frame(history([0.9, 0.7])).plot(color="red", ls="--")
    assert [line.get_color() for line in display.lines_] == ["red", "red"]
    assert [line.get_linestyle() for line in display.lines_] == ["--", "--"]


def test_history_of_an_untrained_estimator_is_refused():
    with pytest.raises(ValueError, match="no network was trained"):
        HistoryDisplay.from_estimator(detector())


def test_training_marks_the_weights_that_are_kept_and_an_early_stop():
    looks = [*history([0.9, 0.7, 0.8]), *history([0.6, 0.5, 0.4], [0.1, 0.05, 0.0], network=1)]
    display = HistoryDisplay.from_frame(looks).plot()
    assert display.lowest_.tolist() == [[10, 0.7], [15, 0.4]]
    assert display.stopped_.tolist() == [[15, 0.8]]  # the other came to the end of its schedule
    words = legend_of(display)
    assert words[-2:] == ["lowest held-out loss: weights kept", "stopped early"]
    assert display.ax_.get_xlabel() == "step (one batch of training)"
    unknown = pd.DataFrame(looks).drop(columns="learning_rate")
    assert not len(HistoryDisplay.from_frame(unknown).plot().stopped_)


def test_training_without_held_out_cells_draws_no_loss_of_them():
    display = HistoryDisplay.from_frame(history([0.0, 0.0])).plot()
    assert np.isnan(display.lines_[1].get_ydata()).all() and not len(display.lowest_)
    assert "network 0, no cell held out" in legend_of(display)
    assert display.stopped_.tolist() == [[10, 0.9]]


def test_a_model_without_networks_says_so():
    words = r"no network was trained.*first guess alone.*'fast'.*max_iter"
    with pytest.raises(ValueError, match=words):
        HistoryDisplay.from_frame([])
