"""Compute the hidden states of a frozen prefix once, starting from the deepest cached states below."""

import time
from collections.abc import Collection

import torch
from torch import Tensor

from kickbert.cache.keys import prefix_keys, prefix_modules, why_not_cacheable
from kickbert.cache.states import View
from kickbert.cache.storage import Cache
from kickbert.data.batching import length_batches
from kickbert.data.packed import Packed
from kickbert.models.classifier import TextClassifier
from kickbert.text.tokenization import PAD
from kickbert.utils.hashing import Unidentifiable
from kickbert.utils.messages import byte_size
from kickbert.utils.progress import bar, say

NOT_CACHED = "cache: off, the frozen part is computed in each epoch: {}"
TOKENS = {"cpu": 4096, "cuda": 131_072}  # tokens per batch, with padding, while states are computed


def build(
    model: TextClassifier,
    parts: list[Packed],
    depth: int,
    keys: list[str],
    cache: Cache,
    keep: Collection[str] = (),
) -> str | None:
    """Add missing rows to the store of `depth`, computed from a shallower store if there is one.

    Args:
        model: the classifier.
        parts: token ids, for example of the training and validation rows.
        depth: number of layers of the prefix.
        keys: keys of the prefixes up to `depth` or deeper, from `prefix_keys`.
        cache: the cache.
        keep: keys of stores that are not evicted for this one.
    Returns:
        None, or why the states do not fit; then nothing is added.
    """
    name, pooled = store_name(model, depth, keys)
    store = cache.get(name, depth, pooled)
    rows = {key: (part, i) for part in parts for i, key in enumerate(part.keys) if key not in store.positions}
    if not rows:
        return None
    ids = Packed.of([part.row(i) for part, i in rows.values()])
    width, dtype = model.encoder.width, torch.bfloat16 if model.precision == "bf16" and not pooled else torch.float32
    device = next(model.parameters()).device
    shape = (len(rows) if pooled else int(ids.offsets[-1]), width)
    flat, where = cache.allocate(shape, dtype, device, {*keep, name})
    if flat is None:
        return where
    if where == "file":
        print(f"cache: {byte_size(flat.nbytes)} at depth {depth} exceed the memory budget; using a temporary file")
    start = time.perf_counter()
    positions = fill(flat, model, ids, depth, pooled, _source(depth, keys, cache, list(rows)))
    for key, (offset, length) in zip(rows, positions, strict=True):
        store.positions[key] = (len(store.segments), offset, length)
    store.segments.append(flat)
    store.where.append(where)
    store.seconds += time.perf_counter() - start
    cache.save(name, store)
    return None


def view_of(model: TextClassifier, ids: Packed, depth: int, cache: Cache) -> View | None:
    """Return the states of rows at a depth, after computing those that the cache lacks.

    Returns:
        None, after a line that says why, if they do not fit or the prefix cannot be cached.
    """
    try:
        reason = why_not_cacheable(prefix_modules(model, depth))
        keys = prefix_keys(model, depth) if reason is None else []
    except Unidentifiable as err:
        reason = str(err)
    reason = reason or build(model, [ids], depth, keys, cache)
    if reason is not None:
        say(NOT_CACHED.format(reason))
        return None
    return cache.view(store_name(model, depth, keys)[0], ids.keys)


def store_name(model: TextClassifier, depth: int, keys: list[str]) -> tuple[str, bool]:
    """Return the key of the store of this depth, and whether it holds pooled vectors.

    After the last layer, pooled vectors are enough if the pooling is a built-in one without parameters.
    """
    pooled = depth == model.encoder.n_layers and model.head.pools_last
    return keys[depth] + (f"-{model.head.pooling}" if pooled else ""), pooled


def _source(depth: int, keys: list[str], cache: Cache, rows: list[bytes]) -> View | None:
    """Find the rows in the deepest store of hidden states, up to `depth`, that has all of them."""
    for shallower in range(depth, 0, -1):
        if (view := cache.view(keys[shallower], rows)) is not None:
            return view
    return None


def fill(
    flat: Tensor, model: TextClassifier, ids: Packed, depth: int, pooled: bool, source: View | None
) -> list[tuple[int, int]]:
    """Write the states of all rows into `flat`.

    Args:
        flat: shape (states, width): one state per token, or per row if they are pooled.
        model: the classifier.
        ids: token ids of the rows.
        depth: number of layers.
        pooled: whether to pool the states.
        source: the same rows at a shallower depth to start from; None to start from the token ids.
    Returns:
        Each row's offset and number of states.
    """
    device = next(model.parameters()).device
    batches = list(length_batches(ids.lengths, tokens=TOKENS.get(device.type, TOKENS["cpu"])))
    positions = [(0, 0)] * len(ids)
    offset = 0
    for chosen in bar(batches, f"cache: computing depth {depth}"):
        x = ids.gather(chosen, fill=PAD).long().to(device)
        shallower = source.hidden(chosen, device) if source else None
        states = model.states(x, depth, shallower, source.store.depth if source else 0, pooled)
        states = states if pooled else states[x != PAD]
        flat[offset : offset + len(states)] = states
        for i in chosen.tolist():
            positions[i] = (offset, 1 if pooled else int(ids.lengths[i]))
            offset += positions[i][1]
    return positions
