"""Small ONNX files of every form: a white square is a face, features are fixed projections.

- The detectors are real graphs of any size: what they see depends on the picture given.
- `arcface_of_dlib` wraps the default pack's network, so that a real one runs in ArcFace's form.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = [helper.make_opsetid("", 17)]
FACE_PX = 64
"""Side of the white square that the detectors take for a face, in pixels of their input."""
POINTS = np.array([[-1.5, -1.0], [1.5, -1.0], [0.0, 0.5], [-1.0, 2.0], [1.0, 2.0]], np.float32)
"""Five points in strides of 8 from the face's middle."""


def _save(path: Path, nodes, inputs, outputs, weights, opset=OPSET) -> Path:
    graph = helper.make_graph(nodes, "form", inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=opset, ir_version=10)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def _constant(name, values, kind=np.float32):
    return numpy_helper.from_array(np.asarray(values, kind), name)


def _brightness(stride: int, low: float, high: float) -> list:
    """Give nodes that turn planes into one score a cell: 1 where a white square's middle is."""
    pad = (FACE_PX - stride) // 2
    return [
        helper.make_node("AveragePool", ["planes"], [f"pool{stride}"], kernel_shape=[FACE_PX] * 2,
                         strides=[stride] * 2, pads=[pad] * 4, count_include_pad=1),
        helper.make_node("ReduceMean", [f"pool{stride}"], [f"grey{stride}"], axes=[1], keepdims=1),
        helper.make_node("Sub", [f"grey{stride}", "low"], [f"above{stride}"]),
        helper.make_node("Div", [f"above{stride}", "range"], [f"score{stride}"]),
        helper.make_node("Reshape", [f"score{stride}", "column"], [f"cells{stride}"]),
    ], [_constant("low", [low]), _constant("range", [high - low]),
        _constant("column", [1, -1, 1], np.int64)]


def _fixed_row(stride: int, part: str, values, repeats: int) -> list:
    """Give nodes that repeat one row for every cell."""
    width = len(values)
    return [
        helper.make_node("Concat", [f"cells{stride}"] * width, [f"{part}{stride}wide"], axis=2),
        helper.make_node("Mul", [f"{part}{stride}wide", "nothing"], [f"{part}{stride}zero"]),
        helper.make_node("Add", [f"{part}{stride}zero", f"{part}{stride}row"],
                         [f"{part}{stride}one"]),
        helper.make_node("Tile", [f"{part}{stride}one", f"times{repeats}"],
                         [f"{part}{stride}all"]),
    ], [_constant(f"{part}{stride}row", [[values]])]


def scrfd(path: Path, *, batched: bool = True, points: bool = True, side: int | None = None,
          nan: bool = False, anchors: int = 2) -> Path:
    """Write SCRFD's form: scores, boxes and points of three strides, two entries a cell."""
    nodes, weights, outputs = [], {}, {}
    for stride in (8, 16, 32):
        parts, more = _brightness(stride, 0.0, 1.0)
        nodes += parts
        half = FACE_PX / 2 / stride
        middle = (stride / 2) / stride  # from a cell's corner to its middle
        rows = {
            "box": [half - middle, half - middle, half + middle, half + middle],
            "kps": (POINTS * 8 / stride + middle).ravel().tolist(),
        }
        if nan:
            rows["box"][0] = float("nan")
        for part, values in rows.items():
            made, row = _fixed_row(stride, part, values, anchors)
            nodes += made
            more += row
        # Each cell's score twice in turn, as two anchors.
        nodes.append(helper.make_node("Concat", [f"cells{stride}"] * anchors, [f"two{stride}"],
                                      axis=2))
        nodes.append(helper.make_node("Reshape", [f"two{stride}", "column"], [f"scores{stride}"]))
        weights |= {item.name: item for item in more}
        for order, part in enumerate(["scores", "boxall", "kpsall"][: 3 if points else 2]):
            name = {"scores": f"scores{stride}", "boxall": f"box{stride}all",
                    "kpsall": f"kps{stride}all"}[part]
            outputs[order, stride] = (name, (1, 4, 10)[order])
    extra = [_constant("nothing", [0.0]), _constant(f"times{anchors}", [1, anchors, 1], np.int64)]
    names = []
    for key in sorted(outputs):
        name, width = outputs[key]
        if batched:
            names.append((name, [1, None, width]))
        else:
            nodes.append(helper.make_node("Squeeze", [name, "first"], [f"{name}flat"]))
            names.append((f"{name}flat", [None, width]))
    if not batched:
        extra.append(_constant("first", [0], np.int64))
    return _save(
        path, nodes,
        [helper.make_tensor_value_info("planes", TensorProto.FLOAT, [1, 3, side, side])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in names],
        [*weights.values(), *extra],
    )


