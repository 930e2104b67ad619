"""Ordered buckets: their edges and names."""

import re
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kickbert.targets.binning import bin_edges, range_names, read_numbers, short_number
from kickbert.targets.fitting import fit_target


@given(st.lists(st.floats(-1e6, 1e6), min_size=4, max_size=300), st.integers(2, 6))
def test_no_bin_is_empty_and_edges_ascend(values, bins):
    if len(set(values)) < bins:
        with pytest.raises(ValueError, match="distinct values"):
            bin_edges(pd.Series(values), bins)
        return
    edges = bin_edges(pd.Series(values), bins)
    assert len(edges) == bins - 1 and (np.diff(edges) > 0).all()
    counts = np.bincount(np.digitize(values, edges), minlength=bins)
    assert counts.sum() == len(values)
    # The midpoint of two adjacent floats may round to the lower one, which is then in the upper bucket.
    assert counts.min() > 0 or np.diff(np.unique(values)).min() < 1e-9


def test_bins_of_distinct_values_have_equal_size():
    values = pd.Series(np.random.default_rng(0).permutation(1000))
    assert np.bincount(np.digitize(values, bin_edges(values, 4))).tolist() == [250] * 4


def test_many_zeros_make_uneven_bins_and_a_warning():
    values = pd.Series([0.0] * 80 + list(range(1, 21)), name="pledged")
    with pytest.warns(UserWarning, match=r"bins of 'pledged' are uneven \(under 0.5: 80, "):
        target = fit_target(values, bins=4)
    assert len(target.names) == 4 and np.bincount(target.encode(values)).min() > 0


def test_explicit_edges_and_values_beyond_them():
    target = fit_target(pd.Series([1, 60, 150], name="x"), bins=[50, 100])
    assert target.edges == (50, 100) and target.names == ["under 50", "50–100", "100 and over"]
    assert target.encode(pd.Series([-5, 49.9, 50, 100, 1e9])).tolist() == [0, 0, 1, 2, 2]


def test_range_names_of_close_edges_differ():
    assert range_names([1001, 1002, 1003]) == ["under 1.001K", "1.001K–1.002K", "1.002K–1.003K", "1.003K and over"]
    assert range_names([0.5], lambda v: f"{v:.0%}") == ["under 50%", "50% and over"]


@given(st.floats(0.01, 1e12) | st.floats(-1e12, -0.01) | st.just(0.0))
def test_short_numbers_are_short_and_accurate(value):
    text = short_number(value)
    unit = {"K": 1e3, "M": 1e6, "B": 1e9}.get(text[-1], 1)
    read = float(text.rstrip("KMB")) * unit
    assert abs(read - value) <= 0.06 * abs(value) and len(text) <= 8


def test_numbers_stored_as_text_are_parsed_with_a_warning():
    values = pd.Series(["1,200", "$35", "7.5", " 20 "], name="pledged")
    with pytest.warns(UserWarning, match="column 'pledged' holds numbers as text; they are read with a decimal point"):
        target = fit_target(values, bins=[30])
    assert target.encode(values).tolist() == [1, 1, 0, 0] and target.decimal == "."


@pytest.mark.parametrize(
    ("cells", "decimal", "numbers"),
    [
        (["$1,000", "$35"], None, [1000, 35]),
        (["1,234,567", "1,200"], None, [1234567, 1200]),
        (["1,00,000", "1 200.5", "1'200", "−3", "1e3", ".5"], None, [100000, 1200.5, 1200, -3, 1000, 0.5]),
        ([7.125, Decimal("1.125"), 3, "12"], None, [7.125, 1.125, 3, 12]),  # numbers are not parsed
        (["1.000,50 €", "1.200", "3,5", "7"], ",", [1000.5, 1200, 3.5, 7]),
        (["1,200", "1.200"], ".", [1200, 1.2]),
    ],
)
def test_numbers_in_text(cells, decimal, numbers):
    assert read_numbers(pd.Series(cells, dtype=object), decimal).tolist() == numbers


@pytest.mark.parametrize(
    ("cells", "readings"),
    [
        (["1.000,50", "35"], "'1.000,50', which is not a number with a decimal point and 1000.5 with a decimal comma"),
        (["1,200", "35"], "'1,200', which is 1200 with a decimal point and 1.2 with a decimal comma"),
        (["1.250", "35"], "'1.250', which is 1.25 with a decimal point and 1250 with a decimal comma"),
        (["€1.250", "7.5"], "'€1.250', which is 1.25"),
        (["0,125"], "and 0.125 with a decimal comma; specify decimal=',' or decimal='.'"),
    ],
)
def test_an_ambiguous_decimal_mark_raises_an_error_with_both_readings(cells, readings):
    with pytest.raises(ValueError, match=re.escape(readings)):
        read_numbers(pd.Series(cells, name="y"))


@pytest.mark.parametrize(
    ("cells", "decimal", "message"),
    [
        (["7.5", "3,5"], ",", r"1 of 2 cells of 'y' are not numbers, such as '7\.5' \(read with a decimal comma\)"),
        (["12 34", "nan", None, "inf", "3 pct"], ".", "5 of 5 cells of 'y' are not numbers, such as '12 34'"),
        (["1"], "·", r"decimal='·' is not one of \['\.', ','\]"),
    ],
)
def test_text_that_is_not_a_number(cells, decimal, message):
    with pytest.raises(ValueError, match=message):
        read_numbers(pd.Series(cells, name="y"), decimal)


def test_new_rows_are_parsed_like_training_rows():
    values = pd.Series(["1.000,50", "3,5", "7", "12"], name="y")
    with pytest.warns(UserWarning, match="with a decimal comma"):
        target = fit_target(values, bins=[5, 100], decimal=",")
    assert target.encode(pd.Series(["1,200", "1.200"])).tolist() == [0, 2]
    assert target.encode(pd.Series([1.2, 1200])).tolist() == [0, 2]  # numbers are not parsed
    with pytest.warns(UserWarning):
        number = fit_target(values, task="regression", decimal=",")
    assert number.shown(number.encode(pd.Series(["1.000,50"]))[0]) == pytest.approx(1000.5)
