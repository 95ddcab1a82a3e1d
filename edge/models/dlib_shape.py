"""Reads dlib's shape predictor (Kazemi & Sullivan 2014) into flat arrays.

- 15 cascades of 500 trees of depth 4 over 800 pixel features, five points.
- Splits and leaves become contiguous arrays, as the kernel walks them.
"""

import numpy as np
import numpy.typing as npt

from edge.errors import PackError
from edge.models.dlib_stream import Stream

POINTS = 5


def read_shape_predictor(data: bytes, name: str) -> dict[str, npt.NDArray[np.generic]]:
    """Read a five-point predictor.

    Returns:
        `initial` float32 (10,); `splits` int32 (cascades, trees, 15, 2); `thresholds` float32
        (cascades, trees, 15); `leaves` float32 (cascades, trees, 16, 10); `anchors` int32
        (cascades, features); `deltas` float32 (cascades, features, 2).

    Raises:
        PackError: It isn't of that form.
    """
    stream = Stream(data, name)
    try:
        if stream.int_() != 1:
            raise stream.fail("a shape predictor was expected")
        initial = stream.matrix()
        if len(initial) != 2 * POINTS:
            raise stream.fail("five points were expected")
        cascades = [
            [_read_tree(stream) for _ in range(stream.int_())] for _ in range(stream.int_())
        ]
        anchors = [
            [stream.int_() for _ in range(stream.int_())] for _ in range(stream.int_())
        ]
        deltas = [
            [stream.floats(2) for _ in range(stream.int_())] for _ in range(stream.int_())
        ]
        stream.end()
        return {
            "initial": np.array(initial, np.float32),
            "splits": np.array([[tree[0] for tree in trees] for trees in cascades], np.int32),
            "thresholds": np.array([[tree[1] for tree in trees] for trees in cascades], np.float32),
            "leaves": np.array([[tree[2] for tree in trees] for trees in cascades], np.float32),
            "anchors": np.array(anchors, np.int32),
            "deltas": np.array(deltas, np.float32),
        }
    except (IndexError, ValueError) as error:
        raise PackError(f"{name}: the file is cut off or damaged") from error


def _read_tree(
    stream: Stream,
) -> tuple[list[tuple[int, int]], list[float], list[list[float]]]:
    pairs, thresholds = [], []
    for _ in range(stream.int_()):
        pairs.append((stream.int_(), stream.int_()))
        thresholds.append(stream.float_())
    leaves = [stream.matrix() for _ in range(stream.int_())]
    return pairs, thresholds, leaves
