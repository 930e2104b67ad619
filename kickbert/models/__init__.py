"""The models wing: a model's name → an encoder in layer groups, a head, a classifier; and the artifact on disk.

Comes in: a hub id, a folder, an artifact. Goes out: a `TextClassifier`, any prefix or suffix of its encoder, a folder.
Start reading at `encoder.Encoder`, then `artifact`."""

from kickbert.utils.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "encoder": ["Encoder", "load_encoder"],
        "head": ["Head"],
        "logistic_regression": [],
        "classifier": ["ProbabilityModel", "TextClassifier"],
        "attention": [],
        "dropout": [],
        "vocabulary": ["trim_vocabulary"],
        "metadata": ["ArtifactError"],
        "artifact": ["Artifact", "read_artifact"],
        "saving": ["ArtifactPipeline", "push_to_hub", "save_artifact"],
        "protocol": ["TextModel"],
        "hf_conversion": [],
    },
)
