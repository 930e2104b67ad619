"""Rows that can be used: checked once, the others counted and named."""

import numpy as np
import pandas as pd
import pytest

from kickbert.data.rows import usable_rows
from kickbert.targets.labels import Labels
from kickbert.targets.multi_labels import MultiLabels
from kickbert.targets.options import TargetOptions
from kickbert.text.columns import TextOptions


@pytest.fixture
def df() -> pd.DataFrame:
    texts = ["a lamp", None, " ", "<br>", "a chair", "a table"]
    return pd.DataFrame({"text": texts, "label": ["x", "y", "x", "y", None, "y"]}, index=list("abcdef"))


def test_rows_with_a_text_and_a_label(df):
    with pytest.warns(UserWarning) as told:
        rows = usable_rows(df, TextOptions(cleaning=["remove_html"]), TargetOptions())
    messages = [str(w.message) for w in told]
    assert "3 rows have no text and are not used: rows ['b', 'c', 'd']" in messages
    assert "1 rows have no label and are not used: rows ['e']" in messages
    assert rows.df.index.tolist() == ["a", "f"] and rows.texts == ["a lamp", "a table"]
    assert rows.column.values.tolist() == ["x", "y"] and rows.column.kind is Labels
    assert rows.mask.tolist() == [True, False, False, False, False, True]


@pytest.mark.filterwarnings("ignore:.*have no text")
def test_of_several_labels_a_missing_cell_is_a_row_of_none(df):
    rows = usable_rows(df, TextOptions(), TargetOptions(label_delim="|"))
    assert rows.column.kind is MultiLabels and rows.df.index.tolist() == ["a", "d", "e", "f"]
    columns = df.assign(x=[1, 0, np.nan, 1, 0, 1], y=0)
    assert usable_rows(columns, TextOptions(), TargetOptions(["x", "y"])).mask.sum() == 4


def test_all_columns_are_checked_together(df):
    with pytest.raises(ValueError, match=r"group_col='grp' is not a column of df"):
        usable_rows(df, TextOptions(), TargetOptions(), group_col="grp")
    with pytest.raises(ValueError, match=r"no row of df has both a text in \['text'\] and a 'label'"):
        usable_rows(df.iloc[[1, 4]], TextOptions(), TargetOptions())
