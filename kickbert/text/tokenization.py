"""Texts to token ids with special tokens. It needs only the `tokenizers` package, not torch or transformers.

A row of several columns is one string with `SEP` between the texts. The texts are tokenized without special tokens,
cut so that all of them fit, and joined as the tokenizer joins a pair. Truncation therefore counts tokens, special
tokens are always kept, and a "</s>" or "[SEP]" in a text is read as text.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tokenizers import Tokenizer

SEP = "\x1e"  # ASCII's record separator; in a text it is white space
PAD = -1  # marks positions after the end of a row, so that masks do not depend on the tokenizer's padding token
LONG = ("truncate", "tail", "head+tail", "windows")
LONGEST = 512  # the default `max_length` if a model allows more: the cost of attention grows with the square
LARGEST = 65_536  # maximum tokens per document in windows, a short novel: the encoder reads all of it at once
AT_ONCE = 4096  # texts tokenized at once: this limits the memory of the lists of Python ints
_WORD = re.compile(r"\S+")


def join_columns(*columns: Iterable[str]) -> list[str]:
    """Join the texts of each row, column after column, with the separator that `TokenEncoder` looks for.

    >>> join_columns(["a lamp"], ["it glows"])
    ['a lamp\\x1eit glows']
    """
    return [SEP.join(cell.replace(SEP, " ") for cell in row) for row in zip(*columns, strict=True)]


def longest_first(lengths: Sequence[int], limit: int) -> list[int]:
    """Compute how many tokens each text of a row keeps so that all of them fit; the longest texts are cut first.

    This is the truncation "longest_first" of Hugging Face's tokenizers, for any number of texts.

    Args:
        lengths: tokens per text.
        limit: maximum tokens of all texts together, at least 0.
    Returns:
        Tokens kept of each text.

    >>> longest_first([5, 100], 20)
    [5, 15]
    >>> longest_first([50, 100], 20)
    [10, 10]
    """
    kept = [0] * len(lengths)
    for left, i in zip(range(len(lengths), 0, -1), sorted(range(len(lengths)), key=lengths.__getitem__), strict=True):
        kept[i] = min(lengths[i], limit // left)
        limit -= kept[i]
    return kept


def truncate_ids(ids: list[int], count: int, long: str) -> list[int]:
    """Keep the head of a text, its tail, or a quarter from the head and the rest from the tail.

    The quarter follows Sun et al. (2019, section 5.3.1), who kept 128 tokens from the head and 382 from the tail.

    >>> truncate_ids([1, 2, 3, 4, 5, 6], 4, "head+tail")
    [1, 4, 5, 6]
    """
    if len(ids) <= count:
        return ids
    head = {"tail": 0, "head+tail": count // 4}.get(long, count)
    return ids[:head] + ids[len(ids) - (count - head) :]


@dataclass(frozen=True)
class _WordToken:
    """A token of a word, in place of its id."""

    word: int


class TokenEncoder:
    """Convert texts to rows of token ids with special tokens, cut or in windows.

    Args:
        tokenizer: the tokenizer; its own truncation, padding and special tokens are not used.
        start, between, end: the ids of the special tokens before a row, between its columns, and after it.
        max_length: maximum tokens per row, including special tokens.
        long: how to read a longer text: "truncate" keeps its head, "tail" its end, "head+tail" some of both;
            "windows" turns it into several rows of `max_length` tokens.
        stride: tokens that two neighboring windows share, as in Hugging Face's tokenizers.
        extra_special_tokens: special tokens that keep their meaning in a text, such as "<user>".
    Raises:
        ValueError: `long` is unknown, or `stride` is not smaller than a window.
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
        # A copy: others may set truncation and padding.
        self.tokenizer = Tokenizer.from_str(_unspecial(tokenizer.to_str(), self.extra_special_tokens))
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        self.tokenizer.encode_special_tokens = True  # special tokens in a text are text
        self.start, self.between, self.end = list(start), list(between), list(end)
        self.max_length, self.long, self.stride = max_length, long, stride
        if long == "windows" and not 0 <= stride < self.text_length:
            raise ValueError(f"stride={stride} must be less than the {self.text_length} tokens of text in a window")

    @property
    def around(self) -> int:
        """The number of special tokens at both ends of a row."""
        return len(self.start) + len(self.end)

    @property
    def text_length(self) -> int:
        """Maximum tokens per row without the special tokens at both ends."""
        return self.max_length - self.around

    def to_dict(self) -> dict[str, Any]:
        """Return all arguments except the tokenizer, for JSON."""
        names = ("start", "between", "end", "max_length", "long", "stride", "extra_special_tokens")
        return {name: getattr(self, name) for name in names}

    def encode_batch(self, texts: Sequence[str]) -> tuple[list[np.ndarray], np.ndarray]:
        """Tokenize many texts at once, on all cores.

        Args:
            texts: n strings, with `SEP` between the columns of a row.
        Returns:
            n arrays of token ids (int32), and a mask of the rows that were cut (bool, shape (n,)).
        """
        rows = [self._with_special_tokens(chunks) for chunks in self._chunks(texts)]
        return [np.asarray(ids, dtype=np.int32) for ids, _ in rows], np.array([cut for _, cut in rows], dtype=bool)

    def encode_documents(self, texts: Sequence[str]) -> tuple[list[np.ndarray], np.ndarray | None, np.ndarray]:
        """Tokenize many texts; long ones are read as `long` defines.

        Returns:
            Arrays of token ids (int32), one per text or window; for windows, the first window of each text and the end
            (shape (n + 1,)), otherwise None; and a mask of the texts that were cut (bool, shape (n,)).
        """
        if self.long != "windows":
            rows, cut = self.encode_batch(texts)
            return rows, None, cut
        documents: list[np.ndarray] = []
        first = [0]
        too_long = []
        max_windows = max(1, LARGEST // self.max_length)
        for chunks in self._chunks(texts):
            windows = self._windows(chunks)
            documents += [np.asarray(ids, dtype=np.int32) for ids in windows[:max_windows]]
            first.append(len(documents))
            too_long.append(len(windows) > max_windows)
        return documents, np.array(first), np.array(too_long, dtype=bool)

    def count(self, texts: Sequence[str]) -> np.ndarray:
        """Count the tokens of each text before it is cut, including special tokens; int64, shape (n,)."""
        return np.array([self.around + len(self._body(chunks)) for chunks in self._chunks(texts)], dtype=np.int64)

    def words(self, text: str) -> tuple[list[str], np.ndarray]:
        """Split a text into words, and map each token of its encoded row to a word.

        Returns:
            Words, split at white space; and the number of each token's word, -1 for a special token (int64, shape
            (tokens,)).
        """
        words: list[str] = []
        chunks: list[list[Any]] = []
        for chunk in text.split(SEP):
            spans = [match.span() for match in _WORD.finditer(chunk)]
            ends = np.array([end for _, end in spans])
            offsets = self.tokenizer.encode(chunk, add_special_tokens=False).offsets
            # A token may begin with the space before its word, so its last character shows where it belongs.
            at = [int(np.searchsorted(ends, end)) for _, end in offsets]
            chunks.append([_WordToken(len(words) + min(i, max(len(spans) - 1, 0))) for i in at])
            words += [chunk[start:end] for start, end in spans]
        row, _ = self._with_special_tokens(chunks)
        return words, np.array([x.word if isinstance(x, _WordToken) else -1 for x in row], dtype=np.int64)

    def _chunks(self, texts: Sequence[str]) -> Iterator[list[list[int]]]:
        """Yield the token ids of each column of each text."""
        for at in range(0, len(texts), AT_ONCE):
            split = [text.split(SEP) for text in texts[at : at + AT_ONCE]]
            flat = [chunk for chunks in split for chunk in chunks]
            ids = (encoding.ids for encoding in self.tokenizer.encode_batch_fast(flat, add_special_tokens=False))
            for chunks in split:
                yield [next(ids) for _ in chunks]

    def _with_special_tokens(self, chunks: list[list[int]]) -> tuple[list[int], bool]:
        lengths = [len(p) for p in chunks]
        limit = self.text_length - len(self.between) * (len(chunks) - 1)
        cut = sum(lengths) > limit
        if cut:
            kept = longest_first(lengths, max(limit, 0))
            chunks = [truncate_ids(p, k, self.long) for p, k in zip(chunks, kept, strict=True)]
        body = self._body(chunks)[: self.text_length]  # with more columns than tokens, not even the separators fit
        return self.start + body + self.end, cut

    def _body(self, chunks: list[list[int]]) -> list[int]:
        ids: list[int] = []
        for i, chunk in enumerate(chunks):
            ids += (self.between if i else []) + chunk
        return ids

    def _windows(self, chunks: list[list[int]]) -> list[list[int]]:
        body = self._body(chunks)
        starts = range(0, max(1, len(body) - self.stride), self.text_length - self.stride)
        return [self.start + body[at : at + self.text_length] + self.end for at in starts]


def _unspecial(tokenizer: str, names: Sequence[str]) -> str:
    """Return a tokenizer's JSON in which added tokens with these names are not special: they stay whole in a text."""
    if not names:
        return tokenizer
    content = json.loads(tokenizer)
    for token in content["added_tokens"]:
        token["special"] = token["special"] and token["content"] not in names
    return json.dumps(content)
