"""Text to framed token ids, by a `tokenizers.Tokenizer` alone: no torch, no transformers.

A row of several columns is one string with `SEP` between the texts. The pieces are tokenised without special tokens,
cut so that all of them fit, and put together as the tokenizer itself puts a pair together. So truncation counts
tokens, the special tokens are always kept, and a user's "</s>" or "[SEP]" is read as text.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer

SEP = "\x1e"  # ASCII's record separator, which no spreadsheet cell contains
PAD = -1  # marks places after a row's end, so that masks do not depend on what a tokenizer calls padding
LONG = ("truncate", "tail", "head+tail", "windows")
LONGEST = 512  # the default `max_length` where a model allows more: attention's cost grows with the square
LARGEST = 65_536  # tokens of a document that windows read, a short novel: all of it goes through the encoder at once
AT_ONCE = 4096  # texts tokenised at once: it bounds what the lists of Python ints take
_WORD = re.compile(r"\S+")


def join_columns(*columns: Iterable[str]) -> list[str]:
    """Join the texts of each row, column after column, with the separator that `TokenEncoder` looks for.

    >>> join_columns(["a lamp"], ["it glows"])
    ['a lamp\\x1eit glows']
    """
    if len(columns) == 1:
        return list(columns[0])  # a stray separator in a single text still ends up as a separator, which is harmless
    return [SEP.join(cell.replace(SEP, " ") for cell in row) for row in zip(*columns, strict=True)]


def longest_first(lengths: Sequence[int], room: int) -> list[int]:
    """How many tokens each piece of a row keeps when all must fit in `room`: the longest pieces give first.

    It is what Hugging Face's tokenizers call truncation "longest_first", of any number of pieces.

    Args:
        lengths: tokens of each piece.
        room: tokens to be had, at least 0.
    Returns:
        Tokens kept of each piece, at most `room` together.

    >>> longest_first([5, 100], 20)
    [5, 15]
    >>> longest_first([50, 100], 20)
    [10, 10]
    """
    kept = [0] * len(lengths)
    for left, i in zip(range(len(lengths), 0, -1), sorted(range(len(lengths)), key=lengths.__getitem__), strict=True):
        kept[i] = min(lengths[i], room // left)
        room -= kept[i]
    return kept


def truncate_ids(ids: list[int], count: int, long: str) -> list[int]:
    """The tokens of a text that are kept: its head, its tail, or a quarter from the head and the rest from the tail.

    The quarter is that of Sun et al. (2019, section 5.3.1), who kept 128 tokens and 382.

    >>> truncate_ids([1, 2, 3, 4, 5, 6], 4, "head+tail")
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


