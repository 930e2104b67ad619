"""Rows with the same text or of the same group stay on one side of every split."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kickbert import split
from kickbert.data.row_groups import row_groups
from kickbert.data.splits import fold_assignments, stratified_sample


def test_rows_are_linked_by_text_and_by_group():
    texts = ["a lamp", "a boat", "A  lamp ", "a tree", "", " "]
    assert row_groups(texts).tolist() == [0, 1, 0, 2, 3, 4]
    groups = pd.Series(["x", "y", "y", None, " ", "z"], name="author")
    with pytest.warns(UserWarning, match=r"2 rows without a group in 'author', each a group of its own: \[3, 4\]"):
        assert row_groups(texts, groups).tolist() == [0, 0, 0, 1, 2, 3]
    assert row_groups([]).tolist() == row_groups([], pd.Series([], dtype=object)).tolist() == []
    assert row_groups(["", "", ""], pd.Series([1, 2, 1])).tolist() == [0, 1, 0]


rows = st.lists(st.tuples(st.integers(0, 12), st.sampled_from("abc"), st.integers(0, 5)), min_size=4, max_size=80)


@given(rows, st.floats(0.1, 0.5), st.integers(0, 9), st.booleans())
@pytest.mark.filterwarnings("ignore:.*stay")
def test_no_group_is_divided_by_a_sample(drawn, fraction, seed, several):
    frame = pd.DataFrame(drawn, columns=["text", "label", "group"])
    groups = row_groups(frame["text"].astype(str).tolist(), frame["group"])
    strata = frame["label"].to_numpy()
    if several:
        strata = pd.get_dummies(frame["label"]).reindex(columns=list("abc"), fill_value=False).to_numpy(dtype=int)
    if several and len(np.unique(groups)) < 2:
        return
    chosen = stratified_sample(strata, fraction, seed, groups)
    assert pd.Series(chosen).groupby(groups).nunique().max() == 1 and not chosen.all()


@given(st.lists(st.integers(0, 40), min_size=30, max_size=90), st.integers(0, 9), st.booleans())
@pytest.mark.filterwarnings("ignore:.*stay", "ignore:The least populated class")
def test_no_group_is_divided_by_folds(numbers, seed, several):
    groups = row_groups([str(n) for n in numbers])
    if len(np.unique(groups)) < 3:
        return
    labels = np.arange(len(groups)) % 2
    strata = np.stack([labels, 1 - labels], 1) if several else labels
    parts = fold_assignments(strata, groups, 3, 1, 0.2, seed)
    assert (np.array([part == "test" for part in parts]).sum(0) == 1).all()
    for part in parts:
        assert pd.Series(part).groupby(groups).nunique().max() == 1


def test_splits_without_repeats_do_not_depend_on_texts():
    df = pd.DataFrame({"text": [f"text {i}" for i in range(200)], "label": ["a", "b"] * 100})
    assert split(df)["split"].equals(split(df.rename(columns={"text": "other"}))["split"])


def test_repeated_texts_and_groups_stay_together():
    df = pd.DataFrame({"blurb": [f"text {i % 80}" for i in range(200)], "label": ["a", "b"] * 100})
    df["customer"] = np.arange(200) // 5
    assert split(df, text_col="blurb").groupby("blurb")["split"].nunique().max() == 1
    parts = split(df, group_col="customer")
    assert parts.groupby("customer")["split"].nunique().max() == 1
    assert parts["split"].value_counts().to_dict() == {"train": 140, "valid": 30, "test": 30}


def test_one_huge_group_is_trained_on():
    df = pd.DataFrame({"text": [f"text {i}" for i in range(100)], "label": ["a", "b"] * 50, "customer": 0})
    df.loc[80:, "customer"] = np.arange(20)
    parts = split(df, group_col="customer", valid=0.05, test=0.1)["split"]
    assert parts.value_counts().to_dict() == {"train": 85, "valid": 5, "test": 10} and set(parts[:80]) == {"train"}


def test_leaks_of_a_split_that_others_made_are_counted():
    df = pd.DataFrame({"text": [f"text {i}" for i in range(8)] * 2, "label": ["a", "b"] * 8})
    df["split"] = ["train"] * 10 + ["test"] * 4 + ["dev"] * 2
    with (
        pytest.warns(UserWarning, match=r"column 'split', which is used \(10 train, 2 valid, 4 test\)"),
        pytest.warns(UserWarning, match=r"2 of 2 valid rows and 4 of 4 test rows have the text or the group"),
    ):
        split(df)


def test_a_split_without_validation_rows_takes_them_from_training():
    df = pd.DataFrame({"text": [f"text {i}" for i in range(100)], "label": ["a", "b"] * 50})
    df["split"] = ["train"] * 80 + ["test"] * 20
    with pytest.warns(UserWarning, match=r"\(68 train, 12 valid, 20 test\)"):
        parts = split(df)["split"]
    assert set(parts[80:]) == {"test"}
    with pytest.warns(UserWarning, match=r"\(80 train, 0 valid, 20 test\)"):
        split(df, valid=0)
