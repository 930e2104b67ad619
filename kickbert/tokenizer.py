"""Text to token ids: a Hugging Face fast tokenizer as a fastai Transform.

A row of several columns is one string with `SEP` between the texts. The pieces are tokenised without special tokens,
cut so that all of them fit, and put together as the tokenizer itself puts a pair together. So truncation counts
tokens, the special tokens are always kept, and a user's "</s>" or "[SEP]" is read as text.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from fastai.torch_core import TensorBase, TitledStr
from fasttransform import Transform
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from kickbert import pretrained

SEP = "\x1e"  # ASCII's record separator, which no spreadsheet cell contains
PAD = -1  # marks places after a row's end, so that masks do not depend on what a tokenizer calls padding
LONG = ("truncate", "tail", "head+tail", "windows")
_WORD = re.compile(r"\S+")
LONGEST = 512  # the default `max_length` where a model allows more: attention's cost grows with the square


class Tokens(TensorBase):
    """Token ids, int64, shape (tokens,) or (batch, tokens); -1 after a row's end."""


def join_columns(*columns: Iterable[str]) -> list[str]:
    """Join the texts of each row, column after column, with the separator that `TextTokenizer` looks for.

    >>> join_columns(["a lamp"], ["it glows"])
    ['a lamp\\x1eit glows']
    """
    if len(columns) == 1:
        return list(columns[0])  # a stray separator in a single text still ends up as a separator, which is harmless
    return [SEP.join(cell.replace(SEP, " ") for cell in row) for row in zip(*columns, strict=True)]


def load_tokenizer(model: str | Path = "roberta-base") -> PreTrainedTokenizerBase:
    """Load a fast tokenizer.

    Raises:
        ValueError: the model cannot be found, or it has a slow (Python) tokenizer only.
    """
    hf = pretrained.load(AutoTokenizer.from_pretrained, model)
    if not hf.is_fast:
        raise ValueError(
            f"model={str(model)!r} has a slow tokenizer only ({type(hf).__name__}); kickbert needs a fast one: "
            "choose a model whose folder holds a tokenizer.json"
        )
    return hf


