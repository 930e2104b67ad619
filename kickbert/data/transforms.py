"""A Hugging Face fast tokenizer as a fastai Transform, from text to `Tokens`; `TokenEncoder` does the work."""

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
from kickbert.utils.hub import UnavailableModel, load


class Tokens(TensorBase):
    """Token ids, int64, shape (tokens,) or (batch, tokens); -1 after a row's end."""


def load_tokenizer(model: str | Path = "roberta-base", **hub: Any) -> PreTrainedTokenizerBase:
    """Load a fast tokenizer.

    Args:
        model: hub id, folder or "minilm".
        hub: `revision`, and `trust_remote_code`, of `from_pretrained`.
    Raises:
        ValueError: the model cannot be found, has no tokenizer, or a slow (Python) one only.
    """
    try:
        hf = load(AutoTokenizer.from_pretrained, model, **hub)
    except UnavailableModel:
        raise
    except Exception as err:  # each architecture fails in its own way without a vocabulary, one with a bare Exception
        if "trust_remote_code" in str(err):
            raise
        raise ValueError(_without_tokenizer(model, str(err).partition("\n")[0])) from err
    check_fast(hf, f"model={str(model)!r}")
    special = set(hf.all_special_tokens)
    # Without files transformers makes a tokenizer of special tokens alone, for which all texts are alike.
    if not any(any(map(str.isalnum, token)) for token in hf.get_vocab() if token not in special):
        raise ValueError(_without_tokenizer(model, f"its vocabulary is {sorted(hf.get_vocab())[:8]}"))
    return hf


def model_tokenizer(
    model: str | Path = "roberta-base",
    tokenizer: str | Path | PreTrainedTokenizerBase | None = None,
    *,
    max_length: int | None = None,
    long: str = "truncate",
    stride: int = 32,
    **hub: Any,
) -> "TextTokenizer":
    """Load the tokenizer of a model, with the model's limit on tokens if that is smaller.

    Args:
        model: hub id, folder or "minilm".
        tokenizer: another one than the model's own.
        max_length, long, stride: as in `TextTokenizer`.
        hub: `revision` and `trust_remote_code` of the model.
    Raises:
        ValueError: the model cannot be found, or the tokenizer has more tokens than the model.
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


def check_fast(hf: PreTrainedTokenizerBase, given: str) -> None:
    """Check that a tokenizer is a fast one.

    Args:
        given: what it came with, for the error.
    Raises:
        TypeError, ValueError: it is no tokenizer, or a slow one.
    """
    if not isinstance(hf, PreTrainedTokenizerBase):
        raise TypeError(f"{given} is no tokenizer but {type(hf).__name__}; give one of AutoTokenizer.from_pretrained")
    if not hf.is_fast:
        raise ValueError(
            f"{given} has a slow tokenizer only ({type(hf).__name__}); kickbert needs a fast one: "
            "choose a model whose folder holds a tokenizer.json"
        )


def _without_tokenizer(model: str | Path, reason: str) -> str:
    return (
        f"model={str(model)!r} comes without a tokenizer ({reason}); save the one that it was trained with in its "
        "folder: AutoTokenizer.from_pretrained(…).save_pretrained(folder)"
    )


class TextTokenizer(Transform):
    """A fastai Transform from text to `Tokens`, by a Hugging Face fast tokenizer.

    Args:
        hf: the tokenizer, or a model name for `load_tokenizer`.
        max_length: maximum tokens per row, special tokens included; None for the tokenizer's own limit, at most 512.
        long, stride: what to do with longer texts, as in `TokenEncoder`.
    Raises:
        ValueError: `max_length` is above the tokenizer's limit or leaves no room for text; an unknown way.
    """

    def __init__(
        self,
        hf: PreTrainedTokenizerBase | str | Path = "roberta-base",
        max_length: int | None = None,
        long: str = "truncate",
        stride: int = 32,
    ):
        super().__init__()
        self.hf = load_tokenizer(hf) if isinstance(hf, (str, Path)) else hf
        check_fast(self.hf, "tokenizer")
        start, between, end = _frame_of(self.hf)
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
                f"max_length={max_length} is not between {frame + 1} and {limit}, the most tokens this model takes; "
                f"leave it out for {min(limit, LONGEST)}"
            )
        return max_length

    @property
    def max_length(self) -> int:
        """Maximum tokens per row, special tokens included."""
        return self.token_encoder.max_length

    @property
    def mask_id(self) -> int:
        """The token that stands for a hidden word: the tokenizer's own, or its padding where it has none."""
        return self.hf.mask_token_id if self.hf.mask_token_id is not None else self.hf.pad_token_id

    @property
    def pair_separator(self) -> int | None:
        """The token after whose first place the tokenizer gives another token type; None where it gives none."""
        ids, types = (self.hf("a", "a").get(name) for name in ("input_ids", "token_type_ids"))
        separator = next(iter(self.token_encoder.between), None)
        return separator if types == [int(separator in ids[:i]) for i in range(len(ids))] else None

    def encode_batch(self, texts: Sequence[str]) -> tuple[list[np.ndarray], np.ndarray]:
        """As in `TokenEncoder`."""
        return self.token_encoder.encode_batch(texts)

    def pack(self, texts: Sequence[str]) -> tuple[Packed, np.ndarray]:
        """Tokenize many texts at once: their token ids, and whether each was truncated, bool, shape (n,)."""
        ids, first, cut = self.token_encoder.encode_documents(texts)
        return Packed.of(ids, first), cut

    def setups(self, items: Iterable[str]) -> None:
        """Tokenize the items in one batch, so that reading them one by one is a look-up."""
        texts = [item for item in items if isinstance(item, str)]
        self._known = dict(zip(texts, map(_tokens, self.encode_batch(texts)[0]), strict=True))

    def encodes(self, x: str) -> Tokens:
        return self._known[x] if x in self._known else _tokens(self.encode_batch([x])[0][0])

    def decodes(self, x: Tokens) -> TitledStr:
        if x.dim() == 2:  # the windows of a text
            return TitledStr(" … ".join(self.decodes(window) for window in x if (window != PAD).any()))
        ids, framing = [i for i in x.tolist() if i != PAD], self.token_encoder
        inner = ids[len(framing.start) : len(ids) - len(framing.end)]
        text = cast(str, self.hf.decode(inner, skip_special_tokens=False))
        between = cast(str, self.hf.decode(framing.between))
        return TitledStr(text.replace(between, " | ") if between else text)

    def __getstate__(self) -> dict:
        # What was tokenised is the training data: it does not belong in an exported learner.
        return {**self.__dict__, "_known": {}}


