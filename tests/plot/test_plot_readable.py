"""What stands in pictures for a reader: numbers, names, units, legends, marks."""

from __future__ import annotations

import pickle
import re
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

from matplotlib import cbook  # noqa: E402
from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.text import Text  # noqa: E402

from maetab import MAEAnomalyDetector, plot  # noqa: E402

LONG = "Durchschnittliche_Größe_der_Übergangsbevölkerung_je_Straße_"
WARDS = [f"Zentralkrankenhaus für Ältere, Station {letter}" for letter in "AB"]


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def odd():
    """A table with everything that is hard to draw: long and strange names, all kinds of cells."""
    rng, n = np.random.default_rng(0), 200
    size = rng.normal(size=n)
    table = pd.DataFrame(
        {
            f"{LONG}a": size,
            f"{LONG}b": 2 * size + rng.normal(size=n),
            "cost_in_$_per_m$": np.exp(size),
            "a_b^{c\n日本": rng.integers(0, 6, n).astype(float),
            "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(n), unit="D"),
            "took": pd.to_timedelta(rng.integers(0, 9000, n), unit="s"),
            "flag": pd.Series(size > 0, dtype="boolean"),
            "ward": np.array([*WARDS, "$_$", "_none"])[rng.integers(0, 4, n)],
            "code": [f"code {k}" for k in rng.integers(0, 12, n)],
        }
    )
    table = table.mask(rng.random(table.shape) < 0.15)
    seen, lost = np.full(n, np.nan), size.copy()
    seen[57], lost[100] = 3.5, np.nan
    return table.assign(**{"empty": np.nan, "one seen": seen, "one lost": lost, "complete": size})


@pytest.fixture(scope="module")
def filled(odd):
    return odd.ffill().bfill()


@pytest.fixture(scope="module")
def hidden(odd):
    drawn = np.random.default_rng(1).random(odd.shape) < 0.3
    return odd.notna() & drawn & (odd.notna().sum() > 1)


@pytest.fixture(scope="module")
def displays(odd, filled, hidden):
    """Every kind of picture of the odd table, not yet drawn."""
    guess = odd.apply(lambda column: column.sample(frac=1, random_state=0).to_numpy())
    rng, names = np.random.default_rng(2), [*odd.columns[:4], *odd.columns[-3:]]
    surprises = pd.DataFrame(rng.exponential(size=(9, 7)), WARDS * 4 + ["$x$"], names)
    surprises.iloc[2, 1] = np.nan
    features, colours = rng.normal(size=(len(odd), 3)), odd.columns[[2, 4, 5, 7]]
    return [
        plot.MissingnessDisplay.from_frame(odd),
        plot.ImputationDisplay.from_frames(odd, filled),
        plot.ReconstructionDisplay.from_frames(odd, guess.fillna(filled), hidden),
        plot.SurpriseDisplay(surprises),
        plot.ScoreDisplay(rng.normal(size=500), threshold=-1.6),
        *(plot.EmbeddingDisplay.from_frame(features, odd[name]) for name in colours),
        plot.HistoryDisplay.from_frame(history([0.9, 0.7, 0.8, 0.85])),
    ]


def history(held_out, rates=None, network=0):
    """A training with these losses at held-out cells."""
    rates = [0.1 / (1 + k) for k in range(len(held_out))] if rates is None else rates
    return [
        {
            "network": network,
            "step": 5 * (k + 1),
            "train_loss": 1.0 - 0.1 * k,
            "validation_loss": loss,
            "learning_rate": rate,
        }
        for k, (loss, rate) in enumerate(zip(held_out, rates))
    ]


def texts_of(figure):
    """Visible texts of a drawn figure; labels of ticks beyond the ends of an axis are not drawn."""
    beyond = set()
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        ticks = zip(axis.get_ticklocs(), axis.get_ticklabels())
        beyond |= {label for place, label in ticks if not low <= place <= high}
    found = set(figure.findobj(Text)) - beyond
    return [text for text in found if text.get_visible() and text.get_text().strip()]


def legend_of(display):
    """Texts of all legends of a picture."""
    figure = display.figure_
    legends = [*figure.legends, *filter(None, (axes.get_legend() for axes in figure.axes))]
    return [text.get_text() for legend in legends for text in legend.get_texts()]


