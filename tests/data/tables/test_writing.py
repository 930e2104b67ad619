"""Tables are written in chunks with the same columns and types, and are unchanged when read back."""

import datetime
import decimal
import json

import numpy as np
import pandas as pd
import pytest

from kickbert.data.tables import writing
from kickbert.data.tables.reading import TableFile, read_rows
from kickbert.data.tables.writing import table_writer

BIG = 2**60 + 1
KINDS = ["csv", "tsv", "csv.gz", "jsonl", "jsonl.gz", "parquet", "xlsx"]


def written(tmp_path, kind: str, *chunks: pd.DataFrame, schema=()):
    """Write chunks to a file."""
    pytest.importorskip({"xlsx": "openpyxl", "parquet": "pyarrow"}.get(kind, "json"))
    out = tmp_path / f"out.{kind}"
    with table_writer(out, out, schema) as write:
        for chunk in chunks:
            write(chunk)
    return out


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_keeps_every_cell(tmp_path, kind):
    texts = [
        'quote " and, comma',
        "line\nbreak",
        "carriage\rreturn",
        "=1+1",
        "None",
        "Größe 😀",
        "lone \ud800",
        "_x0041_",
    ]
    first = pd.DataFrame({"text": pd.Series(texts, dtype=object), "id": pd.array([BIG, *[None] * 7], dtype="Int64")})
    second = first.assign(text=pd.Series([None] * 8, dtype=object), id=pd.array(range(8), dtype="Int64"))
    df = pd.concat(TableFile(written(tmp_path, kind, first, second)).chunks())
    expected = [text.replace("\ud800", "\ud800" if "jsonl" in kind else "\\ud800") for text in texts]
    assert df["text"].tolist()[:8] == expected and df["text"][8:].isna().all()
    assert [str(cell) for cell in df["id"].dropna()] == [str(BIG), *map(str, range(8))]


@pytest.mark.parametrize("kind", KINDS)
def test_float32_is_written_in_its_shortest_decimals(tmp_path, kind):
    out = written(tmp_path, kind, pd.DataFrame({"p": np.array([0.1, np.nan], dtype=np.float32), "t": ["a", "b"]}))
    p = read_rows(out)["p"]
    assert p[0] == (np.float32(0.1) if kind == "parquet" else 0.1) and pd.isna(p[1])


def test_lists_and_dates(tmp_path):
    df = pd.DataFrame({"l": [np.array(["x"]), [1]], "d": [decimal.Decimal("1.50"), datetime.date(2020, 1, 2)]})
    assert written(tmp_path, "csv", df).read_text() == 'l,d\n"[""x""]",1.50\n[1],2020-01-02\n'
    lines = [json.loads(line) for line in written(tmp_path, "jsonl", df).read_text().splitlines()]
    assert lines == [{"l": ["x"], "d": "1.50"}, {"l": [1], "d": "2020-01-02"}]


def test_parquet_keeps_the_types_of_its_source(tmp_path):
    pa = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet")
    schema = pa.schema(
        {"d": pa.decimal128(9, 3), "l": pa.list_(pa.string()), "c": pa.dictionary(pa.int8(), pa.string())}
    )
    chunks = [
        pd.DataFrame({"d": [decimal.Decimal("1.5")], "l": [[]], "c": pd.Categorical(["a"]), "label": ["x"]}),
        pd.DataFrame({"d": [decimal.Decimal("12345.678")], "l": [["x"]], "c": pd.Categorical(["b"]), "label": ["y"]}),
    ]
    table = pa.parquet.read_table(written(tmp_path, "parquet", *chunks, schema=schema))
    assert table["d"].to_pylist() == [decimal.Decimal("1.500"), decimal.Decimal("12345.678")]
    assert table["l"].to_pylist() == [[], ["x"]] and table["c"].to_pylist() == ["a", "b"]


def test_excel_keeps_text_and_reports_its_limits(tmp_path, monkeypatch):
    openpyxl = pytest.importorskip("openpyxl", reason="the extra kickbert[excel] is not installed")
    when = datetime.datetime(2020, 1, 2)
    df = pd.DataFrame({"t": ["=1+1", "#N/A", "\x01"], "n": pd.Series([1, 10**16, True], dtype=object), "w": [when] * 3})
    sheet = openpyxl.load_workbook(written(tmp_path, "xlsx", df)).active
    assert [cell.data_type for cell in sheet["A"]] == ["s"] * 4 and sheet["A2"].value == "=1+1"
    assert [cell.value for cell in sheet["B"]] == ["n", 1, str(10**16), True] and sheet["C2"].value == when
    with pytest.raises(ValueError, match="A cell of 't' has 40,000 characters; Excel allows 32,767"):
        written(tmp_path, "xlsx", pd.DataFrame({"t": ["x" * 40_000]}))
    monkeypatch.setattr(writing, "EXCEL_ROWS", 3)
    with pytest.raises(ValueError, match="Excel allows 3 rows per sheet"):
        written(tmp_path, "xlsx", df)


def test_txt_is_not_an_output_format(tmp_path):
    with pytest.raises(ValueError, match=r"has the extension '\.txt'"):
        written(tmp_path, "txt")
