from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.colors import to_rgba  # noqa: E402
from sklearn.decomposition import PCA  # noqa: E402
from sklearn.ensemble import IsolationForest  # noqa: E402

from maetab import MAEAnomalyDetector, MAEEncoder, MAEImputer  # noqa: E402
from maetab.plot import (  # noqa: E402
    EmbeddingDisplay,
    HistoryDisplay,
    ImputationDisplay,
    MissingnessDisplay,
    ReconstructionDisplay,
    ScoreDisplay,
    SurpriseDisplay,
)


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    size = rng.normal(size=60)
    return pd.DataFrame(
        {
            "size": size,
            "twice": 2 * size + 0.1 * rng.normal(size=60),
            "count": rng.integers(0, 5, 60),
            "color": np.where(size > 0, "red", "blue"),
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(60), unit="D"),
        },
        index=pd.RangeIndex(100, 160),
    )


@pytest.fixture(scope="module")
def hidden(table):
    return pd.DataFrame(
        np.random.default_rng(1).random(table.shape) < 0.2, table.index, table.columns
    )


@pytest.fixture(scope="module")
def holes(table, hidden):
    return table.mask(hidden)


@pytest.fixture(scope="module")
def imputer(holes):
    return MAEImputer(max_iter=2, n_estimators=2, width=8, random_state=0).fit(holes)


@pytest.fixture(scope="module")
def detector(table):
    return MAEAnomalyDetector(n_masks=3, random_state=0).fit(table)


@pytest.fixture
def saved(tmp_path):
    """Save the figure of a drawn display; it must hold more than paper."""

    def save(display):
        path = tmp_path / "picture.png"
        display.figure_.savefig(path, dpi=50)
        picture = plt.imread(path)
        assert np.unique(picture.reshape(-1, picture.shape[-1]), axis=0).shape[0] > 5
        return display

    return save


def test_missingness_shows_each_cell_and_the_share_of_each_column(holes, saved):
    display = saved(MissingnessDisplay.from_frame(holes).plot())
    most_first = holes.isna().sum().sort_values(ascending=False, kind="stable").index
    for sort, names in ((True, most_first), (False, holes.columns)):
        shown = display.plot(sort=sort)
        assert np.array_equal(shown.image_.get_array(), holes[names].isna().to_numpy())
        heights = [bar.get_height() for bar in shown.bars_]
        assert heights == pytest.approx(holes[names].isna().mean().tolist())
        ticks = [text.get_text() for text in shown.axes_[1].get_xticklabels()]
        assert ticks == list(names)


def test_missingness_of_many_rows_is_averaged_over_blocks():
    missing = np.random.default_rng(0).random((2500, 3)) < 0.3
    display = MissingnessDisplay.from_frame(np.where(missing, np.nan, 1.0)).plot(sort=False)
    blocks = missing.reshape(250, 10, 3).mean(1)
    assert np.allclose(display.image_.get_array(), blocks)
    assert display.image_.get_extent() == [-0.5, 2.5, 2499.5, -0.5]


def test_imputation_draws_observed_and_imputed_cells_on_the_same_bins(table, holes, hidden, saved):
    display = saved(ImputationDisplay.from_frames(holes, table).plot())
    names = [column.name for column in display.columns]
    assert names == list(table.columns)
    first = names.index("size")
    assert display.observed[first] == pytest.approx(holes["size"].dropna(), abs=1e-5)
    assert display.imputed[first] == pytest.approx(table["size"][hidden["size"]], abs=1e-5)
    bars = display.observed_[first]
    edges = [bar.get_x() for bar in bars] + [bars[-1].get_x() + bars[-1].get_width()]
    counts, _ = np.histogram(holes["size"].dropna(), edges)
    heights = np.array([bar.get_height() for bar in bars])
    assert heights / heights.sum() == pytest.approx(counts / counts.sum(), abs=0.03)


def test_imputation_draws_the_share_of_each_level(table, holes, hidden):
    display = ImputationDisplay.from_frames(holes, table, ["color"]).plot()
    ticks = [text.get_text() for text in display.axes_[0].get_xticklabels()]
    for bars, cells in (
        (display.observed_[0], holes["color"].dropna()),
        (display.imputed_[0], table["color"][hidden["color"]]),
    ):
        shares = cells.value_counts(normalize=True)[ticks]
        assert [bar.get_height() for bar in bars] == pytest.approx(shares.tolist())


def test_imputation_needs_cells_that_were_filled(table, holes):
    with pytest.raises(ValueError, match="missing cell that is filled"):
        ImputationDisplay.from_frames(table, table)
    with pytest.raises(ValueError, match="no column 'z'"):
        ImputationDisplay.from_frames(holes, table, ["z"])
    with pytest.raises(ValueError, match="'filled' must have the shape"):
        ImputationDisplay.from_frames(holes, table.iloc[1:])


def test_imputation_reads_arrays_and_frames_alike(holes, table):
    numbers = ["size", "twice"]
    of_frames = ImputationDisplay.from_frames(holes[numbers], table[numbers])
    of_arrays = ImputationDisplay.from_frames(holes[numbers].to_numpy(), table[numbers].to_numpy())
    for one, other in zip(of_frames.imputed, of_arrays.imputed, strict=True):
        assert np.array_equal(one, other)


