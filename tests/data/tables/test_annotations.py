"""Exports of annotation tools, in the shapes that the tools write."""

import json

import numpy as np
import pandas as pd
import pytest

import kickbert
from kickbert.data.tables.annotations import read_annotations
from kickbert.data.tables.reading import read_rows

pytestmark = pytest.mark.filterwarnings("ignore:.* export. read as")


def labels(table, column="label") -> dict:
    """The label of each text, None where it has none."""
    df = read_annotations(table)
    return {
        text: label if isinstance(label, list) or pd.notna(label) else None
        for text, label in df[["text", column]].values
    }


def asked(text, label, answer, **more):
    """A binary question of Prodigy."""
    return {"text": text, "label": label, "_input_hash": 1, "_task_hash": 2, "answer": answer, **more}


def chosen(text, accept, answer="accept"):
    """A choice of Prodigy."""
    options = [{"id": "a", "text": "A"}, {"id": "b", "text": "B"}]
    return {"text": text, "options": options, "accept": accept, "answer": answer, "_view_id": "choice"}


def annotation(choices, name="tone", **more):
    """An annotation of Label Studio."""
    result = {"from_name": name, "to_name": "text", "type": "choices", "value": {"choices": choices}}
    return {"id": 1, "completed_by": 1, "result": [result] if choices else [], "was_cancelled": False, **more}


def task(text, *annotations):
    """A task of Label Studio."""
    guess = {"result": [{"from_name": "tone", "type": "choices", "value": {"choices": ["guess"]}}]}
    return {"id": 1, "data": {"text": text}, "annotations": list(annotations), "predictions": [guess]}


def minimal(number, text, tone, **more):
    """A row of Label Studio's JSON-MIN or CSV."""
    notes = {"annotator": 1, "annotation_id": 5, "created_at": "2030", "updated_at": "2030", "lead_time": 1.5}
    return {"id": number, "text": text, "tone": tone, **notes, **more}


def record(text, values, states=None, name="label"):
    """A flat record of Argilla."""
    states = ["submitted"] * len(values) if states is None else states
    return {"id": text, "status": "completed", "_server_id": None, "text": text,
            f"{name}.responses": values if len(values) else None,
            f"{name}.responses.users": ["u"] * len(values), f"{name}.responses.status": states,
            f"{name}.suggestion": "guess", f"{name}.suggestion.score": 0.9}  # fmt: skip


def test_prodigy_rejected_and_ignored_labels_are_not_given():
    rows = [asked("x", "A", "accept"), asked("y", "A", "reject"), asked("y", "B", "accept"), asked("z", "B", "ignore")]
    assert labels(rows) == {"x": "A", "y": "B", "z": None}


def test_prodigy_a_single_label_makes_two_classes():
    rows = [asked("x", "SPAM", "accept"), asked("y", "SPAM", "reject"), asked("z", "SPAM", "ignore")]
    assert labels(rows) == {"x": "SPAM", "y": "not SPAM", "z": None}


def test_prodigy_several_accepted_labels_are_a_list():
    rows = [asked("x", "A", "accept"), asked("x", "B", "accept"), asked("y", "B", "accept"), asked("y", "A", "reject")]
    assert labels(rows) == {"x": ["A", "B"], "y": ["B"]}


def test_prodigy_choices():
    rows = [chosen("x", ["a"]), chosen("y", ["b"], "reject"), chosen("z", ["b"], "ignore"), chosen("w", [])]
    assert labels(rows) == {"x": "a", "y": None, "z": None, "w": None}
    assert labels([*rows, chosen("v", ["b", "a"])]) == {"x": ["a"], "y": None, "z": None, "w": [], "v": ["b", "a"]}


def test_prodigy_annotators_vote():
    rows = [chosen("x", ["a"]), chosen("x", ["a"]), chosen("x", ["b"]), chosen("y", ["a"]), chosen("y", ["b"])]
    assert labels(rows) == {"x": "a", "y": None}
    assert labels([asked("x", "A", "accept"), asked("x", "A", "reject"), asked("y", "B", "accept")])["x"] is None


def test_an_own_column_called_answer_is_no_export():
    df = pd.DataFrame({"text": ["x", "y"], "label": ["a", "b"], "answer": ["yes", "accept"]})
    assert read_annotations(df) is df


def test_label_studio_skipped_annotations_and_predictions_are_no_labels():
    skipped = annotation(["good"], was_cancelled=True)
    assert labels([task("x", annotation(["good"])), task("y", skipped), task("z")]) == {
        "x": "good",
        "y": None,
        "z": None,
    }


def test_label_studio_annotators_vote_and_the_ground_truth_decides():
    good, bad = annotation(["good"]), annotation(["bad"])
    truth = annotation(["bad"], ground_truth=True)
    rows = [task("x", good, bad, good), task("y", good, bad), task("z", good, good, truth)]
    assert labels(rows) == {"x": "good", "y": None, "z": "bad"}


