"""A session: different texts per browser, one in five at random, hidden suggestions, undone labels."""

from collections import Counter

import pandas as pd
import pytest
from helpers.labeling import label_next, settle, topic_of
from helpers.topics import embed, topics

pytest.importorskip("skactiveml", reason="the extra kickbert[label] is not installed")

from kickbert.labeling.database import Lease
from kickbert.labeling.session import LabelingSession, Settings
from kickbert.labeling.tables import labels_frame

pytestmark = pytest.mark.usefixtures("no_assessment")


@pytest.fixture
def opened(make_database):
    """Open a session on one database, as a restarted server would."""

    def make(settings=None, table=None) -> LabelingSession:
        table = topics(120, seed=8) if table is None else table
        return LabelingSession(make_database(table, name="labels.db"), embed, settings=settings)

    return make


def test_one_text_in_five_is_random_and_some_suggestions_are_hidden(opened):
    session = opened(Settings(hidden_first=10))
    first = label_next(session, 10)
    assert all(item["suggestion"] is None for item in first)
    later = label_next(session, 30)
    assert len({item["row"] for item in first + later}) == 40
    hidden = sum(item["suggestion"] is None for item in later)
    assert 2 <= hidden <= 12
    df = labels_frame(session.database)
    chosen = Counter(df["strategy"])
    assert 7 <= chosen["random"] <= 9 and chosen["breaking_ties"] >= 20, chosen
    assert df["suggestion"][10:].notna().all()  # stored even where it was hidden
    assert df["shown"].sum() == 30 - hidden and not df["shown"][:10].any()
    agreement = session.progress()["agreement"]
    assert agreement["shown"][1] == 30 - hidden and agreement["hidden"][1] >= hidden


def test_two_browsers_get_different_texts_and_keep_them(opened):
    session = opened()
    settle(session.model)
    one, two = session.next("one"), session.next("two")
    assert len({item["row"] for item in one + two}) == 6
    assert [item["row"] for item in session.next("one")] == sorted(item["row"] for item in one)
    other = opened()  # another process on the same file
    assert not {item["row"] for item in other.next("three")} & {item["row"] for item in one + two}
    assert {item["row"] for item in other.next("one")} == {item["row"] for item in one}  # also after a restart


def test_undo_without_limit(opened):
    session = opened()
    items = label_next(session, 6)
    for item in reversed(items):
        again = session.undo("b", "anna")
        assert again["row"] == item["row"] and again["previous"]["label"] == topic_of(item["texts"][0])
    assert session.undo("b", "anna") is None and session.database.count_labeled() == 0
    assert {item["row"] for item in session.next("b", 6)} == {item["row"] for item in items}


def test_back_changes_a_label_in_place(opened):
    session = opened()
    items = label_next(session, 3)
    last = session.back("anna")
    before = session.back("anna", last["previous"]["id"])
    assert [last["row"], before["row"]] == [items[2]["row"], items[1]["row"]]
    session.label(before["row"], "travel", "anna")
    assert session.item(before["row"])["previous"]["label"] == "travel" and session.database.count_labeled() == 3


def test_abandoned_texts_return_at_the_end(opened):
    session = opened(table=topics(12, seed=9))
    session.next("gone", 3)
    session.database.select("UPDATE leases SET until = '2000'")  # and never came back
    assert len({item["row"] for item in label_next(session, 12)}) == 12
    assert session.next("b") == [] and session.progress()["labeled"] == 12


def test_near_duplicates_are_asked_once(opened):
    texts = topics(12, seed=9)
    texts["text"] = [text.rsplit(" ", 1)[0] for text in texts["text"]]
    session = opened(table=pd.concat([texts, texts.assign(text=texts["text"] + "!")]))
    assert len(session.next("b", 24)) == 12


def test_long_texts_and_markup(opened):
    session = opened(table=pd.DataFrame({"text": ["one", "x" * 10**6, "<b>bold</b>", "two"]}))
    settle(session.model)
    texts = {item["texts"][0] for item in session.next("b", 4)}
    assert texts == {"one", "x" * 10**6, "<b>bold</b>", "two"}


def test_errors(opened, make_database):
    session = opened()
    with pytest.raises(ValueError, match=r"row 9999 was added after this page started; restart kickbert label"):
        session.label(9999, "sport", "anna")
    with pytest.raises(ValueError, match="'tennis' is not a class"):
        session.label(session.rows[0].id, "tennis", "anna")
    with pytest.raises(ValueError, match="strategy='x' is not one of"):
        Settings(strategy="x")
    with pytest.raises(ValueError, match="random_share=2 must be between 0 and 1"):
        Settings(random_share=2)
    with pytest.raises(ValueError, match=r"none\.db has no texts to label"):
        LabelingSession(make_database(pd.DataFrame({"text": [""]}), name="none.db"), embed)


def test_rows_and_leases_of_another_process_are_ignored(opened):
    session = opened()
    session.database.lease(Lease(12345), "b")
    assert 12345 not in [item["row"] for item in session.next("b")]
    label_next(session, 6)
    other = opened(table=pd.concat([topics(120, seed=8), topics(5, seed=99)]))
    new = next(row for row in other.rows if row.id not in session.position)
    other.label(new.id, "sport", "ben")
    label_next(session, 6)
    assert session.model.fit.labels == 10 and session.progress()["labeled"] == 13
