"""A transformers pipeline for artifacts with a head that transformers cannot express."""

from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import TextClassificationPipeline
from transformers.pipelines.text_classification import ClassificationFunction

from kickbert.models.artifact.loading import load_network
from kickbert.models.artifact.reading import read_artifact
from kickbert.text.columns import read_items


class ArtifactPipeline(TextClassificationPipeline):
    """A text classification pipeline for any artifact.

    `pipeline("text-classification", folder, pipeline_class=ArtifactPipeline)` accepts strings, or dicts for several
    columns. transformers first warns about a randomly initialized head; the artifact's head replaces it.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.artifact = read_artifact(str(self.model.name_or_path))
        self.network = load_network(self.artifact).to(self.device)

    # transformers' own pipeline classes disagree about these signatures, hence the ignores.

    def preprocess(self, inputs: Any, **_: Any) -> Any:  # type: ignore[override]
        """Turn one item into token ids: one row, or one row per window."""
        texts = read_items([inputs], self.artifact.metadata["text_col"], self.artifact.cleaner)[0]
        rows = [torch.from_numpy(row).long() for row in self.artifact.token_encoder.encode_documents(texts)[0]]
        mask = pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
        ids = pad_sequence(rows, batch_first=True, padding_value=self.artifact.metadata["pad"])
        return {"input_ids": ids, "attention_mask": mask}

    def _forward(self, model_inputs: Any, **_: Any) -> Any:  # type: ignore[override]
        ids = model_inputs["input_ids"]
        weights = None
        if self.artifact.token_encoder.long == "windows":
            weights = torch.full((1, len(ids)), 1 / len(ids), device=ids.device)
        return {"logits": self.network(ids, model_inputs["attention_mask"], weights)}

    def postprocess(  # type: ignore[override]
        self, model_outputs: Any, function_to_apply: Any = None, top_k: Any = 1, _legacy: Any = True
    ) -> Any:
        """Return labels and probabilities."""
        return super().postprocess(model_outputs, ClassificationFunction.NONE, top_k, _legacy)