def test_reconstruction_shows_hidden_cells_only(table, imputer, holes, hidden, saved):
    filled = imputer.transform(holes)
    display = saved(ReconstructionDisplay.from_frames(table, filled, hidden).plot())
    for place, column in enumerate(display.columns):
        if column.kind == "number" and column.temporal is None:
            here = hidden[column.name]
            drawn = display.points_[place].get_offsets()
            expected = np.column_stack([table[column.name][here], filled[column.name][here]])
            assert np.allclose(drawn, expected.astype(float), atol=1e-4)


def test_reconstruction_counts_pairs_of_levels(table, imputer, holes, hidden):
    filled = imputer.transform(holes)
    display = ReconstructionDisplay.from_frames(table, filled, hidden, ["color"]).plot()
    here = hidden["color"]
    counts = pd.crosstab(table["color"][here], filled["color"][here])
    levels = display.columns[0].levels
    areas = display.points_[0].get_sizes()
    expected = [
        counts.loc[levels[int(x)], levels[int(y)]] for x, y in display.points_[0].get_offsets()
    ]
    assert areas / areas.max() == pytest.approx(np.array(expected) / max(expected))
    right = (table["color"] == filled["color"])[here].mean()
    assert f"{right:.0%} right" in display.axes_[0].get_title()


def test_reconstruction_of_an_estimator_hides_the_cells_itself(table, imputer, holes, hidden):
    ours = ReconstructionDisplay.from_estimator(imputer, table, hidden.to_numpy())
    theirs = ReconstructionDisplay.from_frames(table, imputer.transform(holes), hidden)
    for one, other in zip(ours.reconstruction, theirs.reconstruction, strict=True):
        assert np.array_equal(one, other)
    with pytest.raises(ValueError, match="'hidden' must have the shape"):
        ReconstructionDisplay.from_estimator(imputer, table, hidden.iloc[1:])


def test_surprise_shows_the_strangest_rows_in_order(table, detector, holes, saved):
    odd = holes.copy()
    odd.loc[130, ["size", "twice"]] = [3.0, -6.0]
    display = saved(SurpriseDisplay.from_estimator(detector, odd, top=7).plot())
    strangest = np.argsort(detector.score_samples(odd))[:7]
    assert display.surprises.index.tolist() == odd.index[strangest].tolist()
    assert display.surprises.index[0] == 130
    drawn = np.ma.filled(display.image_.get_array(), np.nan)
    cells = detector.score_cells(odd).iloc[strangest].to_numpy()
    assert np.array_equal(drawn, cells, equal_nan=True)


def test_scores_are_split_at_the_threshold(table, detector, saved):
    display = saved(ScoreDisplay.from_estimator(detector, table).plot())
    labels = detector.predict(table)
    normal, strange = display.bars_
    assert sum(bar.get_height() for bar in normal) == (labels == 1).sum()
    assert sum(bar.get_height() for bar in strange) == (labels == -1).sum()
    assert set(display.line_.get_xdata()) == {detector.offset_}
    ends = np.array([[bar.get_x(), bar.get_x() + bar.get_width()] for bar in normal])
    assert np.abs(ends - detector.offset_).min() < 1e-9  # no bar straddles the threshold


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


def test_embedding_draws_the_principal_components(table, imputer, saved):
    encoder = MAEEncoder.from_fitted(imputer, n_components=4)
    display = saved(EmbeddingDisplay.from_estimator(encoder, table, color="color").plot())
    found = PCA(2).fit(encoder.transform(table).astype(float))
    expected = found.transform(encoder.transform(table).astype(float))
    assert np.abs(display.points) == pytest.approx(np.abs(expected), abs=1e-6)
    assert display.shares == pytest.approx(found.explained_variance_ratio_)
    drawn = {points.get_label(): points.get_offsets() for points in display.points_}
    for level, points in drawn.items():
        assert np.array_equal(points, display.points[(table["color"] == level).to_numpy()])


def test_embedding_takes_numbers_categories_or_no_color(table, saved):
    features = table[["size", "twice"]].to_numpy()
    plain = saved(EmbeddingDisplay.from_frame(features).plot())
    assert len(plain.points_.get_offsets()) == 60
    shaded = saved(EmbeddingDisplay.from_frame(features, table["size"]).plot())
    assert np.array_equal(shaded.points_.get_array(), table["size"])
    many = [f"level {i % 20}" for i in range(60)]
    grouped = EmbeddingDisplay.from_frame(features, many).plot()
    assert grouped.points_[-1].get_label() == "other"
    assert sum(len(points.get_offsets()) for points in grouped.points_) == 60
    with pytest.raises(ValueError, match="60 values"):
        EmbeddingDisplay.from_frame(features, [1, 2])
    with pytest.raises(ValueError, match="'z' is no column"):
        EmbeddingDisplay.from_estimator(None, table, color="z")


