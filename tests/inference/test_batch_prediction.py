"""Files of any size: every row is predicted, in order, and keeps its columns."""

import json

import numpy as np
import pandas as pd
import pytest

import kickbert
from kickbert.data.tables.reading import read_rows
from kickbert.inference import batch_prediction
from kickbert.inference.batch_prediction import failing_rows, output_columns, predict_file


@pytest.fixture(scope="module")
def model(served):
    return kickbert.load(served / "one", backend="torch")


@pytest.mark.parametrize("kind", ["csv", "tsv", "csv.gz", "jsonl", "parquet", "xlsx"])
def test_files_of_every_kind_keep_their_order(model, tmp_path, kind):
    pytest.importorskip({"parquet": "pyarrow", "xlsx": "openpyxl"}.get(kind, "json"))
    rows = pd.DataFrame({"id": [f"{i:03}" for i in range(95)], "text": [f"a warm film {i}" for i in range(95)]})
    rows.loc[[3, 50], "text"] = None
    source = tmp_path / f"in.{kind}"
    write = {
        "parquet": rows.to_parquet,
        "jsonl": lambda p: rows.to_json(p, orient="records", lines=True),
        "xlsx": lambda p: rows.to_excel(p, index=False),
    }
    sep = "\t" if kind == "tsv" else ","
    write.get(kind, lambda p: rows.to_csv(p, index=False, sep=sep))(source)
    done = predict_file(model, source, tmp_path / f"out.{kind}", chunk_rows=20)
    assert (done.rows, done.without_text, done.first_without_text) == (95, 2, [3, 50])
    out = read_rows(done.out)
    assert out["id"].astype(str).str.zfill(3).tolist() == rows["id"].tolist()
    expected = model.predict_df(rows.dropna())
    assert (
        out["predicted_label"].dropna().tolist() == expected["predicted_label"].tolist()
        and out["predicted_label"].isna().sum() == 2
    )
    np.testing.assert_allclose(out["prob_good"].dropna(), expected["prob_good"], atol=1e-5)


def test_bad_lines_and_a_column_name_that_exists(model, tmp_path):
    (tmp_path / "in.csv").write_text("headline,label\na wärm film,1,\nx,y,z\n\xff bad,2\n", encoding="latin-1")
    done = predict_file(model, tmp_path / "in.csv", tmp_path / "out.csv", text_col=["headline"])
    assert done.rows == 2 and len(done.skipped) == 1 and "line 3" in done.skipped[0]
    assert len(done.notes) == 1 and "encoding 'cp1252'" in done.notes[0]
    out = read_rows(done.out)
    assert out.columns.tolist()[:3] == ["headline", "label", "predicted_label"] and out["label"].tolist() == [1, 2]
    assert out["headline"].tolist() == ["a wärm film", "ÿ bad"]
    done = predict_file(model, tmp_path / "in.csv", done.out, text_col=["headline"], encoding="cp1250", sep=",")
    assert read_rows(done.out)["headline"][1] == "˙ bad" and not done.notes


@pytest.mark.parametrize("labeled", [True, False])
def test_predicting_twice_replaces_the_first_predictions(model, tmp_path, labeled):
    header, cells = ("text,label", ",x") if labeled else ("text", "")
    (tmp_path / "in.csv").write_text(f"{header}\na warm film{cells}\n")
    once = predict_file(model, tmp_path / "in.csv", tmp_path / "once.csv")
    twice = predict_file(model, once.out, tmp_path / "twice.csv")
    assert twice.out.read_text() == once.out.read_text() and not once.notes
    assert twice.notes == [
        "columns of an earlier prediction were replaced: predicted_label, confidence, prob_bad, prob_good"
    ]


def test_rows_that_raise_errors_are_skipped_on_request(predictor, tmp_path):
    pd.DataFrame({"text": ["a film", "brittle", None, "a story"]}).to_csv(tmp_path / "in.csv", index=False)
    done = predict_file(predictor, tmp_path / "in.csv", tmp_path / "out.csv", skip_errors=True)
    assert (done.rows, done.failed, done.without_text) == (4, 1, 1)
    assert done.first_failed == [(1, "ValueError: it broke")] and done.first_without_text == [2]
    assert read_rows(done.out)["predicted_label"].isna().tolist() == [False, True, True, False]
    with pytest.raises(ValueError, match="it broke"):
        predict_file(predictor, tmp_path / "in.csv", tmp_path / "out.csv")


def test_failing_rows_are_found_by_halving(predictor, monkeypatch):
    texts = [f"a film {i}" for i in range(40)]
    texts[7] = texts[8] = texts[39] = "brittle"
    assert list(failing_rows(predictor, pd.DataFrame({"text": texts}))) == [7, 8, 39]
    monkeypatch.setattr(batch_prediction, "MAX_FAILED", 2)
    with pytest.raises(RuntimeError, match="more than 2 rows raise errors; the last one: ValueError: it broke"):
        failing_rows(predictor, pd.DataFrame({"text": texts}))


def test_output_columns_are_unique():
    predicted = ["predicted_label", "confidence", "prob_a"]
    assert output_columns(["label", "confidence", "predicted_confidence"], predicted) == (
        [],
        {"predicted_label": "predicted_label", "confidence": "predicted_confidence_2", "prob_a": "prob_a"},
    )


