"""Sentence embeddings: the pooled states of a whole encoder, computed once per text and cached."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from fastai.torch_core import default_device

from kickbert.cache.building import fill, view_of
from kickbert.cache.storage import SHARED, Cache
from kickbert.data.packed import Packed
from kickbert.data.transforms import TextTokenizer, load_tokenizer
from kickbert.models.classifier import TextClassifier
from kickbert.models.encoder import load_encoder
from kickbert.models.head import Head
from kickbert.models.pooling import sentence_pooling
from kickbert.utils.devices import choose_precision

NAMED = "This text is about {}."  # the embedding of this sentence represents a class name


def embed(texts: list[str], model: str | Path = "minilm", cache: Cache = SHARED) -> np.ndarray:
    """Compute sentence embeddings: pooled states of the last layer (Reimers and Gurevych 2019, section 3).

    Args:
        texts: n strings.
        model: Hub id, folder or "minilm".
        cache: the cache of the embeddings.
    Returns:
        float32, shape (n, width); not normalized.
    """
    return embed_by(*_loaded(str(model)), texts, cache)


def embed_by(classifier: TextClassifier, tokenizer: TextTokenizer, texts: list[str], cache: Cache) -> np.ndarray:
    """Compute sentence embeddings as `embed` does, with a model in memory."""
    depth, width = classifier.encoder.n_layers, classifier.encoder.width
    if not texts:
        return np.zeros((0, width), dtype=np.float32)
    rows = Packed.of(tokenizer.encode_batch(texts)[0])
    view = view_of(classifier, rows, depth, cache)
    if view is not None:
        return view.hidden(range(len(rows)), torch.device("cpu")).numpy()
    embeddings = torch.empty(len(rows), width)  # they do not fit in the cache
    positions = fill(embeddings, classifier, rows, depth, True, None)
    return embeddings[[start for start, _ in positions]].numpy()


@lru_cache(maxsize=2)
def _loaded(model: str) -> tuple[TextClassifier, TextTokenizer]:
    encoder, tokenizer = load_encoder(model), load_tokenizer(model)
    tokenizer.model_max_length = min(tokenizer.model_max_length, encoder.max_length)
    head = Head(encoder.width, 1, sentence_pooling(model) or "mean")
    classifier = TextClassifier(encoder.requires_grad_(False), head, choose_precision("auto", default_device()))
    return classifier.to(default_device()).eval(), TextTokenizer(tokenizer)
