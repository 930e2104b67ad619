"""A model as a graph in a file: ONNX in fp32, int8 and fp16, torch.export. Pooling, head and softmax are in it."""

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
    """Write the whole model as one ONNX file, fp32, of any number of rows and tokens.

    Raises:
        ArtifactError: torch cannot export this architecture.
    """
    answering, given, shapes = _traced(artifact)
    with _quietly(artifact):
        torch.onnx.export(
            answering, given, file, dynamo=True, dynamic_shapes=tuple(shapes.values()), input_names=list(shapes),
            output_names=["probabilities"], opset_version=OPSET, external_data=False, verbose=False,
        )  # fmt: skip


def _traced(artifact: Artifact) -> tuple[ProbabilityModel, tuple, dict[str, dict]]:
    """The model, a small input, and which of its axes are of any size, by input."""
    model = load_classifier(artifact)
    # Written out, attention is a few plain products; torch's fused one exports as twice as many steps.
    model.encoder.body.set_attn_implementation("eager")
    answering = ProbabilityModel(model, artifact.metadata["task"], artifact.metadata["temperature"]).eval()
    given = example_input(artifact.token_encoder.long == "windows")
    rows, tokens, documents = (torch.export.Dim(name, min=1) for name in ("rows", "tokens", "documents"))
    axes = ({0: rows, 1: tokens}, {0: rows, 1: tokens}, {0: documents, 1: rows})
    return answering, given, dict(zip(INPUTS[: len(given)], axes, strict=False))


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
        kind, told = artifact.metadata["encoder"]["model_type"], (str(err) or "no reason").splitlines()[0]
        raise ArtifactError(
            f"torch {torch.__version__} cannot export this {kind} model ({type(err).__name__}: {told}); use "
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
    answering, given, shapes = _traced(artifact)
    with _quietly(artifact):
        torch.export.save(torch.export.export(answering, given, dynamic_shapes=shapes), file)


# Of each form the file, and what writes it from the artifact, or from its graph in ONNX.
FORMS: dict[str, tuple[str, Callable[[Artifact, Any, Path], None]]] = {
    "onnx": (ONNX, _onnx),
    "onnx-int8": (INT8, _int8),
    "onnx-fp16": (FP16, _fp16),
    "torch-export": (EXPORTED, _torch_export),
}
