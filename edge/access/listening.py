"""Listening: the configured port or the next free one, in TLS or clear, until told to stop.

- Several processes of one service may share a port; strangers can't come to share it, since it is
  first bound alone.
- Stopping takes no new calls and lets those in flight finish.
- Certificates are renewed while it runs; connections that are open keep theirs.
"""

import asyncio
import datetime
import errno
import logging
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from aiohttp import web

from edge.access.tls import RENEW_EVERY_S, GivenCertificate, LocalAuthority, Tls, tls_mode
from edge.errors import ConfigError, OperatingError
from edge.tasks import end_task

KEEPALIVE_S = 75.0
BACKLOG = 1_024
_LOG = logging.getLogger(__name__)


class Wire:
    """How one service is reached: its certificate, if it has one.

    Attributes:
        authority: The local authority, None in clear or with a given certificate.
    """

    def __init__(self, tls: Tls, host: str, folder: Path, *, insecure: bool) -> None:
        """Make or load what is needed.

        Raises:
            ConfigError: The configuration can't be served.
            KeyFileError: The authority's folder can't be used.
        """
        mode = tls_mode(tls, host, insecure=insecure)
        self.authority: LocalAuthority | None = None
        self._given: GivenCertificate | None = None
        if mode == "local":
            self.authority = LocalAuthority(folder, tls.names, _now())
        elif mode == "given":
            assert tls.certificate is not None
            assert tls.key is not None
            self._given = GivenCertificate(tls.certificate, tls.key)
        elif insecure:
            _LOG.warning("tls.off", extra={"why": "--insecure: whoever is on this network can "
                                           "read gate credentials and take sessions over"})

    @property
    def context(self) -> ssl.SSLContext | None:
        """What to serve with; None = clear HTTP."""
        if self.authority is not None:
            return self.authority.context
        return self._given.context if self._given is not None else None

    async def keep_renewed(self) -> None:
        """Renew for as long as the service runs."""
        while True:
            await asyncio.sleep(RENEW_EVERY_S)
            try:
                if self.authority is not None and self.authority.renew(_now()):
                    _LOG.info("tls.renewed")
                elif self._given is not None and self._given.renew():
                    _LOG.info("tls.reread")
            except OperatingError as error:
                _LOG.error("tls.not_renewed", extra={"why": str(error)})


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def bind(
    host: str, port: int, port_tries: int, *, shared: bool = False, beside: bool = False
) -> socket.socket:
    """Bind the port or the next free one, and listen: only who listens has it to itself.

    Args:
        host: Address.
        port: The first that is tried.
        port_tries: How many are.
        shared: Let other processes of this service share it.
        beside: Share one that a process of this service has.

    Raises:
        ConfigError: None of them can be bound.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for number in range(port, port + port_tries):
        try:
            listening = _listening(family, host, number, beside=beside)
            if shared:  # not sooner: another service that starts just now would share it as well
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            return listening
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise ConfigError(f"{host}:{number} can't be used: {error}") from error
            _LOG.warning("port.taken", extra={"port": number})
    raise ConfigError(
        f"ports {port} to {port + port_tries - 1} are all taken: configure another port"
    )


def _listening(family: int, host: str, port: int, *, beside: bool) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if beside:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


class Beside(Protocol):
    """Further processes that serve on the same port."""

    async def start(self, made: Callable[[], asyncio.Protocol], port: int, wire: Wire) -> None:
        """Begin; `made` makes a connection of this process, for what they pass on."""
        ...

    async def drain(self, within_s: float) -> None:
        """Have them take nothing new and answer what they have."""
        ...

    async def stop(self) -> None:
        """End them."""
        ...


Connections = Callable[[web.Server, float], Callable[[], asyncio.Protocol]]
"""Of aiohttp's server and the seconds an idle connection is kept, what makes a connection."""


async def serve(
    app: web.Application, listening: socket.socket, wire: Wire, *,
    ready: Callable[[str], None], stop: asyncio.Event, shutdown_s: float,
    connections: Connections | None = None, beside: Beside | None = None,
) -> None:
    """Serve an application until `stop` is set; `ready` is told its address.

    Args:
        app: What is served.
        listening: A socket of `bind`.
        wire: In TLS or clear.
        ready: Told the address, with its scheme.
        stop: Set to stop.
        shutdown_s: Seconds that calls in flight get.
        connections: Makes the connections; None = aiohttp does.
        beside: Processes that share the port, which must have been bound so.
    """
    runner = web.AppRunner(
        app, access_log=None, shutdown_timeout=shutdown_s, keepalive_timeout=KEEPALIVE_S
    )
    await runner.setup()
    assert runner.server is not None
    made = connections(runner.server, KEEPALIVE_S) if connections else runner.server
    renewing = asyncio.create_task(wire.keep_renewed())
    listener = None
    try:
        listener = await asyncio.get_running_loop().create_server(
            made, sock=listening, backlog=BACKLOG, ssl=wire.context)
        host, port = listening.getsockname()[:2]
        if beside is not None:
            await beside.start(made, port, wire)
        shown = f"[{host}]" if ":" in host else host
        ready(f"{'https' if wire.context else 'http'}://{shown}:{port}")
        await stop.wait()
    finally:
        await end_task(renewing)
        if listener is not None:
            listener.close()
        if beside is not None:
            await beside.drain(shutdown_s)
        await runner.cleanup()
        if beside is not None:
            await beside.stop()
