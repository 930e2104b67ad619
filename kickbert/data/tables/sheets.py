"""Sheets of Excel and OpenDocument files."""

import io
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from kickbert.data.tables.compression import open_file, table_name
from kickbert.data.tables.headers import title_rows
from kickbert.utils.extras import require
from kickbert.utils.messages import listed, plural, shorten

SHOWN = 3  # cells or sheets that a note names
Cells = list[list[Any]]
Range = tuple[int, int, int, int]  # first row, first column, last row, last column; from 0


def read_sheet(path: Path) -> tuple[Cells, list[str]]:
    """Read the first visible sheet with cells.

    Merged cells below the header all get the value of the first one. Error values such as #N/A, and formulas without a
    stored value, are missing.

    Returns:
        The header and the rows below it, equally long, None for empty cells, without empty rows and columns; and notes
        for the user, one sentence each.
    Raises:
        ImportError: the package that reads the format is not installed.
        ValueError: the file is not a spreadsheet.
    """
    with open_file(path, "rb") as packed:
        file = io.BytesIO(packed.read())
    is_xlsx = table_name(path).suffix.lower() == ".xlsx" or _is_xlsx(file)
    cells, merged, notes = _read_xlsx(file) if is_xlsx else _read_others(file)
    above = title_rows(cells)
    if above:
        title = next(str(cell) for row in cells[:above] for cell in row if cell is not None)
        notes.append(f"skipped {plural(above, 'row')} above the header, such as {shorten(title, 60)!r}")
    notes += _fill_merged(cells, merged, above)
    rows = [row for row in cells[above:] if any(cell is not None for cell in row)]
    width = max(map(len, rows), default=0)
    rows = [row + [None] * (width - len(row)) for row in rows]
    used = [i for i in range(width) if any(row[i] is not None for row in rows)]
    return [[row[i] for i in used] for row in rows], [f"{path.name}: {note}" for note in notes]


def _is_xlsx(file: io.BytesIO) -> bool:
    """Whether the content is that of an .xlsx file, as in many exports with the extension .xls."""
    if not zipfile.is_zipfile(file):
        return False
    with zipfile.ZipFile(file) as archive:
        return "xl/workbook.xml" in archive.namelist()


def _read_xlsx(file: io.BytesIO) -> tuple[Cells, list[Range], list[str]]:
    require("openpyxl", extra="excel")
    from openpyxl import load_workbook

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about styles and validation, which do not matter here
        book = load_workbook(file, read_only=True, data_only=True)
        visible = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
        name, cells, errors = "", [], []
        for sheet in visible or book.worksheets:
            sheet.reset_dimensions()  # which some programs write wrong
            name, cells, errors = sheet.title, *_values(sheet)
            if any(cell is not None for row in cells for cell in row):
                break
        merged, formulas = _merged_and_formulas(file, name, cells, set(errors))
    notes = _choice(name, book.sheetnames, [sheet.title for sheet in visible])
    if errors:
        notes.append(f"{plural(len(errors), 'error value')} such as #N/A became missing: {listed(errors, SHOWN)}")
    if formulas:
        notes.append(
            f"{plural(len(formulas), 'formula')} without a stored value became missing: {listed(formulas, SHOWN)}. "
            "Open the file in a spreadsheet program and save it"
        )
    return cells, merged, notes


def _merged_and_formulas(file: io.BytesIO, name: str, cells: Cells, errors: set[str]) -> tuple[list[Range], list[str]]:
    """The merged ranges of a sheet, and the coordinates of formulas without a value; another pass if it has any."""
    from openpyxl import load_workbook

    with zipfile.ZipFile(file) as archive:
        parts = [archive.read(part) for part in archive.namelist() if part.startswith("xl/worksheets/")]
    merged: list[Range] = []
    formulas: list[str] = []
    if any(b"<mergeCell " in part for part in parts):  # not read_only, which takes many times the memory
        ranges = load_workbook(file)[name].merged_cells.ranges
        merged = [(r.min_row - 1, r.min_col - 1, r.max_row - 1, r.max_col - 1) for r in ranges]
    if any(b"<f>" in part or b"<f " in part for part in parts):
        sheet = load_workbook(file, read_only=True)[name]
        sheet.reset_dimensions()
        formulas = list(_without_value(sheet, cells, errors))
    return merged, formulas


def _values(sheet: Any) -> tuple[Cells, list[str]]:
    """The cells of a sheet of openpyxl, and the coordinates of error values."""
    from openpyxl.utils.escape import unescape

    errors = []
    rows = []
    for cells in sheet.iter_rows():
        errors += [cell.coordinate for cell in cells if cell.data_type == "e"]
        values = [None if cell.data_type == "e" else _value(cell.value) for cell in cells]
        rows.append([unescape(value) if isinstance(value, str) else value for value in values])
    return rows, errors


def _without_value(sheet: Any, cells: Cells, errors: set[str]) -> Iterator[str]:
    """The coordinates of formulas whose value is missing and not an error."""
    for row, formulas in zip(cells, sheet.iter_rows(), strict=False):
        for value, cell in zip(row, formulas, strict=False):
            if value is None and cell.data_type == "f" and cell.coordinate not in errors:
                yield cell.coordinate


def _read_others(file: io.BytesIO) -> tuple[Cells, list[Range], list[str]]:
    require("python_calamine", extra="excel")
    from python_calamine import CalamineError, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(file.getvalue()))
        sheets = [sheet for sheet in book.sheets_metadata if sheet.typ == SheetTypeEnum.WorkSheet]
        names = [sheet.name for sheet in sheets]
        visible = [sheet.name for sheet in sheets if sheet.visible == SheetVisibleEnum.Visible]
        name, cells = "", []
        for name in visible or names:
            cells = [list(map(_value, row)) for row in book.get_sheet_by_name(name).to_python(skip_empty_area=False)]
            if any(cell is not None for row in cells for cell in row):
                break
        ranges = book.get_sheet_by_name(name).merged_cell_ranges or []
    except CalamineError as err:
        raise ValueError(f"it is not a spreadsheet; its extension may be wrong ({err})") from err
    return cells, [(*first, *last) for first, last in ranges], _choice(name, names, visible)


def _value(cell: Any) -> Any:
    """A cell with whole numbers as int, None for an empty one."""
    if isinstance(cell, float) and cell.is_integer():
        return int(cell)
    return None if cell == "" else cell


def _choice(name: str, names: list[str], visible: list[str]) -> list[str]:
    """A note on the sheet that is read, if there are others."""
    others = [other for other in names if other != name]
    if not others:
        return []
    shown = [repr(other) if other in visible else f"{other!r} (hidden)" for other in others]
    return [f"only the sheet {name!r} was read, and not {listed(shown, SHOWN)}"]


def _fill_merged(cells: Cells, merged: Iterable[Range], header: int) -> list[str]:
    """Give merged cells below the header the value of the first one; a note on them."""
    filled = 0
    example = None
    width = max(map(len, cells), default=0)
    for top, left, bottom, right in merged:
        value = cells[top][left] if top < len(cells) and left < len(cells[top]) else None
        if top <= header or value is None:
            continue
        for row in cells[top : bottom + 1]:
            row += [None] * (width - len(row))
            filled += sum(cell is None for cell in row[left : right + 1])
            row[left : right + 1] = [value] * len(row[left : right + 1])
        example = example or value
    if not filled:
        return []
    return [f"{plural(filled, 'merged cell')} got the value of the first, such as {shorten(str(example), 60)!r}"]
