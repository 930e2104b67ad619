"""Convert a classifier to transformers' `AutoModelForSequenceClassification` and back, if the heads allow it.

A transformers head has a linear layer and an activation before its last linear layer. If our head is one linear layer,
that first layer is set to have no effect: tanh of a very small number is the number itself, and so are gelu and relu
of a large one.
"""

import re
import warnings
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, PretrainedConfig, PreTrainedModel

from kickbert.models.classifier import ProbabilityModel, TextClassifier, example_input
from kickbert.models.encoder import Encoder
from kickbert.models.head import Head
from kickbert.targets.base import Target
from kickbert.utils.hub import load, quiet

# By architecture: the linear layer before the last, its activation, and the last layer.
_ROBERTA = ("classifier.dense", "tanh", "classifier.out_proj")
HEADS = {
    "albert": ("albert.pooler", "tanh", "classifier"),
    "bert": ("bert.pooler.dense", "tanh", "classifier"),
    "big_bird": ("classifier.dense", "gelu_new", "classifier.out_proj"),
    "camembert": _ROBERTA,
    "deberta": ("pooler.dense", "gelu", "classifier"),
    "deberta-v2": ("pooler.dense", "gelu", "classifier"),
    "distilbert": ("pre_classifier", "relu", "classifier"),
    "electra": ("classifier.dense", "gelu", "classifier.out_proj"),
    "mpnet": _ROBERTA,
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
}
OTHERS = {
    "longformer": "gives its first token global attention",
    "mobilebert": "has states too large for the layer between",
    "modernbert": "normalizes its pooled states",
}
SMALL = 2.0**-12  # tanh(x) equals x in float32, and scaling by a power of two is exact
LARGE = 64.0  # more than any state of a normalized layer, so that gelu and relu are the identity
SINGLE_LABEL = "single_label_classification"
CLOSE = 1e-4


def plain_model(classifier: ProbabilityModel, target: Target, windows: bool) -> tuple[PreTrainedModel | None, str]:
    """Convert a classifier to a plain transformers model.

    Args:
        classifier: the classifier.
        target: its target.
        windows: whether it reads documents in windows.
    Returns:
        The model, or None if that is impossible; and a sentence about it for the model card.
    """
    body, head = classifier.encoder.body, classifier.head
    why = why_not_portable(body.config.model_type, head, target, windows)
    if why:
        return None, f"transformers' AutoModel loads the encoder. The head needs kickbert: transformers {why}."
    with quiet():
        model = AutoModelForSequenceClassification.from_config(labeled_config(body.config, target)).eval()
    model.base_model.load_state_dict(body.state_dict(), strict=False)
    _fill(model, head, classifier.temperature)
    if not _agrees(model, classifier):
        return None, "transformers' AutoModel loads the encoder. The head needs kickbert: transformers rounds too much."
    return model, "transformers' `AutoModelForSequenceClassification.from_pretrained` loads this folder too."


def labeled_config(config: PretrainedConfig, target: Target) -> PretrainedConfig:
    """Copy a configuration and name the classes in it."""
    config = type(config).from_dict(config.to_dict())
    config.id2label = dict(enumerate(target.names))
    config.label2id = {name: i for i, name in enumerate(target.names)}
    cast(Any, config).problem_type = target.problem_type
    return config


def why_not_portable(kind: str, head: Head, target: Target, windows: bool) -> str | None:
    """Explain why transformers cannot express the head, as the end of a sentence; None if it can."""
    if target.is_ordered:
        return "has no ordered classes (CORN)"
    if windows:
        return "does not read documents in windows"
    if head.pooling != "cls":
        return f"does not pool by {head.pooling!r}"
    if head.side is not None:
        return "has no side network"
    if head.normalize:
        return "does not normalize pooled states"
    if kind not in HEADS:
        return f"{OTHERS[kind]} ({kind})"
    if head.pre_classifier is not None and HEADS[kind][1] != head.activation:
        return f"has {HEADS[kind][1]} between its two layers"
    return None


