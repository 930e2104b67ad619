"""A network as an ONNX graph or a torch.export program: encoder, pooling, head and softmax; any rows and tokens."""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import torch

from kickbert.models.artifact.json_checks import ArtifactError
from kickbert.models.classifier import ProbabilityModel, example_input

OPSET = 20
INPUTS = ("input_ids", "attention_mask", "document_weights")


def prepare(model: ProbabilityModel) -> None:
    """Prepare a network for export: move it to the CPU and use unfused attention.

    Attention then exports as a few matrix products; PyTorch's fused attention exports as twice as many operations.
    """
    model.to("cpu")
    model.encoder.body.set_attn_implementation("eager")


def write_onnx(model: ProbabilityModel, windows: bool, file: Path) -> None:
    """Export a network to one ONNX file in fp32.

    Args:
        model: the network, after `prepare`.
        windows: whether it reads documents in windows.
        file: output file.
    Raises:
        ArtifactError: PyTorch cannot export this architecture.
    """
    example, shapes = example_and_shapes(model, windows)
    with quiet(model):
        torch.onnx.export(
            model,
            example,
            file,
            dynamo=True,
            dynamic_shapes=tuple(shapes.values()),
            input_names=list(shapes),
            output_names=["probabilities"],
            opset_version=OPSET,
            external_data=False,
            verbose=False,
        )


def write_torch_export(model: ProbabilityModel, windows: bool, file: Path) -> None:
    """Export a network as a program of torch.export; arguments and errors as for `write_onnx`."""
    example, shapes = example_and_shapes(model, windows)
    with quiet(model):
        torch.export.save(torch.export.export(model, example, dynamic_shapes=shapes), file)


def example_and_shapes(
    model: ProbabilityModel, windows: bool
) -> tuple[tuple[torch.Tensor, ...], dict[str, dict[int, Any]]]:
    """Return an example input, and the dynamic axes of each input by its name."""
    embeddings: Any = model.encoder.body.get_input_embeddings()
    example = example_input(windows, embeddings.num_embeddings)
    rows, tokens, documents = (torch.export.Dim(name, min=1) for name in ("rows", "tokens", "documents"))
    axes = ({0: rows, 1: tokens}, {0: rows, 1: tokens}, {0: documents, 1: rows})
    return example, dict(zip(INPUTS[: len(example)], axes, strict=False))


@contextmanager
def quiet(model: ProbabilityModel) -> Iterator[None]:
    """Silence exporters, and turn their errors into one sentence."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    except Exception as err:
        architecture = model.encoder.body.config.model_type
        reason = (str(err) or "no reason").splitlines()[0]
        raise ArtifactError(
            f"PyTorch {torch.__version__} cannot export this {architecture} model ({type(err).__name__}: {reason}). "
            "Use backend='torch'"
        ) from err
    finally:
        logging.disable(level)
