import pytest

from kickbert.utils.cells import is_blank


@pytest.mark.parametrize("cell", ["", " ", "\u200b", "\x00\ufeff", "#N/A", " #REF! "])
def test_a_cell_that_holds_nothing(cell):
    assert is_blank(cell)


@pytest.mark.parametrize("cell", ["NA", "None", "null", "nan", "-", "#1", "N/A"])
def test_names_that_only_look_missing(cell):
    assert not is_blank(cell)
