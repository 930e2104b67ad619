"""A fastai callback that trains on cached hidden states of the frozen prefix instead of computing them in each epoch.

    rows of the DataLoaders → missing ones through the frozen prefix → `Store` → batches of states → suffix and head

The key of a store is a hash of all that its states depend on: the weights and settings of the prefix, the depth, the
precision; the key of a row is a hash of its token ids, which depend on text, tokenizer and truncation. So folds, trials
and further fits share states, and stale ones are never read. A batch is read from the cache only where its token ids
are still those of its rows.
"""

from functools import partial
from weakref import WeakKeyDictionary, WeakSet

import pandas as pd
import torch
from fastai.callback.core import Callback
from torch import Tensor

from kickbert.cache.building import NOT_CACHED, build, store_name
from kickbert.cache.keys import Snapshot, prefix_hooks, prefix_keys, prefix_modules, why_not_cacheable
from kickbert.cache.states import View
from kickbert.cache.storage import SHARED, Cache
from kickbert.data.bucketing import BucketDL
from kickbert.data.packed import Packed
from kickbert.models.classifier import TextClassifier
from kickbert.utils.hashing import Unidentifiable
from kickbert.utils.progress import say


class PrefixCache(Callback):
    """Caches the hidden states of the frozen prefix, for training and validation, in every fit that freezes one.

    Args:
        storage: the cache; by default one that all learners of the process share.
    """

    name = "cache"  # of the learner's attribute: `learn.cache`
    order = 90  # after everything that may change which groups are frozen

    def __init__(self, storage: Cache = SHARED):
        self.storage, self.ahead = storage, []
        self._printed: set[str] = set()
        self._views: WeakKeyDictionary[Packed, View] = WeakKeyDictionary()
        self._trained: WeakSet[Packed] = WeakSet()  # rows of a training or its validation: only their states are cached
        self._snapshot: Snapshot | None = None
        self._hooks: list[dict] = []  # of the frozen modules

    def __getstate__(self) -> dict:
        # An exported learner leaves the states behind: they are the training data in another form.
        own = {"storage", "_views", "_trained", "_snapshot", "_hooks"}
        return {k: v for k, v in self.__dict__.items() if k not in own}

    def __setstate__(self, state: dict) -> None:
        self.__init__()
        self.__dict__.update(state)

    def info(self) -> pd.DataFrame:
        """One row per store.

        Returns:
            depth, rows, tokens, bytes, where, seconds to build, and an estimate of the seconds saved by reading.
        """
        rows = []
        for store in self.storage.by_key.values():
            saved = store.seconds * (store.read / max(1, store.tokens) - 1)
            depth, where = "pooled" if store.pooled else store.depth, ", ".join(sorted(set(store.where)))
            row = (depth, len(store.places), store.tokens, store.nbytes(), where, store.seconds, max(0.0, saved))
            rows.append(row)
        columns = ["depth", "rows", "tokens", "bytes", "where", "seconds to build", "seconds saved"]
        return pd.DataFrame(rows, columns=columns)

    # What happens when: fastai calls before_fit for validation too, so stores are built in before_train alone.

    def before_fit(self):
        self._snapshot = None
        self.learn.model.cached_states = None  # of a batch that ended in an error

    def before_train(self):
        loaders = [dl for dl in self.dls.loaders if isinstance(dl, BucketDL)]
        if loaders and loaders[0].varies:
            self._print_once("training texts change from epoch to epoch")
        parts = [dl.rows[0] for dl in loaders if not dl.varies]
        self._trained.update(parts)
        if (keys := self._changed_keys()) is None:
            return
        depth = len(keys) - 1
        # Shallow to deep: each is the start of the next, and all together cost one pass.
        wanted = sorted({depth, *(d for d in self.ahead if d <= depth)})
        for d in wanted:
            build(self.model, parts, d, keys, self.storage, {store_name(self.model, w, keys)[0] for w in wanted})
        self._look_up(parts, keys)

    def before_validate(self):
        rows = self.dl.rows[0] if isinstance(self.dl, BucketDL) else None
        # The weights may have changed since the last fit, or since this epoch's training.
        if rows in self._trained and (keys := self._changed_keys()) is not None:
            self._look_up([rows], keys)
            self._snapshot = None  # if training goes on, its rows are to be looked up again

    def before_batch(self):
        dl, model = self.learn.dl, self.learn.model
        view = self._views.get(dl.ids) if isinstance(dl, BucketDL) else None
        if view is not None:
            # The model itself asks for them: it knows what the callbacks have made of the batch.
            model.cached_states = partial(self._states, view, dl)

    def after_batch(self):
        self.learn.model.cached_states = None

    def _states(self, view: View, dl: BucketDL, x: Tensor) -> tuple[Tensor, int] | None:
        """The cached states of the dl's current batch, and their depth; None if x is no longer that batch."""
        same = torch.equal(x, dl.batch_ids.to(x.device))
        if any(self._hooks) or not same:
            if self.model.training == self.learn.training:  # or a callback reads other texts in the middle of a step
                self._print_once("its modules have hooks" if same else "batches were changed after they were made")
            return None
        return view.hidden(dl.batch_rows, x.device), view.store.depth

    def _print_once(self, reason: str) -> None:
        if reason not in self._printed:
            self._printed.add(reason)
            say(NOT_CACHED.format(reason))

    def _changed_keys(self) -> list[str] | None:
        """Keys of the prefixes up to the frozen depth; None where nothing is cached, or nothing has changed."""
        depth = self.model.frozen_depth if isinstance(self.model, TextClassifier) else None
        modules = prefix_modules(self.model, depth) if depth else []  # embeddings alone are quicker than a store
        reason = why_not_cacheable(modules) if modules else None
        if reason is None and self._snapshot is not None and self._snapshot.holds(self.model.precision, modules):
            return None
        self._views.clear()
        self._hooks = prefix_hooks(modules)
        cacheable = bool(modules) and reason is None
        self._snapshot = Snapshot(self.model.precision, modules) if cacheable else None
        try:
            keys = prefix_keys(self.model, depth) if cacheable else None
        except Unidentifiable as err:
            keys, reason = None, str(err)
        if reason is not None:
            self._print_once(reason)
        return keys

    def _look_up(self, parts: list[Packed], keys: list[str]) -> None:
        name = store_name(self.model, len(keys) - 1, keys)[0]
        for rows in parts:
            if (view := self.storage.view(name, rows.keys)) is not None:
                self._views[rows] = view
