"""The model card of an artifact: Markdown with the hub's metadata on top (Mitchell et al. 2019)."""

import json
import re
from typing import Any

from kickbert.targets.kinds import MULTI, ORDINAL, REGRESSION

CODE = """```python
import kickbert

model = kickbert.load("{folder}")
model.predict([{example}])
```"""


def model_card(info: dict[str, Any], plain: str) -> str:
    """The card, from what `kickbert.json` says. Names that come from data are escaped: they show as they are.

    Args:
        info: the metadata.
        plain: whether, and how, transformers loads the folder by itself.
    """
    columns = info["text_col"]
    example = '"some text"' if len(columns) == 1 else json.dumps(dict.fromkeys(columns, "…"), ensure_ascii=False)
    parts = [
        _metadata(info),
        f"# {_title(info)}",
        f"{_predicts(info)} It was made with kickbert {info['versions']['kickbert']} on {info['created'][:10]}.",
        "## How to use it",
        CODE.format(folder="<this folder>", example=example),
        f"{plain} {_call(info)}".strip(),
        "## Evaluation",
        _scores(info),
        "## Training",
        _training(info),
        "## Limitations",
        "It knows texts like those it was trained on, in their language; on others its confidence means little. "
        "Evaluate it on rows of your own before anything depends on it: `kickbert evaluate`.",
    ]
    return "\n\n".join(parts) + "\n"


def _call(info: dict) -> str:
    """How to call transformers' own model, where the folder is one."""
    columns, framing = info["text_col"], info["framing"]
    if not info["plain transformers"]:
        return ""
    if len(columns) > 2:
        return f"Its tokenizer joins two texts at most; rows of {len(columns)}, which it reads, kickbert alone makes."
    texts = ", ".join(re.sub(r"\W+", "_", column) for column in columns)
    cleaned = " of cleaned texts" if info["cleaning"] else ""
    cut = "" if framing["long"] == "truncate" else f"; longer texts are cut otherwise there, not {framing['long']!r}"
    return (
        f"It gives the same{cleaned} when it is called with what its own tokenizer makes: "
        f'`model(**tokenizer({texts}, truncation=True, max_length={framing["max_length"]}, return_tensors="pt"))`{cut}.'
    )


def escape_markdown(text: Any) -> str:
    r"""A text as Markdown and the HTML within it show it: on one line, with nothing read as a mark or as mathematics.

    >>> print(escape_markdown("<b>*a*</b> | $x$"))
    \<b\>\*a\*\</b\> \| \$x\$
    """
    return re.sub(r"([\\`*_\[\]<>#|~$&])", r"\\\1", " ".join(str(text).split()))


def _metadata(info: dict) -> str:
    rows = {
        "library_name": "kickbert",
        "pipeline_tag": "text-classification",
        "tags": ["kickbert", info["task"].replace(" ", "-"), info["encoder"]["model_type"]],
    }
    return "---\n" + "\n".join(f"{key}: {json.dumps(value)}" for key, value in rows.items()) + "\n---"


def _title(info: dict) -> str:
    label = info["label_col"]
    columns = ", ".join(map(escape_markdown, info["text_col"]))
    return f"{escape_markdown(label) if isinstance(label, str) else 'Labels'} from {columns}"


def _predicts(info: dict) -> str:
    target, task = info["target"], info["task"]
    if task == REGRESSION:
        return f"It predicts the number {escape_markdown(target['name'])} of a text."
    names = [escape_markdown(c) for c in target["classes"]]
    shown = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    kind = {MULTI: "any of", ORDINAL: "one of the ordered classes"}.get(task, "one of")
    return f"It predicts {kind} {shown}."


def _scores(info: dict) -> str:
    if not info["metrics"]:
        return "It was not evaluated when it was saved."
    lines = [f"| {escape_markdown(info['judged on'])} | |", "|---|---|"]
    scores = {escape_markdown(name): value for name, value in info["metrics"].items() if value is not None}
    return "\n".join(lines + [f"| {name} | {value:.4g} |" for name, value in scores.items()])


def _training(info: dict) -> str:
    data, encoder, pooling = info["data"], info["encoder"], info["head"]["pooling"]
    lines = [
        f"{data['training rows']:,} rows, {data['validation rows']:,} more to choose by",
        f"encoder: {encoder['model_type']}, {encoder['layers']} layers of {encoder['width']}; pooling: {pooling}",
        f"at most {info['framing']['max_length']} tokens of a text; longer ones: {info['framing']['long']}",
        f"cleaning: {', '.join(map(escape_markdown, info['cleaning'] or [])) or 'none'}",
        f"temperature of its probabilities: {info['temperature']:.3f}",
        f"fingerprint of the rows: `{data['fingerprint']}`",
        ", ".join(f"{name} {version}" for name, version in info["versions"].items()),
    ]
    return "\n".join(f"- {line}" for line in lines)
