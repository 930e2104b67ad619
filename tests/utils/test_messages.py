"""Helpers for messages: nearest names, row labels, shortened texts, times."""

import numpy as np
import pandas as pd
import pytest

from kickbert.utils.messages import nearest, row_names, seconds, shorten


def test_only_a_similar_name_is_suggested():
    assert nearest("lable", ["text", "label"]) == ". Did you mean 'label'?"
    assert nearest("zzz", ["text", "label"]) == nearest("x", []) == ""
    assert nearest(7, ["7", "8"]) == ". Did you mean '7'?"


def test_row_names_by_mask_and_by_position():
    index = pd.Index(list("abcdefg"))
    assert row_names(np.array([0, 2]), index) == row_names(np.array([1, 0, 1, 0, 0, 0, 0], bool), index) == "['a', 'c']"
    assert row_names(np.arange(7), index) == "['a', 'b', 'c', 'd', 'e'] and 2 more"
    assert row_names(np.arange(1_205), pd.RangeIndex(1_205)) == "[0, 1, 2, 3, 4] and 1,200 more"


def test_a_text_is_shortened_to_one_line():
    assert shorten("  a\tlong\n text ", 11) == "a long text" and shorten("a long text", 10) == "a long te…"
    assert len(shorten("x" * 99, 10)) == 10 and shorten("", 5) == ""


def test_times():
    assert [seconds(budget) for budget in ("20 min", "1h", 3, "2.5 s")] == [1200, 3600, 3, 2.5]
    for wrong in ("soon", "0 s", "-3", "5 years"):
        with pytest.raises(ValueError, match=r"is not a time\. Use seconds, or a number and one of"):
            seconds(wrong)
