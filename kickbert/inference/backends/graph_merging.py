"""Merge exported ONNX graphs of several models into one, in which everything that they have in common runs once.

graphs of the models → constants with the same content, nodes with the same inputs → one graph, one output

Equal encoders give equal nodes (int8 scales follow from the weights), so that only the heads remain several. Each
output is computed by the same nodes as in its own graph.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kickbert.models.artifact.json_checks import ArtifactError
from kickbert.utils.extras import require

OUTPUT = "probabilities"


def merge_graphs(files: Iterable[Path]) -> bytes:
    """Merge graphs whose outputs have the shape (rows, outputs); the outputs of the merged graph are side by side.

    This is value numbering (Cocke and Schwartz 1970): one node for each operation on the same values.

    Args:
        files: ONNX files with the same inputs, at least one.
    Returns:
        A serialized `onnx.ModelProto`.
    Raises:
        ArtifactError: the files have different inputs or versions of operators, or a graph within a node.
    """
    require("onnx", extra="export")
    import onnx

    merged = _Merged()
    for file in files:  # one at a time, so that memory holds one copy of the encoder and a file
        merged.add(onnx.load(file), file)
    result: bytes = merged.model().SerializeToString()
    return result


class _Merged:
    """The nodes and constants of the new graph; equal ones are kept once."""

    def __init__(self) -> None:
        self.empty: Any = None  # the first model without its graph's content
        self.constants: dict[str, Any] = {}
        self.nodes: list[Any] = []
        self.outputs: list[str] = []
        self._known: dict[tuple[Any, ...], list[str]] = {}  # names of a node's outputs, by its content

    def add(self, model: Any, file: Path) -> None:
        """Add a graph, an `onnx.ModelProto`."""
        from onnx import helper

        if self.empty is None:
            graph = helper.make_graph([], "joint", model.graph.input, [])
            self.empty = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
        if _interface(model) != _interface(self.empty):
            raise ArtifactError(
                f"{file} has other inputs or operators than the graph of the first model, so another version wrote it. "
                "Export all models again with the installed versions"
            )
        names = {value.name: value.name for value in model.graph.input} | {"": ""}
        for tensor in model.graph.initializer:
            names[tensor.name] = self._constant(tensor)
        for node in model.graph.node:
            if any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute):
                raise ArtifactError(f"{file} has a graph within a node, which cannot be merged. Use backend='torch'")
            outputs = self._node(node, [names[name] for name in node.input])
            names.update(zip(node.output, outputs, strict=True))
        self.outputs.append(names[model.graph.output[0].name])

    def _constant(self, tensor: Any) -> str:
        """Add a constant unless it is known; return its name, which follows from its content."""
        from onnx import numpy_helper

        values = numpy_helper.to_array(tensor)
        kind = f"{tensor.data_type} {tuple(tensor.dims)} ".encode()
        name = f"constant_{hashlib.blake2b(kind + values.tobytes(), digest_size=16).hexdigest()}"
        if name not in self.constants:
            self.constants[name] = type(tensor)()
            self.constants[name].CopyFrom(tensor)  # a reference would keep its whole file in memory
            self.constants[name].name = name
        return name

    def _node(self, node: Any, inputs: list[str]) -> list[str]:
        """Add a node unless it is known; return the names of its outputs."""
        attributes = sorted(attribute.SerializeToString(deterministic=True) for attribute in node.attribute)
        key = (node.domain, node.op_type, tuple(inputs), tuple(attributes), len(node.output))
        if key not in self._known:
            number = len(self.nodes)
            self._known[key] = [f"value_{number}_{i}" if name else "" for i, name in enumerate(node.output)]
            new = type(node)(
                name=f"node_{number}",
                op_type=node.op_type,
                domain=node.domain,
                input=inputs,
                output=self._known[key],
                attribute=node.attribute,
            )
            self.nodes.append(new)
        return self._known[key]

    def model(self) -> Any:
        """Complete the merged `onnx.ModelProto`."""
        from onnx import helper

        graph = self.empty.graph
        graph.node.extend([*self.nodes, helper.make_node("Concat", self.outputs, [OUTPUT], axis=1)])
        graph.initializer.extend(self.constants.values())
        graph.output.append(helper.make_tensor_value_info(OUTPUT, 1, ["rows", "outputs"]))
        return self.empty


def _interface(model: Any) -> tuple[list[str], list[tuple[str, int]]]:
    """The inputs of a graph, and the versions of its operators."""
    return [value.name for value in model.graph.input], sorted((o.domain, o.version) for o in model.opset_import)
