"""Choose the backend of a model: the requested one, or the fastest that the artifact and this machine support.

Libraries are imported when a backend is opened, so that a service needs only one of them.
"""

import importlib.util
import platform
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

from kickbert.inference.backends.backend import Backend
from kickbert.inference.backends.graph_merging import merge_graphs
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
JOINT = [name for name in BACKENDS if not name.startswith("openvino")]  # run one encoder for several tasks


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
        return _fastest([artifact])
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


def _fastest(artifacts: Sequence[Artifact], names: Iterable[str] = BACKENDS) -> str:
    """Return the first backend that is installed, has its file in each artifact, and is fast here."""
    for name in names:
        file, package = BACKENDS[name]
        complete = file is None or all(file in artifact for artifact in artifacts)
        if _installed(package) and complete and _fast(name):
            return name
    raise ArtifactError(
        f"{' and '.join(str(artifact.folder) for artifact in artifacts)} has no exported model that runs here, and "
        "PyTorch is not installed. Run kickbert export on the machine that trained it, or install PyTorch"
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


def choose_joint_backend(artifacts: Sequence[Artifact], backend: str = "auto") -> str:
    """Choose a backend that runs the encoder of several models once.

    Args:
        artifacts: the models.
        backend: as for `choose_backend`; one that cannot be joint is refused, and not considered for "auto".
    Raises:
        ValueError: the name is unknown, or the backend cannot run several models at once.
        ArtifactError: a model was not exported for this backend, or no backend runs here.
    Warns:
        With "auto", some of the models have an int8 export and others do not.
    """
    if len(artifacts) == 1:
        return choose_backend(artifacts[0], backend)
    if backend == "auto":
        without = [str(artifact.folder) for artifact in artifacts if INT8 not in artifact]
        if 0 < len(without) < len(artifacts):
            warnings.warn(
                f"no {INT8} in {', '.join(without)}, so int8 is not used for any of the tasks. Create it with kickbert "
                f"export {without[0]} ROWS",
                stacklevel=4,
            )
        return _fastest(artifacts, JOINT)
    for artifact in artifacts:
        choose_backend(artifact, backend)
    if backend not in JOINT:
        raise ValueError(
            f"backend={backend!r} cannot run one encoder for several tasks, because its ranges of activations were "
            f"estimated for each model. Use one of {['auto', *JOINT]}"
        )
    return backend


def joint_choice(artifact: Artifact, backend: str = "auto") -> str | None:
    """Return the joint backend that is used in place of `choose_backend`'s choice; None if none would be as fast.

    With "auto", int8 of ONNX Runtime replaces that of OpenVINO.
    """
    name = choose_backend(artifact, backend)
    if name not in JOINT and backend == "auto" and INT8 in artifact:
        name = "onnx-int8"
    joint = name in JOINT and (BACKENDS[name][1] == "torch" or (_installed("onnx") and _installed("onnxruntime")))
    return name if joint else None


def open_joint_backend(artifacts: Sequence[Artifact], backend: str = "auto", threads: int | None = None) -> Backend:
    """Open one backend for several models with the same encoder; the probabilities of all are side by side.

    Args:
        artifacts: the models, at least one.
        backend: as for `choose_joint_backend`.
        threads: number of threads of ONNX Runtime; None for all cores.
    Raises:
        ValueError, ArtifactError: as `choose_joint_backend`, or a file was changed.
    """
    name = choose_joint_backend(artifacts, backend)
    if len(artifacts) == 1:
        return open_backend(artifacts[0], name, threads)
    file, _ = BACKENDS[name]
    if file is not None:
        return OnnxBackend(merge_graphs(artifact.file(file) for artifact in artifacts), name, threads)
    from kickbert.inference.backends.torch_backend import TorchBackend
    from kickbert.models.artifact.loading import load_joint_network

    return TorchBackend(load_joint_network(artifacts), name)


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
