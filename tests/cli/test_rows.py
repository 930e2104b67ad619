"""Errors about columns name the command-line option."""

import pytest

from kickbert.cli.rows import read_columns


def test_columns_that_exist(rows):
    assert len(read_columns(rows, None, None, ["text"], "label")) == 120


@pytest.mark.parametrize(
    ("text", "target", "message"),
    [
        (["txet"], "label", r"rows.csv has no column 'txet' \(--text\). Columns: 'text', 'label'.*Did you mean 'text'"),
        (["text"], "lable", r"rows.csv has no column 'lable' \(--target\)"),
    ],
)
def test_columns_that_do_not_exist(rows, text, target, message):
    with pytest.raises(ValueError, match=message):
        read_columns(rows, None, None, text, target)
