import copy
import re

import numpy as np
import pandas as pd
import pytest
from fastai.data.all import CategoryBlock, ColReader, DataBlock, RandomSplitter, TransformBlock
from tokenizers import normalizers

from kickbert.data.bucketing import BucketDL
from kickbert.data.dataloaders import TextDataLoaders
from kickbert.data.transforms import TextTokenizer
from kickbert.text.tokenization import SEP


@pytest.fixture
def build(tiny):
    """Make DataLoaders of the tiny model's tokenizer."""

    def dataloaders(df, tokenizer=None, **kwargs):
        return TextDataLoaders.from_df(df, **{"model": tiny, "tokenizer": tokenizer, "bs": 16, **kwargs})

    return dataloaders


def test_batches_contain_the_rows_of_df_and_their_labels(reviews, build):
    dls = build(reviews)
    assert len(dls.train_ds) == 102 and len(dls.valid_ds) == 18 and dls.c == 2 and list(dls.vocab) == ["bad", "good"]
    truth = dict(zip(reviews["text"], reviews["label"], strict=True))
    seen = 0
    for dl in dls:
        for x, y in dl:
            for ids, code in zip(x, y, strict=True):
                assert dls.vocab[code] == truth[dls.tokenizer.decode(ids)]
                seen += 1
    assert seen == 120


def test_several_columns_are_joined(build):
    df = pd.DataFrame(
        {"name": ["great fun", "bad acting"] * 20, "blurb": ["loved", "hated"] * 20, "label": [1, 0] * 20}
    )
    dls = build(df, text_col=["name", "blurb"])
    assert dls.train_ds.items[0].text.count(SEP) == 1
    assert dls.test_dl([("a", "b"), {"name": "a", "blurb": "b"}, "a"]).rows[0].lengths.tolist() == [6, 6, 5]


def test_validation_rows_by_column_and_test_rows_are_unused(reviews, build):
    df = reviews.assign(split=["train", "valid", "test"] * 40)
    dls = build(df, valid="split")
    used = {row.text for part in (dls.train_ds, dls.valid_ds) for row in part.items}
    assert used == set(df[df["split"] != "test"]["text"])


def test_missing_texts_and_labels_are_counted_and_named(reviews, build):
    reviews.index = [f"row{i}" for i in range(120)]
    reviews.loc["row3", "text"] = None
    reviews.loc[["row5", "row6"], "label"] = np.nan
    with pytest.warns(UserWarning) as caught:
        dls = build(reviews)
    messages = [str(w.message) for w in caught]
    assert "Skipped 2 rows without a label: ['row5', 'row6']" in messages
    assert "Skipped 1 row without a text: ['row3']" in messages
    assert len(dls.train_ds) + len(dls.valid_ds) == 117


def test_whitespace_and_texts_that_cleaning_empties_are_missing(reviews, build):
    reviews.loc[[3, 4, 5], "text"] = ["", " \n", "<br>"]
    with pytest.warns(UserWarning, match=r"Skipped 3 rows without a text: \[3, 4, 5\]"):
        dls = build(reviews, cleaning=["remove_html"])
    assert len(dls.train_ds) + len(dls.valid_ds) == 117
    assert dls.read(["a", "", " \n", "<br>"])[1].tolist() == [False, True, True, True]


def test_validation_rows_with_unseen_labels_are_skipped(reviews, build):
    df = reviews.assign(split=["train"] * 100 + ["valid"] * 20)
    df.loc[110, "label"] = "new"
    with pytest.warns(
        UserWarning, match=r"1 row with a label that is not in the training set \(\['new'\]\): \[110\]; they"
    ):
        dls = build(df, valid="split")
    assert len(dls.valid_ds) == 19 and dls.c == 2


def test_a_class_with_a_single_row(reviews, build):
    reviews.loc[0, "label"] = "lonely"
    with pytest.warns(
        UserWarning,
        match=r"1 class stays in the training set, .* a single row, text or group: \['lonely'\]",
    ):
        dls = build(reviews)
    assert list(dls.vocab) == ["bad", "good", "lonely"] and "lonely" in {row.target for row in dls.train_ds.items}


def test_bins_are_computed_from_training_rows_only(build):
    df = pd.DataFrame(
        {"text": "x", "pledged": np.r_[np.arange(80.0), np.full(20, 1e6)], "split": ["train"] * 80 + ["valid"] * 20}
    )
    dls = build(df, label_col="pledged", bins=4, valid="split", bin_format="$")
    assert dls.target.edges == (19.5, 39.5, 59.5)
    assert {row.target for row in dls.valid_ds.items} == {"$60 and over"}


