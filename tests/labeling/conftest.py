"""Label databases for all tests of labeling."""

import pandas as pd
import pytest
from helpers.labeling import topic_of
from helpers.topics import WORDS, topics

from kickbert.labeling import background
from kickbert.labeling.classes import ClassList, add_classes
from kickbert.labeling.database import LabelDatabase
from kickbert.labeling.tables import add_table


@pytest.fixture
def make_database(tmp_path):
    """Make a database of texts on four topics, or of another table, in a file of its own unless named."""
    databases = []

    def make(df=60, classes=tuple(WORDS), text_col=("text",), task=None, name=None, labels=0, wait=5.0):
        file = tmp_path / (name or f"labels {len(databases)}.db")
        database = LabelDatabase(file, list(text_col), task, wait)
        databases.append(database)
        table = topics(df, seed=3, topic_words=5) if isinstance(df, int) else pd.DataFrame(df)
        add_table(database, table, name="rows.csv")
        add_classes(ClassList(database), classes)
        labeled = {row.id: topic_of(row.texts[0]) for row in database.rows()[:labels]}
        database.append_known(labeled, "anna", "random")
        return database

    yield make
    for database in databases:
        database.close()


@pytest.fixture
def no_assessment(monkeypatch):
    """Leave out the assessment after each fit, which takes most of the time."""
    monkeypatch.setattr(background, "assess", lambda *args, **kwargs: None)
