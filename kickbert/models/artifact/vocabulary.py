"""Trim a saved model's vocabulary to the tokens of some texts (Ushio, Zhou and Camacho-Collados 2023, section 3).

texts → tokens seen → `tokenizer.json`, embedding rows and token ids without the others → a new version of the artifact

Most of a multilingual encoder is its embeddings, and texts in one language use a small part of them. The given texts
are tokenized exactly as before. Other texts are split into smaller tokens, so every single character (in a byte-level
BPE every byte) is kept.
"""

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

from kickbert.models.artifact.json_checks import ArtifactError
from kickbert.models.artifact.manifest import CARD, COLUMNS, HEAD, INFO, TOKENIZER, WEIGHTS
from kickbert.models.artifact.reading import Artifact, read_artifact
from kickbert.models.artifact.versions import write_artifact
from kickbert.text.columns import read_items
from kickbert.text.tokenization import AT_ONCE, SEP
from kickbert.utils.messages import plural, shorten

CONFIG = "config.json"
UNCHANGED = (HEAD, COLUMNS, CARD, "tokenizer_config.json", "special_tokens_map.json")
EMBEDDINGS = re.compile(r"(^|\.)embeddings\.(word|tok)_embeddings\.weight$")
BYTE = re.compile(r"<0x[0-9A-F]{2}>")  # a byte token of SentencePiece
FROM_PAD = {"camembert", "longformer", "mpnet", "roberta", "xlm-roberta"}  # number positions from the padding's id


def trim_vocabulary(artifact: Artifact, texts: Any) -> Artifact:
    """Write a new version of a model without the tokens that some texts do not use.

    Predictions on these texts do not change: they become the same tokens with the same embeddings.

    Args:
        artifact: the version to trim; its exported files are not copied.
        texts: texts typical of future inputs: a DataFrame, or strings, tuples (one text per column) or dicts.
    Returns:
        The new version, which becomes the latest.
    Raises:
        ValueError, TypeError: no texts, or no words in them.
        ArtifactError: the tokenizer is not WordPiece, BPE or Unigram, or would tokenize a text differently.
    """
    if not re.fullmatch(r"v\d+", artifact.version):
        raise ArtifactError(f"{artifact.folder} is not a version of a model; give the folder that holds v1, v2, …")
    chunks = _text_chunks(artifact, texts)
    tokenizer = artifact.token_encoder.tokenizer
    seen = {i for ids in _encoded(tokenizer, chunks) for i in ids}
    content = json.loads(
        Tokenizer.from_file(str(artifact.file(TOKENIZER))).to_str()
    )  # to_str adds fields that older files lack
    config = json.loads(artifact.file(CONFIG).read_text(encoding="utf-8"))
    weights = load_file(artifact.file(WEIGHTS))
    [name] = [key for key in weights if EMBEDDINGS.search(key)]
    merges = _merges_of(content["model"], seen)
    kept = _kept_ids(content, config, artifact.metadata, seen, merges)
    kept = kept[kept < len(weights[name])]
    trimmed = _trimmed_tokenizer(content, kept, merges)
    _check_same(tokenizer, trimmed, kept, chunks)
    new_ids = {int(old): new for new, old in enumerate(kept)}
    sizes = {"tokens": len(kept), "of": artifact.metadata.get("vocabulary", {}).get("of", len(weights[name]))}
    metadata = _renumbered_metadata(artifact.metadata, new_ids) | {"vocabulary": sizes}
    weights[name] = weights[name][kept]

    def fill(part: Path) -> None:
        for file in UNCHANGED:
            if file in artifact:
                shutil.copyfile(artifact.file(file), part / file)
        save_file(weights, part / WEIGHTS, metadata={"format": "pt"})  # required by transformers
        (part / TOKENIZER).write_text(json.dumps(trimmed, ensure_ascii=False), encoding="utf-8")
        (part / CONFIG).write_text(json.dumps(_renumbered_config(config, new_ids), indent=2), encoding="utf-8")
        (part / INFO).write_text(json.dumps(metadata, indent=1, ensure_ascii=False), encoding="utf-8")
        _drop_token_ids(part / "tokenizer_config.json")

    return read_artifact(write_artifact(artifact.folder.parent, fill), artifact.functions)


