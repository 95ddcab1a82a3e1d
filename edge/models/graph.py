"""Turns a network read from dlib's form into an ONNX graph.

- The graph takes uint8 pictures as cameras give them, (n, height, width, 3), RGB; casting
  and layout happen inside the runtime, where they are fastest.
- The input's mean and scale fold exactly into the first convolution, which has no padding;
  normalisations after a convolution fold into it.
- `add_prev` zero-pads both operands to the larger channels and spatial size, at the end.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge.errors import PackError
from edge.models.dlib_stream import Layer, Network

OPSET = 17
IR_VERSION = 10
_SCALE = 256.0
_INT64_MIN = -(2**63)

Weights = npt.NDArray[np.float32]


class _Shape:
    """Channels and side of a square value; side 0 = not known, never padded."""

    def __init__(self, channels: int, side: int) -> None:
        self.channels, self.side = channels, side

    def windowed(self, window: int, stride: int, padding: int) -> int:
        """Give the side after a window has gone over it; 0 if not known."""
        return (self.side + 2 * padding - window) // stride + 1 if self.side else 0


class _Builder:
    """Collects nodes while walking outwards."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._count = 0

    def node(
        self, kind: str, inputs: Sequence[str], **attributes: int | list[int]
    ) -> str:
        """Add a node and give the name of its output."""
        self._count += 1
        name = f"v{self._count}"
        node = helper.make_node(kind, list(inputs), [name], name=name)
        node.attribute.extend(
            helper.make_attribute(key, item) for key, item in attributes.items()
        )
        self.nodes.append(node)
        return name

    def constant(self, value: npt.NDArray[np.generic]) -> str:
        """Add weights and give their name."""
        name = f"c{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(value, name))
        return name


def build_graph(network: Network, *, side: int = 0, mirror: bool = False) -> bytes:
    """Build a graph and check it.

    Args:
        network: Read from dlib's form.
        side: Fixed input side in pixels; 0 = any size.
        mirror: Whether each picture's mirror image is embedded too; the mirrors' outputs
            follow the pictures'.

    Returns:
        A serialised ONNX model: input `pixels`, output `features`.

    Raises:
        PackError: The network has a layer that has no place here.
    """
    build = _Builder()
    value = "pixels"
    if mirror:
        index = [build.constant(np.array([v], np.int64)) for v in (-1, _INT64_MIN + 1, 2, -1)]
        value = build.node("Concat", [value, build.node("Slice", [value, *index])], axis=0)
    value = build.node("Cast", [value], to=TensorProto.FLOAT)
    value = build.node("Transpose", [value], perm=[0, 3, 1, 2])
    _walk(build, network, value, _Shape(3, side))
    build.nodes[-1].output[0] = "features"
    size: list[int | str] = [side, side] if side else ["height", "width"]
    pixels = helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", *size, 3])
    shape: list[int | str] = ["m", "values"] if side else ["m", 1, "rows", "columns"]
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, shape)
    graph = helper.make_graph(build.nodes, "kanhe", [pixels], [features], build.weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)],
                              ir_version=IR_VERSION, producer_name="kanhe")
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


def graph_signature(data: bytes) -> str:
    """Give the SHA-256 of a model's nodes: kinds, names, connections, attributes; no weights."""
    try:
        nodes = onnx.load_from_string(data).graph.node
    except Exception as error:
        raise PackError("the embedder isn't a whole ONNX model") from error
    said = [
        (node.op_type, *node.input, ">", *node.output,
         *sorted(f"{item.name}={helper.get_attribute_value(item)}" for item in node.attribute))
        for node in nodes
    ]
    return hashlib.sha256(repr(said).encode()).hexdigest()