def test_label_studio_several_choices_and_several_questions():
    rows = [task("x", annotation(["a", "b"])), task("y", annotation([])), task("z")]
    assert labels(rows) == {"x": ["a", "b"], "y": [], "z": None}
    both = annotation(["good"])
    both["result"].append({"from_name": "stars", "type": "rating", "value": {"rating": 4}})
    assert labels([task("x", both)], "stars") == {"x": 4} and labels([task("x", both)], "tone") == {"x": "good"}


@pytest.mark.parametrize("write", [dict, json.dumps])
def test_label_studio_rows(write):
    rows = [minimal(1, "x", "good"), minimal(2, "y", "bad"), minimal(3, "y", "bad", was_cancelled="True")]
    assert labels(rows, "tone") == {"x": "good", "y": "bad"}
    rows += [minimal(4, "z", write({"choices": ["good", "bad"]}))]
    assert labels(rows, "tone") == {"x": ["good"], "y": ["bad"], "z": ["good", "bad"]}
    rows = [minimal(1, "x", "good"), minimal(1, "x", "bad"), minimal(2, "y", "bad"), minimal(2, "y", "bad")]
    assert labels(rows, "tone") == {"x": None, "y": "bad"}


def test_argilla_submitted_responses_count():
    rows = [record("x", ["a", "b", "a"]), record("y", ["a"], ["discarded"])]
    rows += [record("z", ["b", "a"], ["submitted", "draft"]), record("w", [])]
    assert labels(rows) == {"x": "a", "y": None, "z": "b", "w": None}
    arrays = [record("x", np.array([np.array(["a", "b"], object)], object)), record("y", [["a"]])]
    assert labels(pd.DataFrame(arrays)) == {"x": ["a", "b"], "y": ["a"]}
    assert labels([record("x", [4], name="stars")]) == {"x": 4}


def test_argilla_nested_records_are_refused():
    rows = [{"id": "1", "fields": {"text": "x"}, "responses": {"label": [{"value": "a", "user_id": "u"}]}}]
    with pytest.raises(ValueError, match=r"do not tell submitted responses.*to_list\(flatten=True\)"):
        read_annotations(rows)


def test_doccano_lists_and_joined_labels():
    rows = [{"id": i, "text": text, "label": label, "Comments": []} for i, (text, label) in enumerate(
        [("x", ["a"]), ("y", []), ("z", ["b"])])]  # fmt: skip
    assert labels(rows) == {"x": "a", "y": None, "z": "b"}
    joined = [{**row, "label": "#".join(row["label"]), "Comments": ""} for row in rows]
    assert labels(joined) == {"x": "a", "y": None, "z": "b"}
    assert labels([*joined, {**rows[0], "text": "w", "label": "a#b"}]) == {
        "x": ["a"],
        "y": None,
        "z": ["b"],
        "w": ["a", "b"],
    }


def test_a_note_names_the_tool_and_counts():
    with pytest.warns(UserWarning, match=r"Prodigy export: read as 3 texts; 1 without 'label' \(skipped"):
        read_annotations([asked("x", "A", "accept"), asked("y", "B", "accept"), asked("z", "B", "ignore")])


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv", "rows.parquet"])
def test_files_are_converted_as_they_are_read(tmp_path, name):
    rows = pd.DataFrame([asked("x", "A", "accept"), asked("y", "A", "reject"), asked("y", "B", "accept")])
    file = tmp_path / name
    write = {".jsonl": lambda: rows.to_json(file, orient="records", lines=True), ".csv": lambda: rows.to_csv(file)}
    write.get(file.suffix, lambda: rows.to_parquet(file))()
    with pytest.warns(UserWarning, match="Prodigy export: read as 2 texts"):
        assert read_rows(file)[["text", "label"]].values.tolist() == [["x", "A"], ["y", "B"]]


def test_a_frame_is_not_trained_on_before_it_is_converted(make, reviews):
    rows = reviews.assign(answer=["accept", "reject"] * 60)
    for call in (make, kickbert.split, kickbert.explore):
        with pytest.raises(ValueError, match=r"df is an export of Prodigy.*kickbert\.data\.read_annotations\(df\)"):
            call(rows)
    learn = make(reviews)
    with pytest.raises(ValueError, match="df is an export of Prodigy"):
        kickbert.evaluate(learn, rows)
    assert len(learn.predict_df(rows)) == 120
    assert len(make(read_annotations(rows)).dls.train_ds) == 51


@pytest.mark.parametrize("table", [7, "x", [], ["x"], {"text": ["x"]}])
def test_what_is_no_table(table):
    with pytest.raises(TypeError, match="must be a DataFrame, a list of dicts or a Dataset, not"):
        read_annotations(table)
