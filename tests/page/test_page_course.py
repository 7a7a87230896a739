"""Pages on series: gaps, the filled course, pictures of lines."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from maetab import report
from maetab.data.extent import gap_rows
from maetab.evaluation import amputate
from maetab.page import course as page_course
from maetab.page import gaps, strange
from maetab.page import judged as page_judged
from maetab.page.course import (
    AROUND,
    POINTS,
    Intervals,
    _figures,
    _longest,
    _picture,
    intervals_of,
    thinned,
)
from maetab.page.filled import fill_table, spelled
from maetab.page.judged import judge
from maetab.page.markup import Markup
from maetab.page.methods import _data
from maetab.page.pictures import course, missing_matrix, polyline, steps, two_histograms


@pytest.fixture(scope="module")
def panel():
    hours = pd.date_range("2024-01-01", periods=48, freq="h")
    rng = np.random.default_rng(0)
    wave = np.sin(2 * np.pi * hours.hour / 24)
    parts = [
        pd.DataFrame(
            {"site": site, "when": hours, "a": wave + level, "b": rng.normal(size=48), "at": level}
        )
        for site, level in (("<east>", 0.0), ("<west>", 5.0))
    ]
    frame = pd.concat(parts, ignore_index=True)
    frame.loc[20:25, "a"] = frame.loc[70:81, "a"] = frame.loc[5:6, "b"] = np.nan
    frame.loc[3:5, "at"] = np.nan
    return frame.sample(frac=1, random_state=0).reset_index(drop=True)


@pytest.fixture(scope="module")
def done(panel, quick):
    of_series = {"window": 6, "time": "when", "groups": "site", "max_gap": 8}
    return fill_table(panel, clone(quick).set_params(**of_series))


def test_the_longest_gap_is_the_longest_that_was_filled(done, panel):
    order = done.in_time()
    rows = order[done.layout.series[order] == 0]
    near, n_steps = _longest(done, 2, rows)
    assert n_steps == 6
    assert panel["a"].iloc[near].isna().sum() == 6
    assert not panel["a"].iloc[near[[0, -1]]].isna().any()
    assert (panel["when"].iloc[near].diff().dropna() == pd.Timedelta("1h")).all()


def test_a_gap_that_begins_its_series_is_shown_from_there_and_a_longer_one_that_is_left_is_not(
    quick,
):
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 2)), columns=["a", "b"])
    frame.loc[:19, "a"] = frame.loc[25:54, "a"] = frame.loc[57, "a"] = np.nan
    done = fill_table(frame, clone(quick).set_params(window=6, max_gap=25))
    near, n_steps = _longest(done, 0, np.arange(60))
    assert n_steps == 20 and near.tolist() == [*range(20 + AROUND * 6)]


def test_a_series_without_an_observed_cell_is_one_gap_as_long_as_it_is(panel, quick):
    frame = panel.assign(unit=np.where(panel["site"] == "<east>", 7, 8))
    frame.loc[frame["unit"] == 8, "b"] = np.nan
    of_series = {"window": 6, "time": "when", "groups": ["site", "unit"]}
    with pytest.warns(UserWarning, match="filled more than a window"):
        done = fill_table(frame, clone(quick).set_params(**of_series))
    place = done.imputer.schema_.names().index("b")
    told = str(_figures(done, None, place))
    assert "<bdi>b</bdi>, <bdi>site &lt;west&gt;, unit 8</bdi>" in told
    assert "All 48 rows; 48 cells filled." in told and "filled, of 48 steps." in told
    [gaps_of_b] = gap_rows(done.imputer.schema_, ~done.missing, done.layout, ["b"])
    assert gaps_of_b[:3] == ["b", "2", "48"]


def test_the_line_of_a_gap_goes_to_the_observed_cells_on_both_sides(done, panel, monkeypatch):
    drawn = []
    monkeypatch.setattr(page_course, "course", lambda lines, *_: drawn.append(lines) or Markup(""))
    order = done.in_time()
    rows = order[done.layout.series[order] == 0]
    _picture(done, 2, rows, None)
    _, _, line = drawn[0][1]
    assert np.flatnonzero(np.isfinite(line)).tolist() == [*range(19, 27)]


def test_gaps_that_are_left_are_not_counted_as_filled(done):
    assert done.left[:, 2].sum() == 12 and (done.missing & ~done.left)[:, 2].sum() == 6


def test_intervals_hold_what_is_filled_in(done):
    intervals = intervals_of(done)
    at = (done.missing & ~done.left)[:, 2]
    assert (intervals.low[at, 2] <= done.after[at, 2]).all()
    assert (done.after[at, 2] <= intervals.high[at, 2]).all()


def test_a_picture_tells_the_values_and_its_axis_the_ends_of_the_intervals(done):
    order = done.in_time()
    near, _ = _longest(done, 2, order[done.layout.series[order] == 0])
    shape = done.after.shape
    wide = Intervals(np.full(shape, -100.0), np.full(shape, 100.0))
    picture = str(_picture(done, 2, near, wide))
    low, high = (
        spelled(x, done.columns[2]) for x in (done.after[near, 2].min(), done.after[near, 2].max())
    )
    assert f"values between {low} and {high}, 6 of {len(near)} filled" in picture
    assert ">-100<" in picture and ">100<" in picture


def test_a_page_on_series_tells_gaps_and_shows_each_filled_column(panel, done, read_page):
    text = report(panel, done.imputer, frac=0.1, top=1)
    page = read_page(text)
    course = text.split('id="course"')[1].split("</section>")[0]
    assert "2 series, a step of 1h" in course
    lines = re.findall(r'<th scope="row"><bdi>(\w)</bdi></th><td class="number">(\d+)</td>', course)
    assert lines == [("a", "2"), ("b", "1")]
    assert course.count("<h3>") == 2 and "&lt;east&gt;" in course
    assert {given["class"] for given in page.all("path")} >= {"seen-line", "filled-line", "band"}
    assert "linear" in text.split('id="filling"')[1].split("</section>")[0]


def test_long_gaps_are_judged_too_each_in_one_series_and_none_in_what_never_changes(
    done, monkeypatch
):
    given = []

    def seen(truth, *args, **options):
        given.append((truth, options["groups"]))
        return amputate(truth, *args, **options)

    monkeypatch.setattr(page_judged, "amputate", seen)
    judged = judge(done, 0.3, 0)
    assert done.timeline.static and set(judged.scores["column"]) == {"a", "b"}
    assert judged.scores["maetab"].notna().all()  # max_gap=8 leaves longer gaps of the table
    [(truth, series)] = given
    assert pd.crosstab(truth["site"], series).to_numpy().tolist() == [[48, 0], [0, 48]]


def test_what_was_done_is_told_with_the_cells_that_are_left_missing(done, panel):
    n_missing, n_left = (x[["a", "b", "at"]].isna().to_numpy().sum() for x in (panel, done.filled))
    assert n_left and f"; {n_missing - n_left} were imputed (max_gap=8, edges=" in _data(done)
    assert f"Of 288 cells {n_missing} ({n_missing / 288:.1%}) were missing" in _data(done)


def test_a_line_is_interrupted_where_nothing_is_known():
    drawn = polyline(np.arange(5.0), np.array([1.0, 2.0, np.nan, 3.0, np.nan]))
    assert drawn == "M0 1L1 2M3 3h1"


def test_thinned_lines_keep_their_ends_of_range_and_their_gaps():
    values = np.sin(np.arange(5000.0))
    values[1234], values[2000:3000] = 9.0, np.nan
    time, kept = thinned(np.arange(5000.0), values)
    assert len(kept) <= 2 * POINTS
    assert np.nanmax(kept) == 9.0 and np.nanmin(kept) == np.nanmin(values)
    assert time[np.nanargmax(kept)] == 1234 and np.isnan(kept).any()
    assert (np.diff(time) > 0).all()


def test_lines_rise_with_their_values_and_a_band_goes_back_along_its_upper_end():
    time, values = np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 4.0])
    band = time, values, np.array([2.0, 3.0, 4.0])
    text = str(course([("line", time, values)], band, ("", "", "low", "high"), "of a line"))
    assert 'd="M64 130L412 99.5L760 8"' in text
    assert 'd="M64 130L412 99.5L760 8L760 8L412 38.5L64 69z"' in text
    places = {word: float(y) for y, word in re.findall(r'y="([\d.]+)"[^>]*>(low|high)<', text)}
    assert places == {"low": 130, "high": 16}  # beside the ends of the axis


def test_the_band_of_a_gap_is_that_of_its_rows(done):
    order = done.in_time()
    near, _ = _longest(done, 2, order[done.layout.series[order] == 0])
    low = np.repeat(-100.0 - np.arange(len(done.frame))[:, None], done.after.shape[1], 1)
    text = str(_picture(done, 2, near, Intervals(low, -low)))
    at = np.flatnonzero(done.missing[near, 2])
    least = low[near[at[0] - 1 : at[-1] + 2], 2].min()
    assert f">{least:.0f}<" in text and f">{-least:.0f}<" in text


def test_parts_that_miss_more_are_darker_and_the_least_is_seen():
    text = str(missing_matrix(np.array([[0.01], [0.3], [1.0], [0.0]]), ["a"], "of a"))
    assert re.findall(r'opacity="([\d.]+)"', text) == ["0.25", "0.5", "1.0"]


def test_a_cell_of_the_matrix_is_below_its_column_and_beside_its_rows():
    shares = np.zeros((3, 2))
    shares[2, 1] = 1.0
    assert 'd="M68 16h67.4v8h-67.4z"' in str(missing_matrix(shares, ["a", "b"], "of two"))


def test_an_outline_begins_and_ends_on_the_line():
    assert steps([0.5, 1.0], 20, 10) == "M0 10V5h10V0h10V10"


def test_observed_and_filled_shares_are_drawn_on_one_scale():
    text = str(two_histograms(np.array([0.5, 0.5]), np.array([0.25, 0.75]), ("", ""), "of both"))
    bars, outline = re.findall(r'd="(M0\.5[^"]*|M0 66V[^"]*)"', text)
    assert re.findall(r"v-([\d.]+)", bars) == ["44", "44"]  # of 66 pixels, for a share of 0.75
    assert outline == "M0 66V44h120V0h120V66"


def test_the_matrix_of_missing_cells_goes_from_the_first_row_in_time_to_the_last(
    done, panel, monkeypatch
):
    given = []
    monkeypatch.setattr(
        gaps, "missing_matrix", lambda shares, *_: given.append(shares) or Markup("")
    )
    gaps.missing_section(done)
    in_time = panel.sort_values(["site", "when"])[["a", "b", "at"]].isna().to_numpy()
    wanted = [rows.mean(0) for rows in np.array_split(in_time, gaps.BINS)]
    np.testing.assert_array_equal(given[0], wanted)


def test_of_many_rows_of_series_the_first_in_time_are_looked_at_for_strange_ones(
    done, panel, monkeypatch
):
    monkeypatch.setattr(strange, "MOST_STEPS", 48)
    found = strange.find_strange(done, 30, 1, 0)
    assert found.n_rows == 48 and len(found.reasons) > 5
    assert set(panel.loc[found.reasons["row"], "site"]) == {"<east>"}
