"""Compiled loops of the face path; arrays and scalars in, arrays out.

- Cached on disk; each has a plain twin below it that its test compares it with.
"""

import cv2
import numba
import numpy as np
import numpy.typing as npt

Grey = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]


@numba.njit(cache=True, nogil=True)
def _similarity(initial: Floats, current: Floats) -> tuple[float, float]:
    """Give the linear part of the similarity initial → current, by least squares."""
    points = initial.shape[0] // 2
    mean_x = mean_y = now_x = now_y = 0.0
    for p in range(points):
        mean_x += initial[2 * p] / points
        mean_y += initial[2 * p + 1] / points
        now_x += current[2 * p] / points
        now_y += current[2 * p + 1] / points
    dot = cross = norm = 0.0
    for p in range(points):
        fx, fy = initial[2 * p] - mean_x, initial[2 * p + 1] - mean_y
        tx, ty = current[2 * p] - now_x, current[2 * p + 1] - now_y
        dot += fx * tx + fy * ty
        cross += fx * ty - fy * tx
        norm += fx * fx + fy * fy
    return dot / norm, cross / norm


@numba.njit(cache=True, nogil=True)
def _fill_features(
    rgb: Grey, left: float, top: float, wide: float, tall: float, a: float, b: float,
    current: Floats, anchors: Ints, deltas: Floats, features: Ints,
) -> None:
    """Look up the grey of every feature pixel; outside the picture it is 0."""
    height, width = rgb.shape[0], rgb.shape[1]
    for f in range(features.shape[0]):
        dx, dy = deltas[f, 0], deltas[f, 1]
        x = a * dx - b * dy + current[2 * anchors[f]]
        y = b * dx + a * dy + current[2 * anchors[f] + 1]
        column = int(np.floor(left + x * wide + 0.5))
        row = int(np.floor(top + y * tall + 0.5))
        value = np.int32(0)
        if 0 <= column < width and 0 <= row < height:
            value = (
                np.int32(rgb[row, column, 0])
                + np.int32(rgb[row, column, 1])
                + np.int32(rgb[row, column, 2])
            ) // 3
        features[f] = value


@numba.njit(cache=True, fastmath=False, nogil=True)
def predict_shape(
    rgb: Grey, left: float, top: float, right: float, bottom: float,
    initial: Floats, splits: Ints, thresholds: Floats, leaves: Floats,
    anchors: Ints, deltas: Floats,
) -> Floats:
    """Walk the cascades of a shape predictor over one face.

    Args:
        rgb: uint8, shape (height, width, 3); its grey is (r + g + b) // 3.
        left, top, right, bottom: The face's rectangle, inclusive, in pixels.
        initial: Mean shape, (2p,), in the rectangle's unit square.
        splits, thresholds, leaves, anchors, deltas: As `read_shape_predictor` gives them.

    Returns:
        float32, shape (p, 2), in pixels.
    """
    points = initial.shape[0] // 2
    current = initial.copy()
    features = np.zeros(anchors.shape[1], np.int32)
    for cascade in range(splits.shape[0]):
        a, b = _similarity(initial, current)
        _fill_features(
            rgb, left, top, right - left, bottom - top, a, b, current, anchors[cascade],
            deltas[cascade], features,
        )
        for tree in range(splits.shape[1]):
            node = 0
            while node < splits.shape[2]:
                one = features[splits[cascade, tree, node, 0]]
                other = features[splits[cascade, tree, node, 1]]
                if np.float32(one - other) > thresholds[cascade, tree, node]:
                    node = 2 * node + 1
                else:
                    node = 2 * node + 2
            leaf = node - splits.shape[2]
            for i in range(current.shape[0]):
                current[i] += leaves[cascade, tree, leaf, i]
    shape = np.empty((points, 2), np.float32)
    for p in range(points):
        shape[p, 0] = left + current[2 * p] * (right - left)
        shape[p, 1] = top + current[2 * p + 1] * (bottom - top)
    return shape