@pytest.mark.parametrize("valid", [0.15, "split"])
def test_numbers_stored_as_text_are_binned_with_any_split(build, valid):
    amounts = [f"${n:,}" for n in range(0, 4000, 40)]
    df = pd.DataFrame({"text": "x", "pledged": amounts, "split": ["train", "train", "train", "valid"] * 25})
    with pytest.warns(UserWarning, match="holds numbers as text"):
        dls = build(df, label_col="pledged", bins=4, valid=valid)
    assert dls.c == 4 and len(dls.train_ds) + len(dls.valid_ds) == 100
    with pytest.raises(ValueError, match=r"which is 1200 with a decimal point and 1\.2 with"):
        build(df.assign(pledged=["1,200", "35", "7", "3,400"] * 25), label_col="pledged", bins=2, valid=valid)
    with pytest.warns(UserWarning, match="with a decimal comma"):
        dls = build(df.assign(pledged=["1,200", "35", "7", "3,400"] * 25), label_col="pledged", bins=[2, 10],
                    decimal=",", valid=valid)  # fmt: skip
    assert dls.target.decimal == "," and dls.target.names == ["under 2", "2–10", "10 and over"]


def test_long_texts_are_truncated_and_counted(reviews, build):
    with pytest.warns(UserWarning, match=r"102 of 102 training texts \(100.0%\) are longer than max_length=4 tokens"):
        dls = build(reviews, max_length=4)
    assert all(x.shape[1] == 4 for x, _ in dls.train)


@pytest.mark.parametrize("text", ["z" * 1_000_000, "\x00a", "👩🏽‍🚀 🎉", "مرحبا بالعالم", "a </s> <pad>"])
def test_unusual_texts_become_rows(reviews, build, text):
    reviews.loc[0, "text"] = text
    dls = build(reviews, valid=[1, 2, 3])
    assert len(dls.train_ds) == 117 and sum(len(y) for _, y in dls.train) == 117


def test_a_duplicated_index(reviews, build):
    reviews.index = [0] * 60 + [1] * 60
    dls = build(reviews, valid=[1])
    assert len(dls.train_ds) == len(dls.valid_ds) == 60


def test_df_is_not_changed(reviews, build):
    before = reviews.copy()
    build(reviews)
    assert reviews.equals(before)


@pytest.mark.parametrize(
    ("change", "kwargs", "message"),
    [
        (lambda df: df.iloc[:0], {}, "df has no rows"),
        (lambda df: df, {"text_col": "txet"}, "text_col='txet' is not a column.*Did you mean 'text'"),
        (lambda df: df, {"label_col": "labl"}, "label_col='labl' is not a column.*Did you mean 'label'"),
        (lambda df: df.assign(label="good"), {}, "holds only one class"),
        (lambda df: df, {"bins": 4}, "'label' are not numbers.*leave bins out"),
        (lambda df: df.assign(label=[1.0, 2.0] * 60), {"bins": 4}, "2 distinct values"),
        (lambda df: df.assign(text=None), {}, "no row of df has both a text"),
    ],
)
@pytest.mark.filterwarnings("ignore:Skipped 120 rows")
def test_invalid_dataframes(reviews, build, change, kwargs, message):
    with pytest.raises(ValueError, match=message):
        build(change(reviews), **kwargs)


def test_test_dl_with_labels(reviews, build):
    dls = build(reviews)
    dl = dls.test_dl(reviews, with_labels=True)
    assert sum(len(y) for _, y in dl) == 120
    with pytest.raises(ValueError, match=r"label that is not in the training set \(\['odd'\]\): \[5\]; leave them out"):
        dls.test_dl(reviews.assign(label=["good"] * 5 + ["odd"] + ["bad"] * 114), with_labels=True)


def test_invalid_items(reviews, build):
    dls = build(reviews)
    with pytest.raises(ValueError, match=r"the item has 2 texts; this model reads 1: \['text'\]"):
        dls.test_dl([("a", "b")])
    with pytest.raises(ValueError, match="the item has no 'text'"):
        dls.test_dl([{"txt": "a"}])


@pytest.mark.parametrize("how", ["whole", "windows", "block"])
def test_show_batch_shows_the_original_text(reviews, build, tiny_tok, capsys, monkeypatch, how):
    monkeypatch.setenv("COLUMNS", "200")
    df = reviews.assign(text="ÉCLAIR  No. " + reviews.index.astype(str))
    lowering = copy.deepcopy(tiny_tok)
    lowering.backend_tokenizer.normalizer = normalizers.Lowercase()
    tokens = TextTokenizer(lowering, 8, long="windows" if how == "windows" else "truncate", stride=2)
    if how == "block":
        blocks = (TransformBlock(type_tfms=tokens, dl_type=BucketDL), CategoryBlock)
        block = DataBlock(
            blocks, get_x=ColReader("text"), get_y=ColReader("label"), splitter=RandomSplitter(0.2, seed=0)
        )
        dls = block.dataloaders(df, bs=8)
    else:
        dls = build(df)
    dls.show_batch(max_n=3)
    lines = capsys.readouterr().out.splitlines()[1:]
    assert len(lines) == 3
    for line in lines:
        number, label = re.fullmatch(r"ÉCLAIR +No. (\d+) +(good|bad) *", line.strip()).groups()
        assert df["label"][int(number)] == label


def test_show_batch_is_a_table_in_a_terminal(reviews, build, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    build(reviews).show_batch(max_n=3)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4 and lines[0].split() == ["text", "target"]
    assert all(line.split()[-1] in ("good", "bad") for line in lines[1:])