def _text_chunks(artifact: Artifact, texts: Any) -> list[str]:
    """Distinct cleaned texts, one per column."""
    if not len(texts):
        raise ValueError("vocabulary has no texts; give a few thousand texts typical of future inputs")
    cleaned = read_items(texts, artifact.metadata["text_col"], artifact.cleaner)[0]
    chunks = list(dict.fromkeys(chunk for text in cleaned for chunk in text.split(SEP)))
    if not any(map(str.strip, chunks)):
        raise ValueError(f"vocabulary has no words in its {plural(len(cleaned), 'text')}; give texts with words")
    return chunks


def _encoded(tokenizer: Tokenizer, chunks: Sequence[str]) -> Iterator[list[int]]:
    """Yield the token ids of each text, without truncation and special tokens."""
    for at in range(0, len(chunks), AT_ONCE):
        encodings = tokenizer.encode_batch_fast(chunks[at : at + AT_ONCE], add_special_tokens=False)
        yield from (encoding.ids for encoding in encodings)


def _vocabulary(model: dict[str, Any]) -> dict[str, int]:
    """Token ids of a tokenizer's model, without added tokens."""
    if model["type"] == "Unigram":
        return {token: i for i, (token, _) in enumerate(model["vocab"])}
    if model["type"] in ("WordPiece", "BPE"):
        return model["vocab"]
    raise ArtifactError(
        f"A {model['type']} vocabulary cannot be trimmed, only WordPiece, BPE and Unigram; export without vocabulary="
    )


def _merges_of(model: dict[str, Any], seen: set[int]) -> list[tuple[str, str]]:
    """List the merges, in order, that a BPE needs to build the tokens seen; none for other tokenizers.

    They are enough: inside a token, BPE merges as if the token were alone, and removing a merge that was never chosen
    changes nothing.
    """
    if model["type"] != "BPE":
        return []
    merges: list[tuple[str, str]] = [tuple(merge) for merge in model["merges"]]
    ranks = {pair: rank for rank, pair in enumerate(merges)}
    names = {i: token for token, i in model["vocab"].items()}
    needed = {pair for i in seen if i in names for pair in merges_within(names[i], ranks)}
    return sorted(needed, key=ranks.__getitem__)


def merges_within(token: str, ranks: dict[tuple[str, str], int]) -> list[tuple[str, str]]:
    """List the merges that build a token from its characters (Sennrich, Haddow and Birch 2016, section 3.2).

    Args:
        token: the token.
        ranks: position of each merge in the tokenizer's list; the lowest is applied first.

    >>> merges_within("low", {("l", "o"): 0, ("lo", "w"): 1, ("o", "w"): 2})
    [('l', 'o'), ('lo', 'w')]
    """
    parts = list(token)
    done: list[tuple[str, str]] = []
    while applicable := [(ranks[pair], i) for i, pair in enumerate(pairwise(parts)) if pair in ranks]:
        at = min(applicable)[1]
        done.append((parts[at], parts[at + 1]))
        parts[at : at + 2] = ["".join(done[-1])]
    return done


def _kept_ids(
    content: dict[str, Any],
    config: dict[str, Any],
    metadata: dict[str, Any],
    seen: set[int],
    merges: Sequence[tuple[str, str]],
) -> np.ndarray:
    """The token ids to keep, ascending: tokens seen and their parts, special tokens, characters and bytes."""
    model, kept = content["model"], set(seen)
    vocabulary = _vocabulary(model)
    prefix = model.get("continuing_subword_prefix") or ""
    kept |= {i for token, i in vocabulary.items() if len(token.removeprefix(prefix)) == 1 or BYTE.fullmatch(token)}
    kept |= {vocabulary[part] for a, b in merges for part in (a, b, a + b)}
    kept |= {token["id"] for token in content["added_tokens"]}
    kept |= set(_ids_of(config).values())
    tokens = metadata["tokens"]
    kept |= {*tokens["start"], *tokens["between"], *tokens["end"], metadata["mask"], metadata["pad"]}
    if model["type"] == "Unigram":
        # An unknown token costs ten more than the least likely token, so that token affects all texts.
        scores = [score for _, score in model["vocab"]]
        kept |= {int(np.argmin(scores)), model["unk_id"]} - {None}
    elif model.get("unk_token") in vocabulary:
        kept.add(vocabulary[model["unk_token"]])
    if config["model_type"] in FROM_PAD:
        kept |= set(range(config["pad_token_id"] + 1))
    return np.array(sorted(kept))


