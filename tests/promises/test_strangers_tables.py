"""Tables, labels, files and folders as other people and programs bring them: read right, or refused in a sentence."""

import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import kickbert
from kickbert.data.splits import held_out_folds
from kickbert.text.tokenization import SEP

HEAD = {"schedule": {"layers": (0,), "epochs": (1,), "lr": 5e-3}}


@pytest.fixture
def learn(make, reviews):
    return make(reviews)


@pytest.fixture
def pair(make, reviews):
    """A learner of two columns."""
    return make(reviews.assign(name="a film"), text_col=["name", "text"])


def messages(call) -> str:
    """The warnings of a call, and its error, as one text."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            call()
            error = ""
        except (ValueError, TypeError) as err:
            error = str(err)
    return " ".join([error, *(str(w.message) for w in caught)])


# One item, and many


class OtherFrame:
    """A table of another library, which is walked column by column."""

    def __iter__(self):
        return iter([np.array(["one", "two"])])

    def to_pandas(self):
        return pd.DataFrame({"text": ["one", "two"]})


ITEMS = [
    {"name": "Lamp", "text": "it glows"},
    ("Lamp", "it glows"),
    pd.Series({"name": "Lamp", "text": "it glows", "label": "good"}),
    "it glows",
    {"it glows", "it is warm"},
    OtherFrame(),
    7,
]


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: type(item).__name__)
def test_one_item_is_not_taken_for_many(pair, tmp_path, item):
    saved = kickbert.load(pair.save_artifact(tmp_path / "k"))
    calls = (pair.predict_proba, saved.predict_proba, pair.predict_df, saved.predict_df)
    for call in calls:
        with pytest.raises(TypeError, match="must be"):
            call(item)


def test_the_type_is_named_with_what_to_do():
    with pytest.raises(TypeError, match=r"not .*OtherFrame; convert it with its method to_pandas\(\)"):
        kickbert.split(OtherFrame())


def test_many_items_in_any_order_of_containers(learn, pair):
    texts = ["a bright film", "a real bore"]
    expected = learn.predict_proba(texts)
    for items in (np.array(texts), pd.Series(texts), pd.Series(texts, index=["a", "b"]), iter(texts)):
        np.testing.assert_allclose(learn.predict_proba(items), expected, atol=1e-6)
    frame = pd.DataFrame({"name": ["a film", "x"], "text": texts})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(pair.predict_proba(frame.to_numpy()), pair.predict_proba(frame), atol=1e-6)


# One text must not hurt another


def test_a_record_separator_is_white_space_and_no_row_is_too_long(make, reviews):
    reviews.loc[3, "text"] = f"a{SEP}" * 600
    learn = make(reviews, **HEAD)
    learn.fit_gradual()
    texts, empty = learn.read([SEP * 600, f"warm{SEP}film", "warm film"])
    rows = learn.dls.tokenizer.encode_batch(texts)[0]
    assert max(map(len, rows)) <= 64 and rows[1].tolist() == rows[2].tolist() and empty.tolist() == [True, False, False]


def test_more_columns_than_tokens(make, reviews):
    columns = {f"column {i}": "x" for i in range(80)}
    learn = make(reviews.assign(**columns), text_col=list(columns))
    assert max(map(len, learn.dls.tokenizer.encode_batch(learn.read(reviews.assign(**columns))[0])[0])) <= 64


@pytest.mark.parametrize("text", ["\u200b", "\ufeff", "\u2060", "\u00ad", "\x00", "\u3000"])
def test_a_text_that_nobody_can_see_is_missing(make, reviews, text):
    with pytest.warns(UserWarning, match="Skipped 1 row without a text"):
        learn = make(pd.concat([reviews, pd.DataFrame({"text": [text], "label": ["good"]})], ignore_index=True))
    assert learn.predict_df(pd.DataFrame({"text": ["a film", text]}))["predicted_label"].isna().tolist() == [
        False,
        True,
    ]


# Labels


@pytest.mark.parametrize("blank", ["", "  ", None, np.nan])
def test_a_blank_label_is_a_missing_one(make, reviews, blank):
    reviews.loc[:9, "label"] = blank
    with pytest.warns(UserWarning, match="Skipped 10 rows without a label"):
        assert make(reviews).target.names == ["bad", "good"]


@pytest.mark.parametrize("kind", ["delimiter", "lists", "columns"])
def test_rows_that_nobody_labeled_are_counted_and_not_scored(make, reviews, kind):
    labels = ["a", "a|b", "b"] * 20
    rows, options = reviews.assign(label=[*labels, *[None] * 60]), {"label_delim": "|"}
    if kind == "lists":
        rows, options = reviews.assign(label=[*(label.split("|") for label in labels), *[None] * 60]), {}
    if kind == "columns":
        rows = reviews.assign(x=[1, 1, 0] * 20 + [np.nan] * 60, y=[0, 1, 1] * 20 + [1] * 60)
        options = {"label_col": ["x", "y"]}
    with pytest.warns(UserWarning, match="Skipped 60 rows without a label"):
        learn = make(rows, **options)
    assert len(kickbert.evaluate(learn, rows).predictions) == 60
    with pytest.warns(UserWarning, match="60 rows without"):
        kickbert.split(rows, **{"label_col": "label"} | options)


def test_unknown_labels_of_an_evaluation_are_named(make, reviews):
    learn = make(reviews.assign(label=[["a"], ["a", "b"]] * 60))
    with pytest.warns(UserWarning, match="Ignored labels of 1 row whose label was not in the training data: 'new'"):
        evaluation = kickbert.evaluate(learn, reviews.assign(label=[["a", "new"]] + [["b"]] * 119))
    assert len(evaluation.predictions) == 120


@pytest.mark.parametrize(
    "cells", [["['a']", "['a', 'b']"], ["[1 0 1]", "[0 1 1]"], ['["a"]', "[]"], ["{'a'}", "{'b'}"]]
)
def test_lists_written_as_text_are_no_classes(make, reviews, cells):
    rows = reviews.assign(label=cells * 60)
    for call in (make, kickbert.split):
        with pytest.raises(ValueError, match=r"lists written as text.*ast\.literal_eval"):
            call(rows)
    assert make(rows, task="single label").target.task == "single label"


def test_lists_of_one_label_each(make, reviews):
    rows = reviews.assign(label=[[label] for label in reviews["label"]])
    assert "holds one label" in messages(lambda: make(rows))
    assert "df['label'].str[0]" in messages(lambda: make(rows, task="single label"))


@pytest.mark.parametrize("other", ["good ", "Good", "good\u00a0"])
def test_labels_that_look_alike_are_named_and_kept(make, reviews, other):
    reviews.loc[:4, "label"] = other
    with pytest.warns(UserWarning, match="differ only in blanks, case or Unicode form"):
        assert len(make(reviews).target.names) == 3


def test_minus_one_beside_class_numbers_is_asked_about(make, reviews):
    rows = reviews.assign(label=[1, 0, -1] * 40)
    for call in (make, kickbert.split):
        with pytest.warns(UserWarning, match="has -1 beside numbers from 0"):
            call(rows)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kickbert.split(reviews.assign(label=[1, -1] * 60))


ODD = {
    "intervals": pd.cut(np.arange(120.0), 4),
    "times": pd.to_datetime(["2030-01-01", "2030-02-01"] * 60),
    "bytes": [b"yes", b"no"] * 60,
}


@pytest.mark.parametrize("labels", ODD.values(), ids=ODD)
def test_labels_that_no_artifact_can_hold_are_refused_before_training(make, reviews, labels):
    with pytest.raises(ValueError, match=r"astype\(str\)"):
        make(reviews.assign(label=labels))


def test_a_dict_names_no_classes(make, reviews):
    with pytest.raises(ValueError, match="is a dict; give a list"):
        make(reviews.assign(label=[1, 0] * 60), labels={0: "no", 1: "yes"})


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ([1, 0], ["1", "0"]),
        (["1", "0"], [1, 0]),
        (["1", "0"], [1.0, np.nan]),
        ([True, False], ["TRUE", "FALSE"]),
        (["TRUE", "FALSE"], [True, False]),
        ([[1], [0, 1]], [["1"], ["0", "1"]]),
    ],
)
def test_labels_of_another_file_are_matched_by_how_they_are_written(make, reviews, here, there):
    learn = make(reviews.assign(label=here * 60), **HEAD)
    rows = reviews.assign(label=there * 60)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*not in the training data")
        predictions = kickbert.evaluate(learn, rows, compare=False, rounds=10).predictions
    known = rows["label"].notna().to_numpy()
    expected = learn.target.encode(reviews.assign(label=here * 60)["label"][known])
    np.testing.assert_array_equal(predictions.y_true, expected)


def test_labels_of_another_kind_are_refused_in_a_sentence(make, reviews):
    learn = make(reviews, **HEAD)
    with pytest.raises(ValueError, match=r"holds lists, such as \['good'\], but the task has one label.*str\[0\]"):
        kickbert.evaluate(learn, reviews.assign(label=[[label] for label in reviews["label"]]))
    for call in (make, kickbert.split, lambda rows: kickbert.evaluate(learn, rows)):
        with pytest.raises(ValueError, match=r"holds dicts.*map\(lambda cell: cell\['choices'\]\)"):
            call(reviews.assign(label=[{"choices": ["good"]}, {"choices": ["bad"]}] * 60))


@pytest.mark.parametrize("cell", ["['a', 'b']", '{"choices": ["a", "b"]}', '["a", "b"]'])
def test_a_list_written_as_text_among_names(make, reviews, cell):
    with pytest.raises(ValueError, match="lists written as text"):
        make(reviews.assign(label=["a", "b", cell] * 40))


def test_names_in_brackets_are_names(make, reviews):
    assert make(reviews.assign(label=["(other)", "a", "[b"] * 40)).target.names == ["(other)", "[b", "a"]


@pytest.mark.parametrize("error", ["#N/A", "#REF!"])
def test_the_error_of_a_spreadsheet_is_a_missing_cell(make, reviews, error):
    reviews.loc[:9, "label"] = error
    reviews.loc[10:14, "text"] = error
    said = messages(lambda: make(reviews))
    assert "Skipped 10 rows without a label" in said and "Skipped 5 rows without a text" in said


@pytest.mark.parametrize("name", ["nan", "NA"])  # by Python and by R
def test_a_class_nan_is_asked_about(make, reviews, name):
    reviews.loc[:9, "label"] = name
    with pytest.warns(UserWarning, match=f"has a class '{name}', as a missing cell is written by"):
        make(reviews)


# Columns


@pytest.mark.parametrize("kind", ["tuples", "levels"])
def test_column_names_of_several_levels(make, reviews, kind):
    names = [("a", "text"), ("a", "label")]
    rows = reviews.set_axis(pd.MultiIndex.from_tuples(names) if kind == "levels" else pd.Index(names), axis=1)
    learn = make(reviews, **HEAD)
    for call in (make, kickbert.split, learn.predict_df, learn.predict_proba):
        with pytest.raises(ValueError, match=r"column names of df are tuples.*df\.columns = "):
            call(rows)
    flat = rows.set_axis(["_".join(map(str, name)) for name in rows.columns], axis=1)
    assert make(flat, text_col="a_text", label_col="a_label").target.names == ["bad", "good"]


@pytest.mark.parametrize("column", ["text", "label"])
def test_two_columns_of_the_same_name(make, reviews, column):
    learn, rows = make(reviews, **HEAD), pd.concat([reviews, reviews[[column]]], axis=1)
    calls = [make, kickbert.explore, lambda rows: kickbert.evaluate(learn, rows)]
    calls += [learn.predict_df] if column == "text" else [kickbert.split]
    for call in calls:
        with pytest.raises(ValueError, match=f"{column}_col='{column}' is the name of 2 columns of df"):
            call(rows)
    assert make(rows.loc[:, ~rows.columns.duplicated()]).target.names == ["bad", "good"]


def test_lists_of_one_column_and_other_containers(make, reviews):
    for text_col in (["text"], pd.Index(["text"]), np.array(["text"])):
        learn = make(reviews, text_col=text_col, label_col=["label"])
        assert learn.text_col == ["text"] and learn.label_col == "label" and learn.target.names == ["bad", "good"]
    assert kickbert.split(reviews, label_col=["label"]).equals(kickbert.split(reviews, label_col="label"))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"text_col": ["text", "label"]}, "'label' is in text_col and in label_col"),
        ({"text_col": ["text", "text"]}, "has 'text' twice"),
        ({"text_col": []}, "names no column"),
        ({"text_col": None}, "text_col=None is not a column"),
        ({"label_col": None}, "label_col=None is not a column"),
    ],
)
def test_columns_that_cannot_be_read(make, reviews, columns, message):
    with pytest.raises(ValueError, match=message):
        make(reviews, **columns)


def test_the_only_column_of_texts(make, reviews, tiny, tmp_path, capsys):
    rows = reviews.rename(columns={"text": "review"})
    assert make(rows).text_col == ["review"] and "reading 'review'" in capsys.readouterr().out
    result = kickbert.cross_validate(rows, folds=2, model=tiny, path=tmp_path, folder=tmp_path / "folds", **HEAD)
    assert len(result.folds) == 2
    with pytest.raises(ValueError, match="several look like text"):
        kickbert.explore(rows.assign(title=rows["review"]))


def test_columns_with_numbers_as_names(make, reviews):
    rows = reviews.set_axis([0, 1], axis=1).assign(**{"2": 0}).rename(columns={"2": 2})
    learn = make(rows, text_col=0, label_col=1)
    assert learn.predict_df(rows)["predicted_label"].notna().all() and "1" in repr(learn)
    assert make(rows.assign(**{"3": [1, 0] * 60}), text_col=[0], label_col=["3", 2]).target.task == "multi-label"


# Splits and folds


def test_a_split_that_the_rows_bring_is_used(reviews):
    rows = reviews.assign(split=["Train"] * 80 + ["val"] * 20 + ["dev"] * 10 + ["test"] * 10)
    with pytest.warns(UserWarning, match=r"has a column 'split', which is used \(80 train, 30 valid, 10 test\)"):
        parts = kickbert.split(rows)["split"]
    assert parts.tolist() == ["train"] * 80 + ["valid"] * 30 + ["test"] * 10
    with pytest.raises(ValueError, match=r"column 'split' contains \['banana'\].*rename it"):
        kickbert.split(reviews.assign(split="banana"))


def test_validation_rows_by_a_mask(make, reviews):
    mask = np.arange(120) % 4 == 0
    learn = make(reviews, valid=mask)
    assert len(learn.dls.valid.dataset) == 30
    with pytest.raises(ValueError, match="looks like a mask; give booleans"):
        make(reviews, valid=mask.astype(int))


@pytest.mark.parametrize("valid", ["split", None, [0, 1, 2]])
def test_folds_take_a_share_to_validate_on(make, reviews, tiny, valid):
    with pytest.raises(ValueError, match="must be a share of the rows"):
        kickbert.cross_validate(reviews, folds=2, valid=valid, model=tiny)
    with pytest.raises(ValueError, match="by_size has no argument valid"):
        kickbert.experiments.by_size(reviews, [20, 40], valid=valid, model=tiny)


def test_predictions_of_folds_follow_positions_not_repeated_index_labels(reviews, tiny, tmp_path):
    rows = pd.concat([reviews, reviews.assign(text=reviews["text"] + "!")])
    rows.iloc[5, 0] = None
    caught = kickbert.cross_validate(rows, folds=2, model=tiny, path=tmp_path, **HEAD).probs
    assert caught.index.equals(rows.index) and np.flatnonzero(caught["confidence"].isna()).tolist() == [5]


@pytest.mark.parametrize("several", [False, True])
def test_a_class_weight_of_a_class_that_a_fold_lacks(reviews, tiny, tmp_path, several):
    rows = pd.concat([reviews, pd.DataFrame({"text": ["an odd film"], "label": ["rare"]})], ignore_index=True)
    if several:
        rows["label"] = [[label] for label in rows["label"]]
    options = {"model": tiny, "path": tmp_path, "class_weights": {"rare": 5.0}, **HEAD}
    assert len(kickbert.cross_validate(rows, folds=3, **options).folds) == 3
    assert len(kickbert.experiments.by_size(rows, [20, 40], repeats=1, **options)) == 2
    with pytest.raises(ValueError, match="unknown class 'odd'"):
        kickbert.cross_validate(rows, folds=3, **options | {"class_weights": {"odd": 5.0}})


def test_a_row_without_a_group_is_a_group_of_its_own(reviews, tiny, tmp_path):
    rows = reviews.assign(customer=["a", 7, None, " "] * 30)
    options = {"model": tiny, "path": tmp_path, "group_col": "customer", **HEAD}
    with pytest.warns(UserWarning, match="60 rows without a group in 'customer', each a group of its own: .2, 3, 6"):
        folds = kickbert.cross_validate(rows, folds=2, **options)
    assert folds.probs["predicted_label"].notna().all()


def test_no_fold_of_groups_is_empty():
    strata = np.array([1, 0, 0, 2, 2, 2, 1, 1, 1, 0])
    groups = np.array([0, 0, 0, 1, 1, 2, 2, 3, 3, 3])
    assert all(len(rows) for rows in held_out_folds(strata, groups, 4, seed=70))


# Folders, processes, other programs


def test_a_folder_that_cannot_be_written_costs_no_training(make, reviews, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError(30, "Read-only file system", "models")

    monkeypatch.setattr("kickbert.training.ladder.save_phase", refuse)
    with pytest.warns(UserWarning, match=r"Read-only file system\): training continues.*path="):
        assert len(make(reviews).fit_gradual()) == 2


def test_a_tilde_is_the_home_folder(make, reviews, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    learn = make(reviews, path="~/run", cache=kickbert.Cache(folder="~/states"), **HEAD)
    learn.fit_gradual()
    learn.save_artifact("~/models/films")
    kickbert.explore(reviews).to_html("~/films.html")
    assert kickbert.load("~/models/films").labels == ["bad", "good"]
    assert not Path("~").exists() and (tmp_path / "home" / "films.html").exists()


@pytest.mark.parametrize("name", ["rename", "replace"])
def test_a_file_that_another_program_holds_for_a_moment(learn, tmp_path, monkeypatch, name):
    real, left = getattr(os, name), [2]

    def busy(*args, **kwargs):
        if left[0]:
            left[0] -= 1
            raise PermissionError(13, "another program has it open", str(args[0]))
        return real(*args, **kwargs)

    monkeypatch.setattr(os, name, busy)
    assert (learn.save_artifact(tmp_path / "k") / "kickbert.json").exists() and left == [0]


def test_a_model_with_an_own_cleaning_step_is_copied_without_it(make, reviews, tmp_path, monkeypatch):
    def shorter(text):
        return text[:200]

    learn = make(reviews, cleaning=["remove_html", shorter])
    monkeypatch.setattr("kickbert.models.artifact.hub.upload", lambda *args: "its address")
    assert learn.push_to_hub("somebody/films") == "its address"
    folder = learn.save_artifact(tmp_path / "k")
    with pytest.raises(ValueError, match="shorter"):
        kickbert.load(folder)
    assert kickbert.load(folder, functions=[shorter]).labels == ["bad", "good"]
