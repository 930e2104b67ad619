import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kickbert.data.tables.annotations import read_annotations
from kickbert.data.tables.class_labels import features_of, name_classes
from kickbert.data.tables.reading import read_rows

NAMED = {"names": ["bad", "good"], "_type": "ClassLabel"}
FEATURES = {"text": {"dtype": "string", "_type": "Value"}, "label": NAMED}
ROWS = pd.DataFrame({"text": ["x", "y", "z"], "label": [1, 0, -1]})


class Features(dict):
    def to_dict(self):
        return dict(self)


class Dataset:
    """The parts of a Hugging Face Dataset that are used."""

    features = Features(FEATURES)

    def to_pandas(self):
        return ROWS


def test_numbers_become_names_and_minus_one_is_missing():
    named = name_classes(ROWS, FEATURES)
    assert named["label"].tolist() == ["good", "bad", None] and ROWS["label"].tolist() == [1, 0, -1]
    assert read_annotations(Dataset())["label"].tolist() == ["good", "bad", None]


@pytest.mark.parametrize("kind", ["Sequence", "List"])
def test_lists_of_numbers(kind):
    rows = pd.DataFrame({"label": [np.array([0, 1]), np.array([], int), None]})
    named = name_classes(rows, {"label": {"feature": NAMED, "_type": kind}})
    assert named["label"].tolist() == [["bad", "good"], [], None]


def test_a_parquet_file_of_the_hub_keeps_its_names(tmp_path):
    metadata = {b"huggingface": json.dumps({"info": {"features": FEATURES}}).encode()}
    pq.write_table(
        pa.Table.from_pandas(ROWS, preserve_index=False).replace_schema_metadata(metadata), tmp_path / "a.parquet"
    )
    rows = read_rows(tmp_path / "a.parquet")
    assert rows["label"].tolist()[:2] == ["good", "bad"] and rows["label"].isna().tolist() == [False, False, True]


def test_other_tables_stay_as_they_are():
    assert features_of(None) == {} and features_of({b"pandas": b"{}"}) == {}
    assert name_classes(ROWS, {"other": NAMED, "text": {"_type": "Value"}}) is ROWS
