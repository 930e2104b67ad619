"""Rows with another number of cells than the header are skipped, counted to the line, and shown."""

import pytest

from kickbert.data.tables.reading import TableFile, read_rows


def test_skipped_lines_are_counted_exactly(tmp_path):
    rows = [f"film {i},good" for i in range(20)]
    rows[3] = "warm, bright,good"
    rows[9] = '"a b" c,good'
    rows[12] = '"two\nlines" x,good'
    (tmp_path / "a.csv").write_text("\n".join(["text,label", *rows, '"never,good', "last,good"]))
    table = TableFile(tmp_path / "a.csv")
    assert sum(map(len, table.chunks(7))) == 17 and len(table.skipped) == 4 and table.skipped_lines == 1 + 1 + 2 + 2
    with pytest.warns(
        UserWarning, match=r"Skipped 6 lines of a\.csv: line 5: 3 cells .* 2: 'warm, bright,good'"
    ) as caught:
        read_rows(tmp_path / "a.csv")
    assert len(caught) == 1


def test_titles_above_the_header_do_not_change_the_numbers_of_lines(tmp_path):
    (tmp_path / "a.csv").write_text("Our survey of May\n\ntext;label\na film;good\na;b;c\na bore;bad\n")
    with pytest.warns(UserWarning) as caught:
        df = read_rows(tmp_path / "a.csv")
    assert df.to_dict("list") == {"text": ["a film", "a bore"], "label": ["good", "bad"]}
    messages = " ".join(str(warning.message) for warning in caught)
    assert "skipped 2 lines above the header, such as 'Our survey of May'" in messages and "line 5: 3 cells" in messages


@pytest.mark.parametrize(("line", "sep"), [("sep=;", ";"), ('"sep=|"', "|"), ("SEP=\t", "\t")])
def test_the_line_of_excel_that_names_the_separator(tmp_path, line, sep):
    content = f"{line}\r\ntext{sep}label\r\na, b{sep}good\r\n"
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbf" + content.encode())
    assert next(TableFile(tmp_path / "a.csv").chunks()).to_dict("list") == {"text": ["a, b"], "label": ["good"]}


def test_an_empty_line_of_one_column_is_a_missing_cell(tmp_path):
    (tmp_path / "a.csv").write_text("text\na film\n\nb\n\n")
    df = read_rows(tmp_path / "a.csv")
    assert len(df) == 4 and df["text"].isna().tolist() == [False, True, False, True]


def test_a_text_file_with_separators(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("text\tlabel\na film\tgood\n")
    with pytest.warns(UserWarning, match="detected a table with separator"):
        assert read_rows(file).to_dict("list") == {"text": ["a film"], "label": ["good"]}
    assert read_rows(file, sep="line")["text"].tolist() == ["text\tlabel", "a film\tgood"]
    file.write_text("text,label\na film,good\n")
    with pytest.warns(UserWarning, match="one text per line. If it is a table, set sep=','"):
        assert read_rows(file)["text"].tolist() == ["text,label", "a film,good"]
    assert read_rows(file, sep=",")["label"].tolist() == ["good"]
