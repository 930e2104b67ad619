"""A DataFrame goes in; labels come out as a DataFrame and as files."""

import pandas as pd
import pytest

from kickbert.data.tables.reading import read_rows
from kickbert.labeling import export_labels, read
from kickbert.labeling.classes import ClassList
from kickbert.labeling.database import LabelDatabase, Lease
from kickbert.labeling.tables import add_table
from kickbert.targets.label_cells import label_lists


@pytest.fixture
def file(make_database):
    df = pd.DataFrame({"title": ["a", "b", None, None], "story": ["x", "y", "z", None]})
    database = make_database(df, classes=["good", "bad"], text_col=["title", "story"])
    assert database.setting("source") == "rows.csv"
    ids = {row.texts: row.id for row in database.rows()}
    assert set(ids) == {("a", "x"), ("b", "y"), ("", "z")}
    database.lease(Lease(ids["b", "y"], "random", {"label": "bad", "confidence": 0.75}, True), "browser")
    database.append(ids["b", "y"], "good", "anna", seconds=1.5, note="hm", shown=True)
    database.append(ids["", "z"], None, "anna")
    database.append(ids["a", "x"], "good", "anna")
    database.append(ids["a", "x"], "bad", "ben")
    return database.file


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
    assert read(file, history=True)["label"].tolist() == ["good", "good", "bad"]  # both people


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_export(file, tmp_path, ending):
    if ending == ".parquet":
        pytest.importorskip("pyarrow", reason="the extra kickbert[export] is not installed")
    out = export_labels(file, tmp_path / f"out{ending}")
    back = pd.read_csv(out) if ending == ".csv" else pd.read_parquet(out)
    columns = ["title", "story", "label", "who", "seconds", "strategy", "random", "row"]
    pd.testing.assert_frame_equal(
        *(df[columns].astype(object).where(df[columns].notna(), None) for df in (back, read(file)))
    )
    with pytest.raises(ValueError, match=r"labels cannot be written as '\.xls'; choose one of"):
        export_labels(file, tmp_path / "out.xls")


def test_an_empty_database(make_database):
    assert read(make_database().file).empty


def test_a_scale_is_read_in_order_and_several_labels_as_lists(make_database, tmp_path):
    df = pd.DataFrame({"text": ["a", "b"]})
    scale = make_database(df, classes=["low", "middle", "high"], task="ordinal")
    several = make_database(df, classes=["x", "y"], task="multi-label")
    for row, level, names in ((1, "high", ["x", "y"]), (2, "low", [])):
        scale.append(row, level, "anna")
        several.append(row, names, "anna")
    assert read(scale.file)["label"].cat.categories.tolist() == ["low", "high"]
    assert read(several.file)["label"].tolist() == [["x", "y"], []]
    export_labels(several.file, tmp_path / "several.csv")
    assert pd.read_csv(tmp_path / "several.csv")["label"].tolist() == ["x|y", "|"]


@pytest.mark.parametrize(
    ("task", "cells", "expected"),
    [("single label", ["x", None, "y"], ["x", "y"]), ("multi-label", ["y|x", None, "y"], [["y", "x"], ["y"]])],
)
def test_labels_that_a_table_already_has(make_database, task, cells, expected):
    df = pd.DataFrame({"text": ["a", "b", "c"], "label": cells}, index=[7, 8, 9])
    database = make_database(df, classes=(), task=task)
    for _ in range(2):  # the second time adds nothing
        add_table(database, df, "label", "rows.csv")
    labels = read(database.file, history=True)
    assert labels["text"].tolist() == ["a", "c"] and labels["label"].tolist() == expected
    assert set(labels["who"]) == {"rows.csv"} and set(labels["strategy"]) == {"table"}


def test_columns_are_checked(tmp_path):
    database = LabelDatabase(tmp_path / "labels.db", ["text"])
    with pytest.raises(ValueError, match="text_col='text' is not a column of df"):
        add_table(database, pd.DataFrame({"texts": ["a"]}))
    with pytest.raises(ValueError, match="label_col='label' is not a column of df"):
        add_table(database, pd.DataFrame({"text": ["a"]}), "label")
    database.close()
    database = LabelDatabase(tmp_path / "other.db", ["note"])
    with pytest.raises(ValueError, match="text column 'note' has the name of a column of the labels; rename it"):
        add_table(database, pd.DataFrame({"note": ["a"]}))
    database.close()


def test_texts_are_stored_unchanged(make_database):
    odd = ["<script>alert(1)</script>", "naïve \u202eright to left", "null \x00 byte", "x" * 1_000_000, "lone \ud800"]
    database = make_database(pd.DataFrame({"text": odd}, dtype=object), classes=["x"])
    for row in database.rows():
        database.append(row.id, "x", "anna")
    assert sorted(read(database.file)["text"]) == sorted([*odd[:4], "lone ?"])


TEXTS = ["10.50", "007", "NA", "null", "", " spaced  out ", "line\nbreak", 'a "quote"', "a,b", "1e5", "a|b", "None"]


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
@pytest.mark.parametrize(
    ("task", "names", "delim"), [("single label", ["01", "arts, crafts", "NA"], None),
                                 ("multi-label", ["01", "arts, crafts", "NA"], "|")],
)  # fmt: skip
def test_training_reads_the_labeled_texts_and_labels_from_an_export(
    make_database, tmp_path, task, names, delim, ending
):
    if ending == ".parquet":
        pytest.importorskip("pyarrow", reason="the extra kickbert[export] is not installed")
    pd.DataFrame({"text": TEXTS}).to_csv(tmp_path / "rows.csv", index=False)
    database = make_database(read_rows(tmp_path / "rows.csv", text_col=["text"]), names, task=task)
    for i, row in enumerate(database.rows()):
        several = [name for j, name in enumerate(names) if i >> j & 1]
        database.append(row.id, several if delim else names[i % 3], "anna")
    df = read(database.file)
    assert sorted(df["text"]) == sorted(filter(None, TEXTS))
    back = read_rows(export_labels(database.file, tmp_path / f"out{ending}"), text_col=["text"])
    assert back["text"].tolist() == df["text"].tolist()
    cells = label_lists(back["label"], delim) if delim else back["label"].tolist()
    assert [list(cell) for cell in cells] == [list(cell) for cell in df["label"]]


def test_names_of_a_table_are_on_one_line(make_database):
    database = make_database(pd.DataFrame({"text": ["a", "b"]}), classes=["film news"])
    add_table(database, pd.DataFrame({"text": ["a", "b"], "label": ["film  news", "arts,\ncrafts"]}), "label")
    assert sorted(read(database.file)["label"]) == ["arts, crafts", "film news"]
    assert ClassList(database).names() == ["film news", "arts, crafts"]
    assert ClassList(database).rename("film news", "arts,  crafts") == "arts, crafts"  # merged
