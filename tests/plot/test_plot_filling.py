"""Pictures of filled beside observed cells."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.dates import date2num
from pictures import HIDDEN, HOLES, ODD, ODD_FILLED, TABLE, legend_of, saved

from maetab.plot import FilledSeriesDisplay, ImputationDisplay, ReconstructionDisplay


def test_imputation_draws_observed_and_imputed_cells_on_the_same_bins():
    display = saved(ImputationDisplay.from_frames(HOLES, TABLE).plot())
    names = [column.name for column in display.columns]
    assert names == list(TABLE.columns)
    first = names.index("size")
    assert display.observed[first] == pytest.approx(HOLES["size"].dropna(), abs=1e-5)
    assert display.imputed[first] == pytest.approx(TABLE["size"][HIDDEN["size"]], abs=1e-5)
    bars = display.observed_[first]
    edges = [bar.get_x() for bar in bars] + [bars[-1].get_x() + bars[-1].get_width()]
    counts, _ = np.histogram(HOLES["size"].dropna(), edges)
    heights = np.array([bar.get_height() for bar in bars])
    assert heights / heights.sum() == pytest.approx(counts / counts.sum(), abs=0.03)
    assert heights.sum() == pytest.approx(1)  # no cell is left out
    filled, _ = np.histogram(TABLE["size"][HIDDEN["size"]], edges)
    outline = display.imputed_[first][0].get_xy()[:, 1]
    assert outline.max() == pytest.approx(filled.max() / filled.sum(), abs=0.03)


def test_imputation_draws_the_share_of_each_level():
    display = ImputationDisplay.from_frames(HOLES, TABLE, ["color"]).plot()
    ticks = [text.get_text() for text in display.axes_[0].get_xticklabels()]
    for bars, cells in (
        (display.observed_[0], HOLES["color"].dropna()),
        (display.imputed_[0], TABLE["color"][HIDDEN["color"]]),
    ):
        shares = cells.value_counts(normalize=True)[ticks]
        assert [bar.get_height() for bar in bars] == pytest.approx(shares.tolist())


def test_imputation_needs_cells_that_were_filled():
    with pytest.raises(ValueError, match="missing cell that is filled"):
        ImputationDisplay.from_frames(TABLE, TABLE)
    with pytest.raises(ValueError, match="no column 'z'"):
        ImputationDisplay.from_frames(HOLES, TABLE, ["z"])
    with pytest.raises(ValueError, match="'filled' must have the shape"):
        ImputationDisplay.from_frames(HOLES, TABLE.iloc[1:])


def test_imputation_reads_arrays_and_frames_alike():
    numbers = ["size", "twice"]
    of_frames = ImputationDisplay.from_frames(HOLES[numbers], TABLE[numbers])
    of_arrays = ImputationDisplay.from_frames(HOLES[numbers].to_numpy(), TABLE[numbers].to_numpy())
    for one, other in zip(of_frames.imputed, of_arrays.imputed, strict=True):
        assert np.array_equal(one, other)


def test_columns_that_are_none_are_refused():
    with pytest.raises(ValueError, match="at least one column"):
        ImputationDisplay.from_frames(HOLES, TABLE, [])


def test_levels_stand_in_their_own_order():
    names = ["low", "mid", "high"]
    rank = pd.Categorical(["high"] * 5 + ["low"] * 3 + ["mid", "mid", None, None], names, True)
    flag = pd.Series([True] * 8 + [False] * 2 + [None] * 2, dtype="boolean")
    holes = pd.DataFrame({"rank": rank, "flag": flag})
    filled = holes.assign(rank=holes["rank"].fillna("mid"), flag=holes["flag"].fillna(False))
    display = ImputationDisplay.from_frames(holes, filled).plot()
    drawn = [[text.get_text() for text in axes.get_xticklabels()] for axes in display.axes_]
    assert drawn == [names, ["False", "True"]]
    heights = [[bar.get_height() for bar in bars] for bars in display.observed_]
    np.testing.assert_allclose(heights[0], [0.3, 0.2, 0.5])
    np.testing.assert_allclose(heights[1], [0.2, 0.8])
    hidden = holes.notna()
    guess = holes.assign(rank=holes["rank"].where(holes["rank"] != "high", "mid"))
    shown = ReconstructionDisplay.from_frames(holes, guess, hidden).plot()
    pairs = shown.points_[0].get_offsets().tolist()
    assert sorted(map(tuple, pairs)) == [(0, 0), (1, 1), (2, 1)]


def test_counts_stand_on_bars_of_levels_and_none_is_left_out():
    display = ImputationDisplay.from_frames(ODD, ODD_FILLED, ["code", "flag"]).plot()
    for place, name in enumerate(["code", "flag"]):
        axes = display.axes_[place]
        seen, new = ODD[name].dropna(), ODD_FILLED[name][ODD[name].isna()]
        written = [int(text.get_text()) for text in axes.texts]
        half = len(written) // 2
        assert (sum(written[:half]), sum(written[half:])) == (len(seen), len(new))
        labels = [text.get_text() for text in axes.get_xticklabels()]
        known = [label for label in labels if "other" not in label]
        counts = seen.astype(str).value_counts()
        assert written[: len(known)] == counts[known].tolist()
    assert display.axes_[0].get_xticklabels()[-1].get_text() == "4 other levels"
    assert f"{len(ODD['code'].dropna())} observed, " in display.axes_[0].get_title()
    assert legend_of(display) == ["observed", "filled"]


def test_a_number_of_whole_values_has_a_bin_for_each_whatever_its_dtype():
    holes = pd.DataFrame({"a": [0.0, 1.0, 1.0, 3.0, None, None]})
    display = ImputationDisplay.from_frames(holes, holes.fillna(1.0)).plot()
    bars = display.observed_[0]
    assert [bar.get_x() + bar.get_width() / 2 for bar in bars] == [0, 1, 2, 3]
    assert [bar.get_height() for bar in bars] == [0.25, 0.5, 0, 0.25]


def test_an_interval_meets_the_observed_cells_beside_it():
    days = pd.date_range("2024-01-01", periods=5)
    holes = pd.DataFrame({"whole": 9.0, "a": [1.0, 2.0, None, 4.0, 5.0]}, index=days)
    filled, *ends, draw = (holes.fillna(cell) for cell in (3.0, 2.5, 3.5, 2.75))
    ends = [end.where(holes.isna()) for end in ends]
    display = FilledSeriesDisplay.from_frames(holes, filled, interval=ends, draws=[draw]).plot()
    corners = np.concatenate([path.vertices for path in display.bands_[0].get_paths()])
    places = corners[:, 0] - date2num(days[0])
    found = {(round(x), round(y, 6)) for x, y in zip(places, corners[:, 1], strict=True)}
    assert found == {(1, 2.0), (2, 2.5), (2, 3.5), (3, 4.0)}
    assert display.draws_[0][0].get_ydata()[1:4] == pytest.approx([2.0, 2.75, 4.0])


def test_a_level_that_the_first_table_lacks_is_said_to_be_new():
    holes = pd.DataFrame({"kind": ["a", "a", "b", None]})
    display = ImputationDisplay.from_frames(holes, holes.fillna("c")).plot()
    words = [text.get_text() for text in display.axes_[0].get_xticklabels()]
    assert words == ["a", "b", "not seen before"]
    assert [bar.get_height() for bar in display.imputed_[0]] == [0, 0, 1]
