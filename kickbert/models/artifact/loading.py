"""Load the classifier of an artifact, or the whole network that is run and exported."""

from safetensors.torch import load_file

from kickbert.models.artifact.json_checks import usable
from kickbert.models.artifact.manifest import HEAD, WEIGHTS
from kickbert.models.artifact.reading import Artifact
from kickbert.models.classifier import ProbabilityModel, TextClassifier
from kickbert.models.encoder import load_encoder
from kickbert.models.head import Head


def load_classifier(artifact: Artifact) -> TextClassifier:
    """Load the encoder and head of an artifact, in fp32 and evaluation mode.

    Raises:
        ArtifactError: a file is incomplete or changed, or lacks weights.
    """
    folder = artifact.checked_folder(HEAD)
    with usable(folder / WEIGHTS, Exception):  # errors of transformers, safetensors and torch
        encoder = load_encoder(folder)
    with usable(folder / HEAD, Exception):
        head = Head(encoder.width, len(artifact.target.names), **artifact.metadata["head"])
        head.load_state_dict(load_file(folder / HEAD))
    return TextClassifier(encoder, head).eval()


def load_network(artifact: Artifact) -> ProbabilityModel:
    """Load the network that computes probabilities, in fp32 and evaluation mode.

    Raises:
        ArtifactError: a file is incomplete or changed, or lacks weights.
    """
    classifier = load_classifier(artifact)
    return ProbabilityModel(classifier, artifact.target, artifact.metadata["temperature"]).eval()
