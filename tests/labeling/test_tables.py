"""A DataFrame goes in, labels come out as a DataFrame and as files."""

import pandas as pd
import pytest

from kickbert.labeling import export_labels, read
from kickbert.labeling.classes import ClassList, add_classes
from kickbert.labeling.database import LabelDatabase, Lease
from kickbert.labeling.tables import add_table


@pytest.fixture
def file(tmp_path):
    database = LabelDatabase(tmp_path / "labels.db", ["title", "story"])
    add_classes(ClassList(database), ["good", "bad"])
    df = pd.DataFrame({"title": ["a", "b", None, None], "story": ["x", "y", "z", None], "stars": [1, 2, 3, 4]})
    changes = add_table(database, df, name="rows.csv")
    assert (changes.new, changes.empty) == (3, 1) and database.setting("source") == "rows.csv"
    ids = {row.texts: row.id for row in database.rows()}
    database.lease(Lease(ids["b", "y"], "random", {"label": "bad", "confidence": 0.75}, True), "browser")
    database.append(ids["b", "y"], "good", "anna", seconds=1.5, note="hm")
    database.append(ids["", "z"], None, "anna")
    database.append(ids["a", "x"], "good", "anna")
    database.append(ids["a", "x"], "bad", "ben")
    yield database.file
    database.close()


def test_read(file):
    df = read(file)
    assert df[["title", "story", "label", "who", "row"]].values.tolist() == [
        ["b", "y", "good", "anna", 1],
        ["a", "x", "bad", "ben", 0],
    ]
    first = df.iloc[0]
    assert (first["seconds"], first["note"], first["strategy"]) == (1.5, "hm", "random") and first["random"]
    assert (first["suggestion"], first["confidence"], first["shown"]) == ("bad", 0.75, True)
    assert pd.isna(df["suggestion"][1]) and str(df["at"].dtype).endswith("UTC]")
    assert df.attrs == {"text_col": ["title", "story"], "task": "single label"}
    assert read(file, history=True)["label"].tolist() == ["good", "good", "bad"]  # both, who contradict one another


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_export_gives_the_same_back(file, tmp_path, ending):
    if ending == ".parquet":
        pytest.importorskip("pyarrow", reason="the extra kickbert[export] is not installed")
    out = export_labels(file, tmp_path / f"out{ending}")
    back = pd.read_csv(out) if ending == ".csv" else pd.read_parquet(out)
    columns = ["title", "story", "label", "who", "seconds", "strategy", "random", "row"]
    pd.testing.assert_frame_equal(
        *(df[columns].astype(object).where(df[columns].notna(), None) for df in (back, read(file)))
    )
    with pytest.raises(ValueError, match=r"labels are not written as '\.xls'; choose one of"):
        export_labels(file, tmp_path / "out.xls")


def test_a_scale_is_read_in_order_and_several_labels_as_lists(tmp_path):
    df = pd.DataFrame({"text": ["a", "b"]})
    database = LabelDatabase(tmp_path / "scale.db", ["text"], "ordinal")
    add_classes(ClassList(database), ["low", "middle", "high"])
    add_table(database, df)
    for row, label in ((1, "high"), (2, "low")):
        database.append(row, label, "anna")
    database.close()
    assert read(tmp_path / "scale.db")["label"].cat.categories.tolist() == ["low", "high"]
    database = LabelDatabase(tmp_path / "several.db", ["text"], "multi-label")
    add_classes(ClassList(database), ["x", "y"])
    add_table(database, df)
    for row, label in ((1, ["x", "y"]), (2, [])):
        database.append(row, label, "anna")
    database.close()
    assert read(tmp_path / "several.db")["label"].tolist() == [["x", "y"], []]
    export_labels(tmp_path / "several.db", tmp_path / "several.csv")
    assert pd.read_csv(tmp_path / "several.csv")["label"].fillna("").tolist() == ["x|y", ""]


def test_labels_that_a_table_has_already(tmp_path):
    database = LabelDatabase(tmp_path / "labels.db", ["text"])
    df = pd.DataFrame({"text": ["a", "b", "c"], "label": ["x", None, "y"]}, index=[7, 8, 9])
    add_table(database, df, "label", "rows.csv")
    add_table(database, df, "label", "rows.csv")  # the second time nothing is added
    database.close()
    found = read(tmp_path / "labels.db", history=True)
    assert found[["text", "label", "who", "strategy"]].values.tolist() == [
        ["a", "x", "rows.csv", "table"],
        ["c", "y", "rows.csv", "table"],
    ]


def test_columns_are_checked(tmp_path):
    database = LabelDatabase(tmp_path / "labels.db", ["text"])
    with pytest.raises(ValueError, match="text_col='text' is not a column of df"):
        add_table(database, pd.DataFrame({"texts": ["a"]}))
    database.close()
    database = LabelDatabase(tmp_path / "other.db", ["note"])
    with pytest.raises(ValueError, match="text column 'note' has a name that labels are read under; rename it"):
        add_table(database, pd.DataFrame({"note": ["a"]}))
    database.close()


def test_texts_keep_what_they_hold(tmp_path):
    odd = ["<script>alert(1)</script>", "naïve \u202eright to left", "null \x00 byte", "x" * 1_000_000, "lone \ud800"]
    database = LabelDatabase(tmp_path / "labels.db", ["text"])
    add_table(database, pd.DataFrame({"text": odd}, dtype=object))
    for row in database.rows():
        database.append(row.id, "x", "anna")
    database.close()
    assert sorted(read(tmp_path / "labels.db")["text"]) == sorted([*odd[:4], "lone ?"])
