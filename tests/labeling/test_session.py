"""What a browser gets: different texts, one in five at random, suggestions that are held back, labels undone."""

from collections import Counter

import pandas as pd
import pytest
from helpers.topics import WORDS, embed, topics

pytest.importorskip("skactiveml", reason="the extra kickbert[label] is not installed")

from kickbert.labeling.classes import ClassList, add_classes
from kickbert.labeling.database import LabelDatabase, Lease
from kickbert.labeling.session import LabelingSession, Settings
from kickbert.labeling.tables import add_table, labels_frame


@pytest.fixture
def opened(tmp_path):
    """A function that opens a session on one database, as a restarted server would."""
    df = topics(200, seed=8)
    databases = []

    def make(settings=None, table=df) -> LabelingSession:
        database = LabelDatabase(tmp_path / "labels.db", ["text"])
        databases.append(database)
        add_table(database, table)
        add_classes(ClassList(database), WORDS)
        return LabelingSession(database, embed, settings=settings)

    make.truth = dict(zip(df["text"], df["label"], strict=True))
    yield make
    for database in databases:
        database.close()


def settle(session) -> None:
    while session.model.step():
        pass


def label_some(session, truth, count, browser="b", who="anna") -> list[dict]:
    """Label the next texts truly, the model keeping up; what was shown."""
    shown = []
    for _ in range(count):
        settle(session)
        item = session.next(browser, 1)[0]
        session.label(item["row"], truth[item["texts"][0]], who)
        shown.append(item)
    return shown


def test_one_text_in_five_is_random_and_none_comes_twice(opened):
    session = opened()
    shown = label_some(session, opened.truth, 50)
    assert len({item["row"] for item in shown}) == 50
    chosen = Counter(labels_frame(session.database)["strategy"])
    assert 9 <= chosen["random"] <= 11 and chosen["breaking_ties"] >= 30, chosen


def test_suggestions_are_held_back_at_first_and_for_one_text_in_five(opened):
    session = opened()
    shown = label_some(session, opened.truth, 20)
    assert all(item["suggestion"] is None for item in shown)
    later = label_some(session, opened.truth, 60)
    hidden = sum(item["suggestion"] is None for item in later)
    assert 5 <= hidden <= 20
    df = labels_frame(session.database)
    assert df["suggestion"][20:].notna().all()  # what the model would have said is on record all the same
    assert df["shown"].sum() == 60 - hidden and not df["shown"][:20].any()
    agreement = session.progress()["agreement"]
    assert agreement["shown"][1] == 60 - hidden and agreement["hidden"][1] >= hidden


def test_two_browsers_get_different_texts_and_keep_them(opened):
    session = opened()
    settle(session)
    one, two = session.next("one"), session.next("two")
    assert len({item["row"] for item in one + two}) == 6
    assert [item["row"] for item in session.next("one")] == sorted(item["row"] for item in one)
    other = opened()  # another process on the same file
    assert not {item["row"] for item in other.next("three")} & {item["row"] for item in one + two}
    assert {item["row"] for item in other.next("one")} == {item["row"] for item in one}  # a restart takes nothing away


def test_undo_as_far_back_as_one_likes(opened):
    session = opened()
    shown = label_some(session, opened.truth, 6)
    for item in reversed(shown):
        again = session.undo("b", "anna")
        assert again["row"] == item["row"] and again["given"]["label"] == opened.truth[item["texts"][0]]
    assert session.undo("b", "anna") is None and session.database.labelled() == 0
    assert {item["row"] for item in session.next("b", 6)} == {item["row"] for item in shown}


def test_back_changes_a_label_in_place(opened):
    session = opened()
    shown = label_some(session, opened.truth, 3)
    last = session.back("anna")
    before = session.back("anna", last["given"]["id"])
    assert [last["row"], before["row"]] == [shown[2]["row"], shown[1]["row"]]
    session.label(before["row"], "travel", "anna")
    assert session.item(before["row"])["given"]["label"] == "travel" and session.database.labelled() == 3


def test_all_are_labelled_at_last_and_what_another_left_comes_round(opened):
    session = opened(table=topics(12, seed=9))
    truth = {row.texts[0]: "sport" for row in session.rows}
    session.next("gone", 3)
    session.database.select("UPDATE leases SET until = '2000'")  # and never came back
    assert len({item["row"] for item in label_some(session, truth, 12)}) == 12
    assert session.next("b") == [] and session.progress()["labelled"] == 12


def test_nearly_the_same_text_is_asked_once(opened):
    texts = topics(12, seed=9)
    texts["text"] = [text.rsplit(" ", 1)[0] for text in texts["text"]]
    double = texts.assign(text=texts["text"] + "!")
    session = opened(table=pd.concat([texts, double]))
    assert len(session.next("b", 24)) == 12


def test_one_megabyte_and_markup_are_texts_like_others(opened):
    session = opened(table=pd.DataFrame({"text": ["one", "x" * 10**6, "<b>bold</b>", "two"]}))
    settle(session)
    shown = session.next("b", 4)
    assert sorted(len(item["texts"][0]) for item in shown)[-1] == 10**6
    assert "<b>bold</b>" in [item["texts"][0] for item in shown]


def test_what_cannot_be_is_told(opened, tmp_path):
    session = opened()
    with pytest.raises(ValueError, match=r"row 9999 is not among the texts that this page"):
        session.label(9999, "sport", "anna")
    with pytest.raises(ValueError, match="'tennis' is no class"):
        session.label(session.rows[0].id, "tennis", "anna")
    with pytest.raises(ValueError, match="strategy='x' is not one of"):
        Settings(strategy="x")
    with pytest.raises(ValueError, match="random_share=2 is no share; give a number from 0 to 1"):
        Settings(random_share=2)
    database = LabelDatabase(tmp_path / "none.db", ["text"])
    with pytest.raises(ValueError, match=r"none\.db has no texts to label"):
        LabelingSession(database, embed)
    database.close()


def test_a_lease_of_a_row_that_a_restart_does_not_know_is_no_harm(opened):
    session = opened()
    session.database.lease(Lease(12345), "b")
    assert 12345 not in [item["row"] for item in session.next("b")]


def test_rows_that_another_process_adds_are_no_harm(opened):
    session = opened()
    label_some(session, opened.truth, 6)
    other = opened(table=pd.concat([topics(200, seed=8), topics(5, seed=99)]))
    new = next(row for row in other.rows if row.id not in session.place)
    other.label(new.id, "sport", "ben")
    label_some(session, opened.truth, 6)
    assert session.model.fit.labels == 10 and session.progress()["labelled"] == 13
