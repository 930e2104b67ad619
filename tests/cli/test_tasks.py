"""Spellings of a task."""

import pytest
import typer

from kickbert.cli.tasks import task_name


@pytest.mark.parametrize("spelling", ["multi-label", "multi label", "Multi_Label"])
def test_blanks_hyphens_and_case_do_not_matter(spelling):
    assert task_name(spelling) == "multi-label"


def test_an_unknown_task_is_an_error_of_usage():
    with pytest.raises(typer.BadParameter, match=r"'lots' is not one of \['single label', 'multi-label'"):
        task_name("lots")
