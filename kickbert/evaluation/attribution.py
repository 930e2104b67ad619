"""Why a model says what it says of one text: a score for each word.

learner, text → tokens → a score for each token → words → `Explanation`: a table, a line in a terminal, HTML
"""

from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from torch import Tensor

from kickbert.data.bucketing import Packed
from kickbert.evaluation.explanation import Explanation, class_number, explained_value
from kickbert.evaluation.occlusion import occlusion
from kickbert.targets.kinds import REGRESSION
from kickbert.text.tokenization import PAD
from kickbert.utils.extras import require

STEPS = 64  # of the integral; the gap says whether they were enough


def attribute(learn: Any, text: Any, label: Any = None, method: str = "gradients", steps: int = STEPS) -> Explanation:
    """Explain one prediction of a learner.

    Args:
        learn: a learner.
        text: a string, or for several columns a tuple or dict, as in `read`. Of a text over the model's limit the head
            is explained.
        label: the class; None for the likeliest.
        method: "gradients": integrated gradients of the embeddings (Sundararajan, Taly and Yan 2017; captum);
            "occlusion": what is lost when a word is masked (Zeiler and Fergus 2014); "rollout": where attention comes
            from, whatever the class (Abnar and Zuidema 2020).
        steps: of the integral.
    Raises:
        ValueError: an unknown method or class, or a text without words.
    """
    methods = {"gradients": _gradients, "rollout": _rollout}
    if method not in ("occlusion", *methods):
        raise ValueError(f"method={method!r} is not one of {['gradients', 'occlusion', 'rollout']}")
    tokenizer, target = learn.dls.tokenizer, learn.target
    read = learn.read([text])[0][0]
    if method == "occlusion":
        how = {"target": target, "token_encoder": tokenizer.token_encoder, "mask_id": tokenizer.mask_id}
        return occlusion(read, label, lambda rows: token_probabilities(learn, rows), **how)
    words, place = tokenizer.token_encoder.words(read)
    if not words:
        raise ValueError(f"text={text!r} has no words to explain")
    ids = _batch([tokenizer.encode_batch([read])[0][0]], learn)
    with _evaluating(learn.model):
        with torch.no_grad():
            probs = learn.loss_func.activation(_logits(learn.model, ids))[0].double().cpu().numpy()
        which = int(probs.argmax()) if label is None or target.task == REGRESSION else class_number(target, label)
        scores, gap = methods[method](learn, ids, place, which, steps)
    summed = np.bincount(place[place >= 0], weights=scores[place >= 0], minlength=len(words))
    return Explanation(words, summed, target.names[which], explained_value(target, probs, which), method, gap)


@torch.no_grad()
def token_probabilities(learn: Any, rows: list[np.ndarray]) -> np.ndarray:
    """Probabilities of rows of token ids, in fp32, float64, shape (rows, classes)."""
    with _evaluating(learn.model):
        batches = [_batch(rows[at : at + 32], learn) for at in range(0, len(rows), 32)]
        outputs = torch.cat([learn.loss_func.activation(_logits(learn.model, batch)) for batch in batches])
    return outputs.double().cpu().numpy()


def _batch(rows: list[np.ndarray], learn: Any) -> Tensor:
    """Rows of token ids side by side, on the model's device."""
    padded = Packed.of(rows).gather(range(len(rows)), fill=PAD)
    return padded.long().to(next(learn.model.parameters()).device)


@contextmanager
def _evaluating(model: Any):
    """Evaluation mode, in fp32, so that sums are exact; and the model as it was after."""
    training, precision = model.training, model.precision
    model.eval()
    model.precision = "fp32"
    try:
        yield
    finally:
        model.precision = precision
        model.train(training)


def _logits(model: Any, ids: Tensor) -> Tensor:
    """The whole model with gradients through all of it, frozen or not."""
    mask = ids != PAD
    return model.head(model.encoder(ids, mask), mask)


def _masked(learn: Any, ids: Tensor, place: np.ndarray) -> Tensor:
    """The row with all words masked; special tokens stay."""
    blank = learn.dls.tokenizer.mask_id
    out = ids.clone()
    out[0, torch.from_numpy(place >= 0)] = blank
    return out


