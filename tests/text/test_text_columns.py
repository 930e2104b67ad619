import pandas as pd
import pytest

from kickbert.text.text_columns import find_text_columns

LONG = ["a warm and bright film", "the sea was cold", "she sold her old lamp"]


@pytest.mark.parametrize("name", ["Text", " text ", "review", "Body", "what they wrote"])
def test_the_only_column_of_texts_is_taken_and_named(name, capsys):
    df = pd.DataFrame({"id": ["a1", "a2", "a3"], "n": [1, 2, 3], name: LONG, "label": LONG})
    assert find_text_columns(df, others=["label"]) == [name]
    assert (
        capsys.readouterr().out == f"df has no column 'text': reading {name!r}, the only column that looks like text\n"
    )


def test_several_columns_of_texts_are_listed():
    df = pd.DataFrame({"title": LONG, "story": LONG, "label": ["a", "b", "a"]})
    with pytest.raises(ValueError, match=r"several look like text: \['title', 'story'\].*text_col='title' \(--text\)"):
        find_text_columns(df, others=["label"])


def test_a_column_of_few_repeated_names_is_no_text(capsys):
    df = pd.DataFrame({"product": ["Bank account or service"] * 3, "label": ["a", "b", "a"]})
    assert find_text_columns(df, others=["label"]) == ["text"] and not capsys.readouterr().out


def test_named_columns_and_the_default_come_first(capsys):
    df = pd.DataFrame({"text": LONG, "story": LONG})
    assert find_text_columns(df) == ["text"] and find_text_columns(df, ["story"]) == ["story"]
    assert find_text_columns(df, "storyy") == ["storyy"] and not capsys.readouterr().out
