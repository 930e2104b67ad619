"""Attribution: which words of a text a prediction depends on, by gradients, occlusion or attention.

learner, text → tokens → a score for each token → words → `Explanation`: a table, a line in a terminal, HTML
"""

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from torch import Tensor

from kickbert.data.packed import Packed
from kickbert.evaluation.explanation import Explanation, class_number, explained_value
from kickbert.evaluation.occlusion import occlusion
from kickbert.text.tokenization import PAD
from kickbert.utils.extras import require
from kickbert.utils.plotting import axes_of, figure_of, literal

if TYPE_CHECKING:
    from kickbert.models.classifier import TextClassifier
    from kickbert.training.learner import GradualLearner

STEPS = 64  # steps of the integral; the gap tells whether they were enough
TOKENS = 40  # maximum number of tokens in a drawn attention map


def attribute(
    learn: "GradualLearner", text: Any, label: Any = None, method: str = "gradients", steps: int = STEPS
) -> Explanation:
    """Explain one prediction of a learner by a score for each word.

    Args:
        learn: a learner.
        text: a string, or a tuple or dict for several columns; text beyond the model's limit is ignored.
        label: the class; None for the most probable one.
        method: "gradients": integrated gradients of the embeddings (Sundararajan, Taly and Yan 2017; captum);
            "occlusion": the loss when a word is masked (Zeiler and Fergus 2014); "rollout": attention rollout, which
            is the same for every class (Abnar and Zuidema 2020).
        steps: steps of the integral.
    Returns:
        Scores by word, and by column beside the text; for rollout, shares of attention of the words.
    Raises:
        ValueError: an unknown method or class, or a text without words.
    """
    methods = {"gradients": _gradients, "rollout": _rollout}
    if method not in ("occlusion", *methods):
        raise ValueError(f"method={method!r} is not one of {['gradients', 'occlusion', 'rollout']}")
    target, tokenizer = learn.target, learn.dls.tokenizer
    cleaned = learn.read([text])[0][0]
    temperature = getattr(learn.loss_func, "temperature", 1.0)
    columns = None if learn.columns is None else learn.columns.effects(text, temperature)
    if method == "occlusion":
        model: dict[str, Any] = {"target": target, "token_encoder": tokenizer.token_encoder, "columns": columns}
        model["mask_id"] = tokenizer.mask_id
        return occlusion(cleaned, label, lambda rows: token_probabilities(learn, rows), **model)
    words, word_of_token = tokenizer.token_encoder.words(cleaned)
    if not words:
        raise ValueError(f"text={text!r} has no words to explain")
    ids = _batch([tokenizer.encode_batch([cleaned])[0][0]], learn)
    with _evaluating(learn.model):
        with torch.no_grad():
            logits = _logits(learn.model, ids)
            logits = logits if columns is None else logits + torch.from_numpy(columns.offsets).to(logits.device)
            probs = learn.loss_func.activation(logits)[0].cpu().double().numpy()
        output = int(probs.argmax()) if label is None or target.is_number else class_number(target, label)
        scores, gap = methods[method](learn, ids, word_of_token, output, steps)
    in_word = word_of_token >= 0
    word_scores = np.bincount(word_of_token[in_word], weights=scores[in_word], minlength=len(words))
    effects = {} if columns is None or method == "rollout" else columns.effects
    by_column = {name: float(effect[output]) for name, effect in effects.items()}
    value = explained_value(target, probs, output)
    return Explanation(words, word_scores, target.names[output], value, method, gap, by_column)


@torch.no_grad()
def token_probabilities(learn: "GradualLearner", rows: list[np.ndarray]) -> np.ndarray:
    """Predict rows of token ids, computed in fp32.

    Args:
        learn: a learner.
        rows: token ids of each row; lengths may differ.
    Returns:
        Probabilities, or standardized numbers, float64, shape (rows, outputs).
    """
    with _evaluating(learn.model):
        batches = [_batch(rows[at : at + 32], learn) for at in range(0, len(rows), 32)]
        outputs = torch.cat([learn.loss_func.activation(_logits(learn.model, batch)) for batch in batches])
    return outputs.cpu().double().numpy()


def _batch(rows: list[np.ndarray], learn: "GradualLearner") -> Tensor:
    """Pad rows of token ids into one batch on the model's device."""
    padded = Packed.of(rows).gather(range(len(rows)), fill=PAD)
    return padded.long().to(next(learn.model.parameters()).device)


@contextmanager
def _evaluating(model: "TextClassifier"):
    """Put the model in evaluation mode and fp32, so that sums are exact, and restore it afterwards."""
    training, precision = model.training, model.precision
    model.eval()
    model.precision = "fp32"
    try:
        yield
    finally:
        model.precision = precision
        model.train(training)


def _logits(model: "TextClassifier", ids: Tensor) -> Tensor:
    """Run the whole model with gradients through all of it, frozen or not."""
    mask = ids != PAD
    return model.head(model.encoder(ids, mask, taps=model.head.taps), mask)


