"""Columns of text: what is recognised, and that it is written as it was read."""

from __future__ import annotations

import string

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas._libs.parsers import STR_NA_VALUES

from maetab.data.schema import infer_schema
from maetab.data.text import NA_VALUES
from maetab.files.cell_format import Text, infer_format, known_format
from maetab.files.layout import Layout
from maetab.files.number_format import Number
from maetab.files.time_format import Date, Duration

ANY = Layout(decimal="")


def column(*texts):
    return pd.Series(texts, dtype=object)


def read(*texts, layout=ANY):
    """Values of a column that is recognised without a doubt, and its format."""
    chosen, doubt = infer_format(column(*texts), layout)
    assert doubt is None and not isinstance(chosen, Text)
    return chosen.parse(column(*texts)).tolist(), chosen


def doubt_on(*texts, layout=ANY):
    chosen, doubt = infer_format(column(*texts), layout)
    assert isinstance(chosen, Text) and doubt is not None
    return doubt


def test_missing_marks_are_those_of_pandas_and_four_more():
    assert {*NA_VALUES, ""} == STR_NA_VALUES | {"?", "-", "--", "."}


DAY = pd.Timestamp("2024-01-16")


@pytest.mark.parametrize(
    ("text", "moment", "later"),
    [
        ("20240116", DAY, "20240202"),
        ("01/16/2024", DAY, "02/02/2024"),
        ("1/16/2024", DAY, "2/2/2024"),
        ("16.01.2024", DAY, "02.02.2024"),
        ("16-01-2024", DAY, "02-02-2024"),
        ("2024/01/16", DAY, "2024/02/02"),
        ("16 Jan 2024", DAY, "02 Feb 2024"),
        ("16-JAN-24", DAY, "02-FEB-24"),
        ("Jan 16, 2024", DAY, "Feb 02, 2024"),
        ("January 16, 2024", DAY, "February 02, 2024"),
        ("16. January 2024", DAY, "02. February 2024"),
        ("01/16/2024 13:05", DAY + pd.Timedelta("13h 5min"), "02/02/2024 00:00"),
        ("1/16/2024 1:05:09 PM", DAY + pd.Timedelta("13h 5min 9s"), "2/2/2024 12:00:00 AM"),
        ("16.01.2024, 09:05", DAY + pd.Timedelta("9h 5min"), "02.02.2024, 00:00"),
        ("20240116 09:05:00.250", DAY + pd.Timedelta("9h 5min 250ms"), "20240202 00:00:00.000"),
        ("Jan 2024", pd.Timestamp("2024-01-01"), "Feb 2024"),
    ],
)
def test_dates_are_read_and_written_in_the_form_of_their_column(text, moment, later):
    (value,), chosen = read(text)
    assert value == moment
    other = pd.Series([pd.Timestamp("2024-02-02")])
    assert chosen.write(other) == [later]
    assert chosen.write(pd.Series([moment])) == [text]


@pytest.mark.parametrize(
    ("texts", "hours", "half"),
    [
        (["01:42:00", "18:00:00"], [1.7, 18], "00:30:00"),
        (["18.00.00", "19.00.00"], [18, 19], "00.30.00"),
        (["1:42", "26:00"], [1.7, 26], "0:30"),
        (["01:30 PM", "12:00 AM"], [13.5, 0], "12:30 AM"),
        (["-00:30:00.5", "00:30:00.5"], [-0.5 - 1 / 7200, 0.5 + 1 / 7200], "00:30:00.0"),
        (["0 days 01:00:00", "12 days 00:00:00"], [1, 288], "0 days 00:30:00"),
    ],
)
def test_times_and_durations_are_read_and_written_in_the_form_of_their_column(texts, hours, half):
    values, chosen = read(*texts)
    assert [value / pd.Timedelta("1h") for value in values] == pytest.approx(hours)
    assert chosen.write(pd.Series([pd.Timedelta("30min")])) == [half]
    assert chosen.write(chosen.parse(column(*texts))) == texts


