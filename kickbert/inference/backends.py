"""Backends of inference (OpenVINO, ONNX Runtime, torch), token ids in, probabilities out; how fast a model answers.

Each is imported when it is used: a service needs one of them only.
"""

import importlib.util
import os
import platform
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import psutil

from kickbert.models.artifact.json_checks import ArtifactError
from kickbert.models.artifact.reading import Artifact
from kickbert.models.protocol import is_model
from kickbert.utils.devices import best_device, has_bf16
from kickbert.utils.extras import require
from kickbert.utils.processes import cores

ONNX, INT8, OPENVINO = "model.onnx", "model.int8.onnx", "model.int8.openvino.zip"
# The fastest first (benchmarks/predicting.py): the file of each, and the package that runs it.
RUNS: dict[str, tuple[str | None, str]] = {
    "openvino-int8": (OPENVINO, "openvino"),
    "onnx-int8": (INT8, "onnxruntime"),
    "torch-bf16": (None, "torch"),
    "onnx": (ONNX, "onnxruntime"),
    "torch": (None, "torch"),
}
BACKENDS = tuple(RUNS)
GRAPH, CONSTANTS = "model.xml", "model.bin"  # of OpenVINO, in one file
SIZES = (1, 8, 32, 128)
MIN_CALLS = 5  # of a batch size, however slow


class Backend(Protocol):
    """The forward pass of a model, by whatever library."""

    name: str
    workers: int  # calls that may run in parallel, each on its own core
    spare: int  # tokens of padding that cost as much as a call by itself

    def __call__(self, ids: np.ndarray, mask: np.ndarray, document_weights: np.ndarray | None) -> np.ndarray:
        """Probabilities, float32, shape (rows, classes), or (documents, classes).

        Args:
            ids: token ids, int64, shape (rows, tokens).
            mask: 1 at tokens, int64, shape (rows, tokens).
            document_weights: weight of each row in each document's mean, float32, shape (documents, rows); None
                without windows.
        """
        ...


class OnnxBackend:
    """ONNX Runtime, a thread for each call and calls in parallel, which is faster than sharing each call.

    Args:
        path: of the ONNX file.
        name: of the backend.
        threads: calls in parallel; None for all cores.
    """

    def __init__(self, path: Path, name: str, threads: int | None = None):
        require("onnxruntime", extra="export")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self.name, self.workers, self.spare = name, threads or cores(), 16
        self.session = onnxruntime.InferenceSession(path, options, providers=onnxruntime.get_available_providers())

    def __call__(self, ids: np.ndarray, mask: np.ndarray, document_weights: np.ndarray | None) -> np.ndarray:
        inputs = {"input_ids": ids, "attention_mask": mask}
        if document_weights is not None:
            inputs["document_weights"] = document_weights
        return self.session.run(None, inputs)[0]


class OpenVinoBackend:
    """OpenVINO, a thread for each call and calls in parallel.

    Args:
        path: of a zip archive of `GRAPH` and `CONSTANTS`.
        name: of the backend.
        threads: calls in parallel; None for all cores.
    """

    def __init__(self, path: Path, name: str, threads: int | None = None):
        require("openvino", extra="openvino")
        import openvino

        self.name, self.workers, self.spare = name, threads or cores(), 16
        core, exact = openvino.Core(), {"INFERENCE_PRECISION_HINT": "f32"}  # else bf16 where the CPU has it
        with zipfile.ZipFile(path) as archive:
            # Copied: a tensor that is given a shape too reads memory that is free once this method is done.
            constants = openvino.Tensor(np.frombuffer(archive.read(CONSTANTS), dtype=np.uint8))
            graph = core.read_model(archive.read(GRAPH), constants)
        streams = {"NUM_STREAMS": self.workers, "INFERENCE_NUM_THREADS": self.workers, "ENABLE_CPU_PINNING": False}
        self.model, self._own = core.compile_model(graph, "CPU", exact | streams), threading.local()

    def __call__(self, ids: np.ndarray, mask: np.ndarray, document_weights: np.ndarray | None) -> np.ndarray:
        request: Any = getattr(self._own, "request", None) or self.model.create_infer_request()  # one for each thread
        self._own.request = request
        inputs = [value for value in (ids, mask, document_weights) if value is not None]
        return np.array(request.infer(inputs, share_inputs=True)[0])  # a copy: the request writes into its own again


class TorchBackend:
    """torch in fp32 or bf16, on a GPU where there is one; it parallelizes each call by itself.

    Args:
        artifact: of the model.
        name: "torch" or "torch-bf16".
    """

    workers, spare = 1, 128

    def __init__(self, artifact: Artifact, name: str):
        require("torch", extra="train")
        import torch

        from kickbert.models.artifact.loading import load_classifier
        from kickbert.models.classifier import ProbabilityModel

        self.torch, self.name = torch, name
        self.device = best_device()
        task, temperature = (artifact.metadata[name] for name in ("task", "temperature"))
        self.model = ProbabilityModel(load_classifier(artifact), task, temperature).eval().to(self.device)

    def __call__(self, ids: np.ndarray, mask: np.ndarray, document_weights: np.ndarray | None) -> np.ndarray:
        torch = self.torch
        inputs = [torch.from_numpy(x).to(self.device) for x in (ids, mask, document_weights) if x is not None]
        bf16 = self.name == "torch-bf16"
        with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
            return self.model(*inputs).float().cpu().numpy()