@torch.no_grad()
def _fill(model: PreTrainedModel, head: Head, temperature: float) -> None:
    """Set the last two linear layers of a transformers model so that they compute what `head` computes."""
    before_name, activation, last_name = HEADS[model.config.model_type]
    before = cast(nn.Linear, model.get_submodule(before_name))
    last = cast(nn.Linear, model.get_submodule(last_name))
    weight = head.classifier.weight / temperature
    bias = head.classifier.bias / temperature
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
def _agrees(model: PreTrainedModel, classifier: ProbabilityModel, order: list[int] | slice = slice(None)) -> bool:
    """Whether both models give the same probabilities, after the classes of `model` are put in this order."""
    embeddings = cast(nn.Embedding, classifier.encoder.body.get_input_embeddings())
    ids, mask = example_input(windows=False, vocabulary=embeddings.num_embeddings)[:2]
    ids = ids.masked_fill(mask == 0, model.config.pad_token_id or 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logits: Tensor = model(input_ids=ids, attention_mask=mask, **classifier.encoder.token_types(ids)).logits
    probs: Tensor = classifier.activation(logits[:, order])
    return bool((probs - classifier(ids, mask)).abs().max() < CLOSE)


def unused_head(config: PretrainedConfig) -> str | None:
    """Describe the head of a fine-tuned checkpoint ("BertForSequenceClassification: 2 classes (no, yes)"), or None."""
    fine_tuned = r"\w+For(?:SequenceClassification|TokenClassification|QuestionAnswering|MultipleChoice)"
    name = next((name for name in config.architectures or [] if re.fullmatch(fine_tuned, name)), None)
    if name is None or not name.endswith("Classification"):
        return name
    return f"{name}: {config.num_labels} classes ({', '.join(_class_names(config))})"


def _class_names(config: PretrainedConfig) -> list[str]:
    """The classes of a fine-tuned checkpoint, in its order."""
    return [str(name) for _, name in sorted((config.id2label or {}).items())]


def keeps_head(config: PretrainedConfig) -> bool:
    """Whether `checkpoint_head` can read the head of such a checkpoint."""
    return "ForSequenceClassification" in (unused_head(config) or "") and config.model_type in HEADS


def checkpoint_head(
    model: str | Path, encoder: Encoder, target: Target, dropout: float = 0.1, in_order: bool = False, **hub: Any
) -> Head:
    """Load the head of a fine-tuned checkpoint, with its classes in the target's order.

    Args:
        model: Hub id or folder of an `AutoModelForSequenceClassification`.
        encoder: the encoder of the same checkpoint.
        target: the target; classes are matched by name.
        dropout: dropout of the head.
        in_order: whether the target's classes are in the checkpoint's order, whatever their names.
        hub: `revision` and `trust_remote_code` for `from_pretrained`.
    Raises:
        ValueError: no such head, a head that kickbert cannot express, or other classes.
    """
    config = encoder.body.config
    refused = f"model={str(model)!r} has no head to keep (head='checkpoint')"
    if not keeps_head(config):
        architecture = unused_head(config) or "not a fine-tuned classifier"
        raise ValueError(
            f"{refused}: it is {architecture}. Supported: {', '.join(sorted(HEADS))}. Omit head for a new one"
        )
    kind = config.problem_type
    if target.is_ordered or target.is_number or kind not in (None, target.problem_type):
        raise ValueError(
            f"{refused} for this task: it was trained for {kind or SINGLE_LABEL}, and the target is {target.task}. "
            "Omit head for a new one"
        )
    order = _class_order(_class_names(config), target, in_order)
    theirs = load(AutoModelForSequenceClassification.from_pretrained, model, dtype=torch.float32, **hub).eval()
    before, activation, last_name = HEADS[config.model_type]
    head = Head(encoder.width, len(order), "cls", dropout, layers=2, activation=activation)
    last = cast(nn.Linear, theirs.get_submodule(last_name))
    cast(nn.Linear, head.pre_classifier).load_state_dict(theirs.get_submodule(before).state_dict())
    head.classifier.load_state_dict({"weight": last.weight[order], "bias": last.bias[order]})
    probabilities = ProbabilityModel(TextClassifier(encoder, head), target).eval()
    if not _agrees(theirs, probabilities, order):
        raise ValueError(f"{refused} that gives the same numbers here. Omit head for a new one")
    return head


def _class_order(there: list[str], target: Target, in_order: bool) -> list[int]:
    """Find the checkpoint's number of each class of the target.

    Raises:
        ValueError: the classes differ, or cannot be matched.
    """
    here, folded = target.names, [name.casefold() for name in there]
    if sorted(folded) == sorted(name.casefold() for name in here):
        return [folded.index(name.casefold()) for name in here]
    unnamed = all(re.fullmatch(r"LABEL_\d+", name) for name in there)
    numbered = unnamed and list(getattr(target, "classes", ())) == list(range(len(there)))
    if len(here) == len(there) and (in_order or numbered):
        return list(range(len(there)))
    raise ValueError(
        f"head='checkpoint' has the classes {there}, and the target has {here}; use the same names, or pass labels= in "
        "the checkpoint's order"
    )
