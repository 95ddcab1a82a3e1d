"""Bodies become calls: JSON or multipart, bounded, nothing on disk.

- Codes are never trimmed or altered.
- Multipart is read part by part in memory; aiohttp's form parser would spool to files.
- A body must arrive within its time; a body that is too large ends the reading.
"""

import asyncio
import base64
import binascii
from collections.abc import Awaitable
from typing import TypeVar

import msgspec
from aiohttp import BodyPartReader, web
from aiohttp.multipart import MultipartReader

from edge.config import Limits
from edge.pipeline.calls import REQUEST_ID_CHARS_MAX
from edge.web.problems import Problem

_T = TypeVar("_T")
TEXT_BYTES_MAX = 16 * 1024
PARTS_MAX = 24
_TEXT_PARTS = ("scene", "request_id", "presentation", "challenge_id")
_FILE_PARTS = ("code_image", "face_image")


class VerificationJson(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """JSON body of `POST /v1/verifications`."""

    scene: str
    request_id: str
    presentation: str
    face_image: str | None = None
    face_images: tuple[str, ...] = ()
    challenge_id: str | None = None


class CodeJson(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """What most bodies of `POST /v1/verifications` are: a code alone."""

    scene: str
    request_id: str
    presentation: str
    challenge_id: str | None = None


class CaptureJson(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """JSON body of `POST /v1/verifications/{id}/captures`."""

    request_id: str
    face_image: str | None = None
    face_images: tuple[str, ...] = ()
    challenge_id: str | None = None


class IdentificationJson(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """JSON body of `POST /v1/identifications`."""

    scene: str
    request_id: str
    face_image: str


class Fields(msgspec.Struct):
    """What a body held, whichever its form."""

    texts: dict[str, str]
    code_image: bytes | None = None
    face_images: tuple[bytes, ...] = ()


_CODE = msgspec.json.Decoder(CodeJson)
_VERIFICATION = msgspec.json.Decoder(VerificationJson)
_CAPTURE = msgspec.json.Decoder(CaptureJson)
_IDENTIFICATION = msgspec.json.Decoder(IdentificationJson)


async def read_fields(request: web.Request, limits: Limits, *, capture: bool) -> Fields:
    """Read a body within its bounds.

    Raises:
        Problem: 400, 408, 413, 415 or 422.
    """
    kind = request.content_type
    if kind == "application/json":
        data = await in_time(request.read(), limits)
        return _from_json(data, limits, capture=capture)
    if kind == "multipart/form-data":
        return await in_time(_from_multipart(request, limits, capture=capture), limits)
    raise Problem(415, "send application/json or multipart/form-data")


async def read_identification(request: web.Request, limits: Limits) -> Fields:
    """Read the body of an identification: a scene and a face, no code.

    Raises:
        Problem: 400, 408, 413, 415 or 422.
    """
    if request.content_type == "application/json":
        body = decoded(await in_time(request.read(), limits), _IDENTIFICATION)
        fields = Fields({"request_id": body.request_id, "scene": body.scene},
                        face_images=(_decoded_image(body.face_image),))
        return _checked(fields, limits, capture=True)
    if request.content_type != "multipart/form-data":
        raise Problem(415, "send application/json or multipart/form-data")
    fields = await in_time(_from_multipart(request, limits, capture=True), limits)
    if "scene" not in fields.texts:
        raise Problem(422, "scene is required")
    if len(fields.texts) > 2 or fields.code_image is not None:
        raise Problem(422, "an identification is of scene, request_id and face_image only")
    return fields


def read_code(data: bytes) -> CodeJson | None:
    """Read a whole JSON body that holds a code and nothing else; None if it isn't that.

    Raises:
        Problem: 422.
    """
    try:
        body = _CODE.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None  # it holds more, or is wrong: `read_json` says which
    check_request_id(body.request_id)
    return body


def read_json(data: bytes, limits: Limits) -> Fields:
    """Read a whole JSON body of `POST /v1/verifications`.

    Raises:
        Problem: 400, 413 or 422.
    """
    return _from_json(data, limits, capture=False)


async def in_time(reading: Awaitable[_T], limits: Limits) -> _T:
    """Wait for a body no longer than the limits say.

    Raises:
        Problem: 408.
    """
    try:
        async with asyncio.timeout(limits.body_s_max):
            return await reading
    except TimeoutError:
        raise Problem(408, f"the body didn't arrive within {limits.body_s_max:g} s") from None


def _from_json(data: bytes, limits: Limits, *, capture: bool) -> Fields:
    body: CaptureJson | VerificationJson
    body = decoded(data, _CAPTURE) if capture else decoded(data, _VERIFICATION)
    texts = {"request_id": body.request_id}
    if isinstance(body, VerificationJson):
        texts |= {"scene": body.scene, "presentation": body.presentation}
    if body.challenge_id is not None:
        texts["challenge_id"] = body.challenge_id
    fields = Fields(texts)
    faces = body.face_images if body.face_image is None else (body.face_image, *body.face_images)
    if len(faces) > limits.face_images_max:
        raise Problem(422, f"more than {limits.face_images_max} face images")
    fields.face_images = tuple(_decoded_image(face) for face in faces)
    return _checked(fields, limits, capture=capture)


def _decoded_image(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Problem(422, "face_image isn't base64") from None


def decoded(data: bytes, decoder: "msgspec.json.Decoder[_T]") -> _T:
    """Decode a JSON body.

    Raises:
        Problem: 400 or 422.
    """
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        raise Problem(422, str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Problem(400, "the body isn't JSON") from None


async def _from_multipart(request: web.Request, limits: Limits, *, capture: bool) -> Fields:
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
    return _checked(fields, limits, capture=capture)


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


def _checked(fields: Fields, limits: Limits, *, capture: bool) -> Fields:
    texts = fields.texts
    check_request_id(texts.get("request_id", ""))
    if any(len(image) > limits.image_bytes_max for image in fields.face_images):
        raise Problem(413, f"an image has more than {limits.image_bytes_max} bytes")
    if capture:
        if not fields.face_images:
            raise Problem(422, "face_image is required")
        return fields
    if "scene" not in texts:
        raise Problem(422, "scene is required")
    if ("presentation" in texts) == (fields.code_image is not None):
        raise Problem(422, "send either presentation or code_image")
    return fields


def check_request_id(request_id: str) -> None:
    """Hold a request_id against its bounds.

    Raises:
        Problem: 422.
    """
    if not 1 <= len(request_id) <= REQUEST_ID_CHARS_MAX:
        raise Problem(422, f"request_id is required, 1 to {REQUEST_ID_CHARS_MAX} characters")