def yunet(path: Path, *, side: int | None = None) -> Path:
    """Write YuNet's form: twelve tensors by name."""
    nodes, weights, names = [], {}, []
    for stride in (8, 16, 32):
        parts, more = _brightness(stride, 0.0, 255.0)
        nodes += parts
        rows = {"bbox": [0.5, 0.5, *[float(np.log(FACE_PX / stride))] * 2],
                "kps": (POINTS * 8 / stride + 0.5).ravel().tolist()}
        for part, values in rows.items():
            made, row = _fixed_row(stride, part, values, 1)
            nodes += made
            more += row
        weights |= {item.name: item for item in more}
        for name, source, width in (
            ("cls", f"cells{stride}", 1), ("obj", f"cells{stride}", 1),
            ("bbox", f"bbox{stride}all", 4), ("kps", f"kps{stride}all", 10),
        ):
            nodes.append(helper.make_node("Identity", [source], [f"{name}_{stride}"]))
            names.append((f"{name}_{stride}", [1, None, width]))
    return _save(
        path, nodes,
        [helper.make_tensor_value_info("planes", TensorProto.FLOAT, [1, 3, side, side])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in names],
        [*weights.values(), _constant("nothing", [0.0]),
         _constant("times1", [1, 1, 1], np.int64)],
    )


