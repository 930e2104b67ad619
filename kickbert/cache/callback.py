"""The frozen part of the network is computed once: a fastai callback that feeds training from stored hidden states.

    rows of the DataLoaders → missing ones through the frozen prefix → `Store` → batches of states → suffix and head

What a store is found by is what it depends on: the weights of the prefix, its configuration, the depth, the precision;
and each row by its token ids, which hold text, tokenizer and truncation. So folds, trials and further fits share it,
and a stale one is never found.
"""

import hashlib
import time
from collections.abc import Iterator
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd
import torch
from fastai.callback.core import Callback
from torch import Tensor, nn

from kickbert.cache.storage import SHARED, Stores, View
from kickbert.data.bucketing import BucketDL, Packed
from kickbert.models.head import TextClassifier
from kickbert.text.tokenization import PAD
from kickbert.training.checkpoint import feed
from kickbert.training.loggers import bar

TOKENS = {"cpu": 4096, "cuda": 131_072}  # of a batch, padding counted, while a store is built


def prefix_keys(model: TextClassifier, upto: int) -> list[str]:
    """The keys of the prefixes of depth 0 to `upto`: hashes of all that their states depend on but the rows."""
    groups = list(model.encoder.groups().values())
    state = hashlib.sha256(f"{model.encoder.body.config.to_json_string()}{model.precision}".encode())
    keys = []
    for group in groups[: upto + 1]:
        feed(state, group)
        keys.append(state.hexdigest()[:32])
    return keys


def batches_of(lengths: np.ndarray, tokens: int) -> Iterator[np.ndarray]:
    """Rows of nearly equal length, at most `tokens` a batch with their padding; the longest rows first.

    >>> [b.tolist() for b in batches_of(np.array([2, 9, 3, 8]), 18)]
    [[1, 3], [2, 0]]
    """
    order = np.argsort(-lengths, kind="stable")
    while len(order):
        n = max(1, tokens // max(1, int(lengths[order[0]])))
        yield order[:n]
        order = order[n:]


class Cache(Callback):
    """Serves the states of the frozen prefix from a store, in every fit that freezes one and in validation.

    Args:
        stores: where states are kept; by default one place for all learners of the process.
    """

    order = 90  # after everything that may change which groups are frozen

    def __init__(self, stores: Stores = SHARED):
        self.stores, self.ahead = stores, []
        self._views: WeakKeyDictionary[Packed, View] = WeakKeyDictionary()
        self._seen: WeakKeyDictionary[Packed, bool] = WeakKeyDictionary()

    def __getstate__(self) -> dict:
        # An exported learner leaves the states behind: they are the training data in another form.
        own = {"stores", "_views", "_seen"}
        return {k: v for k, v in self.__dict__.items() if k not in own}

    def __setstate__(self, state: dict) -> None:
        self.__init__()
        self.__dict__.update(state)

    def info(self) -> pd.DataFrame:
        """A row per store: depth, rows, tokens, bytes, where, seconds to build, and an estimate of those saved."""
        rows = []
        for store in self.stores.by_key.values():
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
                build(self.model, parts, d, keys, self.stores, {store_name(self.model, w, keys)[0] for w in wanted})
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
        store = self.stores.find(store_name(self.model, depth, keys)[0])
        for rows in parts:
            if store is not None and all(k in store.places for k in rows.keys):
                self._views[rows] = store.view(rows.keys)


def build(
    model: TextClassifier,
    parts: list[Packed],
    depth: int,
    keys: list[str],
    stores: Stores,
    keep: set[str] = frozenset(),
) -> None:
    """Compute what the store of `depth` lacks of the rows of `parts`, from a shallower store where there is one.

    Args:
        keys: of the prefixes of depth 0 to `depth`, or further.
        keep: names of stores that must not make way for this one.
    """
    name, pooled = store_name(model, depth, keys)
    store = stores.get(name, depth, pooled)
    rows = {key: (part, i) for part in parts for i, key in enumerate(part.keys) if key not in store.places}
    if not rows:
        return
    ids = Packed.of([part.row(i) for part, i in rows.values()])
    width, dtype = model.encoder.width, torch.bfloat16 if model.precision == "bf16" and not pooled else torch.float32
    device = next(model.parameters()).device
    shape = (len(rows) if pooled else int(ids.offsets[-1]), width)
    flat, where = stores.allocate(shape, dtype, device, keep | {name})
    if flat is None:
        print(f"cache: not at depth {depth}, the frozen part is computed each time: {where}")
        return
    if where == "file":
        print(
            f"cache: {flat.nbytes / 1e9:.1f} GB at depth {depth} are over the memory budget and go to a temporary file"
        )
    start = time.perf_counter()
    places = _fill(flat, model, ids, depth, pooled, _source(model, depth, keys, stores, list(rows)))
    store.places |= {key: (len(store.segments), *place) for key, place in zip(rows, places, strict=True)}
    store.segments.append(flat)
    store.where.append(where)
    store.seconds += time.perf_counter() - start
    stores.save(name, store)


def store_name(model: TextClassifier, depth: int, keys: list[str]) -> tuple[str, bool]:
    """The key of the store of this depth, and whether it holds pooled states.

    Above the last layer pooled states are enough, where pooling has nothing to train.
    """
    pooled = depth == model.encoder.n_layers and not isinstance(model.head.pool, nn.Module)
    return keys[depth] + (f"-{model.head.pooling}" if pooled else ""), pooled


def _source(model: TextClassifier, depth: int, keys: list[str], stores: Stores, rows: list[bytes]) -> View | None:
    """The rows in the deepest store below `depth` that has them all."""
    for below in range(depth - 1, 0, -1):
        store = stores.find(keys[below])
        if store is not None and all(row in store.places for row in rows):
            return store.view(rows)
    return None


def _fill(
    flat: Tensor, model: TextClassifier, ids: Packed, depth: int, pooled: bool, source: View | None
) -> list[tuple]:
    """Write the states of all rows into `flat`; the first place and the number of states of each row."""
    device = next(model.parameters()).device
    batches = list(batches_of(ids.lengths, TOKENS.get(device.type, TOKENS["cpu"])))
    places, at = [(0, 0)] * len(ids), 0
    for chosen in bar(batches, f"computing depth {depth} once"):
        x = ids.gather(chosen, fill=PAD).long().to(device)
        given = source.gather(chosen).to(device).float() if source else None
        states = model.states(x, depth, given, source.store.depth if source else 0, pooled)
        states = states if pooled else states[x != PAD]
        flat[at : at + len(states)] = states
        for i in chosen.tolist():
            places[i] = (at, 1 if pooled else int(ids.lengths[i]))
            at += places[i][1]
    return places
