"""Export of a model as a graph: ONNX in fp32, int8 and fp16, OpenVINO in int8, torch.export; pooling, head, softmax.

In ONNX's int8 no prediction depends on what else is in the batch: matrix product in fp32 → its input in eight bits, a
scale for each token → a product of integers → both scales → fp32
"""

import io
import logging
import warnings
import zipfile
from collections.abc import Callable
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from kickbert.inference.backends import CONSTANTS, GRAPH, INT8, ONNX, OPENVINO
from kickbert.models.artifact.json_checks import ArtifactError
from kickbert.models.artifact.loading import load_classifier
from kickbert.models.artifact.reading import Artifact
from kickbert.models.classifier import ProbabilityModel, example_input

FP16, EXPORTED = "model.fp16.onnx", "model.pt2"
OPSET = 20
# int8: steps of a weight on each side of zero, with seven bits sums of products fit 16 bits where a CPU has no VNNI;
# then of an activation, and its zero.
WEIGHT_STEPS, STEPS, MIDDLE = 63, 127, 128
INPUTS = ("input_ids", "attention_mask", "document_weights")


def write_onnx(artifact: Artifact, file: Path) -> None:
    """Export the whole model to one ONNX file in fp32, its axes of rows and tokens dynamic.

    Raises:
        ArtifactError: torch cannot export this architecture.
    """
    model, example, shapes = _exportable(artifact)
    with _quietly(artifact):
        torch.onnx.export(
            model, example, file, dynamo=True, dynamic_shapes=tuple(shapes.values()), input_names=list(shapes),
            output_names=["probabilities"], opset_version=OPSET, external_data=False, verbose=False,
        )  # fmt: skip


def _exportable(artifact: Artifact) -> tuple[ProbabilityModel, tuple, dict[str, dict]]:
    """The model, an example input, and the dynamic axes of each input by its name."""
    classifier = load_classifier(artifact)
    # Written out, attention is a few plain products; torch's fused one exports as twice as many steps.
    classifier.encoder.body.set_attn_implementation("eager")
    model = ProbabilityModel(classifier, artifact.metadata["task"], artifact.metadata["temperature"]).eval()
    vocabulary = classifier.encoder.body.get_input_embeddings().num_embeddings
    example = example_input(artifact.token_encoder.long == "windows", vocabulary)
    rows, tokens, documents = (torch.export.Dim(name, min=1) for name in ("rows", "tokens", "documents"))
    axes = ({0: rows, 1: tokens}, {0: rows, 1: tokens}, {0: documents, 1: rows})
    return model, example, dict(zip(INPUTS[: len(example)], axes, strict=False))


@contextmanager
def _quietly(artifact: Artifact):
    """Exporters without their chatter, and with their errors in one sentence."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    except Exception as err:
        architecture, reason = artifact.metadata["encoder"]["model_type"], (str(err) or "no reason").splitlines()[0]
        raise ArtifactError(
            f"torch {torch.__version__} cannot export this {architecture} model ({type(err).__name__}: {reason}); use "
            "backend='torch'"
        ) from err
    finally:
        logging.disable(level)


@dataclass
class Source:
    """What a form is written from.

    Args:
        artifact: of the model.
        graph: it in ONNX, fp32, an `onnx.ModelProto`; None where no form is of ONNX.
        inputs: gives what a backend is given of some texts, one by one, to estimate ranges of activations from.
    """

    artifact: Artifact
    graph: Any
    inputs: Callable[[], list[tuple[np.ndarray, ...]]]


def _onnx(source: Source, file: Path) -> None:
    import onnx

    onnx.save(source.graph, file)


def _int8(source: Source, file: Path) -> None:
    """Weights in int8, activations token by token as they come; embeddings in int8 by ONNX Runtime's quantizer."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with _quietly(source.artifact):
        quantize_dynamic(source.graph, file, op_types_to_quantize=["Gather"], weight_type=QuantType.QInt8)
    onnx.save(quantize_rows(onnx.load(file)), file)


