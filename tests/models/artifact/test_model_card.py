"""The model card: metadata for the Hub, calls of the model, and escaped names from the data."""

import re

import pandas as pd
import pytest
from huggingface_hub import ModelCard

from kickbert.models.artifact.model_card import escape_markdown, model_card


@pytest.fixture
def rows(reviews) -> pd.DataFrame:
    return reviews.assign(amount=range(len(reviews)), more="and more", most="and most")


def test_the_card_is_one_the_hub_reads(make, rows, tmp_path):
    learn = make(rows, label_col="amount", bins=3, bin_format="$")
    learn.fit_one_cycle(1, 4e-3)
    card = ModelCard.load(learn.save_artifact(tmp_path / "k") / "README.md")
    assert card.data.library_name == "kickbert" and card.data.pipeline_tag is None  # transformers has no such head
    assert "pipeline_class=kickbert.models.ArtifactPipeline" in card.text
    assert "one of the ordered classes under \\$" in card.text and "accuracy" in card.text


CALL = 'model(**tokenizer({}, truncation=True, max_length=64, return_tensors="pt"))` gives the same result'


@pytest.mark.parametrize(
    ("columns", "how", "expected"),
    [
        (["text"], {}, CALL.format("text") + "."),
        (["text", "more"], {"cleaning": "auto"}, CALL.format("text, more") + " on cleaned texts."),
        (["text"], {"long": "tail"}, CALL.format("text") + " for short texts; kickbert cuts long ones by 'tail'."),
        (["text", "more", "most"], {}, "joins at most two texts; only kickbert can build rows of 3 columns"),
        (["text"], {"pooling": "mean"}, "In a transformers pipeline, use kickbert's pipeline class"),
    ],
)
def test_it_shows_how_to_call_transformers(make, rows, columns, how, expected):
    learn = make(rows, text_col=columns, **how)
    card = model_card(learn.metadata | {"plain transformers": "pooling" not in how}, "transformers loads it.")
    assert expected in card, card


INFO = {
    "task": "single label",
    "target": {"classes": ["bad", "good"]},
    "text_col": ["text"],
    "label_col": "label",
    "cleaning": None,
    "tokens": {"max_length": 128, "long": "truncate"},
    "encoder": {"model_type": "bert", "layers": 6, "width": 384},
    "head": {"pooling": "mean"},
    "temperature": 1.0,
    "metrics": {"accuracy": 0.875, "AUC": None},
    "evaluated on": "200 rows",
    "data": {"training rows": 1_000, "validation rows": 100, "fingerprint": "abc"},
    "versions": {"kickbert": "0.1"},
    "plain transformers": False,
    "created": "2026-11-21T00:00:00",
}


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({}, True),
        ({"task": "multi-label"}, True),
        ({"task": "regression", "target": {"name": "pledged"}}, False),
        ({"cleaning": ["remove_html"]}, False),
        ({"text_col": ["name", "text"]}, False),
        ({"tokens": {"max_length": 128, "long": "tail"}}, False),
        ({"plain transformers": False}, False),
    ],
)
def test_the_pipeline_tag_is_set_only_if_a_pipeline_predicts_the_same(change, same):
    card = model_card(INFO | {"plain transformers": True} | change, "")
    assert ('pipeline_tag: "text-classification"' in card) == same


def test_it_describes_the_model_and_its_scores():
    card = model_card(INFO, "transformers loads it.")
    assert "# label from text" in card and "It predicts one of bad, good." in card and "| accuracy | 0.875 |" in card
    assert "AUC" not in card and "1,000 training rows, 100 validation rows" in card
    assert "It was not evaluated" in model_card(INFO | {"metrics": {}}, "")
    assert "the number pledged from a text" in model_card(
        INFO | {"task": "regression", "target": {"name": "pledged"}}, ""
    )


HOSTILE = "<script>alert(1)</script>\n\n# [a](javascript:b) | `c` $d$ <!--"


@pytest.mark.parametrize(
    "change",
    [
        {"target": {"classes": [HOSTILE, "good"]}},
        {"text_col": [HOSTILE]},
        {"text_col": [HOSTILE, "more"]},
        {"label_col": HOSTILE},
        {"task": "regression", "target": {"name": HOSTILE}},
        {"metrics": {HOSTILE: 0.5}},
        {"evaluated on": HOSTILE},
        {"cleaning": [HOSTILE]},
    ],
)
def test_names_from_the_data_are_inert(change):
    card = model_card(INFO | change, "")
    code = re.search(r"```python\n(.*?)\n```", card, re.DOTALL)[0]
    text = card.replace(code, "")
    assert "alert" in card and not re.search(r"(?<!\\)(<script|<!--|\[a|`c|\$d)", text)
    assert len(re.findall(r"^# ", card, re.MULTILINE)) == 1 and code.count("\n") == 5


def test_the_example_of_several_columns_is_valid_python():
    columns = ['say "hi"', "```\nb", "\\"]
    code = re.search(r"model.predict\((.*)\)", model_card(INFO | {"text_col": columns}, ""))[1]
    assert eval(code) == [dict.fromkeys(columns, "…")]


def test_escaped_text_renders_unchanged():
    text = r"a*b_c \ <d> & | `e` $f$ ~g~ #h [i]"
    assert re.sub(r"\\([!-/:-@[-`{-~])", r"\1", escape_markdown(text)) == text
