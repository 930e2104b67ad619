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
def test_json_that_is_no_artifacts(old, file, content):
    (old / file).write_text(content)
    if file != "manifest.json":
        reseal(old)
    with pytest.raises(ArtifactError) as raised:
        read_artifact(old)
    assert file in str(raised.value) and len(str(raised.value)) < 400 + len(str(old))


VALUES = [None, True, -1, 1e400, "x", [], {}, [[]], {"kind": "Bins"}]


@pytest.mark.parametrize("name", [*METADATA, *(f"target/{n}" for n in ("kind", "classes", "edges")), "framing/start"])
def test_metadata_of_other_types(old, name):
    """Each entry is left out and given other types: what is read is usable, or it is refused in a sentence."""
    metadata = json.loads((old / "kickbert.json").read_text())
    refused = 0
    for value in [..., *VALUES]:
        changed = copy.deepcopy(metadata)
        *parents, last = name.split("/")
        part = changed[parents[0]] if parents else changed
        if value is ...:
            del part[last]
        else:
            part[last] = value
        (old / "kickbert.json").write_text(json.dumps(changed))
        reseal(old)
        try:
            artifact = read_artifact(old)
            assert artifact.target.names is not None and artifact.token_encoder and flat_metadata(artifact.metadata)
        except ArtifactError as err:
            assert "kickbert.json" in str(err)
            refused += 1
    assert refused >= 5


def test_a_manifest_of_other_types(old):
    manifest = json.loads((old / "manifest.json").read_text())
    for value in VALUES:
        entries = ({"bytes": value, "sha256": "x"}, {"bytes": 1, "sha256": value}, value)
        for changed in (
            {"format": value, "files": {}},
            {"format": 1, "files": value},
            *({"format": 1, "files": manifest["files"] | {"config.json": entry}} for entry in entries),
        ):
            (old / "manifest.json").write_text(json.dumps(changed))
            with pytest.raises(ArtifactError):
                kickbert.load(old, backend="torch")
