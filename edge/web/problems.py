"""Everything that isn't a verdict, as RFC 9457 `application/problem+json`.

- One table from errors to status; what isn't in it is 500 and says nothing of its cause.
- 429 and 503 carry `Retry-After`.
"""

import logging
from math import ceil

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from edge.access.page_errors import is_page, page_error
from edge.access.signin import AccessRefused, SignInNeeded
from edge.errors import (
    CapacityError,
    ImageError,
    JournalError,
    JournalFull,
    OperatingError,
    StoreError,
)
from edge.metrics import NodeMetrics
from edge.pipeline.calls import (
    CallError,
    CentralUnreachable,
    ChallengeOff,
    DeadlineMissed,
    RequestConflict,
    SceneForbidden,
    SceneUnknown,
    TermInvalid,
    VerificationClosed,
    VerificationUnknown,
)
from edge.pipeline.pace import RateExceeded
from edge.ui.pages import Pages

_LOG = logging.getLogger(__name__)
RETRY_AFTER_S = 1
_STATUS: dict[type[Exception], tuple[int, str]] = {
    SceneUnknown: (404, "Unknown scene"),
    SceneForbidden: (403, "Scene not allowed"),
    ChallengeOff: (409, "No challenges here"),
    VerificationUnknown: (404, "Unknown verification"),
    VerificationClosed: (409, "Verification closed"),
    RequestConflict: (409, "Request conflict"),
    DeadlineMissed: (503, "Deadline missed"),
    TermInvalid: (422, "Wrong fields"),
    CentralUnreachable: (503, "Central platform unreachable"),
    RateExceeded: (429, "Too many calls"),
    CapacityError: (503, "No capacity"),
    JournalError: (503, "Journal unavailable"),
    JournalFull: (503, "Journal full"),
    StoreError: (503, "Store unavailable"),
}
_IMAGE = {"unsupported": 415, "damaged": 422, "too_large": 413}
_TITLES = {
    400: "Malformed body", 401: "Unknown gate", 404: "Not found", 405: "Method not allowed",
    408: "Body too slow", 413: "Too large", 415: "Unsupported body", 422: "Wrong fields",
}
_WORDS = {
    404: "there is nothing here: see /openapi.json",
    405: "this method isn't allowed here: see /openapi.json",
    413: "the body is larger than this node takes",
}


class Problem(Exception):
    """A call that ends with an HTTP error of our own."""

    def __init__(self, status: int, detail: str) -> None:
        """Keep status and words for the integrator."""
        super().__init__(detail)
        self.status = status


def unknown_gate() -> Problem:
    """Give the problem of whoever isn't a gate; it never says which part was wrong."""
    return Problem(401, "a valid gate credential is needed: Authorization: Bearer …")


def problem_response(status: int, title: str, detail: str) -> web.Response:
    """Give the response of one problem."""
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status in (429, 503) else {}
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="kanhe"'
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return web.Response(
        status=status, body=orjson.dumps(body), headers=headers,
        content_type="application/problem+json",
    )


def translate(error: Exception) -> web.Response:
    """Give the response to an exception; only words meant for outside are in it."""
    if isinstance(error, Problem):
        return problem_response(error.status, _TITLES.get(error.status, "Refused"), str(error))
    if isinstance(error, SignInNeeded):
        return problem_response(401, "Sign in", "nobody is signed in here: sign in at /signin")
    if isinstance(error, AccessRefused):
        return problem_response(403, "Refused", str(error))
    if isinstance(error, ImageError):
        status = _IMAGE[error.kind]
        return problem_response(status, "Image not read", str(error))
    if isinstance(error, CallError | OperatingError):
        status, title = _STATUS.get(type(error), (503, "Unavailable"))
        if isinstance(error, JournalError | StoreError):
            _LOG.error("call.failed", extra={"why": str(error)})
            why = f": {error}" if isinstance(error, JournalFull) else ""
            return problem_response(status, title, f"the node can't promise a record now{why}")
        response = problem_response(status, title, str(error))
        if isinstance(error, CapacityError):
            response.headers["Retry-After"] = str(max(1, ceil(error.retry_after_s)))
        return response
    if isinstance(error, web.HTTPException):
        words = _WORDS.get(error.status, error.reason)
        return problem_response(error.status, _TITLES.get(error.status, error.reason), words)
    _LOG.error("call.broke", exc_info=error)
    return problem_response(500, "Internal error", "the node failed; the failure is in its log")


def problems_middleware(metrics: NodeMetrics, pages: Pages) -> Middleware:
    """Make the middleware that turns exceptions into problems, or into words for a browser."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer; an exception becomes a problem or a page, and is counted."""
        try:
            return await handler(request)
        except Exception as error:
            response = translate(error)
            if is_page(request):
                response = page_error(pages, request, error)
            metrics.problem(response.status)
            return response

    return middleware
