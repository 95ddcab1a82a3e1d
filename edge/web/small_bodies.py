"""Small bodies: a decision, the wish for a challenge, a list of arrivals, one frame to look at."""

from typing import Literal, TypeVar

import msgspec
from aiohttp import web

from edge.config import Limits
from edge.pipeline.decisions import NOTE_CHARS_MAX
from edge.protocol.lookup import NUMBER_CHARS_MAX
from edge.web.bodies import check_request_id, decoded, in_time
from edge.web.problems import Problem

OPERATOR_CHARS_MAX = 64
_T = TypeVar("_T")


class ChallengeJson(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """JSON body of `POST /v1/challenges`."""

    scene: str


class DecisionJson(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """JSON body of `POST /v1/verifications/{id}/decision`."""

    request_id: str
    decision: Literal["accept", "reject"]
    reason: str
    operator: str = ""


class ArrivalsJson(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """JSON body of `POST /v1/prefetch`: document numbers, and until when they are expected."""

    scene: str
    numbers: tuple[str, ...]
    until_s: int | None = None


_ARRIVALS = msgspec.json.Decoder(ArrivalsJson)
_CHALLENGE = msgspec.json.Decoder(ChallengeJson)
_DECISION = msgspec.json.Decoder(DecisionJson)


async def read_decision(request: web.Request, limits: Limits) -> DecisionJson:
    """Read a decision.

    Raises:
        Problem: 400, 408, 413, 415 or 422.
    """
    body = await _read_json(request, limits, _DECISION)
    check_request_id(body.request_id)
    if not 1 <= len(body.reason.strip()) <= NOTE_CHARS_MAX:
        raise Problem(422, f"reason: say why, in 1 to {NOTE_CHARS_MAX} characters")
    if len(body.operator) > OPERATOR_CHARS_MAX or not body.operator.isprintable():
        raise Problem(422, f"operator: up to {OPERATOR_CHARS_MAX} printable characters")
    return body


async def read_challenge(request: web.Request, limits: Limits) -> ChallengeJson:
    """Read what a challenge is wanted for.

    Raises:
        Problem: 400, 408, 413, 415 or 422.
    """
    return await _read_json(request, limits, _CHALLENGE)


async def read_arrivals(
    request: web.Request, limits: Limits, numbers_max: int
) -> ArrivalsJson:
    """Read a list of arrivals.

    Raises:
        Problem: 400, 408, 413, 415 or 422.
    """
    body = await _read_json(request, limits, _ARRIVALS)
    if not 1 <= len(body.numbers) <= numbers_max:
        raise Problem(422, f"numbers: 1 to {numbers_max} in one list")
    if not all(1 <= len(number.strip()) <= NUMBER_CHARS_MAX for number in body.numbers):
        raise Problem(422, f"numbers: each has 1 to {NUMBER_CHARS_MAX} characters")
    return body


async def read_frame(request: web.Request, limits: Limits) -> bytes:
    """Read a body that is one encoded image.

    Raises:
        Problem: 408, 413, 415 or 422.
    """
    if not request.content_type.startswith("image/"):
        raise Problem(415, "send an image as the body, with its Content-Type")
    data = await in_time(request.read(), limits)
    if not data:
        raise Problem(422, "the body is empty")
    if len(data) > limits.image_bytes_max:
        raise Problem(413, f"an image has more than {limits.image_bytes_max} bytes")
    return data


async def _read_json(
    request: web.Request, limits: Limits, decoder: "msgspec.json.Decoder[_T]"
) -> _T:
    if request.content_type != "application/json":
        raise Problem(415, "send application/json")
    return decoded(await in_time(request.read(), limits), decoder)
