"""Scaled dot-product attention for a CPU in bfloat16, as an attention implementation of transformers.

    scores = query @ key^T * scale, masked → probabilities (float32, kept in bfloat16) → probabilities @ value

It is tiled: a few heads are computed at a time, so that their scores stay in a core's cache; those of all heads of long
texts would go through main memory, which takes many times as long as computing them. The backward pass recomputes the
scores of tiles (as Dao et al. 2022 do on a GPU) instead of keeping them. benchmarks/attention.py and step.py measure it
against torch's kernels, which are slow there. Everywhere else (a GPU, float32) torch's own kernels run.

`first_token_alone` lets a layer compute its first token only: keys and values of all, the rest of one.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedConfig, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from kickbert.models.dropout import drop, keep_mask


class Name(str):
    """The name of an attention implementation; unpickling it imports this module, which registers it."""


NAME = Name("kickbert")
# Of a layer by architecture: its query's projection, and the modules after the attention that are given all tokens.
FIRST_TOKEN = {
    **dict.fromkeys(
        ("bert", "camembert", "electra", "roberta", "xlm-roberta"), ("attention.self.query", ("attention.output",))
    ),
    "distilbert": ("attention.q_lin", ("attention.out_lin", "sa_layer_norm")),
    "mpnet": ("attention.attn.q", ("attention.attn.o", "attention.LayerNorm")),
}
CACHED = 2**19  # scores at a time: 2 MB in float32, a usual second-level cache


def _tiles(heads: int, per_head: int, bias: Tensor | None) -> Iterator[tuple[slice, Tensor | None]]:
    """Tiles: slices of the heads of all rows of a batch, and the part of the bias that belongs to each.

    Args:
        heads: of all rows together.
        per_head: scores of one head.
        bias: shape (batch, 1, ...); the heads of a tile are of one row, or of several whole rows.
    """
    rows = heads if bias is None else len(bias)  # without a bias each head may as well be a row
    per_row, most = heads // rows, max(1, CACHED // per_head)
    tile_rows = max(1, most // per_row)
    for row in range(0, rows, tile_rows):
        end = min(row + tile_rows, rows)
        for head in range(row * per_row, end * per_row, min(most, tile_rows * per_row)):
            yield slice(head, min(head + most, end * per_row)), None if bias is None else bias[row:end]


def _probabilities(query: Tensor, key: Tensor, bias: Tensor | None, scale: float) -> Tensor:
    """Attention probabilities of some heads, computed in float32, in the type of the query."""
    scores = torch.bmm(query, key.transpose(1, 2))
    if bias is None:
        scores = scores.float().mul_(scale)
    else:  # torch.add makes float32 of both in the same pass
        per_row = scores.view(len(bias), -1, *scores.shape[1:])
        scores = torch.add(bias, per_row, alpha=scale).view(scores.shape)
    return torch.softmax(scores, -1).to(query.dtype)


class _Attention(torch.autograd.Function):
    """Scaled dot-product attention (Vaswani et al. 2017, section 3.2.1), tile by tile, with dropout of probabilities.

    Shapes: query, key, value (batch * heads, tokens, size); bias float32, (batch, 1, 1 or tokens, tokens), or None;
    keep bool, (batch * heads, tokens, tokens), or None.
    """

    @staticmethod
    def forward(ctx, query, key, value, bias, keep, scale, keep_prob):
        ctx.scale, ctx.keep_prob, probs = scale, keep_prob, None
        out = value.new_empty(len(query), query.shape[1], value.shape[2])
        for tile, tile_bias in _tiles(len(query), query.shape[1] * key.shape[1], bias):
            probs = _probabilities(query[tile], key[tile], tile_bias, scale)
            torch.bmm(drop(probs, None if keep is None else keep[tile], keep_prob), value[tile], out=out[tile])
        single = probs is not None and len(probs) == len(query)
        ctx.save_for_backward(query, key, value, bias, keep, probs if single else None)
        return out

    @staticmethod
    def backward(ctx, grad):
        query, key, value, bias, keep, saved_probs = ctx.saved_tensors
        grad, (d_query, d_key, d_value) = grad.contiguous(), [torch.empty_like(t) for t in (query, key, value)]
        for tile, tile_bias in _tiles(len(query), query.shape[1] * key.shape[1], bias):
            probs = saved_probs
            if probs is None:
                probs = _probabilities(query[tile], key[tile], tile_bias, ctx.scale)
            tile_keep = None if keep is None else keep[tile]
            torch.bmm(drop(probs, tile_keep, ctx.keep_prob).transpose(1, 2), grad[tile], out=d_value[tile])
            d_scores = drop(torch.bmm(grad[tile], value[tile].transpose(1, 2)), tile_keep, ctx.keep_prob)
            d_scores = torch._softmax_backward_data(d_scores, probs, -1, probs.dtype)
            torch.bmm(d_scores, key[tile], out=d_query[tile])
            torch.bmm(d_scores.transpose(1, 2), query[tile], out=d_key[tile])
        return d_query.mul_(ctx.scale), d_key.mul_(ctx.scale), d_value, None, None, None, None


def attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs,
) -> tuple[Tensor, None]:
    """Scaled dot-product attention with the signature that transformers calls.

    Args:
        module: the layer's attention; not used here.
        query, key, value: shape (batch, heads, tokens, size).
        attention_mask: True where a token is attended to, bool, (batch, 1, tokens, tokens); None for everywhere.
        dropout: probability with which an attention probability is dropped.
        scaling: factor of the scores; None for 1 / sqrt(size).
    Returns:
        Shape (batch, tokens, heads, size), and None in place of the probabilities.
    """
    batch, heads, tokens, size = query.shape
    if tokens > 1 and query.stride(2) == 0:  # one query in the place of all, by `first_token_alone`
        mask = None if attention_mask is None else attention_mask[:, :, :1]
        one, _ = attention(module, query[:, :, :1], key, value, mask, dropout, scaling, **kwargs)
        return one.expand(-1, tokens, -1, -1), None
    if query.device.type != "cpu" or value.dtype != torch.bfloat16 or key.shape[1] != heads:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
    flat = [t.to(value.dtype).reshape(batch * heads, -1, t.shape[-1]) for t in (query, key, value)]
    # The lowest finite number: a padding token, before a window's reach of any other, must not become NaN.
    lowest = torch.finfo(torch.float32).min
    bias = None if attention_mask is None else torch.where(attention_mask, 0.0, lowest)
    keep, keep_prob = keep_mask((batch * heads, tokens, key.shape[2]), dropout) if dropout else (None, 1.0)
    scale = size**-0.5 if scaling is None else scaling
    out = _Attention.apply(*flat, bias, keep, scale, keep_prob)
    return out.view(batch, heads, tokens, -1).transpose(1, 2), None


AttentionInterface.register(NAME, attention)
AttentionMaskInterface.register(NAME, sdpa_mask)


@contextmanager
def first_token_alone(layer: nn.Module, config: PreTrainedConfig) -> Iterator[None]:
    """Let a layer compute the first token's state alone, shape (batch, 1, width); of other architectures all states.

    Its keys and values are those of all tokens, so the state is the same, for a sixth of the work.

    Args:
        layer: of an architecture of `FIRST_TOKEN`; others compute all.
        config: the model's.
    """
    in_chunks = getattr(config, "chunk_size_feed_forward", 0)  # of which a single token makes none
    query, later = FIRST_TOKEN.get(None if in_chunks else config.model_type, (None, ()))
    with ExitStack() as undo:
        if query is not None:
            parent, _, name = query.rpartition(".")
            parent = layer.get_submodule(parent)
            undo.callback(setattr, parent, name, getattr(parent, name))
            setattr(parent, name, _FirstQuery(getattr(parent, name)))
        for name in later:
            undo.enter_context(layer.get_submodule(name).register_forward_pre_hook(_first_of_each))
        yield


class _FirstQuery(nn.Module):
    """Projects the first token, and hands it out in the place of all, for the layer expects their shape."""

    def __init__(self, project: nn.Module):
        super().__init__()
        self.project = project

    def forward(self, hidden: Tensor) -> Tensor:
        return self.project(hidden[:, :1]).expand(-1, hidden.shape[1], -1)


def _first_of_each(module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(states[:, :1] for states in args)


def use_attention(body: PreTrainedModel) -> None:
    """Set this implementation on a model that has torch's (sdpa); others (eager, or their own) stay as they are."""
    if body.config._attn_implementation == "sdpa":
        body.set_attn_implementation(NAME)