def choose_backend(artifact: Artifact, backend: str = "auto") -> str:
    """Choose a backend by name.

    Args:
        backend: one of `BACKENDS`; "auto" for the fastest that the artifact and this machine have.
    Raises:
        ValueError: an unknown name.
        ArtifactError: a backend whose model was not exported, or none that runs here.
    """
    if backend not in ("auto", *BACKENDS):
        raise ValueError(f"backend={backend!r} is not one of {['auto', *BACKENDS]}")
    file, package = RUNS.get(backend, (None, ""))
    if file is not None and file not in artifact:
        raise ArtifactError(
            f"backend={backend!r} needs {file}, which {artifact.folder} has not; make it: kickbert export "
            f"{artifact.folder}{' --form openvino-int8' if package == 'openvino' else ''}"
        )
    if backend != "auto":
        return backend
    # The first that is here, and fast here; torch is only imported to ask for bf16 where nothing faster is at hand.
    usable = [b for b, (file, package) in RUNS.items() if _installed(package) and (file is None or file in artifact)]
    chosen = next((name for name in usable if _fast(name)), None)
    if chosen is None:
        raise ArtifactError(
            f"{artifact.folder} has no exported model, and torch is not installed here; run kickbert export where it "
            "was trained, or install torch"
        )
    return chosen


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _fast(name: str) -> bool:
    """Whether a backend is faster on this machine than those after it."""
    if name.startswith("openvino"):
        return platform.machine() in ("x86_64", "AMD64")  # what it is made for, and was measured on
    return name != "torch-bf16" or _fast_bf16()


def _fast_bf16() -> bool:
    return has_bf16(best_device())


def open_backend(artifact: Artifact, backend: str = "auto", threads: int | None = None) -> Backend:
    """Open a backend by name; its file is checked first.

    Args:
        backend: as for `choose_backend`.
        threads: of ONNX Runtime and OpenVINO; None for all cores.
    Raises:
        ValueError: an unknown name.
        ArtifactError: no such export, or a file that was changed.
    """
    name = choose_backend(artifact, backend)
    file, _ = RUNS[name]
    return TorchBackend(artifact, name) if file is None else open_export(artifact.file(file), name, threads)


def open_export(path: Path, name: str, threads: int | None = None) -> Backend:
    """Open the file of an exported form by the library that runs it.

    Args:
        path: of the file.
        name: of the form, or of its backend.
        threads: as for `open_backend`.
    """
    run = OpenVinoBackend if name.startswith("openvino") else OnnxBackend
    return run(path, name, threads)


def benchmark(
    model: Any, texts: Sequence[str], batch_sizes: Sequence[int] = SIZES, seconds: float = 5.0
) -> pd.DataFrame:
    """Measure throughput and latency by batch size.

    Args:
        model: a learner, a predictor, or a function of a list of texts.
        texts: at least one; they are taken in turn, again and again.
        batch_sizes: numbers of texts of a call.
        seconds: duration of each measurement, after one call to warm up.
    Returns:
        A row per batch size: batch size, texts per second, latency of a call in milliseconds (median, p95 and p99),
        calls, and the process' peak memory in MB so far (on a GPU that of torch).
    Raises:
        ValueError: no texts, or a size under 1.
    """
    texts = list(texts)
    if not texts or min(batch_sizes) < 1:
        raise ValueError(
            f"{len(texts)} texts and batch_sizes={list(batch_sizes)}: give at least one text, sizes from 1"
        )
    call = model.predict_proba if is_model(model) else model
    return pd.DataFrame([_measure(call, texts, size, seconds) for size in batch_sizes])


def _measure(call: Callable, texts: list[str], size: int, seconds: float) -> dict:
    """The row of a batch size."""
    call([texts[i % len(texts)] for i in range(size)])
    durations, at, end = [], 0, time.perf_counter() + seconds
    while len(durations) < MIN_CALLS or time.perf_counter() < end:
        batch = [texts[(at + i) % len(texts)] for i in range(size)]
        start = time.perf_counter()
        call(batch)
        durations.append(time.perf_counter() - start)
        at += size
    median, p95, p99 = 1e3 * np.quantile(durations, [0.5, 0.95, 0.99])
    return {
        "batch size": size, "texts per second": size * len(durations) / sum(durations), "median ms": median,
        "p95 ms": p95, "p99 ms": p99, "calls": len(durations), "peak memory MB": peak_memory() / 1e6,
    }  # fmt: skip


def peak_memory() -> int:
    """Peak memory of the process so far, in bytes; on a GPU that of torch."""
    torch = sys.modules.get("torch")  # a predictor does without
    if torch is not None and torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    import resource  # which Windows has not

    unit = 1 if os.uname().sysname == "Darwin" else 1024  # getrusage(2): bytes on a Mac, kilobytes on Linux
    return max(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit, psutil.Process().memory_info().rss)