def test_pictures_of_strange_names_are_drawn_without_a_warning_and_inside_the_figure(displays):
    for display in displays:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            figure = display.plot().figure_
            figure.draw_without_rendering()
        box = figure.bbox.padded(1)
        for text in texts_of(figure):
            extent = text.get_window_extent()
            inside = box.x0 <= extent.x0 and extent.x1 <= box.x1
            assert inside and box.y0 <= extent.y0 and extent.y1 <= box.y1, text


def test_drawn_displays_can_be_pickled(displays):
    for display in displays:
        again = pickle.loads(pickle.dumps(display.plot()))
        assert legend_of(again) == legend_of(display)
        plt.close("all")


def test_dollars_of_names_are_dollars(displays):
    for display in displays:
        for text in texts_of(display.plot().figure_):
            assert not cbook.is_math_text(text.get_text()), text


def test_every_picture_names_its_axes_and_on_given_axes_too(displays):
    for display in displays:
        figure = display.plot().figure_
        panels = [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]
        assert figure.get_supylabel() or all(axes.get_ylabel() for axes in panels)
        n = len(panels)
        given = plt.figure(figsize=(4 * n, 5)).subplots(1, n, squeeze=False)[0]
        display.plot(ax=given if hasattr(display, "axes_") else given[0])
        assert all(axes.get_ylabel() for axes in given)
        plt.close("all")


def test_given_axes_of_plain_figures_are_drawn_on_without_a_warning(displays):
    for display in displays:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            n = len(getattr(display.plot(), "axes_", [0]))
            figure, axes = plt.subplots(1, n, squeeze=False)
            display.plot(ax=axes[0] if n > 1 else axes[0][0])
            figure.canvas.draw()
        assert display.figure_ is figure
        plt.close("all")


def test_share_and_number_of_missing_rows_stand_at_each_bar(odd):
    display = plot.MissingnessDisplay.from_frame(odd).plot()
    counts = odd.isna().sum().to_numpy()[display.order_]
    expected = [f"{100 * n / 200:.1f} %\n({n})" if n else "0" for n in counts]
    written = [text.get_text() for text in display.texts_]
    assert written == [text.replace("100.0", "100") for text in expected]
    top = display.axes_[0].get_window_extent().y1
    display.figure_.draw_without_rendering()
    for bar, text in zip(display.bars_, display.texts_):
        low, high = text.get_window_extent().y0, text.get_window_extent().y1
        assert bar.get_window_extent().y1 <= low and high <= display.axes_[0].bbox.y1 <= top + 200


def test_shares_tell_few_from_none_and_nearly_all_from_all():
    from maetab.plot.names import share_text

    assert [share_text(n, 891) for n in (0, 2, 177, 891)] == ["0 %", "0.2 %", "19.9 %", "100 %"]
    assert share_text(1, 100_000) == "0.001 %" and share_text(99_999, 100_000) == "99.999 %"


def test_a_single_cell_of_a_wide_table_can_be_seen():
    missing = np.zeros((1994, 126), bool)
    missing[1500, 40] = True
    missing[:, 90] = True
    missing[700, 90] = False
    display = plot.MissingnessDisplay(missing, [f"column number {k}" for k in range(126)]).plot()
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


def test_names_of_many_columns_do_not_overlap():
    frame = pd.DataFrame(np.zeros((5, 126)), columns=[f"{k} {LONG}" for k in range(126)])
    surprises = plot.SurpriseDisplay(frame)
    for display in (plot.MissingnessDisplay.from_frame(frame), surprises):
        axes = getattr(display.plot(), "axes_", [getattr(display, "ax_", None)])[-1]
        display.figure_.draw_without_rendering()
        boxes = [label.get_window_extent() for label in axes.get_xticklabels()]
        assert len(boxes) == 126
        assert all(one.x1 <= other.x0 for one, other in pairwise(boxes))


def test_of_more_columns_than_can_be_drawn_those_with_most_missing_cells_are():
    missing = np.random.default_rng(0).random((40, 400)) < np.linspace(0, 1, 400)
    display = plot.MissingnessDisplay(missing, range(400)).plot()
    counts = missing.sum(0)
    assert counts[display.order_].tolist() == sorted(counts, reverse=True)[:150]
    assert display.axes_[1].get_xlabel() == "the 150 of 400 columns with most missing cells"
    table_order = display.plot(sort=False).order_
    assert set(table_order) == set(np.argsort(-counts, kind="stable")[:150])
    assert (np.diff(table_order) > 0).all()


