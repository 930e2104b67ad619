"""kickbert.json as a learner writes it, and as a reader accepts it."""

import copy
import json

import pytest
from helpers.artifacts import reseal

from kickbert import ArtifactError
from kickbert.models.artifact.metadata import METADATA, flat_metadata, learner_metadata
from kickbert.models.artifact.reading import read_artifact

VALUES = [None, True, -1, 1e400, "x", [], {}, [[]], {"kind": "Bins"}]


def test_metadata_is_json_and_describes_the_training(make, reviews):
    learn = make(reviews, labels=["good", "bad"], cleaning=["remove_html"], head_layers=2)
    learn.fit_one_cycle(1, 1e-3)
    info = learner_metadata(learn)
    assert json.loads(json.dumps(info)) == info
    assert info["target"]["classes"] == ["good", "bad"] and info["cleaning"] == ["remove_html"]
    head = {"pooling": "cls", "dropout": 0.1, "layers": 2, "ordinal": False, "activation": "relu", "normalize": False}
    head["side"] = None
    assert info["head"] == head and set(info["metrics"]) == {"train_loss", "valid_loss", "accuracy", "macro-F1"}
    assert info["data"]["training rows"] == 102 and info["evaluated on"] == "18 validation rows"
    again = learner_metadata(make(reviews.assign(text=reviews["text"].str.upper())))
    assert info["data"]["fingerprint"] != again["data"]["fingerprint"]


@pytest.mark.parametrize("name", [*METADATA, "target/kind", "target/classes", "target/edges", "tokens/start"])
def test_entries_of_other_types_are_usable_or_refused(saved, name):
    metadata = json.loads((saved / "kickbert.json").read_text())
    refused = 0
    for value in [..., *VALUES]:
        changed = copy.deepcopy(metadata)
        *parents, last = name.split("/")
        part = changed[parents[0]] if parents else changed
        if value is ...:
            del part[last]
        else:
            part[last] = value
        (saved / "kickbert.json").write_text(json.dumps(changed))
        reseal(saved)
        try:
            artifact = read_artifact(saved)
            assert artifact.target.names is not None and artifact.token_encoder and flat_metadata(artifact.metadata)
        except ArtifactError as err:
            assert "kickbert.json" in str(err)
            refused += 1
    assert refused >= 5
