"""Upload an artifact to the Hugging Face Hub."""

from pathlib import Path

from kickbert.models.artifact.manifest import CARD
from kickbert.models.artifact.reading import READ_BY_TRANSFORMERS, read_artifact
from kickbert.utils.hub import upload


def push_to_hub(
    folder: str | Path, repo: str, token: str | None = None, private: bool | None = None, message: str | None = None
) -> str:
    """Upload a version of a model to the Hugging Face Hub; `kickbert.load("user/name")` loads it.

    Args:
        folder: the folder of the version, or of a model (its latest version is uploaded); its files are checked first.
        repo: "user/name"; created if it does not exist. Files of an earlier version that this one lacks are deleted.
        token: a token with write access; None for the one saved by `hf auth login`.
        private: whether a new repository is private; None for the account's default.
        message: commit message; None for the version's name.
    Returns:
        The address of the repository.
    Raises:
        ArtifactError: not an artifact, or incomplete or changed files.
        ValueError: the Hub cannot be reached or refuses.
    """
    artifact = read_artifact(folder)
    for name in artifact.manifest:
        if name != CARD:  # people may edit it
            artifact.file(name)
    replaced = [f"*{ending}" for ending in (*READ_BY_TRANSFORMERS, ".onnx", ".pt2")]
    return upload(artifact.folder, repo, token, private, message or f"kickbert {artifact.version}", replaced)
