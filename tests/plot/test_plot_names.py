"""Names and shares as they stand in pictures."""

from __future__ import annotations

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib import cbook
from pictures import LONG, displays, texts_of

from maetab.plot import MissingnessDisplay, SurpriseDisplay
from maetab.plot.ticks import share_text, shortened, write_times


def test_one_long_name_among_short_ones_is_turned():
    frame = pd.DataFrame(np.zeros((4, 3)), columns=["a", "a rather long column name", "b"])
    labels = MissingnessDisplay.from_frame(frame).plot().axes_[1].get_xticklabels()
    assert all(label.get_rotation() == 45 for label in labels)


def test_dollars_of_names_are_dollars():
    for display in displays():
        for text in texts_of(display.plot().figure_):
            assert not cbook.is_math_text(text.get_text()), text


def test_shares_tell_few_from_none_and_nearly_all_from_all():
    assert [share_text(n, 891) for n in (0, 2, 177, 891)] == ["0 %", "0.2 %", "19.9 %", "100 %"]
    assert share_text(1, 100_000) == "0.001 %" and share_text(99_999, 100_000) == "99.999 %"


def test_names_of_many_columns_do_not_overlap():
    frame = pd.DataFrame(np.zeros((5, 126)), columns=[f"{k} {LONG}" for k in range(126)])
    surprises = SurpriseDisplay(frame)
    for display in (MissingnessDisplay.from_frame(frame), surprises):
        axes = getattr(display.plot(), "axes_", [getattr(display, "ax_", None)])[-1]
        display.figure_.draw_without_rendering()
        boxes = [label.get_window_extent() for label in axes.get_xticklabels()]
        assert len(boxes) == 126
        assert all(one.x1 <= other.x0 for one, other in pairwise(boxes))


def test_names_cut_alike_stay_apart():
    names = [f"{LONG}a", f"{LONG}b", "distended large intestine", "distended small intestine"]
    for most in (16, 24):
        texts = shortened([*names, LONG[:30] + "x" * 9 + LONG[-30:], "short", 1, "1"], most)
        assert len(set(texts)) == len(texts) and max(map(len, texts)) <= most
        assert texts[0].endswith("a") and texts[-3:] == ["short", "1", "1 #2"]
    assert shortened(names[2:], 16) == ["…large intestine", "…small intestine"]
    assert shortened(["a\nb", "$5$", "日"]) == ["a b", r"\$5\$", "\\u65e5"]


@pytest.mark.parametrize(("days", "unit", "parts"), [(2, "days", 1), (1.9, "hours", 24)])
def test_durations_stand_in_the_longest_unit_of_which_two_are_shown(days, unit, parts):
    axis = plt.figure().subplots().xaxis
    axis.set_view_interval(0, days, ignore=True)
    assert write_times(axis, "timedelta") == unit
    told = [float(text.get_text()) for text in axis.get_ticklabels()]
    assert told == pytest.approx(parts * axis.get_ticklocs()) and max(told) > 0.8 * parts * days
    plt.close("all")
