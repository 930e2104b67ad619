"""OpenVINO, for `model.int8.openvino.zip`."""

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
        import openvino

        self.name = name
        self.workers = threads or cores()
        core = openvino.Core()
        with zipfile.ZipFile(path) as archive:
            # A copy: a tensor made with a shape would read memory that is freed when this method returns.
            constants = openvino.Tensor(np.frombuffer(archive.read(CONSTANTS), dtype=np.uint8))
            graph = core.read_model(archive.read(GRAPH), constants)
        options = {
            "INFERENCE_PRECISION_HINT": "f32",  # otherwise bf16 if the CPU has it
            "NUM_STREAMS": self.workers,
            "INFERENCE_NUM_THREADS": self.workers,
            "ENABLE_CPU_PINNING": False,
        }
        self.model = core.compile_model(graph, "CPU", options)
        self._thread = threading.local()

    def __call__(self, ids: np.ndarray, mask: np.ndarray, document_weights: np.ndarray | None) -> np.ndarray:
        request: Any = getattr(self._thread, "request", None) or self.model.create_infer_request()  # one per thread
        self._thread.request = request
        inputs = [value for value in (ids, mask, document_weights) if value is not None]
        return np.array(request.infer(inputs, share_inputs=True)[0])  # a copy: the request reuses its own memory
