"""A saved model whose vocabulary is cut to the tokens of some texts (Ushio, Zhou and Camacho-Collados 2023, section 3).

texts → tokens seen → `tokenizer.json`, embedding rows and token ids without the others → a new version of the artifact

Most of a multilingual encoder is its embeddings, of which the texts of one language or one trade use a small part. What
a tokenizer does to the texts given stays the same token for token; other texts fall into smaller pieces, for which all
single characters (of a byte-level BPE all bytes) are kept.
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
from kickbert.models.artifact.manifest import CARD, HEAD, INFO, TOKENIZER, WEIGHTS
from kickbert.models.artifact.reading import Artifact, read_artifact
from kickbert.models.artifact.versions import write_artifact
from kickbert.text.columns import read_items
from kickbert.text.tokenization import AT_ONCE, SEP
from kickbert.utils.messages import shorten

CONFIG = "config.json"
UNCHANGED = (HEAD, CARD, "tokenizer_config.json", "special_tokens_map.json")
EMBEDDINGS = re.compile(r"(^|\.)embeddings\.(word|tok)_embeddings\.weight$")
BYTE = re.compile(r"<0x[0-9A-F]{2}>")  # how SentencePiece writes a byte that is no character of its own
FROM_PAD = {"camembert", "longformer", "mpnet", "roberta", "xlm-roberta"}  # count positions from the padding's id on


def trim_vocabulary(artifact: Artifact, texts: Any) -> Artifact:
    """Write a new version of a model, without the tokens that some texts do not use.

    Predictions on these texts are those of the version before: they become the same tokens with the same embeddings.

    Args:
        artifact: the version to cut; what was exported of it is not taken over.
        texts: a DataFrame, or strings, tuples (a text for each column) or dicts: all that is typical of what will come.
    Returns:
        The new version, which is the latest then.
    Raises:
        ValueError, TypeError: no texts, or not a word in them.
        ArtifactError: a tokenizer that is no WordPiece, BPE or Unigram, or one that would cut a text otherwise.
    """
    if not re.fullmatch(r"v\d+", artifact.version):
        raise ArtifactError(f"{artifact.folder} is no version (v1, v2, …) of a model; give the folder that holds them")
    pieces = _text_pieces(artifact, texts)
    tokenizer = artifact.token_encoder.tokenizer
    seen = {i for ids in _encoded(tokenizer, pieces) for i in ids}
    content = json.loads(Tokenizer.from_file(str(artifact.file(TOKENIZER))).to_str())  # older files lack fields
    config = json.loads(artifact.file(CONFIG).read_text(encoding="utf-8"))
    weights = load_file(artifact.file(WEIGHTS))
    [name] = [key for key in weights if EMBEDDINGS.search(key)]
    merges = _merges_of(content["model"], seen)
    kept = _kept_ids(content, config, artifact.metadata, seen, merges)
    kept = kept[kept < len(weights[name])]
    trimmed = _trimmed_tokenizer(content, kept, merges)
    _check_same(tokenizer, trimmed, kept, pieces)
    place = {int(old): new for new, old in enumerate(kept)}
    sizes = {"tokens": len(kept), "of": artifact.metadata.get("vocabulary", {}).get("of", len(weights[name]))}
    metadata = _renumbered_metadata(artifact.metadata, place) | {"vocabulary": sizes}
    weights[name] = weights[name][kept]

    def fill(part: Path) -> None:
        for file in UNCHANGED:
            if file in artifact:
                shutil.copyfile(artifact.file(file), part / file)
        save_file(weights, part / WEIGHTS, metadata={"format": "pt"})  # which transformers asks for
        (part / TOKENIZER).write_text(json.dumps(trimmed, ensure_ascii=False), encoding="utf-8")
        (part / CONFIG).write_text(json.dumps(_renumbered_config(config, place), indent=2), encoding="utf-8")
        (part / INFO).write_text(json.dumps(metadata, indent=1, ensure_ascii=False), encoding="utf-8")
        _drop_token_ids(part / "tokenizer_config.json")

    return read_artifact(write_artifact(artifact.folder.parent, fill), artifact.functions)


def _text_pieces(artifact: Artifact, texts: Any) -> list[str]:
    """The texts as the model reads them, each column by itself, each once."""
    if not len(texts):
        raise ValueError("vocabulary holds no texts; give texts such as the model will read, some thousands of them")
    cleaned = read_items(texts, artifact.metadata["text_col"], artifact.cleaner)[0]
    pieces = list(dict.fromkeys(piece for text in cleaned for piece in text.split(SEP)))
    if not any(map(str.strip, pieces)):
        raise ValueError(f"none of the {len(cleaned):,} texts of vocabulary has a word; give texts with words")
    return pieces


def _encoded(tokenizer: Tokenizer, pieces: Sequence[str]) -> Iterator[list[int]]:
    """Token ids of each piece, uncut and without special tokens."""
    for at in range(0, len(pieces), AT_ONCE):
        encodings = tokenizer.encode_batch_fast(pieces[at : at + AT_ONCE], add_special_tokens=False)
        yield from (encoding.ids for encoding in encodings)


def _vocabulary(model: dict) -> dict[str, int]:
    """The ids of a tokenizer's own tokens; added ones may lie beyond."""
    if model["type"] == "Unigram":
        return {token: i for i, (token, _) in enumerate(model["vocab"])}
    if model["type"] in ("WordPiece", "BPE"):
        return model["vocab"]
    raise ArtifactError(
        f"a {model['type']} vocabulary cannot be cut; WordPiece, BPE and Unigram can: export without vocabulary="
    )


