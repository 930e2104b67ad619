"""Scaled dot-product attention in bfloat16 on a CPU, registered as an attention implementation of transformers.

    scores = query @ key^T * scale, masked → probabilities (float32, kept in bfloat16) → probabilities @ value

It computes tiles of a few heads at a time, so that their scores stay in a core's cache. For long texts, the scores of
all heads would go through main memory, which takes many times longer than computing them. The backward pass recomputes
the scores of each tile (as Dao et al. 2022 do on a GPU). torch's own kernels are slow in this case; otherwise (a GPU,
float32) they are used.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from kickbert.models.dropout import drop, keep_mask


class Name(str):
    """The name of an attention implementation; unpickling it imports this module, which registers it."""


NAME = Name("kickbert")
CACHED = 2**19  # maximum scores per tile: 2 MB in float32, the usual size of a second-level cache


def _tiles(heads: int, per_head: int, bias: Tensor | None) -> Iterator[tuple[slice, Tensor | None]]:
    """Yield slices of heads, and the part of the bias that belongs to each.

    Args:
        heads: number of heads in the batch, over all rows.
        per_head: scores per head.
        bias: shape (batch, 1, ...); a tile then holds heads of one row, or of several whole rows.
    """
    rows = heads if bias is None else len(bias)  # without a bias, each head counts as a row
    per_row = heads // rows
    max_heads = max(1, CACHED // per_head)
    tile_rows = max(1, max_heads // per_row)
    for row in range(0, rows, tile_rows):
        end = min(row + tile_rows, rows)
        for head in range(row * per_row, end * per_row, min(max_heads, tile_rows * per_row)):
            yield slice(head, min(head + max_heads, end * per_row)), None if bias is None else bias[row:end]


def _probabilities(query: Tensor, key: Tensor, bias: Tensor | None, scale: float) -> Tensor:
    """Compute attention probabilities in float32 and return them in the query's type."""
    scores = torch.bmm(query, key.transpose(1, 2))
    if bias is None:
        scores = scores.float().mul_(scale)
    else:  # torch.add converts to float32 in the same pass
        per_row = scores.view(len(bias), -1, *scores.shape[1:])
        scores = torch.add(bias, per_row, alpha=scale).view(scores.shape)
    return torch.softmax(scores, -1).to(query.dtype)


class _Attention(torch.autograd.Function):
    """Scaled dot-product attention (Vaswani et al. 2017, section 3.2.1), tile by tile, with dropout on probabilities.

    Shapes: query, key, value (batch * heads, tokens, size); bias float32, (batch, 1, 1 or tokens, tokens), or None;
    keep bool, (batch * heads, tokens, tokens), or None.
    """

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        bias: Tensor | None,
        keep: Tensor | None,
        scale: float,
        keep_prob: float,
    ) -> Tensor:
        ctx.scale = scale
        ctx.keep_prob = keep_prob
        probs = None
        out = value.new_empty(len(query), query.shape[1], value.shape[2])
        for tile, tile_bias in _tiles(len(query), query.shape[1] * key.shape[1], bias):
            probs = _probabilities(query[tile], key[tile], tile_bias, scale)
            torch.bmm(drop(probs, None if keep is None else keep[tile], keep_prob), value[tile], out=out[tile])
        single = probs is not None and len(probs) == len(query)
        ctx.save_for_backward(query, key, value, bias, keep, probs if single else None)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, bias, keep, saved_probs = ctx.saved_tensors
        grad = grad.contiguous()
        d_query = torch.empty_like(query)
        d_key = torch.empty_like(key)
        d_value = torch.empty_like(value)
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


def tiled_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Compute scaled dot-product attention, with the signature that transformers expects.

    Args:
        module: the layer's attention module, for torch's kernel.
        query, key, value: shape (batch, heads, tokens, size).
        attention_mask: True where a token is attended to, bool, (batch, 1, tokens, tokens); None for everywhere.
        dropout: probability of dropping an attention probability.
        scaling: factor of the scores; None for 1 / sqrt(size).
    Returns:
        Shape (batch, tokens, heads, size), and None in place of the probabilities.
    """
    batch, heads, tokens, size = query.shape
    if tokens > 1 and query.stride(2) == 0:  # one query expanded to all, by `first_token_only`
        mask = None if attention_mask is None else attention_mask[:, :, :1]
        one, _ = tiled_attention(module, query[:, :, :1], key, value, mask, dropout, scaling, **kwargs)
        return one.expand(-1, tokens, -1, -1), None
    if query.device.type != "cpu" or value.dtype != torch.bfloat16 or key.shape[1] != heads:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
    flat = [t.to(value.dtype).reshape(batch * heads, -1, t.shape[-1]) for t in (query, key, value)]
    # The lowest finite number instead of -inf: a padding token that sees no token must not become NaN.
    lowest = torch.finfo(torch.float32).min
    bias = None if attention_mask is None else torch.where(attention_mask, 0.0, lowest)
    keep, keep_prob = keep_mask((batch * heads, tokens, key.shape[2]), dropout) if dropout else (None, 1.0)
    scale = size**-0.5 if scaling is None else scaling
    out = _Attention.apply(*flat, bias, keep, scale, keep_prob)
    return out.view(batch, heads, tokens, -1).transpose(1, 2), None


AttentionInterface.register(NAME, tiled_attention)
AttentionMaskInterface.register(NAME, sdpa_mask)


def use_attention(body: PreTrainedModel) -> None:
    """Set this implementation on a model that uses torch's (sdpa); other implementations stay."""
    if body.config._attn_implementation == "sdpa":
        body.set_attn_implementation(NAME)
