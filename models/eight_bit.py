"""Convolutions in eight bits: half the memory traffic and twice the arithmetic of bfloat16 on CPUs.

Weights are rounded to 7 bits by output channel, inputs to 8 bits each, as runtimes know it from
ONNX' QuantizeLinear and DequantizeLinear (Jacob et al., arXiv 1712.05877). How far the values of an
input reach is measured once, after training, and belongs to the weights. Depthwise convolutions
stay as they are: memory bounds them, and runtimes have nothing faster for them.
"""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, checker, helper, numpy_helper

_OUTPUT_AXES = {"Conv": 0, "ConvTranspose": 1}  # of a convolution's weight
# x86 chips without VNNI add products in pairs, in 16 bits that saturate: 2 · 255 · 64 just fits.
_LARGEST_WEIGHT = 64


def rounded(model: ModelProto, reaches: Mapping[str, float]) -> ModelProto:
    """The same network with convolutions in eight bits; `model` itself is changed.

    Args:
        model: float32 ONNX network.
        reaches: name of a convolution's weight → largest magnitude of its input; beyond is clipped.
    """
    graph = model.graph
    weights = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    positive: set[str] = set()
    inputs: dict[str, str] = {}
    nodes: list[NodeProto] = []
    for node in graph.node:
        # Pixels are cast from uint8; a sum of what is never negative never is.
        whole = node.op_type == "Add" and positive.issuperset(node.input)
        if node.op_type in ("Relu", "Cast") or whole:
            positive.update(node.output)
        if node.op_type in _OUTPUT_AXES and node.input[1] in reaches:
            entry, weight = node.input[:2]
            if entry not in inputs:
                inputs[entry] = f"{entry}_rounded"
                levels = np.uint8 if entry in positive else np.int8
                scale = np.float32(reaches[weight] / np.iinfo(levels).max)
                nodes.extend(_rounding(graph, entry, scale, np.zeros((), levels)))
            nodes.append(_weight(graph, weight, weights[weight], _OUTPUT_AXES[node.op_type]))
            node.input[0], node.input[1] = inputs[entry], f"{weight}_rounded"
        nodes.append(node)
    _replace(graph, nodes)
    checker.check_model(model)
    return model


def _rounding(
    graph: GraphProto, entry: str, scale: np.float32, zero: NDArray[np.generic]
) -> Iterator[NodeProto]:
    names = [f"{entry}_scale", f"{entry}_zero"]
    values = np.asarray(scale), zero
    graph.initializer.extend(map(numpy_helper.from_array, values, names))
    yield helper.make_node("QuantizeLinear", [entry, *names], [f"{entry}_levels"])
    yield helper.make_node("DequantizeLinear", [f"{entry}_levels", *names], [f"{entry}_rounded"])


def _weight(graph: GraphProto, name: str, values: NDArray[np.float32], axis: int) -> NodeProto:
    others = tuple(i for i in range(values.ndim) if i != axis)
    largest = np.abs(values).max(others, keepdims=True)
    scale = np.maximum(largest / np.float32(_LARGEST_WEIGHT), 1e-12)
    levels = (values / scale).round().astype(np.int8)
    names = [f"{name}_levels", f"{name}_scale"]
    parts = levels, scale.ravel().astype(np.float32)
    graph.initializer.extend(map(numpy_helper.from_array, parts, names))
    return helper.make_node("DequantizeLinear", names, [f"{name}_rounded"], axis=axis)


def _replace(graph: GraphProto, nodes: list[NodeProto]) -> None:
    """Give the graph these nodes, and forget the weights that none of them uses."""
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    kept = [one for one in graph.initializer if one.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
