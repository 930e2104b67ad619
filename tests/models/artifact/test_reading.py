"""Folders that are artifacts, and folders that are not."""

import pytest

import kickbert
from kickbert import ArtifactError
from kickbert.models.artifact.reading import read_artifact


def test_a_file_missing_from_the_manifest_is_not_read(saved):
    (saved / "special_tokens_map.json").write_text("{}")
    with pytest.raises(ArtifactError, match=r"does not list: special_tokens_map\.json"):
        kickbert.load(saved, backend="torch")
    (saved / "special_tokens_map.json").rename(saved / "notes.md")
    assert kickbert.load(saved, backend="torch").labels


def test_other_folders_are_refused(saved, tmp_path):
    with pytest.raises(ArtifactError, match="none"):
        kickbert.load(tmp_path / "none")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "a.txt").touch()
    with pytest.raises(ArtifactError, match=r"is not an artifact: it has no manifest.json. Files: \['a.txt'\]"):
        kickbert.load(tmp_path / "a")
    (saved / "manifest.json").unlink()
    with pytest.raises(ArtifactError, match=r"no manifest\.json"):
        kickbert.load(saved)


def test_the_identity_ignores_the_card(saved):
    before = read_artifact(saved).identity
    (saved / "README.md").write_text("edited")
    assert read_artifact(saved).identity == before and read_artifact(saved).card == "edited"


def test_cleaning_functions_are_passed_again(make, reviews, tmp_path):
    def shout(text: str) -> str:
        return text.upper()

    folder = make(reviews, cleaning=[shout]).save_artifact(tmp_path / "k")
    with pytest.raises(ValueError, match="shout"):
        kickbert.load(folder)
    assert kickbert.load(folder, functions=[shout]).read(["a"])[0] == ["A"]
