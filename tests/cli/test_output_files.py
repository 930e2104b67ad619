"""Output files: an input is never replaced, an existing file on request, and pages end in .html."""

import pytest

from kickbert.cli.output_files import check_output, check_page


def test_an_input_is_never_replaced_and_an_existing_file_on_request(tmp_path):
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    source.touch()
    check_output(out, source, overwrite=False)
    out.touch()
    with pytest.raises(ValueError, match=r"out\.csv exists\. Pass --overwrite"):
        check_output(out, source, overwrite=False)
    check_output(out, source, overwrite=True)
    for overwrite in (False, True):
        with pytest.raises(ValueError, match=r"in\.csv is the input and would be overwritten"):
            check_output(source, source, overwrite)


def test_a_page_ends_in_html(tmp_path):
    check_page(tmp_path / "page.HTML")
    with pytest.raises(ValueError, match=r"page\.csv must end in \.html"):
        check_page(tmp_path / "page.csv")
