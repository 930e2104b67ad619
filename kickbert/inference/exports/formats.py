"""Export formats, each with its file and the function that writes it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from kickbert.inference.backends.choice import INT8, ONNX, OPENVINO
from kickbert.inference.exports.int8 import quantize_rows
from kickbert.inference.exports.onnx_graph import quiet, write_onnx, write_torch_export
from kickbert.inference.exports.openvino_int8 import write_openvino_int8
from kickbert.models.classifier import ProbabilityModel


@dataclass
class Source:
    """The source of an exported file.

    Args:
        model: the network, prepared for export.
        windows: whether it reads documents in windows.
        inputs: function that returns the inputs of a backend for some texts, one text at a time, for estimating
            ranges of activations.
    """

    model: ProbabilityModel
    windows: bool
    inputs: Callable[[], list[tuple[np.ndarray, ...]]]

    @cached_property
    def graph(self) -> Any:
        """The network in ONNX, fp32, an `onnx.ModelProto`."""
        import onnx

        with TemporaryDirectory() as scratch:
            file = Path(scratch) / "graph.onnx"
            write_onnx(self.model, self.windows, file)
            graph = onnx.load(file)
        del graph.graph.value_info[:]  # ONNX Runtime's quantizer rejects the shapes that PyTorch's exporter writes
        return graph


def _onnx(source: Source, file: Path) -> None:
    import onnx

    onnx.save(source.graph, file)


def _onnx_int8(source: Source, file: Path) -> None:
    """Write int8 weights, with activations quantized per token and embeddings by ONNX Runtime's quantizer."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with quiet(source.model):
        quantize_dynamic(source.graph, file, op_types_to_quantize=["Gather"], weight_type=QuantType.QInt8)
    onnx.save(quantize_rows(onnx.load(file)), file)


def _onnx_fp16(source: Source, file: Path) -> None:
    """Write a model in half precision with float32 inputs and outputs, for GPUs."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(source.graph, keep_io_types=True), file)


def _openvino_int8(source: Source, file: Path) -> None:
    with quiet(source.model):
        write_openvino_int8(source.graph, source.inputs(), file)


def _torch_export(source: Source, file: Path) -> None:
    write_torch_export(source.model, source.windows, file)


FORMATS: dict[str, tuple[str, Callable[[Source, Path], None]]] = {
    "onnx": (ONNX, _onnx),
    "onnx-int8": (INT8, _onnx_int8),
    "openvino-int8": (OPENVINO, _openvino_int8),
    "onnx-fp16": ("model.fp16.onnx", _onnx_fp16),
    "torch-export": ("model.pt2", _torch_export),
}
