"""A wire that can be cut: a small relay in front of a server."""

import asyncio
import contextlib


class Relay:
    """Carries bytes to a port on loopback; cut, it refuses and drops; deaf, it swallows.

    A subscription that it loses is a line that is dead at both ends, of which neither end hears.

    Attributes:
        lag_s: By how much each piece is late.
        instead: What clients hear in place of the server's answers, if anything.
        altered: What the server hears in place of a client's words, each as long as those.
    """

    def __init__(self, port: int) -> None:
        self._to = port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._subscribed: set[asyncio.StreamWriter] = set()
        self._lost: set[asyncio.StreamWriter] = set()
        self.port, self.deaf, self.lag_s = 0, False, 0.0
        self.instead = b""
        self.altered: dict[bytes, bytes] = {}

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    async def mend(self) -> None:
        self.deaf, self.instead = False, b""
        if self._server is None:
            self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for writer in list(self._writers):
            writer.close()
        await asyncio.sleep(0)

    def lose_subscriptions(self) -> int:
        """Swallow from now on whatever goes over the subscriptions that there are."""
        found = self._subscribed - self._lost
        self._lost |= found
        return len(found)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to = await asyncio.open_connection("127.0.0.1", self._to)
        self._writers |= {writer, to}
        try:
            await asyncio.gather(self._pump(reader, to, writer),
                                 self._pump(there, writer, writer, back=True))
        finally:
            self._writers -= {writer, to}
            self._subscribed.discard(writer)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter,
        client: asyncio.StreamWriter, *, back: bool = False
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                await asyncio.sleep(self.lag_s)
                if not back and b"SUBSCRIBE" in data:
                    self._subscribed.add(client)
                for words, others in self.altered.items() if not back else ():
                    assert len(others) == len(words)
                    data = data.replace(words, others)
                if not self.deaf and client not in self._lost:
                    writer.write((back and self.instead) or data)
                    await writer.drain()
        writer.close()
