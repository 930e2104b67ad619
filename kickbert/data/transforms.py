"""A fastai Transform from text to `Tokens`: wraps a Hugging Face fast tokenizer and a `TokenEncoder`."""

import math
from collections.abc import Iterable, Sequence
from copy import copy
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from fastai.data.transforms import Categorize, MultiCategorize, OneHotEncode
from fastai.torch_core import TensorBase, TensorCategory, TensorMultiCategory, TitledFloat, TitledStr
from fasttransform import Transform
from torch import Tensor
from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerBase

from kickbert.data.packed import Packed
from kickbert.targets.base import Target
from kickbert.targets.continuous import Continuous
from kickbert.text.token_limits import token_limit
from kickbert.text.tokenization import LONGEST, PAD, TokenEncoder
from kickbert.utils.hub import UnavailableModel, choose_model, load


class Tokens(TensorBase):
    """Token ids, int64, shape (tokens,) or (batch, tokens); -1 after a row's end."""


def load_tokenizer(model: str | Path | None = None, **hub: Any) -> PreTrainedTokenizerBase:
    """Load a fast tokenizer.

    Args:
        model: hub id, folder or "minilm"; None for the default encoder.
        hub: `revision` and `trust_remote_code` of `from_pretrained`.
    Raises:
        ValueError: the model was not found, has no tokenizer, or has only a slow (Python) tokenizer.
    """
    model = choose_model(model)
    try:
        hf = load(AutoTokenizer.from_pretrained, model, **hub)
    except UnavailableModel:
        raise
    except (
        Exception
    ) as err:  # without a vocabulary each architecture raises another error, one of them a bare Exception
        if "trust_remote_code" in str(err):
            raise
        raise ValueError(_without_tokenizer(model, str(err).partition("\n")[0])) from err
    check_fast(hf, f"model={str(model)!r}")
    special = set(hf.all_special_tokens)
    # Without files, transformers makes a tokenizer of special tokens only: it encodes all texts alike.
    if not any(any(map(str.isalnum, token)) for token in hf.get_vocab() if token not in special):
        raise ValueError(_without_tokenizer(model, f"its vocabulary is {sorted(hf.get_vocab())[:8]}"))
    return hf


def model_tokenizer(
    model: str | Path,
    tokenizer: str | Path | PreTrainedTokenizerBase | None = None,
    *,
    max_length: int | None = None,
    long: str = "truncate",
    stride: int = 32,
    **hub: Any,
) -> "TextTokenizer":
    """Load the tokenizer of a model, limited to the number of tokens that the model supports.

    Args:
        model: hub id, folder or "minilm".
        tokenizer: a tokenizer to use instead of the model's own.
        max_length, long, stride: as in `TextTokenizer`.
        hub: `revision` and `trust_remote_code` of the model.
    Raises:
        ValueError: the model was not found, or the tokenizer has more tokens than the model has embeddings.
    """
    config = load(AutoConfig.from_pretrained, model, **hub)
    if tokenizer is None:
        tokenizer = load_tokenizer(model, **hub)
    elif isinstance(tokenizer, (str, Path)):
        tokenizer = load_tokenizer(tokenizer)
    check_fast(tokenizer, "tokenizer")
    largest = max(tokenizer.get_vocab().values())
    if largest >= config.vocab_size:
        raise ValueError(
            f"the tokenizer has tokens up to number {largest:,}, but the encoder has embeddings for "
            f"{config.vocab_size:,}. Save the model again after model.resize_token_embeddings(len(tokenizer))."
        )
    tokenizer = copy(tokenizer)
    tokenizer.model_max_length = min(tokenizer.model_max_length, token_limit(config) or tokenizer.model_max_length)
    return TextTokenizer(tokenizer, max_length, long, stride)


def check_fast(hf: PreTrainedTokenizerBase, argument: str) -> None:
    """Check that a tokenizer is a fast tokenizer.

    Args:
        hf: the tokenizer.
        argument: the argument that it came from, for the error.
    Raises:
        TypeError, ValueError: it is not a tokenizer, or it is a slow one.
    """
    if not isinstance(hf, PreTrainedTokenizerBase):
        raise TypeError(
            f"{argument} is not a tokenizer but of type {type(hf).__name__}; load it with AutoTokenizer.from_pretrained"
        )
    if not hf.is_fast:
        raise ValueError(
            f"{argument} has only a slow tokenizer ({type(hf).__name__}); kickbert needs a fast one. "
            "Choose a model with a tokenizer.json"
        )


def _without_tokenizer(model: str | Path, reason: str) -> str:
    return (
        f"model={str(model)!r} has no tokenizer ({reason}). Save the tokenizer that it was trained with to its "
        "folder: AutoTokenizer.from_pretrained(…).save_pretrained(folder)"
    )


