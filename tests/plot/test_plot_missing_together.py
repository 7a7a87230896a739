"""Pictures of columns that are missing together."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba
from pictures import legend_of, saved
from scipy.cluster.hierarchy import average, leaves_list
from scipy.spatial.distance import pdist

from maetab.plot import MissingCorrelationDisplay, MissingnessDisplay, MissingTreeDisplay


def holes(n: int = 80) -> pd.DataFrame:
    """Columns that miss nothing, everything, the same rows, other rows, and some rows."""
    rng = np.random.default_rng(0)
    some, more = rng.random(n) < 0.4, rng.random(n) < 0.3
    missing = {"none": np.zeros(n, bool), "a": some, "b": more, "a again": some, "not a": ~some}
    missing |= {"all": np.ones(n, bool), "most of a": some & (rng.random(n) < 0.9)}
    return pd.DataFrame({name: np.where(cells, np.nan, 1.0) for name, cells in missing.items()})


def test_correlations_are_those_of_the_indicators_and_missing_where_these_do_not_vary():
    frame = holes()
    display = saved(MissingCorrelationDisplay.from_frame(frame).plot(sort=False))
    expected = frame.isna().astype(float).corr()
    pd.testing.assert_frame_equal(display.correlation(), expected)
    assert display.correlation().loc["a", ["a again", "not a"]].tolist() == [1, -1]
    drawn = display.image_.get_array()
    np.testing.assert_allclose(drawn.filled(np.nan), expected)
    written = [text.get_text() for text in display.texts_]
    assert written == [f"{v:.2f}" for v in expected.to_numpy().flat if not np.isnan(v)]
    assert display.ax_.get_facecolor() == to_rgba("#AAAAAA")
    assert legend_of(display) == ["misses nothing or everything"]


def test_columns_that_are_missing_together_stand_together():
    display = MissingCorrelationDisplay.from_frame(holes()).plot()
    order = [display.columns[place] for place in display.order_]
    assert sorted(order.index(name) for name in ("a", "a again", "most of a")) in [
        [k, k + 1, k + 2] for k in range(5)
    ]
    assert sorted(display.order_) == list(range(7))


def test_the_tree_joins_columns_at_the_rows_that_miss_one_of_them():
    frame = holes()
    display = saved(MissingTreeDisplay.from_frame(frame).plot())
    tree = average(pdist(frame.isna().to_numpy().T, "hamming"))
    np.testing.assert_allclose(
        sorted(line.get_xdata().max() for line in display.lines_), tree[:, 2], atol=1e-12
    )
    assert display.order_.tolist() == leaves_list(tree).tolist()
    leaves = [text.get_text() for text in display.ax_.get_yticklabels()]
    assert leaves == [frame.columns[place] for place in leaves_list(tree)]
    ends = {y for line in display.lines_ for x, y in zip(*line.get_data()) if x == 0}
    assert {0.0, 6.0} <= ends
    assert display.distances().loc["a", "a again"] == 0
    assert display.distances().loc["none", "all"] == 1


@pytest.mark.parametrize("cells", [[[1.0], [np.nan]], [[1.0, 2.0]], [[np.nan, np.nan]]])
def test_tables_in_which_nothing_can_be_compared_are_drawn(cells):
    frame = pd.DataFrame(cells)
    for kind in (MissingCorrelationDisplay, MissingTreeDisplay):
        display = saved(kind.from_frame(frame).plot())
        assert sorted(display.order_) == list(range(frame.shape[1]))


def test_of_wide_tables_the_columns_with_most_missing_cells_are_drawn():
    rng = np.random.default_rng(0)
    missing = rng.random((30, 160)) < np.linspace(0.5, 0.9, 160)
    missing[:, :10] = False
    frame = pd.DataFrame(np.where(missing, np.nan, 1.0))
    for kind in (MissingCorrelationDisplay, MissingTreeDisplay):
        display = kind.from_frame(frame).plot()
        tree = average(pdist(missing[:, 10:].T, "hamming"))
        assert display.order_.tolist() == (leaves_list(tree) + 10).tolist()
    assert "150 of 160" in display.ax_.get_title()


def test_rows_are_counted_block_by_block(monkeypatch):
    whole = MissingTreeDisplay.from_frame(holes())
    monkeypatch.setattr("maetab.plot.missing_together.BLOCK", 7)
    np.testing.assert_array_equal(MissingTreeDisplay.from_frame(holes()).together, whole.together)


def test_sorted_rows_stand_by_what_they_miss_and_lose_nothing():
    frame = holes()
    display = saved(MissingnessDisplay.from_frame(frame).plot(sort_rows=True))
    drawn = np.asarray(display.image_.get_array())
    patterns = [tuple(row) for row in drawn]
    assert patterns == sorted(patterns, reverse=True)  # the first column counts first
    expected = frame.isna().to_numpy()[:, display.order_][display.row_order_]
    np.testing.assert_array_equal(drawn, expected)
    assert sorted(display.row_order_) == list(range(len(frame)))
    assert display.axes_[1].get_ylabel().startswith("sorted rows")


def test_an_empty_table_is_refused():
    with pytest.raises(ValueError, match="at least one row and one column"):
        MissingTreeDisplay.from_frame(pd.DataFrame({"a": []}))
