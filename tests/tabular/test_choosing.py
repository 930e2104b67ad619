"""Columns are chosen by what they hold; what is left out is named with the reason."""

import numpy as np
import pandas as pd
import pytest
from helpers.campaigns import campaigns

from kickbert.tabular.choosing import find_columns, guess_column
from kickbert.tabular.columns import ColumnNames

AUTO = ColumnNames("auto", "auto", "auto")
TAKEN = ["text", "label"]


def strata(df):
    return pd.factorize(df["label"])[0]


def test_auto_takes_categories_numbers_and_dates_and_says_what_it_left_out():
    df = campaigns().assign(
        id=range(240), empty=None, same=1, code=[f"row {i}" for i in range(240)],
        note=[f"a note of several words number {i}" for i in range(240)], tags=[["a"]] * 240,
        pledged=lambda df: strata(df) * 10.0,
    )  # fmt: skip
    lines = []
    columns = find_columns(df, AUTO, strata(df), TAKEN, say=lines.append)
    assert [column.name for column in columns] == ["category", "goal", "launched"]
    (line,) = lines
    assert "columns beside the text: category (3 categories), goal (number), launched (date); left out: " in line
    for reason in (
        "id (a different whole number in each row)",
        "same (constant)",
        "code (a different value in most rows)",
        "note (text: name it in text_col)",
        "tags (lists)",
        "pledged (it alone gives the target away)",
    ):
        assert reason in line


@pytest.mark.parametrize("leak", ["pledged", "state"])
def test_a_leak_is_left_out_by_auto_and_warned_of_when_named(leak):
    df = campaigns()
    values = {"pledged": strata(df) * 10.0, "state": np.where(strata(df) == 0, "won", "lost")}
    df = df.assign(label=np.where(df["label"] == df["label"].iloc[0], "a", "b"), leak=values[leak])
    lines = []
    columns = find_columns(df, AUTO, strata(df), TAKEN, say=lines.append)
    assert "leak" not in [column.name for column in columns] and "leak (it alone gives the target away)" in lines[0]
    names = ColumnNames(cont_names=["leak"]) if leak == "pledged" else ColumnNames(cat_names=["leak"])
    with pytest.warns(UserWarning, match="column 'leak' alone predicts the target almost always"):
        assert find_columns(df, names, strata(df), TAKEN)[0].name == "leak"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (ColumnNames(cont_names=["gaol"]), "cont_names='gaol' is not a column of df; .* Did you mean 'goal'"),
        (
            ColumnNames(cat_names=["label"]),
            "cat_names names 'label', which is in text_col, label_col, or the split too",
        ),
        (ColumnNames(["goal"], ["goal"]), "cont_names names 'goal', which is in cat_names too; name it once"),
        (ColumnNames(date_names=["category"]), "cells of column 'category' are not dates in one format"),
    ],
)
def test_a_name_that_cannot_be_read_is_an_error(names, message):
    df = campaigns(60)
    with pytest.raises(ValueError, match=message):
        find_columns(df, names, strata(df), TAKEN)


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["12.5", "13", None] * 9, "number"),
        (["2014-09-05", "2014-09-06"] * 9, "date"),
        ([True, False] * 9, "category"),
        (pd.Categorical(["a", "b"] * 9), "category"),
        (list(range(7)) * 5, "number"),
        (pd.date_range("2020", periods=30), "date"),
    ],
)
def test_what_a_column_holds(cells, kind):
    assert guess_column(pd.Series(cells))[0].kind == kind


def test_columns_named_by_numbers_and_a_single_name():
    df = campaigns(60).rename(columns={"goal": 0, "category": 1})
    columns = find_columns(df, ColumnNames(cat_names=1, cont_names=[0]), strata(df), TAKEN)
    assert [column.name for column in columns] == ["1", "0"]
    lines = []
    assert len(find_columns(df, AUTO, strata(df), TAKEN, say=lines.append)) == 3


def test_cells_that_cannot_be_read_are_counted_once():
    df = campaigns(60)
    df.loc[:2, "launched"] = "soon"
    df["goal"] = df["goal"].astype(object)
    df.loc[0, "goal"] = "a lot"
    with pytest.warns(UserWarning) as caught:
        find_columns(df, AUTO, strata(df), TAKEN, say=lambda line: None)
    messages = [str(warning.message) for warning in caught]
    assert len(messages) == 2
    assert "1 cell of column 'goal' is not a finite number, such as 'a lot': read as missing" in messages
    assert any(
        message.startswith("3 cells of column 'launched' are not a date like the others") for message in messages
    )
