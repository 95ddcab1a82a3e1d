"""Bursts made of one picture: copies of it, and what a camera would see of a head that sways."""

import cv2
import numpy as np
import simplejpeg

FRAMES = 5


def jpeg(picture, quality=88) -> bytes:
    return simplejpeg.encode_jpeg(np.ascontiguousarray(picture), quality)


def scaled(picture, share):
    method = cv2.INTER_AREA if share < 1 else cv2.INTER_CUBIC
    return cv2.resize(picture, None, fx=share, fy=share, interpolation=method)


def relit(picture, gain, offset):
    return np.clip(picture.astype(np.float32) * gain + offset, 0, 255).astype(np.uint8)


def as_png(picture) -> bytes:
    return cv2.imencode(".png", picture[..., ::-1])[1].tobytes()


def as_webp(picture) -> bytes:
    return cv2.imencode(".webp", picture[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, 85])[1].tobytes()


COPIES = {
    "same bytes": lambda p: [jpeg(p)] * FRAMES,
    "two of the same bytes": lambda p: [jpeg(p)] * 2,
    "same pixels": lambda p: [as_png(p), cv2.imencode(
        ".png", p[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes()],
    "recompressed": lambda p: [jpeg(p, quality) for quality in (95, 88, 80, 70, 60)],
    "other formats": lambda p: [as_png(p), as_webp(p), jpeg(p)],
    "rescaled": lambda p: [jpeg(scaled(p, share)) for share in (1, 0.95, 0.9, 1.1, 1.05)],
    "relit": lambda p: [jpeg(relit(p, *how)) for how in ((1, 0), (0.95, 4), (1.05, -4))],
}
"""Ways in which one picture is sent several times."""


def swaying(picture, points, *, sway=0.03, noise=3.0, seed=0, frames=FRAMES) -> list[bytes]:
    """Give frames of a head that sways: shift, lean, distance and stretch, and a sensor's noise.

    Args:
        picture: RGB uint8.
        points: Of the face; their span gives the distance between the eyes (dlib5).
        sway: Deviation of the shift in distances between the eyes; 0.03 is 2 mm.
    """
    rng = np.random.default_rng(seed)
    eyes = np.hypot(*(points[:2].mean(axis=0) - points[2:4].mean(axis=0)))
    middle = points.mean(axis=0)
    made = []
    for _ in range(frames):
        lean, near = rng.normal(0, sway / 4), 1 + rng.normal(0, sway / 4)
        matrix = near * np.array([[np.cos(lean), -np.sin(lean)], [np.sin(lean), np.cos(lean)]])
        matrix = matrix @ np.diag(1 + rng.normal(0, sway / 6, 2))
        shift = middle + rng.normal(0, sway * eyes, 2) - matrix @ middle
        moved = cv2.warpAffine(picture, np.hstack([matrix, shift[:, None]]),
                               picture.shape[1::-1], flags=cv2.INTER_CUBIC,
                               borderMode=cv2.BORDER_REFLECT)
        seen = moved.astype(np.float32) + rng.normal(0, noise, moved.shape)
        made.append(jpeg(np.clip(seen, 0, 255).astype(np.uint8)))
    return made


def moved(picture, points, *, yaw_deg=0.0, pitch_deg=0.0, nearer=1.0):
    """Give what a camera sees of a head that turned to its own left, looked up, came nearer.

    The picture is laid over a head of average depth: a bowl for the face, a hill for the nose.

    Args:
        picture: RGB uint8 of a face that looks at the camera.
        points: Of the face (dlib5).
    """
    right, left, nose = points[:2].mean(axis=0), points[2:4].mean(axis=0), points[4]
    eyes, middle = float(np.hypot(*(right - left))), (right + left) / 2
    height, width = picture.shape[:2]
    x, y = np.meshgrid((np.arange(width) - middle[0]) / eyes,
                       (np.arange(height) - middle[1]) / eyes)
    x, y, yaw, pitch = x / nearer, y / nearer, np.deg2rad(yaw_deg), np.deg2rad(pitch_deg)
    across, down = (nose - middle) / eyes

    def depth(x, y):
        """Towards the camera, in distances between the eyes; nought from the ears on."""
        bowl = 0.9 * np.exp(-(x**2 + (0.7 * (y - 0.5)) ** 2))
        hill = 0.3 * np.exp(-(((x - across) / 0.25) ** 2 + ((y - down) / 0.3) ** 2))
        return bowl + hill - 0.55

    # Where each pixel comes from: the turn undone, by a few steps as the depth is smooth.
    u, v = x.copy(), y.copy()
    for _ in range(12):
        z = depth(u, v)
        u = (x - z * np.sin(yaw)) / np.cos(yaw)
        v = (y + z * np.sin(pitch)) / np.cos(pitch)
    return cv2.remap(picture, (u * eyes + middle[0]).astype(np.float32),
                     (v * eyes + middle[1]).astype(np.float32), cv2.INTER_CUBIC,
                     borderMode=cv2.BORDER_REFLECT)
