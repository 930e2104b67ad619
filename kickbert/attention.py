"""Attention for a CPU in bfloat16, where torch's own kernels are slow; an attention implementation of transformers.

    scores = query @ key^T * scale, masked → probabilities (float32, kept in bfloat16) → probabilities @ value

torch's fused kernel was seen to take 10 times as long to train at 14 tokens and twice as long at 512, its "math" kernel
1.4 to 3 times (benchmarks/step.py sets them side by side in a whole step). Everywhere else (a GPU, float32, very many
scores) torch's own choice runs.
"""

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from kickbert.dropout import drop, keep_mask

NAME = "kickbert"
SCORES = 2**25  # of a layer and batch, kept for the backward pass (64 MB); with more, the fused kernel keeps none


class _Attention(torch.autograd.Function):
    """Scaled dot-product attention (Vaswani et al. 2017, section 3.2.1), each step one kernel over all heads.

    Shapes: query, key, value (batch * heads, tokens, size); bias float32, (batch, 1, 1 or tokens, tokens), or None;
    keep bool, (batch * heads, tokens, tokens), or None.
    """

    @staticmethod
    def forward(ctx, query, key, value, bias, keep, scale, kept_share):
        scores = torch.bmm(query, key.transpose(1, 2))
        if bias is None:
            scores = scores.float().mul_(scale)
        else:  # torch.add makes float32 of both in the same pass
            per_batch = scores.view(bias.shape[0], -1, *scores.shape[1:])
            scores = torch.add(bias, per_batch, alpha=scale).view(scores.shape)
        probs = torch.softmax(scores, -1).to(value.dtype)
        ctx.save_for_backward(query, key, value, probs, keep)
        ctx.scale, ctx.kept_share = scale, kept_share
        return torch.bmm(drop(probs, keep, kept_share), value)

    @staticmethod
    def backward(ctx, grad):
        query, key, value, probs, keep = ctx.saved_tensors
        grad = grad.contiguous()
        grad_value = torch.bmm(drop(probs, keep, ctx.kept_share).transpose(1, 2), grad)
        grad_probs = drop(torch.bmm(grad, value.transpose(1, 2)), keep, ctx.kept_share)
        grad_scores = torch._softmax_backward_data(grad_probs, probs, -1, probs.dtype)
        grad_query = torch.bmm(grad_scores, key).mul_(ctx.scale)
        grad_key = torch.bmm(grad_scores.transpose(1, 2), query).mul_(ctx.scale)
        return grad_query, grad_key, grad_value, None, None, None, None


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
    fits = batch * heads * tokens * key.shape[2] <= SCORES and key.shape[1] == heads
    if query.device.type != "cpu" or value.dtype != torch.bfloat16 or not fits:
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


def use_attention(body: PreTrainedModel) -> None:
    """Let a model that would use torch's attention use this one; others (eager, or with their own) stay as they are."""
    AttentionInterface.register(NAME, attention)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    if body.config._attn_implementation == "sdpa":
        body.set_attn_implementation(NAME)
