"""The three sentences about a table: problems first."""

import pandas as pd

from kickbert.data.findings import findings

FINE = {"rows": 100, "rows without text": 0, "exact duplicates": 0, "groups of near duplicates": 0, "median tokens": 9}


def found(counts, classes=(50, 50), truncated=0.0):
    summary = pd.DataFrame({"statistic": list(counts), "value": list(counts.values())})
    rows = pd.DataFrame({"class": [f"c{i}" for i in range(len(classes))], "rows": classes})
    lengths = pd.DataFrame({"max_length": [512], "share truncated": [truncated]})
    tables = {"classes": rows.assign(share=rows["rows"] / rows["rows"].sum()), "lengths": lengths}
    return findings(summary, tables)


def test_problems_come_first():
    bad = FINE | {"test rows also in the training set": 6, "exact duplicates": 28, "rows without text": 1}
    leak, classes, empty = found(bad, classes=(90, 10))
    assert leak.startswith("6 test rows also in the training set")
    assert "'c0' has 90 rows (90%), 'c1' has 10" in classes and empty.startswith("1 row without text")


def test_three_sentences_about_a_table_without_problems():
    assert found(FINE | {"classes": 2}) == [
        "100 rows in 2 classes.",
        "The median text has 9 tokens.",
        "No exact duplicates and no rows without text.",
    ]
    assert found(FINE, truncated=0.5)[0] == "50% of the texts are longer than 512 tokens and would be truncated."
