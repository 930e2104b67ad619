"""The model card of an artifact: README.md, as the Hugging Face Hub shows it."""

import json
import re
from typing import Any

from kickbert.models.artifact.metadata import encoder_name
from kickbert.targets.directions import with_direction
from kickbert.targets.kinds import target_class
from kickbert.utils.messages import listed, plural

CODE = """```python
import kickbert

model = kickbert.load("{folder}")
model.predict([{example}])
```"""

PIPELINE = """In a transformers pipeline, use kickbert's pipeline class:

```python
from transformers import pipeline

classify = pipeline("text-classification", "<this folder>", pipeline_class=kickbert.models.ArtifactPipeline)
```"""


def model_card(info: dict[str, Any], plain: str) -> str:
    """Write the card from the content of `kickbert.json`; names from the data are escaped.

    Args:
        info: the metadata.
        plain: a sentence about how transformers loads the folder.
    """
    columns = [*info["text_col"], *(column["name"] for column in _columns_beside(info))]
    example = '"some text"' if len(columns) == 1 else json.dumps(dict.fromkeys(columns, "…"), ensure_ascii=False)
    parts = [
        _front_matter(info),
        f"# {_title(info)}",
        f"{_purpose(info)} It was made with kickbert {info['versions']['kickbert']} on {info['created'][:10]}.",
        "## How to use it",
        CODE.format(folder="<this folder>", example=example),
        f"{plain} {_transformers_call(info)}",
        "## Evaluation",
        _scores(info),
        "## Training",
        _training(info),
        "## Limitations",
        "The model works for texts like its training texts, in the same language; its confidence is not reliable for "
        "other texts. Evaluate it on your own rows first: `kickbert evaluate`.",
    ]
    return "\n\n".join(parts) + "\n"


def escape_markdown(text: Any) -> str:
    r"""Escape a text so that Markdown and HTML show it literally, on one line.

    >>> print(escape_markdown("<b>*a*</b> | $x$"))
    \<b\>\*a\*\</b\> \| \$x\$
    """
    return re.sub(r"([\\`*_\[\]<>#|~$&])", r"\\\1", " ".join(str(text).split()))


def _front_matter(info: dict[str, Any]) -> str:
    rows: dict[str, Any] = {"library_name": "kickbert"}
    # The Hub's page and `pipeline` use this tag, so it is only set if they predict the same as kickbert.
    same = info["plain transformers"] and not info["cleaning"] and info["tokens"]["long"] == "truncate"
    kind = target_class(info["task"])
    if same and len(info["text_col"]) == 1 and not kind.is_number and not kind.is_ordered:
        rows["pipeline_tag"] = "text-classification"
    rows["tags"] = ["kickbert", info["task"].replace(" ", "-"), info["encoder"]["model_type"]]
    return "---\n" + "\n".join(f"{key}: {json.dumps(value)}" for key, value in rows.items()) + "\n---"


def _title(info: dict[str, Any]) -> str:
    label = info["label_col"]
    columns = ", ".join(map(escape_markdown, info["text_col"]))
    return f"{escape_markdown(label) if isinstance(label, str) else 'Labels'} from {columns}"


def _purpose(info: dict[str, Any]) -> str:
    target = info["target"]
    kind = target_class(info["task"])
    if kind.is_number:
        return f"It predicts the number {escape_markdown(target['name'])} from a text."
    names = [escape_markdown(c) for c in target["classes"]]
    return f"It predicts {kind.phrase} {listed(names, 20)}."


def _transformers_call(info: dict[str, Any]) -> str:
    """How to call the model with transformers, if it loads the folder."""
    columns, tokens = info["text_col"], info["tokens"]
    if not info["plain transformers"]:
        return PIPELINE
    if len(columns) > 2:
        return f"Its tokenizer joins at most two texts; only kickbert can build rows of {len(columns)} columns."
    texts = ", ".join(re.sub(r"\W+", "_", column) for column in columns)
    cleaned = " on cleaned texts" if info["cleaning"] else ""
    cut = "" if tokens["long"] == "truncate" else f" for short texts; kickbert cuts long ones by {tokens['long']!r}"
    call = f'model(**tokenizer({texts}, truncation=True, max_length={tokens["max_length"]}, return_tensors="pt"))'
    return f"`{call}` gives the same result{cleaned}{cut}."


def _scores(info: dict[str, Any]) -> str:
    if not info["metrics"]:
        return "It was not evaluated when it was saved."
    lines = [f"| {escape_markdown(info['evaluated on'])} | |", "|---|---|"]
    scores = {
        escape_markdown(with_direction(name)): value for name, value in info["metrics"].items() if value is not None
    }
    return "\n".join(lines + [f"| {name} | {value:.4g} |" for name, value in scores.items()])


def _columns_beside(info: dict[str, Any]) -> list[dict[str, Any]]:
    columns: list[dict[str, Any]] = info.get("columns", {}).get("columns", [])
    return columns


def _columns(info: dict[str, Any]) -> list[str]:
    """Describe the columns that the model reads beside the text, as a list of at most one line."""
    columns = [f"{escape_markdown(column['name'])} ({column['kind']})" for column in _columns_beside(info)]
    return [f"columns beside the text: {listed(columns, 20)}"] if columns else []


def _training(info: dict[str, Any]) -> str:
    data, encoder = info["data"], info["encoder"]
    lines = [
        f"{plural(data['training rows'], 'training row')}, {plural(data['validation rows'], 'validation row')}",
        f"encoder: {encoder_name(encoder)}, width {encoder['width']}; pooling: {info['head']['pooling']}",
        f"maximum length: {info['tokens']['max_length']} tokens; longer texts: {info['tokens']['long']}",
        *_columns(info),
        f"cleaning: {', '.join(map(escape_markdown, info['cleaning'] or [])) or 'none'}",
        f"temperature: {info['temperature']:.3f}",
        f"fingerprint of the rows: `{data['fingerprint']}`",
        ", ".join(f"{name} {version}" for name, version in info["versions"].items()),
    ]
    return "\n".join(f"- {line}" for line in lines)
