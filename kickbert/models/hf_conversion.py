"""A classifier as transformers' own `AutoModelForSequenceClassification`, where its head can be said in theirs.

Theirs have a linear layer and an activation before the last linear layer. Where ours is one linear layer, the one
before it is set so that both change nothing: tanh of a very small number is that number, and so are gelu and relu of a
large one.
"""

import warnings

import torch
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from kickbert.models.head import Head
from kickbert.models.probability_model import ProbabilityModel, example_input
from kickbert.targets.kinds import MULTI, ORDINAL, REGRESSION, Target
from kickbert.utils.hub import quiet

# Of each architecture: the linear layer before the last, what follows it, and the last one.
_ROBERTA = ("classifier.dense", "tanh", "classifier.out_proj")
HEADS = {
    "albert": ("albert.pooler", "tanh", "classifier"),
    "bert": ("bert.pooler.dense", "tanh", "classifier"),
    "camembert": _ROBERTA,
    "deberta": ("pooler.dense", "gelu", "classifier"),
    "deberta-v2": ("pooler.dense", "gelu", "classifier"),
    "distilbert": ("pre_classifier", "relu", "classifier"),
    "electra": ("classifier.dense", "gelu", "classifier.out_proj"),
    "longformer": _ROBERTA,
    "mpnet": _ROBERTA,
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
}
SMALL = 2.0**-12  # tanh(x) is x to the last bit of float32 then, and a power of two costs no digit
LARGE = 64.0  # more than any state of a normalised layer; gelu and relu pass what is above zero
KINDS = {MULTI: "multi_label_classification", REGRESSION: "regression"}
CLOSE = 1e-4


def plain_model(answering: ProbabilityModel, target: Target, windows: bool) -> tuple[PreTrainedModel | None, str]:
    """The same classifier as a plain transformers model.

    Returns:
        The model, or None where it cannot be; and a sentence about it for the model card.
    """
    body, head = answering.encoder.body, answering.head
    why = _hindrance(body.config.model_type, head, target, windows)
    if why:
        return None, f"transformers' AutoModel loads the encoder; the head is kickbert's own, for {why}."
    config = type(body.config).from_dict(body.config.to_dict())
    config.id2label = dict(enumerate(target.names))
    config.label2id = {name: i for i, name in enumerate(target.names)}
    config.problem_type = KINDS.get(target.task, "single_label_classification")
    with quiet():
        model = AutoModelForSequenceClassification.from_config(config).eval()
    model.base_model.load_state_dict(body.state_dict(), strict=False)
    _fill(model, head, answering.temperature)
    if not _agrees(model, answering):
        return (
            None,
            "transformers' AutoModel loads the encoder; the head is kickbert's own, for theirs rounds too much.",
        )
    return model, "transformers' `AutoModelForSequenceClassification.from_pretrained` loads this folder too."


def _hindrance(kind: str, head: Head, target: Target, windows: bool) -> str | None:
    """Why the head cannot be said in transformers' terms."""
    if target.task == ORDINAL:
        return "theirs has no ordered classes (CORN)"
    if windows:
        return "theirs reads no documents in windows"
    if head.pooling != "cls":
        return f"theirs does not pool by {head.pooling!r}"
    if kind not in HEADS:
        return f"theirs normalises what it pools ({kind})"
    if head.pre_classifier is not None and HEADS[kind][1] != "relu":
        return f"theirs has {HEADS[kind][1]} between its two layers"
    return None


@torch.no_grad()
def _fill(model: PreTrainedModel, head: Head, temperature: float) -> None:
    """Set the last two linear layers of a transformers model so that they do what `head` does."""
    before, activation, last = HEADS[model.config.model_type]
    before, last = model.get_submodule(before), model.get_submodule(last)
    weight, bias = head.classifier.weight / temperature, head.classifier.bias / temperature
    if head.pre_classifier is not None:
        before.load_state_dict(head.pre_classifier.state_dict())
    elif activation == "tanh":
        nn.init.eye_(before.weight).mul_(SMALL)
        nn.init.zeros_(before.bias)
        weight = weight / SMALL
    else:
        nn.init.eye_(before.weight)
        nn.init.constant_(before.bias, LARGE)
        bias = bias - LARGE * weight.sum(1)
    last.weight.copy_(weight)
    last.bias.copy_(bias)


@torch.no_grad()
def _agrees(model: PreTrainedModel, answering: ProbabilityModel) -> bool:
    ids, mask = example_input(windows=False)
    ids = ids.masked_fill(mask == 0, model.config.pad_token_id or 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found: Tensor = model(input_ids=ids, attention_mask=mask).logits
    kind = answering.task
    probs = found if kind == REGRESSION else found.sigmoid() if kind == MULTI else found.softmax(-1)
    return bool((probs - answering(ids, mask)).abs().max() < CLOSE)
