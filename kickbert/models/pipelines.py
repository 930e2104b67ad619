"""An artifact in transformers' pipelines, by a class that `pipeline(pipeline_class=)` takes."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import TextClassificationPipeline
from transformers.pipelines.text_classification import ClassificationFunction

from kickbert.models.artifact import read_artifact
from kickbert.models.classifier import ProbabilityModel
from kickbert.models.saving import load_classifier
from kickbert.text.columns import read_items


class ArtifactPipeline(TextClassificationPipeline):
    """transformers' pipeline of an artifact whose head transformers cannot express.

    `pipeline("text-classification", folder, pipeline_class=ArtifactPipeline)` takes a string, or a dict of several
    columns. transformers has made a head at random by then, and says so; the artifact's own takes its place.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.artifact = read_artifact(self.model.name_or_path)
        task, temperature = (self.artifact.metadata[name] for name in ("task", "temperature"))
        self.classifier = ProbabilityModel(load_classifier(self.artifact), task, temperature).eval().to(self.device)

    def preprocess(self, inputs: Any, **_: Any) -> dict[str, Tensor]:
        """Token ids as the artifact makes them, one row, or one for each window."""
        texts, _ = read_items([inputs], self.artifact.metadata["text_col"], self.artifact.cleaner)
        rows = [torch.from_numpy(row).long() for row in self.artifact.token_encoder.encode_documents(texts)[0]]
        mask = pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
        ids = pad_sequence(rows, batch_first=True, padding_value=self.artifact.metadata["pad"])
        return {"input_ids": ids, "attention_mask": mask}

    def _forward(self, model_inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        ids, weights = model_inputs["input_ids"], None
        if self.artifact.token_encoder.long == "windows":
            weights = torch.full((1, len(ids)), 1 / len(ids), device=ids.device)
        return {"logits": self.classifier(ids, model_inputs["attention_mask"], weights)}

    def postprocess(self, model_outputs: dict[str, Tensor], function_to_apply: Any = None, **kwargs: Any) -> Any:
        """Labels and probabilities."""
        return super().postprocess(model_outputs, ClassificationFunction.NONE, **kwargs)
