"""A fastai callback that trains on cached hidden states of the frozen prefix instead of computing them in each epoch.

    rows of the DataLoaders → missing ones through the frozen prefix → `Store` → batches of states → suffix and head

The key of a store is a hash of everything its states depend on: the weights and settings of the prefix, the depth, the
precision. The key of a row is a hash of its token ids, which depend on text, tokenizer and truncation. So folds, trials
and later fits share states, and stale ones are never read. A batch is read from the cache only if its token ids are
still those of its rows.
"""

from functools import partial
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import pandas as pd
import torch
from fastai.callback.core import Callback
from torch import Tensor

from kickbert.cache.building import NOT_CACHED, build, store_name
from kickbert.cache.keys import prefix_hooks, prefix_keys, prefix_modules, why_not_cacheable
from kickbert.cache.snapshot import Snapshot
from kickbert.cache.states import View
from kickbert.cache.storage import SHARED, Cache
from kickbert.data.bucketing import BucketDL
from kickbert.data.packed import Packed
from kickbert.models.classifier import TextClassifier
from kickbert.models.encoder import side_by_side
from kickbert.utils.hashing import Unidentifiable
from kickbert.utils.progress import say


class PrefixCache(Callback):
    """Cache the hidden states of the frozen prefix, for training and validation, in every fit that freezes one.

    Args:
        storage: the cache; by default the one that all learners of the process share.
    """

    name = "cache"  # the learner's attribute: `learn.cache`
    order = 90  # after everything that may change which groups are frozen

    def __init__(self, storage: Cache = SHARED):
        self.storage = storage
        self.ahead: list[int] = []  # depths that later phases will need
        self._printed: set[str] = set()
        self._views: WeakKeyDictionary[Packed, list[View]] = WeakKeyDictionary()  # taps below, then the frozen depth
        self._trained: WeakSet[Packed] = WeakSet()  # training and validation rows; only their states are cached
        self._snapshot: Snapshot | None = None
        self._hooks: list[dict[int, Any]] = []  # hooks of the frozen modules

    def __getstate__(self) -> dict[str, Any]:
        # An exported learner leaves the states behind: they are training data in another form.
        left_out = {"storage", "_views", "_trained", "_snapshot", "_hooks"}
        return {k: v for k, v in self.__dict__.items() if k not in left_out}

    def __setstate__(self, state: dict[str, Any]) -> None:
        PrefixCache.__init__(self)
        self.__dict__.update(state)

    def info(self) -> pd.DataFrame:
        """Describe the stores, one row each.

        Returns:
            depth, rows, tokens, bytes, where, seconds to build, and an estimate of the seconds saved by reading.
        """
        rows = []
        for store in self.storage.by_key.values():
            saved = store.seconds * (store.read / max(1, store.tokens) - 1)
            rows.append(
                {
                    "depth": "pooled" if store.pooled else store.depth,
                    "rows": len(store.positions),
                    "tokens": store.tokens,
                    "bytes": store.nbytes(),
                    "where": ", ".join(sorted(set(store.where))),
                    "seconds to build": store.seconds,
                    "seconds saved": max(0.0, saved),
                }
            )
        columns = ["depth", "rows", "tokens", "bytes", "where", "seconds to build", "seconds saved"]
        return pd.DataFrame(rows, columns=columns)

    # fastai calls before_fit for validation too, so stores are only built in before_train.

    def before_fit(self) -> None:
        self._snapshot = None
        self.learn.model.cached_states = None  # left by a batch that ended in an error

    def before_train(self) -> None:
        loaders = [dl for dl in self.dls.loaders if isinstance(dl, BucketDL)]
        if loaders and loaders[0].varies:
            self._print_once("training texts change from epoch to epoch")
        parts = [dl.rows[0] for dl in loaders if not dl.varies]
        self._trained.update(parts)
        keys = self._changed_keys()
        if keys is None:
            return
        depth = len(keys) - 1
        # From shallow to deep: each store is the start of the next, so all of them cost one pass.
        depths = sorted({*self._read(depth), *(d for d in self.ahead if d <= depth)})
        keep = {store_name(self.model, d, keys)[0] for d in depths}
        for d in depths:
            if (reason := build(self.model, parts, d, keys, self.storage, keep)) is not None:
                self._print_once(reason)
        self._look_up(parts, keys)

    def before_validate(self) -> None:
        rows = self.dl.rows[0] if isinstance(self.dl, BucketDL) else None
        if rows is None or rows not in self._trained:
            return
        # The weights may have changed since the last fit, or since this epoch's training.
        keys = self._changed_keys()
        if keys is not None:
            self._look_up([rows], keys)
            self._snapshot = None  # if training continues, its rows must be looked up again

    def before_batch(self) -> None:
        dl = self.learn.dl
        views = self._views.get(dl.ids) if isinstance(dl, BucketDL) else None
        if views is not None:
            # The model asks for the states itself, because callbacks may still change the batch.
            self.learn.model.cached_states = partial(self._states, views, dl)

    def after_batch(self) -> None:
        self.learn.model.cached_states = None

    def view(self, rows: Packed) -> View | None:
        """Return the states of training or validation rows at the frozen depth; None if they are not cached."""
        views = self._views.get(rows)
        return None if views is None else views[-1]

    def _read(self, depth: int) -> list[int]:
        """List the depths that the model reads: its head's taps below the frozen depth, then that depth."""
        return [*(tap for tap in self.model.head.taps if tap < depth), depth]

    def _states(self, views: list[View], dl: BucketDL, x: Tensor) -> tuple[Tensor, int] | None:
        """Return the cached states of the current batch, and their depth; None if x is no longer that batch."""
        same = dl.batch_ids is not None and torch.equal(x, dl.batch_ids.to(x.device))
        if any(self._hooks) or not same:
            if self.model.training == self.learn.training:  # otherwise a callback reads other texts during a step
                self._print_once("its modules have hooks" if same else "a callback or transform changed the batches")
            return None
        states = side_by_side([view.hidden(dl.batch_rows, x.device) for view in views])
        return states, views[-1].store.depth

    def _print_once(self, reason: str) -> None:
        if reason not in self._printed:
            self._printed.add(reason)
            say(NOT_CACHED.format(reason))

    def _changed_keys(self) -> list[str] | None:
        """Return the keys of the prefixes up to the frozen depth; None if nothing can be cached or has changed."""
        depth = self.model.frozen_depth if isinstance(self.model, TextClassifier) else None
        modules = prefix_modules(self.model, depth) if depth else []  # embeddings alone are faster than a store
        reason = why_not_cacheable(modules)
        if reason is None and self._snapshot is not None and self._snapshot.holds(self.model.precision, modules):
            return None
        self._views.clear()
        self._hooks = prefix_hooks(modules)
        self._snapshot = None
        if depth is None or not modules:
            return None
        keys = None
        if reason is None:
            self._snapshot = Snapshot(self.model.precision, modules)
            try:
                keys = prefix_keys(self.model, depth)
            except Unidentifiable as err:
                reason = str(err)
        if reason is not None:
            self._print_once(reason)
        return keys

    def _look_up(self, parts: list[Packed], keys: list[str]) -> None:
        names = [store_name(self.model, depth, keys)[0] for depth in self._read(len(keys) - 1)]
        for rows in parts:
            views = [view for name in names if (view := self.storage.view(name, rows.keys)) is not None]
            if len(views) == len(names):
                self._views[rows] = views
