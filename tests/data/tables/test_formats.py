"""Formats are recognized by extension."""

from pathlib import Path

import pytest

from kickbert.data.tables.formats import COMPRESSIONS, EXTENSIONS, WRITABLE, table_kind, usual_separator


def test_kinds():
    assert [table_kind(Path(f"a{e}")) for e in (".CSV", ".tsv.gz", ".jsonl", ".txt", ".parquet", ".xlsx")] == [
        "csv", "csv", "json", "txt", "parquet", "excel"]  # fmt: skip
    assert table_kind(Path("a.v2.json.zst")) == "json"


def test_an_unknown_extension_lists_all_that_are_read():
    with pytest.raises(ValueError, match=r"has the extension '\.doc'\. Supported: \.csv") as refused:
        table_kind(Path("a.doc"))
    assert all(extension in str(refused.value) for extension in (*EXTENSIONS, *COMPRESSIONS, ".zip"))


@pytest.mark.parametrize("name", ["a.txt", "a.json", "a.zip", "a.parquet.gz", "a"])
def test_an_extension_that_is_not_written_lists_all_that_are(name):
    with pytest.raises(ValueError, match="Supported") as refused:
        table_kind(Path(name), WRITABLE)
    assert ".feather" not in str(refused.value) and all(extension in str(refused.value) for extension in WRITABLE)


def test_usual_separators():
    names = ["a.tsv", "a.TAB", "a.tsv.gz", "a.csv", "tsv.csv", "a.tabular.csv"]
    assert [usual_separator(Path(name)) for name in names] == ["\t", "\t", "\t", ",", ",", ","]
