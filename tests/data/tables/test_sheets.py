"""Spreadsheets: titles, hidden sheets, merged cells, formulas without values and error values are read and named."""

import sys

import pandas as pd
import pytest

from kickbert.data.tables.reading import TableFile, read_rows

openpyxl = pytest.importorskip("openpyxl", reason="the extra kickbert[excel] is not installed")
TABLE = [["text", "label"], ["a film", "good"], ["a bore", "bad"], ["a delight", "good"]]


@pytest.fixture
def saved(tmp_path):
    """Save rows as the only sheet of a file, after a change of the sheet."""

    def save(rows, change=lambda sheet: None):
        book = openpyxl.Workbook()
        for row in rows:
            book.active.append(row)
        change(book.active)
        book.save(tmp_path / "a.xlsx")
        return tmp_path / "a.xlsx"

    return save


def read(file):
    """The rows of a file as lists, and its notes."""
    table = TableFile(file)
    (df,) = table.chunks()
    return [df.columns.tolist(), *df.astype(object).where(df.notna(), None).to_numpy().tolist()], table.notes


def test_a_title_above_the_header(saved):
    merge = lambda sheet: sheet.merge_cells("A1:B1")  # noqa: E731
    rows, notes = read(saved([["Our survey of May"], [], *TABLE], merge))
    assert rows == TABLE and notes == ["a.xlsx: skipped 2 rows above the header, such as 'Our survey of May'"]


def test_merged_cells_get_the_value_of_the_first(saved):
    merge = lambda sheet: sheet.merge_cells("B2:B4")  # noqa: E731
    rows, notes = read(saved(TABLE, merge))
    assert [row[1] for row in rows] == ["label", "good", "good", "good"]
    assert notes == ["a.xlsx: 2 merged cells got the value of the first, such as 'good'"]


def test_error_values_are_missing_and_counted(saved):
    errors = ["#N/A", "#REF!", "#DIV/0!", "#VALUE!"]
    table = [*TABLE, *(["a film", error] for error in errors)]
    rows, notes = read(saved(table))
    assert [row[1] for row in rows[4:]] == [None] * 4
    assert notes == ["a.xlsx: 4 error values such as #N/A became missing: B5, B6, B7 and 1 more"]


def test_formulas_without_a_value_are_named(saved):
    rows, notes = read(saved([*TABLE, ["a tale", "=B2"], ["a ballad", "=B3"]]))
    assert [row[1] for row in rows[4:]] == [None, None]
    assert "a.xlsx: 2 formulas without a stored value became missing: B5, B6. Open" in notes[0]


def test_hidden_sheets_are_skipped_and_the_choice_is_named(tmp_path):
    book = openpyxl.Workbook()
    book.active.title = "lists"
    book.active.append(["x"])
    book.active.sheet_state = "hidden"
    for name in ("cover", "survey", "more"):
        sheet = book.create_sheet(name)
        for row in TABLE if name != "cover" else []:
            sheet.append(row)
    book.active = 1
    book.save(tmp_path / "a.xlsx")
    rows, notes = read(tmp_path / "a.xlsx")
    assert rows == TABLE
    assert notes == ["a.xlsx: only the sheet 'survey' was read, and not 'lists' (hidden), 'cover', 'more'"]


def test_a_header_that_comes_again(saved):
    rows, notes = read(saved([*TABLE, *TABLE]))
    assert rows == [*TABLE, *TABLE[1:]] and notes == ["a.xlsx: skipped 1 row: the header again"]


@pytest.mark.parametrize("kind", ["ods", "xls"])
def test_a_missing_package_is_named(tmp_path, monkeypatch, kind):
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (tmp_path / f"a.{kind}").write_bytes(b"x")
    with pytest.raises(ImportError, match=r"python_calamine.*pip install \"kickbert\[excel\]\""):
        read_rows(tmp_path / f"a.{kind}")


def test_a_file_with_a_wrong_extension(tmp_path):
    pytest.importorskip("python_calamine", reason="the extra kickbert[excel] is not installed")
    (tmp_path / "a.xls").write_text("<html><table><tr><td>text</td></tr></table></html>")
    with pytest.raises(ValueError, match="it is not a spreadsheet; its extension may be wrong"):
        read_rows(tmp_path / "a.xls")


@pytest.mark.parametrize("kind", ["xls", "ods"])
def test_a_new_file_with_an_old_extension(saved, kind):
    rows, _ = read(saved(TABLE).rename(saved(TABLE).with_suffix(f".{kind}")))
    assert rows == TABLE


def test_open_document(tmp_path):
    pytest.importorskip("python_calamine", reason="the extra kickbert[excel] is not installed")
    pytest.importorskip("odf", reason="odfpy, which writes the file, is not installed")
    df = pd.DataFrame({"text": ["a film", "007", None], "n": [1, 2.5, 3], "label": [True, False, True]})
    df.to_excel(tmp_path / "a.ods", index=False, engine="odf")
    back = read_rows(tmp_path / "a.ods")
    assert back.astype(object).where(back.notna(), None).to_dict("list") == df.astype(object).where(
        df.notna(), None
    ).to_dict("list")


def test_an_old_excel_file(tmp_path):
    pytest.importorskip("python_calamine", reason="the extra kickbert[excel] is not installed")
    xlwt = pytest.importorskip("xlwt", reason="xlwt, which writes the file, is not installed")
    book = xlwt.Workbook()
    book.add_sheet("lists").visibility = 1
    sheet = book.add_sheet("survey")
    for i, row in enumerate(TABLE):
        for k, cell in enumerate(row):
            if (i, k) not in ((2, 1), (3, 1)):
                sheet.write(i, k, cell)
    sheet.write_merge(2, 3, 1, 1, "fair")
    sheet.write(4, 1, 7)
    sheet.write(5, 1, xlwt.Formula("1/0"))
    book.save(str(tmp_path / "a.xls"))
    rows, notes = read(tmp_path / "a.xls")
    assert rows[2:] == [["a bore", "fair"], ["a delight", "fair"], [None, 7]]
    assert notes == [
        "a.xls: only the sheet 'survey' was read, and not 'lists' (hidden)",
        "a.xls: 1 merged cell got the value of the first, such as 'fair'",
    ]