def arcface(path: Path, *, dimensions: int = 512, batch: int | None = None,
            nan: bool = False, side: int = 112) -> Path:
    """Write ArcFace's form: a fixed projection of a coarse picture."""
    rng = np.random.default_rng(7)
    matrix = rng.normal(0, 0.1, (3 * (side // 8) ** 2, dimensions)).astype(np.float32)
    if nan:
        matrix[0, 0] = np.nan
    nodes = [
        helper.make_node("AveragePool", ["planes"], ["coarse"], kernel_shape=[8, 8],
                         strides=[8, 8]),
        helper.make_node("Flatten", ["coarse"], ["flat"]),
        helper.make_node("MatMul", ["flat", "matrix"], ["features"]),
    ]
    return _save(
        path, nodes,
        [helper.make_tensor_value_info("planes", TensorProto.FLOAT, [batch, 3, side, side])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [batch, dimensions])],
        [_constant("matrix", matrix)],
    )


def arcface_of_dlib(path: Path, embedder: Path) -> Path:
    """Wrap the default pack's network: ArcFace's chip is moved onto dlib's inside the graph."""
    inner = onnx.load(str(embedder))
    # The first two nodes mirror what is given: here the caller does.
    body = list(inner.graph.node)[2:]
    body[0].input[0] = "pixels"
    nodes = [
        helper.make_node("Mul", ["planes", "std"], ["spread"]),
        helper.make_node("Add", ["spread", "mean"], ["grey"]),
        helper.make_node("Resize", ["grey", "", "scales"], ["large"], mode="linear"),
        helper.make_node("Pad", ["large", "pads"], ["padded"], mode="edge"),
        helper.make_node("Slice", ["padded", "begin", "end", "axes"], ["cut"]),
        helper.make_node("Transpose", ["cut"], ["rows"], perm=[0, 2, 3, 1]),
        helper.make_node("Round", ["rows"], ["whole"]),
        helper.make_node("Clip", ["whole", "none", "most"], ["held"]),
        helper.make_node("Cast", ["held"], ["pixels"], to=TensorProto.UINT8),
        *body,
        helper.make_node("Identity", ["features"], ["embedding"]),
    ]
    weights = [
        _constant("std", [127.5]), _constant("mean", [127.5]),
        _constant("scales", [1, 1, 167 / 112, 167 / 112]),
        _constant("pads", [0, 0, 0, 0, 0, 0, 20, 0], np.int64),
        _constant("begin", [30, 9], np.int64), _constant("end", [180, 159], np.int64),
        _constant("axes", [2, 3], np.int64), _constant("none", np.float32(0)),
        _constant("most", np.float32(255)), *inner.graph.initializer,
    ]
    return _save(
        path, nodes,
        [helper.make_tensor_value_info("planes", TensorProto.FLOAT, ["n", 3, 112, 112])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", 128])], weights,
    )


def scrfd_of_yunet(path: Path, yunet_file: Path) -> Path:
    """Wrap a YuNet file: its tensors become SCRFD's inside the graph."""
    inner = onnx.load(str(yunet_file))
    given = inner.graph.input[0].name
    nodes = [
        helper.make_node("Mul", ["planes", "std"], ["spread"]),
        helper.make_node("Add", ["spread", "mean"], ["rgb"]),
        helper.make_node("Gather", ["rgb", "reversed"], [given], axis=1),
        *inner.graph.node,
    ]
    weights = [_constant("std", [128.0]), _constant("mean", [127.5]),
               _constant("reversed", [2, 1, 0], np.int64), _constant("half", [0.5]),
               _constant("nothing", [0.0]), *inner.graph.initializer]
    for name, rows in (("one", 1), ("four", 4), ("ten", 10)):
        weights.append(_constant(name, [1, -1, rows], np.int64))
    for index, (begin, end) in enumerate(((0, 2), (2, 4))):
        weights += [_constant(f"from{index}", [begin], np.int64),
                    _constant(f"to{index}", [end], np.int64)]
    weights.append(_constant("last", [2], np.int64))
    names = {}
    for stride in (8, 16, 32):
        nodes += [
            helper.make_node("Mul", [f"cls_{stride}", f"obj_{stride}"], [f"both{stride}"]),
            helper.make_node("Sqrt", [f"both{stride}"], [f"sure{stride}"]),
            # The second entry of each cell never fires.
            helper.make_node("Mul", [f"sure{stride}", "nothing"], [f"never{stride}"]),
            helper.make_node("Concat", [f"sure{stride}", f"never{stride}"], [f"two{stride}"],
                             axis=2),
            helper.make_node("Slice", [f"bbox_{stride}", "from0", "to0", "last"], [f"mid{stride}"]),
            helper.make_node("Slice", [f"bbox_{stride}", "from1", "to1", "last"], [f"log{stride}"]),
            helper.make_node("Exp", [f"log{stride}"], [f"size{stride}"]),
            helper.make_node("Mul", [f"size{stride}", "half"], [f"reach{stride}"]),
            helper.make_node("Sub", [f"reach{stride}", f"mid{stride}"], [f"before{stride}"]),
            helper.make_node("Add", [f"reach{stride}", f"mid{stride}"], [f"after{stride}"]),
            helper.make_node("Concat", [f"before{stride}", f"after{stride}"] * 2,
                             [f"boxes{stride}"], axis=2),
            helper.make_node("Concat", [f"kps_{stride}"] * 2, [f"points{stride}"], axis=2),
        ]
        for order, (part, shape) in enumerate((("two", "one"), ("boxes", "four"),
                                               ("points", "ten"))):
            names[order, stride] = f"{part}{stride}out"
            nodes.append(helper.make_node("Reshape", [f"{part}{stride}", shape],
                                          [names[order, stride]]))
    widths = (1, 4, 10)
    return _save(
        path, nodes,
        [helper.make_tensor_value_info("planes", TensorProto.FLOAT, [1, 3, "height", "width"])],
        [helper.make_tensor_value_info(names[key], TensorProto.FLOAT, [1, None, widths[key[0]]])
         for key in sorted(names)], weights, inner.opset_import,
    )
