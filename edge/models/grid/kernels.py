"""Compiled loops of the grid detectors: rows of faces out of the models' tensors.

- A row is left, top, right, bottom, score, and five points; float32 throughout, so that the
  results equal those of the same arithmetic in NumPy.
- Values that aren't numbers make no row.
- Each has a plain twin below it that its test compares it with.
"""

import numba
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

ROW = 15


@numba.njit(cache=True, nogil=True)
def decode_scrfd(
    scores: Floats, boxes: Floats, points: Floats, stride: int, columns: int, anchors: int,
    score_min: float, scale: float, rows: Floats, count: int,
) -> int:
    """Add the faces of one stride: distances from a cell's corner, in strides.

    Args:
        scores: (n,); cells row by row, `anchors` of them at each place.
        boxes: (n, 4), distances to left, top, right and bottom.
        points: (n, 10), or (0, 10) where the model has none.
        stride: Pixels of the model's input a cell.
        columns: Cells in a row.
        anchors: Entries a cell.
        score_min: Smaller scores are no faces.
        scale: Pixels of the model's input a pixel of the picture.
        rows: (m, 15), filled from `count` on; what has no room is left out.
        count: Rows filled before.

    Returns:
        Rows filled after.
    """
    step, low, ratio = np.float32(stride), np.float32(score_min), np.float32(scale)
    with_points = points.shape[0] > 0
    for i in range(scores.shape[0]):
        if not scores[i] >= low or count >= rows.shape[0]:
            continue
        cell = i // anchors
        x = np.float32((cell % columns) * stride)
        y = np.float32((cell // columns) * stride)
        row = rows[count]
        row[0] = (x - boxes[i, 0] * step) / ratio
        row[1] = (y - boxes[i, 1] * step) / ratio
        row[2] = (x + boxes[i, 2] * step) / ratio
        row[3] = (y + boxes[i, 3] * step) / ratio
        row[4] = scores[i]
        for p in range(5):
            if with_points:
                row[5 + 2 * p] = (x + points[i, 2 * p] * step) / ratio
                row[6 + 2 * p] = (y + points[i, 2 * p + 1] * step) / ratio
            else:
                row[5 + 2 * p] = row[6 + 2 * p] = np.float32(0.0)
        if np.isfinite(row).all():
            count += 1
    return count


def decode_scrfd_plain(
    scores: Floats, boxes: Floats, points: Floats, stride: int, columns: int, anchors: int,
    score_min: float, scale: float,
) -> Floats:
    """Do the same with arrays; gives the rows of one stride."""
    cell = np.arange(len(scores)) // anchors
    corner = np.stack([cell % columns, cell // columns], axis=1).astype(np.float32) * stride
    found = np.hstack([
        (corner - boxes[:, :2] * stride) / scale, (corner + boxes[:, 2:] * stride) / scale,
        scores[:, None],
        (np.tile(corner, 5) + points * stride) / scale if len(points)
        else np.zeros((len(scores), 10), np.float32),
    ]).astype(np.float32)
    return found[(scores >= score_min) & np.isfinite(found).all(axis=1)]


@numba.njit(cache=True, nogil=True)
def decode_yunet(
    classes: Floats, objects: Floats, boxes: Floats, points: Floats, stride: int, columns: int,
    score_min: float, scale: float, rows: Floats, count: int,
) -> int:
    """Add the faces of one stride: offsets from a cell in strides, sizes as logarithms.

    Args:
        classes, objects: (n,); the score is the root of their product, each held in 0 to 1.
        boxes: (n, 4), offset of the middle and logarithm of the size.
        points: (n, 10), offsets.
        stride, columns, score_min, scale, rows, count: As for `decode_scrfd`.

    Returns:
        Rows filled after.
    """
    step, ratio = np.float32(stride), np.float32(scale)
    low = np.float32(score_min)
    one, none = np.float32(1.0), np.float32(0.0)
    for i in range(classes.shape[0]):
        score = np.sqrt(min(max(classes[i], none), one) * min(max(objects[i], none), one))
        if not score >= low or count >= rows.shape[0]:
            continue
        x, y = np.float32(i % columns), np.float32(i // columns)
        half_wide = np.exp(boxes[i, 2]) * step / np.float32(2.0)
        half_tall = np.exp(boxes[i, 3]) * step / np.float32(2.0)
        middle_x, middle_y = (x + boxes[i, 0]) * step, (y + boxes[i, 1]) * step
        row = rows[count]
        row[0], row[1] = (middle_x - half_wide) / ratio, (middle_y - half_tall) / ratio
        row[2], row[3] = (middle_x + half_wide) / ratio, (middle_y + half_tall) / ratio
        row[4] = score
        for p in range(5):
            row[5 + 2 * p] = (x + points[i, 2 * p]) * step / ratio
            row[6 + 2 * p] = (y + points[i, 2 * p + 1]) * step / ratio
        if np.isfinite(row).all():
            count += 1
    return count


def decode_yunet_plain(
    classes: Floats, objects: Floats, boxes: Floats, points: Floats, stride: int, columns: int,
    score_min: float, scale: float,
) -> Floats:
    """Do the same with arrays; gives the rows of one stride."""
    scores = np.sqrt(np.clip(classes, 0, 1) * np.clip(objects, 0, 1))
    cell = np.arange(len(scores))
    corner = np.stack([cell % columns, cell // columns], axis=1).astype(np.float32)
    middle = (corner + boxes[:, :2]) * stride
    half = np.exp(boxes[:, 2:]) * stride / 2
    found = np.hstack([
        (middle - half) / scale, (middle + half) / scale, scores[:, None],
        (np.tile(corner, 5) + points) * stride / scale,
    ]).astype(np.float32)
    return found[(scores >= score_min) & np.isfinite(found).all(axis=1)]


@numba.njit(cache=True, nogil=True)
def suppress_overlap(rows: Floats, overlap_max: float, grown: float) -> npt.NDArray[np.int64]:
    """Keep the best of overlapping boxes; overlap is intersection over union.

    Args:
        rows: (n, ≥ 4): left, top, right, bottom, best first.
        overlap_max: Larger overlap with a kept box drops a box.
        grown: Added to every width and height (1 where edges are inclusive pixels).

    Returns:
        Indices kept, ascending.
    """
    more, none, most = np.float32(grown), np.float32(0.0), np.float32(overlap_max)
    areas = (rows[:, 2] - rows[:, 0] + more) * (rows[:, 3] - rows[:, 1] + more)
    kept = np.empty(rows.shape[0], np.int64)
    count = 0
    for i in range(rows.shape[0]):
        free = True
        for k in range(count):
            j = kept[k]
            wide = min(rows[i, 2], rows[j, 2]) - max(rows[i, 0], rows[j, 0]) + more
            tall = min(rows[i, 3], rows[j, 3]) - max(rows[i, 1], rows[j, 1]) + more
            inside = max(none, wide) * max(none, tall)
            if not inside / (areas[j] + areas[i] - inside) <= most:
                free = False
                break
        if free:
            kept[count] = i
            count += 1
    return kept[:count].copy()


def suppress_overlap_plain(
    rows: Floats, overlap_max: float, grown: float
) -> npt.NDArray[np.int64]:
    """Do the same with arrays."""
    kept: list[int] = []
    left, top, right, bottom = rows[:, :4].T
    areas = (right - left + grown) * (bottom - top + grown)
    waiting = np.arange(len(rows))
    while len(waiting):
        best, rest = waiting[0], waiting[1:]
        kept.append(int(best))
        wide = np.minimum(right[best], right[rest]) - np.maximum(left[best], left[rest]) + grown
        tall = np.minimum(bottom[best], bottom[rest]) - np.maximum(top[best], top[rest]) + grown
        inside = np.clip(wide, 0, None) * np.clip(tall, 0, None)
        waiting = rest[inside / (areas[best] + areas[rest] - inside) <= overlap_max]
    return np.array(kept, np.int64)
