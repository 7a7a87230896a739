"""What holds for every picture, and for the axes and keywords it is given."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgba
from pictures import HOLES, ODD, TABLE, detector, displays, legend_of, texts_of

from maetab.plot import (
    EmbeddingDisplay,
    ImputationDisplay,
    MissingnessDisplay,
    ScoreDisplay,
    SurpriseDisplay,
)


@pytest.mark.slow
def test_axes_of_the_user_are_drawn_on():
    figure, axes = plt.subplots(1, 2)
    display = ImputationDisplay.from_frames(HOLES, TABLE, ["size", "color"]).plot(ax=axes)
    assert display.figure_ is figure and display.axes_ == list(axes)
    assert MissingnessDisplay.from_frame(HOLES).plot(ax=axes).axes_ == list(axes)
    scores = ScoreDisplay.from_estimator(detector(), TABLE).plot(ax=axes[0], alpha=0.5)
    assert scores.ax_ is axes[0]
    assert scores.bars_[0][0].get_facecolor()[3] == 0.5
    with pytest.raises(ValueError, match="3 axes, one for each panel, got 2"):
        ImputationDisplay.from_frames(HOLES, TABLE, ["size", "color", "day"]).plot(ax=axes)


def test_keywords_reach_the_artists():
    display = EmbeddingDisplay.from_frame(TABLE[["size", "twice"]]).plot(color="red", s=3)
    assert tuple(display.points_.get_facecolor()[0][:3]) == to_rgba("red")[:3]
    assert display.points_.get_sizes().tolist() == [3]


def test_keywords_go_before_what_a_picture_chooses_itself():
    red = to_rgba("red", 0.25)
    filled = ImputationDisplay.from_frames(HOLES, TABLE, ["size", "color"])
    filled.plot(color="red", alpha=0.25, label="mine")
    assert filled.observed_[0][0].get_facecolor() == filled.imputed_[1][0].get_facecolor() == red
    groups = EmbeddingDisplay.from_frame(TABLE[["size", "twice"]], TABLE["color"])
    groups.plot(color="red", alpha=0.25, label="mine")
    assert {tuple(part.get_facecolor()[0]) for part in groups.points_} == {red}
    assert {part.get_label() for part in groups.points_} == {"mine"}
    numbers = EmbeddingDisplay.from_frame(TABLE[["size", "twice"]], TABLE["size"]).plot(cmap="gray")
    assert numbers.points_.get_cmap().name == "gray"


def test_arguments_of_pictures_are_checked():
    with pytest.raises(ValueError, match="top must be an int of at least 1, got -5"):
        SurpriseDisplay.from_estimator(detector(), TABLE, top=-5)
    with pytest.raises(ValueError, match="columns must be a list of names, got 'size'"):
        ImputationDisplay.from_frames(HOLES, TABLE, columns="size")


def test_without_matplotlib_one_error_names_the_extra(monkeypatch):
    display = MissingnessDisplay.from_frame(HOLES)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"maetab\[plot\]"):
        display.plot()


def test_displays_import_neither_matplotlib_nor_torch_nor_sklearn():
    program = (
        "import sys\nimport pandas as pd\nfrom maetab.plot import ImputationDisplay\n"
        "holes = pd.DataFrame({'a': [1.0, None, 3.0]})\n"
        "ImputationDisplay.from_frames(holes, holes.fillna(2.0))\n"
        "print(sorted({'torch', 'sklearn', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.slow
def test_pictures_of_strange_names_are_drawn_without_a_warning_and_inside_the_figure():
    for display in displays():
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            figure = display.plot().figure_
            figure.draw_without_rendering()
        box = figure.bbox.padded(1)
        for text in texts_of(figure):
            extent = text.get_window_extent()
            inside = box.x0 <= extent.x0 and extent.x1 <= box.x1
            assert inside and box.y0 <= extent.y0 and extent.y1 <= box.y1, text


def test_drawn_displays_can_be_pickled():
    for display in displays():
        again = pickle.loads(pickle.dumps(display.plot()))
        assert legend_of(again) == legend_of(display)
        plt.close("all")


@pytest.mark.slow
def test_every_picture_names_its_axes_and_on_given_axes_too():
    for display in displays():
        figure = display.plot().figure_
        panels = [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]
        assert figure.get_supylabel() or all(axes.get_ylabel() for axes in panels)
        n = len(panels)
        given = plt.figure(figsize=(4 * n, 5)).subplots(1, n, squeeze=False)[0]
        display.plot(ax=given if hasattr(display, "axes_") else given[0])
        assert all(axes.get_ylabel() for axes in given)
        plt.close("all")


@pytest.mark.slow
def test_given_axes_of_plain_figures_are_drawn_on_without_a_warning():
    for display in displays():
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            n = len(getattr(display.plot(), "axes_", [0]))
            figure, axes = plt.subplots(1, n, squeeze=False)
            display.plot(ax=axes[0] if n > 1 else axes[0][0])
            figure.canvas.draw()
        assert display.figure_ is figure
        plt.close("all")


def test_missing_cells_have_a_legend_in_heat_maps_and_shaded_points():
    assert legend_of(displays()[3].plot()) == ["missing"]
    whole = displays()[3].surprises.fillna(0.0)
    assert legend_of(SurpriseDisplay(whole).plot()) == []
    points = np.random.default_rng(0).normal(size=(len(ODD), 2))
    for name, words in (("when", ["missing"]), ("complete", [])):
        assert legend_of(EmbeddingDisplay.from_frame(points, ODD[name]).plot()) == words


def test_pictures_of_the_readme_are_there_and_small():
    root = Path(__file__).resolve().parents[2]
    names = re.findall(r"!\[[^\]]*\]\((\S+)\)", (root / "README.md").read_text(encoding="utf-8"))
    assert names
    for name in names:
        assert (root / name).read_bytes().startswith(b"\x89PNG")
        assert (root / name).stat().st_size < 60 * 1024
