"""A column reads the same cell in the same way in every file, and says what it cannot read."""

import numpy as np
import pandas as pd
import pytest

from kickbert.tabular.columns import Category, ColumnNames, Date, Number, category_names, from_dict, to_dict


def test_categories_are_numbered_by_frequency_and_unknown_ones_are_missing():
    column = Category.fit(pd.Series(["a", "b", "b", None, " "], name="kind"))
    assert column.values == ("b", "a")
    assert column.read(pd.Series(["a", "b ", "c", None], name="kind")).ravel().tolist() == [2, 1, 0, 0]


def test_a_category_that_is_a_number_in_one_file_and_text_in_the_next():
    assert category_names(pd.Series([1, 1.0, "1", "1.0", True, "TRUE"], dtype=object)) == ["1"] * 4 + ["true"] * 2


@pytest.mark.parametrize("rows", [50, 100_000])
def test_a_column_that_names_rows_is_refused(rows):
    with pytest.raises(ValueError, match=f"'id' has {rows:,} different values .* names rows instead of categories"):
        Category.fit(pd.Series([f"row {i}" for i in range(rows)], name="id"))


def test_numbers_are_read_from_text_and_what_is_not_finite_is_missing():
    column = Number.fit(pd.Series(["$1,000.50", "7", ""], name="goal"))
    cells = pd.Series(["$1,000.50", "7", "", "soon", np.inf, 1e308, None], name="goal", dtype=object)
    with pytest.warns(UserWarning, match="3 cells of column 'goal' are not a finite number, such as 'soon'"):
        read = column.read(cells).ravel()
    assert read[:2].tolist() == [1000.5, 7] and np.isnan(read[2:]).all()


def test_a_column_of_another_kind_is_refused():
    with pytest.raises(ValueError, match=r"2 of 3 cells of column 'goal' are not numbers, such as 'a lot'"):
        Number.fit(pd.Series(["a lot", "little", "7"], name="goal"))
    with pytest.raises(ValueError, match="column 'launched' are not dates in one format, such as 'soon'"):
        Date.fit(pd.Series(["soon", "later"], name="launched"))
    with pytest.raises(ValueError, match=r"1,200.*decimal="):
        Number.fit(pd.Series(["1,200", "3,400"], name="goal"))
    assert Number.fit(pd.Series(["1,200", "3,400"], name="goal"), ",").read(pd.Series(["1,200"])).item() == 1.2


def test_a_date_in_another_format_is_missing_with_a_warning():
    column = Date.fit(pd.Series(["2014-09-05", "2014-09-06"], name="launched"))
    with pytest.warns(UserWarning, match="1 cell of column 'launched' is not a date like the others"):
        assert np.isnan(column.read(pd.Series(["05.09.2014"], name="launched"))).all()


def test_columns_are_kept_as_json():
    columns = [Category("kind", ("a", "b")), Number("goal", ","), Date("launched", "%Y-%m-%d")]
    assert [from_dict(to_dict(column)) for column in columns] == columns


def test_names_or_all_of_a_kind():
    assert not ColumnNames()
    assert ColumnNames("kind").by_argument["cat_names"] == ["kind"]
    assert ColumnNames(cont_names="auto").auto == (False, True, False)
