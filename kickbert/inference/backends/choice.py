"""Choose the backend of a model: the requested one, or the fastest that the artifact and this machine support.

Libraries are imported when a backend is opened, so that a service needs only one of them.
"""

import importlib.util
import platform
from pathlib import Path

from kickbert.inference.backends.backend import Backend
from kickbert.inference.backends.onnx_backend import OnnxBackend
from kickbert.inference.backends.openvino_backend import OpenVinoBackend
from kickbert.models.artifact.json_checks import ArtifactError
from kickbert.models.artifact.reading import Artifact
from kickbert.utils.devices import best_device, has_bf16
from kickbert.utils.messages import nearest

ONNX = "model.onnx"
INT8 = "model.int8.onnx"
OPENVINO = "model.int8.openvino.zip"
# The fastest first (benchmarks/predicting.py), each with its file and the package that runs it.
BACKENDS: dict[str, tuple[str | None, str]] = {
    "openvino-int8": (OPENVINO, "openvino"),
    "onnx-int8": (INT8, "onnxruntime"),
    "torch-bf16": (None, "torch"),
    "onnx": (ONNX, "onnxruntime"),
    "torch": (None, "torch"),
}


def choose_backend(artifact: Artifact, backend: str = "auto") -> str:
    """Choose a backend.

    Args:
        artifact: the model.
        backend: one of `BACKENDS`, or "auto" for the fastest that the artifact and this machine support.
    Raises:
        ValueError: the name is unknown.
        ArtifactError: the model was not exported for this backend, or no backend runs here.
    """
    if backend == "auto":
        return _fastest(artifact)
    if backend not in BACKENDS:
        raise ValueError(f"backend={backend!r} is not one of {['auto', *BACKENDS]}{nearest(backend, BACKENDS)}")
    file, package = BACKENDS[backend]
    if file is not None and file not in artifact:
        raise ArtifactError(
            f"backend={backend!r} needs {file}, which is not in {artifact.folder}. Create it with kickbert export "
            f"{artifact.folder} ROWS --format {backend}"
        )
    if package == "torch" and not _installed("torch"):
        raise ImportError(
            f"backend={backend!r} needs PyTorch, which this light installation does not have. Install it with "
            "pip install kickbert, or export the model on another machine with kickbert export"
        )
    return backend


def _fastest(artifact: Artifact) -> str:
    """Return the first backend that is installed, has its file, and is fast here."""
    for name, (file, package) in BACKENDS.items():
        if _installed(package) and (file is None or file in artifact) and _fast(name):
            return name
    raise ArtifactError(
        f"{artifact.folder} has no exported model that runs here, and PyTorch is not installed. Run kickbert export "
        "on the machine that trained it, or install PyTorch"
    )


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _fast(name: str) -> bool:
    """Tell whether a backend is faster on this machine than those after it."""
    if name.startswith("openvino"):
        return platform.machine() in ("x86_64", "AMD64")  # other machines were not measured
    return name != "torch-bf16" or _fast_bf16()


def _fast_bf16() -> bool:
    return has_bf16(best_device())


def open_backend(artifact: Artifact, backend: str = "auto", threads: int | None = None) -> Backend:
    """Check the file of a backend and open it.

    Args:
        artifact: the model.
        backend: as for `choose_backend`.
        threads: number of threads of ONNX Runtime and OpenVINO; None for all cores.
    Raises:
        ValueError: the name is unknown.
        ArtifactError: there is no such export, or a file was changed.
    """
    name = choose_backend(artifact, backend)
    file, _ = BACKENDS[name]
    if file is not None:
        return open_export(artifact.file(file), name, threads)
    from kickbert.inference.backends.torch_backend import TorchBackend
    from kickbert.models.artifact.loading import load_network

    return TorchBackend(load_network(artifact), name)


def open_export(path: Path, name: str, threads: int | None = None) -> Backend:
    """Open an exported file with the library that runs it.

    Args:
        path: the file.
        name: name of the format or of its backend.
        threads: as for `open_backend`.
    """
    if name.startswith("openvino"):
        return OpenVinoBackend(path, name, threads)
    return OnnxBackend(path, name, threads)
