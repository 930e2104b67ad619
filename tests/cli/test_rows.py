"""Errors about columns name the command-line option."""

import json

import pytest

from kickbert.cli.rows import check_model_columns, read_columns, read_model_rows


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


def test_the_columns_of_an_annotation_export_are_those_it_is_read_as(served, tmp_path):
    file = tmp_path / "export.json"
    result = [{"from_name": "mood", "type": "choices", "value": {"choices": ["good"]}}]
    tasks = [{"id": i, "data": {"text": f"a warm film {i}"}, "annotations": [{"result": result}]} for i in range(3)]
    file.write_text(json.dumps(tasks), encoding="utf-8")
    with pytest.warns(UserWarning, match="Label Studio export: read as 3 texts"):
        df = read_model_rows(served / "one", file, None, None, label="label")
    assert df["label"].tolist() == ["good"] * 3
