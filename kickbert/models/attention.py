"""Attention for a CPU in bfloat16, where torch's own kernels are slow; an attention implementation of transformers.

    scores = query @ key^T * scale, masked → probabilities (float32, kept in bfloat16) → probabilities @ value

Heads are taken a few at a time, so that their scores stay in a core's cache: whole, those of long texts are written to
fresh memory again and again, which takes many times as long as reckoning them. Of several pieces the backward pass
reckons the scores anew (as Dao et al. 2022 do on a GPU), so that they are not kept. benchmarks/attention.py and step.py
measure it against torch's kernels. Everywhere else (a GPU, float32) torch's own choice runs.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from kickbert.models.dropout import drop, keep_mask


class Name(str):
    """The name of an attention implementation; unpickling it imports this module, which registers it."""


NAME = Name("kickbert")
CACHED = 2**19  # scores at a time: 2 MB in float32, a usual second-level cache


def _pieces(heads: int, per_head: int, bias: Tensor | None) -> Iterator[tuple[slice, Tensor | None]]:
    """Which heads of all rows of a batch go together, and their part of the bias.

    Args:
        heads: of all rows together.
        per_head: scores of one.
        bias: shape (batch, 1, ...); the heads of a piece are of one row, or of several whole rows.
    """
    rows = heads if bias is None else len(bias)  # without a bias each head may as well be a row
    own, many = heads // rows, max(1, CACHED // per_head)
    together = max(1, many // own)
    for row in range(0, rows, together):
        end = min(row + together, rows)
        for at in range(row * own, end * own, min(many, together * own)):
            yield slice(at, min(at + many, end * own)), None if bias is None else bias[row:end]


def _probabilities(query: Tensor, key: Tensor, bias: Tensor | None, scale: float) -> Tensor:
    """Of some heads: float32 within, in the type of the query."""
    scores = torch.bmm(query, key.transpose(1, 2))
    if bias is None:
        scores = scores.float().mul_(scale)
    else:  # torch.add makes float32 of both in the same pass
        per_row = scores.view(len(bias), -1, *scores.shape[1:])
        scores = torch.add(bias, per_row, alpha=scale).view(scores.shape)
    return torch.softmax(scores, -1).to(query.dtype)


class _Attention(torch.autograd.Function):
    """Scaled dot-product attention (Vaswani et al. 2017, section 3.2.1), each step one kernel over some heads.

    Shapes: query, key, value (batch * heads, tokens, size); bias float32, (batch, 1, 1 or tokens, tokens), or None;
    keep bool, (batch * heads, tokens, tokens), or None.
    """

    @staticmethod
    def forward(ctx, query, key, value, bias, keep, scale, kept_share):
        ctx.scale, ctx.kept_share, probs = scale, kept_share, None
        out = value.new_empty(len(query), query.shape[1], value.shape[2])
        for part, own in _pieces(len(query), query.shape[1] * key.shape[1], bias):
            probs = _probabilities(query[part], key[part], own, scale)
            torch.bmm(drop(probs, None if keep is None else keep[part], kept_share), value[part], out=out[part])
        single = probs is not None and len(probs) == len(query)
        ctx.save_for_backward(query, key, value, bias, keep, probs if single else None)
        return out

    @staticmethod
    def backward(ctx, grad):
        query, key, value, bias, keep, known = ctx.saved_tensors
        grad, found = grad.contiguous(), [torch.empty_like(t) for t in (query, key, value)]
        for part, own in _pieces(len(query), query.shape[1] * key.shape[1], bias):
            probs = _probabilities(query[part], key[part], own, ctx.scale) if known is None else known
            kept = None if keep is None else keep[part]
            torch.bmm(drop(probs, kept, ctx.kept_share).transpose(1, 2), grad[part], out=found[2][part])
            slopes = drop(torch.bmm(grad[part], value[part].transpose(1, 2)), kept, ctx.kept_share)
            slopes = torch._softmax_backward_data(slopes, probs, -1, probs.dtype)
            torch.bmm(slopes, key[part], out=found[0][part])
            torch.bmm(slopes.transpose(1, 2), query[part], out=found[1][part])
        return found[0].mul_(ctx.scale), found[1].mul_(ctx.scale), found[2], None, None, None, None


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
    """What a transformers encoder calls for its attention.

    Args:
        module: the layer's attention; not used here.
        query, key, value: shape (batch, heads, tokens, size).
        attention_mask: True where a token may be looked at, bool, (batch, 1, tokens, tokens); None for everywhere.
        dropout: share of the probabilities that is dropped.
        scaling: factor of the scores; None for 1 / sqrt(size).
    Returns:
        Shape (batch, tokens, heads, size), and None in place of the probabilities.
    """
    batch, heads, tokens, size = query.shape
    if query.device.type != "cpu" or value.dtype != torch.bfloat16 or key.shape[1] != heads:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
    flat = [t.to(value.dtype).reshape(batch * heads, -1, t.shape[-1]) for t in (query, key, value)]
    # The lowest finite number: a padding token, before a window's reach of any other, must not become NaN.
    lowest = torch.finfo(torch.float32).min
    bias = None if attention_mask is None else torch.where(attention_mask, 0.0, lowest)
    keep, kept_share = keep_mask((batch * heads, tokens, key.shape[2]), dropout) if dropout else (None, 1.0)
    scale = size**-0.5 if scaling is None else scaling
    out = _Attention.apply(*flat, bias, keep, scale, kept_share)
    return out.view(batch, heads, tokens, -1).transpose(1, 2), None


AttentionInterface.register(NAME, attention)
AttentionMaskInterface.register(NAME, sdpa_mask)


def use_attention(body: PreTrainedModel) -> None:
    """Let a model that would use torch's attention use this one; others (eager, or with their own) stay as they are."""
    if body.config._attn_implementation == "sdpa":
        body.set_attn_implementation(NAME)
