"""Encoders in layer groups, heads, classifiers, and the artifact on disk.

Input: a Hub id, a folder or an artifact. Output: a `TextClassifier`, any prefix or suffix of its encoder, a folder.
Start reading at `encoder.Encoder`, then `artifact.reading`.
"""

from kickbert.utils.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "encoder": ["Encoder", "load_encoder"],
        "head": ["Head"],
        "pooling": [],
        "logistic_regression": [],
        "side_network": [],
        "classifier": ["ProbabilityModel", "TextClassifier"],
        "joint_model": [],
        "attention": [],
        "first_token": [],
        "dropout": [],
        "protocol": ["TextModel"],
        "hf_conversion": [],
        "artifact.json_checks": ["ArtifactError"],
        "artifact.manifest": [],
        "artifact.metadata": [],
        "artifact.model_card": [],
        "artifact.versions": [],
        "artifact.reading": ["Artifact", "read_artifact"],
        "artifact.saving": ["save_artifact"],
        "artifact.loading": [],
        "artifact.shared_encoder": [],
        "artifact.hub": ["push_to_hub"],
        "artifact.pipeline": ["ArtifactPipeline"],
        "artifact.vocabulary": ["trim_vocabulary"],
    },
)