def share_tokens(lengths: Sequence[int], room: int) -> list[int]:
    """How many tokens each piece of a row keeps when all must fit in `room`: the longest pieces give first.

    Args:
        lengths: tokens of each piece.
        room: tokens to be had, at least 0.
    Returns:
        Tokens kept of each piece, at most `room` together.

    >>> share_tokens([5, 100], 20)
    [5, 15]
    >>> share_tokens([50, 100], 20)
    [10, 10]
    """
    kept = [0] * len(lengths)
    for left, i in zip(range(len(lengths), 0, -1), sorted(range(len(lengths)), key=lengths.__getitem__), strict=True):
        kept[i] = min(lengths[i], room // left)
        room -= kept[i]
    return kept


def shortened(ids: list[int], count: int, long: str) -> list[int]:
    """The tokens of a text that are kept: its head, its tail, or a quarter from the head and the rest from the tail.

    The quarter is that of Sun et al. (2019, section 5.3.1), who kept 128 tokens and 382.

    >>> shortened([1, 2, 3, 4, 5, 6], 4, "head+tail")
    [1, 4, 5, 6]
    """
    if len(ids) <= count:
        return ids
    head = {"tail": 0, "head+tail": count // 4}.get(long, count)
    return ids[:head] + ids[len(ids) - (count - head) :]


@dataclass(frozen=True)
class _Place:
    """Stands for a token of a word while a row is put together."""

    word: int


class TextTokenizer(Transform):
    """A fastai Transform from text to `Tokens`, by a Hugging Face fast tokenizer.

    Args:
        hf: the tokenizer, or a model name for `load_tokenizer`.
        max_length: most tokens a row may have, special ones included; None for the tokenizer's own limit, at most 512.
        long: what becomes of a longer text: "truncate" keeps its head, "tail" its end, "head+tail" some of both;
            "windows" makes it several rows of `max_length` tokens each.
        stride: tokens that two windows next to one another share, as in Hugging Face's tokenizers.
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
        if long not in LONG:
            raise ValueError(f"long={long!r} is not one of {list(LONG)}")
        self.long, self.stride = long, stride
        self.hf = load_tokenizer(hf) if isinstance(hf, (str, Path)) else hf
        one = self._ids(["a"])[0]
        single, pair = self.hf("a")["input_ids"], self.hf("a", "a")["input_ids"]
        start = next(i for i in range(len(single)) if single[i : i + len(one)] == one)
        # The tokenizer's own frame, learnt from its example: «start a end» and «start a between a end».
        self._start, self._end = single[:start], single[start + len(one) :]
        self._between = pair[start + len(one) : len(pair) - len(self._end) - len(one)]
        self.max_length = self._checked(max_length)
        if long == "windows" and not 0 <= stride < self._room:
            raise ValueError(f"stride={stride} must be less than the {self._room} tokens of text that a window holds")
        self._known: dict[str, Tokens] = {}

    @property
    def _around(self) -> int:
        """Special tokens at both ends of a row."""
        return len(self._start) + len(self._end)

    @property
    def _room(self) -> int:
        """Tokens that a row has between its ends."""
        return self.max_length - self._around

    def _checked(self, max_length: int | None) -> int:
        limit, frame = self.hf.model_max_length, self._around
        if max_length is None:
            return min(limit, LONGEST)
        if not frame < max_length <= limit:
            raise ValueError(
                f"max_length={max_length} is not between {frame + 1} and {limit}, the most tokens this model takes; "
                f"leave it out for {min(limit, LONGEST)}"
            )
        return max_length

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        return self.hf(
            list(texts),
            add_special_tokens=False,
            split_special_tokens=True,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,  # it would warn of texts over the limit, which are cut below
        )["input_ids"]

    def _frame(self, pieces: list[list[int]]) -> tuple[list[int], bool]:
        lengths = [len(p) for p in pieces]
        room = self._room - len(self._between) * (len(pieces) - 1)
        cut = sum(lengths) > room
        if cut:
            kept = share_tokens(lengths, max(room, 0))
            pieces = [shortened(p, k, self.long) for p, k in zip(pieces, kept, strict=True)]
        return self._start + self._body(pieces) + self._end, cut

    def _body(self, pieces: list[list[int]]) -> list[int]:
        ids: list[int] = []
        for i, piece in enumerate(pieces):
            ids += (self._between if i else []) + piece
        return ids

    def _windows(self, pieces: list[list[int]]) -> list[list[int]]:
        body = self._body(pieces)
        starts = range(0, max(1, len(body) - self.stride), self._room - self.stride)
        return [self._start + body[at : at + self._room] + self._end for at in starts]

    def encode_batch(self, texts: Sequence[str]) -> tuple[list[np.ndarray], np.ndarray]:
        """Tokenise many texts at once, on all cores.

        Args:
            texts: n strings; `SEP` stands between the columns of a row.
        Returns:
            n arrays of token ids (int32), and which rows had to be cut, bool, shape (n,).
        """
        framed = [self._frame(pieces) for pieces in self._pieces(texts)]
        return [np.asarray(ids, dtype=np.int32) for ids, _ in framed], np.array([cut for _, cut in framed], dtype=bool)

    def count(self, texts: Sequence[str]) -> np.ndarray:
        """How many tokens each text has before any is cut, special ones included, int64, shape (n,)."""
        return np.array([self._around + len(self._body(pieces)) for pieces in self._pieces(texts)], dtype=np.int64)

    def encode_documents(self, texts: Sequence[str]) -> tuple[list[np.ndarray], np.ndarray | None, np.ndarray]:
        """Tokenise many texts, long ones as `long` says.

        Returns:
            Arrays of token ids (int32), one for each text or window; for windows the first of each text and the end,
            shape (n + 1,), else None; and which texts were cut, bool, shape (n,).
        """
        if self.long != "windows":
            rows, cut = self.encode_batch(texts)
            return rows, None, cut
        rows, first = [], [0]
        for pieces in self._pieces(texts):
            rows += [np.asarray(ids, dtype=np.int32) for ids in self._windows(pieces)]
            first.append(len(rows))
        return rows, np.array(first), np.zeros(len(texts), dtype=bool)

    def words(self, text: str) -> tuple[list[str], np.ndarray]:
        """The words of a text as the model gets them, up to `max_length`, and to which of them each token belongs.

        Returns:
            Words, parted by white space; and for each token of the encoded row its word, -1 for a special token,
            int64, shape (tokens,).
        """
        words, pieces = [], []
        for piece in text.split(SEP):
            spans = [(found.start(), found.end()) for found in _WORD.finditer(piece)]
            ends = np.array([end for _, end in spans])
            offsets = self.hf(piece, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True)
            # A token may begin with the space before its word, so its last character says where it belongs.
            at = [int(np.searchsorted(ends, end)) for _, end in offsets["offset_mapping"]]
            pieces.append([_Place(len(words) + min(i, max(len(spans) - 1, 0))) for i in at])
            words += [piece[start:end] for start, end in spans]
        row, _ = self._frame(pieces)
        return words, np.array([x.word if isinstance(x, _Place) else -1 for x in row], dtype=np.int64)

    def _pieces(self, texts: Sequence[str]) -> Iterator[list[list[int]]]:
        """The token ids of each column of each text."""
        for at in range(0, len(texts), 4096):  # bounds what the lists of Python ints take
            split = [text.split(SEP) for text in texts[at : at + 4096]]
            ids = iter(self._ids([piece for pieces in split for piece in pieces]))
            for pieces in split:
                yield [next(ids) for _ in pieces]

    def setups(self, items: Iterable[str]) -> None:
        """Tokenise the items in one batch, so that reading them one by one is a look-up."""
        texts = [item for item in items if isinstance(item, str)]
        self._known = dict(zip(texts, map(_tokens, self.encode_batch(texts)[0]), strict=True))

    def encodes(self, x: str) -> Tokens:
        return self._known[x] if x in self._known else _tokens(self.encode_batch([x])[0][0])

    def decodes(self, x: Tokens) -> TitledStr:
        if x.dim() == 2:  # the windows of a text
            return TitledStr(" … ".join(self.decodes(window) for window in x if (window != PAD).any()))
        ids = [i for i in x.tolist() if i != PAD]
        inner = ids[len(self._start) : len(ids) - len(self._end)]
        text = self.hf.decode(inner, skip_special_tokens=False)
        between = self.hf.decode(self._between)
        return TitledStr(text.replace(between, " | ") if between else text)

    def __getstate__(self) -> dict:
        # What was tokenised is the training data: it does not belong in an exported learner.
        return {**self.__dict__, "_known": {}}


def _tokens(ids: np.ndarray) -> Tokens:
    return Tokens(torch.from_numpy(ids.astype(np.int64)))
