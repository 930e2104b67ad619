"""Columns of text become numbers only if nothing is lost."""

import pandas as pd
import pytest

from kickbert.data.tables.cells import column_names, column_type, parse_column


@pytest.mark.parametrize(
    ("cells", "dtype"),
    [
        (["1", "-20", None], "Int64"),
        (["1", "2.50", None, "1e3"], "float64"),
        (["True", "False", None], "boolean"),
        (["007", "8"], None),
        (["1234567890123456789", "1"], None),  # nineteen digits
        (["12345678901234567", "0.5"], None),  # a float would round it
        (["1", "NA"], None),
        (["1,000"], None),
        ([None, None], None),
    ],
)
def test_columns_of_text_become_numbers_if_nothing_is_lost(cells, dtype):
    column = pd.Series(cells, dtype=str)
    assert parse_column(column).dtype == (dtype or column.dtype)


def test_column_types_represent_cells_exactly():
    assert column_type({"integer", "Int64", "missing"}) == "Int64"
    assert column_type({"Int64", "float"}) == column_type({"integer", "boolean"}) == column_type(set()) == "object"


def test_column_names_are_unique():
    assert column_names(["a", "a", "a.1", "", ""]) == ["a", "a.2", "a.1", "Unnamed: 3", "Unnamed: 4"]
