"""CSV files: size limits, and cells that are safe in a spreadsheet."""

import csv
import io

import pytest

from kickbert.serving.csv_files import MAX_COLUMNS, TooLarge, check_csv, escape_formula, escape_formulas


@pytest.mark.parametrize(
    "content",
    [
        b"text\n" + b"a\n" * 10,
        b'text\n"a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl"\n',  # one row
        b'text\r\n"a ""b"",\r\nc"\r\n',
        b'text\n5" disk\n6" disk\n',
        b"text\n\n\n\n\n\n\n\n\n\n\n\n\na\n",  # empty lines are not rows
        b'a;text\n1;"b\nc"\n' + b'2;"b\nc"\n' * 9,  # ten rows of two lines each
        b"",
    ],
)
def test_files_within_the_limits_pass(content):
    check_csv(content, max_rows=10, max_chars=60)


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (b"text\n" + b"a\n" * 11, "over 10 rows"),
        (b'text\n"a' + b"\n" * 61, "row 1 has over 60 characters"),
        (b"text\n" + b"a" * 61, "row 1 has over 60 characters"),
        (b"text\n" + "ü".encode() * 61, "row 1 has over 60 characters"),
        (b"a" * 61, "row 0 has over 60 characters"),
        (b'"a\n",' * 61, "row 0 has over 60 characters"),
    ],
)
def test_files_over_a_limit_are_refused(content, detail):
    with pytest.raises(TooLarge, match=detail):
        check_csv(content, max_rows=10, max_chars=60)


@pytest.mark.parametrize("header", [b"," * MAX_COLUMNS, b";" * MAX_COLUMNS, b'"a\n",' * MAX_COLUMNS])
def test_too_many_columns_are_refused(header):
    with pytest.raises(TooLarge, match="row 0 has 1,001 columns"):
        check_csv(header, max_rows=10, max_chars=100_000)


@pytest.mark.parametrize("cell", ["=1+1", "+1+1", "-1-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "-", "=1", "+49 30 1"])
def test_a_formula_gets_an_apostrophe(cell):
    assert escape_formula(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "a = b", "-5", "+3.25", "-1,000.5", "-1e-05", "-3%", "'=1", "a\n=1"])
def test_texts_and_numbers_stay_as_they_are(cell):
    assert escape_formula(cell) == cell


def test_a_file_keeps_its_cells(tmp_path):
    """Quotes, lines and a lone carriage return within cells, empty cells, line ends of either kind."""
    (tmp_path / "out.csv").write_bytes(
        b'id,=name,=name\n007,"a, ""b""\nc",=1\n"","",-0.5\n1,"\r=x","\r\n=1"\r\n2,a,b\n'
    )
    rows = list(csv.reader(io.StringIO(escape_formulas(tmp_path / "out.csv").decode(), newline="")))
    assert rows == [
        ["id", "'=name", "'=name"],
        ["007", 'a, "b"\nc', "'=1"],
        ["", "", "-0.5"],
        ["1", "'\r=x", "'\r\n=1"],
        ["2", "a", "b"],
    ]
