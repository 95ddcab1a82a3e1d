"""What the attacks on the wire have in common: whoever sits on it answers as a test says."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web
from aiohttp.test_utils import TestServer

from edge.sync.client import CentralClient

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
PIECE = bytes(256 * 1024)


class Endless:
    """Answers without end; `sent` counts the bytes that found somebody to take them."""

    def __init__(self, status: int = 200) -> None:
        self.status, self.sent = status, 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=self.status)
        await response.prepare(request)
        while True:
            await response.write(PIECE)
            self.sent += len(PIECE)


@contextlib.asynccontextmanager
async def answered_by(handler: Handler) -> AsyncIterator[CentralClient]:
    """Give a node's client whose every call a handler answers."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    async with TestServer(app, host="127.0.0.1") as server:
        client = CentralClient(str(server.make_url("/")), token="the-token")
        try:
            yield client
        finally:
            await client.close()
