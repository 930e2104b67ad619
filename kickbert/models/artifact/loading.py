"""Load the classifier of an artifact."""

from safetensors.torch import load_file

from kickbert.models.artifact.json_checks import usable
from kickbert.models.artifact.manifest import HEAD, WEIGHTS
from kickbert.models.artifact.reading import Artifact
from kickbert.models.classifier import TextClassifier
from kickbert.models.encoder import load_encoder
from kickbert.models.head import Head


def load_classifier(artifact: Artifact) -> TextClassifier:
    """Load the encoder and head of an artifact, in fp32 and evaluation mode.

    Raises:
        ArtifactError: a file is incomplete or changed, or lacks weights.
    """
    with usable(artifact.folder / WEIGHTS, Exception):  # errors of transformers, safetensors and torch
        encoder = load_encoder(artifact.folder_for_transformers())
    with usable(artifact.folder / HEAD, Exception):
        head = Head(encoder.width, len(artifact.target.names), **artifact.metadata["head"])
        head.load_state_dict(load_file(artifact.file(HEAD)))
    return TextClassifier(encoder, head).eval()