def _walk(build: _Builder, network: Network, value: str, shape: _Shape) -> None:
    tags: dict[str, tuple[str, _Shape]] = {}
    layers = network.layers
    skipped = False
    first = True
    for index, layer in enumerate(layers):
        if layer.kind == "con":
            weights, bias = _fold(layer, shape.channels, layers[index + 1 : index + 2])
            if first:
                mean = np.asarray(network.mean, np.float32) / _SCALE
                bias = bias - np.einsum("oihw,i->o", weights, mean)
                weights, first = weights / np.float32(_SCALE), False
            value, shape = _convolve(build, layer, value, shape, weights, bias)
        elif layer.kind == "relu":
            value = build.node("Relu", [value])
        elif layer.kind in ("max_pool", "avg_pool"):
            value, shape = _pool(build, layer, value, shape)
        elif layer.kind in ("tag1", "tag2"):
            tags[layer.kind] = (value, shape)
        elif layer.kind == "skip1":
            value, shape = tags["tag1"]
            skipped = True
        elif layer.kind == "add_prev":
            value, shape = _add(build, (value, shape), tags["tag2" if skipped else "tag1"])
            skipped = False
        elif layer.kind == "fc":
            assert layer.params is not None
            matrix = layer.params.reshape(-1, layer.numbers[0])
            flat = build.node("Flatten", [value], axis=1)
            value = build.node("MatMul", [flat, build.constant(matrix)])
        elif layer.kind not in ("affine", "bn"):
            raise PackError(f"a layer {layer.kind!r} has no place in the graph")


def _fold(layer: Layer, channels: int, following: Sequence[Layer]) -> tuple[Weights, Weights]:
    """Give a convolution's weights and bias with the normalisation after it folded in."""
    assert layer.params is not None
    filters, height, width = layer.numbers[:3]
    split = filters * channels * height * width
    weights = layer.params[:split].reshape(filters, channels, height, width)
    bias = layer.params[split : split + filters]
    if not following or following[0].kind not in ("affine", "bn"):
        return weights, bias
    params = following[0].params
    assert params is not None
    gain, shift = params[:filters], params[filters : 2 * filters]
    if following[0].kind == "bn":
        mean, variance = params[2 * filters : 3 * filters], params[3 * filters :]
        gain = gain / np.sqrt(variance + np.float32(following[0].eps))
        shift = shift - gain * mean
    return weights * gain[:, None, None, None], bias * gain + shift


def _convolve(
    build: _Builder, layer: Layer, value: str, shape: _Shape, weights: Weights, bias: Weights
) -> tuple[str, _Shape]:
    filters, height, width, stride_y, stride_x, pad_y, pad_x = layer.numbers
    value = build.node(
        "Conv",
        [value, *(build.constant(part.astype(np.float32)) for part in (weights, bias))],
        kernel_shape=[height, width], strides=[stride_y, stride_x],
        pads=[pad_y, pad_x, pad_y, pad_x],
    )
    return value, _Shape(filters, shape.windowed(height, stride_y, pad_y))


def _pool(build: _Builder, layer: Layer, value: str, shape: _Shape) -> tuple[str, _Shape]:
    height, width, stride_y, stride_x, pad_y, pad_x = layer.numbers
    if height == 0 and width == 0:
        return build.node("GlobalAveragePool", [value]), _Shape(shape.channels, 1)
    value = build.node(
        "MaxPool" if layer.kind == "max_pool" else "AveragePool", [value],
        kernel_shape=[height, width], strides=[stride_y, stride_x],
        pads=[pad_y, pad_x, pad_y, pad_x],
    )
    return value, _Shape(shape.channels, shape.windowed(height, stride_y, pad_y))


def _add(
    build: _Builder, one: tuple[str, _Shape], other: tuple[str, _Shape]
) -> tuple[str, _Shape]:
    channels = max(one[1].channels, other[1].channels)
    side = max(one[1].side, other[1].side)
    padded = []
    for value, shape in (one, other):
        if (shape.channels, shape.side) == (channels, side):
            padded.append(value)
            continue
        grow = side - shape.side
        pads = np.array([0, 0, 0, 0, 0, channels - shape.channels, grow, grow], np.int64)
        padded.append(build.node("Pad", [value, build.constant(pads)]))
    return build.node("Add", padded), _Shape(channels, side)
