import numpy as np
import pandas as pd
import pytest

from kickbert import Cache
from kickbert.inference.zero_shot_classification import zero_shot

TEXTS = ["the team won the match", "shares fell on the stock market", "the goalkeeper saved a penalty"]


def test_the_columns_are_those_of_predict_df(tiny, capsys):
    texts = pd.Series(["good film", None, "bad film"], index=[7, 8, 9])
    frame = zero_shot(texts, ["good", "bad"], tiny)
    assert list(frame.columns) == ["predicted_label", "confidence", "prob_good", "prob_bad"] and list(frame.index) == [
        7,
        8,
        9,
    ]
    assert frame.loc[8].isna().all() and set(frame["predicted_label"].dropna()) <= {"good", "bad"}
    np.testing.assert_allclose(frame.loc[[7, 9], ["prob_good", "prob_bad"]].astype(float).sum(1), 1, atol=1e-6)
    assert capsys.readouterr().out.startswith("zero-shot baseline: median cosine margin")


def test_nothing_is_computed_twice(tiny):
    cache = Cache()
    zero_shot(TEXTS, ["sport", "business"], tiny, cache=cache)
    tokens = cache.used("memory")
    zero_shot(TEXTS, ["sport", "business"], tiny, cache=cache)
    assert cache.used("memory") == tokens > 0


def test_several_templates_are_averaged_and_descriptions_used(tiny):
    one, other = (zero_shot(TEXTS, ["sport", "business"], tiny, template) for template in ("{}", "It is about {}."))
    both = zero_shot(TEXTS, ["sport", "business"], tiny, ["{}", "It is about {}."])
    columns = ["prob_sport", "prob_business"]
    assert not np.allclose(one[columns], other[columns]) and not np.allclose(one[columns], both[columns])
    described = zero_shot(TEXTS, {"sport": "matches, teams", "business": "markets"}, tiny, "{}")
    assert not np.allclose(described[columns], one[columns])
    prefixed = zero_shot(TEXTS, ["sport", "business"], tiny, "{}", prefix="query: ")
    assert not np.allclose(prefixed[columns], one[columns])


@pytest.mark.parametrize(
    ("labels", "how", "message"),
    [
        (["sport"], {}, "at least two different class names"),
        (["sport", "sport"], {}, "at least two different class names"),
        ("sport", {}, "at least two different class names"),
        ({"sport": "", "business": "money"}, {}, "must describe the texts of every class"),
        (["a", "b"], {"template": "about"}, "must contain {} exactly once"),
    ],
)
def test_invalid_arguments(tiny, labels, how, message):
    with pytest.raises(ValueError, match=message):
        zero_shot(TEXTS, labels, tiny, **how)


def test_one_string_is_not_read_letter_by_letter(tiny, make, reviews):
    with pytest.raises(TypeError, match="for one text give a list"):
        zero_shot("a match", ["sport", "business"], tiny)
    with pytest.raises(TypeError, match="for one text give a list"):
        make(reviews).predict_proba("a match")


@pytest.mark.system
def test_a_real_encoder_separates_sport_and_business(minilm):
    frame = zero_shot(TEXTS, {"sport": "sport, matches, teams", "business": "business, markets, money"})
    assert frame["predicted_label"].tolist() == ["sport", "business", "sport"]
