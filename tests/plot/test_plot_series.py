"""Pictures of series: gaps, filled values, surprises and anomalies over time."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib import dates
from matplotlib import pyplot as plt
from pictures import legend_of, saved

from maetab import MAEAnomalyDetector, MAEImputer
from maetab.data.schema import infer_schema
from maetab.plot import (
    FilledSeriesDisplay,
    GapDisplay,
    SeriesAnomalyDisplay,
    SeriesSurpriseDisplay,
)
from maetab.plot.course import read_course, thin
from maetab.plot.gaps import gaps_of

HOURS = pd.date_range("2024-03-01", periods=200, freq="h", name="when")


def _waves(n=200, index=HOURS):
    rng, t = np.random.default_rng(0), np.arange(n)
    day = np.sin(t * 2 * np.pi / 24)
    return pd.DataFrame({"a": day + 0.1 * rng.normal(size=n), "b": 5 - 2 * day}, index=index)


WAVES = _waves()
HOLES = WAVES.mask(np.arange(200)[:, None] // np.array([7, 30]) % 5 == 2)


def _runs(missing):
    """Gaps of a column by walking along it: first row and number of rows of each."""
    found, length = [], 0
    for place, lost in enumerate([*missing, False]):
        if not lost and length:
            found.append((place - length, length))
        length = length + 1 if lost else 0
    return found


def test_gaps_are_the_runs_of_missing_cells():
    display = saved(GapDisplay.from_frame(HOLES).plot())
    for gaps, name, text in zip(display.gaps_, HOLES, display.texts_):
        runs = _runs(HOLES[name].isna())
        starts = [dates.date2num(HOURS[first]) for first, _ in runs]
        assert gaps.starts == pytest.approx(starts)
        assert 24 * (gaps.ends - gaps.starts) == pytest.approx([length for _, length in runs])
        assert text.get_text().startswith(f"{len(runs)} gap")
    assert np.array_equal(display.image_.get_array(), HOLES.isna().to_numpy().T)


def test_order_of_the_rows_and_how_time_is_given_change_no_picture_of_gaps():
    expected = GapDisplay.from_frame(HOLES).plot()
    shuffled = HOLES.sample(frac=1, random_state=0)
    others = [
        GapDisplay.from_frame(shuffled),
        GapDisplay.from_frame(shuffled.reset_index(), time="when"),
        GapDisplay.from_frame(shuffled.tz_localize("Asia/Tokyo")),
        GapDisplay.from_frame(HOLES.set_axis(HOURS.to_period("h"))),
    ]
    for display in others:
        drawn = display.plot()
        assert drawn.columns == ["a", "b"]
        assert np.array_equal(drawn.image_.get_array(), expected.image_.get_array())
        assert drawn.image_.get_extent() == pytest.approx(expected.image_.get_extent())
        assert drawn.gaps_[0].starts == pytest.approx(expected.gaps_[0].starts)


def test_stamps_without_a_row_lie_in_gaps_and_have_their_own_colour():
    cut = WAVES.drop(HOURS[50:80])
    display = GapDisplay.from_frame(cut).plot()
    assert display.image_.get_array().mask[:, 50:80].all()
    assert not display.image_.get_array().mask[:, :50].any()
    gaps = display.gaps_[0]
    assert 24 * (gaps.ends - gaps.starts) == pytest.approx([30])
    assert "no row" in legend_of(display)


@pytest.mark.parametrize("first", ["2024-03-29", "2024-10-25"])
def test_hours_are_drawn_one_after_the_other_where_clocks_are_set(first):
    """By the clock an hour of the spring seems to lack, and one of the autumn is there twice."""
    hours = pd.date_range(first, periods=200, freq="h", tz="Europe/Berlin")
    course = read_course(_waves(index=hours).sample(frac=1, random_state=0))
    stamps, line = course.broken(np.arange(200.0))
    assert len(line) == 200 and 24 * np.diff(stamps) == pytest.approx(1)
    ends = f"{hours[10]:%Y-%m-%d %H:%M}", f"{hours[150]:%Y-%m-%d %H:%M}"
    frame = HOLES.set_axis(hours)
    display = saved(GapDisplay.from_frame(frame, between=ends).plot())
    assert np.array_equal(display.image_.get_array(), HOLES[10:151].isna().to_numpy().T)
    twice = hours[hours.tz_localize(None).duplicated(keep=False)]
    if len(twice):
        both = (f"{twice[0]:%Y-%m-%d %H:%M}",) * 2
        assert len(read_course(frame, between=both).stamps) == 2
    told = display.ax_.xaxis.get_major_formatter().format_data_short(course.stamps[150])
    assert told.startswith(f"{hours[150]:%Y-%m-%d %H:%M}")
    days = pd.date_range(first, periods=9, tz="Europe/Berlin")
    assert np.diff(read_course(_waves(9, days)).stamps) == pytest.approx(1)


def test_lengths_of_gaps_are_told_in_hours_up_to_three_days():
    frame = pd.DataFrame({"short": np.ones(200), "long": 1.0}, index=HOURS)
    frame.iloc[10:40, 0] = frame.iloc[100:172, 1] = np.nan
    texts = [text.get_text() for text in GapDisplay.from_frame(frame).plot().texts_]
    assert texts == ["1 gap, up to 30 h, 15.0 %", "1 gap, up to 3 d, 36.0 %"]


def test_a_gap_ends_with_its_series():
    frame = pd.concat([HOLES.iloc[:100].assign(site=site) for site in "yx"])
    frame.iloc[90:110, 0] = np.nan  # the end of one series and the begin of the next
    display = GapDisplay.from_frame(frame, groups="site")
    gaps = gaps_of(display.missing[:, 0], display.course)
    lengths = [n for s in "yx" for _, n in _runs(frame.loc[frame["site"] == s, "a"].isna())]
    assert 24 * (gaps.ends - gaps.starts) == pytest.approx(lengths)
    pooled = display.plot().image_.get_array()
    one, other = (frame[frame["site"] == site][["a", "b"]].isna().to_numpy() for site in "yx")
    assert np.allclose(pooled, (one + other.astype(float)).T / 2)
    chosen = GapDisplay.from_frame(frame, groups="site", series="x")
    assert np.array_equal(chosen.missing, other)


def test_the_time_between_two_series_is_no_gap():
    hours = pd.date_range("2024-01-01", periods=12, freq="h")
    early, late = (pd.DataFrame({"a": 1.0, "site": site}, index=hours) for site in "ab")
    frame = pd.concat([early, late.set_axis(hours + pd.Timedelta("2D"))])
    display = GapDisplay.from_frame(frame, groups="site")
    assert display.course.on_grid()
    assert len(gaps_of(display.missing[:, 0], display.course).starts) == 0
    few = GapDisplay.from_frame(frame.iloc[[0, 12, 13]].assign(site=["a", "b", "b"]), groups="site")
    assert few.course.step() == pytest.approx(1 / 24)


def test_rows_in_order_and_numbers_are_times_too():
    plain = HOLES.reset_index(drop=True)
    display = GapDisplay.from_frame(plain).plot()
    assert display.gaps_[0].starts.tolist() == [first for first, _ in _runs(plain["a"].isna())]
    assert display.ax_.get_xlabel() == "row"
    numbered = GapDisplay.from_frame(plain.assign(t=np.arange(200) * 0.5), time="t").plot()
    assert numbered.gaps_[0].longest() == pytest.approx(display.gaps_[0].longest() / 2)


def test_one_missing_cell_in_a_hundred_thousand_changes_the_colour_of_its_part():
    stamps = pd.date_range("2020-01-01", periods=100_000, freq="min")
    frame = pd.DataFrame({"a": np.ones(100_000), "b": np.ones(100_000)}, stamps)
    frame.iloc[61_234, 0] = np.nan
    display = GapDisplay.from_frame(frame).plot()
    shares = display.image_.get_array()
    assert shares.shape == (2, 800) and not shares.mask.any()
    assert np.argwhere(shares > 0).tolist() == [[0, 61_234 // 125]]
    pale, marked = display.image_.to_rgba(np.array([0.0, shares.max()]))
    assert np.abs(pale - marked).sum() > 0.2


def test_a_stamp_without_a_row_counts_as_missing_in_the_part_that_it_is_in():
    stamps = pd.date_range("2020-01-01", periods=1600, freq="min")
    frame = pd.DataFrame({"a": np.ones(1600)}, stamps).drop(stamps[[301, 800]])
    shares = GapDisplay.from_frame(frame).plot().image_.get_array()[0]
    assert shares.nonzero()[0].tolist() == [150, 400]
    assert shares[[150, 400]].tolist() == [0.5, 0.5]


def test_a_thinned_line_keeps_every_peak():
    values = np.random.default_rng(0).normal(size=100_003)
    values[40_000:42_000] = np.nan
    values[77_777], values[12_345] = 50.0, -50.0
    chosen = thin(values)
    assert len(chosen) <= 3000 and (np.diff(chosen) > 0).all()
    assert {77_777, 12_345} <= set(chosen)
    assert np.isnan(values[chosen]).any()
    assert thin(np.arange(2000.0)).tolist() == list(range(2000))


def test_what_was_filled_is_drawn_where_cells_were_missing():
    filled = HOLES.interpolate(limit_direction="both")
    draws = [filled + shift for shift in (-0.1, 0.1)]
    display = FilledSeriesDisplay.from_frames(
        HOLES, filled, draws=draws, interval=(filled - 1, filled + 1)
    )
    saved(display.plot())
    for place, name in enumerate(HOLES):
        missing = HOLES[name].isna().to_numpy()
        x, y = display.filled_[place].get_data()
        assert x == pytest.approx(dates.date2num(HOURS))
        assert y[missing] == pytest.approx(filled[name].to_numpy()[missing], rel=1e-5)
        beside = np.convolve(missing, [1, 1, 1], "same") > 0
        assert np.array_equal(~np.isnan(y), beside)
        seen = display.observed_[place].get_ydata()
        assert np.array_equal(np.isnan(seen), missing)
        for line, draw in zip(display.draws_[place], draws, strict=True):
            assert line.get_ydata()[missing] == pytest.approx(draw[name][missing], rel=1e-5)
        assert display.bands_[place] is not None
        for end, shift in zip(display.band, (-1, 1), strict=True):
            assert end[:, place] == pytest.approx(filled[name] + shift, rel=1e-5)
    assert legend_of(display) == ["observed", "filled", "draws", "interval"]


def test_lines_break_where_stamps_lack():
    cut = HOLES.drop(HOURS[100:110])
    display = FilledSeriesDisplay.from_frames(cut, cut.bfill().ffill(), ["a"]).plot()
    x, y = display.observed_[0].get_data()
    lacking = (x > dates.date2num(HOURS[99])) & (x < dates.date2num(HOURS[110]))
    assert np.isnan(y[lacking]).all() and lacking.sum() == 1


def test_one_series_of_a_panel_is_drawn_and_several_are_refused():
    panel = pd.concat([HOLES, 10 + HOLES], keys=["x", "y"], names=["site"])
    filled = panel.bfill().ffill()
    one = FilledSeriesDisplay.from_frames(panel, filled, groups="site", series="y")
    assert np.nanmin(one.filled) > 5
    assert one.course.stamps == pytest.approx(dates.date2num(HOURS))
    with pytest.raises(ValueError, match=r"2 series; .* such as series='x'"):
        FilledSeriesDisplay.from_frames(panel, filled, groups="site")
    with pytest.raises(ValueError, match="there is no 'z' in groups='site'; there is 'x', for"):
        FilledSeriesDisplay.from_frames(panel, filled, groups="site", series="z")
    with pytest.raises(ValueError, match="groups='sight' is no column and no level"):
        GapDisplay.from_frame(panel, groups="sight")
    with pytest.raises(ValueError, match="no row to draw"):
        GapDisplay.from_frame(HOLES, between=("2030", "2031"))


def test_rows_without_a_stamp_are_not_drawn():
    frame = WAVES.reset_index(names="when").sample(frac=1, random_state=0)
    frame.iloc[[3, 50], 0] = pd.NaT
    display = GapDisplay.from_frame(frame, time="when")
    assert len(display.missing) == len(WAVES) - 2 and np.isfinite(display.course.stamps).all()
    assert not {3, 50} & set(display.course.rows)


def test_parts_of_a_series_are_chosen_by_their_stamps():
    course = read_course(WAVES, between=("2024-03-02", "2024-03-03 00:00"))
    assert course.rows.tolist() == list(range(24, 49))


def test_surprises_over_time_are_the_largest_of_each_part():
    stamps = pd.date_range("2020-01-01", periods=8000, freq="min")
    found = pd.DataFrame(np.random.default_rng(0).exponential(size=(8000, 2)), stamps, ["a", "b"])
    found.iloc[100:140, 1] = np.nan
    known = infer_schema(found)
    detector = SimpleNamespace(timeline_=None, schema_=known, score_cells=lambda X: found)
    display = saved(SeriesSurpriseDisplay.from_estimator(detector, found).plot())
    expected = found.to_numpy().reshape(800, 10, 2)
    drawn = display.image_.get_array()
    assert np.allclose(drawn[0], expected[..., 0].max(1))
    assert np.isnan(drawn.filled(np.nan)[1, 10:14]).all()
    assert legend_of(display) == ["missing"]


class _Watching:
    """A detector and imputer of known answers: expected is the mean of the visible cells."""

    timeline_ = SimpleNamespace(time=None, groups=(), n_steps=16)
    offset_ = -1.0

    def __init__(self):
        self.seen = []

    def score_samples(self, X):
        return -np.abs(X["a"].to_numpy())

    def transform(self, X):
        self.seen.append(X)
        return X.fillna(X.mean())

    def predict_interval(self, X, coverage):
        return X.fillna(-3 * coverage), X.fillna(3 * coverage)


def test_each_cell_is_hidden_where_it_is_expected_and_anomalies_are_hidden_always():
    frame, both = WAVES.copy(), _Watching()
    frame.iloc[[60, 61, 150], 0] = [9.0, 9.0, -9.0]
    both.offset_ = -5.0
    shuffled = frame.sample(frac=1, random_state=0)
    display = SeriesAnomalyDisplay.from_estimators(both, both, shuffled, ["a"])
    lost = np.array([X["a"].sort_index().isna().to_numpy() for X in both.seen])
    assert lost[:, [60, 61, 150]].all()
    assert (lost.sum(0)[~np.isin(np.arange(200), [60, 61, 150])] == 1).all()
    assert np.abs(display.expected).max() < 1.5
    assert np.allclose(display.high, 2.7) and np.allclose(display.low, -2.7)
    saved(display.plot())
    stamps = dates.date2num(HOURS)
    expected = [[stamps[60], stamps[62]], [stamps[150], stamps[151]]]
    assert np.abs(display.stretches_ - expected).max() < 1e-6  # days
    assert legend_of(display) == ["observed", "expected", "interval", "threshold", "anomaly"]
    assert display.values[60, 0] == pytest.approx(9.0)


def test_a_part_of_a_watched_series_has_the_numbers_of_the_whole():
    both, shuffled = _Watching(), WAVES.sample(frac=1, random_state=0)
    between = HOURS[50], HOURS[79]
    whole, part = (
        SeriesAnomalyDisplay.from_estimators(both, both, shuffled, ["a"], between=of)
        for of in (None, between)
    )
    assert whole.scores == pytest.approx(-WAVES["a"].abs())
    assert whole.values[:, 0] == pytest.approx(WAVES["a"], abs=1e-5)
    for name in ("values", "expected", "low", "high", "scores"):
        assert np.array_equal(getattr(part, name), getattr(whole, name)[50:80])


def test_an_array_that_is_watched_reaches_the_imputer_as_an_array(recwarn):
    options = {"preset": "fast", "max_iter": 0, "random_state": 0}
    array = np.random.default_rng(0).normal(size=(40, 2))
    pair = [kind(**options).fit(array) for kind in (MAEAnomalyDetector, MAEImputer)]
    display = SeriesAnomalyDisplay.from_estimators(*pair, array)
    assert not list(recwarn) and [column.name for column in display.columns] == ["x0", "x1"]


@pytest.mark.slow
def test_series_are_drawn_as_fitted_estimators_read_them():
    panel = pd.concat([HOLES.iloc[:120], HOLES.iloc[60:]], keys=["x", "y"], names=["site"])
    panel = panel.reset_index().assign(note=[f"note {n}" for n in range(260)])
    how = {"window": 24, "time": "when", "groups": "site", "max_iter": 0, "random_state": 0}
    imputer = MAEImputer(**how).fit(panel)
    display = FilledSeriesDisplay.from_estimator(imputer, panel, ["a"], series="y", n_draws=2)
    saved(display.plot())
    x, y = display.filled_[0].get_data()
    assert x == pytest.approx(dates.date2num(HOURS[60:]))
    missing = HOLES["a"].isna().to_numpy()[60:]
    filled = imputer.transform(panel).iloc[120:]["a"].to_numpy()
    inner = missing & ~np.isnan(y)
    assert y[inner] == pytest.approx(filled[inner], rel=1e-4) and inner.sum() > 10
    detector = MAEAnomalyDetector(n_masks=2, **how).fit(panel)
    surprises = SeriesSurpriseDisplay.from_estimator(detector, panel, series="x")
    assert list(surprises.surprises) == ["a", "b"]  # not the text that no model sees
    cells = detector.score_cells(panel)[["a", "b"]].iloc[:120]
    assert np.allclose(surprises.surprises, cells, equal_nan=True)
    pair = detector, MAEImputer.from_fitted(detector)
    between = HOURS[100], HOURS[150]
    shown = SeriesAnomalyDisplay.from_estimators(*pair, panel, series="y", between=between)
    assert np.allclose(shown.scores, detector.score_samples(panel)[160:211])
    assert (shown.low <= shown.high).all() and not np.isnan(shown.expected).any()


def test_axes_of_the_user_take_series():
    figure, axes = plt.subplots(2, layout="constrained")
    display = FilledSeriesDisplay.from_frames(HOLES, HOLES.bfill().ffill()).plot(axes, lw=3)
    assert display.figure_ is figure and display.observed_[0].get_linewidth() == 3
    assert GapDisplay.from_frame(HOLES).plot(axes[0]).ax_ is axes[0]
