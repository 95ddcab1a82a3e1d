"""Runs the central platform: builds it, serves it, stops it."""

import asyncio
import errno
import logging
import socket
from collections.abc import Callable

from aiohttp import web

from central.config import CentralConfig
from central.metrics import CentralMetrics
from central.platform import Enroller, Platform
from central.web import admin_routes, node_routes
from central.web.common import PLATFORM, guard_middleware
from edge.errors import ConfigError

_LOG = logging.getLogger(__name__)
SHUTDOWN_S = 1.0
"""Long polls are cut; nodes come back by themselves."""


async def _livez(_: web.Request) -> web.Response:
    return web.Response(text="alive\n")


async def _readyz(request: web.Request) -> web.Response:
    await request.app[PLATFORM].counters()
    return web.Response(text="ready\n")


def application(platform: Platform) -> web.Application:
    """Build the aiohttp application of a started platform."""
    metrics = CentralMetrics()

    async def scrape(_: web.Request) -> web.Response:
        return web.Response(body=metrics.page(), content_type="text/plain")

    app = web.Application(
        middlewares=[guard_middleware(metrics)], client_max_size=platform.config.body_bytes_max
    )
    app[PLATFORM] = platform
    app.add_routes([*node_routes.routes(), *admin_routes.routes()])
    app.add_routes([
        web.get("/livez", _livez), web.get("/readyz", _readyz), web.get("/metrics", scrape),
    ])
    return app


async def run_central(
    config: CentralConfig, face: Enroller, ready: Callable[[str], None], stop: asyncio.Event
) -> None:
    """Run a platform until `stop` is set; `ready` is told its address.

    Raises:
        OperatingError: It can't start.
    """
    platform = Platform(config, face)
    await platform.start()
    runner = web.AppRunner(application(platform), access_log=None, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    try:
        listening = _bind(config)
        await web.SockSite(runner, listening).start()
        host, port = listening.getsockname()[:2]
        ready(f"http://{host}:{port}")
        await stop.wait()
    finally:
        await runner.cleanup()
        await platform.stop()


def _bind(config: CentralConfig) -> socket.socket:
    for port in range(config.port, config.port + config.port_tries):
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((config.host, port))
        except OSError as error:
            listening.close()
            if error.errno != errno.EADDRINUSE:
                raise ConfigError(f"{config.host}:{port} can't be used: {error}") from error
            _LOG.warning("port.taken", extra={"port": port})
            continue
        return listening
    raise ConfigError(f"ports from {config.port} on are all taken: set port")