def predict_shape_plain(
    rgb: Grey, left: float, top: float, right: float, bottom: float,
    initial: Floats, splits: Ints, thresholds: Floats, leaves: Floats,
    anchors: Ints, deltas: Floats,
) -> Floats:
    """Do the same with arrays."""
    grey = np.pad(rgb.astype(np.int32).sum(axis=2) // 3, 1)
    mean = initial.reshape(-1, 2).astype(np.float64)
    current = mean.copy()
    size = np.array([right - left, bottom - top])
    corner = np.array([left, top])
    for cascade in range(splits.shape[0]):
        f, t = mean - mean.mean(axis=0), current - current.mean(axis=0)
        a = (f * t).sum() / (f * f).sum()
        b = (f[:, 0] * t[:, 1] - f[:, 1] * t[:, 0]).sum() / (f * f).sum()
        at = deltas[cascade] @ np.array([[a, b], [-b, a]]) + current[anchors[cascade]]
        pixel = np.floor(corner + at * size + 0.5).astype(int)
        column = np.clip(pixel[:, 0], -1, rgb.shape[1]) + 1
        row = np.clip(pixel[:, 1], -1, rgb.shape[0]) + 1
        features = grey[row, column]
        node = np.zeros(splits.shape[1], np.int64)
        trees = np.arange(splits.shape[1])
        while node[0] < splits.shape[2]:
            pair = splits[cascade, trees, node]
            difference = (features[pair[:, 0]] - features[pair[:, 1]]).astype(np.float32)
            node = 2 * node + np.where(difference > thresholds[cascade, trees, node], 1, 2)
        current += leaves[cascade, trees, node - splits.shape[2]].sum(axis=0).reshape(-1, 2)
    return np.asarray(corner + current * size, np.float32)


@numba.njit(cache=True, nogil=True)
def suppress(boxes: Floats, overlap_max: float) -> npt.NDArray[np.int64]:
    """Keep the best of overlapping boxes; overlap is intersection over the bounding union.

    Args:
        boxes: float32, shape (n, 4): left, top, right, bottom, best first.
        overlap_max: Larger overlap with a kept box drops a box.

    Returns:
        Indices kept, ascending.
    """
    kept = np.empty(boxes.shape[0], np.int64)
    count = 0
    for i in range(boxes.shape[0]):
        free = True
        for k in range(count):
            j = kept[k]
            wide = min(boxes[i, 2], boxes[j, 2]) - max(boxes[i, 0], boxes[j, 0])
            tall = min(boxes[i, 3], boxes[j, 3]) - max(boxes[i, 1], boxes[j, 1])
            if wide <= 0.0 or tall <= 0.0:
                continue
            around = (max(boxes[i, 2], boxes[j, 2]) - min(boxes[i, 0], boxes[j, 0])) * (
                max(boxes[i, 3], boxes[j, 3]) - min(boxes[i, 1], boxes[j, 1])
            )
            if wide * tall > overlap_max * around:
                free = False
                break
        if free:
            kept[count] = i
            count += 1
    return kept[:count].copy()


def suppress_plain(boxes: Floats, overlap_max: float) -> npt.NDArray[np.int64]:
    """Do the same with arrays."""
    kept: list[int] = []
    for i, box in enumerate(boxes):
        others = boxes[kept]
        wide = np.minimum(box[2], others[:, 2]) - np.maximum(box[0], others[:, 0])
        tall = np.minimum(box[3], others[:, 3]) - np.maximum(box[1], others[:, 1])
        around = (np.maximum(box[2], others[:, 2]) - np.minimum(box[0], others[:, 0])) * (
            np.maximum(box[3], others[:, 3]) - np.minimum(box[1], others[:, 1])
        )
        inside = np.clip(wide, 0, None) * np.clip(tall, 0, None)
        if not np.any(inside > overlap_max * around):
            kept.append(i)
    return np.array(kept, np.int64)


def fill_planes(
    picture: Grey, planes: Floats, mean: float, gain: float, swap: bool, flip: bool
) -> None:
    """Write a picture as a model takes it: planes of (value − mean) × gain.

    Args:
        picture: uint8, shape (height, width, 3).
        planes: float32, shape (3, ≥ height, ≥ width), filled; what lies beyond is black.
        mean, gain: As said.
        swap: Whether the first and last channel change places.
        flip: Whether left and right change places.
    """
    channels = cv2.split(picture)  # apart, each is read in whole vectors
    for channel, plane in zip(channels[::-1] if swap else channels, planes, strict=True):
        _fill_plane(np.asarray(channel, np.uint8), plane, mean, gain, flip)


@numba.njit(cache=True, nogil=True)
def _fill_plane(channel: Grey, plane: Floats, mean: float, gain: float, flip: bool) -> None:
    height, width = channel.shape
    less, times = np.float32(mean), np.float32(gain)
    black = (np.float32(0.0) - less) * times
    for y in range(height):
        row, out = channel[y], plane[y]
        if flip:
            for x in range(width):
                out[x] = (np.float32(row[width - 1 - x]) - less) * times
        else:
            for x in range(width):
                out[x] = (np.float32(row[x]) - less) * times
        out[width:] = black
    plane[height:] = black


def fill_planes_plain(
    picture: Grey, planes: Floats, mean: float, gain: float, swap: bool, flip: bool
) -> None:
    """Do the same with arrays."""
    ordered = picture[:, ::-1] if flip else picture
    ordered = ordered[:, :, ::-1] if swap else ordered
    planes[:] = (np.float32(0) - np.float32(mean)) * np.float32(gain)
    planes[:, : picture.shape[0], : picture.shape[1]] = (
        (ordered.astype(np.float32) - np.float32(mean)) * np.float32(gain)
    ).transpose(2, 0, 1)


@numba.njit(cache=True, nogil=True)
def measure_light(grey: Grey, black: int, white: int) -> tuple[float, float, float, float, float]:
    """Measure how a picture is lit, and how sharp it is.

    Args:
        grey: uint8, shape (height, width), two pixels a side at least.
        black, white: Greys beyond which nothing is told apart.

    Returns:
        Mean, deviation, shares of pixels below `black` and above `white`, and the variance of
        the Laplacian, mirrored at the edges.
    """
    height, width = grey.shape
    total = squares = edges = edge_squares = dark = bright = 0
    for y in range(height):
        above = grey[y - 1] if y > 0 else grey[1]
        below = grey[y + 1] if y + 1 < height else grey[height - 2]
        row = grey[y]
        for x in range(width):
            value = int(row[x])
            left = int(row[x - 1]) if x > 0 else int(row[1])
            right = int(row[x + 1]) if x + 1 < width else int(row[width - 2])
            edge = left + right + int(above[x]) + int(below[x]) - 4 * value
            total += value
            squares += value * value
            edges += edge
            edge_squares += edge * edge
            dark += value < black
            bright += value > white
    count = height * width
    mean, slope = total / count, edges / count
    deviation = np.sqrt(max(0.0, squares / count - mean * mean))
    return mean, deviation, dark / count, bright / count, edge_squares / count - slope * slope


def measure_light_plain(
    grey: Grey, black: int, white: int
) -> tuple[float, float, float, float, float]:
    """Do the same with arrays."""
    around = np.pad(grey.astype(np.int64), 1, mode="reflect")
    edges = (around[:-2, 1:-1] + around[2:, 1:-1] + around[1:-1, :-2] + around[1:-1, 2:]
             - 4 * around[1:-1, 1:-1])
    return (float(grey.mean()), float(grey.std()), float((grey < black).mean()),
            float((grey > white).mean()), float(edges.var()))
