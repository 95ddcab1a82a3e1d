"""What a camera would see: a phone with a code on it, and a face before the lens.

- A code is drawn by segno (alphanumeric, error correction M) onto a phone, the phone
  onto a room, and the room through perspective, uneven light, blur, sensor noise and JPEG.
- Everything is drawn from a seed; the same seed gives the same picture.
- What it doesn't do: photographs. Real ones are what the ladder is measured on.
"""

import cv2
import msgspec
import numpy as np
import numpy.typing as npt
import segno
import simplejpeg

Picture = npt.NDArray[np.uint8]

FRAME_SIZE = (1280, 720)
"""Width and height of a frame in pixels."""
_QUIET_MODULES = 4


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """How hard a frame is.

    Attributes:
        code_share: Side of the code as a share of the frame's height.
        tilt: Displacement of the phone's corners as a share of its height.
        turn_deg: Rotation of the phone in the picture.
        blur_px: Standard deviation of the lens blur.
        noise: Standard deviation of the sensor noise in grey levels.
        light: Strength of the uneven light, 0 to 1.
        screen: Brightness of the screen, 0 to 1.
        glare: Strength of a reflection over the screen, 0 to 1.
        quality: JPEG quality.
    """

    code_share: float = 0.42
    tilt: float = 0.03
    turn_deg: float = 6.0
    blur_px: float = 0.8
    noise: float = 4.0
    light: float = 0.3
    screen: float = 0.9
    glare: float = 0.0
    quality: int = 85


EASY = Conditions(tilt=0.01, turn_deg=2.0, blur_px=0.4, noise=2.0, light=0.1)
USUAL = Conditions()
HARD = Conditions(
    code_share=0.3, tilt=0.08, turn_deg=20.0, blur_px=1.6, noise=9.0, light=0.6, screen=0.7,
    glare=0.35, quality=70,
)


def draw_code(text: str, module_px: int = 8) -> Picture:
    """Draw a text as a QR code, grey, with its quiet zone."""
    code = segno.make(text, error="m", mode="alphanumeric", micro=False, boost_error=False)
    matrix = np.array([[1 - cell for cell in row] for row in code.matrix], np.uint8) * 255
    matrix = np.pad(matrix, _QUIET_MODULES, constant_values=255)
    return np.kron(matrix, np.ones((module_px, module_px), np.uint8))


def phone_frame(
    text: str,
    *,
    seed: int = 0,
    conditions: Conditions = USUAL,
    size: tuple[int, int] = FRAME_SIZE,
) -> bytes:
    """Draw the frame of a camera before which a phone shows a code.

    Args:
        text: What the code says.
        seed: Of everything that varies.
        conditions: How hard it is.
        size: Width and height in pixels.

    Returns:
        A JPEG.
    """
    rng = np.random.default_rng(seed)
    room = _room(rng, size)
    phone = _phone(draw_code(text), conditions)
    picture = _hold_up(room, phone, conditions, rng)
    return _through_camera(picture, conditions, rng)