def _trimmed_tokenizer(content: dict[str, Any], kept: np.ndarray, merges: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """`tokenizer.json` with only the kept ids, renumbered in their order."""
    new_ids, model = {int(old): new for new, old in enumerate(kept)}, dict(content["model"])
    if model["type"] == "Unigram":
        model["vocab"] = [entry for i, entry in enumerate(model["vocab"]) if i in new_ids]
        model["unk_id"] = new_ids.get(model["unk_id"])
    else:
        model["vocab"] = {token: new_ids[i] for token, i in model["vocab"].items() if i in new_ids}
    if model["type"] == "BPE":
        model["merges"] = [list(pair) for pair in merges]
    added = [token | {"id": new_ids[token["id"]]} for token in content["added_tokens"] if token["id"] in new_ids]
    processor = _renumbered_processor(content["post_processor"], new_ids)
    padding = content["padding"] and content["padding"] | {"pad_id": new_ids.get(content["padding"]["pad_id"], 0)}
    return content | {"model": model, "added_tokens": added, "post_processor": processor, "padding": padding}


def _renumbered_processor(processor: dict[str, Any] | None, new_ids: dict[int, int]) -> dict[str, Any] | None:
    """The post-processor, which adds special tokens, with their new ids."""
    if processor is None:
        return None
    out = dict(processor)
    if "processors" in out:  # a sequence
        out["processors"] = [_renumbered_processor(one, new_ids) for one in out["processors"]]
    if "special_tokens" in out:  # TemplateProcessing
        tokens = out["special_tokens"].items()
        out["special_tokens"] = {name: t | {"ids": [new_ids[i] for i in t["ids"]]} for name, t in tokens}
    return out | {end: [out[end][0], new_ids[out[end][1]]] for end in ("cls", "sep") if end in out}


def _renumbered_config(config: dict[str, Any], new_ids: dict[int, int]) -> dict[str, Any]:
    """The encoder's configuration with the new vocabulary size and token ids."""
    return config | {key: new_ids.get(i) for key, i in _ids_of(config).items()} | {"vocab_size": len(new_ids)}


def _ids_of(config: dict[str, Any]) -> dict[str, int]:
    """Token ids in an encoder's configuration."""
    ids = {key: i for key, i in config.items() if key.endswith("token_id") or key == "pair_separator"}
    return {key: i for key, i in ids.items() if isinstance(i, int)}


def _renumbered_metadata(metadata: dict[str, Any], new_ids: dict[int, int]) -> dict[str, Any]:
    """The metadata with the new ids of special tokens."""
    tokens = {name: [new_ids[i] for i in metadata["tokens"][name]] for name in ("start", "between", "end")}
    ids = {name: new_ids[metadata[name]] for name in ("mask", "pad")}
    return metadata | ids | {"tokens": metadata["tokens"] | tokens}


def _drop_token_ids(file: Path) -> None:
    """Remove the old ids from a `tokenizer_config.json` of transformers 4; `tokenizer.json` has the new ones."""
    if file.exists():
        content = json.loads(file.read_text(encoding="utf-8"))
        content.pop("added_tokens_decoder", None)
        file.write_text(json.dumps(content, indent=2, ensure_ascii=False), encoding="utf-8")


def _check_same(tokenizer: Tokenizer, trimmed: dict[str, Any], kept: np.ndarray, chunks: Sequence[str]) -> None:
    """Check that the texts become the same tokens as before.

    Raises:
        ArtifactError: a text is tokenized differently.
    """
    new = Tokenizer.from_str(json.dumps(trimmed))
    new.encode_special_tokens = True
    moved = [token["content"] for token in trimmed["added_tokens"] if new.token_to_id(token["content"]) != token["id"]]
    pairs = zip(chunks, _encoded(tokenizer, chunks), _encoded(new, chunks), strict=True)
    changed = [chunk for chunk, before, after in pairs if before != kept[after].tolist()]
    if moved or changed:
        reason = f"special tokens {moved[:3]} would get other ids"
        if not moved:
            reason = f"{shorten(changed[0], 60)!r} would be tokenized differently"
        raise ArtifactError(f"This vocabulary cannot be trimmed: {reason}; export without vocabulary=")