class TextTokenizer(Transform):
    """A fastai Transform from text to `Tokens`, with a Hugging Face fast tokenizer.

    Args:
        hf: the tokenizer, or a model for `load_tokenizer`.
        max_length: maximum tokens per row, including special tokens; None for the tokenizer's limit, at most 512.
        long, stride: how to read longer texts, as in `TokenEncoder`.
    Raises:
        ValueError: `max_length` is above the tokenizer's limit or leaves no room for text, or `long` is unknown.
    """

    def __init__(
        self,
        hf: PreTrainedTokenizerBase | str | Path | None = None,
        max_length: int | None = None,
        long: str = "truncate",
        stride: int = 32,
    ):
        super().__init__()
        self.hf = load_tokenizer(hf) if hf is None or isinstance(hf, (str, Path)) else hf
        check_fast(self.hf, "tokenizer")
        start, between, end = _special_tokens_of(self.hf)
        length = self._checked(max_length, len(start) + len(end))
        extra = _extra_special_tokens(self.hf, {*start, *between, *end})
        self.token_encoder = TokenEncoder(self.hf.backend_tokenizer, start, between, end, length, long, stride, extra)
        self._known: dict[str, Tokens] = {}

    def _checked(self, max_length: int | None, frame: int) -> int:
        limit = self.hf.model_max_length
        if max_length is None:
            return min(limit, LONGEST)
        if not frame < max_length <= limit:
            raise ValueError(
                f"max_length={max_length} is not between {frame + 1} and {limit}, the maximum of this model; "
                f"the default is {min(limit, LONGEST)}"
            )
        return max_length

    @property
    def max_length(self) -> int:
        """Maximum tokens per row, including special tokens."""
        return self.token_encoder.max_length

    @property
    def mask_id(self) -> int:
        """The mask token's id; the padding token's id if the tokenizer has no mask token."""
        return self.hf.mask_token_id if self.hf.mask_token_id is not None else self.hf.pad_token_id

    @property
    def pair_separator(self) -> int | None:
        """The token after which the tokenizer switches to another token type; None if it does not use token types."""
        ids, types = (self.hf("a", "a").get(name) for name in ("input_ids", "token_type_ids"))
        separator = next(iter(self.token_encoder.between), None)
        return separator if types == [int(separator in ids[:i]) for i in range(len(ids))] else None

    def encode_batch(self, texts: Sequence[str]) -> tuple[list[np.ndarray], np.ndarray]:
        """Tokenize a batch of texts, as in `TokenEncoder`."""
        return self.token_encoder.encode_batch(texts)

    def pack(self, texts: Sequence[str]) -> tuple[Packed, np.ndarray]:
        """Tokenize many texts; return their token ids, and whether each was truncated, bool, shape (n,)."""
        ids, first, cut = self.token_encoder.encode_documents(texts)
        return Packed.of(ids, first), cut

    def setups(self, items: Iterable[str]) -> None:
        """Tokenize the items in one batch, so that reading them one by one is a lookup."""
        texts = [item for item in items if isinstance(item, str)]
        self._known = dict(zip(texts, map(_tokens, self.encode_batch(texts)[0]), strict=True))

    def encodes(self, x: str) -> Tokens:
        return self._known[x] if x in self._known else _tokens(self.encode_batch([x])[0][0])

    def decodes(self, x: Tokens) -> TitledStr:
        if x.dim() == 2:  # the windows of a text
            return TitledStr(" … ".join(self.decodes(window) for window in x if (window != PAD).any()))
        ids = [i for i in x.tolist() if i != PAD]
        encoder = self.token_encoder
        inner = ids[len(encoder.start) : len(ids) - len(encoder.end)]
        text = cast(str, self.hf.decode(inner, skip_special_tokens=False))
        between = cast(str, self.hf.decode(encoder.between))
        return TitledStr(text.replace(between, " | ") if between else text)

    def __getstate__(self) -> dict:
        # The tokenized items are training data, which must not be in an exported learner.
        return {**self.__dict__, "_known": {}}


def _special_tokens_of(hf: PreTrainedTokenizerBase) -> tuple[list[int], list[int], list[int]]:
    """The special tokens that a tokenizer adds, from examples: «start a end» and «start a between a end»."""
    one = hf("a", add_special_tokens=False)["input_ids"]
    single, pair = hf("a")["input_ids"], hf("a", "a")["input_ids"]
    start = next(i for i in range(len(single)) if single[i : i + len(one)] == one)
    end = single[start + len(one) :]
    return single[:start], pair[start + len(one) : len(pair) - len(end) - len(one)], end


NAMED = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


def _extra_special_tokens(hf: PreTrainedTokenizerBase, frame: set[int]) -> list[str]:
    """Special tokens that users added: neither the tokenizer's named ones nor those in `frame`."""
    own = {getattr(hf, name) for name in NAMED}
    added = hf.added_tokens_decoder.items()
    return [t.content for number, t in added if t.special and t.content not in own and number not in frame]


def _tokens(ids: np.ndarray) -> Tokens:
    return Tokens(torch.from_numpy(ids.astype(np.int64)))


def target_tensor(target: Target, codes: np.ndarray) -> Tensor:
    """Convert the codes of a target to fastai's tensor type."""
    kind = TensorBase if target.is_number else TensorMultiCategory if target.is_multilabel else TensorCategory
    return kind(torch.tensor(codes))  # a copy, since arrays of pandas may be read-only


class Standardize(Transform):
    """A fastai Transform from a number to its standardized value, and back."""

    def __init__(self, target: Continuous):
        super().__init__()
        self.target = target
        # Standardized numbers are float32: further digits would be noise, such as 3e-08 for 0.
        self.decimals = 6 if target.log else 5 - math.floor(math.log10(target.std))

    def encodes(self, x):
        return target_tensor(self.target, self.target.standardize(np.array([x])))[0]

    def decodes(self, x):
        number = self.target.inverse_transform(np.asarray(x, dtype=float)).reshape(-1)[0]
        return TitledFloat(round(float(number), self.decimals))


def target_transforms(target: Target) -> list[Transform]:
    """Transforms from the targets in fastai's datasets (`target.shown`) to their codes, and back."""
    if isinstance(target, Continuous):
        return [Standardize(target)]
    if target.is_multilabel:
        return [MultiCategorize(vocab=target.names), OneHotEncode(c=len(target.names))]
    category = Categorize(vocab=target.names, sort=False)
    category.setups(None)  # sets the number of classes
    return [category]
