"""The status page: how the node is, live, for a site without Grafana.

- It needs no sign-in, as before; it shows no holder data and nothing that can be done.
- Neither takes a query, so none can ask for a page of its own.
- The page is whole without its script; the script draws the last ten minutes and keeps it current.
"""

from collections.abc import Callable

import msgspec
from aiohttp import web

from edge.access.sessions import Session
from edge.access.signin import SignIn
from edge.trend import TrendView
from edge.ui.headers import PAGE_HEADERS
from edge.ui.pages import Pages, language
from edge.web.status import NodeStatus

LIVE_KEPT_S = 1.0
SHOWN_KEPT_S = 0.25
"""How old the page may be that somebody without a sign-in gets."""


class Live(msgspec.Struct, frozen=True):
    """What the script asks for again and again."""

    status: NodeStatus
    trend: TrendView


class StatusPage:
    """The page and what its script asks for."""

    def __init__(
        self, pages: Pages, signin: SignIn, status: Callable[[], NodeStatus],
        trend: Callable[[], TrendView], monotonic: Callable[[], float],
    ) -> None:
        """Take what is shown."""
        self._pages, self._signin, self._status, self._trend = pages, signin, status, trend
        self._monotonic = monotonic
        self._encode = msgspec.json.Encoder().encode
        self._kept = (float("-inf"), b"")
        # Of visitors without a sign-in, by language: when it was made, and what.
        self._shown: dict[str, tuple[float, str]] = {}

    def routes(self) -> list[web.RouteDef]:
        """Give the routes."""
        return [web.get("/status", self.page), web.get("/status/live", self.live)]

    async def page(self, request: web.Request) -> web.Response:
        """`GET /status`."""
        if request.query_string:
            return web.Response(status=303, headers={**PAGE_HEADERS, "Location": "/status"})
        session = await self._signin.session(request)
        if session is not None:
            return self._render(request, session)
        now, lang = self._monotonic(), language(request)
        at, text = self._shown.get(lang, (float("-inf"), ""))
        if now - at > SHOWN_KEPT_S:
            text = self._render(request, None).text or ""
            self._shown[lang] = (now, text)
        return web.Response(text=text, content_type="text/html", headers=PAGE_HEADERS)

    def _render(self, request: web.Request, session: Session | None) -> web.Response:
        return self._pages.render(
            request, "status.html", status=self._status(), session=session,
            csrf=self._signin.token(session) if session else "")

    async def live(self, _: web.Request) -> web.Response:
        """`GET /status/live`; many who watch cost as much as one."""
        now = self._monotonic()
        if now - self._kept[0] > LIVE_KEPT_S:
            self._kept = (now, self._encode(Live(self._status(), self._trend())))
        return web.Response(body=self._kept[1], content_type="application/json",
                            headers=PAGE_HEADERS)
