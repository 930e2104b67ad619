"""Compressed files are read and written as others are; a .zip file must contain one table."""

import bz2
import gzip
import lzma
import zipfile

import pandas as pd
import pytest

from kickbert.data.tables.reading import TableFile, read_rows
from kickbert.data.tables.writing import table_writer

ROWS = pd.DataFrame({"text": ["a film", "née, or not"], "label": ["good", None]})
CONTENT = ROWS.to_csv(index=False).encode()


def test_compressed_files(tmp_path):
    pa = pytest.importorskip("pyarrow", reason="the extra kickbert[export] is not installed")
    with pa.CompressedOutputStream(str(tmp_path / "a.csv.zst"), "zstd") as file:
        file.write(CONTENT)
    for extension, module in ((".gz", gzip), (".bz2", bz2), (".xz", lzma)):
        (tmp_path / f"a.csv{extension}").write_bytes(module.compress(CONTENT))
    ROWS.to_csv(tmp_path / "a.csv.zip", index=False)
    for name in ("a.csv.gz", "a.csv.bz2", "a.csv.xz", "a.csv.zst", "a.csv.zip"):
        pd.testing.assert_frame_equal(read_rows(tmp_path / name), ROWS.astype(str).where(ROWS.notna()))


@pytest.mark.parametrize("extension", ["", ".gz", ".bz2", ".xz", ".zst"])
@pytest.mark.parametrize("kind", ["csv", "tab", "ndjson"])
def test_compressed_files_are_written(tmp_path, kind, extension):
    pytest.importorskip("pyarrow", reason="the extra kickbert[export] is not installed")
    out = tmp_path / f"a.{kind}{extension}"
    with table_writer(tmp_path / "part", out) as write:
        write(ROWS)
    content = (tmp_path / "part").read_bytes()
    assert content.startswith((b"text", b"{")) == (extension == "")
    out.write_bytes(content)
    assert [c.tolist() for c in (read_rows(out)["text"], read_rows(out)["label"].isna())] == [
        ROWS["text"].tolist(),
        [False, True],
    ]


@pytest.mark.parametrize("kind", ["parquet", "xlsx", "feather", "json"])
def test_the_one_table_of_a_zip_file(tmp_path, kind):
    pytest.importorskip("pyarrow")
    pytest.importorskip("openpyxl")
    inner = tmp_path / f"rows.{kind}"
    options = {} if kind in ("feather", "json") else {"index": False}
    getattr(ROWS, {"xlsx": "to_excel"}.get(kind, f"to_{kind}"))(inner, **options)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.write(inner, f"data/rows.{kind}")
        archive.writestr("README.md", "about")
        archive.writestr("__MACOSX/data/._rows.csv", "x")
    assert read_rows(tmp_path / "all.zip")["text"].tolist() == ROWS["text"].tolist()


@pytest.mark.parametrize(
    ("members", "error"),
    [
        (["a.csv", "b/c.tsv"], r"2 tables \('a.csv', 'b/c.tsv'\), and one is allowed"),
        (["README"], "contains no table"),
    ],
)
def test_a_zip_file_without_a_table_or_with_several(tmp_path, members, error):
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for member in members:
            archive.writestr(member, CONTENT)
    with pytest.raises(ValueError, match=error):
        TableFile(tmp_path / "all.zip")


@pytest.mark.parametrize("name", ["a.zip", "a.csv.gz", "a.csv.bz2", "a.csv.xz", "a.csv.zst", "a.parquet", "a.arrow"])
def test_a_damaged_file_is_refused_in_a_sentence(tmp_path, name):
    pytest.importorskip("pyarrow")
    (tmp_path / name).write_bytes(b"neither one nor the other" * 9)
    with pytest.raises(ValueError, match=r"cannot be read|is truncated"):
        read_rows(tmp_path / name)
