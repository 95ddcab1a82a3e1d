"""Serves an application on loopback as the node does, by either way."""

import asyncio
from pathlib import Path

from aiohttp import web
from yarl import URL

from edge.access.listening import Connections, Wire, bind, serve
from edge.access.tls import Tls


class Served:
    def __init__(self, app: web.Application, connections: Connections | None) -> None:
        self._app, self._connections = app, connections
        self._stop = asyncio.Event()

    async def start(self) -> "Served":
        listening = bind("127.0.0.1", 0, 1)
        self.port = listening.getsockname()[1]
        ready = asyncio.Event()
        self._task = asyncio.create_task(serve(
            self._app, listening, Wire(Tls(), "127.0.0.1", Path(), insecure=False),
            ready=lambda url: ready.set(), stop=self._stop, shutdown_s=2.0,
            connections=self._connections))
        await ready.wait()
        return self

    def make_url(self, path: str) -> URL:
        return URL(f"http://127.0.0.1:{self.port}{path}")

    async def close(self) -> None:
        self._stop.set()
        await self._task
