"""The versions of a model are written completely or not at all."""

import subprocess
import sys

import pytest

import kickbert
from kickbert import ArtifactError
from kickbert.models.artifact.versions import set_latest, versions


def test_versions_coexist(trained, tmp_path):
    learn, home = trained(), tmp_path / "k"
    assert learn.save_artifact(home) == home / "v1" and learn.save_artifact(home) == home / "v2"
    assert kickbert.load(home).artifact.version == "v2" and kickbert.load(home / "v1").artifact.version == "v1"
    set_latest(home, "v1")
    assert kickbert.load(home).artifact.version == "v1" and versions(home) == ["v1", "v2"]
    with pytest.raises(ArtifactError, match="'v7' does not exist"):
        set_latest(home, "v7")
    (home / "latest").write_text("../k/v2")
    with pytest.raises(ArtifactError, match=r"not a version\. Versions: \['v1', 'v2'\]"):
        kickbert.load(home)
    assert not list(tmp_path.rglob("*.pkl")) and not list(tmp_path.rglob("*.bin"))


@pytest.mark.system
def test_a_kill_while_writing_leaves_earlier_versions(saved, tmp_path):
    home = tmp_path / "k"
    saved.rename(home.mkdir() or home / "v1")
    set_latest(home, "v1")
    code = f"""
import os, signal
from kickbert.models.artifact.versions import write_artifact
def fill(part):
    (part / "half").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
write_artifact({str(home)!r}, fill)
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    assert kickbert.load(home).artifact.version == "v1" and list(home.glob("*.part"))


def test_a_full_disk_changes_nothing(trained, tmp_path, monkeypatch):
    learn, home = trained(), tmp_path / "k"
    learn.save_artifact(home)

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kickbert.models.artifact.saving.save_file", full)
    with pytest.raises(ArtifactError, match=r"No space left on device.*nothing was changed"):
        learn.save_artifact(home)
    assert sorted(p.name for p in home.iterdir()) == ["latest", "v1"]
