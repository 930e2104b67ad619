"""Compare what two artifacts compute before their heads: equal encoders and token ids need one pass per text."""

import hashlib
from collections import Counter
from typing import Any

from safetensors import safe_open

from kickbert.models.artifact.manifest import WEIGHTS
from kickbert.models.artifact.reading import Artifact
from kickbert.utils.hashing import digest
from kickbert.utils.messages import shorten


def encoder_differences(first: Artifact, other: Artifact) -> list[str]:
    """List what keeps two artifacts from sharing one pass of their encoder; empty if nothing does.

    Weights are compared by content: a plain transformers model holds those of its head in the same file.

    Returns:
        "weights", or names of settings with both values, such as "max_length (128 and 256)".
    """
    found = [] if _same_weights(first, other) else ["weights"]
    if _tokenizer(first) != _tokenizer(other):
        found.append("tokenizer")
    settings = [_settings(artifact) for artifact in (first, other)]
    for name, here in settings[0].items():
        there = settings[1].get(name)
        if here != there:
            found.append(f"{name} ({shorten(str(here), 60)} and {shorten(str(there), 60)})")
    return found


def _settings(artifact: Artifact) -> dict[str, Any]:
    """Everything but weights and tokenizer that token ids and states depend on."""
    metadata = artifact.metadata
    kept = {name: metadata[name] for name in ("text_col", "cleaning", "pad")}
    return {"model_type": metadata["encoder"]["model_type"], **kept, **metadata["tokens"]}


def _tokenizer(artifact: Artifact) -> str:
    """A hash of the tokenizer as it is used, without the truncation and padding that its file may contain."""
    return digest(artifact.token_encoder.tokenizer.to_str())


def _same_weights(first: Artifact, other: Artifact) -> bool:
    entries = [artifact.manifest.get(WEIGHTS) for artifact in (first, other)]
    if None not in entries and entries[0] == entries[1]:
        return True
    return _weights(first) == _weights(other)


def _weights(artifact: Artifact) -> str:
    """A hash of the encoder's tensors by name.

    Raises:
        ArtifactError: there is no file of weights, or it is incomplete or changed.
    """
    state = hashlib.blake2b(digest_size=16)
    with safe_open(artifact.file(WEIGHTS), "np") as tensors:
        names = sorted(tensors.keys())
        prefix = ""
        if artifact.metadata.get("plain transformers"):  # "bert." of the encoder; its head is outside
            prefix = Counter(name.partition(".")[0] + "." for name in names).most_common(1)[0][0]
        for name in names:
            inner = name.removeprefix(prefix)
            if name.startswith(prefix) and not inner.startswith("pooler."):
                tensor = tensors.get_tensor(name)
                state.update(f"{inner} {tensor.dtype} {tensor.shape}".encode())
                state.update(tensor.tobytes())
    return state.hexdigest()
