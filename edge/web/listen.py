"""Listening: the configured port or the next free one, until told to stop.

- Stopping takes no new calls and lets those in flight finish.
"""

import asyncio
import errno
import logging
import socket
from collections.abc import Callable

from aiohttp import web

from edge.config import Listen
from edge.errors import ConfigError

SHUTDOWN_S = 10.0
KEEPALIVE_S = 75.0
BACKLOG = 1_024
_LOG = logging.getLogger(__name__)


def bind(listen: Listen) -> socket.socket:
    """Bind the configured port or the next free one.

    Raises:
        ConfigError: None of them can be bound.
    """
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    for port in range(listen.port, listen.port + listen.port_tries):
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((listen.host, port))
        except OSError as error:
            listening.close()
            if error.errno != errno.EADDRINUSE:
                raise ConfigError(f"{listen.host}:{port} can't be used: {error}") from error
            _LOG.warning("port.taken", extra={"port": port})
            continue
        return listening
    raise ConfigError(
        f"ports {listen.port} to {listen.port + listen.port_tries - 1} are all taken: "
        "set listen.port"
    )


async def serve(
    app: web.Application, listen: Listen, ready: Callable[[str], None], stop: asyncio.Event
) -> None:
    """Serve an application until `stop` is set; `ready` is told its address.

    Raises:
        ConfigError: No port can be bound.
    """
    runner = web.AppRunner(
        app, access_log=None, shutdown_timeout=SHUTDOWN_S, keepalive_timeout=KEEPALIVE_S
    )
    await runner.setup()
    try:
        listening = bind(listen)
        await web.SockSite(runner, listening, backlog=BACKLOG).start()
        host, port = listening.getsockname()[:2]
        ready(f"http://{host}:{port}")
        await stop.wait()
    finally:
        await runner.cleanup()
