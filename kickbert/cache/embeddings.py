"""Sentence embeddings: the pooled states of a whole encoder, computed once per text and cached."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from fastai.torch_core import default_device
from torch import Tensor

from kickbert.cache.building import fill, view_of
from kickbert.cache.states import View
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
    if not texts:
        return np.zeros((0, classifier.encoder.width), dtype=np.float32)
    rows = Packed.of(tokenizer.encode_batch(texts)[0])
    return pooled_states(classifier, rows, view_of(classifier, rows, classifier.encoder.n_layers, cache)).numpy()


def pooled_states(classifier: TextClassifier, rows: Packed, view: View | None) -> Tensor:
    """Compute the pooled states of rows, or read them from the cache.

    Args:
        classifier: a classifier in evaluation mode whose pooling has no parameters.
        rows: token ids; the pooled windows of a document are averaged.
        view: their states after the last layer, pooled or not; None to compute them.
    Returns:
        float32 on the CPU, shape (documents, width).
    """
    if view is not None and view.store.pooled:
        states = view.hidden(range(len(rows)), torch.device("cpu"))
    else:
        flat = torch.empty(len(rows), classifier.encoder.width)
        positions = fill(flat, classifier, rows, classifier.encoder.n_layers, True, view)
        states = flat[[start for start, _ in positions]]
    if rows.first is None:
        return states
    counts = np.diff(rows.first)
    document = torch.from_numpy(np.repeat(np.arange(len(counts)), counts))
    sums = torch.zeros(len(counts), states.shape[1]).index_add_(0, document, states)
    return sums / torch.from_numpy(counts)[:, None]


@lru_cache(maxsize=2)
def _loaded(model: str) -> tuple[TextClassifier, TextTokenizer]:
    encoder, tokenizer = load_encoder(model), load_tokenizer(model)
    tokenizer.model_max_length = min(tokenizer.model_max_length, encoder.max_length)
    head = Head(encoder.width, 1, sentence_pooling(model) or "mean")
    classifier = TextClassifier(encoder.requires_grad_(False), head, choose_precision("auto", default_device()))
    return classifier.to(default_device()).eval(), TextTokenizer(tokenizer)