def test_a_time_of_day_is_not_written_beyond_the_day_but_a_duration_is():
    late = pd.Series(pd.to_timedelta(["23:59:59.9", "25:00:00"]))
    assert read("01:42:00")[1].write(late) == ["23:59:59", "23:59:59"]
    assert read("01:42:00", "24:00:00")[1].write(late) == ["24:00:00", "25:00:00"]


@pytest.mark.parametrize(
    ("texts", "numbers", "written"),
    [
        (["10,082.65", "1.00"], [10082.65, 1], "-1,234,567.50"),
        (["10.082,65", "1,00"], [10082.65, 1], "-1.234.567,50"),
        (["10 082,65", "1,00"], [10082.65, 1], "-1 234 567,50"),
        (["10'082.65", "1.00"], [10082.65, 1], "-1'234'567.50"),
        (["1,23,456.50", "95,000.00"], [123456.5, 95000], "-12,34,567.50"),
        (["₹1,23,456", "₹12"], [123456, 12], "-₹12,34,568"),
        (["48.7%", "3.0%"], [48.7, 3], "-1234567.5%"),
        (["48,7 %", "3,0 %"], [48.7, 3], "-1234567,5 %"),
        (["$12", "-$3"], [12, -3], "-$1234568"),
        (["$12", "$-3"], [12, -3], "$-1234568"),
        (["€12.50", "€3.00"], [12.5, 3], "-€1234567.50"),
        (["12,50 €", "3,00 €"], [12.5, 3], "-1234567,50 €"),
        (["USD 1,012.50", "USD 3.00"], [1012.5, 3], "-USD 1,234,567.50"),
        (["1,234,567", "12"], [1234567, 12], "-1,234,568"),
        (["22.0", "0.42"], [22, 0.42], "-1234567.5"),
        (["+0.5", "-0.5", "0.0"], [0.5, -0.5, 0], "-1234567.5"),
        (["1.5E+03", "2.5E-10"], [1500, 2.5e-10], "-1.2E+06"),
        (["1e-07", "11"], [1e-7, 11], "-1.23457e+06"),
    ],
)
def test_numbers_are_read_and_written_in_the_form_of_their_column(texts, numbers, written):
    values, chosen = read(*texts)
    assert values == numbers
    value = round(-1234567.5) if chosen.whole else -1234567.5
    assert chosen.write(pd.Series([value])) == [written]
    assert chosen.write(chosen.parse(column(*texts))) == texts


def test_all_the_decimals_that_every_cell_has_are_written():
    texts = ["123456.123456789", "1.1234567891"]
    assert read(*texts)[1].write(pd.Series([2.5])) == ["2.500000000"]


def test_what_rounds_to_zero_has_no_sign():
    _, chosen = read("1.25", "-0.75")
    assert chosen.write(pd.Series([-0.004, -0.006])) == ["0.00", "-0.01"]


@pytest.mark.parametrize(("texts", "told"), [(("1.25", "0.50"), "3.50"), (("1.2500",) * 2, "3.5")])
def test_zeros_at_the_end_are_told_of_two_decimals_and_not_of_more(texts, told):
    assert read(*texts)[1].unpadded().write(pd.Series([3.5])) == [told]


def test_whole_numbers_beyond_int64_are_names_without_a_point_and_floats_with_one():
    assert read("9223372036854775807", "1")[0] == [2**63 - 1, 1]
    assert isinstance(infer_format(column("9223372036854775808", "1"), ANY)[0], Text)
    assert read("10000000000000000000.0", "1.0")[0] == [1e19, 1.0]
    # As pandas reads so many digits, which 2.2 does to the last bit but one.
    assert read("9999999999999999999.0", "1.0")[0] == [pd.to_numeric("9999999999999999999.0"), 1.0]


def test_numbers_may_lack_a_digit_on_one_side_of_the_mark():
    assert read(".0", "-2.", "-.00")[0] == [0, -2, 0]
    assert read(".5", "-2.")[0] == [0.5, -2]


