"""Export of a model as a graph: ONNX in fp32, int8 and fp16, torch.export. Pooling, head and softmax are in it."""

import io
import logging
import warnings
from collections.abc import Callable
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import torch

from kickbert.inference.backends import INT8, ONNX
from kickbert.inference.row_quantization import quantize_rows
from kickbert.models.artifact import Artifact, ArtifactError
from kickbert.models.probability_model import ProbabilityModel, example_input
from kickbert.models.saving import load_classifier

FP16, EXPORTED = "model.fp16.onnx", "model.pt2"
OPSET = 20
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
    example = example_input(artifact.token_encoder.long == "windows")
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


def _onnx(artifact: Artifact, graph: Any, file: Path) -> None:
    import onnx

    onnx.save(graph, file)


def _int8(artifact: Artifact, graph: Any, file: Path) -> None:
    """Weights in int8, activations token by token as they come; embeddings in int8 by ONNX Runtime's quantizer."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with _quietly(artifact):
        quantize_dynamic(graph, file, op_types_to_quantize=["Gather"], weight_type=QuantType.QInt8)
    onnx.save(quantize_rows(onnx.load(file)), file)


def _fp16(artifact: Artifact, graph: Any, file: Path) -> None:
    """Half precision inside, float32 outside: for GPUs."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(graph, keep_io_types=True), file)


def _torch_export(artifact: Artifact, graph: Any, file: Path) -> None:
    model, example, shapes = _exportable(artifact)
    with _quietly(artifact):
        torch.export.save(torch.export.export(model, example, dynamic_shapes=shapes), file)


# The file of each form, and what writes it from the artifact, or from its graph in ONNX.
FORMS: dict[str, tuple[str, Callable[[Artifact, Any, Path], None]]] = {
    "onnx": (ONNX, _onnx),
    "onnx-int8": (INT8, _int8),
    "onnx-fp16": (FP16, _fp16),
    "torch-export": (EXPORTED, _torch_export),
}
