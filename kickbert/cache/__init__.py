"""The cache wing: a frozen prefix and rows → stored hidden states → batches of states.

Comes in: a `TextClassifier` with frozen groups, packed rows. Goes out: the hidden states of its frozen prefix, computed
once and read in every later epoch, fit and fold.
Start reading at `callback`, which fastai calls, then `building` and `storage`."""

from kickbert.utils.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "states": ["Store"],
        "storage": ["Cache"],
        "keys": [],
        "building": [],
        "callback": ["PrefixCache"],
        "embeddings": ["embed"],
    },
)
