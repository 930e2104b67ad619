"""What an artifact says of itself: `kickbert.json`, how what it does not hold is reported, and the model card of it."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kickbert.targets.kinds import MULTI, ORDINAL, REGRESSION, SINGLE
from kickbert.utils.messages import shorten

NUMBER = (int, float)
METADATA = {
    "created": str,
    "task": str,
    "target": {"kind": str},
    "text_col": list,
    "label_col": (str, list),
    "cleaning": (list, type(None)),
    "tokens": {"start": list, "between": list, "end": list, "max_length": int, "long": str, "stride": int},
    "mask": int,
    "pad": int,
    "encoder": {"model_type": str},
    "head": {"pooling": str},
    "temperature": NUMBER,
    "thresholds": (*NUMBER, list),
    "data": dict,
    "versions": dict,
}

TARGETS = {
    "Labels": {"classes": list},
    "Bins": {"classes": list, "edges": list, "centers": list},
    "MultiLabels": {"classes": list},
    "Continuous": {"name": str, "mean": NUMBER, "std": NUMBER},
}


class ArtifactError(ValueError):
    """A folder that is no artifact, or one that was cut short or changed."""


@contextmanager
def usable(path: Path, *errors: type[Exception]) -> Iterator[None]:
    """Let errors of these types, in using what a file holds, become an `ArtifactError` that names the file."""
    try:
        yield
    except ArtifactError:
        raise
    except errors as err:
        reason = f"{type(err).__name__}: {shorten(str(err), 200)}"
        raise ArtifactError(f"{path} holds what cannot be used ({reason}); save the artifact again") from err


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        ArtifactError: it is not there, or no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        names = sorted(p.name for p in path.parent.iterdir())[:8]
        raise ArtifactError(
            f"{path.parent} has no {path.name}, so it is no artifact (it holds {names}); give a folder that "
            "kickbert train or save_artifact wrote"
        ) from None
    except (ValueError, OSError, RecursionError) as err:
        raise ArtifactError(f"{path} is no JSON ({err}): it was cut short or changed; copy the folder again") from None


def check_shape(value: Any, shape: Any, path: Path, name: str = "") -> None:
    """Check a value of a JSON file, and what is in it.

    Args:
        value: what the file holds, or a part of it.
        shape: the type, or types, that it must have; for an object that must have certain entries their shapes by name.
        path: of the file.
        name: of the part.
    Raises:
        ArtifactError: it is of another shape.
    """
    entries = shape if isinstance(shape, dict) else {}
    where = f" in {name!r}" if name else ""
    if not isinstance(value, dict if isinstance(shape, dict) else shape):
        raise ArtifactError(f"{path} has {shorten(repr(value), 60)}{where}, of another type; save the artifact again")
    lacking = [entry for entry in entries if entry not in value]
    if lacking:
        raise ArtifactError(f"{path} has no {lacking[0]!r}{where}; save the artifact again")
    for entry, part in entries.items():
        check_shape(value[entry], part, path, entry)


CODE = """```python
import kickbert

model = kickbert.load("{folder}")
model.predict([{example}])
```"""

PIPELINE = """In transformers' pipelines a class of kickbert's has that head:

```python
from transformers import pipeline

classify = pipeline("text-classification", "<this folder>", pipeline_class=kickbert.models.ArtifactPipeline)
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
        f"{plain} {_call(info)}",
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
    columns, tokens = info["text_col"], info["tokens"]
    if not info["plain transformers"]:
        return "" if "base" in info else PIPELINE
    if len(columns) > 2:
        return f"Its tokenizer joins two texts at most; rows of {len(columns)}, which it reads, kickbert alone makes."
    texts = ", ".join(re.sub(r"\W+", "_", column) for column in columns)
    cleaned = " of cleaned texts" if info["cleaning"] else ""
    cut = "" if tokens["long"] == "truncate" else f"; longer texts are cut otherwise there, not {tokens['long']!r}"
    return (
        f"It gives the same{cleaned} when it is called with what its own tokenizer makes: "
        f'`model(**tokenizer({texts}, truncation=True, max_length={tokens["max_length"]}, return_tensors="pt"))`{cut}.'
    )


def escape_markdown(text: Any) -> str:
    r"""A text as Markdown and the HTML within it show it: on one line, with nothing read as a mark or as mathematics.

    >>> print(escape_markdown("<b>*a*</b> | $x$"))
    \<b\>\*a\*\</b\> \| \$x\$
    """
    return re.sub(r"([\\`*_\[\]<>#|~$&])", r"\\\1", " ".join(str(text).split()))


def encoder_name(encoder: dict[str, Any]) -> str:
    """What the encoder of a `kickbert.json` is, in a few words.

    >>> encoder_name({"model_type": "bert", "layers": 6, "width": 384})
    'bert, 6 layers'
    """
    return f"{encoder['model_type']}, {encoder['layers']} layers"


def _metadata(info: dict) -> str:
    rows = {"library_name": "kickbert"}
    # The hub's page, and `pipeline`, go by this tag: only where they predict as kickbert does.
    same = info["plain transformers"] and not info["cleaning"] and info["tokens"]["long"] == "truncate"
    if same and len(info["text_col"]) == 1 and info["task"] in (SINGLE, MULTI):
        rows["pipeline_tag"] = "text-classification"
    rows |= {
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
        f"{data['training rows']:,} training rows, {data['validation rows']:,} validation rows",
        f"encoder: {encoder_name(encoder)} of {encoder['width']}; pooling: {pooling}",
        f"at most {info['tokens']['max_length']} tokens of a text; longer ones: {info['tokens']['long']}",
        f"cleaning: {', '.join(map(escape_markdown, info['cleaning'] or [])) or 'none'}",
        f"temperature of its probabilities: {info['temperature']:.3f}",
        f"fingerprint of the rows: `{data['fingerprint']}`",
        ", ".join(f"{name} {version}" for name, version in info["versions"].items()),
    ]
    return "\n".join(f"- {line}" for line in lines)
