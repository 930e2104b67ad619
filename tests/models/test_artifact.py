"""Artifacts: whole or not at all, checked, the same numbers again, and no pickle in sight."""

import json
import shutil
import subprocess
import sys

import pytest

import kickbert
from kickbert import ArtifactError, GradualLearner
from kickbert.models.artifact import read_artifact, set_latest, versions


def test_versions_stand_side_by_side(trained, tmp_path):
    learn, home = trained(), tmp_path / "k"
    assert learn.save_artifact(home) == home / "v1" and learn.save_artifact(home) == home / "v2"
    assert kickbert.load(home).artifact.version == "v2" and kickbert.load(home / "v1").artifact.version == "v1"
    set_latest(home, "v1")
    assert kickbert.load(home).artifact.version == "v1" and versions(home) == ["v1", "v2"]
    with pytest.raises(ArtifactError, match="none of"):
        set_latest(home, "v7")
    (home / "latest").write_text("../k/v2")
    with pytest.raises(ArtifactError, match="which is none of"):
        kickbert.load(home)
    assert not list(tmp_path.rglob("*.pkl")) and not list(tmp_path.rglob("*.bin"))


FILES = [
    "kickbert.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "config.json",
    "model.safetensors",
    "head.safetensors",
]


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("harm", ["cut", "byte", "gone"])
def test_harm_is_noticed(saved, rows, file, harm):
    path = saved / file
    content = bytearray(path.read_bytes())
    if harm == "gone":
        path.unlink()
    else:
        content[len(content) // 2] ^= 1
        path.write_bytes(content if harm == "byte" else content[:-7])
    message = {"cut": "cut short", "byte": "sha256 differs", "gone": "is missing"}[harm]
    with pytest.raises(ArtifactError, match=message):
        kickbert.load(saved, backend="torch")
    with pytest.raises(ArtifactError, match=message):
        GradualLearner.from_artifact(saved, rows)


def test_a_file_that_the_manifest_does_not_list_is_not_read(saved):
    (saved / "special_tokens_map.json").write_text("{}")
    with pytest.raises(ArtifactError, match=r"holds special_tokens_map\.json, which its manifest does not list"):
        kickbert.load(saved, backend="torch")
    (saved / "special_tokens_map.json").rename(saved / "notes.md")
    assert kickbert.load(saved, backend="torch").labels


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda m: m | {"format": 99}, "of format 99, and this kickbert reads up to 1"),
        (lambda m: m | {"files": {"../../etc/passwd": {}}}, "lists files of its folder"),
        (lambda m: m | {"files": {}}, "lists no files"),
        (
            lambda m: {"format": 1, "files": {k: v for k, v in m["files"].items() if k != "tokenizer.json"}},
            "has no token",
        ),
        (lambda m: [], "lists no files"),
    ],
)
def test_a_manifest_that_cannot_be(saved, change, told):
    manifest = json.loads((saved / "manifest.json").read_text())
    (saved / "manifest.json").write_text(json.dumps(change(manifest)))
    with pytest.raises(ArtifactError, match=told):
        read_artifact(saved)
    (saved / "manifest.json").write_text("{")
    with pytest.raises(ArtifactError, match="no JSON"):
        read_artifact(saved)


def test_folders_that_are_none(tmp_path):
    with pytest.raises(ArtifactError, match="no folder here"):
        kickbert.load(tmp_path / "none")
    (tmp_path / "a.txt").touch()
    with pytest.raises(ArtifactError, match=r"has no manifest.json, so it is no artifact \(it holds \['a.txt'\]\)"):
        kickbert.load(tmp_path)


@pytest.mark.system
def test_a_kill_while_writing_leaves_what_was_there(trained, tmp_path):
    home = tmp_path / "k"
    trained().save_artifact(home)
    code = f"""
import os, signal
from kickbert.models.artifact import write_artifact
def fill(part):
    (part / "half").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
write_artifact({str(home)!r}, fill)
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    assert kickbert.load(home).artifact.version == "v1" and list(home.glob("*.part"))
    with pytest.raises(OSError, match="stop"):
        from kickbert.utils.atomic_files import fresh_folder

        with fresh_folder(home):
            assert len(list(home.glob("*.part"))) == 1  # what the killed process left is gone
            raise OSError("stop")


def test_own_cleaning_functions_are_given_again(make, reviews, tmp_path):
    def shout(text: str) -> str:
        return text.upper()

    folder = make(reviews, cleaning=[shout]).save_artifact(tmp_path / "k")
    with pytest.raises(ValueError, match="shout"):
        kickbert.load(folder)
    assert kickbert.load(folder, functions=[shout]).read(["a"])[0] == ["A"]


def test_a_half_copied_folder(trained, tmp_path):
    folder = trained().save_artifact(tmp_path / "k")
    shutil.copytree(folder, tmp_path / "copy")
    assert kickbert.load(tmp_path / "copy", backend="torch").labels == ["bad", "good"]
    (tmp_path / "copy" / "manifest.json").unlink()
    with pytest.raises(ArtifactError, match=r"no manifest\.json"):
        kickbert.load(tmp_path / "copy")
