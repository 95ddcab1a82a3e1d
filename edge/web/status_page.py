"""The status page: how the node is, live, for a site without Grafana.

- It needs no sign-in, as before; it shows no holder data and nothing that can be done.
- The page is whole without its script; the script draws the last ten minutes and keeps it current.
"""

from collections.abc import Callable

import msgspec
from aiohttp import web

from edge.access.signin import SignIn
from edge.trend import TrendView
from edge.ui.headers import PAGE_HEADERS
from edge.ui.pages import Pages
from edge.web.status import NodeStatus

LIVE_KEPT_S = 1.0


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

    def routes(self) -> list[web.RouteDef]:
        """Give the routes."""
        return [web.get("/status", self.page), web.get("/status/live", self.live)]

    async def page(self, request: web.Request) -> web.Response:
        """`GET /status`."""
        session = await self._signin.session(request)
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
