"""An explanation as a table, a line and HTML; class names."""

import numpy as np
import pandas as pd
import pytest

from kickbert.evaluation.explanation import Explanation, class_number, explained_value
from kickbert.targets.fitting import fit_target
from kickbert.targets.labels import Labels


def test_formats(monkeypatch):
    explanation = Explanation(["<b>", "good"], np.array([-0.5, 1.0]), "yes", 0.75, "gradients", 0.011)
    page = explanation.to_html()
    assert "&lt;b&gt;" in page and "rgba(213,94,0,0.75)" in page and "rgba(0,114,178,0.38)" in page
    assert "yes: 0.750 (gradients, completeness gap 1.1%)" in page
    assert "good +1.00, <b> -0.50" in repr(explanation)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert "\x1b[30;48;2;213;94;0mgood\x1b[0m" in repr(explanation)
    assert explanation.to_frame().equals(pd.DataFrame({"word": ["<b>", "good"], "score": [-0.5, 1.0]}))


def test_words_that_do_nothing_are_shown_without_a_mark():
    explanation = Explanation(["a", "b"], np.zeros(2), "<i>", 0.5, "occlusion")
    assert "rgba(0,114,178,0.00)" in explanation.to_html() and "<strong>&lt;i&gt;: 0.500" in explanation.to_html()


def test_a_class_is_found_by_value_and_by_name():
    target = Labels((1, 2))
    assert class_number(target, 2) == class_number(target, "2") == 1
    with pytest.raises(ValueError, match=r"label='3' is not a class\. Classes: \['1', '2'\]"):
        class_number(target, "3")


def test_the_value_is_a_probability_or_a_number_in_its_own_unit():
    assert explained_value(Labels(("a", "b")), np.array([0.25, 0.75]), 1) == 0.75
    prices = pd.Series([10.0, 20.0, 60.0], name="price")
    target = fit_target(prices, task="regression")
    assert explained_value(target, target.encode(prices)[2:], 0) == pytest.approx(60, rel=1e-5)
