"""Where workers knock: a Unix socket in the node's data folder, for lines and passed connections.

- Only the node's own user can open it (mode 0600 in a folder of mode 0700).
- A connection that a worker passes on is served like one that came here, with the client's address
  and whether it came by TLS.
- A socket that a killed node left is replaced: whoever holds the journal's lock is the node.
"""

import asyncio
import contextlib
import logging
import os
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import msgspec

from edge.crew.lines import Line, Lines
from edge.crew.words import SOCKET, Frames, Hello, Passed, decode_to_keeper
from edge.errors import ConfigError

BACKLOG = 1_024
_LOG = logging.getLogger(__name__)


class PassedTransport:
    """A transport that speaks for a client at a worker."""

    def __init__(
        self, inner: asyncio.Transport, client: tuple[str, int], context: ssl.SSLContext | None
    ) -> None:
        """Take the connection to the worker, and what the worker's one with the client is."""
        self._inner = inner
        self._own = {"peername": client, "sslcontext": context}

    def get_extra_info(self, name: str, default: object = None) -> object:
        """Give what is asked of the client's connection."""
        if name in self._own:
            return self._own[name]
        return self._inner.get_extra_info(name, default)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever a transport has
        """Leave everything else to the connection that carries it."""
        return getattr(self._inner, name)


class Desk:
    """The socket and what arrives at it."""

    def __init__(
        self, folder: Path, lines: Lines, made: Callable[[], asyncio.Protocol],
        context: ssl.SSLContext | None,
    ) -> None:
        """Take where it is, the lines, and what makes a client's connection."""
        self._folder, self.lines, self._made, self._context = folder, lines, made, context
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Begin to take connections.

        Raises:
            ConfigError: The socket can't be made.
        """
        self._server = await asyncio.get_running_loop().create_unix_server(
            lambda: Arrival(self), sock=_bound(self._folder), backlog=BACKLOG)

    def close(self) -> None:
        """Take no new ones."""
        if self._server is not None:
            self._server.close()
        with contextlib.suppress(OSError):
            (self._folder / SOCKET).unlink()

    def passed(self, transport: asyncio.Transport, client: Passed, rest: bytes) -> None:
        """Serve a client whose connection a worker passes on."""
        protocol = self._made()
        transport.set_protocol(protocol)
        speaking = PassedTransport(transport, (client.host, client.port), self._context)
        protocol.connection_made(cast(asyncio.Transport, speaking))
        if rest:
            protocol.data_received(rest)


class Arrival(asyncio.Protocol):
    """A connection of a worker, until and as long as it is a line."""

    def __init__(self, desk: Desk) -> None:
        """Wait for its first frame."""
        self._desk, self._frames = desk, Frames()
        self._transport: asyncio.Transport | None = None
        self._line: Line | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take note of the connection."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Take frames; what isn't one ends the connection."""
        assert self._transport is not None
        try:
            for body in self._frames.feed(data):
                if self._line is not None:
                    self._line.take(body)
                    continue
                first = decode_to_keeper(body)
                if isinstance(first, Passed):
                    self._desk.passed(self._transport, first, self._frames.rest())
                    return
                if not isinstance(first, Hello):
                    raise ValueError("a connection begins by saying what it is")
                self._line = self._desk.lines.opened(self._transport, first)
        except (ValueError, msgspec.MsgspecError):
            _LOG.exception("worker.line_broken")
            self._transport.close()

    def connection_lost(self, _: BaseException | None) -> None:
        """Let go of the line."""
        if self._line is not None:
            self._desk.lines.lost(self._line)


def _bound(folder: Path) -> socket.socket:
    """Bind the socket by way of its folder: an address has room for 107 bytes, a path hasn't."""
    unix = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    place = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        with contextlib.suppress(FileNotFoundError):
            (folder / SOCKET).unlink()
        unix.bind(f"/proc/self/fd/{place}/{SOCKET}")
        (folder / SOCKET).chmod(0o600)
    except OSError as error:
        unix.close()
        raise ConfigError(f"{folder / SOCKET} can't be made: {error.strerror}") from error
    finally:
        os.close(place)
    return unix
