"""Heads of requests that take the short way: parsed by aiohttp's parser, once for equal bytes.

- A gate sends the same head again and again. One that was parsed and authenticated before is known
  by its digest; it means the same for as long as the gates that may speak here are the same.
- Only heads of authenticated gates are kept, so that a flood of strangers displaces nobody, and
  only as digests, since a head holds the gate's secret.
- Whatever isn't plainly a JSON verification of a gate is aiohttp's.
"""

import asyncio
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import NamedTuple

from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpRequestParser, HttpVersion11, RawRequestMessage
from aiohttp.http_exceptions import HttpProcessingError

from edge.protocol.records import GateRecord
from edge.web.auth import authenticate
from edge.web.problems import Problem

PATH = "/v1/verifications"
BODY_BYTES_MAX = 32 * 1024
"""A larger body holds pictures, and takes aiohttp's way."""
KEPT_MAX = 4_096
_READ_BUFFER_BYTES = 64 * 1024


class Head(NamedTuple):
    """What a head says.

    Attributes:
        short: Whether its request takes the short way.
        body_bytes: Length of the body; -1 if the head doesn't say it plainly.
        gate: Who calls, None if that isn't a gate of this node.
    """

    short: bool
    body_bytes: int
    gate: GateRecord | None


_UNCLEAR = Head(False, -1, None)


class Heads:
    """Parses heads and remembers those of authenticated gates."""

    def __init__(self, gates: Callable[[], Mapping[str, GateRecord]]) -> None:
        """Take the gates that may speak here now."""
        self._gates = gates
        self._of = gates()
        self._kept: dict[bytes, Head] = {}

    def parse(self, head: bytes) -> Head:
        """Give what a head says; `head` ends with its empty line."""
        gates = self._gates()
        if gates is not self._of:
            self._of, self._kept = gates, {}
        digest = sha256(head).digest()
        found = self._kept.get(digest)
        if found is None:
            found = self._read(head, gates)
            if found.gate is not None:
                if len(self._kept) >= KEPT_MAX:
                    self._kept.clear()
                self._kept[digest] = found
        return found

    def _read(self, head: bytes, gates: Mapping[str, GateRecord]) -> Head:
        # A line that ends otherwise could end the head elsewhere in another parser's eyes.
        if head.count(b"\n") != head.count(b"\r\n"):
            return _UNCLEAR
        loop = asyncio.get_running_loop()
        parser = HttpRequestParser(BaseProtocol(loop), loop, _READ_BUFFER_BYTES)
        try:
            messages, upgraded, _ = parser.feed_data(head)
        except HttpProcessingError:
            return _UNCLEAR
        if len(messages) != 1 or upgraded:
            return _UNCLEAR
        message: RawRequestMessage = messages[0][0]
        length = message.headers.get("Content-Length", "0")
        if message.chunked or message.upgrade or not length.isdigit():
            return _UNCLEAR
        if not _is_short(message, int(length)):
            return Head(False, int(length), None)
        try:
            gate = authenticate(message.headers.get("Authorization"), gates)
        except Problem:
            return Head(True, int(length), None)
        return Head(True, int(length), gate)


def _is_short(message: RawRequestMessage, body_bytes: int) -> bool:
    """Tell whether this is a verification in JSON by a gate, and nothing about it is unusual."""
    headers = message.headers
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return (
        message.method == "POST" and message.path == PATH and kind == "application/json"
        and message.version == HttpVersion11 and not message.should_close
        and message.compression is None and 0 < body_bytes <= BODY_BYTES_MAX
        and "Authorization" in headers and "Expect" not in headers
        # It differs with every call, so nothing would be known again; aiohttp's way follows it.
        and "traceparent" not in headers
    )