def test_names_cut_alike_stay_apart():
    from maetab.plot.names import shortened

    names = [f"{LONG}a", f"{LONG}b", "distended large intestine", "distended small intestine"]
    for most in (16, 24):
        texts = shortened([*names, LONG[:30] + "x" * 9 + LONG[-30:], "short", 1, "1"], most)
        assert len(set(texts)) == len(texts) and max(map(len, texts)) <= most
        assert texts[0].endswith("a") and texts[-3:] == ["short", "1", "1 #2"]
    assert shortened(names[2:], 16) == ["…large intestine", "…small intestine"]
    assert shortened(["a\nb", "$5$", "日"]) == ["a b", r"\$5\$", "\\u65e5"]


def test_counts_stand_on_bars_of_levels_and_none_is_left_out(odd, filled):
    display = plot.ImputationDisplay.from_frames(odd, filled, ["code", "flag"]).plot()
    for place, name in enumerate(["code", "flag"]):
        axes = display.axes_[place]
        seen, new = odd[name].dropna(), filled[name][odd[name].isna()]
        written = [int(text.get_text()) for text in axes.texts]
        half = len(written) // 2
        assert (sum(written[:half]), sum(written[half:])) == (len(seen), len(new))
        labels = [text.get_text() for text in axes.get_xticklabels()]
        known = [label for label in labels if "other" not in label]
        counts = seen.astype(str).value_counts()
        assert written[: len(known)] == counts[known].tolist()
    assert display.axes_[0].get_xticklabels()[-1].get_text() == "4 other levels"
    assert f"{len(odd['code'].dropna())} observed, " in display.axes_[0].get_title()
    assert legend_of(display) == ["observed", "filled"]


def test_counts_stand_in_the_confusion_and_none_is_left_out(odd, hidden):
    guess = odd.assign(code=odd["code"].sample(frac=1, random_state=0).to_numpy())
    hidden = hidden & guess.notna()
    display = plot.ReconstructionDisplay.from_frames(odd, guess, hidden, ["code"]).plot()
    here = hidden["code"]
    table = pd.crosstab(odd["code"][here], guess["code"][here])
    axes = display.axes_[0]
    words = [label.get_text() for label in axes.get_xticklabels()]
    others = [level for level in odd["code"].dropna().unique() if level not in words]
    for text in axes.texts:
        x, y = (int(place) for place in text.get_position())
        rows, columns = (others if "other" in words[k] else [words[k]] for k in (x, y))
        found = table.reindex(index=rows, columns=columns, fill_value=0)
        assert int(text.get_text()) == found.to_numpy().sum()
    assert sum(int(text.get_text()) for text in axes.texts) == here.sum()


def test_a_number_of_whole_values_has_a_bin_for_each_whatever_its_dtype():
    holes = pd.DataFrame({"a": [0.0, 1.0, 1.0, 3.0, None, None]})
    display = plot.ImputationDisplay.from_frames(holes, holes.fillna(1.0)).plot()
    bars = display.observed_[0]
    assert [bar.get_x() + bar.get_width() / 2 for bar in bars] == [0, 1, 2, 3]
    assert [bar.get_height() for bar in bars] == [0.25, 0.5, 0, 0.25]


def test_durations_have_a_unit_that_suits_them():
    for unit, seconds in (("days", 86400), ("hours", 3600), ("minutes", 60), ("seconds", 1)):
        took = pd.to_timedelta(np.arange(21.0) * seconds, unit="s")
        frame = pd.DataFrame({"took": took})
        shown = plot.ReconstructionDisplay.from_frames(frame, frame, frame.notna()).plot()
        axes = shown.axes_[0]
        assert axes.get_xlabel() == axes.get_ylabel() == unit
        ticks = axes.get_xticks() * 86400 / seconds
        labels = [float(label.get_text()) for label in axes.get_xticklabels()]
        assert labels == pytest.approx(ticks) and max(labels) == 20


def test_reconstruction_shows_where_both_agree_and_says_so(displays):
    display = displays[2].plot()
    numbers = [k for k, column in enumerate(display.columns) if column.kind == "number"]
    for k in numbers:
        line = display.axes_[k].lines[0]
        assert np.array_equal(line.get_xdata(), line.get_ydata())
    assert "number: reconstruction = original" in legend_of(display)
    assert {"category: right (number of cells)", "wrong"} <= set(legend_of(display))


