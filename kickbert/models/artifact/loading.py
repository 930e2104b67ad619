"""Load the classifier of an artifact, or the whole network that is run and exported."""

from collections.abc import Sequence

from safetensors.torch import load_file

from kickbert.models.artifact.json_checks import usable
from kickbert.models.artifact.manifest import HEAD, WEIGHTS
from kickbert.models.artifact.reading import Artifact
from kickbert.models.classifier import ProbabilityModel, TextClassifier
from kickbert.models.encoder import Encoder, load_encoder
from kickbert.models.head import Head
from kickbert.models.joint_model import JointModel


def load_classifier(artifact: Artifact) -> TextClassifier:
    """Load the encoder and head of an artifact, in fp32 and evaluation mode.

    Raises:
        ArtifactError: a file is incomplete or changed, or lacks weights.
    """
    folder = artifact.checked_folder(HEAD)
    with usable(folder / WEIGHTS, Exception):  # errors of transformers, safetensors and torch
        encoder = load_encoder(folder)
    return _classifier(artifact, encoder)


def _classifier(artifact: Artifact, encoder: Encoder) -> TextClassifier:
    """Put the head of an artifact on an encoder, in evaluation mode."""
    path = artifact.file(HEAD)
    with usable(path, Exception):
        head = Head(encoder.width, len(artifact.target.names), **artifact.metadata["head"])
        head.load_state_dict(load_file(path))
    return TextClassifier(encoder, head).eval()


def load_network(artifact: Artifact) -> ProbabilityModel:
    """Load the network that computes probabilities, in fp32 and evaluation mode.

    Raises:
        ArtifactError: a file is incomplete or changed, or lacks weights.
    """
    return _network(artifact, load_classifier(artifact))


def load_joint_network(artifacts: Sequence[Artifact]) -> JointModel:
    """Load the encoder of the first artifact with the heads of all, in fp32 and evaluation mode.

    Raises:
        ArtifactError: a file is incomplete or changed, or lacks weights.
    """
    first = load_network(artifacts[0])
    others = [_network(artifact, _classifier(artifact, first.encoder)) for artifact in artifacts[1:]]
    return JointModel([first, *others]).eval()


def _network(artifact: Artifact, classifier: TextClassifier) -> ProbabilityModel:
    return ProbabilityModel(classifier, artifact.target, artifact.metadata["temperature"]).eval()