@pytest.mark.parametrize("mark", ["#gone", "unknown", "99.9.9"])
@pytest.mark.parametrize("share", [0.02, 0.05, 0.12, 0.4])
@pytest.mark.parametrize("kind", ["numbers", "dates"])
def test_one_rule_for_every_share_of_a_text_among_numbers_or_dates(mark, share, kind):
    values = [f"{i}.5" if kind == "numbers" else f"{1 + i % 28:02d}.01.2024" for i in range(100)]
    places = [3 + i for i in range(round(100 * share))]
    for place in places:
        values[place] = mark
    doubt = doubt_on(*values)
    assert kind in doubt and repr(mark) in doubt and "row 4" in doubt and "--na-values" in doubt
    assert f"{len(places)} cell" in doubt


def test_below_half_and_among_many_texts_cells_stay_text():
    for texts in (["1", "a", "b"], ["1"] * 60 + [f"A/{i}" for i in range(40)], ["007", "1", "2"]):
        assert infer_format(column(*texts), ANY) == (Text(), None)


def test_dates_that_can_be_read_in_two_ways_are_not_guessed():
    for texts in (["01/02/2024", "03/04/2024"], ["01.02.03"], ["10-11-12"], ["1/2/2024 10:00"]):
        assert "--date-format" in doubt_on(*texts)
    forced = Layout(date_formats=["%d/%m/%Y"])
    values, chosen = read("01/02/2024", "03/04/2024", layout=forced)
    assert values == [pd.Timestamp("2024-02-01"), pd.Timestamp("2024-04-03")]
    assert chosen.write(pd.Series([DAY])) == ["16/01/2024"]
    assert read("01.02.03", layout=Layout(date_formats=["%H.%M.%S"]))[1].form == "%H.%M.%S"


@pytest.mark.parametrize(("form", "day"), [("%d/%m/%Y", "2024-02-01"), ("%m/%d/%Y", "2024-01-02")])
def test_of_two_ways_to_read_dates_the_one_that_is_known_is_taken(form, day):
    layout = Layout(decimal="", known_dates={form})
    values, _ = read("01/02/2024", "05/06/2024", layout=layout)
    assert values[0] == pd.Timestamp(day)


def test_a_format_that_was_asked_for_is_taken_though_another_fits_one_cell_more():
    texts = [f"{month:02d}/{day:02d}/2024" for month in range(1, 11) for day in (5, 8)]
    layout = Layout(decimal="", date_formats=["%m/%d/%Y"])
    assert "'01/05/2024' and '31/12/2024'" in doubt_on(*texts, "31/12/2024", layout=layout)


def test_one_impossible_date_is_named():
    days = [f"202401{i:02d}" for i in range(1, 31)]
    assert "'20240199' is not (row 31" in doubt_on(*days, "20240199")
    assert "'30.02.2024' is not (row 2; 1 cell)" in doubt_on(
        "28.02.2024", "30.02.2024", "27.02.2024"
    )


def test_whole_numbers_of_eight_digits_that_are_no_dates_stay_numbers():
    values, _ = read("20240116", "20249999", "31415926", "27182818")
    assert values == [20240116, 20249999, 31415926, 27182818]


def test_a_comma_that_may_be_either_is_not_guessed():
    assert "--decimal" in doubt_on("1,360", "12,345")
    assert read("1,360", "12,345", layout=Layout(decimal=","))[0] == [1.36, 12.345]
    assert read("1,360", "12,345", layout=Layout(decimal="."))[0] == [1360, 12345]
    assert read("1,360", "12,345", layout=Layout(decimal="", thousands=","))[0] == [1360, 12345]
    assert "decimal mark ','" in doubt_on("1,5", "2,5", layout=Layout(decimal="."))


def test_numbers_of_different_units_are_not_mixed():
    assert "'$', '€'" in doubt_on("$12", "€12")
    assert "units" in doubt_on("48.7%", "12")