def several_codes_frame(texts: list[str], *, seed: int = 0) -> bytes:
    """Draw a frame with several phones side by side."""
    rng = np.random.default_rng(seed)
    width, height = FRAME_SIZE
    share = Conditions(code_share=0.32)
    parts = [
        _hold_up(_room(rng, (width // len(texts), height)), _phone(draw_code(text), share),
                 share, rng)
        for text in texts
    ]
    return _through_camera(np.hstack(parts), USUAL, rng)


def face_frame(
    portrait: Picture,
    *,
    seed: int = 0,
    size: tuple[int, int] = FRAME_SIZE,
    share: float = 0.85,
    quality: int = 88,
) -> bytes:
    """Place a portrait before the camera: rescaled, shifted, relit, recompressed.

    Args:
        portrait: RGB uint8.
        seed: Of everything that varies.
        size: Width and height in pixels.
        share: Height of the portrait as a share of the frame's.
        quality: JPEG quality.

    Returns:
        A JPEG.
    """
    rng = np.random.default_rng(seed)
    return _through_camera(
        _place([portrait], rng, size, share), Conditions(light=0.25, blur_px=0.4, noise=2.0,
                                                         quality=quality), rng,
    )


def faces_frame(portraits: list[Picture], *, seed: int = 0) -> bytes:
    """Place several portraits side by side before the camera."""
    rng = np.random.default_rng(seed)
    mild = Conditions(light=0.2, blur_px=0.4, noise=2.0)
    return _through_camera(_place(portraits, rng, FRAME_SIZE, 0.8), mild, rng)


def _place(
    portraits: list[Picture], rng: np.random.Generator, size: tuple[int, int], share: float
) -> Picture:
    width, height = size
    canvas = _room(rng, size)
    slot = width // len(portraits)
    for index, portrait in enumerate(portraits):
        tall = int(height * share * rng.uniform(0.94, 1.06))
        wide = int(portrait.shape[1] * tall / portrait.shape[0])
        if wide > slot:
            wide, tall = slot, int(portrait.shape[0] * slot / portrait.shape[1])
        scaled = cv2.resize(portrait, (wide, tall), interpolation=cv2.INTER_CUBIC)
        left = index * slot + int((slot - wide) * rng.uniform(0.3, 0.7))
        top = max(0, min(height - tall, int((height - tall) * rng.uniform(0.3, 0.9))))
        shown = scaled[: height - top]
        canvas[top : top + shown.shape[0], left : left + wide] = shown
    return canvas


def _room(rng: np.random.Generator, size: tuple[int, int]) -> Picture:
    """Give a blurred room of rectangles, RGB."""
    width, height = size
    room = np.full((height, width, 3), rng.integers(70, 150, 3), np.uint8)
    for _ in range(18):
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        w, h = int(rng.integers(40, width // 2)), int(rng.integers(40, height // 2))
        colour = tuple(int(value) for value in rng.integers(30, 220, 3))
        cv2.rectangle(room, (x, y), (x + w, y + h), colour, -1)
    return np.asarray(cv2.GaussianBlur(room, (0, 0), 9), np.uint8)


def _phone(code: Picture, conditions: Conditions) -> Picture:
    """Draw a phone that shows the code, RGB."""
    side = code.shape[0]
    width, height = int(side * 1.12), int(side * 2.0)
    phone = np.full((height, width, 3), 24, np.uint8)
    edge = max(4, side // 40)
    screen = phone[edge * 3 : height - edge * 3, edge : width - edge]
    screen[:] = np.array([236, 240, 246], np.uint8)
    cv2.rectangle(screen, (0, 0), (screen.shape[1], side // 6), (32, 80, 160), -1)
    top = (screen.shape[0] - side) // 2
    left = (screen.shape[1] - side) // 2
    screen[top : top + side, left : left + side] = code[:, :, None]
    phone = (phone.astype(np.float32) * conditions.screen).astype(np.uint8)
    if conditions.glare > 0.0:
        glow = np.zeros(phone.shape[:2], np.float32)
        cv2.ellipse(glow, (width // 2, height // 3), (width // 2, side // 8), 25.0, 0.0, 360.0,
                    255.0 * conditions.glare, -1)
        glow = np.asarray(cv2.GaussianBlur(glow, (0, 0), side / 14), np.float32)
        phone = np.clip(phone + glow[:, :, None], 0, 255).astype(np.uint8)
    return phone


def _hold_up(
    room: Picture, phone: Picture, conditions: Conditions, rng: np.random.Generator
) -> Picture:
    """Warp the phone into the room, turned and tilted."""
    height, width = room.shape[:2]
    tall, wide = phone.shape[:2]
    scale = conditions.code_share * height / (wide / 1.12)
    centre = np.array([width, height]) * 0.5 + rng.uniform(-0.04, 0.04, 2) * [width, height]
    angle = np.deg2rad(rng.uniform(-1, 1) * conditions.turn_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corners = np.array([[-wide, -tall], [wide, -tall], [wide, tall], [-wide, tall]]) / 2.0
    target = corners @ turn.T * scale + centre
    target += rng.uniform(-1, 1, (4, 2)) * conditions.tilt * tall * scale
    matrix = cv2.getPerspectiveTransform(
        (corners + np.array([wide, tall]) / 2.0).astype(np.float32), target.astype(np.float32)
    )
    warped = cv2.warpPerspective(phone, matrix, (width, height), flags=cv2.INTER_AREA)
    mask = cv2.warpPerspective(np.full((tall, wide), 255, np.uint8), matrix, (width, height))
    return np.where(mask[:, :, None] > 127, warped, room).astype(np.uint8)


def _through_camera(picture: Picture, conditions: Conditions, rng: np.random.Generator) -> bytes:
    """Apply light, lens, sensor and JPEG."""
    height, width = picture.shape[:2]
    direction = rng.uniform(-1, 1, 2)
    ramp = (
        np.linspace(-0.5, 0.5, width)[None, :] * direction[0]
        + np.linspace(-0.5, 0.5, height)[:, None] * direction[1]
    )
    seen = picture.astype(np.float32) * (1.0 + conditions.light * ramp[:, :, None])
    if conditions.blur_px > 0.0:
        seen = np.asarray(cv2.GaussianBlur(seen, (0, 0), conditions.blur_px), np.float32)
    seen += rng.normal(0.0, conditions.noise, seen.shape).astype(np.float32)
    pixels = np.ascontiguousarray(np.clip(seen, 0, 255).astype(np.uint8))
    encoded: bytes = simplejpeg.encode_jpeg(pixels, conditions.quality, "RGB")
    return encoded
