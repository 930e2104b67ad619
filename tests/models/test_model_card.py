"""The model card: what the hub reads, and how to call the model."""

import re

import pandas as pd
import pytest
from huggingface_hub import ModelCard

from kickbert.models.model_card import model_card


@pytest.fixture
def rows(reviews) -> pd.DataFrame:
    return reviews.assign(amount=range(len(reviews)), more="and more", most="and most")


def test_the_card_is_one_the_hub_reads(make, rows, tmp_path):
    learn = make(rows, label_col="amount", bins=3, bin_format="$")
    learn.fit_one_cycle(1, 4e-3)
    card = ModelCard.load(learn.save_artifact(tmp_path / "k") / "README.md")
    assert card.data.pipeline_tag == "text-classification" and card.data.library_name == "kickbert"
    assert "one of the ordered classes under $" in card.text and "accuracy" in card.text


@pytest.mark.parametrize(
    ("columns", "how", "told"),
    [
        (["text"], {}, '`model(**tokenizer(text, truncation=True, max_length=64, return_tensors="pt"))`.'),
        (["text", "more"], {"cleaning": "auto"}, "same of cleaned texts when .*tokenizer\\(text, more, truncation"),
        (["text"], {"long": "tail"}, "cut otherwise there, not 'tail'"),
        (["text", "more", "most"], {}, "joins two texts at most; rows of 3"),
        (["text"], {"pooling": "mean"}, "the head is kickbert's own, for theirs does not pool by 'mean'\\.\n"),
    ],
)
def test_it_says_how_transformers_is_called(make, rows, columns, how, told):
    learn = make(rows, text_col=columns, **how)
    plain = (
        "loads this folder too."
        if "pooling" not in how
        else "the head is kickbert's own, for theirs does not pool by 'mean'."
    )
    info = learn.metadata | {"plain transformers": "pooling" not in how}
    card = model_card(info, plain)
    assert told in card or re.search(told, card), card
