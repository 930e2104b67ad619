"""Encoders with random weights and their tokenizers, one per architecture, and a batch for them."""

import string

import torch
import transformers
from transformers import AutoConfig, AutoModel
from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING_NAMES

from kickbert.models.encoder import LAYERS, Encoder

SIZE = {
    "vocab_size": 100,
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
}
DEBERTA = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_biased_input": False}
SPECIAL = {"pad_token_id": 0, "bos_token_id": 1, "cls_token_id": 1, "eos_token_id": 2, "sep_token_id": 2}
OWN = {
    "albert": {"embedding_size": 16},
    "big_bird": {"attention_type": "original_full"},
    "deberta": DEBERTA,
    "deberta-v2": DEBERTA,
    "electra": {"embedding_size": 16},
    "longformer": {"attention_window": [4] * 4},
    "mobilebert": {"embedding_size": 16, "intra_bottleneck_size": 32},
    "modernbert": {**SPECIAL, "global_attn_every_n_layers": 2, "local_attention": 4},
}
ARCHITECTURES = [(kind, {}) for kind in LAYERS] + [("deberta-v2", {"conv_kernel_size": 3, "conv_act": "gelu"})]


def random_encoder(kind: str, **extra) -> Encoder:
    torch.manual_seed(0)
    if kind == "distilbert":
        size = {
            "vocab_size": 100,
            "dim": 32,
            "n_layers": 4,
            "n_heads": 4,
            "hidden_dim": 48,
            "max_position_embeddings": 64,
        }
    else:
        size = SIZE | OWN.get(kind, {}) | extra
    return Encoder(AutoModel.from_config(AutoConfig.for_model(kind, **size))).eval()


def padded_batch() -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.randint(5, 100, (3, 11), generator=torch.Generator().manual_seed(1))
    return ids, torch.arange(11) < torch.tensor([11, 7, 3])[:, None]


def own_tokenizer(kind: str):
    """A tokenizer of the architecture's class with lowercase letters and digits as vocabulary."""
    own, letters = getattr(transformers, TOKENIZER_MAPPING_NAMES[kind]), list(string.ascii_lowercase + string.digits)
    roberta, bert = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"], ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    if kind in ("roberta", "longformer", "deberta"):
        special = ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"] if kind == "deberta" else roberta
        return own(vocab={token: i for i, token in enumerate([*special, "Ġ", *letters])}, merges=[])
    if kind in ("albert", "big_bird", "deberta-v2", "xlm-roberta", "camembert"):
        google = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]
        special = {"albert": google, "big_bird": google, "deberta-v2": bert}.get(kind, roberta)
        scores = ((token, 0.0 if token == "<unk>" else -float(i)) for i, token in enumerate([*special, "▁", *letters]))
        return own(vocab=list(scores))
    special = ["<s>", "<pad>", "</s>", "[UNK]", "<mask>"] if kind == "mpnet" else bert
    vocab = {token: i for i, token in enumerate([*special, *letters, *(f"##{c}" for c in letters)])}
    if kind != "modernbert":
        return own(vocab=vocab)
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    return own(
        tokenizer_object=transformers.BertTokenizer(vocab=vocab).backend_tokenizer,
        **dict(zip(names, bert, strict=True)),
    )
