"""OpenVINO, for `model.int8.openvino.zip`."""

import os
import threading
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from kickbert.utils.extras import require
from kickbert.utils.limits import cores

GRAPH = "model.xml"
CONSTANTS = "model.bin"


class OpenVinoBackend:
    """A model in OpenVINO, with one thread per call and calls in parallel.

    Args:
        path: a zip archive of `GRAPH` and `CONSTANTS`.
        name: name of the backend.
        threads: number of calls in parallel; None for all cores.
    """

    padding_budget = 16

    def __init__(self, path: Path, name: str, threads: int | None = None):
        require("openvino", extra="openvino")
        self.name = name
        self.workers = threads or cores()
        with zipfile.ZipFile(path) as archive:
            self._graph = archive.read(GRAPH)
            constants = bytearray(archive.read(CONSTANTS))  # OpenVINO shares only memory that is writable
        self._constants = np.frombuffer(constants, dtype=np.uint8)
        self._models = {os.getpid(): self._compiled()}
        self._thread = threading.local()

    def _compiled(self) -> Any:
        import openvino

        core = openvino.Core()
        graph = core.read_model(self._graph, openvino.Tensor(self._constants, shared_memory=True))
        options = {
            "INFERENCE_PRECISION_HINT": "f32",  # otherwise bf16 if the CPU has it
            "NUM_STREAMS": self.workers,
            "INFERENCE_NUM_THREADS": self.workers,
            "ENABLE_CPU_PINNING": False,
        }
        return core.compile_model(graph, "CPU", options)

    def __call__(self, ids: np.ndarray, mask: np.ndarray, document_weights: np.ndarray | None) -> np.ndarray:
        process = os.getpid()
        if process not in self._models:  # a fork, in which the threads of the parent's model are gone
            self._models[process] = self._compiled()
        request = getattr(self._thread, str(process), None) or self._models[process].create_infer_request()
        setattr(self._thread, str(process), request)  # one per thread
        inputs = [value for value in (ids, mask, document_weights) if value is not None]
        return np.array(request.infer(inputs, share_inputs=True)[0])  # a copy: the request reuses its own memory
