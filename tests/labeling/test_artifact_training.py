"""An artifact trained on the labels of a database."""

from helpers.topics import WORDS, topics

import kickbert
from kickbert.labeling.artifact_training import train_from_labels


def test_an_artifact_of_the_labels(make_database, tiny, tmp_path):
    df = topics(60, seed=3, topic_words=5)
    df["text"] = [" ".join(text.split()[:6]) for text in df["text"]]
    database = make_database(df, classes=WORDS)
    for row in database.rows()[:40]:
        database.append(row.id, df["label"][row.position], "anna")
    result = train_from_labels(database.file, tmp_path / "model", tiny)
    assert result["rows"] == 40 and 0 < result["judged"] < 40
    value, low, high = result["scores"]["accuracy"]
    assert 0 <= low <= value <= high <= 1 and high - low > 0.1  # of a handful of rows
    assert result["folder"].endswith("v1")
    assert kickbert.load(tmp_path / "model", backend="torch").labels == sorted(WORDS)