def _merges_of(model: dict, seen: set[int]) -> list[tuple[str, str]]:
    """The merges that a BPE needs to make the tokens seen, in their order; none of another tokenizer.

    They are enough: within a token of a word BPE merges as if the token stood alone, and a merge that was never chosen
    among those that apply changes nothing when it is gone.
    """
    if model["type"] != "BPE":
        return []
    merges = [tuple(merge) for merge in model["merges"]]
    ranks = {pair: rank for rank, pair in enumerate(merges)}
    names = {i: token for token, i in model["vocab"].items()}
    needed = {pair for i in seen if i in names for pair in merges_within(names[i], ranks)}
    return sorted(needed, key=ranks.__getitem__)


def merges_within(token: str, ranks: dict[tuple[str, str], int]) -> list[tuple[str, str]]:
    """The merges by which BPE puts a token together from its characters (Sennrich, Haddow and Birch 2016, section 3.2).

    Args:
        ranks: of each merge its place in the list of merges; the lowest goes first.

    >>> merges_within("low", {("l", "o"): 0, ("lo", "w"): 1, ("o", "w"): 2})
    [('l', 'o'), ('lo', 'w')]
    """
    parts, done = list(token), []
    while applicable := [(ranks[pair], i) for i, pair in enumerate(pairwise(parts)) if pair in ranks]:
        at = min(applicable)[1]
        done.append((parts[at], parts[at + 1]))
        parts[at : at + 2] = ["".join(done[-1])]
    return done


def _kept_ids(
    content: dict, config: dict, metadata: dict, seen: set[int], merges: Sequence[tuple[str, str]]
) -> np.ndarray:
    """The token ids that stay, ascending: those seen, what they are made of, special tokens, characters and bytes."""
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
        # What is unknown costs ten more than the least likely piece, so that piece decides how texts are cut.
        scores = [score for _, score in model["vocab"]]
        kept |= {int(np.argmin(scores)), model["unk_id"]} - {None}
    elif model.get("unk_token") in vocabulary:
        kept.add(vocabulary[model["unk_token"]])
    if config["model_type"] in FROM_PAD:
        kept |= set(range(config["pad_token_id"] + 1))
    return np.array(sorted(kept))