def _fp16(source: Source, file: Path) -> None:
    """Half precision inside, float32 outside: for GPUs."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(source.graph, keep_io_types=True), file)


def _openvino_int8(source: Source, file: Path) -> None:
    """Weights and activations in int8, of ranges that some texts had, smoothed (SmoothQuant, Xiao et al. 2023)."""
    inputs = source.inputs()
    with TemporaryDirectory() as scratch, _quietly(source.artifact):
        import nncf  # which warns, too
        import openvino

        _onnx(source, Path(scratch) / ONNX)
        model = openvino.Core().read_model(Path(scratch) / ONNX)
        names = [entry.any_name for entry in model.inputs]
        rows = nncf.Dataset(inputs, lambda values: dict(zip(names, values, strict=True)))
        kind = nncf.ModelType.TRANSFORMER
        quantized = nncf.quantize(model, rows, model_type=kind, subset_size=len(inputs))
        openvino.save_model(quantized, Path(scratch) / GRAPH)
        with zipfile.ZipFile(file, "w") as archive:
            for name in (GRAPH, CONSTANTS):
                archive.write(Path(scratch) / name, name)


def _torch_export(source: Source, file: Path) -> None:
    model, example, shapes = _exportable(source.artifact)
    with _quietly(source.artifact):
        torch.export.save(torch.export.export(model, example, dynamic_shapes=shapes), file)


# The file of each form, and what writes it.
FORMS: dict[str, tuple[str, Callable[[Source, Path], None]]] = {
    "onnx": (ONNX, _onnx),
    "onnx-int8": (INT8, _int8),
    "openvino-int8": (OPENVINO, _openvino_int8),
    "onnx-fp16": (FP16, _fp16),
    "torch-export": (EXPORTED, _torch_export),
}


def quantize_rows(model: Any) -> Any:
    """Do each product of a matrix of weights in integers: a scale for each column of weights, one for each token.

    That is the token-wise scheme of ZeroQuant (Yao et al. 2022, section 4.1). ONNX Runtime's own dynamic quantization
    takes one scale for a whole batch, by which a text's probabilities moved by up to 0.04 with its neighbours
    (all-MiniLM-L6-v2); here they do not, and are half as far from fp32, at 6 % more time.

    Args:
        model: an `onnx.ModelProto` of opset 18 or later; it is changed.
    Returns:
        The model.
    """
    from onnx import TensorProto

    graph, rows = model.graph, _Rows()
    weights = {w.name: w for w in graph.initializer if len(w.dims) == 2 and w.data_type == TensorProto.FLOAT}
    for node in list(graph.node):
        rows.add(node, weights.get(node.input[1]) if node.op_type == "MatMul" else None)
    used = {name for node in rows.nodes for name in node.input}
    kept = [tensor for tensor in [*graph.initializer, *rows.tensors.values()] if tensor.name in used]
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(rows.nodes)
    graph.initializer.extend(kept)
    return model


class _Rows:
    """The nodes of the new graph, in order, and its new tensors by name; what several products share is made once."""

    def __init__(self):
        self.nodes: list[Any] = []
        self.tensors: dict[str, Any] = {}
        self._quantized: set[str] = set()

    def add(self, node: Any, weight: Any) -> None:
        """A node of the old graph, as it is, or as a product of integers."""
        if weight is None:
            self.nodes.append(node)
            return
        source, name = node.input[0], f"{node.output[0]}_rows"
        self._quantize_weight(weight)
        if source not in self._quantized:
            self._quantize_activation(source, weight.dims[0])
        product = (f"{source}_int8", f"{weight.name}_int8", self._tensor("rows_middle", np.uint8(MIDDLE)))
        self._node("MatMulInteger", product, f"{name}_sums")
        self._node("Cast", [f"{name}_sums"], f"{name}_float", to=1)
        self._node("Mul", [f"{name}_float", f"{source}_scales"], f"{name}_tokens")
        self._node("Mul", [f"{name}_tokens", f"{weight.name}_scales"], f"{name}_flat")
        self._node("Shape", [source], f"{name}_leading", end=-1)
        width = self._tensor(f"rows_{weight.dims[1]}", np.array([weight.dims[1]]))
        self._node("Concat", [f"{name}_leading", width], f"{name}_shape", axis=0)
        self._node("Reshape", [f"{name}_flat", f"{name}_shape"], node.output[0])

    def _quantize_weight(self, weight: Any) -> None:
        from onnx import numpy_helper

        if f"{weight.name}_int8" in self.tensors:
            return
        values = numpy_helper.to_array(weight)
        scales = np.maximum(np.abs(values).max(0), np.finfo(np.float32).tiny) / WEIGHT_STEPS
        self._tensor(f"{weight.name}_int8", np.round(values / scales).astype(np.int8))
        self._tensor(f"{weight.name}_scales", scales.astype(np.float32))

    def _quantize_activation(self, source: str, width: int) -> None:
        self._quantized.add(source)
        flat = self._tensor(f"rows_of_{width}", np.array([-1, width]))
        least, steps = self._tensor("rows_least", np.float32(1e-30)), self._tensor("rows_steps", np.float32(STEPS))
        last = self._tensor("rows_last", np.array([-1]))
        self._node("Reshape", [source, flat], f"{source}_flat")
        self._node("Abs", [f"{source}_flat"], f"{source}_sizes")
        self._node("ReduceMax", [f"{source}_sizes", last], f"{source}_largest")
        self._node("Max", [f"{source}_largest", least], f"{source}_positive")
        self._node("Div", [f"{source}_positive", steps], f"{source}_scales")  # shape (tokens, 1)
        self._node("Reshape", [f"{source}_scales", last], f"{source}_scale")
        self._node("Shape", [f"{source}_scale"], f"{source}_count")
        middle = self._tensor("rows_middles", np.array([MIDDLE], dtype=np.uint8))
        self._node("Expand", [middle, f"{source}_count"], f"{source}_middles")
        tokens = [f"{source}_flat", f"{source}_scale", f"{source}_middles"]
        self._node("QuantizeLinear", tokens, f"{source}_int8", axis=0)

    def _node(self, kind: str, inputs: Any, output: str, **attributes: Any) -> None:
        from onnx import helper

        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))

    def _tensor(self, name: str, values: Any) -> str:
        from onnx import numpy_helper

        if name not in self.tensors:
            self.tensors[name] = numpy_helper.from_array(np.asarray(values), name)
        return name
