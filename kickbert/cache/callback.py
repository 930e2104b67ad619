"""The frozen part of the network is computed once: a fastai callback that feeds training from stored hidden states.

    rows of the DataLoaders → missing ones through the frozen prefix → `Store` → batches of states → suffix and head

What a store is found by is what it depends on: the weights of the prefix, its configuration, the depth, the precision;
and each row by its token ids, which hold text, tokenizer and truncation. So folds, trials and further fits share it,
and a stale one is never found.
"""

from weakref import WeakKeyDictionary

import pandas as pd
from fastai.callback.core import Callback

from kickbert.cache.building import build, prefix_keys, store_name
from kickbert.cache.states import View
from kickbert.cache.storage import SHARED, Cache
from kickbert.data.bucketing import BucketDL, Packed
from kickbert.models.classifier import TextClassifier


class PrefixCache(Callback):
    """Serves the states of the frozen prefix from a store, in every fit that freezes one and in validation.

    Args:
        storage: where states are kept; by default one place for all learners of the process.
    """

    name = "cache"  # of the learner's attribute: `learn.cache`
    order = 90  # after everything that may change which groups are frozen

    def __init__(self, storage: Cache = SHARED):
        self.storage, self.ahead = storage, []
        self._views: WeakKeyDictionary[Packed, View] = WeakKeyDictionary()
        self._seen: WeakKeyDictionary[Packed, bool] = WeakKeyDictionary()

    def __getstate__(self) -> dict:
        # An exported learner leaves the states behind: they are the training data in another form.
        own = {"storage", "_views", "_seen"}
        return {k: v for k, v in self.__dict__.items() if k not in own}

    def __setstate__(self, state: dict) -> None:
        self.__init__()
        self.__dict__.update(state)

    def info(self) -> pd.DataFrame:
        """A row per store: depth, rows, tokens, bytes, where, seconds to build, and an estimate of those saved."""
        rows = []
        for store in self.storage.by_key.values():
            told = {
                "depth": "pooled" if store.pooled else store.depth,
                "rows": len(store.places),
                "tokens": store.tokens,
            }
            told |= {"bytes": store.nbytes(), "where": ", ".join(sorted(set(store.where)))}
            saved = store.seconds * (store.read / max(1, store.tokens) - 1)
            rows.append(told | {"seconds to build": store.seconds, "seconds saved": max(0.0, saved)})
        columns = ["depth", "rows", "tokens", "bytes", "where", "seconds to build", "seconds saved"]
        return pd.DataFrame(rows, columns=columns)

    # What happens when: fastai calls before_fit for validation too, so stores are built in before_train alone.

    def before_fit(self):
        self._stamp = None

    def before_train(self):
        loaders = [dl for dl in self.dls.loaders if isinstance(dl, BucketDL) and dl.renew is None]
        if self._stamp is None and getattr(self.dls.train, "renew", None) is not None:
            print("cache: training texts change from epoch to epoch, so the frozen part is computed each time for them")
        for dl in loaders:
            self._seen[dl.rows[0]] = True
        if self._stamp is not None and self._stamp == self._versions():
            return  # a later epoch of the same fit
        self._views.clear()
        if (depth := self._depth()) is not None:
            keys, parts = self._keys(depth), [dl.rows[0] for dl in loaders]
            # Shallow to deep: each is the start of the next, and all together cost one pass.
            wanted = sorted({depth, *(d for d in self.ahead if d <= depth)})
            for d in wanted:
                build(self.model, parts, d, keys, self.storage, {store_name(self.model, w, keys)[0] for w in wanted})
            self._look_up(depth, parts, keys)

    def before_validate(self):
        rows = self.dl.rows[0] if isinstance(self.dl, BucketDL) else None
        if rows not in self._seen:
            return
        depth = self._depth()
        if self._stamp is None or self._stamp != self._versions():  # the weights may have changed since the last fit
            self._views.clear()
            if depth is not None:
                self._look_up(depth, [rows], self._keys(depth))

    def before_batch(self):
        if isinstance(self.dl, BucketDL) and (view := self._views.get(self.dl.rows[0])) is not None:
            x, states = self.xb[0], view.gather(self.dl.batch_rows)
            states = states[:, 0] if view.store.pooled else states
            # In fp32, as a layer leaves them under autocast: the residual sums of the layers above stay exact.
            self.learn.xb = (x, states.to(x.device).float(), view.store.depth)

    def after_pred(self):
        self.learn.xb = self.xb[:1]  # other callbacks see the batch as it was

    def _depth(self) -> int | None:
        depth = self.model.frozen_depth if isinstance(self.model, TextClassifier) else None
        return depth or None  # the embeddings alone are cheaper to look up than to keep

    def _versions(self) -> tuple:
        return tuple(
            (id(p), p._version) for g in list(self.model.encoder.groups().values()) for p in g if not p.requires_grad
        )

    def _keys(self, upto: int) -> list[str]:
        self._stamp = self._versions()
        return prefix_keys(self.model, upto)

    def _look_up(self, depth: int, parts: list[Packed], keys: list[str]) -> None:
        store = self.storage.find(store_name(self.model, depth, keys)[0])
        for rows in parts:
            if store is not None and all(k in store.places for k in rows.keys):
                self._views[rows] = store.view(rows.keys)
