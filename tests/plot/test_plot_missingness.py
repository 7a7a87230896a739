"""Pictures of missing cells."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pictures import HOLES, ODD, saved

from maetab.plot import MissingnessDisplay


def test_missingness_shows_each_cell_and_the_share_of_each_column():
    display = saved(MissingnessDisplay.from_frame(HOLES).plot())
    most_first = HOLES.isna().sum().sort_values(ascending=False, kind="stable").index
    for sort, names in ((True, most_first), (False, HOLES.columns)):
        shown = display.plot(sort=sort)
        assert np.array_equal(shown.image_.get_array(), HOLES[names].isna().to_numpy())
        heights = [bar.get_height() for bar in shown.bars_]
        assert heights == pytest.approx(HOLES[names].isna().mean().tolist())
        ticks = [text.get_text() for text in shown.axes_[1].get_xticklabels()]
        assert ticks == list(names)


def test_missingness_of_many_rows_is_averaged_over_blocks():
    missing = np.random.default_rng(0).random((2500, 3)) < 0.3
    display = MissingnessDisplay.from_frame(np.where(missing, np.nan, 1.0)).plot(sort=False)
    blocks = missing.reshape(250, 10, 3).mean(1)
    assert np.allclose(display.image_.get_array(), blocks)
    assert display.image_.get_extent() == [-0.5, 2.5, 2499.5, -0.5]


def test_share_and_number_of_missing_rows_stand_at_each_bar():
    display = MissingnessDisplay.from_frame(ODD).plot()
    counts = ODD.isna().sum().to_numpy()[display.order_]
    expected = [f"{100 * n / 200:.1f} %\n({n})" if n else "0" for n in counts]
    written = [text.get_text() for text in display.texts_]
    assert written == [text.replace("100.0", "100") for text in expected]
    top = display.axes_[0].get_window_extent().y1
    display.figure_.draw_without_rendering()
    for bar, text in zip(display.bars_, display.texts_):
        low, high = text.get_window_extent().y0, text.get_window_extent().y1
        assert bar.get_window_extent().y1 <= low and high <= display.axes_[0].bbox.y1 <= top + 200


def test_a_single_cell_of_a_wide_table_can_be_seen():
    missing = np.zeros((1994, 126), bool)
    missing[1500, 40] = True
    missing[:, 90] = True
    missing[700, 90] = False
    display = MissingnessDisplay(missing, [f"column number {k}" for k in range(126)]).plot()
    lost, seen = display.order_.tolist().index(40), display.order_.tolist().index(90)
    assert (seen, lost) == (0, 1)
    marked = [points.get_offsets().tolist() for points in display.marks_]
    assert marked == [[[1, 1500]], [[0, 700]]]
    blocks = display.image_.get_array()
    colours = display.image_.to_rgba(np.unique(blocks))
    assert np.array_equal(np.unique(blocks), [0, 1 / 8, 7 / 8, 1])
    apart = np.abs(colours[:, None] - colours[None]).sum(-1) + 9 * np.eye(4)
    assert apart.min() > 0.2  # one cell of a block changes its colour
    assert [text.get_text() for text in display.texts_[:2]] == ["99.9 % (1,993)", "0.1 % (1)"]
    words = ["observed", "1 of 8 rows missing", "7 of 8 rows missing", "missing"]
    patches = display.figure_.legends[0].get_patches()
    assert [patch.get_label() for patch in patches] == words
    assert np.allclose([patch.get_facecolor() for patch in patches], colours)


def test_of_more_columns_than_can_be_drawn_those_with_most_missing_cells_are():
    missing = np.random.default_rng(0).random((40, 400)) < np.linspace(0, 1, 400)
    display = MissingnessDisplay(missing, range(400)).plot()
    counts = missing.sum(0)
    assert counts[display.order_].tolist() == sorted(counts, reverse=True)[:150]
    assert display.axes_[1].get_xlabel() == "the 150 of 400 columns with most missing cells"
    table_order = display.plot(sort=False).order_
    assert set(table_order) == set(np.argsort(-counts, kind="stable")[:150])
    assert (np.diff(table_order) > 0).all()


def test_a_table_without_cells_is_refused():
    for frame in (pd.DataFrame({"a": []}), pd.DataFrame(index=[0, 1])):
        with pytest.raises(ValueError, match="at least one row and one column"):
            MissingnessDisplay.from_frame(frame)
