"""Pictures of filled cells against the truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pictures import HIDDEN, HOLES, ODD, ODD_HIDDEN, TABLE, displays, imputer, legend_of, saved

from maetab.plot import ReconstructionDisplay


def test_reconstruction_shows_hidden_cells_only():
    filled = imputer().transform(HOLES)
    display = saved(ReconstructionDisplay.from_frames(TABLE, filled, HIDDEN).plot())
    for place, column in enumerate(display.columns):
        if column.kind == "number" and column.temporal is None:
            here = HIDDEN[column.name]
            drawn = display.points_[place].get_offsets()
            expected = np.column_stack([TABLE[column.name][here], filled[column.name][here]])
            assert np.allclose(drawn, expected.astype(float), atol=1e-4)


def test_reconstruction_counts_pairs_of_levels():
    filled = imputer().transform(HOLES)
    display = ReconstructionDisplay.from_frames(TABLE, filled, HIDDEN, ["color"]).plot()
    here = HIDDEN["color"]
    counts = pd.crosstab(TABLE["color"][here], filled["color"][here])
    levels = display.columns[0].levels
    areas = display.points_[0].get_sizes()
    expected = [
        counts.loc[levels[int(x)], levels[int(y)]] for x, y in display.points_[0].get_offsets()
    ]
    assert areas / areas.max() == pytest.approx(np.array(expected) / max(expected))
    right = (TABLE["color"] == filled["color"])[here].mean()
    assert f"{right:.0%} right" in display.axes_[0].get_title()


def test_reconstruction_of_an_estimator_hides_the_cells_itself():
    ours = ReconstructionDisplay.from_estimator(imputer(), TABLE, HIDDEN.to_numpy())
    theirs = ReconstructionDisplay.from_frames(TABLE, imputer().transform(HOLES), HIDDEN)
    for one, other in zip(ours.reconstruction, theirs.reconstruction, strict=True):
        assert np.array_equal(one, other)
    with pytest.raises(ValueError, match="'hidden' must have the shape"):
        ReconstructionDisplay.from_estimator(imputer(), TABLE, HIDDEN.iloc[1:])


def test_counts_stand_in_the_confusion_and_none_is_left_out():
    guess = ODD.assign(code=ODD["code"].sample(frac=1, random_state=0).to_numpy())
    hidden = ODD_HIDDEN & guess.notna()
    display = ReconstructionDisplay.from_frames(ODD, guess, hidden, ["code"]).plot()
    here = hidden["code"]
    table = pd.crosstab(ODD["code"][here], guess["code"][here])
    axes = display.axes_[0]
    words = [label.get_text() for label in axes.get_xticklabels()]
    others = [level for level in ODD["code"].dropna().unique() if level not in words]
    for text in axes.texts:
        x, y = (int(place) for place in text.get_position())
        rows, columns = (others if "other" in words[k] else [words[k]] for k in (x, y))
        found = table.reindex(index=rows, columns=columns, fill_value=0)
        assert int(text.get_text()) == found.to_numpy().sum()
    assert sum(int(text.get_text()) for text in axes.texts) == here.sum()
    assert f"{(ODD['code'] == guess['code'])[here].mean():.0%} right" in axes.get_title()


def test_cells_without_a_truth_are_not_shown():
    display = ReconstructionDisplay.from_frames(HOLES, TABLE, HOLES.notna() | True)
    for truth, filled, column in zip(
        display.original, display.reconstruction, display.columns, strict=True
    ):
        assert len(truth) == len(filled) == HOLES[column.name].count()
        assert not np.isnan(truth).any()


def test_durations_have_a_unit_that_suits_them():
    for unit, seconds in (("days", 86400), ("hours", 3600), ("minutes", 60), ("seconds", 1)):
        took = pd.to_timedelta(np.arange(21.0) * seconds, unit="s")
        frame = pd.DataFrame({"took": took})
        shown = ReconstructionDisplay.from_frames(frame, frame, frame.notna()).plot()
        axes = shown.axes_[0]
        assert axes.get_xlabel() == axes.get_ylabel() == unit
        ticks = axes.get_xticks() * 86400 / seconds
        labels = [float(label.get_text()) for label in axes.get_xticklabels()]
        assert labels == pytest.approx(ticks) and max(labels) == 20


def test_reconstruction_shows_where_both_agree_and_says_so():
    display = displays()[2].plot()
    numbers = [k for k, column in enumerate(display.columns) if column.kind == "number"]
    for k in numbers:
        line = display.axes_[k].lines[0]
        assert np.array_equal(line.get_xdata(), line.get_ydata())
    assert "number: reconstruction = original" in legend_of(display)
    assert {"category: right (number of cells)", "wrong"} <= set(legend_of(display))