def test_embedding_of_a_single_feature_lies_on_a_line():
    display = EmbeddingDisplay.from_frame(np.arange(5.0)[:, None])
    assert display.shares.tolist() == [1.0, 0.0] and not display.points[:, 1].any()


def test_history_draws_two_lines_for_each_network(imputer, saved):
    display = saved(HistoryDisplay.from_estimator(imputer).plot())
    history = pd.DataFrame(imputer.history_)
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


def test_history_of_an_untrained_estimator_is_refused(detector):
    with pytest.raises(ValueError, match="no network was trained"):
        HistoryDisplay.from_estimator(detector)


def test_axes_of_the_user_are_drawn_on(table, holes, detector):
    figure, axes = plt.subplots(1, 2)
    display = ImputationDisplay.from_frames(holes, table, ["size", "color"]).plot(ax=axes)
    assert display.figure_ is figure and display.axes_ == list(axes)
    assert MissingnessDisplay.from_frame(holes).plot(ax=axes).axes_ == list(axes)
    scores = ScoreDisplay.from_estimator(detector, table).plot(ax=axes[0], alpha=0.5)
    assert scores.ax_ is axes[0]
    assert scores.bars_[0][0].get_facecolor()[3] == 0.5
    with pytest.raises(ValueError, match="3 axes, one for each panel, got 2"):
        ImputationDisplay.from_frames(holes, table, ["size", "color", "day"]).plot(ax=axes)


def test_keywords_reach_the_artists(table):
    display = EmbeddingDisplay.from_frame(table[["size", "twice"]]).plot(color="red", s=3)
    assert tuple(display.points_.get_facecolor()[0][:3]) == to_rgba("red")[:3]
    assert display.points_.get_sizes().tolist() == [3]


def test_keywords_go_before_what_a_picture_chooses_itself(table, holes):
    red = to_rgba("red", 0.25)
    filled = ImputationDisplay.from_frames(holes, table, ["size", "color"])
    filled.plot(color="red", alpha=0.25, label="mine")
    assert filled.observed_[0][0].get_facecolor() == filled.imputed_[1][0].get_facecolor() == red
    groups = EmbeddingDisplay.from_frame(table[["size", "twice"]], table["color"])
    groups.plot(color="red", alpha=0.25, label="mine")
    assert {tuple(part.get_facecolor()[0]) for part in groups.points_} == {red}
    assert {part.get_label() for part in groups.points_} == {"mine"}
    numbers = EmbeddingDisplay.from_frame(table[["size", "twice"]], table["size"]).plot(cmap="gray")
    assert numbers.points_.get_cmap().name == "gray"


def test_columns_that_are_none_are_refused(table, holes):
    with pytest.raises(ValueError, match="at least one column"):
        ImputationDisplay.from_frames(holes, table, [])


def test_embedding_shades_dates_and_durations(table):
    frame = table.assign(took=table["day"] - table["day"].min())
    frame.loc[frame.index[3], ["day", "took"]] = None
    features = table[["size", "twice"]]
    for name in ("day", "took"):
        display = EmbeddingDisplay.from_frame(features, color=frame[name]).plot()
        shades = display.points_.get_array()
        start = 0 if name == "took" else (table["day"].iloc[0] - pd.Timestamp(0)).days
        assert np.isnan(float(np.ma.filled(shades, np.nan)[3]))
        expected = np.delete(start + np.arange(60.0), 3)
        np.testing.assert_allclose(np.delete(np.ma.filled(shades, np.nan), 3), expected)


def test_embedding_calls_missing_groups_missing_and_keeps_their_order(table):
    rank = pd.Categorical(["mid", "low", "low", "high", None] * 12, ["low", "mid", "high"], True)
    features = table[["size", "twice"]]
    for values, words in (
        (pd.Series(rank), ["low", "mid", "high", "missing"]),
        (pd.Series([True, True, False, None] * 15, dtype="boolean"), ["False", "True", "missing"]),
    ):
        display = EmbeddingDisplay.from_frame(features, color=values).plot()
        assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == words
        assert len(display.points_[-1].get_offsets()) == values.isna().sum()


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


def test_one_long_name_among_short_ones_is_turned():
    frame = pd.DataFrame(np.zeros((4, 3)), columns=["a", "a rather long column name", "b"])
    labels = MissingnessDisplay.from_frame(frame).plot().axes_[1].get_xticklabels()
    assert all(label.get_rotation() == 45 for label in labels)


def test_arguments_of_pictures_are_checked(table, detector, holes):
    with pytest.raises(ValueError, match="top must be an int of at least 1, got -5"):
        SurpriseDisplay.from_estimator(detector, table, top=-5)
    with pytest.raises(ValueError, match="columns must be a list of names, got 'size'"):
        ImputationDisplay.from_frames(holes, table, columns="size")


def test_without_matplotlib_one_error_names_the_extra(holes, monkeypatch):
    display = MissingnessDisplay.from_frame(holes)
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


def test_scores_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="scores must be finite"):
        ScoreDisplay.from_predictions([0.0, np.nan], threshold=0.0)
