"""int8 quantization for OpenVINO, with ranges of activations estimated from texts."""

import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from kickbert.inference.backends.openvino_backend import CONSTANTS, GRAPH


def write_openvino_int8(graph: Any, inputs: list[tuple[np.ndarray, ...]], file: Path) -> None:
    """Quantize weights and activations to int8, smoothed (SmoothQuant, Xiao et al. 2023), and write a zip archive.

    Args:
        graph: an `onnx.ModelProto` in fp32.
        inputs: inputs of the graph for some texts, one text at a time.
        file: output file.
    """
    import nncf
    import onnx
    import openvino

    with TemporaryDirectory() as scratch:
        source = Path(scratch) / "graph.onnx"
        onnx.save(graph, source)
        model = openvino.Core().read_model(source)
        names = [entry.any_name for entry in model.inputs]
        rows = nncf.Dataset(inputs, lambda values: dict(zip(names, values, strict=True)))
        quantized = nncf.quantize(model, rows, model_type=nncf.ModelType.TRANSFORMER, subset_size=len(inputs))
        openvino.save_model(quantized, Path(scratch) / GRAPH)
        with zipfile.ZipFile(file, "w") as archive:
            for name in (GRAPH, CONSTANTS):
                archive.write(Path(scratch) / name, name)