class TokenEncoder:
    """Texts to rows of token ids, cut or in windows, special tokens around them.

    Args:
        tokenizer: pieces of text to ids; what it says of truncation, padding and special tokens is not used.
        start, between, end: the special tokens around a row, and between its columns.
        max_length: most tokens of a row, special ones included.
        long: what becomes of a longer text: "truncate" keeps its head, "tail" its end, "head+tail" some of both;
            "windows" makes it several rows of `max_length` tokens each.
        stride: tokens that two windows next to one another share, as in Hugging Face's tokenizers.
        extra_special_tokens: special tokens that stand for themselves in a text, such as "<user>", in one piece.
    Raises:
        ValueError: an unknown way, or a stride that leaves a window nothing new.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        start: Sequence[int],
        between: Sequence[int],
        end: Sequence[int],
        max_length: int,
        long: str = "truncate",
        stride: int = 32,
        extra_special_tokens: Sequence[str] = (),
    ):
        if long not in LONG:
            raise ValueError(f"long={long!r} is not one of {list(LONG)}")
        self.extra_special_tokens = list(extra_special_tokens)
        # Its own: others may set truncation and padding.
        self.tokenizer = Tokenizer.from_str(_unspecial(tokenizer.to_str(), self.extra_special_tokens))
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        self.tokenizer.encode_special_tokens = True  # what a user writes is text
        self.start, self.between, self.end = list(start), list(between), list(end)
        self.max_length, self.long, self.stride = max_length, long, stride
        if long == "windows" and not 0 <= stride < self.room:
            raise ValueError(f"stride={stride} must be less than the {self.room} tokens of text that a window holds")

    @property
    def around(self) -> int:
        """Special tokens at both ends of a row."""
        return len(self.start) + len(self.end)

    @property
    def room(self) -> int:
        """Tokens that a row has between its ends."""
        return self.max_length - self.around

    def to_dict(self) -> dict:
        """All of it but the tokenizer, for JSON."""
        names = ("start", "between", "end", "max_length", "long", "stride", "extra_special_tokens")
        return {name: getattr(self, name) for name in names}

    def encode_batch(self, texts: Sequence[str]) -> tuple[list[np.ndarray], np.ndarray]:
        """Tokenise many texts at once, on all cores.

        Args:
            texts: n strings; `SEP` stands between the columns of a row.
        Returns:
            n arrays of token ids (int32), and which rows had to be cut, bool, shape (n,).
        """
        framed = [self._frame(pieces) for pieces in self._pieces(texts)]
        return [np.asarray(ids, dtype=np.int32) for ids, _ in framed], np.array([cut for _, cut in framed], dtype=bool)

    def encode_documents(self, texts: Sequence[str]) -> tuple[list[np.ndarray], np.ndarray | None, np.ndarray]:
        """Tokenise many texts, long ones as `long` says.

        Returns:
            Arrays of token ids (int32), one for each text or window; for windows the first of each text and the end,
            shape (n + 1,), else None; and which texts were cut, bool, shape (n,).
        """
        if self.long != "windows":
            rows, cut = self.encode_batch(texts)
            return rows, None, cut
        rows, first, cut = [], [0], []
        most = max(1, LARGEST // self.max_length)
        for pieces in self._pieces(texts):
            windows = self._windows(pieces)
            rows += [np.asarray(ids, dtype=np.int32) for ids in windows[:most]]
            first.append(len(rows))
            cut.append(len(windows) > most)
        return rows, np.array(first), np.array(cut, dtype=bool)

    def count(self, texts: Sequence[str]) -> np.ndarray:
        """How many tokens each text has before any is cut, special ones included, int64, shape (n,)."""
        return np.array([self.around + len(self._body(pieces)) for pieces in self._pieces(texts)], dtype=np.int64)

    def words(self, text: str) -> tuple[list[str], np.ndarray]:
        """The words of a text as the model gets them, up to `max_length`, and to which of them each token belongs.

        Returns:
            Words, parted by white space; and for each token of the encoded row its word, -1 for a special token,
            int64, shape (tokens,).
        """
        words, pieces = [], []
        for piece in text.split(SEP):
            spans = [match.span() for match in _WORD.finditer(piece)]
            ends = np.array([end for _, end in spans])
            offsets = self.tokenizer.encode(piece, add_special_tokens=False).offsets
            # A token may begin with the space before its word, so its last character says where it belongs.
            at = [int(np.searchsorted(ends, end)) for _, end in offsets]
            pieces.append([_Place(len(words) + min(i, max(len(spans) - 1, 0))) for i in at])
            words += [piece[start:end] for start, end in spans]
        row, _ = self._frame(pieces)
        return words, np.array([x.word if isinstance(x, _Place) else -1 for x in row], dtype=np.int64)

    def _pieces(self, texts: Sequence[str]) -> Iterator[list[list[int]]]:
        """The token ids of each column of each text."""
        for at in range(0, len(texts), AT_ONCE):
            split = [text.split(SEP) for text in texts[at : at + AT_ONCE]]
            flat = [piece for pieces in split for piece in pieces]
            ids = (encoding.ids for encoding in self.tokenizer.encode_batch_fast(flat, add_special_tokens=False))
            for pieces in split:
                yield [next(ids) for _ in pieces]

    def _frame(self, pieces: list[list[int]]) -> tuple[list[int], bool]:
        lengths = [len(p) for p in pieces]
        room = self.room - len(self.between) * (len(pieces) - 1)
        cut = sum(lengths) > room
        if cut:
            kept = longest_first(lengths, max(room, 0))
            pieces = [truncate_ids(p, k, self.long) for p, k in zip(pieces, kept, strict=True)]
        return self.start + self._body(pieces) + self.end, cut

    def _body(self, pieces: list[list[int]]) -> list[int]:
        ids: list[int] = []
        for i, piece in enumerate(pieces):
            ids += (self.between if i else []) + piece
        return ids

    def _windows(self, pieces: list[list[int]]) -> list[list[int]]:
        body = self._body(pieces)
        starts = range(0, max(1, len(body) - self.stride), self.room - self.stride)
        return [self.start + body[at : at + self.room] + self.end for at in starts]


def _unspecial(tokenizer: str, names: Sequence[str]) -> str:
    """A tokenizer's JSON in which added tokens of these names are ordinary ones, found in a text in one piece."""
    if not names:
        return tokenizer
    content = json.loads(tokenizer)
    for token in content["added_tokens"]:
        token["special"] = token["special"] and token["content"] not in names
    return json.dumps(content)
