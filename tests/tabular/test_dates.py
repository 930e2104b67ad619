"""Dates of a column in one format become the same numbers, however they are kept."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kickbert.tabular.dates import PARTS, date_format, date_parts, read_dates

DAYS = pd.Series(pd.to_datetime(["2014-09-05", "2013-07-31", "1969-12-31"]))


@pytest.mark.parametrize(
    ("cells", "form"),
    [
        (DAYS, ""),
        (DAYS.dt.tz_localize("UTC"), ""),
        (DAYS.dt.strftime("%Y-%m-%d"), "%Y-%m-%d"),
        (DAYS.dt.strftime("%d/%m/%Y"), "%d/%m/%Y"),
        (DAYS.dt.strftime("%m/%d/%Y"), "%m/%d/%Y"),
        (DAYS.dt.strftime("%Y-%m-%dT%H:%M:%S+00:00"), "%Y-%m-%dT%H:%M:%S%z"),
        (DAYS.dt.strftime("%B %d, %Y"), "%B %d, %Y"),
    ],
)
def test_the_same_dates_in_different_formats(cells, form):
    assert date_format(cells) == form
    assert np.array_equal(date_parts(read_dates(cells, form)), date_parts(DAYS))


def test_numbers_are_years_or_seconds():
    assert date_format(pd.Series([2014, 2015])) == "%Y"
    assert date_parts(read_dates(pd.Series([2014.0]), "%Y"))[0, 1] == 1
    seconds = pd.Series([1_409_875_200, 1_409_961_600])
    assert date_format(seconds) == "s" and date_format(seconds * 1000) == "ms"
    assert read_dates(seconds, "s").iloc[0] == pd.Timestamp("2014-09-05")
    assert date_format(pd.Series([3.5, 7])) is None


def test_what_is_not_a_date_is_missing():
    assert date_format(pd.Series(["a lamp", "a boat"])) is None
    read = read_dates(pd.Series(["2014-09-05", "soon", None, "05.09.2014"]), "%Y-%m-%d")
    assert read.isna().tolist() == [False, True, True, True]
    assert np.isnan(date_parts(read)[1]).all()


@given(st.lists(st.dates(date(1700, 1, 1), date(2200, 1, 1)), min_size=1, max_size=5))
def test_any_date_is_read_back(days):
    cells = pd.Series([f"{day:%Y-%m-%d}".zfill(10) for day in days])
    parts = date_parts(read_dates(cells, "%Y-%m-%d"))
    months, numbers = PARTS.index("month"), PARTS.index("day of month")
    assert parts[:, [months, numbers]].tolist() == [[day.month, day.day] for day in days]