def _trimmed_tokenizer(content: dict, kept: np.ndarray, merges: Sequence[tuple[str, str]]) -> dict:
    """`tokenizer.json` with the kept ids alone, numbered anew in their order."""
    place, model = {int(old): new for new, old in enumerate(kept)}, dict(content["model"])
    if model["type"] == "Unigram":
        model["vocab"] = [entry for i, entry in enumerate(model["vocab"]) if i in place]
        model["unk_id"] = place.get(model["unk_id"])
    else:
        model["vocab"] = {token: place[i] for token, i in model["vocab"].items() if i in place}
    if model["type"] == "BPE":
        model["merges"] = [list(pair) for pair in merges]
    added = [token | {"id": place[token["id"]]} for token in content["added_tokens"] if token["id"] in place]
    processor = _renumbered_processor(content["post_processor"], place)
    padding = content["padding"] and content["padding"] | {"pad_id": place.get(content["padding"]["pad_id"], 0)}
    return content | {"model": model, "added_tokens": added, "post_processor": processor, "padding": padding}


def _renumbered_processor(processor: dict | None, place: dict[int, int]) -> dict | None:
    """What puts special tokens around a text, with their new ids."""
    if processor is None:
        return None
    out = dict(processor)
    if "processors" in out:  # several in a row
        out["processors"] = [_renumbered_processor(one, place) for one in out["processors"]]
    if "special_tokens" in out:  # TemplateProcessing
        tokens = out["special_tokens"].items()
        out["special_tokens"] = {name: t | {"ids": [place[i] for i in t["ids"]]} for name, t in tokens}
    return out | {end: [out[end][0], place[out[end][1]]] for end in ("cls", "sep") if end in out}


def _renumbered_config(config: dict, place: dict[int, int]) -> dict:
    """The encoder's configuration with its new number of tokens and their ids."""
    return config | {key: place.get(i) for key, i in _ids_of(config).items()} | {"vocab_size": len(place)}


def _ids_of(config: dict) -> dict[str, int]:
    """The token ids that an encoder's configuration names."""
    ids = {key: i for key, i in config.items() if key.endswith("token_id") or key == "pair_separator"}
    return {key: i for key, i in ids.items() if isinstance(i, int)}


def _renumbered_metadata(metadata: dict, place: dict[int, int]) -> dict:
    """What `kickbert.json` says, with the new ids of special tokens."""
    tokens = {name: [place[i] for i in metadata["tokens"][name]] for name in ("start", "between", "end")}
    ids = {name: place[metadata[name]] for name in ("mask", "pad")}
    return metadata | ids | {"tokens": metadata["tokens"] | tokens}


def _drop_token_ids(file: Path) -> None:
    """Take the old ids out of a `tokenizer_config.json` of transformers 4; `tokenizer.json` has the new ones."""
    if file.exists():
        content = json.loads(file.read_text(encoding="utf-8"))
        content.pop("added_tokens_decoder", None)
        file.write_text(json.dumps(content, indent=2, ensure_ascii=False), encoding="utf-8")


def _check_same(tokenizer: Tokenizer, trimmed: dict, kept: np.ndarray, pieces: Sequence[str]) -> None:
    """Check that the texts become the same tokens as before.

    Raises:
        ArtifactError: one does not, with its beginning.
    """
    new = Tokenizer.from_str(json.dumps(trimmed))
    new.encode_special_tokens = True
    moved = [token["content"] for token in trimmed["added_tokens"] if new.token_to_id(token["content"]) != token["id"]]
    pairs = zip(pieces, _encoded(tokenizer, pieces), _encoded(new, pieces), strict=True)
    changed = [piece for piece, before, after in pairs if before != kept[after].tolist()]
    if moved or changed:
        reason = (
            f"special tokens {moved[:3]} get other ids" if moved else f"{shorten(changed[0], 60)!r} is cut otherwise"
        )
        raise ArtifactError(f"this vocabulary cannot be cut: {reason} in the smaller one; export without vocabulary")
