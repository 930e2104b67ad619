import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kickbert import split
from kickbert.data.splits import stratified_sample, valid_rows


def texts(rows):
    """Different texts."""
    return [f"text {i}" for i in range(rows)]


@given(st.lists(st.integers(2, 60), min_size=1, max_size=6), st.floats(0.05, 0.6), st.integers(0, 99))
def test_the_same_fraction_of_each_stratum_is_chosen(sizes, share, seed):
    strata = np.repeat(np.arange(len(sizes)), sizes)
    chosen = stratified_sample(strata, share, seed)
    assert chosen.sum() == max(1, round(len(strata) * share))
    for i, size in enumerate(sizes):  # each stratum rounds to a row, and the others' rounding shifts the common cutoff
        assert abs(chosen[strata == i].sum() - size * share) <= 1 + size / len(strata) * (len(sizes) + 0.5)


def test_a_class_with_one_row_stays_in_the_training_set():
    strata = np.array(["a"] * 20 + ["lonely"])
    with pytest.warns(
        UserWarning,
        match=r"1 class stays in the training set, .* a single row, text or group: \['lonely'\]",
    ):
        assert not stratified_sample(strata, 0.5, 0)[-1]


def test_split_is_70_15_15_stratified_and_seeded():
    df = pd.DataFrame({"text": texts(1000), "label": ["a"] * 700 + ["b"] * 300})
    parts = split(df)
    assert parts["split"].value_counts().to_dict() == {"train": 700, "valid": 150, "test": 150}
    rates = parts.groupby("split")["label"].apply(lambda s: (s == "a").mean())
    assert np.allclose(rates, 0.7, atol=0.01)
    assert split(df).equals(parts) and not split(df, seed=1).equals(parts)
    assert "split" not in df


def test_numbers_are_stratified_by_quantiles():
    df = pd.DataFrame({"text": texts(2000), "pledged": np.arange(2000.0)})
    test = split(df, label_col="pledged").query("split == 'test'")["pledged"]
    assert np.allclose(np.histogram(test, bins=10, range=(0, 2000))[0], 30, atol=1)


def test_numbers_stored_as_text_are_stratified_by_quantiles():
    numbers = np.arange(200) * 37
    dollars = [f"${n:,}" for n in numbers]
    parts = split(pd.DataFrame({"text": texts(200), "pledged": dollars}), label_col="pledged")["split"]
    assert parts.value_counts().to_dict() == {"train": 140, "valid": 30, "test": 30}
    assert np.allclose(np.histogram(numbers[parts == "test"], bins=10)[0], 3, atol=1)


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
def test_rows_without_a_label_are_split_separately(missing):
    df = pd.DataFrame({"text": texts(100), "label": pd.Series(["a", "b"] * 40 + [missing] * 20, dtype=object)})
    with pytest.warns(UserWarning, match="20 rows without 'label': split separately"):
        parts = split(df)["split"]
    for rows in (parts[:80], parts[80:]):
        assert rows.value_counts(normalize=True).to_dict() == pytest.approx({"train": 0.7, "valid": 0.15, "test": 0.15})
    with pytest.warns(UserWarning, match="20 rows without 'pledged'"):
        assert set(split(df.assign(pledged=[*np.arange(80.0), *[np.nan] * 20]), label_col="pledged")["split"][80:]) == {
            "train", "valid", "test"
        }  # fmt: skip


def test_no_row_has_a_label():
    with pytest.warns(UserWarning, match="10 rows without 'label'"):
        assert set(split(pd.DataFrame({"text": list("abcdefghij"), "label": None}))["split"]) == {
            "train", "valid", "test"
        }  # fmt: skip


def test_no_test_rows():
    assert set(split(pd.DataFrame({"text": list("abcdefgh")}), valid=0.25, test=0)["split"]) == {"train", "valid"}


@pytest.mark.parametrize(
    ("df", "kwargs", "message"),
    [
        (pd.DataFrame({"text": []}), {}, "df has no rows"),
        (pd.DataFrame({"text": ["a", "b"]}), {"valid": 0.6, "test": 0.5}, "leave no training rows"),
        (pd.DataFrame({"text": ["a", "b"]}), {"label_col": "txet"}, "Did you mean 'text'"),
    ],
)
def test_invalid_fractions(df, kwargs, message):
    with pytest.raises(ValueError, match=message):
        split(df, **kwargs)


def rows_of(**columns):
    return pd.DataFrame({"text": texts(4), **columns}, index=[10, 11, 12, 13])


def test_valid_by_column_leaves_test_rows_out():
    train, held = valid_rows(rows_of(split=["train", "valid", "test", "train"]), "split", np.zeros(4), texts(4), 0)
    assert train.tolist() == [True, False, False, True] and held.tolist() == [False, True, False, False]


def test_valid_by_booleans_and_by_index_labels():
    assert valid_rows(rows_of(held=[True, False, False, True]), "held", np.zeros(4), texts(4), 0)[1].tolist() == [
        True,
        False,
        False,
        True,
    ]
    assert valid_rows(rows_of(), [11, 13], np.zeros(4), texts(4), 0)[1].tolist() == [False, True, False, True]


@pytest.mark.parametrize("valid", [0, None])
def test_valid_may_be_empty(valid):
    train, held = valid_rows(rows_of(), valid, np.zeros(4), texts(4), 0)
    assert train.all() and not held.any()


@pytest.mark.parametrize("valid", ["split", []])
def test_a_split_without_validation_rows_warns(valid):
    with pytest.warns(UserWarning, match="selects no validation rows: training runs without validation"):
        train, held = valid_rows(rows_of(split=["train"] * 4), valid, np.zeros(4), texts(4), 0)
    assert train.all() and not held.any()


@pytest.mark.parametrize(
    ("valid", "message"),
    [
        ("splt", "valid='splt' is not a column of df.*Did you mean 'split'"),
        ("part", r"contains \['holdout'\]; allowed are train, training, valid"),
        ([99], "1 label that df.index does not have, such as 99"),
        ([10, 11, 12, 13], "leaves no training rows: 4 of 4 are validation rows"),
        (-0.1, "cannot hold out a fraction of -0.1"),
        (1.5, "cannot hold out a fraction of 1.5"),
    ],
)
def test_invalid_valid(valid, message):
    df = rows_of(split=["train"] * 4, part=["holdout"] * 4)
    with pytest.raises(ValueError, match=message):
        valid_rows(df, valid, np.zeros(4), texts(4), 0)