def test_a_model_decides_the_kind_and_the_file_the_form():
    frame = pd.DataFrame(
        {
            "whole": [20240116, 20240117],
            "day": pd.to_datetime(["2024-01-16", "2024-01-17"]),
            "time": pd.to_timedelta(["1h", "2h"]),
            "text": ["20240116", "1"],
        }
    )
    whole, day, time, text = infer_schema(frame).columns
    assert known_format(whole, column("20240116"), ANY).parse(column("20240116"))[0] == 20240116
    for cells in (column("20240116"), column("16.01.2024"), column("2024-01-16")):
        assert known_format(day, cells, ANY).parse(cells)[0] == DAY
    for cells in (column("01:30"), column("1.30.00")):
        assert known_format(time, cells, ANY).parse(cells)[0] == pd.Timedelta("90min")
    assert known_format(text, column("20240116"), ANY).parse(column("20240116"))[0] == "20240116"
    assert known_format(time, column(), ANY).write(pd.Series([pd.Timedelta("1h")])) == ["01:00:00"]
    with pytest.raises(ValueError, match="'time' holds times in the model"):
        known_format(time, column("noon"), ANY)


numbers = st.builds(
    Number,
    whole=st.just(False),
    decimals=st.integers(1, 4),
    fewest=st.integers(0, 1),
    decimal=st.sampled_from(".,"),
    thousands=st.sampled_from(["", " ", "'"]),
    prefix=st.sampled_from(["", "$", "€ ", "CHF "]),
    sign_first=st.just(True),
)
forms = ["%d/%m/%Y", "%m/%d/%Y", "%-m/%-d/%Y", "%d.%m.%Y", "%Y%m%d", "%d %b %Y", "%B %d, %Y"]
clocks = ["", " %H:%M", " %H:%M:%S", " %-I:%M %p", " %I:%M:%S %p"]
dates = st.builds(
    lambda form, clock: Date(form + clock), st.sampled_from(forms), st.sampled_from(clocks)
)
durations = st.builds(
    Duration, st.sampled_from(["%H:%M", "%-H:%M:%S", "%H:%M:%S", "%H.%M.%S", "%-d days %H:%M:%S"])
)
SETTINGS = settings(max_examples=80, deadline=None)


def assert_comes_back(chosen, values):
    """What a format writes is recognised, holds the same values and is written the same."""
    texts = column(*chosen.write(values))
    found, doubt = infer_format(texts, ANY)
    if doubt is not None and ("--date-format" in doubt or "--decimal" in doubt):
        return  # not guessed
    assert doubt is None and type(found) is type(chosen)
    assert found.write(found.parse(texts)) == texts.tolist()
    assert found.parse(texts).tolist() == chosen.parse(texts).tolist()


@SETTINGS
@given(numbers, st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=8))
def test_written_numbers_come_back(chosen, ticks):
    assert_comes_back(chosen, pd.Series(ticks) / 10**chosen.decimals)


@SETTINGS
@given(dates, st.lists(st.integers(0, 4 * 10**9), min_size=1, max_size=8))
def test_written_dates_come_back(chosen, seconds):
    assert_comes_back(chosen, pd.Series(pd.to_datetime(seconds, unit="s")))


@SETTINGS
@given(durations, st.lists(st.integers(0, 10**6), min_size=1, max_size=8))
def test_written_durations_come_back(chosen, seconds):
    assert_comes_back(chosen, pd.Series(pd.to_timedelta(seconds, unit="s")))


@SETTINGS
@given(st.lists(st.text(string.digits + ".,:-/ $%aeJn", max_size=9), min_size=1, max_size=6))
def test_whatever_is_recognised_keeps_its_values_when_written(texts):
    chosen, doubt = infer_format(column(*texts), ANY)
    if doubt is None and not isinstance(chosen, Text):
        values = chosen.parse(column(*texts))
        again = chosen.parse(column(*chosen.write(values)))
        if isinstance(chosen, Number):
            np.testing.assert_allclose(again.astype(float), values.astype(float), rtol=1e-5)
        else:
            assert again.tolist() == values.tolist()
