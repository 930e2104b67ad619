"""ONNX Runtime, for `model.onnx` and `model.int8.onnx`."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kickbert.utils.extras import require
from kickbert.utils.limits import cores


class OnnxBackend:
    """A model in ONNX Runtime, with one thread per call and calls in parallel, which is faster than sharing each call.

    Args:
        model: the ONNX file, or its content.
        name: name of the backend.
        threads: number of calls in parallel; None for all cores.
        providers: execution providers of ONNX Runtime, such as ("CUDAExecutionProvider",) with onnxruntime-gpu.
    """

    padding_budget = 16

    def __init__(
        self,
        model: Path | bytes,
        name: str,
        threads: int | None = None,
        providers: Sequence[str] = ("CPUExecutionProvider",),
    ):
        require("onnxruntime", extra="export")
        import onnxruntime

        if missing := set(providers) - set(onnxruntime.get_available_providers()):  # ONNX Runtime would use the CPU
            raise ValueError(f"{', '.join(sorted(missing))} is not one of {onnxruntime.get_available_providers()}")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self.name = name
        self.workers = threads or cores()
        self.session = onnxruntime.InferenceSession(model, options, providers=list(providers))

    def __call__(self, ids: np.ndarray, mask: np.ndarray, document_weights: np.ndarray | None) -> np.ndarray:
        inputs = {"input_ids": ids, "attention_mask": mask}
        if document_weights is not None:
            inputs["document_weights"] = document_weights
        probs: np.ndarray = self.session.run(None, inputs)[0]
        return probs
