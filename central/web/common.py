"""What all routes share: tokens, bodies, answers, problems."""

import logging
import time
from typing import TypeVar

import msgspec
import orjson
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from central.errors import Invalid, Refused, Unauthorised
from central.metrics import CentralMetrics
from central.platform import Platform
from edge.access.page_errors import is_page, page_error
from edge.access.signin import AccessRefused, SignInNeeded
from edge.errors import ImageError, OperatingError, StoreError
from edge.ui.pages import Pages, local_path

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")
PLATFORM: web.AppKey[Platform] = web.AppKey("platform", Platform)
METRICS: web.AppKey[CentralMetrics] = web.AppKey("metrics", CentralMetrics)
LIMIT_MAX = 1_000
RETRY_AFTER_S = 2
_IMAGE = {"unsupported": 415, "damaged": 422, "too_large": 413}


def bearer(request: web.Request) -> str:
    """Give the bearer token of a call.

    Raises:
        Unauthorised: There is none.
    """
    header = request.headers.get("Authorization", "")
    if not header.startswith("Bearer "):
        raise Unauthorised("a token is needed: Authorization: Bearer …")
    return header[7:].strip()


def platform_for_admin(request: web.Request) -> Platform:
    """Give the platform to an administrator.

    Raises:
        Unauthorised: The caller isn't one.
    """
    platform = request.app[PLATFORM]
    platform.check_admin(bearer(request))
    return platform


async def read_json(request: web.Request, kind: type[_T]) -> _T:
    """Read a JSON body of one form.

    Raises:
        Invalid: What is wrong with it.
    """
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Invalid(str(error)) from error


def number(request: web.Request, name: str, default: int, largest: int) -> int:
    """Read a whole number of the query.

    Raises:
        Invalid: It isn't one within its bounds.
    """
    return whole_number(request.query.get(name, str(default)), name, largest)


def whole_number(text: str, name: str = "index", largest: int = 2**62) -> int:
    """Read a whole number.

    Raises:
        Invalid: It isn't one within its bounds.
    """
    if not text.isascii() or not text.isdigit() or len(text) > 20 or int(text) > largest:
        raise Invalid(f"{name}: a whole number up to {largest}")
    return int(text)


def answer(value: object, status: int = 200) -> web.Response:
    """Answer JSON."""
    return web.Response(
        body=msgspec.json.encode(value), status=status, content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


def packed(data: bytes) -> web.Response:
    """Answer MessagePack."""
    return web.Response(body=data, content_type="application/msgpack")


def problem(status: int, detail: str) -> web.Response:
    """Answer RFC 9457 problem details."""
    body = {"type": "about:blank", "title": detail[:60], "status": status, "detail": detail}
    return web.Response(
        body=orjson.dumps(body), status=status, content_type="application/problem+json"
    )


def guard_middleware(metrics: CentralMetrics, pages: Pages) -> Middleware:
    """Make the middleware that counts calls and turns exceptions into problems."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer, and count the call by its route."""
        start = time.monotonic()
        response = await _guarded(request, handler, pages)
        resource = request.match_info.route.resource
        route = resource.canonical if resource else "unknown"
        metrics.called(route, response.status, time.monotonic() - start)
        return response

    return middleware


async def _guarded(
    request: web.Request, handler: Handler, pages: Pages
) -> web.StreamResponse:
    try:
        return await handler(request)
    except Exception as error:
        if is_page(request):
            return refusal(pages, request, error)
        return _translated(error)


def refusal(pages: Pages, request: web.Request, error: Exception) -> web.Response:
    """Give the page for an error: the platform's own words for what was refused."""
    if not isinstance(error, Refused | ImageError):
        if not isinstance(error, SignInNeeded | AccessRefused | web.HTTPException):
            _LOG.error("page.broke", exc_info=error)
        return page_error(pages, request, error)
    here = request.headers.get("Referer", "").partition(request.host)[2] or "/"
    status = error.status if isinstance(error, Refused) else 422
    return pages.render(request, "words.html", code=status, heading=str(status),
                        words=str(error), ways=[(local_path(here), "←")])


def _translated(error: Exception) -> web.Response:
    if isinstance(error, SignInNeeded):
        return problem(401, "sign in at /signin")
    if isinstance(error, AccessRefused):
        return problem(403, str(error))
    if isinstance(error, Refused):
        return problem(error.status, str(error))
    if isinstance(error, ImageError):
        return problem(_IMAGE[error.kind], str(error))
    if isinstance(error, OperatingError):
        _LOG.error("call.failed", extra={"why": str(error)})
        words = str(error) if isinstance(error, StoreError) else "the platform can't do this now"
        response = problem(503, words)
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
        return response
    if isinstance(error, web.HTTPException):
        return problem(error.status, error.reason)
    _LOG.error("call.broke", exc_info=error)
    return problem(500, "the platform failed; the failure is in its log")
