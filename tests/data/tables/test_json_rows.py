"""JSON is read in the three forms that programs write; anything else is refused, and skipped lines are counted."""

import json

import pandas as pd
import pytest

from kickbert.data.tables.reading import TableFile, read_rows

ROWS = [{"text": "a film", "n": 2**60 + 1}, {"text": "née\nor not", "n": None}, {"text": "x", "tags": ["a"]}]
FORMS = {
    "lines": "\n".join(map(json.dumps, ROWS)),
    "blank lines": "\n\n" + "\n \n".join(map(json.dumps, ROWS)) + "\n\n",
    "list": json.dumps(ROWS),
    "indented list": json.dumps(ROWS, indent=2),
    "list in lines": "[\n" + ",\n".join(map(json.dumps, ROWS)) + "\n]\n",
    "columns of lists": json.dumps({name: [row.get(name) for row in ROWS] for name in ("text", "n", "tags")}),
    "columns of pandas": json.dumps(
        {name: {str(i): row.get(name) for i, row in enumerate(ROWS)} for name in ("text", "n", "tags")}, indent=1
    ),
}


@pytest.mark.parametrize("extension", [".json", ".jsonl", ".ndjson"])
@pytest.mark.parametrize("form", FORMS)
def test_forms_of_json(tmp_path, form, extension):
    file = tmp_path / f"a{extension}"
    file.write_text(FORMS[form], encoding="utf-8")
    df = read_rows(file)
    assert df["text"].tolist() == ["a film", "née\nor not", "x"] and df["tags"].tolist() == [None, None, ["a"]]
    assert df["n"].tolist() == [2**60 + 1, pd.NA, pd.NA]


@pytest.mark.parametrize("orient", ["records", "columns"])
def test_what_pandas_writes(tmp_path, orient):
    df = pd.DataFrame({"text": ["a", 'b "c"'], "label": [1, 0]}, index=[7, 3])
    df.to_json(tmp_path / "a.json", orient=orient)
    assert read_rows(tmp_path / "a.json").to_dict("list") == df.to_dict("list")


def test_one_line_is_one_row(tmp_path):
    (tmp_path / "a.json").write_text('{"text": "a film", "label": null}\n')
    assert read_rows(tmp_path / "a.json")["text"].tolist() == ["a film"]


@pytest.mark.parametrize(
    "content",
    ["[1, 2]", '[{"text": "a"}, "b"]', '{"rows": [{"text": "a"}], "n": 1}', '{"a": [1], "b": [1, 2]}', "7", "{}", "{c"],
)
def test_json_that_is_no_table_is_refused(tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(ValueError, match="Allowed: a list of objects, an object of columns"):
        read_rows(tmp_path / "a.json")


def test_damaged_lines_are_counted_and_the_first_is_shown(tmp_path):
    lines = ['{"text": "cut', *map(json.dumps, ROWS), "", "[1]", "{", '{"text": "last"}']
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    table = TableFile(tmp_path / "a.jsonl")
    assert sum(map(len, table.chunks(2))) == 4 and table.skipped_lines == len(table.skipped) == 3
    with pytest.warns(
        UserWarning, match=r"""Skipped 3 lines of a\.jsonl: line 1: it is not JSON .*: '{"text": "cut'"""
    ):
        read_rows(tmp_path / "a.jsonl")