def _masked(learn: "GradualLearner", ids: Tensor, word_of_token: np.ndarray) -> Tensor:
    """Mask all words of the row; special tokens stay."""
    masked = ids.clone()
    masked[0, torch.from_numpy(word_of_token >= 0)] = learn.dls.tokenizer.mask_id
    return masked


def _gradients(
    learn: "GradualLearner", ids: Tensor, word_of_token: np.ndarray, output: int, steps: int
) -> tuple[np.ndarray, float]:
    """Integrate the gradients of each token, starting from the masked row, and compute their completeness gap."""
    require("captum", extra="explain")
    from captum.attr import LayerIntegratedGradients

    model = learn.model
    trainable = {p: p.requires_grad for p in model.parameters()}
    method = LayerIntegratedGradients(lambda x: _logits(model, x)[:, output], model.encoder.body.embeddings)
    baseline = _masked(learn, ids, word_of_token)
    try:
        for p in model.parameters():  # captum needs a graph through the embeddings, which may be frozen
            p.requires_grad_(True)
        gradients, delta = method.attribute(
            ids, baseline, n_steps=steps, internal_batch_size=16, return_convergence_delta=True
        )
    finally:
        for p, trains in trainable.items():
            p.requires_grad_(trains)
    scores = gradients[0].sum(-1).detach().cpu().double().numpy()
    return scores, abs(float(delta)) / max(1e-6, abs(scores.sum() - float(delta)))


@torch.no_grad()
def _rollout(
    learn: "GradualLearner", ids: Tensor, word_of_token: np.ndarray, output: int, steps: int
) -> tuple[np.ndarray, None]:
    """Follow the attention from each token to the pooled vector, through all layers and residuals."""
    maps = attention_maps(learn.model, ids)[:, 0].mean(1)  # over heads: (layers, tokens, tokens)
    rolled = torch.eye(maps.shape[-1], dtype=maps.dtype, device=maps.device)
    for layer in maps:
        rolled = (layer + torch.eye(len(layer), dtype=layer.dtype, device=layer.device)) / 2 @ rolled
    pooled = rolled[0] if learn.model.head.pooling == "cls" else rolled.mean(0)
    return pooled.cpu().double().numpy(), None


@torch.no_grad()
def attention_maps(model: "TextClassifier", ids: Tensor) -> Tensor:
    """Compute the attention probabilities of all layers.

    This needs transformers' "eager" attention, because the faster kinds do not keep them.

    Args:
        model: a classifier.
        ids: token ids, shape (batch, tokens).
    Returns:
        Shape (layers, batch, heads, tokens, tokens).
    Raises:
        ValueError: an architecture with local attention.
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
        raise ValueError(f"{body.config.model_type} has no attention over full rows. Use method='gradients'")
    return torch.stack(list(maps))


def token_maps(learn: "GradualLearner", text: Any) -> tuple[np.ndarray, list[str]]:
    """Compute the attention probabilities of a text.

    Args:
        learn: a learner.
        text: as in `attribute`.
    Returns:
        Shape (layers, heads, tokens, tokens), and the tokens as readable text.
    """
    tokenizer = learn.dls.tokenizer
    ids = tokenizer.encode_batch(learn.read([text])[0])[0][0].astype(np.int64)
    with _evaluating(learn.model):
        maps = attention_maps(learn.model, torch.from_numpy(ids)[None].to(next(learn.model.parameters()).device))
    return maps[:, 0].float().cpu().numpy(), [tokenizer.hf.decode([i]).strip() or "·" for i in ids]


def plot_attention(
    learn: "GradualLearner", text: Any, layer: int = -1, head: int | None = None, ax: Axes | None = None
) -> Figure:
    """Plot the attention map of a text in one layer: each row shows where its token attends.

    Args:
        learn: a learner.
        text: as in `attribute`; the first 40 tokens are drawn.
        layer: number of the layer, from 0, or negative from the end.
        head: number of the head, from 0; None for the mean over heads.
        ax: axes to draw on; None for a new figure.
    Raises:
        ValueError: an unknown layer or head.
    """
    maps, tokens = token_maps(learn, text)
    if not -len(maps) <= layer < len(maps) or (head is not None and not 0 <= head < maps.shape[1]):
        raise ValueError(
            f"layer={layer}, head={head} is out of range: the encoder has {len(maps)} layers with {maps.shape[1]} heads"
        )
    weights = (maps[layer].mean(0) if head is None else maps[layer, head])[:TOKENS, :TOKENS]
    names = [literal(token) for token in tokens[:TOKENS]]
    n = len(names)
    ax = axes_of(ax, (3 + 0.24 * n, 1.6 + 0.24 * n))
    shades = ax.imshow(weights, cmap="Blues", vmin=0)
    ax.figure.colorbar(shades, ax=ax, shrink=0.6, format=PercentFormatter(1, decimals=0), label="attention weight")
    ax.set_xticks(range(n), names, rotation=90, fontsize=8)
    ax.set_yticks(range(n), names, fontsize=8)
    ax.set(xlabel="key (attended token)", ylabel="query token")
    of_head = "" if head is None else f", head {head + 1}"
    ax.set_title(f"Attention of layer {layer % len(maps) + 1}{of_head}", loc="left")
    return figure_of(ax)
