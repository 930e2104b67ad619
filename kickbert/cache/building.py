"""Compute the hidden states of a frozen prefix once, from the deepest shallower ones that are cached."""

import time

import torch
from torch import Tensor

from kickbert.cache.keys import prefix_keys, prefix_modules, why_not_cacheable
from kickbert.cache.states import View
from kickbert.cache.storage import Cache
from kickbert.data.batching import length_batches
from kickbert.data.packed import Packed
from kickbert.models.classifier import TextClassifier
from kickbert.models.head import POOLS
from kickbert.text.tokenization import PAD
from kickbert.utils.hashing import Unidentifiable
from kickbert.utils.messages import byte_size
from kickbert.utils.progress import bar, say

NOT_CACHED = "cache: the frozen part is computed each time, for {}"
TOKENS = {"cpu": 4096, "cuda": 131_072}  # of a batch, padding included, while states are computed


def build(
    model: TextClassifier,
    parts: list[Packed],
    depth: int,
    keys: list[str],
    cache: Cache,
    keep: set[str] = frozenset(),
) -> None:
    """Add the rows of `parts` that it lacks to the store of `depth`, computed from a shallower store if there is one.

    Args:
        parts: token ids, of the training and of the validation rows, say.
        depth: number of layers of the prefix.
        keys: of the prefixes of depth 0 to `depth`, or further, as `prefix_keys` gives them.
        cache: to add to; where it has no room, a line is printed and nothing added.
        keep: keys of stores that are not evicted for this one.
    """
    name, pooled = store_name(model, depth, keys)
    store = cache.get(name, depth, pooled)
    rows = {key: (part, i) for part in parts for i, key in enumerate(part.keys) if key not in store.places}
    if not rows:
        return
    ids = Packed.of([part.row(i) for part, i in rows.values()])
    width, dtype = model.encoder.width, torch.bfloat16 if model.precision == "bf16" and not pooled else torch.float32
    device = next(model.parameters()).device
    shape = (len(rows) if pooled else int(ids.offsets[-1]), width)
    flat, where = cache.allocate(shape, dtype, device, keep | {name})
    if flat is None:
        print(f"cache: not at depth {depth}, the frozen part is computed each time: {where}")
        return
    if where == "file":
        print(f"cache: {byte_size(flat.nbytes)} at depth {depth} are over the memory budget and go to a temporary file")
    start = time.perf_counter()
    places = fill(flat, model, ids, depth, pooled, _source(model, depth, keys, cache, list(rows)))
    store.places |= {key: (len(store.segments), *place) for key, place in zip(rows, places, strict=True)}
    store.segments.append(flat)
    store.where.append(where)
    store.seconds += time.perf_counter() - start
    cache.save(name, store)


def view_of(model: TextClassifier, ids: Packed, depth: int, cache: Cache) -> View | None:
    """The states of rows at a depth, those that the cache lacks computed now.

    Returns:
        None, and a line says why, where there is no room for them, or the prefix cannot be cached.
    """
    try:
        reason = why_not_cacheable(prefix_modules(model, depth))
        keys = prefix_keys(model, depth) if reason is None else []
    except Unidentifiable as err:
        reason = str(err)
    if reason is not None:
        say(NOT_CACHED.format(reason))
        return None
    build(model, [ids], depth, keys, cache)
    return cache.view(store_name(model, depth, keys)[0], ids.keys)


def store_name(model: TextClassifier, depth: int, keys: list[str]) -> tuple[str, bool]:
    """The key of the store of this depth, and whether it holds pooled vectors.

    After the last layer pooled vectors are enough, where pooling is one of kickbert's without parameters.
    """
    pooled = depth == model.encoder.n_layers and model.head.pool is POOLS.get(model.head.pooling)
    return keys[depth] + (f"-{model.head.pooling}" if pooled else ""), pooled


def _source(model: TextClassifier, depth: int, keys: list[str], cache: Cache, rows: list[bytes]) -> View | None:
    """The rows in the deepest store of less than `depth` layers that has them all."""
    for shallower in range(depth - 1, 0, -1):
        if (view := cache.view(keys[shallower], rows)) is not None:
            return view
    return None


def fill(
    flat: Tensor, model: TextClassifier, ids: Packed, depth: int, pooled: bool, source: View | None
) -> list[tuple]:
    """Write the states of all rows into `flat`.

    Args:
        flat: shape (states, width): one of each token, or of each row if they are pooled.
        source: the same rows at a shallower depth, to start from; None to start from the token ids.
    Returns:
        The offset and the number of states of each row.
    """
    device = next(model.parameters()).device
    batches = list(length_batches(ids.lengths, tokens=TOKENS.get(device.type, TOKENS["cpu"])))
    places, offset = [(0, 0)] * len(ids), 0
    for chosen in bar(batches, f"computing depth {depth} once"):
        x = ids.gather(chosen, fill=PAD).long().to(device)
        shallower = source.hidden(chosen, device) if source else None
        states = model.states(x, depth, shallower, source.store.depth if source else 0, pooled)
        states = states if pooled else states[x != PAD]
        flat[offset : offset + len(states)] = states
        for i in chosen.tolist():
            places[i] = (offset, 1 if pooled else int(ids.lengths[i]))
            offset += places[i][1]
    return places
