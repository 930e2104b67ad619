"""A classifier as transformers' `AutoModelForSequenceClassification` and back, where the heads allow it.

Theirs have a linear layer and an activation before the last linear layer. Where ours is one linear layer, the one
before it is set so that both change nothing: tanh of a very small number is that number, and so are gelu and relu of a
large one.
"""

import re
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, PretrainedConfig, PreTrainedModel

from kickbert.models.classifier import ProbabilityModel, TextClassifier, example_input
from kickbert.models.encoder import Encoder
from kickbert.models.head import Head
from kickbert.targets.kinds import MULTI, ORDINAL, REGRESSION, Target
from kickbert.utils.hub import load, quiet

# Of each architecture: the linear layer before the last, what follows it, and the last one.
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
    "longformer": "lets its first token see all others",
    "mobilebert": "has states too large for the layer between",
    "modernbert": "normalises what it pools",
}
SMALL = 2.0**-12  # tanh(x) is x to the last bit of float32 then, and a power of two costs no digit
LARGE = 64.0  # more than any state of a normalised layer; gelu and relu pass what is above zero
SINGLE_LABEL = "single_label_classification"
KINDS = {MULTI: "multi_label_classification", REGRESSION: "regression"}
CLOSE = 1e-4


def plain_model(classifier: ProbabilityModel, target: Target, windows: bool) -> tuple[PreTrainedModel | None, str]:
    """The same classifier as a plain transformers model.

    Returns:
        The model, or None where it cannot be; and a sentence about it for the model card.
    """
    body, head = classifier.encoder.body, classifier.head
    why = why_not_portable(body.config.model_type, head, target, windows)
    if why:
        return None, f"transformers' AutoModel loads the encoder; the head is kickbert's own, for {why}."
    with quiet():
        model = AutoModelForSequenceClassification.from_config(labeled_config(body.config, target)).eval()
    model.base_model.load_state_dict(body.state_dict(), strict=False)
    _fill(model, head, classifier.temperature)
    if not _agrees(model, classifier):
        return (
            None,
            "transformers' AutoModel loads the encoder; the head is kickbert's own, for theirs rounds too much.",
        )
    return model, "transformers' `AutoModelForSequenceClassification.from_pretrained` loads this folder too."


def labeled_config(config: PretrainedConfig, target: Target) -> PretrainedConfig:
    """A copy of a configuration that names the classes."""
    config = type(config).from_dict(config.to_dict())
    config.id2label = dict(enumerate(target.names))
    config.label2id = {name: i for i, name in enumerate(target.names)}
    config.problem_type = KINDS.get(target.task, SINGLE_LABEL)
    return config


