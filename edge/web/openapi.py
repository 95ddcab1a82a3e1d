"""The machine-readable interface, made from the structs that are really used."""

from typing import Any

import msgspec

from edge.pipeline.answer import Answer
from edge.pipeline.arrivals import ArrivalsShown
from edge.pipeline.challenges import ChallengeShown
from edge.web.bodies import CaptureJson, IdentificationJson, VerificationJson
from edge.web.small_bodies import ArrivalsJson, ChallengeJson, DecisionJson
from edge.web.status import NodeStatus


class ProblemBody(msgspec.Struct):
    """RFC 9457 problem details."""

    type: str
    title: str
    status: int
    detail: str


class SceneShown(msgspec.Struct, frozen=True):
    """One scene of the calling gate, in short."""

    scene: str
    version: int
    title: dict[str, str]
    accepts: tuple[str, ...]
    face: str
    fmr_max: float
    discloses: tuple[str, ...]


class Scenes(msgspec.Struct, frozen=True):
    """Answer of `GET /v1/scenes`."""

    scenes: tuple[SceneShown, ...]


_PROBLEMS = {
    400: "Body can't be parsed", 401: "Unknown gate", 403: "Scene not this gate's",
    404: "Unknown scene or verification", 408: "Body too slow", 409: "Conflict or closed",
    413: "Too large", 415: "Not a body or image we read", 422: "Wrong fields",
    429: "This gate calls more often than it may",
    503: "No capacity, deadline missed or no journal",
}
_FILE = {"type": "string", "format": "binary"}


def build_openapi(version: str) -> dict[str, Any]:
    """Build the OpenAPI 3.1 document."""
    structs = (Answer, VerificationJson, CaptureJson, IdentificationJson, NodeStatus, Scenes,
               ProblemBody, ChallengeShown, ChallengeJson, DecisionJson, ArrivalsJson,
               ArrivalsShown)
    refs, schemas = msgspec.json.schema_components(
        structs, ref_template="#/components/schemas/{name}"
    )
    (answer, verification, capture, identification, status, scenes, problem, challenge,
     wanted, decision, arrivals, fetched) = refs
    faces, texts = {"type": "array", "items": _FILE}, {"type": "string"}
    verify = _post(
        "Verify a presentation, with or without a capture", verification, answer, problem,
        {"scene": texts, "request_id": texts, "presentation": texts, "challenge_id": texts,
         "code_image": _FILE, "face_image": faces}, ["scene", "request_id"],
    )
    later = _post(
        "The face of a verification whose code already holds", capture, answer, problem,
        {"request_id": texts, "challenge_id": texts, "face_image": faces},
        ["request_id", "face_image"],
    )
    decide = _post_json("What a person decided after a refer", decision, answer, problem)
    later["parameters"] = decide["parameters"] = [
        {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    ]
    return {
        "openapi": "3.1.0",
        "info": {"title": "Kanhe edge node", "version": version},
        "security": [{"gate": []}],
        "paths": {
            "/v1/verifications": {"post": verify},
            "/v1/verifications/{id}/captures": {"post": later},
            "/v1/verifications/{id}/decision": {"post": decide},
            "/v1/challenges": {"post": _post_json(
                "What to ask the person before the camera to do", wanted, challenge, problem)},
            "/v1/identifications": {"post": _identify(identification, answer, problem)},
            "/v1/prefetch": {"post": _post_json(
                "Who is expected: their credentials are held beforehand", arrivals, fetched,
                problem)},
            "/v1/scenes": {"get": _get("The scenes of this gate", scenes, problem)},
            "/v1/status": {"get": _get("How fresh and how busy the node is", status, problem)},
            **_operations(),
        },
        "components": {
            "schemas": schemas,
            "securitySchemes": {"gate": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operations() -> dict[str, Any]:
    """Give what needs no gate."""
    return {
        path: {"get": {"summary": summary, "security": [],
                       "responses": {"200": {"description": "OK"}, **more}}}
        for path, summary, more in (
            ("/livez", "Whether the process lives", {}),
            ("/readyz", "Whether it verifies", {"503": {"description": "Not ready"}}),
            ("/metrics", "Prometheus metrics", {}),
            ("/openapi.json", "This document", {}),
        )
    }


def _identify(
    body: dict[str, Any], answer: dict[str, Any], problem: dict[str, Any]
) -> dict[str, Any]:
    texts = {"type": "string"}
    return _post(
        "Whose face this is, in scenes whose policy allows it", body, answer, problem,
        {"scene": texts, "request_id": texts, "face_image": {"type": "array", "items": _FILE}},
        ["scene", "request_id", "face_image"],
    )


def _post(
    summary: str, body: dict[str, Any], answer: dict[str, Any], problem: dict[str, Any],
    parts: dict[str, Any], required: list[str],
) -> dict[str, Any]:
    form = {"type": "object", "properties": parts, "required": required,
            "additionalProperties": False}
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": {
            "application/json": {"schema": body}, "multipart/form-data": {"schema": form}}},
        "responses": _responses(answer, problem),
    }


def _post_json(
    summary: str, body: dict[str, Any], answer: dict[str, Any], problem: dict[str, Any]
) -> dict[str, Any]:
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": _responses(answer, problem),
    }


def _get(summary: str, answer: dict[str, Any], problem: dict[str, Any]) -> dict[str, Any]:
    both = _responses(answer, problem)
    return {"summary": summary, "responses": {code: both[code] for code in ("200", "401", "429")}}


def _responses(answer: dict[str, Any], problem: dict[str, Any]) -> dict[str, Any]:
    return {
        "200": {"description": "An answer, whatever the decision",
                "content": {"application/json": {"schema": answer}}},
        **{
            str(status): {"description": words,
                          "content": {"application/problem+json": {"schema": problem}}}
            for status, words in _PROBLEMS.items()
        },
    }