def test_missing_cells_have_a_legend_in_heat_maps_and_shaded_points(displays, odd):
    assert legend_of(displays[3].plot()) == ["missing"]
    whole = displays[3].surprises.fillna(0.0)
    assert legend_of(plot.SurpriseDisplay(whole).plot()) == []
    points = np.random.default_rng(0).normal(size=(len(odd), 2))
    for name, words in (("when", ["missing"]), ("complete", [])):
        assert legend_of(plot.EmbeddingDisplay.from_frame(points, odd[name]).plot()) == words


def test_surprise_reads_as_one_in_so_many(displays):
    display = displays[3].plot()
    display.figure_.draw_without_rendering()
    ticks = [label.get_text() for label in display.colorbar_.ax.get_yticklabels()]
    assert {"1 (1 in 10)", "2 (1 in 100)", "3 (1 in 1,000)"} <= set(ticks)
    assert "-log10 of the share" in display.colorbar_.ax.get_ylabel()


def test_every_level_is_in_the_legend_whatever_its_first_letter(odd):
    points = np.random.default_rng(0).normal(size=(len(odd), 2))
    words = legend_of(plot.EmbeddingDisplay.from_frame(points, odd["ward"]).plot())
    assert {word.strip() for word in words} >= {"_none", r"\$_\$", "missing"}
    assert len(words) == odd["ward"].nunique() + 1


def test_scores_have_counts_on_their_bars_and_a_named_threshold():
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 2)), columns=["a", "b"])
    detector = MAEAnomalyDetector(n_masks=2, random_state=0).fit(frame)
    display = plot.ScoreDisplay.from_estimator(detector, frame).plot()
    written = [int(text.get_text()) for text in display.ax_.texts if text.get_text()]
    assert sum(written) == len(frame) and 0 not in written
    strange = (detector.predict(frame) == -1).sum()
    assert set(legend_of(display)) == {
        f"{60 - strange} normal",
        f"{strange} anomalies",
        f"threshold {detector.offset_:.3g}",
    }


def test_training_marks_the_weights_that_are_kept_and_an_early_stop():
    looks = [*history([0.9, 0.7, 0.8]), *history([0.6, 0.5, 0.4], [0.1, 0.05, 0.0], network=1)]
    display = plot.HistoryDisplay.from_frame(looks).plot()
    assert display.lowest_.tolist() == [[10, 0.7], [15, 0.4]]
    assert display.stopped_.tolist() == [[15, 0.8]]  # the other came to the end of its schedule
    words = legend_of(display)
    assert words[-2:] == ["lowest held-out loss: weights kept", "stopped early"]
    assert display.ax_.get_xlabel() == "step (one batch of training)"
    unknown = pd.DataFrame(looks).drop(columns="learning_rate")
    assert not len(plot.HistoryDisplay.from_frame(unknown).plot().stopped_)


def test_training_without_held_out_cells_draws_no_loss_of_them():
    display = plot.HistoryDisplay.from_frame(history([0.0, 0.0])).plot()
    assert np.isnan(display.lines_[1].get_ydata()).all() and not len(display.lowest_)
    assert "network 0, no cell held out" in legend_of(display)
    assert display.stopped_.tolist() == [[10, 0.9]]


def test_a_model_without_networks_says_so():
    with pytest.raises(ValueError, match=r"no network was trained.*first guess alone.*max_iter"):
        plot.HistoryDisplay.from_frame([])


def test_a_table_without_cells_is_refused():
    for frame in (pd.DataFrame({"a": []}), pd.DataFrame(index=[0, 1])):
        with pytest.raises(ValueError, match="at least one row and one column"):
            plot.MissingnessDisplay.from_frame(frame)


def test_pictures_of_the_readme_are_there_and_small():
    root = Path(__file__).resolve().parents[2]
    names = re.findall(r"!\[[^\]]*\]\((\S+)\)", (root / "README.md").read_text(encoding="utf-8"))
    assert names
    for name in names:
        assert (root / name).read_bytes().startswith(b"\x89PNG")
        assert (root / name).stat().st_size < 60 * 1024
