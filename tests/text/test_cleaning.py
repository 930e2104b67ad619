"""A sequence of cleaning steps: by name, on columns, as JSON."""

import json
from functools import partial

import numpy as np
import pandas as pd
import pytest

from kickbert.text.cleaning import AUTO, Cleaner
from kickbert.text.columns import read_texts


def test_a_cleaner_applies_its_steps_in_order():
    cleaner = Cleaner(["remove_html", "convert_to_lowercase", str.strip])
    assert cleaner(" <i>A</i> ") == "a"
    assert cleaner.apply([" <i>A</i> ", "B", "B"]) == ["a", "b", "b"]
    assert repr(Cleaner(["remove_html"])) == "Cleaner(['remove_html'])"


def test_json_and_back():
    cleaner = Cleaner("auto")
    again = Cleaner.from_json(cleaner.to_json())
    assert again.steps == cleaner.steps
    assert json.loads(cleaner.to_json()) == {"cleaning": list(AUTO)}

    def shout(text):
        return text.upper()

    own = Cleaner(["remove_html", shout]).to_json()
    with pytest.raises(ValueError, match=r"your cleaning function 'shout'; pass functions=\[shout\]"):
        Cleaner.from_json(own)
    assert Cleaner.from_json(own, [shout])("<b>a") == "A"


def test_the_error_of_an_unknown_step_suggests_a_name():
    with pytest.raises(ValueError, match="Did you mean 'remove_emoji'"):
        Cleaner(["remove_emojis"])
    with pytest.raises(ValueError, match=r"cleaning='auot' is not 'auto'; for a single step give a list"):
        Cleaner("auot")


def test_a_function_that_a_saved_model_could_not_name_is_refused():
    def remove_html(text):
        return text

    for step, message in (
        (lambda text: text, "has no name to be saved by; define a function with def"),
        (partial(str.replace, "a", "b"), "has no name to be saved by"),
        (remove_html, "another cleaning step is named 'remove_html'; rename your function"),
    ):
        with pytest.raises(ValueError, match=message):
            Cleaner([step])


def test_cells_of_any_type_and_texts_that_cleaning_empties():
    cells = ["<b>a</b>", None, np.nan, 3.5, ["x", "y"], b"caf\xc3\xa9", "<br>", "", "  "]
    df = pd.DataFrame({"text": cells})
    with pytest.warns(UserWarning) as caught:
        texts, missing = read_texts(df, "text", Cleaner("auto"))
    assert texts == ["a", "", "", "3.5", "['x', 'y']", "café", "", "", ""]
    assert missing.tolist() == [False, True, True, False, False, False, True, True, True]
    messages = [str(w.message) for w in caught]
    assert any(m.startswith("3 cells of ['text'] not of type str") for m in messages)
    assert any(m.startswith("1 row without text after cleaning with Cleaner(['remove_html',") for m in messages)
