"""Errors about columns name the command-line option."""

import pytest

from kickbert.cli.rows import check_model_columns, read_columns


def test_columns_that_exist(rows):
    df, columns = read_columns(rows, None, None, None, label="label", group=None)
    assert len(df) == 120 and columns == ["text"]


@pytest.mark.parametrize(
    ("text", "label", "message"),
    [
        (["txet"], "label", r"rows.csv has no column 'txet' \(--text\). Columns: 'text', 'label'.*Did you mean 'text'"),
        (["text"], "lable", r"rows.csv has no column 'lable' \(--label\).*Did you mean 'label'"),
    ],
)
def test_columns_that_do_not_exist(rows, text, label, message):
    with pytest.raises(ValueError, match=message):
        read_columns(rows, None, None, text, label=label)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"text": ["txt"]}, r"rows.csv has no column 'txt' \(--text\).*Did you mean 'text'"),
        ({"text": ["text", "label"]}, "the model has 1 text column"),
        ({"text": None, "keep": ["lable"]}, r"has no column 'lable' \(--keep\). Did you mean 'label'"),
    ],
)
def test_the_columns_of_a_model(rows, served, options, message):
    check_model_columns(served / "one", rows, None, None, None)
    with pytest.raises(ValueError, match=message):
        check_model_columns(served / "one", rows, None, None, **options)
