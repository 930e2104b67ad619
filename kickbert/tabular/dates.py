"""Dates as numbers: the format of a column, its cells as timestamps, and the parts of each."""

import warnings

import numpy as np
import pandas as pd
from pandas.tseries.api import guess_datetime_format

SAMPLE = 200  # cells to find the format from
PARTS = ("day", "month", "day of month", "day of week", "day of year", "hour")
YEARS = (1000, 3000)  # whole numbers in this range are years
SECONDS = (1e8, 1e10)  # numbers in this range are seconds since 1970, so 1973 to 2286
MILLISECONDS = (1e11, 1e13)


def date_format(cells: pd.Series) -> str | None:
    """Find how the dates of a column are written.

    Args:
        cells: the cells, without missing ones.
    Returns:
        A format of `strftime`; "%Y" for years, "s" or "ms" for seconds or milliseconds since 1970; "" for a column of
        dates; None if no format reads most of the cells. Of the first day and the first month, the one that reads more.

    >>> date_format(pd.Series(["05/06/2014", "31/12/2014"])), date_format(pd.Series([2014, 2015]))
    ('%d/%m/%Y', '%Y')
    """
    if pd.api.types.is_datetime64_any_dtype(cells) or isinstance(cells.dtype, pd.PeriodDtype):
        return ""
    if pd.api.types.is_numeric_dtype(cells):
        return _number_format(cells.to_numpy(dtype=float, na_value=np.nan))
    texts = cells.astype(str).str.strip().iloc[:SAMPLE]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about a format that decides the order of day and month
        guesses = [guess_datetime_format(text, dayfirst=first) for text in texts.iloc[:20] for first in (False, True)]
    formats = list(dict.fromkeys(guess for guess in guesses if guess))
    read = {form: _read_texts(texts, form).notna().sum() for form in formats}
    best = max(read, key=read.__getitem__, default=None)
    return best if best is not None and read[best] > len(texts) / 2 else None


def _number_format(numbers: np.ndarray) -> str | None:
    for form, (low, high) in (("%Y", YEARS), ("s", SECONDS), ("ms", MILLISECONDS)):
        if np.nanmin(numbers) >= low and np.nanmax(numbers) <= high:
            return form
    return None


def read_dates(cells: pd.Series, form: str) -> pd.Series:
    """Read dates in a format of `date_format`, without a time zone (as UTC if they have one); NaT if unreadable."""
    if pd.api.types.is_datetime64_any_dtype(cells):
        dates = cells
    elif isinstance(cells.dtype, pd.PeriodDtype):
        dates = cells.dt.to_timestamp()
    elif form in ("s", "ms"):
        dates = pd.to_datetime(pd.to_numeric(cells, errors="coerce"), unit=form, errors="coerce")
    else:
        texts = cells.map(lambda cell: f"{cell:.0f}" if isinstance(cell, float) and cell == cell else cell)
        dates = _read_texts(texts.where(cells.notna()).astype("string").str.strip(), form)
    return dates.dt.tz_localize(None) if dates.dt.tz is None else dates.dt.tz_convert("UTC").dt.tz_localize(None)


def _read_texts(texts: pd.Series, form: str) -> pd.Series:
    return pd.to_datetime(texts, format=form or "ISO8601", errors="coerce", utc="%z" in form)


def date_parts(dates: pd.Series) -> np.ndarray:
    """Split timestamps into `PARTS`: days since 1970, then calendar numbers.

    Returns:
        float64, shape (n, 6); NaN for a missing date.

    >>> date_parts(pd.Series(pd.to_datetime(["1970-01-02 12:00"]))).tolist()
    [[1.5, 1.0, 2.0, 4.0, 2.0, 12.0]]
    """
    days = (dates - pd.Timestamp("1970-01-01")) / pd.Timedelta(days=1)
    calendar = dates.dt
    parts = [days, calendar.month, calendar.day, calendar.day_of_week, calendar.day_of_year, calendar.hour]
    return np.stack([part.to_numpy(dtype=float, na_value=np.nan) for part in parts], axis=1)
