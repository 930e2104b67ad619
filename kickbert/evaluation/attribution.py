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

from kickbert.evaluation.explanation import Explanation
from kickbert.targets.kinds import REGRESSION
from kickbert.text.tokenization import PAD
from kickbert.utils.extras import require

STEPS = 64  # of the integral; the gap says whether they were enough


def explain(learn: Any, text: Any, label: Any = None, method: str = "gradients", steps: int = STEPS) -> Explanation:
    """Which words of a text speak for and against a class.

    Args:
        learn: a learner.
        text: a string, or for several columns a tuple or dict, as in `predict`. Of a text over the model's limit the
            head is explained.
        label: the class; None for the likeliest.
        method: "gradients": integrated gradients of the embeddings (Sundararajan, Taly and Yan 2017; captum);
            "occlusion": what is lost when a word is masked (Zeiler and Fergus 2014); "rollout": where attention comes
            from, whatever the class (Abnar and Zuidema 2020).
        steps: of the integral.
    Raises:
        ValueError: an unknown method or class, or a text without words.
    """
    methods = {"gradients": _gradients, "occlusion": _occlusion, "rollout": _rollout}
    if method not in methods:
        raise ValueError(f"method={method!r} is not one of {list(methods)}")
    tokenizer, target = learn.dls.tokenizer, learn.dls.target
    read = learn.dls.read([text])[0][0]
    words, place = tokenizer.framing.words(read)
    if not words:
        raise ValueError(f"text={text!r} has no words to explain")
    device = next(learn.model.parameters()).device
    ids = torch.from_numpy(tokenizer.encode_batch([read])[0][0].astype(np.int64))[None].to(device)
    with _evaluating(learn.model):
        with torch.no_grad():
            probs = learn.loss_func.activation(_logits(learn.model, ids))[0]
        which = _class(target, label, probs)
        scores, gap = methods[method](learn, ids, place, which, steps)
    summed = np.bincount(place[place >= 0], weights=scores[place >= 0], minlength=len(words))
    value = float(target.unscaled(probs.double().cpu().numpy())[0] if target.task == REGRESSION else probs[which])
    shown = target.names[which]
    return Explanation(words, summed, shown, value, method, gap)


def _class(target: Any, label: Any, probs: Tensor) -> int:
    if label is None or target.task == REGRESSION:
        return int(probs.argmax())
    if label not in target.names and label not in getattr(target, "classes", ()):
        raise ValueError(f"label={label!r} is no class; classes are {target.names}")
    return target.names.index(str(label))


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
    hf = learn.dls.tokenizer.hf
    blank = hf.mask_token_id if hf.mask_token_id is not None else hf.pad_token_id
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
def _occlusion(learn: Any, ids: Tensor, place: np.ndarray, which: int, steps: int) -> tuple[np.ndarray, None]:
    blank = _masked(learn, ids, place)
    words = np.unique(place[place >= 0])
    rows = ids.repeat(len(words), 1)
    for row, word in enumerate(words):
        hidden = torch.from_numpy(place == word)
        rows[row, hidden] = blank[0, hidden]
    whole = _logits(learn.model, ids)[0, which]
    lost = torch.cat([whole - _logits(learn.model, part)[:, which] for part in rows.split(32)])
    scores, counts = np.zeros(len(place)), np.bincount(place[place >= 0])
    for word, loss in zip(words, lost.double().cpu().numpy(), strict=True):
        scores[place == word] = loss / counts[word]
    return scores, None


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
    ids = tokenizer.encode_batch(learn.dls.read([text])[0])[0][0].astype(np.int64)
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