def _gradients(learn: Any, ids: Tensor, place: np.ndarray, which: int, steps: int) -> tuple[np.ndarray, float]:
    require("captum", extra="explain")
    from captum.attr import LayerIntegratedGradients

    model = learn.model
    needing = {p: p.requires_grad for p in model.parameters()}
    integral = LayerIntegratedGradients(lambda x: _logits(model, x)[:, which], model.encoder.body.embeddings)
    try:
        for p in model.parameters():  # captum needs a graph through the embeddings, which may be frozen
            p.requires_grad_(True)
        found, delta = integral.attribute(
            ids, _masked(learn, ids, place), n_steps=steps, internal_batch_size=16, return_convergence_delta=True
        )
    finally:
        for p, needed in needing.items():
            p.requires_grad_(needed)
    scores = found[0].sum(-1).detach().double().cpu().numpy()
    return scores, abs(float(delta)) / max(1e-6, abs(scores.sum() - float(delta)))


@torch.no_grad()
def _rollout(learn: Any, ids: Tensor, place: np.ndarray, which: int, steps: int) -> tuple[np.ndarray, None]:
    maps = attention_maps(learn.model, ids)[:, 0].mean(1)  # over heads: (layers, tokens, tokens)
    rolled = torch.eye(maps.shape[-1], dtype=maps.dtype, device=maps.device)
    for one in maps:
        rolled = (one + torch.eye(len(one), dtype=one.dtype, device=one.device)) / 2 @ rolled
    pooled = rolled[0] if learn.model.head.pooling == "cls" else rolled.mean(0)
    return pooled.double().cpu().numpy(), None


@torch.no_grad()
def attention_maps(model: Any, ids: Tensor) -> Tensor:
    """Attention probabilities of all layers, shape (layers, batch, heads, tokens, tokens).

    They need transformers' own ("eager") attention, for the faster ones do not keep them.

    Raises:
        ValueError: an architecture that gives no attention of full rows.
    """
    body, mask = model.encoder.body, ids != PAD
    before = body.config._attn_implementation
    try:
        body.set_attn_implementation("eager")
        out = body(
            input_ids=ids.masked_fill(~mask, body.config.pad_token_id or 0),
            attention_mask=mask.long(),
            output_attentions=True,
            **model.encoder.token_types(ids),
        )
    finally:
        body.set_attn_implementation(before)
    maps = out.attentions
    if not maps or any(m is None or m.shape[-1] != ids.shape[1] for m in maps):
        raise ValueError(f"{body.config.model_type} gives no attention of full rows; use method='gradients'")
    return torch.stack(list(maps))


def token_maps(learn: Any, text: Any) -> tuple[np.ndarray, list[str]]:
    """Attention probabilities of a text, shape (layers, heads, tokens, tokens), and its tokens as people read them."""
    tokenizer = learn.dls.tokenizer
    ids = tokenizer.encode_batch(learn.read([text])[0])[0][0].astype(np.int64)
    with _evaluating(learn.model):
        maps = attention_maps(learn.model, torch.from_numpy(ids)[None].to(next(learn.model.parameters()).device))
    return maps[:, 0].float().cpu().numpy(), [tokenizer.hf.decode([i]).strip() or "·" for i in ids]


TOKENS = 40  # of an attention map


def plot_attention(learn: Any, text: Any, layer: int = -1, head: int | None = None, ax: Axes | None = None) -> Figure:
    """Where each token of a text looks, in one layer.

    Args:
        layer: counted from 0, or from the end.
        head: None for the mean over heads.
    """
    from kickbert.evaluation.attribution import token_maps

    maps, tokens = token_maps(learn, text)
    if not -len(maps) <= layer < len(maps) or (head is not None and not 0 <= head < maps.shape[1]):
        raise ValueError(f"layer={layer}, head={head}: this encoder has {len(maps)} layers of {maps.shape[1]} heads")
    found = maps[layer].mean(0) if head is None else maps[layer, head]
    found, tokens = found[:TOKENS, :TOKENS], tokens[:TOKENS]
    n = len(tokens)
    ax = plt.subplots(figsize=(3 + 0.24 * n, 1.6 + 0.24 * n), layout="constrained")[1] if ax is None else ax
    shades = ax.imshow(found, cmap="Blues", vmin=0)
    ax.figure.colorbar(shades, ax=ax, shrink=0.6, format=PercentFormatter(1, decimals=0), label="share of attention")
    ax.set_xticks(range(n), tokens, rotation=90, fontsize=8)
    ax.set_yticks(range(n), tokens, fontsize=8)
    ax.set(xlabel="looked at", ylabel="token")
    ax.set_title(
        f"Attention of layer {layer % len(maps) + 1}" + ("" if head is None else f", head {head + 1}"), loc="left"
    )
    return ax.figure
