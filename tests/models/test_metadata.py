"""The JSON of an artifact: what is not as it should be is refused in a sentence."""

import copy
import json

import pytest
from helpers.artifacts import reseal

import kickbert
from kickbert import ArtifactError
from kickbert.models.artifact import flat_metadata, read_artifact
from kickbert.models.metadata import METADATA

NESTED = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize("content", [NESTED, '{"a":' * 100_000, "\x00", '{"format": 1}', "1" * 5000, "null", '"a"', ""])
@pytest.mark.parametrize("file", ["manifest.json", "kickbert.json"])
def test_json_that_is_no_artifacts(saved, file, content):
    (saved / file).write_text(content)
    if file != "manifest.json":
        reseal(saved)
    with pytest.raises(ArtifactError) as raised:
        read_artifact(saved)
    assert file in str(raised.value) and len(str(raised.value)) < 400 + len(str(saved))


VALUES = [None, True, -1, 1e400, "x", [], {}, [[]], {"kind": "Bins"}]


@pytest.mark.parametrize("name", [*METADATA, *(f"target/{n}" for n in ("kind", "classes", "edges")), "tokens/start"])
def test_metadata_of_other_types(saved, name):
    """Each entry is left out and given other types: what is read is usable, or it is refused in a sentence."""
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


def test_a_manifest_of_other_types(saved):
    manifest = json.loads((saved / "manifest.json").read_text())
    for value in VALUES:
        entries = ({"bytes": value, "sha256": "x"}, {"bytes": 1, "sha256": value}, value)
        for changed in (
            {"format": value, "files": {}},
            {"format": 1, "files": value},
            *({"format": 1, "files": manifest["files"] | {"config.json": entry}} for entry in entries),
        ):
            (saved / "manifest.json").write_text(json.dumps(changed))
            with pytest.raises(ArtifactError):
                kickbert.load(saved, backend="torch")