def why_not_portable(kind: str, head: Head, target: Target, windows: bool) -> str | None:
    """Why the head cannot be expressed in transformers' terms; None where it can."""
    if target.task == ORDINAL:
        return "theirs has no ordered classes (CORN)"
    if windows:
        return "theirs reads no documents in windows"
    if head.pooling != "cls":
        return f"theirs does not pool by {head.pooling!r}"
    if head.normalize:
        return "theirs brings no pooled states to length one"
    if kind not in HEADS:
        return f"theirs {OTHERS[kind]} ({kind})"
    if head.pre_classifier is not None and HEADS[kind][1] != head.activation:
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
def _agrees(model: PreTrainedModel, classifier: ProbabilityModel, order: list[int] | slice = slice(None)) -> bool:
    """Whether both give the same probabilities, those of transformers' classes in this order."""
    ids, mask = example_input(False, classifier.encoder.body.get_input_embeddings().num_embeddings)
    ids = ids.masked_fill(mask == 0, model.config.pad_token_id or 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logits: Tensor = model(input_ids=ids, attention_mask=mask, **classifier.encoder.token_types(ids)).logits
    task, logits = classifier.task, logits[:, order]
    probs = logits if task == REGRESSION else logits.sigmoid() if task == MULTI else logits.softmax(-1)
    return bool((probs - classifier(ids, mask)).abs().max() < CLOSE)


def unused_head(config: PretrainedConfig) -> str | None:
    """The head of a fine-tuned checkpoint in words, "BertForSequenceClassification: 2 classes (no, yes)"; else None.

    Args:
        config: as `from_pretrained` read it.
    """
    fine_tuned = r"\w+For(?:SequenceClassification|TokenClassification|QuestionAnswering|MultipleChoice)"
    name = next((name for name in config.architectures or [] if re.fullmatch(fine_tuned, name)), None)
    if name is None or not name.endswith("Classification"):
        return name
    return f"{name}: {config.num_labels} classes ({', '.join(map(str, config.id2label.values()))})"


def keeps_head(config: PretrainedConfig) -> bool:
    """Whether `checkpoint_head` knows the head of such a checkpoint."""
    return "ForSequenceClassification" in (unused_head(config) or "") and config.model_type in HEADS


def checkpoint_head(
    model: str | Path, encoder: Encoder, target: Target, dropout: float = 0.1, in_order: bool = False, **hub: Any
) -> Head:
    """The head of a fine-tuned checkpoint, its classes in the target's order.

    Args:
        model: hub id or folder of an `AutoModelForSequenceClassification`.
        encoder: of the same checkpoint.
        target: what is predicted; classes are matched by name.
        dropout: of the head.
        in_order: whether the target's classes are known to stand in the checkpoint's order, whatever they are called.
        hub: `revision` and `trust_remote_code` of `from_pretrained`.
    Raises:
        ValueError: no such head, one that cannot be expressed in kickbert's terms, or other classes.
    """
    config, refused = encoder.body.config, f"model={str(model)!r} has no head to keep (head='checkpoint')"
    architecture = unused_head(config) or "no fine-tuned classifier"
    if not keeps_head(config):
        raise ValueError(
            f"{refused}: it is {architecture}, and {sorted(HEADS)} keep theirs; leave head out for a new one"
        )
    wanted = KINDS.get(target.task, SINGLE_LABEL)
    if target.task in (ORDINAL, REGRESSION) or config.problem_type not in (None, wanted):
        raise ValueError(f"{refused} for this task: it was trained for {config.problem_type or SINGLE_LABEL}, and the "
                         f"target is {target.task}; leave head out for a new one")  # fmt: skip
    order = _class_order([config.id2label[i] for i in range(config.num_labels)], target, in_order)
    theirs = load(AutoModelForSequenceClassification.from_pretrained, model, dtype=torch.float32, **hub).eval()
    before, activation, last = HEADS[config.model_type]
    head = Head(encoder.width, len(order), "cls", dropout, layers=2, activation=activation)
    last = theirs.get_submodule(last)
    head.pre_classifier.load_state_dict(theirs.get_submodule(before).state_dict())
    head.classifier.load_state_dict({"weight": last.weight[order], "bias": last.bias[order]})
    probabilities = ProbabilityModel(TextClassifier(encoder, head), target.task).eval()
    if not _agrees(theirs, probabilities, order):
        raise ValueError(f"{refused} that gives the same numbers here; leave head out for a new one")
    return head


def _class_order(there: list[str], target: Target, in_order: bool) -> list[int]:
    """For each class of the target its number in the checkpoint.

    Raises:
        ValueError: the classes are not the same, or nothing says which is which.
    """
    here, folded = target.names, [name.casefold() for name in there]
    if sorted(folded) == sorted(name.casefold() for name in here):
        return [folded.index(name.casefold()) for name in here]
    unnamed = all(re.fullmatch(r"LABEL_\d+", name) for name in there)
    if len(here) == len(there) and (in_order or (unnamed and list(target.classes) == list(range(len(there))))):
        return list(range(len(there)))
    raise ValueError(
        f"head='checkpoint' has the classes {there}, and the target has {here}; name them alike, or give labels= in "
        "the checkpoint's order"
    )