@pytest.mark.parametrize("predicted", [["predicted_label"], ["predicted_label", "confidence", "prob_a"]])
def test_a_column_predicted_label_of_something_else_is_refused(predicted):
    with pytest.raises(ValueError, match=r"column 'predicted_label'.*rename it, or leave it out"):
        output_columns(["text", "predicted_label", "confidence"], predicted)


def test_a_column_predicted_label_that_is_left_out(model, tmp_path):
    (tmp_path / "in.csv").write_text("text,predicted_label\na film,spam\n")
    with pytest.raises(ValueError, match="has a column 'predicted_label'"):
        predict_file(model, tmp_path / "in.csv", tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()
    predict_file(model, tmp_path / "in.csv", tmp_path / "out.csv", keep=["text"])
    assert read_rows(tmp_path / "out.csv")["predicted_label"][0] in ("good", "bad")


def test_the_file_to_predict_is_not_overwritten(model, tmp_path):
    file = tmp_path / "in.csv"
    file.write_text("text\na film\n")
    (tmp_path / "link.csv").symlink_to(file)
    for out in ("in.csv", "link.csv"):
        with pytest.raises(ValueError, match=r"is the file to predict, and would be overwritten\. Give another name"):
            predict_file(model, file, tmp_path / out)
    assert file.read_text() == "text\na film\n"


@pytest.mark.parametrize("name", ["a|b", "a "])
def test_a_label_that_a_cell_of_several_cannot_hold_is_noted(make, reviews, tmp_path, name):
    learn = make(reviews.assign(label=[[name], [name, "c"]] * 60))
    (tmp_path / "in.csv").write_text("text\na film\n")
    done = predict_file(learn, tmp_path / "in.csv", tmp_path / "out.csv")
    assert f"label {name!r} cannot be told apart in a list separated by '|'; read the probabilities" in done.notes


def test_integer_classes_stay_integers(tiny, reviews, tmp_path):
    learn = kickbert.learner_from_df(reviews.assign(label=reviews["label"].eq("good").astype(int)), model=tiny)
    lines = [{"text": None}, {"text": "a film"}, {"late": 1, "text": "a story"}]
    (tmp_path / "in.jsonl").write_text("\n".join(map(json.dumps, lines)))
    for name in ("out.csv", "out.parquet"):
        done = predict_file(learn, tmp_path / "in.jsonl", tmp_path / name, chunk_rows=1)
        out = read_rows(done.out)
        assert out["predicted_label"].dtype == "Int64" and set(out["predicted_label"][1:]) <= {0, 1}, name
        assert out["late"].notna().tolist() == [False, False, True] and done.first_without_text == [0]


@pytest.mark.parametrize("task", ["strings", "integers", "booleans", "mixed", "several", "number", "bins"])
@pytest.mark.filterwarnings("ignore:.*in training")
def test_column_types_do_not_depend_on_the_rows(make, reviews, tmp_path, task):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    good, amount = reviews["label"] == "good", np.arange(120.0)
    labels = {"strings": reviews["label"], "integers": good.astype(int), "booleans": good, "number": amount,
              "mixed": good.map({True: 1, False: "none"}), "several": [[name] for name in reviews["label"]],
              "bins": amount}  # fmt: skip
    options = {"number": {"task": "regression"}, "bins": {"bins": 3}}.get(task, {})
    learn = make(reviews.assign(label=labels[task]), **options)
    schemas = []
    for texts in (["a film", "a story"], ["a film", None], [None]):
        pq.write_table(pa.table({"text": pa.array(texts, pa.string())}), tmp_path / "in.parquet")
        done = predict_file(learn, tmp_path / "in.parquet", tmp_path / "out.parquet")
        predicted = pq.read_table(done.out)
        assert predicted.column_names[1] == "predicted_label"
        schemas.append(predicted.schema.remove_metadata())
        assert predicted.column(1).null_count == texts.count(None)
    assert schemas[0] == schemas[1] == schemas[2]
    decision = {"integers": "int64", "booleans": "bool", "number": "double"}.get(task, "string")
    assert str(schemas[0].types[1]) == decision, schemas[0]


@pytest.mark.parametrize(
    ("content", "out", "message"),
    [
        ("a,b\n1,2\n", "out.csv", r"has no column 'text'\. Columns: \['a', 'b'\]"),
        ("", "out.csv", "cannot be read"),
        ("text\n", "out.csv", "has no rows"),
        ("text\na\n", "out.txt", r"has the extension '\.txt'"),
    ],
)
def test_invalid_files(model, tmp_path, content, out, message):
    (tmp_path / "in.csv").write_text(content)
    with pytest.raises(ValueError, match=message):
        predict_file(model, tmp_path / "in.csv", tmp_path / out)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.csv"]  # no partial output
    with pytest.raises(
        ValueError, match=r"text_col=\['a', 'b'\] must name 1 different columns, for the model's \['text'\]"
    ):
        predict_file(model, tmp_path / "in.csv", tmp_path / "out.csv", text_col=["a", "b"])
    with pytest.raises(ValueError, match="File not found"):
        predict_file(model, tmp_path / "none.csv", tmp_path / "out.csv")
