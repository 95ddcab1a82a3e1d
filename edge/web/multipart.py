"""Multipart bodies, part by part in memory; aiohttp's form parser would spool to files."""

import msgspec
from aiohttp import BodyPartReader, web
from aiohttp.multipart import MultipartReader

from edge.config import Limits
from edge.web.problems import Problem

TEXT_BYTES_MAX = 16 * 1024
PARTS_MAX = 24
_TEXT_PARTS = ("scene", "request_id", "presentation", "challenge_id")
_FILE_PARTS = ("code_image", "face_image")


class Fields(msgspec.Struct):
    """What a body held, whichever its form."""

    texts: dict[str, str]
    code_image: bytes | None = None
    face_images: tuple[bytes, ...] = ()


async def read_parts(request: web.Request, limits: Limits) -> Fields:
    """Read a multipart body.

    Raises:
        Problem: 400, 413 or 422.
    """
    fields = Fields({})
    faces: list[bytes] = []
    try:
        reader = await request.multipart()
        for _ in range(PARTS_MAX):
            part = await reader.next()
            if part is None:
                break
            if isinstance(part, MultipartReader) or part.name is None:
                raise Problem(422, "a part has no name")
            await _take_part(part, fields, faces, limits)
        else:
            raise Problem(413, f"more than {PARTS_MAX} parts")
    except (ValueError, AssertionError, RuntimeError):
        raise Problem(400, "the multipart body is malformed") from None
    fields.face_images = tuple(faces)
    return fields


async def _take_part(
    part: BodyPartReader, fields: Fields, faces: list[bytes], limits: Limits
) -> None:
    name = part.name or ""
    if name in _TEXT_PARTS:
        if name in fields.texts:
            raise Problem(422, f"{name} is there twice")
        try:
            fields.texts[name] = (await _read_part(part, TEXT_BYTES_MAX)).decode()
        except UnicodeDecodeError:
            raise Problem(422, f"{name} isn't UTF-8") from None
    elif name == "code_image":
        if fields.code_image is not None:
            raise Problem(422, "code_image is there twice")
        fields.code_image = await _read_part(part, limits.image_bytes_max)
    elif name == "face_image":
        if len(faces) >= limits.face_images_max:
            raise Problem(422, f"more than {limits.face_images_max} face images")
        faces.append(await _read_part(part, limits.image_bytes_max))
    else:
        raise Problem(422, f"unknown part {name[:40]!r}; known: "
                           f"{', '.join(_TEXT_PARTS + _FILE_PARTS)}")


async def _read_part(part: BodyPartReader, bytes_max: int) -> bytes:
    data = bytearray()
    while chunk := await part.read_chunk():
        data += chunk
        if len(data) > bytes_max:
            raise Problem(413, f"a part has more than {bytes_max} bytes")
    return bytes(data)
