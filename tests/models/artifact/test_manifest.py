"""Every file of an artifact is compared with the manifest before it is read."""

import json

import pytest

import kickbert
from kickbert import ArtifactError
from kickbert.models.artifact.reading import read_artifact


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("kickbert.json", "cut"),
        ("kickbert.json", "gone"),
        ("tokenizer.json", "byte"),
        ("tokenizer_config.json", "gone"),
        ("config.json", "cut"),
        ("model.safetensors", "byte"),
        ("model.safetensors", "gone"),
        ("head.safetensors", "cut"),
        ("head.safetensors", "byte"),
    ],
)
def test_damaged_files_are_refused(saved, rows, file, damage):
    path = saved / file
    content = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    else:
        content[len(content) // 2] ^= 1
        path.write_bytes(content if damage == "byte" else content[:-7])
    message = {"cut": "is incomplete or changed", "byte": "sha256 differs", "gone": "is missing"}[damage]
    with pytest.raises(ArtifactError, match=message):
        kickbert.load(saved, backend="torch")
    with pytest.raises(ArtifactError, match=message):
        kickbert.learner_from_artifact(saved, rows)


def without_tokenizer(manifest: dict) -> dict:
    return {"format": 1, "files": {k: v for k, v in manifest["files"].items() if k != "tokenizer.json"}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m | {"format": 99}, "has format 99, and this kickbert reads formats up to 2"),
        (lambda m: m | {"files": {"../../etc/passwd": {}}}, "may only list files of its own folder"),
        (lambda m: m | {"files": {}}, "lists no files"),
        (without_tokenizer, "has no tokenizer.json"),
        (lambda m: [], "lists no files"),
    ],
)
def test_bad_manifests_are_refused(saved, change, message):
    manifest = json.loads((saved / "manifest.json").read_text())
    (saved / "manifest.json").write_text(json.dumps(change(manifest)))
    with pytest.raises(ArtifactError, match=message):
        read_artifact(saved)


def test_manifests_of_other_types_are_refused(saved):
    manifest = json.loads((saved / "manifest.json").read_text())
    for value in (None, True, -1, 1e400, "x", [], {}, [[]], {"kind": "Bins"}):
        entries = ({"bytes": value, "sha256": "x"}, {"bytes": 1, "sha256": value}, value)
        for changed in (
            {"format": value, "files": {}},
            {"format": 1, "files": value},
            *({"format": 1, "files": manifest["files"] | {"config.json": entry}} for entry in entries),
        ):
            (saved / "manifest.json").write_text(json.dumps(changed))
            with pytest.raises(ArtifactError):
                kickbert.load(saved, backend="torch")
