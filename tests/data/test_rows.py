"""Usable rows: checked once, the others counted and listed; each text is tokenized once."""

import numpy as np
import pandas as pd
import pytest

from kickbert.data.rows import TextRows
from kickbert.data.transforms import TextTokenizer
from kickbert.targets.labels import Labels
from kickbert.targets.multi_labels import MultiLabels
from kickbert.targets.options import TargetOptions


@pytest.fixture
def df() -> pd.DataFrame:
    texts = ["a lamp", None, " ", "<br>", "a chair", "a table"]
    return pd.DataFrame({"text": texts, "label": ["x", "y", "x", "y", None, "y"]}, index=list("abcdef"))


@pytest.fixture
def read(tiny_tok):
    """Read the rows of a DataFrame with the tiny tokenizer."""

    def rows(df, target=None, **options) -> TextRows:
        return TextRows.from_df(df, TextTokenizer(tiny_tok), target or TargetOptions(), **options)

    return rows


def test_rows_with_a_text_and_a_label(df, read):
    with pytest.warns(UserWarning) as caught:
        rows = read(df, cleaning=["remove_html"])
    messages = [str(w.message) for w in caught]
    assert "Skipped 3 rows without a text: ['b', 'c', 'd']" in messages
    assert "Skipped 1 row without a label: ['e']" in messages
    assert rows.df.index.tolist() == ["a", "f"] and rows.texts == ["a lamp", "a table"]
    assert rows.column.values.tolist() == ["x", "y"] and rows.column.kind is Labels
    assert rows.mask.tolist() == [True, False, False, False, False, True]


@pytest.mark.filterwarnings("ignore:.*without a text")
def test_with_several_labels_a_missing_cell_is_no_label_either(df, read):
    with pytest.warns(UserWarning, match="without a label"):
        rows = read(df, TargetOptions(label_delim="|"))
    assert rows.column.kind is MultiLabels and rows.df.index.tolist() == ["a", "d", "f"]
    columns = df.assign(x=[1, 0, np.nan, 1, 0, 1], y=0)
    with pytest.warns(UserWarning, match="without a label"):
        assert read(columns, TargetOptions(["x", "y"])).mask.sum() == 4


def test_all_columns_are_checked_together(df, read):
    with pytest.raises(ValueError, match=r"group_col='grp' is not a column of df"):
        read(df, group_col="grp")
    with pytest.raises(ValueError, match=r"no row of df has both a text in \['text'\] and a 'label'"):
        read(df.iloc[[1, 4]])


def test_several_splits_share_one_tokenization(reviews, read, monkeypatch):
    calls = []
    pack = TextTokenizer.pack
    monkeypatch.setattr(TextTokenizer, "pack", lambda self, texts: (calls.append(len(texts)), pack(self, texts))[1])
    rows = read(reviews)
    for fold in range(3):
        test = np.arange(120) % 3 == fold
        split = rows.split(~test, test)
        assert len(split.train.texts) == 80 and len(split.valid.ids) == 40
        expected = pack(rows.tokenizer, split.valid.texts)[0]
        assert split.valid.ids.flat.tolist() == expected.flat.tolist()
    assert calls == [120]
