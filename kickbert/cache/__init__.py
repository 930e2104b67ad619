"""Hidden states of a frozen prefix, computed once and read in every later epoch, fit and fold.

Input: a `TextClassifier` with frozen groups, packed rows. Output: batches of hidden states.
Start reading at `callback`, which fastai calls, then `building` and `storage`.
"""

from kickbert.utils.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "states": ["Store"],
        "storage": ["Cache"],
        "keys": [],
        "snapshot": [],
        "building": [],
        "callback": ["PrefixCache"],
        "embeddings": ["embed"],
    },
)