def _frame_of(hf: PreTrainedTokenizerBase) -> tuple[list[int], list[int], list[int]]:
    """The tokenizer's own frame, learnt from its example: «start a end» and «start a between a end»."""
    one = hf("a", add_special_tokens=False)["input_ids"]
    single, pair = hf("a")["input_ids"], hf("a", "a")["input_ids"]
    start = next(i for i in range(len(single)) if single[i : i + len(one)] == one)
    end = single[start + len(one) :]
    return single[:start], pair[start + len(one) : len(pair) - len(end) - len(one)], end


NAMED = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


def _extra_special_tokens(hf: PreTrainedTokenizerBase, frame: set[int]) -> list[str]:
    """Special tokens that somebody added for texts: none of the tokenizer's own, nor of its `frame`."""
    own = {getattr(hf, name) for name in NAMED}
    added = hf.added_tokens_decoder.items()
    return [t.content for number, t in added if t.special and t.content not in own and number not in frame]


def _tokens(ids: np.ndarray) -> Tokens:
    return Tokens(torch.from_numpy(ids.astype(np.int64)))


def target_tensor(target: Target, codes: np.ndarray) -> Tensor:
    """Codes of a target as fastai's type."""
    kind = TensorBase if target.is_number else TensorMultiCategory if target.is_multilabel else TensorCategory
    return kind(torch.tensor(codes))  # a copy, for pandas gives arrays that are not to be written to


class Standardize(Transform):
    """A fastai Transform of a number to what the model learns, and back."""

    def __init__(self, target: Continuous):
        super().__init__()
        self.target = target

    def encodes(self, x):
        return target_tensor(self.target, self.target.standardize(np.array([x])))[0]

    def decodes(self, x):
        return TitledFloat(self.target.inverse_transform(np.asarray(x, dtype=float)).reshape(-1)[0])


def target_transforms(target: Target) -> list[Transform]:
    """From a target as fastai's datasets hold it (`target.shown`) to its code, and back."""
    if isinstance(target, Continuous):
        return [Standardize(target)]
    if target.is_multilabel:
        return [MultiCategorize(vocab=target.names), OneHotEncode(c=len(target.names))]
    category = Categorize(vocab=target.names, sort=False)
    category.setups(None)  # fastai sets the number of classes there
    return [category]
